"""Pages of ingest, for editors: handing something in, seeing what it would change, and saying whether it is kept."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from ingest import submissions
from ingest.models import Submission, SubmissionState
from papers.addresses import page_of, reads
from papers.guards import needs
from papers.roles import INGEST, is_operator
from papers.services import FieldError

WAYS = ("file", "text", "target")


ingesters_only = needs(INGEST, "ingest")


@reads("page")
@require_http_methods(["GET", "HEAD", "POST"])
@ingesters_only
def index(request: HttpRequest) -> HttpResponse:
    """The three ways to hand something in, and what was handed in before."""
    errors: dict[str, str] = {}
    if request.method == "POST":
        try:
            return redirect("submission", pk=_submit(request).pk)
        except FieldError as fault:
            errors[fault.field] = fault.message
    rows = Submission.objects.for_lists()
    context = {
        "errors": errors,
        "given": {name: request.POST.get(name, "") for name in ("text", "target")},
        "page": page_of(rows, request),
        "max_mib": settings.INGEST_UPLOAD_MAX_BYTES // 2**20,
        "max_entries": settings.INGEST_MAX_ENTRIES,
        "keep_hours": settings.INGEST_KEEP_HOURS,
        "hosts": settings.FETCH_HOSTS,
        "suffixes": ", ".join(sorted(submissions.TAKEN_SUFFIXES)),
    }
    return render(request, "ingest/index.html", context, status=400 if errors else 200)


def _submit(request: HttpRequest) -> Submission:
    """Raises: FieldError naming the way that was chosen and what is wrong."""
    way = request.POST.get("way", "")
    if way == "file":
        file = request.FILES.get("file")
        if file is None:
            raise FieldError("file", "is missing; choose one")
        return submissions.submit_file(request.user, file.name or "", file.read(settings.INGEST_UPLOAD_MAX_BYTES + 1))
    if way == "text":
        return submissions.submit_text(request.user, request.POST.get("text", ""))
    if way == "target":
        return submissions.submit_target(request.user, request.POST.get("target", ""))
    raise FieldError("way", f"{way[:40]!r} is not one of: {', '.join(WAYS)}")


def _context(request: HttpRequest, found: Submission) -> dict[str, Any]:
    return {
        "submission": found,
        "preview": found.preview,
        "is_mine": found.owner_id == request.user.pk or is_operator(request.user),
        "is_late": found.is_late,
        "may_decide": found.state == SubmissionState.READY and not found.is_late,
        "percent_done": round(100 * found.steps_done / found.steps) if found.steps else 0,
    }


def _found(pk: int) -> Submission:
    return get_object_or_404(Submission.objects.select_related("owner").defer("pages"), pk=pk)


@require_safe
@never_cache
@ingesters_only
def one(request: HttpRequest, pk: int) -> HttpResponse:
    return render(request, "ingest/submission.html", _context(request, _found(pk)))


@require_safe
@never_cache
@ingesters_only
def panel(request: HttpRequest, pk: int) -> HttpResponse:
    """The part that changes while a worker is at it. Looking at what nobody is at wakes a worker."""
    if not getattr(request, "htmx", False):
        return redirect("submission", pk=pk)
    submissions.ring_if_idle(pk)
    return render(request, "ingest/_submission.html", {**_context(request, _found(pk)), "announce": True})


@require_POST
@ingesters_only
def confirm(request: HttpRequest, pk: int) -> HttpResponse:
    found = _own(request, pk)
    if not submissions.confirm(found, request.user):
        found.refresh_from_db(fields=["state"])
        if found.state not in (SubmissionState.APPLYING, SubmissionState.DONE):
            messages.error(request, f"{found.name} is no longer there to be kept. Hand it in again.")
    return redirect("submission", pk=pk)


@require_POST
@ingesters_only
def discard(request: HttpRequest, pk: int) -> HttpResponse:
    if submissions.discard(_own(request, pk), request.user):
        messages.success(request, "Thrown away. Nothing was kept of it.")
    return redirect("ingest")


def _own(request: HttpRequest, pk: int) -> Submission:
    found = get_object_or_404(Submission.objects.select_related("owner"), pk=pk)
    if found.owner_id != request.user.pk and not is_operator(request.user):
        raise PermissionDenied("Only whoever handed it in, or an operator, decides what becomes of it.")
    return found
