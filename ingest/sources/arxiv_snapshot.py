"""The metadata snapshot of arXiv: a line of JSON for each of its millions of papers, read in constant memory."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, BinaryIO

from ingest.sources.base import CodeLink, Cursor, Item, ParsedPaper, Problem, Step, one_line
from ingest.sources.code_urls import links_in
from ingest.sources.fields import text
from ingest.sources.identifiers import month_of, read_arxiv_id, read_doi, read_mail_day, trusted_day
from ingest.sources.json_head import json_head
from ingest.sources.streams import START, stream_lines

NAME = "arxiv-snapshot"
LAYOUT = "arXiv's snapshot, a line of JSON each"
EXPECTED = 'arXiv\'s metadata snapshot: on each line {"id", "title", "abstract", "authors_parsed", "versions", ...}'

_OWN_KEYS = frozenset(("authors_parsed", "versions", "update_date", "submitter"))


def accepts(head: bytes) -> bool:
    """Whether the first lines are objects with the keys of the snapshot."""
    found = json_head(head)
    return found is not None and found.is_lines and {"id", "title"} <= found.keys and bool(_OWN_KEYS & found.keys)


def stream(file: BinaryIO, start: Cursor = START) -> Iterator[Step]:
    """A step for each line; a line that is no paper is a Problem, and reading goes on. Raises nothing."""
    return stream_lines(file, start, _read)


def _read(record: Mapping[str, Any], line: int | None) -> Item:
    title, abstract, name = (text(record.get(key)) for key in ("title", "abstract", "id"))
    missing = [key for key, value in (("title", title), ("abstract", abstract)) if not value]
    if missing:
        return Problem(line, f"the paper {name or '(without an id)'} has no {' and no '.join(missing)}")
    arxiv_id = read_arxiv_id(name)
    published_on = trusted_day(_first_day(record.get("versions")), arxiv_id)
    authors = _authors(record.get("authors_parsed"))
    return ParsedPaper(
        title=title,
        abstract=abstract,
        line=line,
        arxiv_id=arxiv_id,
        authors=authors,
        author_count=len(authors) or None,
        published_on=published_on,
        links=(f"https://arxiv.org/abs/{arxiv_id}",) if arxiv_id else (),
        doi=read_doi(text(record.get("doi"))),
        year=month_of(arxiv_id).year if arxiv_id and published_on is None else None,
        code_links=_comment_links(record),
        categories=tuple(dict.fromkeys(text(record.get("categories")).split())),
    )


def _comment_links(record: Mapping[str, Any]) -> tuple[CodeLink, ...]:
    comment = text(record.get("comments"))
    return links_in(comment, "comment") if "." in comment else ()


def _authors(people: object) -> tuple[str, ...]:
    """Names of a list of [last, first, suffix, affiliation...]."""
    names = []
    for person in people if isinstance(people, list) else ():
        parts = [part for part in person[:3] if isinstance(part, str)] if isinstance(person, list) else []
        last, first, suffix = (*parts, "", "", "")[:3]
        if name := one_line(f"{first} {last} {suffix}"):
            names.append(name)
    return tuple(names)


def _first_day(versions: object) -> date | None:
    """The day of the first version."""
    first = versions[0] if isinstance(versions, list) and versions else None
    return read_mail_day(first.get("created")) if isinstance(first, Mapping) else None
