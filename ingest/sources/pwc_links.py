"""Papers with Code's dump of links between papers and code: one long JSON array, a link an item, without abstracts."""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from ingest.sources.base import Cursor, Item, ParsedLinks, Problem, Step
from ingest.sources.code_urls import code_link
from ingest.sources.fields import flag, text
from ingest.sources.identifiers import read_arxiv_id
from ingest.sources.json_head import json_head
from ingest.sources.streams import START, stream_array

NAME = "pwc-links"
LAYOUT = "Papers with Code, links between papers and code"
EXPECTED = 'the links dump of Papers with Code: a JSON array of {"paper_title", "paper_arxiv_id", "repo_url", ...}'


def accepts(head: bytes) -> bool:
    """Whether the first item of the array has the keys of a link."""
    found = json_head(head)
    return found is not None and found.is_array and "repo_url" in found.keys and "paper_title" in found.keys


def stream(file: BinaryIO, start: Cursor = START) -> Iterator[Step]:
    """A step for each link; what is broken behind an item ends the stream with a Problem. Raises ParseError if it is no array."""
    return stream_array(file, start, _read)


def _read(record: Mapping[str, Any], line: int | None) -> Item:
    title, address = text(record.get("paper_title")), text(record.get("repo_url"))
    where = (text(record.get(key)) for key in ("paper_arxiv_id", "paper_url_abs", "paper_url_pdf"))
    arxiv_id = next((found for value in where if (found := read_arxiv_id(value))), None)
    if not title and not arxiv_id:
        return Problem(line, "the link has neither paper_title nor paper_arxiv_id")
    said_in = "paper" if record.get("mentioned_in_paper") is True else NAME
    framework = text(record.get("framework"))
    link = code_link(
        address,
        official=flag(record.get("is_official")),
        framework="" if framework.lower() in ("none", "others") else framework[:40],
        said_in=said_in,
    )
    if link is None:
        return Problem(
            line,
            f"repo_url: {address[:120]!r} is no address of code: expected one such as https://github.com/owner/name",
        )
    return ParsedLinks(title, (link,), line, arxiv_id)
