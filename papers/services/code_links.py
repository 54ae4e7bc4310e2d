"""Where a paper's code is, and who says so."""

from collections.abc import Iterable
from dataclasses import dataclass

from papers.models import CodeLink, Paper
from papers.services.common import FieldError

MAX_URL = 500


@dataclass(frozen=True)
class SeenLink:
    """A link as a source names it; `url` is in canonical form already. `original`: as given, where that says more."""

    url: str
    official: bool | None = None
    framework: str = ""
    said_by: str = ""
    kind: str = ""
    original: str = ""


def check_links(links: Iterable[SeenLink]) -> None:
    """Raises: FieldError where a link is no web address."""
    for link in links:
        if not link.url.startswith(("http://", "https://")) or len(link.url) > MAX_URL:
            raise FieldError("code_links", f"{link.url[:60]!r} is not an http(s) address of at most {MAX_URL} letters")


def record_code_links(paper: Paper, links: Iterable[SeenLink]) -> bool:
    """Add the links that the paper lacks, and what they say more. True if anything changed.

    What a source says outright wins over what is unknown, and "official" over "not official".

    Raises: FieldError where a link is no web address.
    """
    links = list(links)
    check_links(links)
    book = LinkBook()
    changed = book.add(paper, links)
    book.write()
    return changed


class LinkBook:
    """The code links of a batch of papers. What is added is in the database after `write`."""

    def __init__(self) -> None:
        self._rows: dict[int, dict[str, CodeLink]] = {}  # by id() of the paper, which may not be saved yet
        self._papers: list[Paper] = []  # kept, so that no id() is given out again
        self._changed: dict[int, CodeLink] = {}

    def ask(self, papers: Iterable[Paper]) -> None:
        """Read what is known of the papers."""
        papers = [paper for paper in papers if id(paper) not in self._rows]
        self._papers += papers
        self._rows |= {id(paper): {} for paper in papers}
        by_pk = {paper.pk: self._rows[id(paper)] for paper in papers if paper.pk is not None}
        if by_pk:
            for row in CodeLink.objects.filter(paper__in=by_pk):
                by_pk[row.paper_id][row.url] = row

    def add(self, paper: Paper, links: Iterable[SeenLink]) -> bool:
        """True if any link says something new."""
        links = list(links)
        if not links:
            return False
        self.ask([paper])
        known = self._rows[id(paper)]
        changed = False
        for link in links:
            row = known.get(link.url) or CodeLink(paper=paper, url=link.url)
            if _add_to(row, link) or link.url not in known:
                known[link.url] = self._changed[id(row)] = row
                changed = True
        return changed

    def write(self) -> None:
        rows, self._changed = list(self._changed.values()), {}
        known = [row for row in rows if row.pk is not None]
        CodeLink.objects.bulk_create([row for row in rows if row.pk is None])
        for row in known:
            row.save()


def _add_to(row: CodeLink, link: SeenLink) -> bool:
    before = (row.official, row.framework, list(row.said_by), row.kind, row.original)
    if link.official is not None:
        row.official = bool(row.official) or link.official
    row.framework = row.framework or link.framework[:40]
    row.kind = row.kind or link.kind[:20]
    row.original = row.original or link.original[:MAX_URL]
    if link.said_by and link.said_by not in row.said_by:
        row.said_by = [*row.said_by, link.said_by]
    return before != (row.official, row.framework, row.said_by, row.kind, row.original)
