"""Latent attention that absorbs its projections decodes the same token as one that expands every key and value."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.decoder import rotate  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.kv_cache import deepseek_v2 as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
AXES = {
    "batch": 2, "context": 37, "hidden": 48, "heads": 3, "query_rank": 20, "rank": 24, "rope": 8, "nope": 12,
    "value": 10, "gqa_heads": 4, "gqa_groups": 2,
}  # fmt: skip
SAME_FUNCTION = ["technique", "eager", "library"]


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((found.double() - wanted).norm() / wanted.norm()).item()


def by_definition(axes: dict[str, int], weights: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """The layer in float64, one batch entry and one head at a time, without any of the module's layer code."""
    w = {name: tensor.double() for name, tensor in weights.items()}
    x, rank, nope, last = x.double(), axes["rank"], axes["nope"], axes["context"] - 1

    def norm(row: torch.Tensor) -> torch.Tensor:
        return row / (row.square().mean() + 1e-6).sqrt()

    results = []
    for b in range(axes["batch"]):
        queries = (norm(x[b] @ w["query_down"]) @ w["query_up"]).view(axes["heads"], -1)
        down = x[b] @ w["latent_down"]
        latents = torch.cat([w["latents"][b, :-1], norm(down[:rank])[None]])
        rotary = torch.cat([w["rope_keys"][b, :-1], rotate(down[rank:], last)[None]])
        heads = []
        for h in range(axes["heads"]):
            query = torch.cat([queries[h, :nope], rotate(queries[h, nope:], last)])
            keys = torch.cat([latents @ w["key_up"][h].T, rotary], dim=1)
            shares = torch.softmax(keys @ query / len(query) ** 0.5, dim=0)
            heads.append(shares @ (latents @ w["value_up"][h].T))
        results.append(torch.cat(heads) @ w["output"])
    return torch.stack(results)


@pytest.mark.parametrize("name", SAME_FUNCTION)
@pytest.mark.parametrize(
    ("changed", "dtype", "tolerance"),
    [
        pytest.param({}, torch.float64, 1e-12, id="double"),
        pytest.param({}, torch.float32, 2e-6, id="single"),
        pytest.param({"context": 1}, torch.float32, 2e-6, id="only-the-new-token"),
        pytest.param({"heads": 1, "batch": 1}, torch.float32, 2e-6, id="one-head"),
        pytest.param({}, torch.bfloat16, 2e-2, id="bfloat16"),
    ],
)
def test_every_form_computes_the_layer_as_defined(name, changed, dtype, tolerance):
    axes = AXES | changed
    weights = module.weights(axes, Rand(1, dtype=dtype, device=DEVICE))
    (x,) = module.inputs(axes, Rand(2, dtype=dtype, device=DEVICE, distribution="uniform"))
    found = module.SUBJECTS[name](axes, weights)(x)
    assert found.dtype == dtype
    assert relative_error(found, by_definition(axes, weights, x)) < tolerance


@pytest.mark.parametrize("name", [*SAME_FUNCTION, "paper"])
def test_a_second_call_sees_its_own_token_only_and_leaves_what_it_was_given(name):
    weights = module.weights(AXES, Rand(1, device=DEVICE))
    given = {key: tensor.clone() for key, tensor in weights.items()}
    (first,), (second,) = (module.inputs(AXES, Rand(seed, device=DEVICE)) for seed in (2, 3))
    subject = module.SUBJECTS[name](AXES, weights)
    before = first.clone()
    answer = subject(first)
    subject(second)
    assert torch.allclose(subject(first), answer)
    assert torch.equal(first, before)
    assert all(torch.equal(weights[key], tensor) for key, tensor in given.items())


def test_the_grouped_layer_is_causal_attention_over_its_cache():
    weights = module.weights(AXES, Rand(1, dtype=torch.float64))
    (x,) = module.inputs(AXES, Rand(2, dtype=torch.float64))
    width, last, groups = AXES["nope"], AXES["context"] - 1, AXES["gqa_groups"]
    per_group = AXES["gqa_heads"] // groups
    wanted = []
    for b in range(AXES["batch"]):
        new = (x[b] @ weights["gqa_key_value"]).view(2, groups, width)
        queries = rotate((x[b] @ weights["gqa_query"]).view(-1, width), last)
        heads = []
        for h, query in enumerate(queries):
            group = h // per_group
            keys = torch.cat([weights["gqa_keys"][b, group, :-1], rotate(new[0, group], last)[None]])
            values = torch.cat([weights["gqa_values"][b, group, :-1], new[1, group][None]])
            heads.append(torch.softmax(keys @ query / width**0.5, dim=0) @ values)
        wanted.append(torch.cat(heads) @ weights["gqa_output"])
    assert relative_error(module.make_paper(AXES, weights)(x), torch.stack(wanted)) < 1e-12


def test_rotation_keeps_lengths_and_makes_scores_depend_on_distance_only():
    query, key = Rand(4, dtype=torch.float64).normal(2, 8)
    rotated = rotate(query, 9)
    assert torch.allclose(rotated.norm(), query.norm())
    far, near = (rotate(query, i) @ rotate(key, i - 5) for i in (100, 7))
    assert torch.allclose(far, near)


@pytest.mark.parametrize(
    ("name", "numbers_per_token"),
    [
        pytest.param("technique", 512 + 64, id="latent-and-rotary-key"),
        pytest.param("library", 128 * (128 + 64 + 128), id="keys-and-values-of-every-head"),
        pytest.param("paper", 2 * 8 * 128, id="keys-and-values-of-every-group"),
    ],
)
def test_the_cache_at_the_papers_shapes_holds_what_the_card_says(name, numbers_per_token):
    published = AXES | {"heads": 128, "rank": 512, "rope": 64, "nope": 128, "value": 128}
    axes = published | {"gqa_heads": 64, "gqa_groups": 8, "batch": 1, "context": 3}
    weights = module.weights(axes, Rand(1, dtype=torch.bfloat16))
    footprint = module.SUBJECTS[name](axes, weights).footprint()
    assert footprint["kv_cache"] == 3 * numbers_per_token * 2
    assert footprint["weights"] == 2 * footprint["parameters"]


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="no CUDA device: the published head sizes need one")
def test_bfloat16_at_the_published_head_sizes_is_as_near_to_float64_as_the_expanding_form():
    axes = AXES | {"hidden": 512, "context": 1000, "heads": 128, "rank": 512, "rope": 64, "nope": 128, "value": 128}
    weights = module.weights(axes, Rand(1, dtype=torch.bfloat16, device=DEVICE))
    (x,) = module.inputs(axes, Rand(2, dtype=torch.bfloat16, device=DEVICE))
    wide = {key: tensor.double() for key, tensor in weights.items()}
    wanted = module.make_eager(axes, wide)(x.double())
    allowed = relative_error(module.make_eager(axes, weights)(x), wanted)
    assert relative_error(module.make_technique(axes, weights)(x), wanted) <= 2 * allowed
