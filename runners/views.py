"""Pages of runs: the list, one run as it goes and what it found, and asking for or ending one."""

import zlib
from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from papers.addresses import ignore, page_of, reads
from papers.guards import needs
from papers.models import Implementation, Run, RunState
from papers.roles import REQUEST_RUNS
from runners import services
from runners.waiting import Wait, queue, wait_of

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


@reads("state", "page")
@require_safe
def runs(request: HttpRequest) -> HttpResponse:
    state = request.GET.get("state", "")
    if state and state not in RunState.values:
        ignore(request, "state", f"known: {', '.join(RunState.values)}")
        state = ""
    found = Run.objects.for_lists().select_related("implementation__paper__technique").defer("records", "log_tail")
    counts = {row["state"]: row["found"] for row in Run.objects.order_by().values("state").annotate(found=Count("pk"))}
    context = {
        "queue": queue(),
        "page": page_of(found.filter(state=state) if state else found, request),
        "state": state,
        "states": [(value, label, counts.get(value, 0)) for value, label in RunState.choices],
        "total": sum(counts.values()),
    }
    return render(request, "runners/runs.html", context)


@never_cache
@require_safe
def waiting(request: HttpRequest) -> HttpResponse:
    """The part of the list that changes while something is open."""
    if not getattr(request, "htmx", False):
        return redirect("runs")
    return render(request, "runners/_queue.html", {"queue": queue()})


def _run_or_404(pk: int) -> Run:
    return get_object_or_404(Run.objects.for_lists().defer("records"), pk=pk)


def _panel_context(request: HttpRequest, run: Run) -> dict[str, Any]:
    wait = wait_of(run) if run.state == RunState.QUEUED else None
    context: dict[str, Any] = {
        "run": run,
        "wait": wait,
        "ahead": wait.ahead if wait else 0,
        "percent_done": round(100 * run.progress),
        "may_cancel": services.may_cancel(run, request.user) and not run.cancel_requested,
        "failure": FAILURES.get(run.failure_reason, ("", "")) if run.failure_reason else None,
        "title": run.implementation.card.get("short_name") or run.implementation.name,
    }
    context["seen"] = _fingerprint(run, wait)
    if run.is_final:
        context["verdicts"] = run.verdicts.select_related("claim__paper")
        context["measurements"] = run.measurements.defer("samples")
        context["took"] = (
            (run.finished_at - run.started_at).total_seconds() if run.finished_at and run.started_at else None
        )
        context["environment"] = sorted(_flat(run.environment))
        context["earlier"] = _earlier(run)
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


def _earlier(run: Run) -> Run | None:
    """The last finished run before it of the same implementation, kind of device and mode."""
    like = Run.objects.filter(
        implementation_id=run.implementation_id, device_kind=run.device_kind, mode=run.mode, state=RunState.FINISHED
    )
    return like.filter(pk__lt=run.pk).only("pk").order_by("-pk").first()


def _fingerprint(run: Run, wait: Wait | None) -> str:
    """Two short hashes: of what is worth announcing, and of everything that the panel shows."""
    announced = f"{run.state}|{run.phase}|{run.cancel_requested}"
    # A wait counts down by itself; to the half minute it is worth drawing anew.
    told = f"{wait.ahead}|{wait.workers}|{None if wait.wait_s is None else round(wait.wait_s / 30)}" if wait else ""
    shown = f"{announced}|{told}|{run.progress:.3f}|{run.log_tail}"
    return f"{zlib.crc32(announced.encode()):x}-{zlib.crc32(shown.encode()):x}"


@require_safe
def run(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "runners/run.html", _panel_context(request, _run_or_404(pk)))


@reads("seen")
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


def _page_with_the_button(name: str) -> Implementation:
    return get_object_or_404(Implementation.objects.select_related("paper"), name=name)


@require_POST
@needs(REQUEST_RUNS, _page_with_the_button)
def request_run(request: HttpRequest, name: str) -> HttpResponse:
    implementation = get_object_or_404(Implementation.objects.select_related("paper"), name=name)
    try:
        asked = services.request_run(
            implementation, request.user, request.POST.get("device", ""), request.POST.get("mode", "run")
        )
    except services.RunRefused as fault:
        messages.error(request, str(fault))
        return redirect(implementation)
    return redirect(asked)


@require_POST
@needs(REQUEST_RUNS, lambda pk: reverse("run", args=[pk]))
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    found = _run_or_404(pk)
    if found.is_final:
        messages.info(request, f"Run {pk} had ended already.")
    elif not services.may_cancel(found, request.user):
        raise PermissionDenied("Only whoever asked for a run, or an operator, can cancel it.")
    else:
        services.cancel_run(found, request.user)
    return redirect(found)
