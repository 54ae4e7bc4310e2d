"""The page of search: words, a pasted abstract, or papers that the answers shall and shall not resemble."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import push_url

from papers.addresses import ignore_errors, page_of, reads
from papers.filters import PaperFilter
from papers.models import Paper
from papers.shown import opened
from papers.views import canonical_query, chips_of, rows_of, wants_partial
from recommender import services
from recommender.need_reader import is_budget

NOT_FILTERS = ("q", "ordering", "page", "like", "unlike", "exact", "more")
MOST_EXAMPLES = 20
LAST_PAGE = 400


@require_safe
def ask(request: HttpRequest) -> HttpResponse:
    """Where a question of any kind belongs: a paper's id to its page, a budget to the advice, all else to the search."""
    words = request.GET.get("q", "").strip()
    page = "recommend" if is_budget(words) else "search"
    name = "need" if page == "recommend" else "q"
    return redirect(f"{reverse(page)}?{urlencode({name: words})}" if words else reverse("papers"))


@reads(*(name for name in PaperFilter.base_filters if name != "ordering"), "like", "unlike", "exact", "more", "page")
@require_safe
@vary_on_headers("HX-Request")
def search(request: HttpRequest) -> HttpResponse:
    """Ranked papers; filters apply before ranking. Without words or examples there is nothing to rank: browse."""
    query = canonical_query(request)
    words = request.GET.get("q", "").strip()
    liked, unknown = services.papers_named(request.GET.getlist("like")[:MOST_EXAMPLES])
    unliked, unknown_too = services.papers_named(request.GET.getlist("unlike")[:MOST_EXAMPLES])
    if not words and not liked and not unknown:
        return redirect(reverse("papers") + (f"?{query}" if query else ""))
    if (named := services.paper_with_id(words)) and not liked:
        return redirect(named)
    chosen = PaperFilter(_filters(request), queryset=Paper.objects.visible())
    chosen.form.is_valid()
    ignore_errors(request, chosen.form)
    size = settings.PAGE_SIZE
    asked = services.Asked(
        text=words,
        like=tuple(paper.pk for paper in liked),
        unlike=tuple(paper.pk for paper in unliked),
        allowed_ids=set(chosen.qs.values_list("pk", flat=True)) if chosen.narrows else None,
        limit=size,
        offset=_offset(request, size),
        exact=bool(request.GET.get("exact")),
    )
    found = services.search(asked)
    if asked.offset >= found.total > 0:
        asked = replace(asked, offset=(found.total - 1) // size * size)
        found = services.search(asked)
    groups = opened(request, services.facets_of(asked, found, chosen))
    snippets = {hit.id: hit.snippet for hit in found.hits}
    papers = rows_of(snippets)
    context: dict[str, Any] = {
        "q": words,
        "page": page_of(range(found.total), request, size),
        "rows": [(paper, snippets[paper.pk]) for paper in papers],
        "note": found.note,
        "corrected": found.corrected,
        "unknown": [*unknown, *unknown_too],
        "liked": [(paper, _without_example(request, "like", paper)) for paper in liked],
        "unliked": [(paper, _without_example(request, "unlike", paper)) for paper in unliked],
        "form": chosen.form,
        "groups": groups,
        "chips": chips_of(request, groups),
        "action": reverse("search"),
    }
    if not wants_partial(request):
        return render(request, "recommender/search.html", context)
    return push_url(render(request, "recommender/_search.html", context), f"{reverse('search')}?{query}")


def _filters(request: HttpRequest) -> QueryDict:
    given = request.GET.copy()
    for name in NOT_FILTERS:
        given.pop(name, None)
    return given


def _offset(request: HttpRequest, size: int) -> int:
    number = request.GET.get("page", "1")
    known = number.isascii() and number.isdigit() and 1 <= int(number[:6]) <= LAST_PAGE
    return (int(number) - 1) * size if known else 0


def _without_example(request: HttpRequest, name: str, paper: Paper) -> str:
    asked = request.GET.copy()
    asked.pop("page", None)
    asked.setlist(name, [v for v in asked.getlist(name) if v not in (paper.slug, paper.arxiv_id)])
    return f"?{asked.urlencode()}"
