"""The front page, the lists of papers and techniques, and the pages for what went wrong."""

from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Exists, OuterRef, Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import push_url

from papers.addresses import ignore_errors, page_of, reads
from papers.families import APPLICABLE_KINDS
from papers.filters import FACET_TITLES, PaperFilter, TechniqueFilter
from papers.models import Claim, DeviceKind, Implementation, Outcome, Paper, Run, Technique, Verdict, heavy_fields
from papers.pictures import claims_against_measurements
from papers.rankings import figures_of
from papers.shown import MOST_COMPARED, TECHNIQUE_ORDERINGS, Shown, opened
from papers.standing import outcome_counts, settle, shown_claims
from papers.vocabulary import FAMILY_LABELS

MOST_POINTS_SHOWN = 50  # in the table beneath the picture
FELL_SHORT = (Outcome.BELOW_CLAIM, Outcome.NO_GAIN, Outcome.SLOWER)


def wants_partial(request: HttpRequest) -> bool:
    """Only the part that changes; a restored page of the browser's history is wanted whole."""
    htmx = getattr(request, "htmx", None)
    return bool(htmx and not htmx.boosted and not htmx.history_restore_request)


def rows_of(ids: Iterable[int]) -> list[Paper]:
    """The papers of a page in that order, with what a row shows: claims, labels, whether they run and were measured.

    Filtering and ordering work on ids alone; counting for 25 papers costs a tenth of counting for all.
    """
    ids = list(ids)
    claims = Claim.objects.visible().order_by("start", "id")
    papers = (
        Paper.objects.visible()
        .with_counts()
        .select_related("technique")
        .prefetch_related("technique__labels", Prefetch("claims", claims, to_attr="shown_claims"))
        .in_bulk(ids)
    )
    return [papers[i] for i in ids if i in papers]


def canonical_query(request: HttpRequest) -> str:
    """The address's parameters without blank ones, so that a link to a filtered list stays short."""
    given = request.GET.copy()
    for name in list(given):
        values = [value for value in given.getlist(name) if value.strip()]
        if values:
            given.setlist(name, values)
        else:
            del given[name]
    return given.urlencode()


# ── lists ───────────────────────────────────────────────────────────────────────────────────────────────────────────
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    papers = Paper.objects.visible()
    verdicts = (
        Verdict.objects.current().select_related("claim__paper__technique", "run__device").defer(*heavy_fields("run"))
    )
    outcomes = outcome_counts()
    untested = outcomes.pop("", 0)
    tested = sum(outcomes.values())
    return render(
        request,
        "papers/home.html",
        {
            "paper_count": papers.count(),
            "runnable_count": Implementation.objects.filter(retired_at=None).count(),
            "claim_count": tested + untested,
            "tested_count": tested,
            "untested_count": untested,
            "verdict_count": Verdict.objects.current().count(),
            "newest": papers.select_related("technique").order_by("-pk")[:6],
            "verdicts": verdicts[:6],
            "outcomes": [(value, outcomes.get(value, 0)) for value in Outcome.values if outcomes.get(value)],
            "points": claims_against_measurements()[:MOST_POINTS_SHOWN],
            "fell_short": verdicts.filter(outcome__in=FELL_SHORT).exclude(run__device_kind=DeviceKind.CPU)[:5],
            "checked": _passed_on(),
        },
    )


def _passed_on() -> dict[str, int]:
    """How many implementations, as they are here now, passed their check on each kind of device."""
    passed = Run.objects.made_with_what_is_here().filter(status="PASSED").order_by()
    rows = passed.values("device_kind").annotate(found=Count("implementation", distinct=True))
    words: dict[str, str] = {DeviceKind.CUDA: "GPU", DeviceKind.CPU: "CPU"}
    return {words[row["device_kind"]]: row["found"] for row in rows if row["device_kind"] in words}


@reads(*PaperFilter.base_filters, "view", "more", "page")
@require_safe
@vary_on_headers("HX-Request")
def browse(request: HttpRequest) -> HttpResponse:
    chosen = PaperFilter(request.GET, queryset=Paper.objects.visible())
    groups = opened(request, chosen.facets())
    page = page_of(chosen.qs.values_list("pk", flat=True), request)
    ignore_errors(request, chosen.form)
    shown = Shown.of(request, chosen.form.cleaned_data.get("ordering") or "newest")
    papers = rows_of(page.object_list)
    if shown.needs_figures:
        of_paper = figures_of(paper.pk for paper in papers)
        for paper in papers:
            paper.figures = of_paper[paper.pk]  # type: ignore[attr-defined]
    context = {
        "page": page,
        "papers": papers,
        "form": chosen.form,
        "groups": groups,
        "chips": chips_of(request, groups),
        "action": reverse("papers"),
        "sortable": True,
        "shown": shown,
        "ranked": shown.ranked_of(chosen.qs, "pk", page.paginator.count),
    }
    if not wants_partial(request):
        return render(request, "papers/list.html", context)
    query = canonical_query(request)
    return push_url(render(request, "papers/_browse.html", context), reverse("papers") + (f"?{query}" if query else ""))


def chips_of(request: HttpRequest, groups: Any) -> list[dict[str, str]]:
    """What is chosen, each with the address that takes it back."""
    chips = []
    for group in groups:
        for option in group.options:
            if option.chosen:
                rest = request.GET.copy()
                rest.setlist(group.name, [v for v in rest.getlist(group.name) if v != option.value])
                rest.pop("page", None)
                words = f"{FACET_TITLES[group.name]}: {option.label}"
                chips.append({"words": words, "address": f"?{rest.urlencode()}"})
    return chips


@reads(*TechniqueFilter.base_filters, "view", "page")
@require_safe
def techniques(request: HttpRequest) -> HttpResponse:
    """What can be run comes first, unless the address asks for another order."""
    runnable = Implementation.objects.filter(paper=OuterRef("paper"), retired_at=None)
    rows = (
        Technique.objects.for_lists()
        .filter(kind__in=APPLICABLE_KINDS)
        .annotate(runnable=Exists(runnable))
        .prefetch_related(
            Prefetch("paper__claims", shown_claims(), to_attr="shown_claims"),
            Prefetch("paper__implementations", Implementation.objects.filter(retired_at=None), to_attr="present"),
        )
        .order_by("-runnable", "-paper_id")
    )
    chosen = TechniqueFilter(request.GET, queryset=rows)
    page = page_of(chosen.qs, request, 50)
    ignore_errors(request, chosen.form)
    shown = Shown.of(request, next(iter(chosen.form.cleaned_data.get("ordering") or ()), ""))
    of_paper = figures_of(row.paper_id for row in page) if shown.needs_figures else {}
    for row in page:
        row.judged_claims = [c for c in settle(row.paper.shown_claims) if c.standing]  # type: ignore[attr-defined]
        row.figures = of_paper.get(row.paper_id)
    context = {
        "page": page,
        "form": chosen.form,
        "families": FAMILY_LABELS.items(),
        "orderings": TECHNIQUE_ORDERINGS,
        "shown": shown,
        "ranked": shown.ranked_of(chosen.qs, "paper_id", page.paginator.count),
        "most_compared": MOST_COMPARED,
        "runnable_count": Implementation.objects.filter(retired_at=None).count(),
    }
    return render(request, "papers/techniques.html", context)


# ── what went wrong ─────────────────────────────────────────────────────────────────────────────────────────────────
def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "400.html", status=400)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Whoever refuses gives a sentence for the person, or nothing."""
    return render(request, "403.html", {"reason": str(exception or "")}, status=403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "404.html", {"path": request.path}, status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Rendered without the request: whatever broke shall not break this page too."""
    return HttpResponse(render_to_string("500.html"), status=500)
