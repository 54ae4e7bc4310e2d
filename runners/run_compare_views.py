"""The page on which two runs stand side by side."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from papers.addresses import reads
from papers.models import Run, RunState, heavy_fields
from papers.templatetags.figures import scale_of
from runners.run_comparing import compare_runs

OFFERED = 12
LARGEST_KEY = 2**63 - 1


@reads("a", "b")
@require_safe
def compare_two(request: HttpRequest) -> HttpResponse:
    given = {side: request.GET.get(side, "").strip() for side in ("a", "b")}
    runs, errors = {}, {}
    for side, text in given.items():
        if text:
            runs[side], errors[side] = _find(text)
    context: dict[str, Any] = {"given": given, "errors": {side: told for side, told in errors.items() if told}}
    first, second = runs.get("a"), runs.get("b")
    if first and second:
        found = compare_runs(first, second)
        ends = [end for each in found.ratios for side in (each.old, each.new) if side for end in (side.low, side.high)]
        context |= {
            "first": first,
            "second": second,
            "found": found,
            "lasting": [each for each in found.environment if not each.is_state],
            "changed": [each.name for each in (*found.versions, *found.environment) if not each.is_state],
            "paired": sum(bool(each.old and each.new) for each in found.ratios),
            "agreeing": sum(each.agrees for each in found.ratios),
            "states": [each for each in found.environment if each.is_state],
            "scale": scale_of(ends),
            "on_gpu": all(run.device_kind == "cuda" for run in (first, second)),
            "same_card": first.implementation_id == second.implementation_id,
        }
    else:
        finished = Run.objects.for_lists().filter(state=RunState.FINISHED)
        context["offered"] = finished.defer(*heavy_fields())[:OFFERED]
    return render(request, "runners/run_compare.html", context)


def _find(text: str) -> tuple[Run | None, str]:
    """The run of that number, or what is wrong with it."""
    if not (text.isascii() and text.isdecimal() and int(text) <= LARGEST_KEY):
        return None, f"“{text[:40]}” is not the number of a run, such as 12."
    run = Run.objects.for_lists().defer("records", "log_tail").filter(pk=int(text)).first()
    return run, "" if run else f"There is no run {text}."
