"""Daily Papers copied with blank lines between titles and abstracts, some with a block of details behind each abstract.

The details are lines such as "• 5 authors", "·" and "Dec 11, 2023 2": the number of authors, the day, and the votes.
"""

import re
from collections.abc import Iterator, Sequence

from ingest.sources.base import ParsedPage, ParseError
from ingest.sources.entries import Block, assemble
from ingest.sources.page_text import Line, PageText, is_separated_by_blank_lines, read_details, read_page_text

NAME = "daily-papers-blocks"

# A line end within a compound such as "low-rank"; "low- and mid-level" keeps its space.
_WRAPPED_COMPOUND = re.compile(r"(?<=\w-)\n(?!(?:and|or|to|nor|versus|vs)\b)(?=\w)")


def accepts(raw: bytes) -> bool:
    """Whether raw has the site's header and a list whose titles and abstracts are parted by blank lines."""
    try:
        return is_separated_by_blank_lines(read_page_text(raw))
    except ParseError:
        return False


def parse(raw: bytes) -> ParsedPage:
    """Raises ParseError if raw is not text, has no header of the site, or has no blank lines between its blocks."""
    page = read_page_text(raw)
    if not is_separated_by_blank_lines(page):
        raise ParseError("expected titles and abstracts parted by blank lines")
    blocks = list(_blocks(page))
    papers, problems = assemble(blocks, page.page_date, page.cut)
    detailed = any(block.details is not None for block in blocks)
    return ParsedPage(NAME, "blocks with details" if detailed else "blocks", papers, problems, page.page_date)


def _blocks(page: PageText) -> Iterator[Block]:
    """Lines up to the next blank one, joined; a line of details is always a block of its own."""
    run: list[Line] = []
    for line in (*page.lines, Line(0, "")):
        details = read_details(line.text)
        if run and (not line.text or details is not None):
            yield Block(run[0].number, _unwrap(run), None)
            run = []
        if details is not None:
            yield Block(line.number, line.text, details)
        elif line.text:
            run.append(line)


def _unwrap(lines: Sequence[Line]) -> str:
    return _WRAPPED_COMPOUND.sub("", "\n".join(line.text for line in lines)).replace("\n", " ")
