"""What holds for any text whatever."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.extraction import FAMILIES, KINDS, METRICS, MODALITIES, PHASES, STAGES, extract

PIECES = st.sampled_from(
    [
        "We propose", "Zedwick", "is", "3x", "2.5times", "30\\%", "40%", "$2\\times$", "sim2", "~", "faster", "than", "fewer",
        "parameters", "reduces", "memory", "by", "from", "to", "up to", "an order of magnitude", "half the", "1/3", "and", ",",
        "(", ")", ";", ".", "latency", "accuracy", "5 ms", "30 FPS", "16 GPU hours", "0.7B", "only", "$20", "on A100", "256x256",
        "https://a.b/c{https://a.b/c}.", "\\textless2MB", "speedup", "of", "compared to", "training", "respectively", "—", "×",
        "reduction in", "twice as", "doubling", "\n", "x", "%", "times", "called", "(ZW)", "-", "10-40%", "2, 3 and 5 times",
    ]
)  # fmt: skip
TEXTS = st.one_of(st.text(max_size=300), st.lists(PIECES, max_size=40).map(" ".join))


@settings(max_examples=300, deadline=None)
@given(title=TEXTS, abstract=TEXTS)
def test_every_text_gives_a_record_whose_quotes_are_in_it(title: str, abstract: str) -> None:
    record = extract(title, abstract)
    assert record.kind in KINDS
    assert set(record.families) <= set(FAMILIES)
    assert len(record.families) <= 3
    assert 1 <= len(record.modality) <= 2
    assert set(record.modality) <= set(MODALITIES)
    assert set(record.stage) <= set(STAGES)
    for claim in record.claims:
        assert abstract[claim.start : claim.end] == claim.quote
        assert claim.quote.strip()
        assert claim.metric in METRICS
        assert claim.phase in PHASES
        assert claim.direction == ("none" if claim.form == "absolute" else claim.direction)
        assert claim.rule
    if record.quality_cost is not None:
        assert record.quality_cost.quote in abstract
    assert extract(title, abstract) == record


@pytest.mark.parametrize(
    "abstract", ["", " ", ".", "\x00", "9" * 5000, "2x " * 2000, "(" * 3000, "1," * 3000, "a" * 20000]
)
def test_hostile_text_is_read_in_peace(abstract: str) -> None:
    assert extract(abstract[:200], abstract).title == abstract[:200]
