"""Papers with Code's dump of papers with abstracts: one long JSON array."""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from ingest.sources.base import Cursor, Item, ParsedPaper, Problem, Step
from ingest.sources.fields import people, text
from ingest.sources.identifiers import month_of, read_arxiv_id, read_day, read_doi
from ingest.sources.json_head import json_head
from ingest.sources.streams import START, stream_array

NAME = "pwc-abstracts"
LAYOUT = "Papers with Code, papers with abstracts"
EXPECTED = 'the abstracts dump of Papers with Code: a JSON array of {"paper_url", "arxiv_id", "title", "abstract", ...}'

_OWN_KEYS = frozenset(("paper_url", "url_abs", "short_abstract", "proceeding"))


def accepts(head: bytes) -> bool:
    """Whether the first item of the array has the keys of such a paper."""
    found = json_head(head)
    return found is not None and found.is_array and {"title", "abstract"} <= found.keys and bool(_OWN_KEYS & found.keys)


def stream(file: BinaryIO, start: Cursor = START) -> Iterator[Step]:
    """A step for each paper; what is broken behind an item ends the stream with a Problem. Raises ParseError if it is no array."""
    return stream_array(file, start, _read)


def _read(record: Mapping[str, Any], line: int | None) -> Item:
    title, abstract, page = (text(record.get(key)) for key in ("title", "abstract", "url_abs"))
    missing = [key for key, value in (("title", title), ("abstract", abstract)) if not value]
    if missing:
        name = title or text(record.get("paper_url")) or "(without a title)"
        return Problem(line, f"the paper {name[:120]} has no {' and no '.join(missing)}")
    arxiv_id = read_arxiv_id(text(record.get("arxiv_id"))) or read_arxiv_id(page)
    authors = people(record.get("authors"))
    published_on = read_day(record.get("date"))
    return ParsedPaper(
        title=title,
        abstract=abstract,
        line=line,
        arxiv_id=arxiv_id,
        authors=authors,
        author_count=len(authors) or None,
        published_on=published_on,
        links=(page,) if page.startswith(("http://", "https://")) else (),
        doi=read_doi(page),
        year=month_of(arxiv_id).year if arxiv_id and published_on is None else None,
    )
