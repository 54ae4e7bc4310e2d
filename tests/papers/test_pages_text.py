"""What a reader sees of titles, abstracts and figures."""

import re
from html import unescape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from papers.models import Claim
from papers.templatetags import figures
from papers.templatetags.text import Span, inline_label, mark_spans, marked, plain_title, spans_of


def claim(**fields: Any) -> Claim:
    defaults = {"metric": "speedup", "form": "factor", "direction": "better", "value": 2.0, "unit": "x"}
    return Claim(**{**defaults, **fields})


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        pytest.param("Attention in $O(n^2)$ bytes", "Attention in O(n²) bytes", id="power"),
        pytest.param(r"$\pi$-Cache and $\alpha\times\beta$", "π-Cache and α×β", id="greek"),
        pytest.param(r"In $O(n \log n)$ or $\log(n)$", "In O(n log n) or log(n)", id="function"),
        pytest.param(r"{\bf Fast} \textit{Kernels}", "Fast Kernels", id="fonts"),
        pytest.param(r"50\% Less", r"50\% Less".replace("\\", ""), id="escaped-sign"),
        pytest.param(r"G\"odel Layers", "Godel Layers", id="accent"),
        pytest.param("Plain _underscored_ title", "Plain _underscored_ title", id="plain-stays"),
    ],
)
def test_titles_are_shown_without_latex(title: str, shown: str) -> None:
    assert plain_title(title) == shown


def text_of(html: str) -> str:
    """What a reader reads: the claim numbers and the tags taken away."""
    return unescape(re.sub(r"<[^>]+>", "", re.sub(r"<sup.*?</sup>", "", html)))


def test_overlapping_and_nested_claims_are_each_reachable() -> None:
    text = "decodes 2.3x faster and uses 40% less memory"
    outer, inner, across = Span(0, 44, 1, 11), Span(8, 19, 2, 22), Span(24, 44, 3, 33)
    html = mark_spans(text, [outer, inner, across])
    assert text_of(html) == text
    for span in (outer, inner, across):
        assert f'href="#claim-{span.key}"' in html
        assert f'id="span-{span.key}"' in html
    assert re.search(r'<a href="#claim-22">2\.3x faster</a>', html), "the shortest claim around a piece gets its link"


def test_markup_in_an_abstract_is_escaped_inside_and_outside_claims() -> None:
    text = "<script>alert(1)</script> & <b>2x</b> faster"
    html = mark_spans(text, [Span(28, 37, 1, 5)])
    assert "<script" not in html
    assert "<b>" not in html
    assert text_of(html) == text


@given(st.text(max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(1, 30)), max_size=6))
def test_marking_never_changes_the_words(text: str, places: list[tuple[int, int]]) -> None:
    spans = [
        Span(start, start + length, number, number)
        for number, (start, length) in enumerate(places, 1)
        if start + length <= len(text)
    ]
    assert text_of(mark_spans(text, spans)) == text


def test_a_claim_whose_offsets_moved_is_found_by_its_quote_and_one_that_is_gone_gets_no_mark() -> None:
    text = "Now with a preface. It is 2x faster."
    moved = claim(pk=1, quote="2x faster", start=3, end=12)
    gone = claim(pk=2, quote="9x smaller", start=0, end=10)
    beyond = claim(pk=3, start=30, end=400)
    assert spans_of(text, [moved, gone, beyond]) == [Span(26, 35, 1, 1)]


def test_snippets_mark_matches_and_escape_the_rest() -> None:
    assert marked([("a <i> ", False), ("kv", True)]) == "a &lt;i&gt; <mark>kv</mark>"


@pytest.mark.parametrize(
    ("key", "shown"),
    [("latency", "latency"), ("flops", "FLOPs"), ("kv-cache", "KV cache"), ("peak_memory", "peak memory")],
)
def test_labels_keep_their_capitals_inside_a_sentence(key: str, shown: str) -> None:
    assert inline_label(key) == shown


@pytest.mark.parametrize(
    ("fields", "ratio"),
    [
        pytest.param({"value": 2.3}, 2.3, id="factor"),
        pytest.param({"form": "percent", "metric": "memory", "value": 40}, 1 / 0.6, id="less-memory"),
        pytest.param({"form": "percent", "metric": "throughput", "value": 20}, 1.2, id="more-throughput"),
        pytest.param(
            {"form": "percent", "metric": "latency", "value": 25, "direction": "worse"}, 0.8, id="more-latency"
        ),
        pytest.param({"form": "percent", "metric": "memory", "value": 100}, None, id="nothing-left"),
        pytest.param({"form": "absolute", "value": 225}, None, id="absolute"),
    ],
)
def test_a_claim_is_drawn_where_the_harness_judges_it(fields: dict[str, Any], ratio: float | None) -> None:
    from runners.bench.verdicts import claim_as_ratio

    made = claim(**fields)
    drawn = figures.claimed_ratio(made)
    assert drawn == (pytest.approx(ratio) if ratio is not None else None)
    assert drawn == claim_as_ratio(made.form, made.direction, made.value, made.metric)


def test_the_bar_puts_one_the_median_and_the_claim_in_their_order() -> None:
    bar = figures.interval_bar(1.5, 1.4, 1.6, claim(value=2.0))
    assert bar["one"] < bar["left"] < bar["median"] < bar["left"] + bar["length"] < bar["claimed"]
    assert bar["words"] == "measured 1.50×, 95 % interval 1.40–1.60×, claimed 2.00×"


@pytest.mark.parametrize("median", [None, 0.0, -1.0])
def test_no_bar_without_a_ratio(median: float | None) -> None:
    assert figures.interval_bar(median, None, None, None)["drawn"] is False


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (3_221_225_472, "bytes", "3.00 GiB"),
        (512, "bytes", "512 bytes"),
        (1.8372, "ms", "1.84 ms"),
        (19_830, "ms", "19.8 s"),
        (0.00956, "ms", "9.56 µs"),
        (0.1, "ms", "0.100 ms"),
        (8_030_000_000, "count", "8.03 billion"),
        (None, "ms", "–"),
        (0, "ms", "0 ms"),
    ],
)
def test_amounts_carry_a_readable_unit(value: float | None, unit: str, shown: str) -> None:
    assert figures.amount(value, unit) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(3.21, "3.2 s"), (59.6, "1 min 00 s"), (200, "3 min 20 s"), (3900, "1 h 05 min")]
)
def test_durations_in_words(seconds: float, shown: str) -> None:
    assert figures.duration(seconds) == shown


def test_an_outcome_has_a_word_beside_its_colour() -> None:
    assert figures.outcome_badge("below-claim") == {"outcome": "below-claim", "word": "Below the claim"}
    assert figures.outcome_badge("") == {"outcome": "untested", "word": "Not tested"}
