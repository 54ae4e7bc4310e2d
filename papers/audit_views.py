"""The audit log, for operators: who did what, by person, action, target and time."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from papers.addresses import ignore, page_of, reads
from papers.guards import needs
from papers.models import AuditEntry
from papers.roles import OPERATE

FIELDS = ("who", "action", "target", "since", "until")
LONGEST = 200
PAGE = 50


@reads(*FIELDS, "page")
@never_cache
@require_safe
@needs(OPERATE)
def audit(request: HttpRequest) -> HttpResponse:
    given = {name: request.GET.get(name, "").strip()[:LONGEST] for name in FIELDS}
    rows = AuditEntry.objects.select_related("actor")
    actions = sorted(AuditEntry.objects.order_by().values_list("action", flat=True).distinct())
    if given["who"]:
        rows = rows.filter(actor_name__iexact=given["who"].replace("\x00", ""))
    if given["action"]:
        if given["action"] not in actions:
            ignore(request, "action", f"known: {', '.join(actions)}")
        else:
            rows = rows.filter(action=given["action"])
    if given["target"]:
        rows = rows.filter(target__icontains=given["target"].replace("\x00", ""))
    for name, bound in (("since", "at__gte"), ("until", "at__lt")):
        try:
            day = _day(given[name])
        except ValueError:
            ignore(request, name, "a day, such as 2026-03-14")
            continue
        if day:
            rows = rows.filter(**{bound: day if name == "since" else day + timedelta(days=1)})
    page = page_of(rows, request, PAGE)
    context: dict[str, Any] = {"page": page, "given": given, "actions": actions}
    return render(request, "papers/audit.html", context)


def _day(text: str) -> datetime | None:
    """Midnight in UTC. Raises: ValueError."""
    if not text:
        return None
    day = date.fromisoformat(text)
    if not 1990 <= day.year <= 2200:
        raise ValueError(text)
    return datetime.combine(day, time(), UTC)
