"""Papers with Code's dump of methods: each with the paper that introduced it and, often, a piece of code."""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from ingest.sources.base import Cursor, Item, ParsedLinks, Problem, Step
from ingest.sources.code_urls import code_link
from ingest.sources.fields import text
from ingest.sources.identifiers import read_arxiv_id, read_doi
from ingest.sources.json_head import json_head
from ingest.sources.streams import START, stream_array

NAME = "pwc-methods"
LAYOUT = "Papers with Code, methods"
EXPECTED = 'the methods dump of Papers with Code: a JSON array of {"name", "source_title", "source_url", "code_snippet_url", ...}'


def accepts(head: bytes) -> bool:
    """Whether the first item of the array has the keys of a method."""
    found = json_head(head)
    return found is not None and found.is_array and "name" in found.keys and "code_snippet_url" in found.keys


def stream(file: BinaryIO, start: Cursor = START) -> Iterator[Step]:
    """A step for each method; what is broken behind an item ends the stream with a Problem. Raises ParseError if it is no array.

    The description is an encyclopedia's, not the paper's abstract, so a method adds its code to a paper that is known.
    """
    return stream_array(file, start, _read)


def _read(record: Mapping[str, Any], line: int | None) -> Item | None:
    code = text(record.get("code_snippet_url"))
    if not code:
        return None  # most methods have none, and then the method adds nothing to its paper
    link = code_link(code, said_in=NAME)
    nested = record.get("paper")
    paper: Mapping[str, Any] = nested if isinstance(nested, Mapping) else {}
    title = text(record.get("source_title")) or text(paper.get("title"))
    address = text(record.get("source_url")) or text(paper.get("url"))
    name = text(record.get("name")) or text(record.get("full_name")) or "(without a name)"
    arxiv_id, doi = read_arxiv_id(address), read_doi(address)
    if not (title or arxiv_id or doi):
        return Problem(line, f"the method {name[:80]} names no paper: it has neither source_title nor source_url")
    if link is None:
        return Problem(line, f"the method {name[:80]}: code_snippet_url {code[:120]!r} is no address of code")
    return ParsedLinks(title, (link,), line, arxiv_id, doi)
