"""D2O gives dense layers more tokens and merges an evicted token into the most similar kept one, if similar enough."""

import math

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.kv_cache import d2o as module  # noqa: E402

AXES = {
    "layers": 4, "hidden": 64, "heads": 4, "kv_heads": 2, "dim": 32, "ffn": 96, "batch": 1, "context": 200,
    "percent": 20, "recent": 4,
}  # fmt: skip


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((found - wanted).norm() / wanted.norm()).item()


def test_similar_evicted_tokens_are_merged_and_others_are_dropped():
    keys, values = (Rand(seed, dtype=torch.float64).normal(1, 2, 9, 6) for seed in (1, 2))
    kept, evicted = torch.tensor([[[0, 3, 4], [1, 2, 8]]]), torch.tensor([[[1, 2, 5, 6, 7, 8], [0, 3, 4, 5, 6, 7]]])
    found = module.compensate(keys, values, kept, evicted)
    for h in range(2):
        pairs = []
        for lost in evicted[0, h].tolist():
            cosines = [
                torch.cosine_similarity(keys[0, h, lost], keys[0, h, stays], dim=0).item() for stays in kept[0, h]
            ]
            pairs.append((max(cosines), cosines.index(max(cosines)), lost))
        threshold = sum(similarity for similarity, _, _ in pairs) / len(pairs)
        for tensor, merged in zip((keys, values), found, strict=True):
            for place, stays in enumerate(kept[0, h].tolist()):
                taken = [(math.exp(s), lost) for s, nearest, lost in pairs if nearest == place and s > threshold]
                total = math.e + sum(weight for weight, _ in taken)
                wanted = (
                    math.e * tensor[0, h, stays] + sum(weight * tensor[0, h, lost] for weight, lost in taken)
                ) / total
                assert torch.allclose(merged[0, h, place], wanted)


def test_heavy_and_recent_tokens_are_kept():
    received = torch.tensor([[[0.0, 0.5, 0.1, 0.3, 0.02, 0.01]]])
    kept, evicted = module.choose(received, 4, recent=2)
    assert kept.tolist() == [[[1, 3, 4, 5]]]
    assert evicted.tolist() == [[[0, 2]]]


def test_dense_layers_keep_more_within_the_budget():
    spread, peaked = torch.full((2, 50), 1 / 50), torch.zeros(2, 50)
    peaked[:, 7] = 1.0
    sizes = module.layer_sizes(torch.stack([spread, peaked, spread]), 60, 5)
    assert sizes[0] == sizes[2] > sizes[1] >= 5
    assert sum(sizes) <= 60 + 5


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_both_levels_together_lose_less_than_plain_eviction_of_as_many_bytes(seed):
    weights = module.weights(AXES, Rand(seed))
    (x,) = module.inputs(AXES, Rand(seed + 5))
    wanted = module.make_full_cache(AXES, weights)(x)
    both, plain = module.make_technique(AXES, weights), module.make_evicting(AXES, weights)
    assert both.footprint()["kv_cache"] <= plain.footprint()["kv_cache"] == 2 * 4 * 2 * 41 * 32 * 4
    assert relative_error(both(x), wanted) < relative_error(plain(x), wanted)


def test_with_all_of_the_budget_nothing_is_evicted_from_dense_layers():
    weights = module.weights(AXES, Rand(1))
    keys, values = weights["keys"][0], weights["values"][0]
    every = torch.arange(200).expand(1, 2, 200)
    merged = module.compensate(keys, values, every, every[..., :0])
    assert torch.equal(merged[0], keys)
    assert torch.equal(merged[1], values)
