"""The trained ranking: parts add up, weights stay known, training is repeatable and gains on needs like its own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from papers.folding import fold_title
from recommender import ranking
from recommender.index import Index
from recommender.learning import Judged, cross_validated, figures, fit, start
from recommender.ranking import FEATURES, STORED, trained_weights

JUDGED = Path(ranking.__file__).with_name("judged")


def test_the_weights_that_ship_are_of_features_that_are_computed_and_say_what_they_gain() -> None:
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    assert set(stored["weights"]) == set(FEATURES)
    told = stored["figures"]
    assert told["cross_validated"]["ndcg"] > told["by_hand"]["ndcg"] > 0.7
    assert stored["trained_on"]["needs"] >= 60


def test_parts_add_up_to_the_score(build: Any, encoder: Any) -> None:
    index: Index = build()
    for _, score, parts in index.rank("round the weights of a language model to four bits", encoder, None):
        assert score == pytest.approx(sum(parts.values()))


def test_weights_decide_the_order(build: Any, encoder: Any) -> None:
    index: Index = build()
    found = index.candidates("weights", encoder, None)
    plain = [i for i, _, _ in ranking.ranked(found, {"lexical": 1.0})]
    turned = [i for i, _, _ in ranking.ranked(found, {"lexical": -1.0})]
    assert plain[0] == turned[-1] != turned[0]


def rows_of(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (JUDGED / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def test_judged_needs_ship_with_titles_and_grades_only() -> None:
    of = {name: rows_of(name) for name in ("tune", "held-out", "twins", "wide")}
    rows = [row for several in of.values() for row in several]
    answers = rows_of("answers")
    assert len({row["id"] for row in (*rows, *answers)}) == len(rows) + len(answers)
    assert {frozenset(row) for row in answers} == {frozenset({"id", "need", "grades"})}
    for row in rows:
        assert set(row) == {"id", "need", "stage", "hardware", "training_allowed", "grades", "part"}
    for row in (*rows, *answers):
        assert set(row["grades"].values()) <= {0, 1, 2, 3}
        assert max(map(len, row["grades"])) < 200
    assert {name: {row["part"].split()[0] for row in several} for name, several in of.items()} == {
        name: {name} for name in of
    }
    exact = {name: [{t for t, grade in row["grades"].items() if grade == 3} for row in of[name]] for name in of}
    alike = [a for a in exact["tune"] for b in exact["held-out"][66:141] if a and len(a & b) >= 0.6 * len(a | b)]
    assert not alike, "what the weights were first fitted to has no twin among these"


def test_no_need_that_is_held_out_is_trained_on() -> None:
    held = {fold_title(row["need"]) for row in rows_of("held-out")}
    trained_on = {fold_title(row["need"]) for name in ("answers", "wide", "tune", "twins") for row in rows_of(name)}
    assert len(held) == 300
    assert not held & trained_on


def needs(count: int, feature: str) -> list[Judged]:
    """Needs whose right papers are those with the feature."""
    chance = np.random.default_rng(3)
    found = []
    for number in range(count):
        table = chance.random((30, len(FEATURES)))
        grades = np.where(table[:, FEATURES.index(feature)] > 0.8, 3, 0)
        found.append(Judged(str(number), table, grades, tuple(int(g) for g in grades if g)))
    return found


def test_training_finds_the_feature_that_matters_and_gains_on_needs_it_has_not_seen() -> None:
    judged = needs(24, "stage first")
    weights = fit(judged)
    assert FEATURES[int(np.argmax(weights - start()))] == "stage first"
    assert cross_validated(judged).ndcg > figures(judged, start()).ndcg + 0.2
    assert (fit(judged) == weights).all()


def test_papers_that_were_not_found_count_against_a_ranking() -> None:
    table = np.eye(len(FEATURES))[:2]
    whole = Judged("all", table, np.array([3, 0]), (3,))
    missed = Judged("one missed", table, np.array([3, 0]), (3, 3))
    assert figures([whole], start()).ndcg == 1.0
    assert figures([missed], start()).ndcg < 0.7


def test_without_needs_weights_stay_as_they_were_set_by_hand() -> None:
    assert (np.abs(fit([]) - start()) < 1e-9).all()
    assert figures([], start()).needs == 0


def test_a_stored_weight_of_an_unknown_feature_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ranking.json"
    path.write_text('{"weights": {"magic": 1.0}}')
    monkeypatch.setattr(ranking, "STORED", path)
    trained_weights.cache_clear()
    with pytest.raises(ValueError, match="'magic'"):
        trained_weights()
    trained_weights.cache_clear()
