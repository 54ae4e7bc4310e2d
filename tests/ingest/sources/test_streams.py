"""Files of any length: what survives a round trip, a cut, a packing and a resumption, and what is bounded."""

import gzip
import io
import json
import random
import re
import tracemalloc
from itertools import chain, islice, repeat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.sources import (
    Cursor,
    ParsedLinks,
    ParsedPaper,
    ParseError,
    Problem,
    arxiv_snapshot,
    open_papers,
    parse_page,
    plain_jsonl,
    pwc_abstracts,
    pwc_links,
    pwc_methods,
    streams,
)

TEXT = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=40).map(
    lambda text: " ".join(text.split())
)
PAPERS = st.lists(st.tuples(TEXT, TEXT).filter(all), min_size=1, max_size=6)


def snapshot(papers):
    return "".join(
        json.dumps({"id": f"2103.{n:05}", "title": title, "abstract": abstract, "versions": [], "authors_parsed": []})
        + "\n"
        for n, (title, abstract) in enumerate(papers)
    )


def lines(papers):
    return "".join(
        json.dumps({"title": title, "abstract": abstract, "arxiv_id": f"2103.{n:05}"}) + "\n"
        for n, (title, abstract) in enumerate(papers)
    )


def abstracts(papers):
    return json.dumps(
        [
            {"paper_url": "x", "arxiv_id": f"2103.{n:05}", "title": title, "abstract": abstract, "url_abs": None}
            for n, (title, abstract) in enumerate(papers)
        ]
    )


def links(papers):
    return json.dumps(
        [
            {"paper_title": title, "paper_arxiv_id": f"2103.{n:05}", "repo_url": f"https://github.com/a/b{n}"}
            for n, (title, _) in enumerate(papers)
        ]
    )


def methods(papers):
    return json.dumps(
        [
            {
                "name": "M",
                "source_title": title,
                "source_url": f"https://arxiv.org/abs/2103.{n:05}",
                "code_snippet_url": f"https://github.com/a/b{n}",
            }
            for n, (title, _) in enumerate(papers)
        ]
    )


OF_PAPERS = [
    pytest.param(render, module, id=module.NAME)
    for render, module in ((snapshot, arxiv_snapshot), (lines, plain_jsonl), (abstracts, pwc_abstracts))
]
OF_LINKS = [pytest.param(links, pwc_links, id="pwc-links"), pytest.param(methods, pwc_methods, id="pwc-methods")]


def read(module, raw, start=streams.START):
    return list(module.stream(io.BytesIO(raw), start))


def items(module, raw):
    return [step.item for step in read(module, raw)]


@pytest.mark.parametrize(("render", "module"), OF_PAPERS)
@settings(max_examples=40, deadline=None)
@given(papers=PAPERS)
def test_round_trip_of_papers(render, module, papers):
    found = open_papers(io.BytesIO(render(papers).encode()))
    assert found.source == module.NAME
    assert [(step.item.title, step.item.abstract) for step in found.steps] == papers
    assert [paper.arxiv_id for paper in items(module, render(papers).encode())] == [
        f"2103.{n:05}" for n in range(len(papers))
    ]


@pytest.mark.parametrize(("render", "module"), OF_LINKS)
@settings(max_examples=40, deadline=None)
@given(papers=PAPERS)
def test_round_trip_of_links(render, module, papers):
    found = open_papers(io.BytesIO(render(papers).encode()))
    assert found.source == module.NAME
    got = [step.item for step in found.steps]
    assert [(type(item), item.title) for item in got] == [(ParsedLinks, title) for title, _ in papers]
    assert [item.code_links[0].url for item in got] == [f"https://github.com/a/b{n}" for n in range(len(papers))]


@pytest.mark.parametrize(("render", "module"), [*OF_PAPERS, *OF_LINKS])
@settings(max_examples=40, deadline=None)
@given(papers=PAPERS, data=st.data())
def test_cut_anywhere_gives_the_items_before_the_cut(render, module, papers, data):
    raw = render(papers).encode()
    whole = items(module, raw)
    got = items(module, raw[: data.draw(st.integers(1, len(raw) - 1))])
    kept = [item for item in got if not isinstance(item, Problem)]
    assert kept == whole[: len(kept)]
    assert all(isinstance(item, Problem) for item in got[len(kept) :])
    assert len(got) - len(kept) <= 1


@pytest.mark.parametrize(("render", "module"), [*OF_PAPERS, *OF_LINKS])
def test_reading_goes_on_behind_any_cursor(render, module):
    raw = render([(f"Title {n}", f"Abstract {n} of état.") for n in range(7)]).encode()
    if module in (arxiv_snapshot, plain_jsonl):
        raw = raw.replace(b"\n", b"\n\nbroken\n", 2)
    whole = read(module, raw)
    assert len(whole) >= 7
    for done, step in enumerate(whole, 1):
        assert read(module, raw, step.cursor) == whole[done:]


def test_a_cursor_counts_the_bytes_and_lines_that_are_done():
    raw = lines([("A", "B"), ("C", "D")]).encode()
    first, second = read(plain_jsonl, raw)
    assert first.cursor == Cursor(raw.index(b"\n") + 1, 1)
    assert second.cursor == Cursor(len(raw), 2)


@pytest.mark.parametrize(("render", "module"), [*OF_PAPERS, *OF_LINKS])
def test_a_packed_file_reads_as_the_plain_one_and_resumes(render, module):
    raw = render([(f"Title {n}", f"Abstract {n}.") for n in range(9)]).encode()
    plain = list(open_papers(io.BytesIO(raw)).steps)
    packed = gzip.compress(raw[:200]) + gzip.compress(raw[200:])
    assert list(open_papers(io.BytesIO(packed)).steps) == plain
    assert list(open_papers(io.BytesIO(packed), plain[3].cursor).steps) == plain[4:]


@pytest.mark.parametrize(("render", "module"), [*OF_PAPERS, *OF_LINKS])
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_packed_file_gives_what_lies_before_and_says_so(render, module, damage):
    chance = random.Random(7)  # packs badly, so that the fault does not lie in the first piece that is unpacked
    papers = [(f"Title {chance.randbytes(300).hex()}", f"Abstract {n}") for n in range(1500)]
    raw = render(papers).encode()
    packed = bytearray(gzip.compress(raw))
    half = len(packed) // 2
    if damage == "cut":
        del packed[half:]
    else:
        packed[half] ^= 0xFF
    got = [step.item for step in open_papers(io.BytesIO(bytes(packed))).steps]
    whole = items(module, raw)
    kept = [item for item in got if not isinstance(item, Problem)]
    assert kept
    assert isinstance(got[-1], Problem)
    if damage == "cut":
        assert kept == whole[: len(kept)]
        assert len(kept) < len(whole)
        assert "the gzip file ends in its middle" in got[-1].reason


def test_a_packed_page_is_read_too():
    page = b'{"id": "2103.00001", "title": "A Title", "summary": "An abstract."}'
    found = open_papers(io.BytesIO(gzip.compress(page)))
    assert found.is_page
    assert [step.item.title for step in found.steps] == ["A Title"]


def test_a_page_that_grows_when_unpacked_is_refused_in_time(monkeypatch):
    monkeypatch.setattr("ingest.sources.MAX_PAGE_BYTES", 100_000)
    with pytest.raises(ParseError, match="larger than"):
        open_papers(io.BytesIO(gzip.compress(b"word " * 1_000_000)))


@pytest.mark.parametrize(
    "raw",
    [b"", gzip.compress(b""), gzip.compress(b"x")[:5], b"\x1f\x8bnot gzip"],
    ids=["empty", "packed", "cut", "no-gzip"],
)
def test_nothing_to_read_is_refused(raw):
    with pytest.raises(ParseError):
        open_papers(io.BytesIO(raw))


def test_a_line_that_is_too_long_is_a_problem_and_the_next_is_read(monkeypatch):
    monkeypatch.setattr(streams, "MAX_ITEM_BYTES", 100)
    raw = b'{"title": "A"}\n' + b"x" * 5000 + b"\n" + b'{"title": "B"}\n' + b"y" * 101
    got = items(plain_jsonl, raw)
    assert [type(item) for item in got] == [ParsedPaper, Problem, ParsedPaper, Problem]
    assert [item.line for item in got] == [1, 2, 3, 4]
    assert "more than 100 bytes" in got[1].reason


def test_an_item_of_an_array_that_is_too_long_ends_the_stream(monkeypatch):
    monkeypatch.setattr(streams, "MAX_ITEM_BYTES", 200_000)
    raw = links([("A", "")]).encode()[:-1] + b', {"paper_title": "' + b"x" * 1_000_000
    first, problem = items(pwc_links, raw)
    assert first.title == "A"
    assert problem.reason == "behind entry 1: it has more than 200000 bytes"


@pytest.mark.parametrize("module", [pwc_links, pwc_abstracts, pwc_methods], ids=lambda module: module.NAME)
@pytest.mark.parametrize("raw", [b'{"a": 1}', b"text", b'  "a"'])
def test_what_is_no_array_is_refused_before_the_first_step(module, raw):
    with pytest.raises(ParseError, match="expected a JSON array"):
        next(module.stream(io.BytesIO(raw)))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        pytest.param(b"[" * 200_000, "nested too deeply", id="deep"),
        pytest.param(b'{"title": ' + b"9" * 10_000 + b"}", "cannot|can be read|not JSON", id="endless-number"),
        pytest.param(b'{"title": "\xff"}', "UTF-8", id="latin-1"),
        pytest.param(b'{"title": "A", "title2": 1}', "title2: is no key", id="unknown-key"),
        pytest.param(b'{"title": {"a": 1}}', "title: a JSON object is not text", id="object"),
        pytest.param(b'{"title": "A", "year": "2021"}', "year: '2021' is not a year", id="year-as-text"),
        pytest.param(b'{"title": "A", "votes": true}', "votes: True is not", id="votes-as-flag"),
        pytest.param(
            b'{"title": "A", "code_urls": [{"url": "https://github.com/a/b", "official": 1}]}',
            "code_urls: a JSON array",
            id="flag-as-number",
        ),
        pytest.param(
            b'{"title": "A", "code_urls": [{"address": "https://github.com/a/b"}]}',
            "code_urls: a JSON array",
            id="key-of-a-link",
        ),
        pytest.param(b'{"title": "A", "doi": "somewhere"}', "doi: 'somewhere' is not a DOI", id="doi"),
        pytest.param(b'{"title": "A", "authors": [1]}', "authors: a JSON array is not a list of names", id="authors"),
    ],
)
def test_a_wrong_line_of_our_own_format_names_the_key(line, reason):
    before, wrong, after = items(plain_jsonl, b'{"title": "Before"}\n' + line + b'\n{"title": "After"}\n')
    assert (before.title, after.title, wrong.line) == ("Before", "After", 2)
    assert re.search(reason, wrong.reason)


class Endless(io.RawIOBase):
    """A file that repeats some bytes as often as it is told, without ever holding them all."""

    def __init__(self, head, part, times):
        self._parts = chain([head], repeat(part, times))
        self._left = b""

    def readable(self):
        return True

    def readinto(self, buffer):
        while not self._left:
            self._left = next(self._parts, None)
            if self._left is None:
                self._left = b""
                return 0
        taken, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


@pytest.mark.parametrize(
    ("module", "head", "part"),
    [
        pytest.param(arxiv_snapshot, b"", snapshot([("A Title", "An abstract. " * 80)]).encode(), id="snapshot"),
        pytest.param(
            pwc_links,
            b"[" + links([("A Title", "")]).encode()[1:-1],
            b", " + links([("A Title", "")]).encode()[1:-1],
            id="links",
        ),
    ],
)
def test_memory_does_not_grow_with_the_file(module, head, part):
    def peak(times):
        tracemalloc.start()
        count = sum(1 for _ in module.stream(io.BufferedReader(Endless(head, part, times))))
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count >= times
        return held

    peak(10)
    assert peak(8000) < peak(1000) + 200_000


def test_a_stream_is_read_only_as_far_as_it_is_asked():
    file = io.BufferedReader(Endless(b"", snapshot([("A", "B")]).encode(), 10**9))
    assert len(list(islice(arxiv_snapshot.stream(file), 3))) == 3


def test_a_short_file_of_a_stream_is_a_page_too():
    page = parse_page(lines([("A Title", "An abstract.")]).encode())
    assert (page.source, [paper.title for paper in page.papers]) == ("plain-jsonl", ["A Title"])
