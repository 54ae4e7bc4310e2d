"""Pages of similar papers and advice."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from papers.addresses import ignore, reads
from papers.encoding.encoders import EncoderError
from papers.models import Paper
from papers.views import rows_of, wants_partial
from recommender import services
from recommender.advice import Advice, NeedError
from recommender.forms import PRESETS, NeedForm
from recommender.index import IndexBusy
from recommender.picture import memory_bar, roof, time_bars
from recommender.plan import label

FOR_HERE = "Make my model faster"
FIRST_ANSWERS = 10  # as a page shows them until somebody asks for all
BUDGET_WORDS = (
    ("memory_gib", "GiB of memory"),
    ("first_token_ms", "ms to the first token"),
    ("token_ms", "ms for each new token"),
    ("step_ms", "ms for a training step"),
)


@require_safe
@vary_on_headers("HX-Request")
def similar(request: HttpRequest, slug: str) -> HttpResponse:
    """Papers whose text is nearest: a fragment of the paper's page, and a page of its own without script."""
    paper = get_object_or_404(Paper, slug=slug)
    context = {"paper": paper, "papers": rows_of(hit.id for hit in services.similar_papers(paper.pk))}
    name = "recommender/_similar.html" if wants_partial(request) else "recommender/similar.html"
    return render(request, name, context)


@reads(*NeedForm.base_fields, "answers")
@require_safe
def recommend(request: HttpRequest) -> HttpResponse:
    """A need in words and details by GET, so that an answer has an address."""
    asked = "need" in request.GET
    form = NeedForm(request.GET if asked else None)
    for name in () if asked else NeedForm.base_fields:
        if request.GET.get(name, "").strip():
            ignore(request, name, "read only together with need")
    context: dict[str, Any] = {"form": form, "asked": asked}
    if asked and form.is_valid():
        try:
            context |= _advice_context(services.recommend(form.wanted), form)
            context["all_answers"] = _wants_all_answers(request)
        except NeedError as fault:
            form.add_fault(str(fault))
        except (EncoderError, IndexBusy) as fault:
            context["note"] = f"Advice is not ready: {fault}"
    if "advice" not in context:
        here = services.this_machine()
        offered = (*PRESETS, *([(f"On this installation’s {here}", {"need": FOR_HERE, "gpu": here})] if here else []))
        context["presets"] = [(title, f"{reverse('recommend')}?{urlencode(fields)}") for title, fields in offered]
    return render(request, "recommender/recommend.html", context)


def _wants_all_answers(request: HttpRequest) -> bool:
    given = request.GET.get("answers", "").strip()
    if given not in ("", "all"):
        ignore(request, "answers", "known: all")
    return given == "all"


def _advice_context(advice: Advice, form: NeedForm) -> dict[str, Any]:
    """The advice with the paper of each answer, so that the page can link to it, and the pictures."""
    told = advice.to_json()
    papers = Paper.objects.visible().in_bulk([answer["id"] for answer in told["answers"]])
    answers = [(answer, papers.get(answer["id"])) for answer in told["answers"]]
    situation = advice.situation
    techniques = [(label(plan.documents), plan.changes) for plan in advice.plans]
    return {
        "advice": told,
        "wanted": form.wanted,
        "first_answers": answers[:FIRST_ANSWERS],
        "other_answers": answers[FIRST_ANSWERS:],
        "situation": told["situation"],
        "memory": memory_bar(situation),
        "times": [(bar, told["situation"]["time_by_part"][bar.name]) for bar in time_bars(situation)],
        "roof": roof(situation, techniques),
        "budgets": [(word, getattr(form.wanted, field)) for field, word in BUDGET_WORDS if getattr(form.wanted, field)],
    }
