"""xKV's shared factors are the best of their rank for a group of layers, and beat merging where layers only align."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.decoder import rotate  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.kv_cache import xkv as module  # noqa: E402

AXES = {
    "layers": 5, "group": 2, "batch": 2, "context": 90, "heads": 4, "kv_heads": 2, "dim": 16, "rank": 20, "spread": 5,
}  # fmt: skip


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((found - wanted).norm() / wanted.norm()).item()


def attended(keys: torch.Tensor, values: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """One layer, batch entry and head at a time; keys before rotation."""
    output = torch.zeros_like(queries)
    for index in torch.cartesian_prod(*(torch.arange(n) for n in queries.shape[:3])).tolist():
        layer, b, h = index
        columns = slice(16 * (h // 2), 16 * (h // 2) + 16)
        turned = rotate(keys[layer, b, :, columns], torch.arange(keys.shape[2]))
        output[layer, b, h] = torch.softmax(turned @ queries[layer, b, h] / 4, dim=0) @ values[layer, b, :, columns]
    return output


def cut(tensor: torch.Tensor, group: int, rank: int) -> torch.Tensor:
    """Each group of layers, side by side, by its largest singular values."""
    result = torch.empty_like(tensor)
    for first in range(0, len(tensor), group):
        for b in range(tensor.shape[1]):
            parts = tensor[first : first + group, b]
            u, s, v = torch.linalg.svd(torch.cat(list(parts), dim=1), full_matrices=False)
            joined = u[:, :rank] * s[:rank] @ v[:rank]
            result[first : first + group, b] = torch.stack(joined.split(parts.shape[-1], dim=1))
    return result


@pytest.mark.parametrize("name", ["eager", "library"])
def test_rungs_attend_to_all_that_is_cached(name):
    weights = module.weights(AXES, Rand(1, dtype=torch.float64))
    (queries,) = module.inputs(AXES, Rand(2, dtype=torch.float64))
    wanted = attended(weights["keys"], weights["values"], queries)
    assert relative_error(module.SUBJECTS[name](AXES, weights)(queries), wanted) < 1e-10


def test_a_step_attends_to_the_groups_singular_value_decomposition():
    weights = module.weights(AXES, Rand(1, dtype=torch.float64))
    (queries,) = module.inputs(AXES, Rand(2, dtype=torch.float64))
    wanted = attended(cut(weights["keys"], 2, 20), cut(weights["values"], 2, 20), queries)
    assert relative_error(module.make_technique(AXES, weights)(queries), wanted) < 1e-8


def test_sharing_loses_less_than_each_layer_alone_and_far_less_than_merging():
    weights = module.weights(AXES | {"layers": 4}, Rand(1))
    (queries,) = module.inputs(AXES | {"layers": 4}, Rand(2))
    subjects = {
        name: module.SUBJECTS[name](AXES | {"layers": 4}, weights) for name in module.SUBJECTS if name != "compiled"
    }
    wanted = subjects["eager"](queries)
    errors = {name: relative_error(subject(queries), wanted) for name, subject in subjects.items()}
    assert errors["technique"] < 0.5 * errors["layer_svd"] < errors["paper"]


def test_merged_layers_keep_their_lengths_and_share_a_direction_of_length_one():
    first, second = (Rand(seed, dtype=torch.float64).normal(1, 2, 3, 16) for seed in (1, 2))
    direction, one, two = module.merged(first, second)
    assert torch.allclose(direction.norm(dim=-1), torch.ones(1, 2, 3, dtype=torch.float64))
    assert torch.allclose(one.squeeze(-1), first.norm(dim=-1))
    assert torch.allclose(two.squeeze(-1), second.norm(dim=-1))
    assert torch.allclose(module.merged(first, 3 * first)[0] * one, first, atol=0.05)


def test_the_cache_holds_what_the_docstring_says():
    axes = AXES | {"layers": 4, "group": 4, "batch": 1, "context": 300, "dim": 64, "rank": 24}
    weights = module.weights(axes, Rand(1, dtype=torch.bfloat16))
    held = {
        name: module.SUBJECTS[name](axes, weights).footprint()["kv_cache"] for name in ("technique", "library", "paper")
    }
    assert held["library"] == 2 * 4 * 300 * 128 * 2
    assert held["technique"] == 2 * (300 * 24 + 24 * 4 * 128) * 2
    assert held["paper"] == 2 * (3 * 300 * 128 + 2 * 2 * 300) * 2
