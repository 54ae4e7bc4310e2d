"""MatryoshkaKV's bases stay orthogonal and serve at every width, its search gives numbers to the heads that need them."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks import nested_bases  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.kv_cache import matryoshkakv as module  # noqa: E402

AXES = {
    "layers": 2, "batch": 2, "context": 150, "hidden": 64, "heads": 4, "kv_heads": 2, "dim": 16, "spread": 2,
    "percent": 50, "steps": 40,
}  # fmt: skip


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((found - wanted).norm() / wanted.norm()).item()


def random_bases(*shape: int) -> torch.Tensor:
    return torch.linalg.qr(Rand(5, dtype=torch.float64).normal(*shape)).Q


def by_definition(weights: dict[str, torch.Tensor], x: torch.Tensor, bases: torch.Tensor, kept: torch.Tensor):
    """One layer, batch entry and head at a time: keys and values projected onto leading columns and formed again."""
    results = torch.zeros_like(x)
    for layer in range(2):
        for b in range(2):
            heads = []
            for h in range(4):
                query = x[layer, b] @ weights["query"][layer][:, 16 * h : 16 * h + 16]
                formed = []
                for kind, name in enumerate(("keys", "values")):
                    columns = bases[kind, layer, h // 2][:, : int(kept[kind, layer, h // 2])]
                    formed.append(weights[name][layer, b, h // 2] @ columns @ columns.T)
                heads.append(torch.softmax(formed[0] @ query / 4, dim=0) @ formed[1])
            results[layer, b] = torch.cat(heads) @ weights["output"][layer]
    return results


@pytest.mark.parametrize(
    "kept", [[[[16, 4], [2, 10]], [[6, 12], [8, 8]]], [[[4, 4], [4, 4]], [[4, 6], [6, 4]]], [[[16, 16]] * 2] * 2]
)
def test_a_step_attends_to_projected_keys_and_values_whatever_each_head_keeps(kept):
    weights = module.weights(AXES, Rand(1, dtype=torch.float64))
    (x,) = module.inputs(AXES, Rand(2, dtype=torch.float64))
    bases = random_bases(2, 2, 2, 16, 16)
    step = module.ProjectedCache(AXES, weights, bases, torch.tensor(kept))
    assert relative_error(step(x), by_definition(weights, x, bases, torch.tensor(kept))) < 1e-10


@pytest.mark.parametrize("name", ["eager", "paper"])
def test_rungs_attend_to_all_that_is_cached(name):
    weights = module.weights(AXES, Rand(1, dtype=torch.float64))
    (x,) = module.inputs(AXES, Rand(2, dtype=torch.float64))
    wanted = by_definition(weights, x, random_bases(2, 2, 2, 16, 16), torch.full((2, 2, 2), 16))
    assert relative_error(module.SUBJECTS[name](AXES, weights)(x), wanted) < 1e-10


def test_training_keeps_bases_orthogonal_and_lowers_the_error_at_every_width():
    readers, held = module.second_moments(AXES, module.weights(AXES, Rand(1)))
    start, trained = nested_bases.principal_bases(held), nested_bases.trained_bases(readers, held, 40)
    assert torch.allclose(trained.transpose(-1, -2) @ trained, torch.eye(16).expand_as(trained), atol=1e-4)
    before, after = (nested_bases.cut_errors(readers, held, bases) for bases in (start, trained))
    assert (after.mean((0, 1, 2)) < before.mean((0, 1, 2))).all()
    assert after[..., 3].mean() < before[..., 3].mean() / 10
    assert torch.equal(nested_bases.trained_bases(readers, held, 0), start)


def test_the_loss_is_the_error_of_logits():
    readers, held = (Rand(seed, dtype=torch.float64).normal(2, 1, 1, 50, 16) for seed in (1, 2))
    bases = random_bases(2, 1, 1, 16, 16)
    found = nested_bases.cut_errors(nested_bases.moment(readers), nested_bases.moment(held), bases)
    exact = readers @ held.transpose(-1, -2)
    for level in range(7):
        columns = bases[..., : 2 * (level + 1)]
        cut = (readers @ columns) @ (held @ columns).transpose(-1, -2)
        wanted = (exact - cut).square().sum((-1, -2)) / exact.square().sum((-1, -2))
        assert torch.allclose(found[..., level], wanted)


def test_trained_bases_lose_far_less_than_principal_components_at_the_same_size():
    weights = module.weights(AXES, Rand(1))
    (x,) = module.inputs(AXES, Rand(2))
    wanted = module.make_eager(AXES, weights)(x)
    subjects = {name: module.SUBJECTS[name](AXES, weights) for name in ("technique", "principal")}
    errors = {name: relative_error(subject(x), wanted) for name, subject in subjects.items()}
    assert errors["technique"] < 0.25 < 0.4 < errors["principal"]
    assert len({subject.footprint()["kv_cache"] for subject in subjects.values()}) == 1


def test_the_search_takes_numbers_where_they_are_missed_least():
    flat, steep = [0.08, 0.07, 0.06, 0.05, 0.04, 0.03, 0.02, 0.0], [9.0, 6.0, 4.0, 3.0, 2.0, 1.0, 0.5, 0.0]
    errors = torch.tensor([[[flat, steep]], [[steep, steep]]])
    assert nested_bases.searched_widths(errors, 16, 64).tolist() == [[[16, 16]], [[16, 16]]]
    assert nested_bases.searched_widths(errors, 16, 50).tolist() == [[[2, 16]], [[16, 16]]]
    for budget in (60, 40, 20):
        assert nested_bases.searched_widths(errors, 16, budget).sum() == budget
    assert nested_bases.searched_widths(errors, 16, 1).tolist() == [[[2, 2]], [[2, 2]]]


def test_the_cache_holds_what_the_heads_keep():
    axes = AXES | {"percent": 40}
    weights = module.weights(axes, Rand(1, dtype=torch.bfloat16))
    bases, kept = random_bases(2, 2, 2, 16, 16), torch.tensor([[[2, 4], [6, 8]], [[10, 2], [16, 4]]])
    assert module.ProjectedCache(axes, weights, bases, kept).footprint()["kv_cache"] == 2 * 150 * 52 * 2
    whole = module.make_whole(axes, weights).footprint()
    assert whole["kv_cache"] == 2 * 2 * 2 * 150 * 2 * 16 * 2
    share = module.make_projected(axes, weights).footprint()["kv_cache"] / whole["kv_cache"]
    assert 0.37 < share <= 0.4
