"""LightTransfer finds the layers that look at sinks and recent tokens only, and shrinks the caches of just those."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.rand import Rand  # noqa: E402
from runners.cards import find_card  # noqa: E402
from runners.implementations.kv_cache import lighttransfer as module  # noqa: E402

AXES = {
    "layers": 5, "hidden": 64, "heads": 4, "kv_heads": 2, "dim": 32, "ffn": 96, "batch": 2, "context": 180,
    "lazy": 2, "sink": 4, "window": 40,
}  # fmt: skip


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((found.double() - wanted).norm() / wanted.norm()).item()


def lengths(subject) -> list[int]:
    return [keys.shape[2] for keys, _ in subject.cache.layers]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_layers_that_were_planted_lazy_are_found(seed):
    weights = module.weights(AXES, Rand(seed))
    ratios = [module.lazy_ratio(*pair, 4, 39) for pair in zip(weights["queries"], weights["keys"], strict=True)]
    lazy = module.lazy_layers(weights["queries"], weights["keys"], 2, 4, 39)
    assert lazy == {layer for layer, ratio in enumerate(ratios) if ratio > 0.9}
    assert len(lazy) == 2


def test_the_lazy_ratio_is_the_attention_on_first_and_latest_tokens():
    weights = module.weights(AXES, Rand(1, dtype=torch.float64))
    queries, keys = weights["queries"][0], weights["keys"][0]
    total = 0.0
    for b in range(2):
        for h in range(4):
            for query in queries[b, h]:
                shares = torch.softmax(keys[b, h // 2] @ query / 32**0.5, dim=0)
                total += (shares[:4].sum() + shares[-39:].sum()).item()
    assert module.lazy_ratio(queries, keys, 4, 39) == pytest.approx(total / (2 * 4 * queries.shape[2]))


def test_lazy_layers_cache_sinks_and_window_only():
    weights = module.weights(AXES, Rand(1))
    subject = module.make_technique(AXES, weights)
    assert sorted(lengths(subject)) == [44, 44, 181, 181, 181]
    assert subject.footprint()["kv_cache"] == (2 * 44 + 3 * 181) * 2 * 2 * 2 * 32 * 4
    assert lengths(module.make_streaming(AXES, weights)) == [44] * 5


def test_finding_the_right_layers_is_what_keeps_the_error_small():
    budget = find_card("lighttransfer").check.budget
    weights = module.weights(AXES, Rand(1))
    (x,) = module.inputs(AXES, Rand(2))
    wanted = module.make_plain_cache(AXES, {name: tensor.double() for name, tensor in weights.items()})(x.double())
    assert relative_error(module.make_technique(AXES, weights)(x), wanted) < budget
    assert relative_error(module.make_streaming(AXES, weights)(x), wanted) > 3 * budget
    one_more = module.make_technique(AXES | {"lazy": 3}, weights)
    assert relative_error(one_more(x), wanted) > budget


@pytest.mark.parametrize("lazy", [0, 5])
def test_no_layer_or_every_layer_may_be_lazy(lazy):
    axes = AXES | {"lazy": lazy}
    subject = module.make_technique(axes, module.weights(axes, Rand(1)))
    assert lengths(subject) == [44 if lazy else 181] * 5


def test_within_the_window_nothing_is_lost():
    axes = AXES | {"context": 30}
    weights = module.weights(axes, Rand(1))
    (x,) = module.inputs(axes, Rand(2))
    assert torch.allclose(module.make_technique(axes, weights)(x), module.make_full_cache(axes, weights)(x))
