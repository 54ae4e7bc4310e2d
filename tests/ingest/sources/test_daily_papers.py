"""Daily Papers pages: what a line of details tells, where a page ends, what is refused, what survives a round trip."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.sources import SOURCES, ParseError, parse_page

HEADER = "\n\n".join(
    [
        "new",
        "Get trending papers in your email inbox!",
        "Subscribe",
        "Daily Papers",
        "byAK and the research community",
        "",
    ]
)
LINES_HEADER = (
    "Get trending papers in your email inbox once a day!\nGet trending papers in your email inbox!\nSubscribe"
)
ABSTRACT = "We make a slow thing fast, and say by how much on four machines of our own. It stays exact."


def render_lines(papers):
    return LINES_HEADER + "\n".join(f"{title}\n{abstract}" for title, abstract in papers)


def render_blocks(papers):
    return HEADER + "Aug 7\n\n" + "\n\n".join(f"{title}\n\n{abstract}" for title, abstract in papers)


def render_details(papers):
    details = "  • 4 authors\n·\nDec 11, 2023 2"
    return HEADER + "Aug 7\n\n" + "\n\n".join(f"{title}\n\n{abstract}\n\n{details}" for title, abstract in papers)


RENDERERS = [render_lines, render_blocks, render_details]

WORDS = [
    "attention",
    "cache",
    "of",
    "faster",
    "état",
    "模型",
    "π",
    "8",
    "$\\cdot$",
    "2times",
    "30\\%",
    "O(n^2)",
    "(8-bit)",
    "ε-close:",
]
WORD = st.sampled_from(WORDS) | st.text(st.characters(categories=("Lu", "Ll", "Lo", "Nd")), min_size=1, max_size=5)
TITLE = st.lists(WORD, min_size=1, max_size=8).map(lambda words: "On " + " ".join(words) + " now")
SENTENCE = st.lists(WORD, min_size=3, max_size=15).map(lambda words: "We " + " ".join(words) + ".")
ABSTRACTS = st.lists(SENTENCE, min_size=1, max_size=6).map(" ".join)
PAPERS = st.lists(st.tuples(TITLE, ABSTRACTS), min_size=1, max_size=5)


@pytest.mark.parametrize("render", RENDERERS)
@settings(max_examples=30, deadline=None)
@given(papers=PAPERS)
def test_round_trip(render, papers):
    page = parse_page(render(papers).encode())
    assert [(paper.title, paper.abstract) for paper in page.papers] == papers
    assert page.problems == ()


@pytest.mark.parametrize("render", RENDERERS)
@settings(max_examples=30, deadline=None)
@given(papers=PAPERS)
def test_lines_point_at_the_titles(render, papers):
    raw = render(papers)
    lines = raw.split("\n")
    for paper in parse_page(raw.encode()).papers:
        assert lines[paper.line - 1].removeprefix("Subscribe") == paper.title


@pytest.mark.parametrize("render", RENDERERS)
@settings(max_examples=30, deadline=None)
@given(papers=PAPERS, data=st.data())
def test_cut_anywhere_never_gives_a_paper_that_is_not_on_the_page(render, papers, data):
    raw = render(papers).encode()
    start = raw.index(papers[0][0].encode())
    cut = raw[: data.draw(st.integers(start + 1, len(raw)))]
    read = [(paper.title, paper.abstract) for paper in parse_page(cut).papers]
    # Two papers may share an abstract, so what is whole is told by where the cut lies, not by what stands before it.
    whole = papers[: sum(cut.startswith(render(papers[:count]).encode()) for count in range(1, len(papers) + 1))]
    # Behind a stop or a bracket nobody can tell an abstract from its beginning.
    assert read[: len(whole)] == papers[: len(read[: len(whole)])]
    for title, abstract in read[len(whole) :]:
        assert abstract[-1] in ".)"
        assert any(title == full_title and full.startswith(abstract) for full_title, full in papers)


@pytest.mark.parametrize("render", RENDERERS)
@settings(max_examples=30, deadline=None)
@given(papers=PAPERS)
def test_line_ends_byte_order_mark_and_trailing_space_change_nothing(render, papers):
    text = render(papers)
    windows = b"\xef\xbb\xbf" + text.replace("\n", " \r\n").encode() + b"\r\n\r\n"
    assert parse_page(windows).papers == parse_page(text.encode()).papers


@settings(max_examples=30, deadline=None)
@given(
    tail=st.binary(max_size=400), render=st.sampled_from(["", HEADER, LINES_HEADER, HEADER + "Aug 7\n\nA title\n\n"])
)
def test_any_bytes_give_a_page_or_a_parse_error(tail, render):
    raw = render.encode() + tail
    try:
        papers = parse_page(raw).papers
    except ParseError:
        papers = ()
    assert all(paper.title and paper.abstract for paper in papers)


@pytest.mark.parametrize(
    ("details", "authors", "published_on", "votes"),
    [
        pytest.param("  • 5 authors\n·\nDec 11, 2023 2", 5, date(2023, 12, 11), 2, id="day-and-votes"),
        pytest.param("  • 6 authors\n·\nOct 5, 2022", 6, date(2022, 10, 5), None, id="day"),
        pytest.param("  • 4 authors\n·\nFeb 11 2", 4, None, 2, id="no-year-votes"),
        pytest.param("  • 9 authors\n·\nJul 1", 9, None, None, id="no-year"),
        pytest.param("  • 1 authors", 1, None, None, id="authors-only"),
        pytest.param("• 12 authors · Sep 27, 2016 31", 12, date(2016, 9, 27), 31, id="one-line"),
        pytest.param("  • 5 authors\n\n·\n\nMay 19, 2023", 5, date(2023, 5, 19), None, id="blank-lines-between"),
        pytest.param("• 2 authors\n·\nFeb 30, 2023", 2, None, None, id="no-such-day"),
    ],
)
def test_details(details, authors, published_on, votes):
    raw = f"{HEADER}Dec 16\n\nA Title\n\n{ABSTRACT}\n\n{details}\n\nAnother Title\n\n{ABSTRACT}"
    first, second = parse_page(raw.encode()).papers
    assert (first.author_count, first.published_on, first.votes) == (authors, published_on, votes)
    assert (second.title, second.author_count) == ("Another Title", None)


@pytest.mark.parametrize(
    ("page_date", "day", "published_on"),
    [
        pytest.param("Dec 16, 2024", "Jul 1", date(2024, 7, 1), id="year-of-the-page"),
        pytest.param("Jan 3, 2024", "Dec 5", None, id="a-day-behind-the-page-is-of-an-unknown-year"),
        pytest.param("Dec 16, 2024", "Jul 1, 2021", date(2021, 7, 1), id="own-year-wins"),
        pytest.param("Dec 16", "Jul 1", None, id="no-year-anywhere"),
    ],
)
def test_day_without_a_year_takes_the_year_of_the_page(page_date, day, published_on):
    page = parse_page(f"{HEADER}{page_date}\n\nA Title\n\n{ABSTRACT}\n\n  • 3 authors\n·\n{day}".encode())
    assert page.page_date == page_date
    assert page.papers[0].published_on == published_on


@pytest.mark.parametrize(
    ("end", "whole"),
    [
        pytest.param("and stays exact.", True, id="stop"),
        pytest.param("Is it worth it?", True, id="question"),
        pytest.param("(measured in GPU*hrs)", True, id="bracket"),
        pytest.param("Page: https://fast.example.org/x", True, id="address"),
        pytest.param("Code: https://github.com/someone/something", True, id="repository"),
        pytest.param("它保持精确。", True, id="chinese-stop"),
        pytest.param("and stays exa", False, id="in-a-word"),
        pytest.param("and stays exact,", False, id="comma"),
        pytest.param("of the users'", False, id="apostrophe"),
        pytest.param('which we call "exact."', True, id="quoted-sentence"),
        pytest.param("Code: https://github.com/some", False, id="in-a-repository"),
        pytest.param("Code: https://gith", False, id="in-a-host"),
        pytest.param("Code: https:", False, id="in-a-scheme"),
        pytest.param("faster by 30\\%", False, id="percent"),
        pytest.param("(see https://fast.example.org/", False, id="in-brackets"),
    ],
)
@pytest.mark.parametrize("render", [render_lines, render_blocks])
def test_last_abstract_is_whole_or_reported(render, end, whole):
    page = parse_page(render([("A Title", ABSTRACT), ("The Last Title", f"{ABSTRACT} {end}")]).encode())
    assert [paper.title for paper in page.papers] == ["A Title", "The Last Title"][: 1 + whole]
    assert [problem.reason[:37] for problem in page.problems] == ['the page ends in the abstract of "The'] * (not whole)


def test_abstract_without_a_stop_is_whole_where_more_follows():
    papers = [("A Title", ABSTRACT.rstrip(".")), ("Another Title", ABSTRACT)]
    for render in RENDERERS:
        assert [(p.title, p.abstract) for p in parse_page(render(papers).encode()).papers] == papers


@pytest.mark.parametrize("first", ["Subscribed or Not: A Study of Feeds", "xLSTM on a Diet"])
def test_title_glued_to_the_subscribe_button_loses_only_the_button(first):
    assert parse_page(render_lines([(first, ABSTRACT)]).encode()).papers[0].title == first
    alone = LINES_HEADER + "\n" + f"{first}\n{ABSTRACT}"
    assert parse_page(alone.encode()).papers[0].title == first


def test_site_menu_before_the_header_is_skipped():
    raw = "Hugging Face\nModels\nDatasets\n\n" + render_blocks([("A Title", ABSTRACT)])
    assert [paper.title for paper in parse_page(raw.encode()).papers] == ["A Title"]


def test_stray_blank_line_does_not_turn_lines_into_blocks():
    papers = [(f"Title Number {number}", ABSTRACT + " " + ABSTRACT) for number in range(8)]
    raw = render_lines(papers).replace("\nTitle Number 5", "\n\nTitle Number 5")
    page = parse_page(raw.encode())
    assert [(paper.title, paper.abstract) for paper in page.papers] == papers


def test_title_split_over_two_lines_is_joined():
    long = " ".join([ABSTRACT] * 5)
    raw = LINES_HEADER + f"A Title that Goes on and\nEnds Here\n{long}\nThe Next\n{long}"
    assert [paper.title for paper in parse_page(raw.encode()).papers] == [
        "A Title that Goes on and Ends Here",
        "The Next",
    ]


def test_control_characters_and_wide_spaces_do_not_reach_the_papers():
    raw = render_blocks([("A\u00a0Title\x1b", ABSTRACT.replace(" ", "\u2003", 3))])
    paper = parse_page(raw.encode()).papers[0]
    assert (paper.title, paper.abstract) == ("A Title", ABSTRACT)


@pytest.mark.parametrize(
    ("raw", "reason", "line"),
    [
        pytest.param(b"", "empty", None, id="empty"),
        pytest.param(b" \n\t\n", "empty", None, id="blank"),
        pytest.param(b"Daily Papers\n\nA\0B", "NUL", 3, id="nul"),
        pytest.param("Daily Papers\n\nCafé".encode("utf-16"), "NUL", 1, id="utf-16"),
        pytest.param("Daily Papers\n\nCafé au lait".encode("latin-1"), "UTF-8", 3, id="latin-1"),
        pytest.param(b"%PDF-1.7\nsome text", "Get trending papers", None, id="pdf-like"),
        pytest.param(b"Dear all,\n\nhere are two papers.\n", "Get trending papers", None, id="a-letter"),
    ],
)
def test_refusal_says_what_was_wrong_and_where(raw, reason, line):
    assert not any(source.accepts(raw) for source in SOURCES)
    with pytest.raises(ParseError) as caught:
        parse_page(raw)
    assert reason in caught.value.reason
    assert caught.value.line == line


@pytest.mark.parametrize(("render", "other"), [(render_lines, 1), (render_blocks, 0)])
def test_layout_read_by_the_wrong_parser_is_refused(render, other):
    with pytest.raises(ParseError, match="blank lines"):
        SOURCES[other].parse(render([("A Title", ABSTRACT), ("B Title", ABSTRACT)]).encode())
