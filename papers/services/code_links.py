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


def record_code_links(paper: Paper, links: Iterable[SeenLink]) -> bool:
    """Add the links that the paper lacks, and what they say more. True if anything changed.

    What a source says outright wins over what is unknown, and "official" over "not official".

    Raises: FieldError where a link is no web address.
    """
    links = list(links)
    if not links:
        return False
    for link in links:
        if not link.url.startswith(("http://", "https://")) or len(link.url) > MAX_URL:
            raise FieldError("code_links", f"{link.url[:60]!r} is not an http(s) address of at most {MAX_URL} letters")
    known = {row.url: row for row in paper.code_links.filter(url__in=[link.url for link in links])}
    changed = False
    for link in links:
        row = known.get(link.url) or CodeLink(paper=paper, url=link.url)
        if _add_to(row, link) or row.pk is None:
            row.save()
            known[link.url] = row
            changed = True
    return changed


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
