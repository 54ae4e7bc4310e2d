"""What keeping pages would do, told before anybody keeps them: by keeping them in a transaction that is taken back."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from django.db import transaction

from ingest.records import heard_ahead
from ingest.services import Entry, PageReport, store_page, texts_to_read
from ingest.sources import ParsedPage
from papers.models import Claim, Paper

CHANGES = ("new", "updated", "duplicate", "unmatched", "refused")
SHOWN = 12  # entries that a preview shows whole, of those that change something
REFUSALS_SHOWN = 50
_COMPARED = ("title", "abstract", "arxiv_id", "doi", "year", "published_on", "authors", "votes")


def entries_in(page: ParsedPage) -> int:
    return len(page.papers) + len(page.links) + len(page.problems)


def count_of(report: PageReport, change: str) -> int:
    return int(report.refused_count if change == "refused" else getattr(report, change))


@dataclass
class _Shown:
    """An entry as a preview shows it. changes: fields that an entry of a known paper would change."""

    title: str
    line: int | None
    change: str
    slug: str = ""
    changes: list[str] = field(default_factory=list)
    claims: list[dict[str, str]] = field(default_factory=list)


class _TakenBack(Exception):
    """Ends the transaction of a preview."""


def preview_of(pages: Sequence[tuple[str, ParsedPage]]) -> dict[str, Any]:
    """What keeping the pages would do, told by doing it in a transaction that is taken back."""
    told: list[Entry] = []
    shown: list[_Shown] = []
    after: dict[int, dict[str, Any]] = {}
    reports: list[PageReport] = []
    try:
        texts = texts_to_read(paper for _, page in pages for paper in page.papers)
        with heard_ahead(texts), transaction.atomic():
            for name, page in pages:
                reports.append(store_page(page, name, told.append))
            changing = [entry for entry in told if entry.change in ("new", "updated")][:SHOWN]
            claims = _claims_of([entry.paper for entry in changing if entry.paper])
            for entry in changing:
                assert entry.paper is not None  # noqa: S101 - what is new or updated has a paper
                one = _Shown(entry.title, entry.line, entry.change, claims=claims.get(entry.paper.pk, []))
                if entry.change == "updated":
                    one.slug = entry.paper.slug
                    after[entry.paper.pk] = _facts(entry.paper, one.claims)
                shown.append(one)
            raise _TakenBack
    except _TakenBack:
        pass
    _say_what_changes(shown, after)
    return {
        "entries": sum(entries_in(page) for _, page in pages),
        "layout": next((page.layout for _, page in pages if page.layout), ""),
        "counts": {change: sum(count_of(report, change) for report in reports) for change in CHANGES},
        "claims": sum(len(one.claims) for one in shown),
        "shown": [asdict(one) for one in shown],
        "duplicates": [entry.title for entry in told if entry.change == "duplicate"][:SHOWN],
        "refused": [refusal for report in reports for refusal in report.refused][:REFUSALS_SHOWN],
    }


def _claims_of(papers: Sequence[Paper]) -> dict[int, list[dict[str, str]]]:
    found: dict[int, list[dict[str, str]]] = {}
    for claim in Claim.objects.visible().filter(paper__in=papers).order_by("start", "id"):
        said = {"figure": claim.figure, "metric": claim.metric, "quote": claim.quote}
        found.setdefault(claim.paper_id, []).append(said)
    return found


def _facts(paper: Paper, claims: Sequence[dict[str, str]]) -> dict[str, Any]:
    return {**{name: getattr(paper, name) for name in _COMPARED}, "claims": list(claims)}


def _say_what_changes(shown: Sequence[_Shown], after: dict[int, dict[str, Any]]) -> None:
    """Which fields of known papers would be others, by looking at the rows as they are again now."""
    known = {paper.pk: paper for paper in Paper.objects.filter(pk__in=after)}
    claims = _claims_of(list(known.values()))
    by_slug = {paper.slug: _differing(_facts(paper, claims.get(pk, [])), after[pk]) for pk, paper in known.items()}
    for one in shown:
        one.changes = by_slug.get(one.slug, [])
        if one.slug not in by_slug:  # what the same pages bring and then add to has no address yet
            one.slug = ""


def _differing(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return list(_names(before, after)) or ["labels or code links"]


def _names(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    for name, value in after.items():
        if before[name] != value:
            yield {"arxiv_id": "arXiv id", "doi": "DOI", "published_on": "day of publication"}.get(name, name)
