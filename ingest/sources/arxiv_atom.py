"""Atom feeds of the arXiv export API: one entry a paper, with its id, authors, day, categories, DOI and comment."""

import re
from xml.etree.ElementTree import Element

from ingest.sources.base import ParsedPage, ParsedPaper, ParseError, Problem
from ingest.sources.code_urls import links_in
from ingest.sources.identifiers import read_arxiv_id, read_day, read_doi
from ingest.sources.xml_feed import begins_with, read_feed, text_of

NAME = "arxiv-atom"
EXPECTED = "an Atom feed of the arXiv export API: a <feed> of <entry> elements"

_ATOM = "{http://www.w3.org/2005/Atom}"
_ARXIV = "{http://arxiv.org/schemas/atom}"
_ERROR_PAGE = re.compile(r"arxiv\.org/api/errors")


def accepts(raw: bytes) -> bool:
    """Whether raw begins like an Atom feed."""
    return begins_with(raw, "feed")


def parse(raw: bytes) -> ParsedPage:
    """Papers of the feed; a feed that is cut is read up to the cut. An answer of the API without results gives no papers.

    Raises ParseError if raw is too large, declares a document type, is not well-formed, is no Atom feed, or is the API's
    report of an error.
    """
    feed = read_feed(raw, f"{_ATOM}feed", [f"{_ATOM}entry"], EXPECTED)
    papers: list[ParsedPaper] = []
    problems: list[Problem] = []
    for entry, line in zip(feed.elements, feed.lines_of("entry"), strict=False):
        paper = _to_paper(entry, line)
        if isinstance(paper, Problem):
            problems.append(paper)
        else:
            papers.append(paper)
    return ParsedPage(NAME, "atom", tuple(papers), (*problems, *([feed.cut] if feed.cut else [])))


def _to_paper(entry: Element, line: int) -> ParsedPaper | Problem:
    address, title, abstract = (text_of(entry, f"{_ATOM}{name}") for name in ("id", "title", "summary"))
    if _ERROR_PAGE.search(address):
        raise ParseError(f"arXiv answered with an error: {abstract or title}", line)
    missing = [name for name, value in (("title", title), ("summary", abstract)) if not value]
    if missing:
        return Problem(line, f"the entry {address or '(without an id)'} has no {' and no '.join(missing)}")
    authors = tuple(name for author in entry.iterfind(f"{_ATOM}author") if (name := text_of(author, f"{_ATOM}name")))
    comment, journal, doi = (text_of(entry, f"{_ARXIV}{name}") for name in ("comment", "journal_ref", "doi"))
    return ParsedPaper(
        title=title,
        abstract=abstract,
        line=line,
        arxiv_id=read_arxiv_id(address),
        authors=authors,
        author_count=len(authors) or None,
        published_on=read_day(text_of(entry, f"{_ATOM}published")),
        links=(address,) if address.startswith(("http://", "https://")) else (),
        doi=read_doi(doi),
        code_links=links_in(f"{comment} ; {journal}", "comment"),
        categories=_categories(entry),
    )


def _categories(entry: Element) -> tuple[str, ...]:
    """Terms of the categories, the primary one first. Subjects of other schemes, such as "68T07", have spaces or no letters."""
    found = [*entry.iterfind(f"{_ARXIV}primary_category"), *entry.iterfind(f"{_ATOM}category")]
    terms = (element.get("term", "").strip() for element in found)
    return tuple(dict.fromkeys(term for term in terms if re.fullmatch(r"[a-z-]+(?:\.[A-Za-z-]+)?", term)))
