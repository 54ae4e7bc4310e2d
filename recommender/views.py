"""Pages of search, similar papers and advice."""

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import push_url

from papers.filters import PaperFilter
from papers.models import Paper
from papers.views import canonical_query, chips_of, rows_of, wants_partial
from recommender import services
from recommender.advice import Advice, NeedError
from recommender.encoders import EncoderError
from recommender.forms import PRESETS, NeedForm
from recommender.index import IndexBusy
from recommender.picture import memory_bar, roof, time_bars
from recommender.plan import label

NOT_FILTERS = ("q", "ordering", "page")
FOR_HERE = "Make my model faster"
BUDGET_WORDS = (
    ("memory_gib", "GiB of memory"),
    ("first_token_ms", "ms to the first token"),
    ("token_ms", "ms for each new token"),
    ("step_ms", "ms for a training step"),
)


@require_safe
@vary_on_headers("HX-Request")
def search(request: HttpRequest) -> HttpResponse:
    """Ranked papers for the words; filters apply before ranking. Without words there is nothing to rank: browse."""
    query = canonical_query(request)
    words = request.GET.get("q", "").strip()
    if not words:
        return redirect(reverse("papers") + (f"?{query}" if query else ""))
    given = request.GET.copy()
    for name in NOT_FILTERS:
        given.pop(name, None)
    chosen = PaperFilter(given, queryset=Paper.objects.visible())
    groups = chosen.facets()
    allowed = set(chosen.qs.values_list("pk", flat=True)) if chosen.narrows else None
    size = settings.PAGE_SIZE
    number = request.GET.get("page", "1")
    offset = (int(number) - 1) * size if number.isascii() and number.isdigit() and 1 <= int(number[:6]) <= 400 else 0
    found = services.search(words, allowed, size, offset)
    page = Paginator(range(found.total), size).get_page(offset // size + 1)
    snippets = {hit.id: hit.snippet for hit in found.hits}
    context = {
        "q": words,
        "page": page,
        "rows": [(paper, snippets[paper.pk]) for paper in rows_of(snippets)],
        "note": found.note,
        "form": chosen.form,
        "groups": groups,
        "chips": chips_of(request, groups),
        "action": reverse("search"),
    }
    if not wants_partial(request):
        return render(request, "recommender/search.html", context)
    return push_url(render(request, "recommender/_search.html", context), f"{reverse('search')}?{query}")


@require_safe
@vary_on_headers("HX-Request")
def similar(request: HttpRequest, slug: str) -> HttpResponse:
    """Papers whose text is nearest: a fragment of the paper's page, and a page of its own without script."""
    paper = get_object_or_404(Paper, slug=slug)
    context = {"paper": paper, "papers": rows_of(hit.id for hit in services.similar_papers(paper.pk))}
    name = "recommender/_similar.html" if wants_partial(request) else "recommender/similar.html"
    return render(request, name, context)


@require_safe
def recommend(request: HttpRequest) -> HttpResponse:
    """A need in words and details by GET, so that an answer has an address."""
    asked = "need" in request.GET
    form = NeedForm(request.GET if asked else None)
    context: dict[str, Any] = {"form": form, "asked": asked}
    if asked and form.is_valid():
        try:
            context |= _advice_context(services.recommend(form.wanted), form)
        except NeedError as fault:
            form.add_fault(str(fault))
        except (EncoderError, IndexBusy) as fault:
            context["note"] = f"Advice is not ready: {fault}"
    if "advice" not in context:
        here = services.this_machine()
        offered = (*PRESETS, *([(f"On this installation’s {here}", {"need": FOR_HERE, "gpu": here})] if here else []))
        context["presets"] = [(title, f"{reverse('recommend')}?{urlencode(fields)}") for title, fields in offered]
    return render(request, "recommender/recommend.html", context)


def _advice_context(advice: Advice, form: NeedForm) -> dict[str, Any]:
    """The advice with the paper of each answer, so that the page can link to it, and the pictures."""
    told = advice.to_json()
    papers = Paper.objects.visible().in_bulk([answer["id"] for answer in told["answers"]])
    situation = advice.situation
    techniques = [(label(plan.documents), plan.changes) for plan in advice.plans]
    return {
        "advice": told,
        "wanted": form.wanted,
        "answers": [(answer, papers.get(answer["id"])) for answer in told["answers"]],
        "situation": told["situation"],
        "memory": memory_bar(situation),
        "times": [(bar, told["situation"]["time_by_part"][bar.name]) for bar in time_bars(situation)],
        "roof": roof(situation, techniques),
        "budgets": [(word, getattr(form.wanted, field)) for field, word in BUDGET_WORDS if getattr(form.wanted, field)],
    }
