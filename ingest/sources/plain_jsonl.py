"""Our own format: a line of JSON for each paper, with the keys that docs/guide/sources.md lists, and no others."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any, BinaryIO, TypeVar

from ingest.sources.base import CodeLink, Cursor, Item, ParsedPaper, Problem, Step
from ingest.sources.code_urls import code_link
from ingest.sources.fields import count, text, texts
from ingest.sources.identifiers import month_of, read_arxiv_id, read_doi, read_year
from ingest.sources.json_head import json_head
from ingest.sources.streams import START, stream_lines

NAME = "plain-jsonl"
LAYOUT = "a line of JSON each"
KEYS = ("title", "abstract", "arxiv_id", "doi", "authors", "published_on", "year", "votes", "code_urls")
EXPECTED = f'JSON lines of our own: on each line an object with "title" and, if known, {", ".join(KEYS[1:])}'

_T = TypeVar("_T")
_LINK_KEYS = ("url", "official", "framework")


class _Wrong(Exception):
    """Why a line is refused."""


def accepts(head: bytes) -> bool:
    """Whether the first line that can be read is an object with a title, and with keys of ours alone or of nobody else."""
    found = json_head(head)
    if found is None or not found.is_lines or "title" not in found.keys:
        return False
    return not found.keys & {"paper", "summary", "authors_parsed", "versions", "update_date", "submitter"}


def stream(file: BinaryIO, start: Cursor = START) -> Iterator[Step]:
    """A step for each line; a line that is wrong is a Problem that names the key, and reading goes on. Raises nothing."""
    return stream_lines(file, start, _read)


def _read(record: Mapping[str, Any], line: int | None) -> Item:
    try:
        return _to_paper(record, line)
    except _Wrong as wrong:
        return Problem(line, str(wrong))


def _to_paper(record: Mapping[str, Any], line: int | None) -> ParsedPaper:
    if unknown := sorted(set(record) - set(KEYS)):
        raise _Wrong(f"{unknown[0][:80]}: is no key of this format; those are {', '.join(KEYS)}")
    title = _get(record, "title", _text, "text that is not blank")
    if not title:
        raise _Wrong("title: is missing or blank; a paper is known by its title")
    authors = _get(record, "authors", _names, "a list of names") or ()
    arxiv_id = _get(record, "arxiv_id", _arxiv_id, 'an arXiv id such as "2103.00001"')
    published_on = _get(record, "published_on", _day, 'a day such as "2021-03-09"')
    year = _get(record, "year", _year, "a year such as 2021")
    return ParsedPaper(
        title=title,
        abstract=_get(record, "abstract", _text, "text") or "",
        line=line,
        arxiv_id=arxiv_id,
        authors=authors,
        author_count=len(authors) or None,
        published_on=published_on,
        votes=_get(record, "votes", count, "a whole number from 0 on"),
        links=(f"https://arxiv.org/abs/{arxiv_id}",) if arxiv_id else (),
        doi=_get(record, "doi", _doi, 'a DOI such as "10.1000/182"'),
        year=year or (month_of(arxiv_id).year if arxiv_id and published_on is None else None),
        code_links=_get(
            record, "code_urls", _links, f"a list of addresses of code, or of objects with {', '.join(_LINK_KEYS)}"
        )
        or (),
    )


def _get(record: Mapping[str, Any], key: str, read: Callable[[Any], _T | None], wanted: str) -> _T | None:
    """The value, None where the key is missing or null. Raises _Wrong where there is one and it is not what is wanted."""
    value = record.get(key)
    if value is None:
        return None
    found = read(value)
    if found is None:
        raise _Wrong(f"{key}: {_shown(value)} is not {wanted}")
    return found


def _shown(value: object) -> str:
    told = (
        repr(value)
        if isinstance(value, str | int | float | bool)
        else f"a JSON {'array' if isinstance(value, list) else 'object'}"
    )
    return told if len(told) <= 80 else f"{told[:77]}..."


def _text(value: object) -> str | None:
    return text(value) if isinstance(value, str) else None


def _names(value: object) -> tuple[str, ...] | None:
    return texts(value) if isinstance(value, list) and all(isinstance(name, str) for name in value) else None


def _arxiv_id(value: object) -> str | None:
    return read_arxiv_id(value) if isinstance(value, str) else None


def _doi(value: object) -> str | None:
    return read_doi(value) if isinstance(value, str) else None


def _day(value: object) -> date | None:
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _year(value: object) -> int | None:
    return read_year(value) if isinstance(value, int) else None


def _links(value: object) -> tuple[CodeLink, ...] | None:
    """Links as texts, or as objects of a url and what is known of it."""
    links = []
    for item in value if isinstance(value, list) else [None]:
        told = {"url": item} if isinstance(item, str) else item
        if not isinstance(told, Mapping) or not isinstance(told.get("url"), str) or set(told) - set(_LINK_KEYS):
            return None
        official, framework = told.get("official"), told.get("framework", "")
        if not isinstance(official, bool | None) or not isinstance(framework, str):
            return None
        link = code_link(told["url"], official=official, framework=text(framework)[:40], said_in=NAME)
        if link is None:
            raise _Wrong(
                f"code_urls: {told['url'][:120]!r} is no address of code: expected one such as https://github.com/owner/name"
            )
        links.append(link)
    return tuple(links)
