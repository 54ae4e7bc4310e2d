"""One vocabulary: the harness carries a copy, because it must work from a bare folder, and may not drift."""

import pytest

from papers import vocabulary
from runners import cards


@pytest.mark.parametrize(
    ("carried", "labels"),
    [
        pytest.param(cards.FAMILIES, vocabulary.FAMILY_LABELS, id="families"),
        pytest.param(cards.MODALITIES, vocabulary.MODALITY_LABELS, id="modalities"),
        pytest.param(cards.STAGES, vocabulary.STAGE_LABELS, id="stages"),
        pytest.param(cards.METRICS, vocabulary.METRIC_LABELS, id="metrics"),
    ],
)
def test_cards_take_the_words_of_the_records(carried: tuple[str, ...], labels: dict[str, str]) -> None:
    assert set(carried) == set(labels)


def test_cards_know_only_kinds_of_the_records() -> None:
    assert set(cards.KINDS) < set(vocabulary.KIND_LABELS)


def test_every_metric_belongs_to_a_group() -> None:
    assert set(vocabulary.METRIC_GROUPS) == set(vocabulary.METRIC_LABELS)


def test_a_label_is_what_a_page_shows() -> None:
    assert [vocabulary.label_of(word) for word in ("kv-cache", "speedup", "3d", "RTX 4090")] == [
        "KV cache",
        "Speed-up",
        "3D",
        "RTX 4090",
    ]
