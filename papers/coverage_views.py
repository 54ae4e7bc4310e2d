"""The page of coverage: which systems of the corpus can be run, were checked, were verified, and what is still to do."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from papers.addresses import ignore, page_of, reads
from papers.coverage import (
    FIELDS,
    NEEDS_LABELS,
    STATE_LABELS,
    WAVE_LABELS,
    by_family,
    by_wave,
    chosen_rows,
    coverage_rows,
    problems_of,
    tally,
)
from papers.views import canonical_query
from papers.vocabulary import FAMILY_LABELS

ROWS_A_PAGE = 40


@reads(*FIELDS, "page")
@require_safe
def coverage(request: HttpRequest) -> HttpResponse:
    asked = {name: request.GET.get(name, "").strip()[:200] for name in FIELDS}
    problems = problems_of(asked, FAMILY_LABELS)
    for name, problem in problems.items():
        ignore(request, name, problem)
    question = {name: "" if name in problems else value for name, value in asked.items()}
    rows = coverage_rows()
    whole = tally("", "All", rows)
    context = {
        "page": page_of(chosen_rows(rows, **question), request, ROWS_A_PAGE),
        "whole": whole,
        "idle": len(rows) - whole.systems,
        "waves": list(by_wave(rows)),
        "families": list(by_family(rows, FAMILY_LABELS)),
        "question": question,
        "filtered": any(question.values()),
        "problems": problems,
        "query": canonical_query(request),
        "selects": [
            ("wave", "Wave", [(value or "none", label) for value, label in WAVE_LABELS.items()]),
            ("family", "Family", list(FAMILY_LABELS.items())),
            ("state", "State", list(STATE_LABELS.items())),
            ("needs", "What it takes", list(NEEDS_LABELS.items())),
        ],
    }
    return render(request, "papers/coverage.html", context)
