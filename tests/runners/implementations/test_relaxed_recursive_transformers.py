"""The loop with low-rank changes computes what untied layers compute; requests in different turns share a batch."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.weight_sharing import relaxed_recursive_transformers as module  # noqa: E402

AXES = {
    "layers": 2, "hidden": 32, "heads": 2, "kv_heads": 1, "dim": 16, "ffn": 48, "vocab": 29, "loops": 3, "rank": 4,
    "requests": 7, "slots": 3, "context": 5, "exit_first": 40,
}  # fmt: skip


def made(axes=AXES, dtype=torch.float64):
    return module.weights(axes, Rand(1, dtype=dtype)), *module.inputs(axes, Rand(2))


@pytest.mark.parametrize("name", ["technique", "together", "eager"])
def test_without_early_exits_the_loop_computes_what_the_untied_model_does(name):
    weights, tokens = made()
    weights["turns"] = torch.full((7,), 3)
    untied = module.make_paper(AXES, weights)(tokens)
    subject = module.SUBJECTS[name](AXES, weights)
    for _ in range(2):
        assert torch.allclose(subject(tokens), untied)


@pytest.mark.parametrize("name", ["technique", "together", "eager"])
@pytest.mark.parametrize("slots", [1, 3, 20])
def test_each_request_is_answered_from_the_turn_in_which_it_leaves(name, slots):
    axes = AXES | {"slots": slots}
    weights, tokens = made(axes)
    weights["turns"] = torch.tensor([1, 3, 2, 1, 1, 2, 3])
    found = module.SUBJECTS[name](axes, weights)(tokens)
    for turns in (1, 2, 3):
        shallow = axes | {"loops": turns}
        cut = {
            key: each[: 2 * turns] if key in ("keys", "values") else each[:turns] if ".lora" in key else each
            for key, each in weights.items()
        }
        wanted = module.make_paper(shallow, cut)(tokens)
        rows = weights["turns"] == turns
        assert torch.allclose(found[rows], wanted[rows])


def test_free_places_go_to_the_next_request_at_once():
    passes = module.schedule([1, 3, 2, 1, 1], slots=2)
    assert [(each.requests, each.turns) for each in passes] == [
        ([0, 1], [0, 0]), ([1, 2], [1, 0]), ([1, 2], [2, 1]), ([3, 4], [0, 0]),
    ]  # fmt: skip
    assert [each.leave for each in passes] == [[0], [], [0, 1], [0, 1]]
    assert [each.stay for each in passes] == [[], [1], [0, 1], []]


def test_all_turns_are_served_in_as_many_passes_as_the_places_allow():
    turns = Rand(3).integers(3, 100).add(1).tolist()
    passes = module.schedule(turns, slots=8)
    assert sum(len(each.requests) for each in passes) == sum(turns)
    assert len(passes) <= sum(turns) / 8 + 3
    assert sorted(each.requests[place] for each in passes for place in each.leave) == list(range(100))


def test_tying_finds_low_rank_changes_again_and_loses_less_with_more_rank():
    weights, _ = made()
    untied = module.untied(weights, 3)["gate_up"]
    errors = []
    for rank in (0, 2, 4, 8):  # the mean over three turns takes a part of each turn's change: rank 12 at most
        shared, down, up = module.tie(untied, 2, rank)
        errors.append(((shared + down @ up).flatten(0, 1) - untied).norm().item())
    assert errors == sorted(errors, reverse=True)
    shared, down, up = module.tie(untied, 2, 12)
    assert torch.allclose((shared + down @ up).flatten(0, 1), untied)


def test_parameters_are_those_of_one_block_and_of_the_changes():
    weights, _ = made(dtype=torch.float32)
    looped, untied = (module.SUBJECTS[name](AXES, weights).footprint() for name in ("technique", "paper"))
    block = sum(weights[name].numel() for name in module.MATRICES)
    changes = sum(weights[name + end].numel() for name in module.MATRICES for end in (".lora_down", ".lora_up"))
    assert untied["parameters"] - looped["parameters"] == 2 * block - changes + 4 * 2 * 32
    assert looped["weights"] == 4 * looped["parameters"]
    assert looped["kv_cache"] == untied["kv_cache"]


def test_as_many_leave_first_as_asked():
    turns = module.weights(AXES | {"requests": 400, "context": 1}, Rand(1))["turns"]
    assert abs((turns == 1).float().mean() - 0.4) < 0.1
    assert set(turns.tolist()) == {1, 2, 3}
