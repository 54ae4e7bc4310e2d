"""Pages, feeds and dumps to papers: one module a format.

A page is held in memory and read at once; a stream may have any length. docs/guide/sources.md tells how to add either.
"""

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

from ingest.sources import (
    arxiv_atom,
    arxiv_oai,
    arxiv_snapshot,
    bibtex,
    daily_papers_blocks,
    daily_papers_lines,
    hf_daily_json,
    hf_papers_html,
    plain_jsonl,
    pwc_abstracts,
    pwc_links,
    pwc_methods,
)
from ingest.sources.base import (
    CodeLink,
    Cursor,
    Item,
    ParsedLinks,
    ParsedPage,
    ParsedPaper,
    ParseError,
    Problem,
    Step,
    decode,
)
from ingest.sources.json_head import HEAD_BYTES
from ingest.sources.page_text import EXPECTED as DAILY_PAPERS_PAGE
from ingest.sources.streams import START, damage_of, unpacked

__all__ = [
    "MAX_PAGE_BYTES",
    "SOURCES",
    "STREAMS",
    "CodeLink",
    "Cursor",
    "Item",
    "ParseError",
    "ParsedLinks",
    "ParsedPage",
    "ParsedPaper",
    "Problem",
    "Reading",
    "Source",
    "Step",
    "StreamSource",
    "open_papers",
    "parse_page",
]

MAX_PAGE_BYTES = 64 * 1024 * 1024


class Source(Protocol):
    """A module that reads pages. accepts() never raises; parse() raises ParseError and nothing else."""

    NAME: str

    def accepts(self, raw: bytes, /) -> bool: ...
    def parse(self, raw: bytes, /) -> ParsedPage: ...


class StreamSource(Protocol):
    """A module that reads files of any length in constant memory.

    accepts() looks at the first bytes and never raises. stream() reads on behind `start`; it raises ParseError, and only
    before its first step, where the file is none of its format; later faults are steps with a Problem.
    """

    NAME: str
    LAYOUT: str

    def accepts(self, head: bytes, /) -> bool: ...
    def stream(self, file: BinaryIO, start: Cursor = ..., /) -> Iterator[Step]: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """The items of a file, whatever its format. is_page: all of it was read at once, and it shall be kept whole or not at all."""

    source: str
    layout: str
    is_page: bool
    steps: Iterator[Step]
    page_date: str | None = None


_PAGES = (daily_papers_lines, daily_papers_blocks, arxiv_atom, arxiv_oai, hf_daily_json, hf_papers_html, bibtex)
_STREAMS = (arxiv_snapshot, plain_jsonl, pwc_links, pwc_abstracts, pwc_methods)
SOURCES: list[Source] = [cast(Source, module) for module in _PAGES]
STREAMS: list[StreamSource] = [cast(StreamSource, module) for module in _STREAMS]
_EXPECTED = "; ".join((DAILY_PAPERS_PAGE, *(module.EXPECTED for module in (*_PAGES[2:], *_STREAMS))))


def parse_page(raw: bytes) -> ParsedPage:
    """The papers of a page, or of a short file of a stream's format, in their order.

    Raises ParseError if raw is empty, binary, or in none of the formats.
    """
    for stream in STREAMS:
        if stream.accepts(raw[:HEAD_BYTES]):
            return _collect(stream.NAME, stream.LAYOUT, stream.stream(io.BytesIO(raw), START))
    for source in SOURCES:
        if source.accepts(raw):
            return source.parse(raw)
    decode(raw)
    raise ParseError(f"expected one of: {_EXPECTED}")


def open_papers(file: BinaryIO, start: Cursor = START) -> Reading:
    """The papers of a file in any of the known formats, packed with gzip or not. `file` can be sought, and stays open.

    start: where an earlier reading of a stream stopped. A page is always read whole, and has no cursor to go on from.

    Raises ParseError if the file is empty, binary, in none of the formats, or a page of more than MAX_PAGE_BYTES.
    """
    plain = unpacked(file)
    head = plain.read(HEAD_BYTES)
    for stream in STREAMS:
        if stream.accepts(head):
            plain.seek(0)
            return Reading(stream.NAME, stream.LAYOUT, False, stream.stream(plain, start))
    rest = plain.read(MAX_PAGE_BYTES + 1 - len(head))
    if len(head) + len(rest) > MAX_PAGE_BYTES:
        raise ParseError(f"is larger than {MAX_PAGE_BYTES // 2**20} MiB; a page of papers is smaller")
    damage = damage_of(plain)
    try:
        page = parse_page(head + rest)
    except ParseError as error:
        if damage is None:
            raise
        raise ParseError(f"{error.reason}; {damage}", error.line) from error
    problems = (*page.problems, *([Problem(None, damage)] if damage else ()))
    items: Iterable[Item] = (*page.papers, *page.links, *problems)
    return Reading(page.source, page.layout, True, (Step(item, START) for item in items), page.page_date)


def _collect(source: str, layout: str, steps: Iterable[Step]) -> ParsedPage:
    items = [step.item for step in steps]
    return ParsedPage(
        source,
        layout,
        tuple(item for item in items if isinstance(item, ParsedPaper)),
        tuple(item for item in items if isinstance(item, Problem)),
        links=tuple(item for item in items if isinstance(item, ParsedLinks)),
    )
