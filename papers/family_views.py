"""Pages of the families of techniques."""

from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from papers.families import applicable, families
from papers.models import DeviceKind, Facet, Implementation
from papers.standing import settle, shown_claims
from papers.vocabulary import FAMILY_LABELS

FEW_BARS, MANY_BARS = 5, 10
NAMED = 12  # techniques that cannot be run here, before the list takes over


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    found = families(applicable())
    bars = sum(bool(family.measured) for family in found)
    size = "low" if bars <= FEW_BARS else "tall" if bars > MANY_BARS else ""
    context = {"families": found, "any_measured": bars > 0, "picture_size": size}
    return render(request, "papers/families.html", context)


@require_safe
def one(request: HttpRequest, name: str) -> HttpResponse:
    if name not in FAMILY_LABELS:
        raise Http404(f"{name!r} is not a family.")
    here = Implementation.objects.filter(retired_at=None)
    mine = applicable().filter(labels__facet=Facet.FAMILY, labels__value=name).select_related("paper")
    runnable = mine.filter(paper__implementations__in=here).distinct().order_by("-paper__year", "-paper_id")
    rows = runnable.prefetch_related(
        Prefetch("paper__claims", shown_claims(), to_attr="shown_claims"),
        Prefetch("paper__implementations", here, to_attr="present"),
    )
    techniques = list(rows)
    for row in techniques:
        standing = [c.standing for c in settle(row.paper.shown_claims)]  # type: ignore[attr-defined]
        row.verdicts = [v for v in standing if v and v.run.device_kind != DeviceKind.CPU]  # type: ignore[attr-defined]
    others = mine.exclude(paper__implementations__in=here).order_by("-paper__year", "-paper_id")
    [family] = families(applicable(), name)
    context = {"family": family, "techniques": techniques, "others": others[:NAMED]}
    return render(request, "papers/family.html", context)
