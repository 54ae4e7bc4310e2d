"""GemFilter keeps the tokens that the question asks for, in order, and reads nothing else with the whole model."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.rand import Rand  # noqa: E402
from runners.cards import find_card  # noqa: E402
from runners.implementations.kv_cache import gemfilter as module  # noqa: E402

AXES = {
    "layers": 4, "hidden": 128, "heads": 4, "kv_heads": 2, "dim": 32, "ffn": 128, "vocab": 80, "batch": 2,
    "prompt": 500, "filter": 2, "kept": 100,
}  # fmt: skip


@pytest.fixture(scope="module")
def case():
    return module.weights(AXES, Rand(1)), module.inputs(AXES, Rand(2))[0]


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((found - wanted).norm() / wanted.norm()).item()


def test_the_answers_and_the_question_are_kept_in_order(case):
    weights, tokens = case
    chosen = module.make_technique(AXES, weights).chosen(tokens)
    assert chosen.shape == (2, 100)
    assert (chosen.diff(dim=1) > 0).all()
    for row, places in zip(tokens, chosen, strict=True):
        kept = row[places].tolist()
        assert kept[-1] == module.QUESTION
        assert len(set(kept) & set(range(1, module.ANSWERS + 1))) >= 12


def test_what_is_kept_is_what_the_last_query_scores_highest(case):
    weights, tokens = case
    axes = AXES | {"filter": 1, "batch": 1, "prompt": 60, "kept": 9}
    subject = module.make_technique(axes, weights)
    decoder = subject.decoder
    x = decoder.embed(tokens[:1, -60:])
    q, k, _ = decoder.queries_keys_values(0, x, decoder.rotary(torch.arange(60), x))
    raw = [sum((q[0, h, -1] @ k[0, h // 2, t]).item() for h in range(4)) for t in range(60)]
    pooled = [sum(raw[max(0, t - 2) : t + 3]) / len(raw[max(0, t - 2) : t + 3]) for t in range(60)]
    best = sorted(range(59), key=lambda t: -pooled[t])[:8]
    assert subject.chosen(tokens[:1, -60:]).tolist() == [sorted([*best, 59])]


def test_keeping_everything_changes_nothing(case):
    weights, tokens = case
    found = module.make_technique(AXES | {"kept": 500}, weights)(tokens)
    assert torch.allclose(found, module.make_full(AXES, weights)(tokens), atol=1e-4)


def test_only_the_right_tokens_stay_within_the_budget(case):
    weights, tokens = case
    budget = find_card("gemfilter").check.budget
    wanted = module.make_full(AXES, weights)(tokens)
    assert relative_error(module.make_technique(AXES, weights)(tokens), wanted) < budget
    assert relative_error(module.make_truncated(AXES, weights)(tokens), wanted) > budget
    blind = tokens.clamp_min(module.ANSWERS + 1)
    blind[:, -1] = module.QUESTION
    assert relative_error(module.make_full(AXES, weights)(blind), wanted) > budget


def test_the_cache_holds_the_kept_tokens_only(case):
    weights, tokens = case
    held = {}
    for name in ("technique", "eager", "snapkv"):
        subject = module.SUBJECTS[name](AXES, weights)
        subject(tokens)
        held[name] = subject.footprint()["kv_cache"]
    assert held["eager"] == 2 * 4 * 2 * 2 * 500 * 32 * 4
    assert held["technique"] == held["snapkv"] == held["eager"] // 5


@pytest.mark.parametrize("layer", [0, 5])
def test_a_filter_must_be_one_of_the_layers(case, layer):
    with pytest.raises(ValueError, match="filter is"):
        module.make_technique(AXES | {"filter": layer}, case[0])
