"""Pages of papers, claims and techniques, and the pages for what went wrong."""

from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.core.paginator import Page, Paginator
from django.db import DatabaseError, connection
from django.db.models import Case, Count, Exists, IntegerField, OuterRef, Prefetch, Q, QuerySet, Subquery, Value, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponsePermanentRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import push_url

from papers.code_groups import code_groups
from papers.filters import FACET_TITLES, PaperFilter, TechniqueFilter
from papers.models import Claim, Device, DeviceKind, Implementation, Outcome, Paper, Run, Technique, Verdict
from papers.vocabulary import FAMILY_LABELS

# What the list of techniques is about: things that one can apply. Surveys and data sets are found under papers.
APPLICABLE_KINDS = ("technique", "architecture", "system", "hardware")
UNDECISIVE = (Outcome.NOT_COMPARABLE, Outcome.INCONCLUSIVE, Outcome.REJECTED)
HISTORY_LENGTH = 12


def wants_partial(request: HttpRequest) -> bool:
    """Only the part that changes; a restored page of the browser's history is wanted whole."""
    htmx = getattr(request, "htmx", None)
    return bool(htmx and not htmx.boosted and not htmx.history_restore_request)


def page_of(rows: Any, request: HttpRequest, size: int = settings.PAGE_SIZE) -> Page[Any]:
    return Paginator(rows, size).get_page(request.GET.get("page"))


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
    verdicts = Verdict.objects.current().select_related("claim__paper__technique", "run__device")
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
        },
    )


def outcome_counts() -> dict[str, int]:
    """How many claims stand where, by the verdict that stands (see `settle`); "" counts those without one."""
    standing = Verdict.objects.current().filter(claim=OuterRef("pk")).annotate(rank=_decisive_first())
    claims = (
        Claim.objects.visible()
        .order_by()
        .annotate(standing=Subquery(standing.order_by("rank", "-pk").values("outcome")[:1]))
    )
    rows = claims.values("standing").annotate(found=Count("pk"))
    return {row["standing"] or "": row["found"] for row in rows}


def _decisive_first() -> Case:
    on_cpu = Q(run__device_kind=DeviceKind.CPU)
    ranks = (When(on_cpu, then=Value(2)), When(outcome__in=UNDECISIVE, then=Value(1)))
    return Case(*ranks, default=Value(0), output_field=IntegerField())


@require_safe
@vary_on_headers("HX-Request")
def browse(request: HttpRequest) -> HttpResponse:
    chosen = PaperFilter(request.GET, queryset=Paper.objects.visible())
    groups = chosen.facets()
    page = page_of(chosen.qs.values_list("pk", flat=True), request)
    context = {
        "page": page,
        "papers": rows_of(page.object_list),
        "form": chosen.form,
        "groups": groups,
        "chips": chips_of(request, groups),
        "action": reverse("papers"),
        "sortable": True,
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


@require_safe
def techniques(request: HttpRequest) -> HttpResponse:
    """What can be run comes first."""
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
    for row in page:
        row.judged_claims = [c for c in settle(row.paper.shown_claims) if c.standing]  # type: ignore[attr-defined]
    context = {
        "page": page,
        "form": chosen.form,
        "families": FAMILY_LABELS.items(),
        "runnable_count": Implementation.objects.filter(retired_at=None).count(),
    }
    return render(request, "papers/techniques.html", context)


# ── one paper, one technique ────────────────────────────────────────────────────────────────────────────────────────
def shown_claims() -> QuerySet[Claim]:
    """Visible claims, each with all its verdicts, newest first; withdrawn verdicts are shown as such."""
    verdicts = Verdict.objects.select_related("run__device")
    return (
        Claim.objects.visible()
        .order_by("start", "id")
        .prefetch_related(Prefetch("verdicts", verdicts, to_attr="judged"))
    )


def settle(claims: list[Claim]) -> list[Claim]:
    """Give each claim the verdict that stands: the newest decisive one, else one from a GPU, else one from a CPU."""
    for claim in claims:
        current = [v for v in claim.judged if v.withdrawn_at is None]  # type: ignore[attr-defined]
        claim.standing = min(current, key=_rank, default=None)  # type: ignore[attr-defined]
    return claims


def _rank(verdict: Verdict) -> tuple[int, int]:
    """Sorts as `_decisive_first` does."""
    rank = 2 if verdict.run.device_kind == DeviceKind.CPU else int(verdict.outcome in UNDECISIVE)
    return rank, -verdict.pk


def _paper_with_everything(slug: str) -> Paper:
    papers = Paper.objects.select_related("technique", "merged_into").prefetch_related(
        "technique__labels",
        "code_links",
        Prefetch("claims", shown_claims(), to_attr="shown_claims"),
        Prefetch("implementations", Implementation.objects.filter(retired_at=None), to_attr="present"),
    )
    return get_object_or_404(papers, slug=slug)


@require_safe
def paper(request: HttpRequest, slug: str) -> HttpResponse:
    found = _paper_with_everything(slug)
    if found.merged_into:
        return HttpResponsePermanentRedirect(found.merged_into.get_absolute_url())
    record = getattr(found, "technique", None)
    context = {
        "paper": found,
        "technique": record,
        "code": code_groups(found, record),
        "other_titles": found.other_titles.all(),
        "claims": settle(found.shown_claims),  # type: ignore[attr-defined]
        "sources": found.sources.all(),
        "implementations": found.present,  # type: ignore[attr-defined]
    }
    return render(request, "papers/paper.html", context)


@require_safe
def technique(request: HttpRequest, slug: str) -> HttpResponse:
    found = _paper_with_everything(slug)
    if found.merged_into:
        return HttpResponsePermanentRedirect(reverse("technique", args=[found.merged_into.slug]))
    record = getattr(found, "technique", None)
    present: list[Implementation] = found.present  # type: ignore[attr-defined]
    if record is None and not present:
        raise Http404("No technique is known for this paper.")
    claims = settle(found.shown_claims)  # type: ignore[attr-defined]
    runs = Run.objects.filter(implementation__paper=found).select_related("implementation", "device")
    kinds = set(Device.objects.alive().values_list("kind", flat=True)) if present else set()
    context = {
        "paper": found,
        "technique": record,
        "name": (record.name if record else "") or found.title,
        "parts": [_part_of(one, claims) for one in present],
        "other_claims": [c for c in claims if not any(_belongs(c, one) for one in present)],
        "runs": runs.order_by("-pk")[:HISTORY_LENGTH] if present else [],
        "device_kinds": sorted(kinds),
    }
    return render(request, "papers/technique.html", context)


def _belongs(claim: Claim, implementation: Implementation) -> bool:
    return bool(claim.card_key and claim.card_key.startswith(f"{implementation.name}/"))


def _part_of(implementation: Implementation, claims: list[Claim]) -> dict[str, Any]:
    """An implementation with its card and the claims that it judges, each beside what the card says of it."""
    card = implementation.card
    said = {entry["key"]: entry for entry in card.get("claims", [])}
    labels = {rung["name"]: rung["label"] for rung in card.get("baselines", [])}
    judged = []
    for claim in claims:
        if _belongs(claim, implementation):
            entry = said.get((claim.card_key or "").partition("/")[2], {})
            standing = claim.standing  # type: ignore[attr-defined]
            decides = bool(standing and _rank(standing)[0] == 0)
            judged.append({"claim": claim, "rung": labels.get(entry.get("baseline", ""), ""), "verdict": decides})
    return {"implementation": implementation, "card": card, "judged": judged}


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    return render(request, "about.html", {"outcomes": Outcome.choices})


# ── health and faults ───────────────────────────────────────────────────────────────────────────────────────────────
@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """200 while the database answers, 503 while it does not."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"status": "unavailable", "database": "does not answer"}, status=503)
    return JsonResponse({"status": "ok"})


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "400.html", status=400)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "403.html", status=403)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "404.html", {"path": request.path}, status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Rendered without the request: whatever broke shall not break this page too."""
    return HttpResponse(render_to_string("500.html"), status=500)
