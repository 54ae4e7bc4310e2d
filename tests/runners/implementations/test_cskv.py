"""CSKV's factors are the best of their rank for what the layer produces, and its cache holds what the card says."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.decoder import rotate  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.kv_cache import cskv as module  # noqa: E402

AXES = {
    "batch": 2, "context": 203, "hidden": 96, "heads": 4, "kv_heads": 2, "dim": 32, "rank": 16, "window": 16,
    "spread": 4, "bits": 16,
}  # fmt: skip


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((found - wanted).norm() / wanted.norm()).item()


def by_definition(weights: dict[str, torch.Tensor], x: torch.Tensor, factors, window: int) -> torch.Tensor:
    """One batch entry and head at a time; keys and values of tokens before the window go through the factors."""
    results = []
    for b, new in enumerate(x):
        tokens = torch.cat([weights["context"][b], new[None]])
        old = len(tokens) - 1 - window
        made = {}
        for name in ("key", "value"):
            few, back = factors[name]
            made[name] = torch.cat([tokens[:old] @ few @ back, tokens[old:] @ weights[name]])
        heads = []
        for h in range(4):
            columns = slice(32 * (h // 2), 32 * (h // 2) + 32)
            keys = rotate(made["key"][:, columns], torch.arange(len(tokens)))
            query = rotate((new @ weights["query"])[32 * h : 32 * h + 32], len(tokens) - 1)
            heads.append(torch.softmax(keys @ query / 32**0.5, dim=0) @ made["value"][:, columns])
        results.append(torch.cat(heads) @ weights["output"])
    return torch.stack(results)


def test_a_step_attends_to_few_channels_of_old_tokens_and_all_of_recent_ones():
    weights = module.weights(AXES, Rand(1, dtype=torch.float64))
    (x,) = module.inputs(AXES, Rand(2, dtype=torch.float64))
    factors = {name: module.fitted_factors(weights[name], weights["calibration"], 16) for name in ("key", "value")}
    assert relative_error(module.make_technique(AXES, weights)(x), by_definition(weights, x, factors, 16)) < 1e-10


def test_factors_reach_the_least_error_of_their_rank():
    weights = module.weights(AXES, Rand(1, dtype=torch.float64))
    produced = weights["calibration"] @ weights["key"]
    down, up = module.fitted_factors(weights["key"], weights["calibration"], 10)
    least = torch.linalg.svdvals(produced)[10:].norm()
    assert (weights["calibration"] @ down @ up - produced).norm().item() == pytest.approx(least.item())


def test_fitting_to_what_the_layer_produces_is_what_makes_it_work():
    weights = module.weights(AXES, Rand(1))
    (x,) = module.inputs(AXES, Rand(2))
    wanted = module.make_eager(AXES, weights)(x)
    errors = {
        name: relative_error(module.SUBJECTS[name](AXES, weights)(x), wanted) for name in ("technique", "weight_svd")
    }
    assert errors["technique"] < 0.05 < 0.5 < errors["weight_svd"]
    wider = module.make_technique(AXES | {"rank": 24}, weights)
    assert relative_error(wider(x), wanted) < errors["technique"] / 2


def test_four_bits_keep_each_number_within_half_a_step():
    features = Rand(3).normal(2, 100, 6) * torch.tensor([1.0, 10.0, 0.1, 0.0, 3.0, 1e-3])
    kept = module.Features(features, 4)
    for first in range(0, 100, module.GROUP):
        group = features[:, first : first + module.GROUP]
        step = group.abs().amax(1, keepdim=True) / 7
        off = (kept.read(0, 100)[:, first : first + module.GROUP] - group).abs()
        assert (off <= step / 2 + 1e-6).all()
    assert torch.equal(kept.read(64, 97), kept.read(0, 100)[:, 64:97])
    assert kept.nbytes == 2 * 128 * 6 // 2 + 2 * 2 * 6 * 4


@pytest.mark.parametrize(("bits", "smaller"), [(16, 0.80), (4, 0.947)])
def test_the_cache_shrinks_by_what_the_card_says(bits, smaller):
    axes = AXES | {"batch": 1, "context": 8192, "hidden": 512, "heads": 8, "kv_heads": 8, "dim": 128, "rank": 204}
    axes |= {"window": 8, "spread": 20, "bits": bits}
    weights = module.weights(axes, Rand(1, dtype=torch.bfloat16))
    whole = 8193 * 2 * 1024 * 2
    assert module.make_full(axes, weights).footprint()["kv_cache"] == whole
    assert 1 - module.make_technique(axes, weights).footprint()["kv_cache"] / whole == pytest.approx(smaller, abs=0.002)


def test_other_widths_are_refused():
    with pytest.raises(ValueError, match="bits is 3"):
        module.make_technique(AXES | {"bits": 3}, module.weights(AXES, Rand(1)))
