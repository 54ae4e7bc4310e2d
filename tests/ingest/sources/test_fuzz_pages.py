"""Every golden page, bent in many ways: no parser raises anything but ParseError, and what it gives keeps its promises.

The bends come from a seeded generator, so that a page that breaks a parser breaks it again.
"""

import gzip
import io
import random
import re
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from ingest.sources import SOURCES, STREAMS, CodeLink, ParsedLinks, ParsedPaper, ParseError, Problem, open_papers
from ingest.sources.code_urls import code_link

PAGES = Path(__file__).resolve().parents[2] / "fixtures" / "pages"
RAW = {path.name: path.read_bytes() for path in sorted(PAGES.iterdir()) if not path.name.endswith(".golden.json")}
BENDS_A_PAGE = 40
CALLS_A_BYTE = 25  # of all parsers together; a page that is read over and over needs thousands
HOSTILE = [
    b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\xc3", b"\xe2\x80\xa8", b"\r", b"\n\n", b"]]>", b"<!--", b"-->", b"<![CDATA[", b"&amp;", b"&quot;",
    b"&#0;", b"&#xD800;", b"\\ud800", b"\\u0000", b'"', b"'", b"\\", b"{", b"}", b"[", b"]", b",", b"<", b">", b"</p>", b"<article>", b"@article{a,",
    b"title={", b"%", b"$", b"#", b"~", b"\\textless", b"\\cite{", b"{{{{{{{{", b"1e999", b"-", b"null", b"true", b"9" * 400, b"[" * 300,
    b"https://github.com/", b"http://[", b"10.1000/", b"arXiv:", b"\x1f\x8b",
]  # fmt: skip


def flip(raw, chance):
    at = chance.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ (1 << chance.randrange(8))]) + raw[at + 1 :]


def cut(raw, chance):
    return raw[: chance.randrange(len(raw))]


def behead(raw, chance):
    return raw[chance.randrange(len(raw)) :]


def drop(raw, chance):
    at = chance.randrange(len(raw))
    return raw[:at] + raw[at + chance.randrange(1, 80) :]


def duplicate(raw, chance):
    at, length = chance.randrange(len(raw)), chance.randrange(1, 200)
    return raw[: at + length] + raw[at : at + length] * chance.randrange(1, 4) + raw[at + length :]


def insert(raw, chance):
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + chance.choice(HOSTILE) + raw[at:]


def swap(raw, chance):
    lines = raw.split(b"\n")
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def splice(raw, chance):
    other = chance.choice(list(RAW.values()))
    return raw[: chance.randrange(len(raw))] + other[chance.randrange(len(other) + 1) :]


BENDS = [flip, cut, behead, drop, duplicate, insert, swap, splice]


def bent(name):
    """Pages made of one page by one to three bends."""
    chance = random.Random(name)
    for _ in range(BENDS_A_PAGE):
        raw = RAW[name]
        for _ in range(chance.randrange(1, 4)):
            raw = chance.choice(BENDS)(raw, chance) if raw else raw
        yield raw


def read_all(raw):
    """Everything that any parser makes of raw, whether or not it accepts it."""
    for source in SOURCES:
        source.accepts(raw)
        with suppress(ParseError):
            page = source.parse(raw)
            yield from (*page.papers, *page.links, *page.problems)
    for stream in STREAMS:
        stream.accepts(raw)
        with suppress(ParseError):
            yield from (step.item for step in stream.stream(io.BytesIO(raw)))


def check(item, lines):
    if isinstance(item, Problem):
        assert item.reason
        assert item.line is None or 1 <= item.line <= lines
        return
    assert isinstance(item, ParsedPaper | ParsedLinks)
    assert item.title or item.arxiv_id or getattr(item, "doi", None)
    assert item.line is None or 1 <= item.line <= lines
    texts = [item.title, *(getattr(item, name, "") or "" for name in ("abstract", "arxiv_id", "doi"))]
    texts += [*getattr(item, "authors", ()), *getattr(item, "categories", ())]
    for text in texts:
        assert text == " ".join(text.split())
        assert not re.search("[\x00-\x08\x0e-\x1b\x7f\ud800-\udfff]", text)
        text.encode()
    for link in item.code_links:
        assert isinstance(link, CodeLink)
        assert code_link(link.url).url == link.url
    if isinstance(item, ParsedPaper):
        assert item.title
        assert item.votes is None or 0 <= item.votes < 10**9
        assert item.author_count is None or 0 <= item.author_count < 10**7
        assert item.year is None or 1900 <= item.year < 2100
        assert item.arxiv_id is None or len(item.arxiv_id) <= 20
        assert item.doi is None or len(item.doi) <= 200
    else:
        assert item.code_links


@pytest.mark.parametrize("name", RAW)
def test_a_bent_page_is_read_or_refused_and_keeps_every_promise(name):
    for raw in bent(name):
        lines = raw.count(b"\n") + raw.count(b"\r") + 1
        found = list(read_all(raw))
        for item in found:
            check(item, lines)
        # What is read is bounded by what is there: no parser makes more of a page than it has bytes.
        told = sum(len(getattr(item, "title", "")) + len(getattr(item, "abstract", "")) for item in found)
        assert len(found) <= (len(raw) + 2) * (len(SOURCES) + len(STREAMS))
        assert told <= (2 * len(raw) + 2) * (len(SOURCES) + len(STREAMS))


@pytest.mark.parametrize("name", RAW)
def test_a_packed_page_gives_what_the_plain_one_gives(name):
    def outcome(raw):
        try:
            reading = open_papers(io.BytesIO(raw))
            return reading.source, reading.page_date, [step.item for step in reading.steps]
        except ParseError as refused:
            return refused.reason, refused.line

    assert outcome(gzip.compress(RAW[name])) == outcome(RAW[name])


@pytest.mark.parametrize("name", RAW)
def test_at_most_one_format_accepts_a_page(name):
    accepting = [source.NAME for source in (*SOURCES, *STREAMS) if source.accepts(RAW[name])]
    assert len(accepting) <= 1, accepting


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"<!doctype html><body>" + b"<article><h3><a href='/papers/2103.00001'>" * 3000, id="articles"),
        pytest.param(b"<!doctype html><a href='/papers/2103.00001'>" + b"<div><p>" * 5000, id="boxes"),
        pytest.param(b"<!doctype html>/papers/ DailyPapers<div data-props='" + b'{"paper":' * 5000 + b"'>", id="props"),
        pytest.param(b"@article{a, title={" + b"{" * 20_000, id="braces"),
        pytest.param(b"@article{a, title={" + b"{\\x " * 5000 + b"}" * 5001 + b"}", id="nested-latex"),
        pytest.param(b"@article{a, title={t}, author={" + b"a and " * 20_000 + b"}}", id="authors"),
        pytest.param(b"@article{a, title={t}, author={" + b"}" * 20_000, id="closing"),
        pytest.param(b"@a{b,c=" + b'"' * 20_000, id="quotes"),
        pytest.param(b"@article{a, title=" + b"x # " * 10_000 + b"y}", id="sums"),
        pytest.param(b"@" * 50_000, id="ats"),
        pytest.param(b"@article{a,title={\\cite" + b"[" * 20_000 + b"}}", id="cites"),
        pytest.param(b'<feed xmlns="http://www.w3.org/2005/Atom">' + b"<entry>" * 5000, id="entries"),
        pytest.param(b'<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">' + b"<record>" * 5000, id="records"),
        pytest.param(b'{"title": "a", "abstract": "' + b"https://github.com/a" * 5000 + b'"}', id="addresses"),
        pytest.param(b"[" * 50_000, id="arrays"),
        pytest.param(b'[{"repo_url":' * 20_000, id="nested-items"),
        pytest.param(b'{"a":' * 20_000, id="objects"),
        pytest.param(b"\n" * 100_000, id="blank-lines"),
    ],
)
def test_a_hostile_page_costs_no_more_steps_than_it_has_bytes(raw):
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        found = list(read_all(raw))
    finally:
        sys.setprofile(None)
    for item in found:
        check(item, raw.count(b"\n") + 1)
    assert calls <= CALLS_A_BYTE * len(raw)
