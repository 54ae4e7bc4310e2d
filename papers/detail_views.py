"""Pages of one paper and of one technique."""

from typing import Any

from django.db.models import Exists, Prefetch
from django.http import Http404, HttpRequest, HttpResponse, HttpResponsePermanentRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from papers.citations import as_bibtex, as_text
from papers.code_groups import code_groups
from papers.linked_data import article, as_script, technique_page
from papers.models import Claim, Device, DeviceKind, Implementation, Paper, Verdict
from papers.roles import INGEST, may
from papers.standing import rank, settle, shown_claims
from papers.templatetags.figures import Scale, claimed_ratio, scale_of

LISTED_VERDICTS = 20


def _paper_with(slug: str, *more: str) -> Paper:
    """The paper with labels, claims, implementations and which kinds of devices are alive; `more` names further rows."""
    alive = {f"has_{kind}": Exists(Device.objects.alive().filter(kind=kind)) for kind in DeviceKind.values}
    papers = Paper.objects.select_related("technique", "merged_into").annotate(**alive)
    papers = papers.prefetch_related(
        "technique__labels",
        *more,
        Prefetch("claims", shown_claims(), to_attr="shown_claims"),
        Prefetch("implementations", Implementation.objects.filter(retired_at=None), to_attr="present"),
    )
    return get_object_or_404(papers, slug=slug)


@require_safe
def paper(request: HttpRequest, slug: str) -> HttpResponse:
    found = _paper_with(slug, "code_links", "other_titles", "sources")
    if found.merged_into:
        return HttpResponsePermanentRedirect(found.merged_into.get_absolute_url())
    record = getattr(found, "technique", None)
    here = request.build_absolute_uri(found.get_absolute_url())
    context = {
        "paper": found,
        "cite": {"text": as_text(found, here), "bibtex": as_bibtex(found, here)},
        "technique": record,
        "code": code_groups(found, record),
        "other_titles": found.other_titles.all(),
        "claims": settle(found.shown_claims),  # type: ignore[attr-defined]
        "sources": found.sources.all(),
        "may_ingest": not found.abstract and may(request.user, INGEST),
        "implementations": found.present,  # type: ignore[attr-defined]
        "linked_data": as_script(article(found, record, request.build_absolute_uri)),
    }
    return render(request, "papers/paper.html", context)


@require_safe
def technique(request: HttpRequest, slug: str) -> HttpResponse:
    found = _paper_with(slug)
    if found.merged_into:
        return HttpResponsePermanentRedirect(reverse("technique", args=[found.merged_into.slug]))
    record = getattr(found, "technique", None)
    present: list[Implementation] = found.present  # type: ignore[attr-defined]
    if record is None and not present:
        raise Http404("No technique is known for this paper.")
    claims = settle(found.shown_claims)  # type: ignore[attr-defined]
    context = {
        "paper": found,
        "technique": record,
        "name": (record.name if record else "") or found.title,
        "implementations": present,
        "parts": [_part_of(one, claims) for one in present],
        "other_claims": [c for c in claims if not any(_belongs(c, one) for one in present)],
        "linked_data": as_script(technique_page(found, record, present, claims, request.build_absolute_uri)),
        "device_kinds": [kind for kind in DeviceKind.values if getattr(found, f"has_{kind}")],
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
            decides = bool(standing and rank(standing)[0] == 0)
            beside = _on_other_devices(claim)
            judged.append({
                "claim": claim,
                "rung": labels.get(entry.get("baseline", ""), ""),
                "verdict": decides,
                "beside": beside,
                "scale": _scale_of_claim(claim, beside),
            })  # fmt: skip
    told = [(verdict, row["claim"]) for row in judged for verdict in row["claim"].judged]
    history = sorted(told, key=lambda pair: pair[0].pk, reverse=True)
    return {
        "implementation": implementation,
        "card": card,
        "judged": judged,
        "history": history[:LISTED_VERDICTS],
        "older": max(0, len(history) - LISTED_VERDICTS),
    }


def _on_other_devices(claim: Claim) -> list[Verdict]:
    """The newest verdict with a ratio from each kind of device but that of the standing one."""
    standing: Verdict | None = claim.standing  # type: ignore[attr-defined]
    found: dict[str, Verdict] = {}
    for verdict in claim.judged:  # type: ignore[attr-defined]
        if verdict.ratio and verdict.withdrawn_at is None and verdict.run.device:
            found.setdefault(verdict.run.device.name, verdict)
    if standing and standing.run.device:
        found.pop(standing.run.device.name, None)
    return list(found.values())


def _scale_of_claim(claim: Claim, beside: list[Verdict]) -> Scale:
    """One scale for the claim and for all that was measured of it."""
    standing: Verdict | None = claim.standing  # type: ignore[attr-defined]
    shown = [*beside, *([standing] if standing else [])]
    return scale_of([claimed_ratio(claim), *(end for each in shown for end in (each.ratio, each.low, each.high))])
