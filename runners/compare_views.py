"""Techniques side by side. What is compared is kept in the address alone."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef, Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from papers.addresses import reads
from papers.models import Implementation, Paper
from papers.shown import MOST_COMPARED
from papers.standing import settle, shown_claims
from runners.comparing import columns, groups

OFFERED = 8


@reads("t", "q")
@require_safe
def compare(request: HttpRequest) -> HttpResponse:
    asked = list(dict.fromkeys(slug.strip() for slug in request.GET.getlist("t") if slug.strip()))
    papers = {paper.slug: paper for paper in papers_with_everything(asked[: 4 * MOST_COMPARED])}
    known = [slug for slug in asked if slug in papers]
    chosen = known[:MOST_COMPARED]
    found = columns([papers[slug] for slug in chosen])
    for column in found:
        settle(column.claims)
    words = request.GET.get("q", "").strip()[:200]
    context = {
        "columns": [(column, _address([slug for slug in chosen if slug != column.paper.slug])) for column in found],
        "names": dict(enumerate(column.name for column in found)),
        "groups": groups(found) if len(found) > 1 else [],
        "unknown": [slug[:60] for slug in asked if slug not in papers][:10],
        "too_many": [papers[slug] for slug in known[MOST_COMPARED:]],
        "chosen": chosen,
        "words": words,
        "offered": _offered(words, chosen) if len(chosen) < MOST_COMPARED else [],
        "is_full": len(chosen) >= MOST_COMPARED,
        "most": MOST_COMPARED,
    }
    return render(request, "runners/compare.html", context)


def papers_with_everything(slugs: Sequence[str]) -> Any:
    here = Implementation.objects.filter(retired_at=None)
    return (
        Paper.objects.visible()
        .filter(slug__in=[slug for slug in slugs if "\x00" not in slug], technique__isnull=False)
        .select_related("technique")
        .prefetch_related(
            "technique__labels",
            Prefetch("claims", shown_claims(), to_attr="shown_claims"),
            Prefetch("implementations", here, to_attr="present"),
        )
    )


def _offered(words: str, chosen: Sequence[str]) -> list[dict[str, Any]]:
    """Techniques that the words find, or some that can be run, each with the address that adds it."""
    here = Implementation.objects.filter(paper=OuterRef("pk"), retired_at=None)
    found = Paper.objects.visible().filter(technique__isnull=False).exclude(slug__in=chosen).select_related("technique")
    found = found.matching(words.replace("\x00", ""))
    if not words:
        found = found.filter(Exists(here))
    found = found.annotate(runnable=Exists(here)).order_by("-runnable", "-pk")
    return [{"paper": paper, "address": _address([*chosen, paper.slug])} for paper in found[:OFFERED]]


def _address(slugs: Sequence[str]) -> str:
    query = urlencode([("t", slug) for slug in slugs])
    return reverse("compare") + (f"?{query}" if query else "")
