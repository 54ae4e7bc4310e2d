"""PrefixKV gives each layer the shortest prefix that keeps the same share of attention, within one budget."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.kv_cache import prefixkv as module  # noqa: E402

AXES = {
    "layers": 4, "hidden": 64, "heads": 4, "kv_heads": 2, "dim": 32, "ffn": 96, "batch": 1, "context": 200, "percent": 20,
}  # fmt: skip


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((found - wanted).norm() / wanted.norm()).item()


def lengths(subject) -> list[int]:
    return [keys.shape[2] - 1 for keys, _ in subject.cache.layers]


def test_the_threshold_is_the_largest_that_fits():
    shares = torch.softmax(
        Rand(1, dtype=torch.float64).normal(3, 1, 12) * torch.tensor([0.1, 1.0, 4.0]).view(3, 1, 1), -1
    )
    sizes = module.prefix_sizes(shares, 15)
    curves = [row[0].sort(descending=True).values.cumsum(0) for row in shares]
    assert sum(sizes) <= 15
    # Tried out: at every threshold that asks for more in any layer, the budget breaks.
    best = max(
        (t for t in torch.linspace(0, 1, 5001).tolist()
         if sum(min(12, 1 + int((curve < t).sum())) for curve in curves) <= 15),
    )  # fmt: skip
    assert sizes == [min(12, 1 + int((curve < best).sum())) for curve in curves]
    assert sizes[0] > sizes[1] > sizes[2]


def test_the_smallest_budget_leaves_one_token_in_each_layer():
    assert module.prefix_sizes(torch.full((4, 1, 200), 1 / 200, dtype=torch.float64), 4) == [1, 1, 1, 1]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_adaptive_budget_loses_less_than_equal_ones_of_the_same_bytes(seed):
    weights = module.weights(AXES, Rand(seed))
    (x,) = module.inputs(AXES, Rand(seed + 5))
    wanted = module.make_full_cache(AXES, weights)(x)
    adaptive, equal = module.make_technique(AXES, weights), module.make_equal(AXES, weights)
    assert sum(lengths(adaptive)) <= sum(lengths(equal)) == 4 * 40
    assert adaptive.footprint()["kv_cache"] <= equal.footprint()["kv_cache"]
    assert relative_error(adaptive(x), wanted) < relative_error(equal(x), wanted)


def test_the_most_important_tokens_stay_in_the_order_of_the_prompt():
    weights = module.weights(AXES, Rand(1))
    shares = module.importance(weights)
    subject = module.keep_prefixes(AXES, weights, shares, [5, 1, 7, 3])
    assert lengths(subject) == [5, 1, 7, 3]
    best = sorted(shares[2, 0].tolist(), reverse=True)[:7]
    places = [t for t in range(200) if shares[2, 0, t].item() in best]
    assert torch.equal(subject.cache.layers[2][0][:, :, :-1], weights["keys"][2][:, :, places])


def test_with_all_of_the_budget_nothing_is_lost():
    axes = AXES | {"percent": 100}
    weights = module.weights(AXES, Rand(1))
    (x,) = module.inputs(AXES, Rand(2))
    assert relative_error(module.make_technique(axes, weights)(x), module.make_full_cache(axes, weights)(x)) < 1e-3
