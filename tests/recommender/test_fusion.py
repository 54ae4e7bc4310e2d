from __future__ import annotations

import pytest

from recommender.fusion import reciprocal_rank, relative, weighted


def test_reciprocal_rank_prefers_what_both_lists_have():
    scores = reciprocal_rank([[1, 2, 3], [2, 4]], constant=60)
    assert max(scores, key=scores.get) == 2
    assert scores[2] == pytest.approx((1 / 62 + 1 / 61) / (2 / 61))
    assert reciprocal_rank([[7], [7]])[7] == pytest.approx(1.0)
    assert reciprocal_rank([]) == {}


def test_relative_scores_run_from_the_floor_to_the_best():
    assert relative({1: 5.0, 2: 3.0, 3: 0.5}, floor=1.0) == {1: 1.0, 2: 0.5, 3: 0.0}
    assert relative({1: 0.05}, floor=0.1) == {1: 0.0}
    assert relative({}) == {}


def test_weighted_counts_a_missing_part_as_nothing():
    assert weighted({"a": {1: 1.0, 2: 0.5}, "b": {2: 1.0}}, {"a": 0.4, "b": 0.6}) == pytest.approx({1: 0.4, 2: 0.8})
