"""Daily Papers copied with one title or abstract a line, and no blank lines between them."""

from ingest.sources.base import ParsedPage, ParseError
from ingest.sources.entries import Block, assemble
from ingest.sources.page_text import is_separated_by_blank_lines, read_details, read_page_text

NAME = "daily-papers-lines"


def accepts(raw: bytes) -> bool:
    """Whether raw has the site's header and a list whose titles and abstracts follow each other without blank lines."""
    try:
        return not is_separated_by_blank_lines(read_page_text(raw))
    except ParseError:
        return False


def parse(raw: bytes) -> ParsedPage:
    """Raises ParseError if raw is not text, is no such page, holds no entry, or parts its entries by blank lines."""
    page = read_page_text(raw)
    if is_separated_by_blank_lines(page):
        raise ParseError("expected titles and abstracts on alternating lines, without blank lines between them")
    if not any(line.text for line in page.lines):
        raise ParseError("the page ends with its header: expected entries of a title and an abstract behind it")
    blocks = [Block(line.number, line.text, read_details(line.text)) for line in page.lines if line.text]
    papers, problems = assemble(blocks, page.page_date, page.cut)
    return ParsedPage(NAME, "alternating lines", papers, problems, page.page_date)
