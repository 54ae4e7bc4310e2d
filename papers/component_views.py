"""A page that shows every part that pages are made of, in every state, with made-up content."""

from types import SimpleNamespace
from typing import Any

from django import forms
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from papers.addresses import Ignored, reads
from papers.models import Outcome, RunState
from papers.templatetags.figures import EVIDENCE


class ExampleForm(forms.Form):
    year = forms.IntegerField(label="Year", min_value=1950, max_value=2100)


def _paper(title: str, **fields: Any) -> SimpleNamespace:
    technique = SimpleNamespace(name=fields.pop("name", ""), families=fields.pop("families", []))
    claims = [SimpleNamespace(figure=figure, metric=metric) for figure, metric in fields.pop("claims", [])]
    defaults = {"slug": "example", "get_absolute_url": "#rows", "year": 2025, "votes": None}
    return SimpleNamespace(**{**defaults, "title": title, "technique": technique, "shown_claims": claims, **fields})


@reads("example", "year")
@require_safe
def components(request: HttpRequest) -> HttpResponse:
    long_title = (
        "An exceedingly long title of the kind that surveys have: what was done, by whom, on which machines, with what "
        "effect on time, memory and energy, and what remains open for everybody who comes later"
    )
    papers = [
        _paper("Foldcache: Folded Pages for Long Prompts", name="Foldcache", families=["kv-cache"], votes=12,
               claims=[("2.3×", "speedup"), ("40 %", "memory")], implementation_count=1, verified=True),
        _paper(long_title, families=["kv-cache", "quantisation", "pruning"]),
        _paper(r"Attention in $O(n \log n)$ with $\alpha^{2}$-sparse keys", name="No abstract"),
        _paper("<b>Markup</b> and <script>alert(1)</script> are shown as text"),
    ]  # fmt: skip
    form = ExampleForm({"year": "next year"})
    form.is_valid()
    context = {
        "papers": papers,
        "outcomes": [*Outcome.values, ""],
        "kinds": list(EVIDENCE),
        "states": RunState.choices,
        "form": form,
        "chips": [
            {"words": "Family: KV cache", "address": "#chips"},
            {"words": "Stage: Inference", "address": "#chips"},
        ],
        "action": "#chips",
        "left_out": [Ignored("sort=best", "did you mean ordering?"), Ignored("page=900", "pages go from 1 to 20")],
        "page": Paginator(range(500), 25).page(7),
        "claims_rows": reverse("api-claims-against-measurements"),
    }
    return render(request, "components/gallery.html", context)
