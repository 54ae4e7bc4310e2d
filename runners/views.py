"""Pages of runs: the list, one run as it goes and what it found, and asking for or ending one."""

import json
import zlib
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from papers.models import Implementation, Run, RunState
from runners import services

# What a reader should know of each reason for which a run fails, and what to do about it.
FAILURES = {
    "crashed": (
        "The child process that held the code under test ended by itself.",
        "Read the last lines of the log. If it happens again, it is a fault of the implementation, not of the worker.",
    ),
    "timed-out": (
        "The run used up its wall-clock limit.",
        "Try again when the machine is less busy; an operator can raise RUN_WALL_LIMIT_S.",
    ),
    "out-of-memory": (
        "The largest workload did not fit into the memory of the device.",
        "Use a device with more memory; the card says how much it needs.",
    ),
    "unsupported": (
        "The device lacks something that this implementation needs.",
        "Compare the requirements on the technique's page with the device, and run it on one that has them.",
    ),
    "refused-device": (
        "The device was in use by something else, or not the one that was asked for.",
        "Try again; if it persists, an operator should look at what else runs on that device.",
    ),
    "incorrect": (
        "The technique gave a wrong answer, so nothing was timed.",
        "There is nothing to repeat: the result is that this implementation is not right on this device.",
    ),
    "integrity": (
        "A guard of the harness found that the times could not be trusted.",
        "The detail names the guard. The figures of this run decide nothing.",
    ),
    "compile-error": (
        "A kernel or a compiled baseline could not be built.",
        "The log shows the compiler's message; it often names a version that is too old.",
    ),
    "cancelled": ("It was stopped on request.", "Ask for a new run at any time."),
    "lost": (
        "The worker vanished while it ran this, more than once.",
        "An operator should look at the worker's log; then ask for a new run.",
    ),
    "harness-fault": (
        "The harness itself failed, which says nothing about the technique.",
        "An operator finds the details in the log of the worker.",
    ),
}


@require_safe
def runs(request: HttpRequest) -> HttpResponse:
    state = request.GET.get("state", "")
    error = ""
    if state and state not in RunState.values:
        error, state = f"“{state[:40]}” is not a state; use one of: {', '.join(RunState.values)}.", ""
    found = Run.objects.for_lists().select_related("implementation__paper__technique").defer("records", "log_tail")
    counts = {row["state"]: row["found"] for row in Run.objects.order_by().values("state").annotate(found=Count("pk"))}
    context = {
        "page": Paginator(found.filter(state=state) if state else found, settings.PAGE_SIZE).get_page(
            request.GET.get("page")
        ),
        "state": state,
        "error": error,
        "states": [(value, label, counts.get(value, 0)) for value, label in RunState.choices],
        "total": sum(counts.values()),
    }
    return render(request, "runners/runs.html", context)


def _run_or_404(pk: int) -> Run:
    return get_object_or_404(Run.objects.for_lists().defer("records"), pk=pk)


def _panel_context(request: HttpRequest, run: Run) -> dict[str, Any]:
    waiting = run.state == RunState.QUEUED
    context: dict[str, Any] = {
        "run": run,
        "ahead": Run.objects.ahead_of(run).count() if waiting else 0,
        "percent_done": round(100 * run.progress),
        "may_cancel": services.may_cancel(run, request.user) and not run.cancel_requested,
        "failure": FAILURES.get(run.failure_reason, ("", "")) if run.failure_reason else None,
        "title": run.implementation.card.get("short_name") or run.implementation.name,
    }
    context["seen"] = _fingerprint(run, context["ahead"])
    if run.is_final:
        context["verdicts"] = run.verdicts.select_related("claim__paper")
        context["measurements"] = run.measurements.defer("samples")
        context["took"] = (
            (run.finished_at - run.started_at).total_seconds() if run.finished_at and run.started_at else None
        )
        context["environment"] = sorted(_flat(run.environment))
    return context


def _flat(values: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as lines: {"clocks": {"sm": 1980}} becomes ("clocks sm", "1980")."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _flat(value, f"{name} {key}".strip())
    elif isinstance(values, list):
        yield name, ", ".join(str(value) for value in values)
    elif values not in (None, ""):
        yield name, str(values)


def _fingerprint(run: Run, ahead: int) -> str:
    """Two short hashes: of what is worth announcing, and of everything that the panel shows."""
    announced = f"{run.state}|{run.phase}|{run.cancel_requested}"
    shown = f"{announced}|{ahead}|{run.progress:.3f}|{run.log_tail}"
    return f"{zlib.crc32(announced.encode()):x}-{zlib.crc32(shown.encode()):x}"


@require_safe
def run(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "runners/run.html", _panel_context(request, _run_or_404(pk)))


@never_cache
@require_safe
def run_panel(request: HttpRequest, pk: int) -> HttpResponse:
    """The part of the page that changes; 204 while it shows already what it should."""
    found = _run_or_404(pk)
    if not getattr(request, "htmx", False):
        return redirect("run", pk=pk)
    context = _panel_context(request, found)
    seen = request.GET.get("seen", "")
    if seen == context["seen"]:
        return HttpResponse(status=204)
    context["announce"] = seen.partition("-")[0] != context["seen"].partition("-")[0]
    return render(request, "runners/_panel.html", context)


@require_safe
def run_records(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """The run's records as JSON lines, in the form that the command-line harness writes."""
    records = get_object_or_404(Run.objects.only("records"), pk=pk).records

    def lines() -> Iterator[str]:
        for record in records:
            yield json.dumps(record, ensure_ascii=False, sort_keys=True) + "\n"

    answer = StreamingHttpResponse(lines(), content_type="application/x-ndjson; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="speedproof-run-{pk}.jsonl"'
    return answer


@require_POST
def request_run(request: HttpRequest, name: str) -> HttpResponse:
    implementation = get_object_or_404(Implementation.objects.select_related("paper"), name=name)
    if not request.user.is_authenticated:  # back to the page with the button: this address answers to POST alone
        return redirect_to_login(implementation.get_absolute_url())
    try:
        asked = services.request_run(implementation, request.user, request.POST.get("device", ""))
    except services.RunRefused as fault:
        messages.error(request, str(fault))
        return redirect(implementation)
    return redirect(asked)


@require_POST
@login_required
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    found = _run_or_404(pk)
    if found.is_final:
        messages.info(request, f"Run {pk} had ended already.")
    elif not services.may_cancel(found, request.user):
        raise PermissionDenied("Only whoever asked for a run, or an operator, can cancel it.")
    else:
        services.cancel_run(found, request.user)
    return redirect(found)
