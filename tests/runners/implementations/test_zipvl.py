"""ZipVL: how many tokens matter follows each layer's attention, those alone attend, and their cache gets more bits."""

import math

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.efficient_attention import zipvl as module  # noqa: E402

AXES = {
    "layers": 2, "hidden": 96, "heads": 4, "kv_heads": 2, "dim": 32, "ffn": 128, "batch": 1, "context": 640, "text": 8,
    "probes": 32, "mass": 975,
}  # fmt: skip


def run(axes, make=module.make_technique, seed=1):
    subject = make(axes, module.weights(axes, Rand(seed)))
    return subject, subject(*module.inputs(axes, Rand(seed + 1)))


def relative_error(found, wanted):
    return ((found - wanted).norm() / wanted.norm()).item()


def test_outputs_are_near_full_attention_and_attention_decides_them():
    subject, found = run(AXES)
    _, wanted = run(AXES, module.make_library)
    assert max(map(relative_error, found, wanted)) < 0.15
    subject.prefill = subject.step = lambda layer, q, k, v: torch.zeros_like(q)
    without = subject(*module.inputs(AXES, Rand(2)))
    assert min(map(relative_error, without, wanted)) > 2 * max(map(relative_error, found, wanted))


def test_all_of_the_mass_is_full_attention_in_the_prompt():
    _, (told, _) = run({**AXES, "mass": 1000})
    _, (wanted, _) = run(AXES, module.make_library)
    torch.testing.assert_close(told, wanted, atol=1e-4, rtol=1e-4)


def test_marked_tokens_are_chosen_and_a_spread_layer_keeps_more():
    weights = module.weights(AXES, Rand(3))
    x, new = module.inputs(AXES, Rand(4))
    subject = module.make_technique(AXES, weights)
    subject(x, new)
    sharp, spread = (set(each[0].tolist()) for each in subject.chosen)
    for kind, chosen in enumerate((sharp, spread)):
        marked = set((x[0, :, kind] > 20).nonzero().flatten().tolist())
        assert len(marked) == AXES["context"] // module.ONE_IN[kind]
        assert len(marked & chosen) > 0.85 * len(marked)
        assert set(range(632, 640)) <= chosen
    assert len(sharp) < 0.7 * len(spread)


def test_attention_by_probes_is_that_of_the_causal_softmax():
    rand = Rand(5)
    q, k = rand.normal(1, 4, 50, 16), rand.normal(1, 2, 50, 16)
    scores = q @ k.repeat_interleave(2, 1).transpose(-1, -2) / 4
    shares = scores.masked_fill(torch.ones(50, 50, dtype=torch.bool).triu(1), -math.inf).softmax(-1).mean(1)[0]
    places = module.probe_places(50, 10, q.device)
    assert places.tolist() == [0, 9, 18, 27, 36, 45, 46, 47, 48, 49]
    total, each = module.attention_by_probes(q, k, places)
    torch.testing.assert_close(total[0], shares[places].sum(0))
    seen_by = torch.tensor([sum(token <= place for place in places.tolist()) for token in range(50)])
    torch.testing.assert_close(each[0], shares[places].sum(0) / seen_by)


def test_as_few_tokens_as_reach_the_mass():
    rand = Rand(6)
    q, k = 3 * rand.normal(1, 2, 90, 16), rand.normal(1, 2, 90, 16)
    total, _ = module.attention_by_probes(q, k, module.probe_places(90, 20, q.device))
    largest = total[0].sort(descending=True).values
    needed = next(n for n in range(1, 91) if largest[:n].sum() >= 0.8 * total.sum())
    important, others = module.important_tokens(q, k, 20, 1, 0.8)
    assert important.shape == (1, needed)
    assert sorted(important[0].tolist() + others[0].tolist()) == list(range(90))
    assert 89 in important


def test_tokens_that_do_not_matter_get_no_attention_and_give_none():
    subject, _ = run(AXES)
    rand = Rand(7)
    q, k, v = rand.normal(1, 4, 640, 32), rand.normal(1, 2, 640, 32), rand.normal(1, 2, 640, 32)
    q, k = 4 * q, 4 * k
    output = subject.prefill(0, q, k, v)
    chosen = torch.zeros(640, dtype=torch.bool)
    chosen[subject.chosen[-1][0]] = True
    assert 0 < chosen.sum() < 640
    mask = chosen & torch.ones(640, 640, dtype=torch.bool).tril()
    scores = q @ k.repeat_interleave(2, 1).transpose(-1, -2) / math.sqrt(32)
    wanted = scores.masked_fill(~mask, -math.inf)[:, :, chosen].softmax(-1) @ v.repeat_interleave(2, 1)
    torch.testing.assert_close(output[:, :, chosen], wanted, atol=1e-4, rtol=1e-4)
    assert not output[:, :, ~chosen].any()


@pytest.mark.parametrize("bits", [2, 4])
def test_values_come_back_within_half_a_step_from_so_many_bits(bits):
    keys = Rand(8).normal(2, 3, 40, 16)
    keys[..., 5] += 30.0  # a channel far from zero costs the others nothing
    codes = module.Codes(keys, bits, axis=2)
    reach = (keys.amax(2, keepdim=True) - keys.amin(2, keepdim=True)) / (2**bits - 1) / 2
    assert ((codes.values() - keys).abs() <= reach * 1.001 + 1e-6).all()
    assert codes.packed.nbytes == 2 * 3 * 40 * 16 * bits // 8


def test_cached_bytes_are_those_of_packed_codes_and_their_scales():
    subject, _ = run(AXES)
    expected = 0
    for chosen in subject.chosen:
        important = chosen.shape[1]
        for tokens, bits in ((important, 4), (640 - important, 2)):
            codes = 2 * 2 * tokens * 32 * bits // 8  # keys and values of two heads
            numbers = 2 * 32 * 3 + 2 * tokens * 2  # channels: low, step, evening out; tokens: low, step
            expected += codes + 4 * numbers
    assert subject.footprint()["kv_cache"] == expected
    full, _ = run(AXES, module.make_library)
    assert full.footprint()["kv_cache"] == 2 * 2 * 641 * 2 * 32 * 4
