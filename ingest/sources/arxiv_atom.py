"""Atom feeds of the arXiv export API: one entry a paper, with its id, authors and day."""

import re
from collections.abc import Iterable
from datetime import date
from typing import cast
from xml.etree.ElementTree import Element, XMLPullParser
from xml.etree.ElementTree import ParseError as XmlError

from ingest.sources.base import ParsedPage, ParsedPaper, ParseError, Problem, decode, one_line

NAME = "arxiv-atom"
EXPECTED = "an Atom feed of the arXiv export API: a <feed> of <entry> elements"
MAX_BYTES = 32 * 1024 * 1024  # some ten thousand entries, more than one answer of the API holds

_ATOM = "{http://www.w3.org/2005/Atom}"
_FEED = re.compile(r"<(?:\w+:)?feed\b")
_DECLARATION = re.compile(r"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_ENTRY = re.compile(r"<(?:\w+:)?entry[\s>]")
_ABSTRACT_PAGE = re.compile(r"arxiv\.org/abs/(?P<id>[a-z][\w.-]*/\d{7}|\d{4}\.\d{4,5})(?:v\d+)?$", re.IGNORECASE)
_ERROR_PAGE = re.compile(r"arxiv\.org/api/errors")


def accepts(raw: bytes) -> bool:
    """Whether raw begins like an Atom feed."""
    head = raw[:4096].removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    return head.lstrip().startswith("<") and _FEED.search(head) is not None


def parse(raw: bytes) -> ParsedPage:
    """Papers of the feed; a feed that is cut is read up to the cut. An answer of the API without results gives no papers.

    Raises ParseError if raw is too large, declares a document type (whose entities may grow without bound), is not
    well-formed, is no Atom feed, or is the API's report of an error.
    """
    if len(raw) > MAX_BYTES:
        raise ParseError(f"the feed has {len(raw)} bytes, more than {MAX_BYTES}: ask the API for fewer results")
    text, _ = decode(raw)
    if found := _DECLARATION.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise ParseError("the feed declares a document type or an entity, which no feed of arXiv does", line)
    entries, cut = _read(text)
    papers: list[ParsedPaper] = []
    problems: list[Problem] = []
    for entry, line in zip(entries, _lines_of_entries(text), strict=False):
        paper = _to_paper(entry, line)
        if isinstance(paper, Problem):
            problems.append(paper)
        else:
            papers.append(paper)
    return ParsedPage(NAME, "atom", tuple(papers), (*problems, *([cut] if cut else [])))


def _read(text: str) -> tuple[list[Element], Problem | None]:
    """The feed's whole entries, and where it was cut if it was."""
    parser: XMLPullParser[Element] = XMLPullParser(["start", "end"])
    try:
        parser.feed(text)
        events = list(cast(Iterable[tuple[str, Element]], parser.read_events()))
    except XmlError as error:
        what = str(error).split(":", maxsplit=1)[0]  # behind the colon it repeats the position
        raise ParseError(f"the feed is not well-formed XML: {what}", error.position[0]) from error
    if not events or events[0][1].tag != f"{_ATOM}feed":
        raise ParseError(f"expected {EXPECTED}", 1)
    entries = [element for event, element in events if event == "end" and element.tag == f"{_ATOM}entry"]
    try:
        parser.close()
    except XmlError as error:
        return entries, Problem(
            error.position[0], "the feed ends in its middle: what comes behind this line is missing"
        )
    return entries, None


def _lines_of_entries(text: str) -> list[int]:
    """Line of each entry's tag. ElementTree does not tell; only a comment that holds such a tag would shift them."""
    lines, line, at = [], 1, 0
    for start in _ENTRY.finditer(text):
        line, at = line + text.count("\n", at, start.start()), start.start()
        lines.append(line)
    return lines


def _to_paper(entry: Element, line: int) -> ParsedPaper | Problem:
    address, title, abstract = (_text(entry, name) for name in ("id", "title", "summary"))
    if _ERROR_PAGE.search(address):
        raise ParseError(f"arXiv answered with an error: {abstract or title}", line)
    missing = [name for name, value in (("title", title), ("summary", abstract)) if not value]
    if missing:
        return Problem(line, f"the entry {address or '(without an id)'} has no {' and no '.join(missing)}")
    authors = tuple(name for author in entry.iterfind(f"{_ATOM}author") if (name := _text(author, "name")))
    found = _ABSTRACT_PAGE.search(address)
    return ParsedPaper(
        title=title,
        abstract=abstract,
        line=line,
        arxiv_id=found["id"] if found else None,
        authors=authors,
        author_count=len(authors) or None,
        published_on=_day(_text(entry, "published")),
        links=(address,) if address.startswith(("http://", "https://")) else (),
    )


def _text(parent: Element, name: str) -> str:
    return one_line("".join(child.itertext())) if (child := parent.find(f"{_ATOM}{name}")) is not None else ""


def _day(stamp: str) -> date | None:
    try:
        return date.fromisoformat(stamp[:10])
    except ValueError:
        return None
