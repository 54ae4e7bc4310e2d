"""The figures equal those of the published scorer."""

from __future__ import annotations

import importlib.util
import random

import pytest

from recommender.metrics import ndcg, recall, success


def test_a_hand_computed_ranking():
    grades = {"a": 3, "b": 2, "c": 1, "d": 0}
    # gains 7, 3, 1; discounts 1, 1/log2(3), 1/2
    assert ndcg(grades, ["b", "a", "x"]) == pytest.approx((3 + 7 / 1.5849625) / (7 + 3 / 1.5849625 + 0.5))
    assert recall(grades, ["c", "b"]) == 0.5
    assert success(grades, ["c", "b"]) == 0.0
    assert success(grades, ["c", "b"], k=2) == 1.0


@pytest.mark.parametrize(
    ("grades", "ranking", "expected"),
    [
        pytest.param({}, ["a"], (0.0, 0.0, 0.0), id="nothing-graded"),
        pytest.param({"a": 3}, [], (0.0, 0.0, 0.0), id="nothing-answered"),
        pytest.param({"a": 3}, ["a", "a"], (1.0, 1.0, 1.0), id="repeated"),
        pytest.param({"a": 1}, ["a"], (1.0, 0.0, 0.0), id="related-is-not-useful"),
    ],
)
def test_edges(grades, ranking, expected):
    assert (ndcg(grades, ranking), recall(grades, ranking), success(grades, ranking)) == expected


def test_the_same_figures_as_the_published_scorer(shared_dir):
    spec = importlib.util.spec_from_file_location("published_scorer", shared_dir / "queries" / "score.py")
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    chance = random.Random(4)
    for _ in range(200):
        titles = [f"paper {n}" for n in range(30)]
        grades = {scorer.fold(title): chance.randrange(4) for title in chance.sample(titles, chance.randrange(1, 25))}
        ranking = [scorer.fold(chance.choice(titles)) for _ in range(chance.randrange(15))]
        ours = (ndcg(grades, ranking), recall(grades, ranking), success(grades, ranking))
        assert ours == pytest.approx(scorer.figures(grades, ranking))
