"""Is it ready, for machines; how is it, for people."""

import platform

import django
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from config.health import DOWN, OK, database, is_ready, parts
from ingest.extraction import EXTRACTOR_VERSION
from papers.models import Run, RunState, heavy_fields
from runners.bench import HARNESS_VERSION

LAST_RUNS = 8


@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """200 while the database answers, 503 while it does not."""
    if database().state == OK:
        return JsonResponse({"status": "ok"})
    return JsonResponse({"status": "unavailable", "database": "does not answer"}, status=503)


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """200 while pages can be served, 503 while they cannot; each part with its state either way."""
    found = parts()
    said = {"status": "ready" if is_ready(found) else "not ready", "parts": [part.to_dict() for part in found]}
    return JsonResponse(said, status=200 if is_ready(found) else 503)


@never_cache
@require_safe
def status(request: HttpRequest) -> HttpResponse:
    found = parts()
    context = {"parts": found, "ready": is_ready(found), "well": all(part.state == OK for part in found)}
    if found[0].state != DOWN:
        open_runs = Run.objects.open().order_by().values("device_kind", "state").annotate(number=Count("pk"))
        last = Run.objects.for_lists().exclude(state__in=(RunState.QUEUED, RunState.RUNNING))
        context |= {
            "queues": open_runs.order_by("device_kind", "state"),
            "runs": last.defer(*heavy_fields())[:LAST_RUNS],
        }
    versions = (("Extraction", EXTRACTOR_VERSION), ("Harness", HARNESS_VERSION), ("Python", platform.python_version()),
                ("Django", django.get_version()))  # fmt: skip
    return render(request, "status.html", {**context, "versions": versions}, status=200 if is_ready(found) else 503)
