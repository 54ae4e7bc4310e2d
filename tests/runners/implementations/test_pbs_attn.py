"""PBS-Attn: keys are ordered by importance within segments, causality holds, fewer blocks serve as well."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.efficient_attention import pbs_attn as module  # noqa: E402

AXES = {
    "batch": 1, "heads": 2, "key_heads": 1, "seq": 1024, "dim": 64, "stripes": 64, "segment": 256, "block": 32, "mass": 700,
}  # fmt: skip


def reordered(subject, q, k):
    places = subject.order(q, k)
    return places, subject.choose(q, k.gather(2, places[..., None].expand_as(k)), places)


def test_each_segment_keeps_its_keys_and_the_heavy_ones_come_first():
    axes = {**AXES, "seq": 300, "stripes": 9}
    rand = Rand(1)
    q, k = rand.normal(1, 2, 300, 32), 0.1 * rand.normal(1, 1, 300, 32)
    k[:, :, [37, 100, 280]] += q[:, :1, -32:].mean(2, keepdim=True) * 40
    places, _ = reordered(module.make_technique({**axes, "segment": 64}, {}), q, k)
    for start in range(0, 300, 64):
        assert places[0, 0, start : start + 64].sort().values.tolist() == list(range(start, min(300, start + 64)))
    assert [places[0, 0, start].item() for start in (0, 64, 256)] == [37, 100, 280]


def test_the_order_saves_blocks_at_the_same_error():
    q, k, v = module.inputs(AXES, Rand(2))
    wanted = module.SUBJECTS["library"](AXES, {})(q, k, v)
    found = {}
    for name in ("technique", "unpermuted"):
        subject = module.SUBJECTS[name](AXES, {})
        error = ((subject(q, k, v) - wanted).norm() / wanted.norm()).item()
        found[name] = error, reordered(subject, q, k)[1].density()
    assert found["technique"][1] < 0.8 * found["unpermuted"][1]
    assert found["technique"][0] < max(0.1, 1.2 * found["unpermuted"][0])


def test_all_of_the_mass_is_dense_attention_though_keys_are_permuted():
    axes = {**AXES, "seq": 333, "mass": 1001}
    q, k, v = module.inputs(axes, Rand(3))
    torch.testing.assert_close(
        module.make_technique(axes, {})(q, k, v), module.SUBJECTS["library"](axes, {})(q, k, v), atol=1e-4, rtol=1e-4
    )


def test_later_values_never_change_an_earlier_output():
    axes = {**AXES, "seq": 400, "stripes": 20}
    q, k, v = module.inputs(axes, Rand(4))
    subject = module.make_technique(axes, {})
    first = subject(q, k, v)
    v[:, :, 290:] = 99.0
    assert torch.equal(subject(q, k, v)[:, :, :290], first[:, :, :290])


def test_the_kernel_reads_permuted_keys_as_the_gathering_form_does():
    axes = {**AXES, "seq": 200, "stripes": 12, "segment": 64, "dim": 32}
    q, k, v = module.inputs(axes, Rand(5))
    if not q.is_cuda:
        pytest.importorskip("triton")
    found = module.PermutedBlockSparse(axes, kernels=True)(q, k, v)
    torch.testing.assert_close(found, module.PermutedBlockSparse(axes, kernels=False)(q, k, v), atol=1e-5, rtol=1e-4)


def test_a_segment_that_cuts_a_block_is_refused():
    with pytest.raises(ValueError, match="segment: 80"):
        module.make_technique({**AXES, "segment": 80}, {})
