"""Pages, feeds and dumps to papers: one module a format, each with NAME, accepts(raw) and parse(raw).

docs/guide/sources.md tells how to add one.
"""

from typing import Protocol, cast

from ingest.sources import arxiv_atom, daily_papers_blocks, daily_papers_lines, hf_daily_json
from ingest.sources.base import ParsedPage, ParsedPaper, ParseError, Problem, decode
from ingest.sources.page_text import EXPECTED as DAILY_PAPERS_PAGE

__all__ = ["SOURCES", "ParseError", "ParsedPage", "ParsedPaper", "Problem", "Source", "parse_page"]


class Source(Protocol):
    """What a module of this package offers. accepts() never raises; parse() raises ParseError and nothing else."""

    NAME: str

    def accepts(self, raw: bytes, /) -> bool: ...
    def parse(self, raw: bytes, /) -> ParsedPage: ...


SOURCES: list[Source] = [
    cast(Source, module) for module in (daily_papers_lines, daily_papers_blocks, arxiv_atom, hf_daily_json)
]
_EXPECTED = "; ".join((DAILY_PAPERS_PAGE, arxiv_atom.EXPECTED, hf_daily_json.EXPECTED))


def parse_page(raw: bytes) -> ParsedPage:
    """The papers of a page in any of the known formats, in its order.

    Raises ParseError if raw is empty, binary, or in none of the formats.
    """
    for source in SOURCES:
        if source.accepts(raw):
            return source.parse(raw)
    decode(raw)
    raise ParseError(f"expected one of: {_EXPECTED}")
