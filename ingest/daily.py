"""The daily job: each day's Daily Papers once, and the days that were missed, each by one worker. The rows are the truth."""

import logging
import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from ingest.fetch_runs import Run, read_targets
from ingest.models import DailyFetch, DailyState, FetchCursor, HostTurn
from ingest.services import PageReport
from ingest.targets import DailyTarget

logger = logging.getLogger(__name__)

MOST_DAYS_BACK = 7
MOST_ATTEMPTS = 6
LEASE = timedelta(minutes=30)
TRY_AGAIN_AFTER = timedelta(minutes=20)  # doubled with each failure
FAILURE_CHARS = 500


def read_due_days(run: Run | None = None) -> list[DailyFetch]:
    """Read every day that is due and that nobody else is at. Ringing twice, or on two machines, reads each day once."""
    run = run or Run()
    if not settings.DAILY_PAPERS:
        return []
    expect_days(run.now)
    oldest = run.today - timedelta(days=MOST_DAYS_BACK - 1)
    due = DailyFetch.objects.due(run.now, MOST_ATTEMPTS).filter(day__gte=oldest).order_by("day")
    return [row for day in due.values_list("day", flat=True) if (row := _read_day(day, run)) is not None]


def latest_due(now: datetime) -> date:
    """The latest day whose hour of the daily job has come."""
    today = now.astimezone(UTC).date()
    return today if now.astimezone(UTC).time() >= settings.DAILY_PAPERS_AT else today - timedelta(days=1)


def expect_days(now: datetime) -> None:
    """A row for each day that is due: those behind the last known one, at most MOST_DAYS_BACK; at first the latest alone."""
    latest = latest_due(now)
    known = DailyFetch.objects.order_by("-day").values_list("day", flat=True).first()
    first = latest if known is None else max(known + timedelta(days=1), latest - timedelta(days=MOST_DAYS_BACK - 1))
    days = (first + timedelta(days=number) for number in range((latest - first).days + 1))
    DailyFetch.objects.bulk_create([DailyFetch(day=day) for day in days], ignore_conflicts=True)


def take_day(day: date, now: datetime) -> DailyFetch | None:
    """Become the one who reads the day; None where another was quicker or it is done."""
    token = str(uuid.uuid4())
    taken = (
        DailyFetch.objects.due(now, MOST_ATTEMPTS)
        .filter(day=day)
        .update(
            state=DailyState.RUNNING, lease_until=now + LEASE, lease_token=token, attempts=F("attempts") + 1, failure=""
        )
    )
    return DailyFetch.objects.get(day=day) if taken else None


def finish_day(row: DailyFetch, now: datetime, **outcome: Any) -> bool:
    """Write how it went, unless the row was given to another worker meanwhile."""
    mine = DailyFetch.objects.filter(pk=row.pk, state=DailyState.RUNNING, lease_token=row.lease_token)
    return bool(mine.update(lease_until=None, lease_token="", finished_at=now, **outcome))


def _read_day(day: date, run: Run) -> DailyFetch | None:
    row = take_day(day, run.now)
    if row is None:
        return None
    try:
        reports = list(read_targets([DailyTarget(day, day)], run))
        broken = next((report for report in reports if report.unfinished), None)
        reason = str(broken.refused[0]["reason"]) if broken else ""
    except Exception as fault:
        _finish_failed(row, run.now, f"{type(fault).__name__}; the log of the worker has the details")
        raise
    if reason:
        _finish_failed(row, run.now, reason)
    else:
        finish_day(row, run.now, state=DailyState.DONE, counts=counts_of(reports), next_try_at=None)
    row.refresh_from_db()
    return row


def _finish_failed(row: DailyFetch, now: datetime, reason: str) -> None:
    logger.warning("Daily Papers of %s were not read: %s", row.day, reason)
    again = now + TRY_AGAIN_AFTER * 2 ** (row.attempts - 1)
    finish_day(row, now, state=DailyState.FAILED, failure=reason[:FAILURE_CHARS], next_try_at=again)


def counts_of(reports: Sequence[PageReport]) -> dict[str, int]:
    keys = ("read", "new", "updated", "duplicate", "refused_count")
    return {key.removesuffix("_count"): sum(getattr(report, key) for report in reports) for key in keys}


def status_lines() -> list[str]:
    """What an operator wants to know: whether the job is on, how the last days went, what broke off, who wants quiet."""
    at = f"on, at {settings.DAILY_PAPERS_AT:%H:%M} UTC" if settings.DAILY_PAPERS else "off (DAILY_PAPERS)"
    lines = [f"Daily Papers: {at}"]
    for row in DailyFetch.objects.all()[: 2 * MOST_DAYS_BACK]:
        lines.append(f"  {row.day}  {row.state:8}{_told(row)}")
    unfinished = FetchCursor.objects.unfinished()
    lines.append(f"Not read to the end: {'' if unfinished else 'nothing'}".rstrip())
    lines += [f"  {cursor.target}  (since {cursor.updated_at:%Y-%m-%d %H:%M} UTC)" for cursor in unfinished]
    quiet = HostTurn.objects.filter(next_at__gt=timezone.now() + timedelta(seconds=30))
    lines += [f"{turn.host} wants quiet until {turn.next_at:%Y-%m-%d %H:%M:%S} UTC" for turn in quiet]
    return lines


def _told(row: DailyFetch) -> str:
    if row.state == DailyState.DONE:
        counts = row.counts
        return f"{counts['read']} read, {counts['new']} new, {counts['updated']} updated, {counts['refused']} refused"
    if row.state == DailyState.FAILED and row.next_try_at:
        again = f"again after {row.next_try_at:%Y-%m-%d %H:%M} UTC" if row.attempts < MOST_ATTEMPTS else "given up"
        return f"{row.failure} ({row.attempts} of {MOST_ATTEMPTS} tries, {again})"
    return f"by a worker until {row.lease_until:%H:%M} UTC" if row.lease_until else ""
