"""The benchmark of search quality: plain methods and the whole beside each other, by part and writer."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.search_quality import METHODS, figures
from recommender import services
from recommender.advice import advise


@pytest.fixture
def installation(build: Any, encoder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    index = build()
    monkeypatch.setattr(services, "ensure_index", lambda: index)
    monkeypatch.setattr(services, "needs_reader", lambda: encoder)
    monkeypatch.setattr(services, "recommend", lambda need: advise(need, index, encoder))


def need(number: str, part: str, **grades: int) -> dict[str, Any]:
    titles = {"draft": "DraftMate: Speculative Decoding with a Small Draft Model", "lost": "A Paper That Nobody Has"}
    return {
        "id": number, "need": "speculative decoding with a small draft model", "part": part,
        "grades": {titles[name]: grade for name, grade in grades.items()},
    }  # fmt: skip


def test_needs_are_told_by_part_and_writer_and_a_paper_that_is_not_there_counts_as_missed(installation: None) -> None:
    table = figures([need("n1", "tune", draft=3), need("c1", "held-out", draft=3, lost=3), need("x1", "tune", lost=3)])
    assert {name: found["needs"] for name, found in table.items()} == {
        "tune: first needs": 1, "held-out: later, a third writer": 1, "tune: others": 1,
    }  # fmt: skip
    assert table["tune: first needs"]["all"] == {"ndcg10": 1.0, "success1": 1.0}
    assert 0.5 < table["held-out: later, a third writer"]["all"]["ndcg10"] < 0.7
    assert table["tune: others"]["words"] == {"ndcg10": 0.0, "success1": 0.0}
    assert set(METHODS) < set(table["tune: others"])
