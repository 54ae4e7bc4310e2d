"""What may be given to `manage.py ingest`, and what is told where something is none of it."""

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.targets import (
    FORMS,
    DailyTarget,
    HarvestTarget,
    HubPaperTarget,
    HubSearchTarget,
    PageTarget,
    PaperTarget,
    PathTarget,
    QueryTarget,
    TargetError,
    parse_target,
    parse_targets,
)

TODAY = date(2025, 6, 15)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("2312.00752", PaperTarget("2312.00752")),
        ("2312.00752v2", PaperTarget("2312.00752v2")),
        ("arXiv:2312.00752v2", PaperTarget("2312.00752v2")),
        ("ARXIV:2312.00752", PaperTarget("2312.00752")),
        ("arxiv: 0704.0001", PaperTarget("0704.0001")),
        ("cs/0112017", PaperTarget("cs/0112017")),
        ("arXiv:math.GT/0309136v1", PaperTarget("math/0309136v1")),
        ("https://arxiv.org/abs/2312.00752", PaperTarget("2312.00752")),
        ("https://www.arxiv.org/pdf/2312.00752v2.pdf", PaperTarget("2312.00752v2")),
        ("https://arxiv.org/list/cs.LG/recent", PageTarget("https://arxiv.org/list/cs.LG/recent")),
        ("https://huggingface.co/papers/date/2025-03-13", PageTarget("https://huggingface.co/papers/date/2025-03-13")),
        ("hf:today", DailyTarget(TODAY, TODAY)),
        ("HF:Today", DailyTarget(TODAY, TODAY)),
        ("hf:2025-03-13", DailyTarget(date(2025, 3, 13), date(2025, 3, 13))),
        ("hf:2025-3-1..2025-03-07", DailyTarget(date(2025, 3, 1), date(2025, 3, 7))),
        ("hf:search: sparse  attention", HubSearchTarget("sparse attention")),
        ("hf:2312.00752", HubPaperTarget("2312.00752")),
        ("hf:2312.00752v3", HubPaperTarget("2312.00752")),
        ("arxiv:query:cat:cs.LG AND all:quantization", QueryTarget("cat:cs.LG AND all:quantization")),
        ("arxiv:oai:cs.LG:from=2025-03-01", HarvestTarget("cs.LG", date(2025, 3, 1), None)),
        ("arxiv:oai:cs.LG", HarvestTarget("cs.LG", None, None)),
        ("arxiv:oai", HarvestTarget("", None, None)),
        ("arxiv:oai:from=2025-03-01:until=2025-03-02", HarvestTarget("", date(2025, 3, 1), date(2025, 3, 2))),
        ("arxiv:oai:cs:cs:LG:until=2025-03-02", HarvestTarget("cs:cs:LG", None, date(2025, 3, 2))),
    ],
)
def test_every_form_is_understood(text, target):
    assert parse_target(text, TODAY) == target


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("hf:tody", "the nearest form is hf:today", id="nearest"),
        pytest.param("hf:", "the nearest form is hf:", id="hub-nothing"),
        pytest.param("hf:2025-13-01", "there is no day 2025-13-01", id="no-such-day"),
        pytest.param("hf:2025-02-30", "there is no day 2025-02-30", id="no-such-day-of-february"),
        pytest.param("hf:2025-06-16", "2025-06-16 has not come; the latest day is hf:2025-06-15", id="future"),
        pytest.param("hf:2020-01-01", "began on 2023-05-04", id="before-the-beginning"),
        pytest.param("hf:2025-03-07..2025-03-01", "write hf:2025-03-01..2025-03-07", id="backwards"),
        pytest.param("hf:2025-03-07..", "a range is two days", id="half-a-range"),
        pytest.param("hf:2023-06-01..2025-06-01", "at most 366", id="long-range"),
        pytest.param("hf:search:", "write hf:search:sparse attention", id="search-nothing"),
        pytest.param("arxiv:query:quantization", "write arxiv:query:all:quantization", id="no-field"),
        pytest.param("arxiv:query:", "names no query", id="query-nothing"),
        pytest.param("arxiv:oai:cs.LG:since=2025-03-01", "write from=2025-03-01", id="other-word"),
        pytest.param("arxiv:oai:cs.LG:from=march", "write from=2025-03-01", id="no-day"),
        pytest.param("arxiv:oai:cs.LG:from=2025-03-01:from=2025-03-02", "write from=", id="twice"),
        pytest.param("arxiv:oai:cs.LG:from=2025-07-01", "begins on 2025-07-01, behind", id="from-the-future"),
        pytest.param("arxiv:oai:CS LG", "no category", id="no-category"),
        pytest.param("arxiv:23120.752", "nearest form is arXiv:2312.00752v2", id="digits-astray"),
        pytest.param("arXiv:2399.00752", "no such id", id="month-99"),
        pytest.param("2399.00752", "no such id", id="bare-month-99"),
        pytest.param("ftp://huggingface.co/x", "only http and https", id="scheme"),
        pytest.param("https://", "names no host", id="no-host"),
        pytest.param("https://[x/", "names no host", id="bad-host"),
        pytest.param("https://huggingface.co/a b", "no spaces", id="space"),
        pytest.param("nowhere.txt", "there is no such file", id="no-file"),
        pytest.param("", "a blank target", id="blank"),
    ],
)
def test_what_is_no_target_is_told_with_what_would_be(text, words):
    with pytest.raises(TargetError) as caught:
        parse_target(text, TODAY)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["nowhere.txt", "hf:tody", "arxiv:x", ""])
def test_the_error_names_all_forms(text):
    with pytest.raises(TargetError) as caught:
        parse_target(text, TODAY)
    assert all(form in str(caught.value) for form in FORMS)


def test_a_file_that_is_there_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("2312.00752", "page.txt"):
        Path(name).touch()
        assert parse_target(name, TODAY) == PathTarget(Path(name))
    assert parse_target("arXiv:2312.00752", TODAY) == PaperTarget("2312.00752")
    with pytest.raises(TargetError, match=r"the nearest is page\.txt"):
        parse_target("pages.txt", TODAY)


def test_the_same_target_twice_is_one():
    assert len(parse_targets(["2312.00752", "arXiv:2312.00752", "hf:today", "hf:2025-06-15"], TODAY)) == 2


PREFIXES = st.sampled_from(
    ["", "hf:", "arxiv:", "arXiv:", "hf:search:", "arxiv:query:", "arxiv:oai:", "https://", "hf:2025-"]
)
PIECES = st.sampled_from(
    [
        "2312.00752",
        "v2",
        "cs/0112017",
        "2025-03-01",
        "..",
        "from=",
        "until=",
        "cs.LG",
        ":",
        "=",
        "all:",
        " ",
        "\0",
        "é",
        "[",
        "@",
        "%",
    ]
)


@given(prefix=PREFIXES, tail=st.lists(PIECES | st.text(max_size=8), max_size=6).map("".join))
def test_any_text_is_a_target_or_an_error_that_says_why(prefix, tail):
    target, told = None, ""
    try:
        target = parse_target(prefix + tail, TODAY)
    except TargetError as fault:
        told = str(fault)
    assert target is None or isinstance(target, PathTarget) or parse_target(target.name, TODAY) == target
    assert target is not None or len(told) > 20


DAYS = st.dates(date(2023, 5, 4), TODAY)
IDS = st.builds(
    "{:02}{:02}.{:05}{}".format,
    st.integers(15, 25),
    st.integers(1, 12),
    st.integers(1, 99999),
    st.sampled_from(["", "v1", "v12"]),
) | st.builds(
    "{}/{:02}{:02}{:03}".format,
    st.sampled_from(["cs", "hep-th"]),
    st.integers(0, 6),
    st.integers(1, 12),
    st.integers(1, 999),
)
TARGETS = st.one_of(
    st.builds(PaperTarget, IDS),
    st.builds(lambda day, more: DailyTarget(day, min(day + timedelta(days=more), TODAY)), DAYS, st.integers(0, 300)),
    st.builds(
        lambda words: HubSearchTarget(" ".join(words)),
        st.lists(st.sampled_from(["sparse", "KV", "cache", "2x", ".."]), min_size=1),
    ),
    st.builds(
        lambda word: QueryTarget(f"all:{word} AND cat:cs.LG"),
        st.sampled_from(["quantization", '"low rank"', "x OR ti:y"]),
    ),
    st.builds(
        lambda category, days: HarvestTarget(category, *days),
        st.sampled_from(["", "cs", "cs.LG", "hep-th", "cs:cs:LG"]),
        st.tuples(st.none() | DAYS, st.none() | DAYS).filter(lambda days: None in days or days[0] <= days[1]),
    ),
)


@given(target=TARGETS)
def test_the_name_of_a_target_is_a_target(target):
    assert parse_target(target.name, TODAY) == target
