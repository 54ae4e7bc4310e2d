"""The correction of a score: it says what a sum cannot, adds up with the other parts, and does not depend on the papers' order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recommender import learning_together, ranking, together
from recommender.index import Index
from recommender.learning import Judged, cross_validated, figures, fit
from recommender.ranking import FEATURES

NEAR, ASKED = FEATURES.index("semantic"), FEATURES.index("modality")


def needs(count: int, seed: int) -> list[Judged]:
    """Needs whose right papers are near and of the modality asked for, or far and of another: no weights can tell them."""
    chance = np.random.default_rng(seed)
    found = []
    for number in range(count):
        table = np.zeros((24, len(FEATURES)))
        table[:, NEAR], table[:, ASKED] = chance.random(24), chance.integers(0, 2, 24)
        grades = np.where((table[:, NEAR] > 0.5) == (table[:, ASKED] > 0.5), 3, 0)
        found.append(Judged(str(number), table, grades, tuple(int(grade) for grade in grades if grade)))
    return found


def test_it_learns_what_no_weights_can_say_and_ranks_needs_it_has_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_together, "NETS", 1)
    seen, unseen = needs(96, 1), needs(24, 2)
    weights = fit(seen)
    network = learning_together.fit(seen, weights)
    assert figures(unseen, weights).ndcg < 0.7
    assert figures(unseen, weights, network).ndcg > 0.9


def test_what_is_stored_corrects_as_what_was_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_together, "PASSES", 2)
    seen = needs(16, 3)
    network = learning_together.fit(seen, fit(seen))
    together.save(network, tmp_path / "network.npz", {})
    table, sums = seen[0].table, seen[0].table @ fit(seen)
    stored = together.read(tmp_path / "network.npz").corrections(table, sums)
    assert stored == pytest.approx(network.corrections(table, sums), abs=2e-3)
    turned = np.random.default_rng(0).permutation(len(table))
    assert network.corrections(table[turned], sums[turned]) == pytest.approx(network.corrections(table, sums)[turned])
    assert not len(network.corrections(table[:0], sums[:0]))
    assert np.isfinite(network.corrections(table[:1], sums[:1])).all()


def test_the_one_that_ships_is_of_the_features_that_are_computed() -> None:
    network = together.shipped()
    assert network is not None
    assert network.features == FEATURES
    assert together.STORED.stat().st_size < 200_000


def test_with_it_parts_add_up_and_without_words_read_one_by_one_it_says_nothing(build: Any, encoder: Any) -> None:
    index: Index = build()
    found = index.candidates("round the weights of a language model to four bits", encoder, None)
    assert all("together" not in parts for _, _, parts in ranking.ranked(found))
    read = replace(found, wording=dict.fromkeys(found.ids, 0.4))
    corrected = ranking.ranked(read)
    assert all("together" in parts for _, _, parts in corrected)
    assert [score for _, score, _ in corrected] == pytest.approx([sum(parts.values()) for _, _, parts in corrected])
    assert [score for _, score, _ in corrected] == sorted((score for _, score, _ in corrected), reverse=True)


def test_needs_whose_papers_are_not_found_train_no_network_and_break_nothing() -> None:
    (found,) = needs(1, 4)
    missed = [Judged(str(number), found.table, np.zeros(24, int), (3,)) for number in range(3)]
    assert cross_validated([found, *missed], learning_together.fit).ndcg < 1.0
