"""Badges under the name of an implementation or the address of a technique."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import conditional_page, require_safe

from api.badges.svg import as_svg
from api.badges.words import Badge, badge_of
from papers.models import Implementation, Paper

LONGEST_DEVICE = 60


@require_safe
@conditional_page
def badge(request: HttpRequest, name: str, form: str) -> HttpResponse:
    """`form` is svg, or json for the endpoint of shields.io. `?device=H200` asks for one kind of device."""
    device = request.GET.get("device", "").strip()
    if len(device) > LONGEST_DEVICE or not device.isprintable():
        said = Badge(f"device: at most {LONGEST_DEVICE} printable characters")
        return _answer(said, form, 400)
    found = list(_named(name))
    return _answer(badge_of(found, device), form, 200 if found else 404)


def _named(name: str) -> list[Implementation]:
    """The implementation of that name, else those of the paper with that address, or of the one that it became."""
    rows = Implementation.objects.select_related("paper").order_by("name")
    if own := list(rows.filter(name=name)):
        return own
    paper = Paper.objects.filter(slug=name).first()
    if paper is None:
        return []
    return list(rows.filter(paper=paper.merged_into_id or paper.pk, retired_at=None)) or list(
        rows.filter(paper=paper.merged_into_id or paper.pk)
    )


def _answer(said: Badge, form: str, status: int) -> HttpResponse:
    answer: HttpResponse
    if form == "json":
        answer = JsonResponse(said.for_shields() | ({"isError": True} if status != 200 else {}), status=status)
    else:
        answer = HttpResponse(as_svg(said), content_type="image/svg+xml; charset=utf-8", status=status)
    # READMEs are shown through caches; a verdict shall reach them within minutes.
    answer["Cache-Control"] = "public, max-age=300, stale-while-revalidate=3600"
    answer["Content-Security-Policy"] = (
        "default-src 'none'; object-src 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return answer
