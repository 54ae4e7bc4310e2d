"""ProxyAttn: the pooled heads find the heavy keys' blocks, sharp heads get small budgets, the output stays near dense."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from runners.blocks.block_sparse import dense_mask  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.efficient_attention import proxyattn as module  # noqa: E402

AXES = {
    "batch": 1, "heads": 4, "key_heads": 2, "seq": 700, "dim": 64, "stripes": 2, "proxies": 1, "block": 32, "mass": 900,
}  # fmt: skip


def error_and_density(axes, seed=1):
    q, k, v = module.inputs(axes, Rand(seed))
    subject = module.make_technique(axes, {})
    wanted = module.SUBJECTS["library"](axes, {})(q, k, v)
    error = ((subject(q, k, v) - wanted).norm() / wanted.norm()).item()
    return error, subject.choose(q, k).density()


def test_few_blocks_give_nearly_the_dense_output_and_more_mass_a_better_one():
    loose, few = error_and_density({**AXES, "mass": 800})
    tight, many = error_and_density({**AXES, "mass": 995})
    assert few < 0.5
    assert few < many
    assert tight < loose < 0.2


def test_all_of_the_mass_is_dense_attention():
    error, density = error_and_density({**AXES, "mass": 1000})
    assert density == 1.0
    assert error < 1e-5


def test_the_proxy_finds_the_block_of_a_single_heavy_key():
    rand = Rand(2)
    q, k = rand.normal(1, 4, 320, 32), rand.normal(1, 2, 320, 32)
    direction = torch.nn.functional.normalize(rand.gaussian(32), dim=0)
    q += 8 * direction
    k[:, :, 165] += 8 * direction
    subject = module.make_technique({**AXES, "mass": 500}, {})
    chosen = dense_mask(subject.choose(q, k), 320)
    assert chosen[:, :, 170:, 165].all()
    assert chosen.diagonal(dim1=-2, dim2=-1).all()
    assert chosen[:, :, :, 0].all()
    later = torch.ones(320, 320, dtype=torch.bool).triu(1)
    assert not chosen[:, :, later].any()


def test_a_spread_head_gets_a_larger_budget_than_a_sharp_one():
    q, k, _ = module.inputs(AXES, Rand(3))
    q[:, 0] *= 0.5
    budgets = module.make_technique(AXES, {}).budgets(q, k)
    assert (budgets[:, 0] > budgets[:, 1:].max()).all()


def test_budget_counts_the_largest_blocks_that_reach_the_mass():
    q, k, _ = module.inputs(AXES, Rand(4))
    scores = (q[:, :, -32:].double() @ k.repeat_interleave(2, 1).double().transpose(-1, -2)) / 8
    scores.masked_fill_(torch.ones(32, 700, dtype=torch.bool).triu(700 - 32 + 1), float("-inf"))
    shares = scores.softmax(-1).mean(2)
    blocks = torch.stack([part.sum(-1) for part in shares.split(32, -1)], -1).sort(-1, descending=True).values
    needed = [next(n for n in range(1, 23) if head[:n].sum() >= 0.9) for head in blocks[0]]
    found = module.make_technique(AXES, {}).budgets(q, k)[0] * 22
    assert found.round().int().tolist() == needed


def test_proxies_that_cannot_share_the_heads_are_refused():
    with pytest.raises(ValueError, match="proxies: 3"):
        module.make_technique({**AXES, "proxies": 3}, {})
