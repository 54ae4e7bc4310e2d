"""Every write of fetching: versions of addresses, places in feeds, turns at hosts, and batches of papers."""

import hashlib
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from ingest.fetching.client import Fetcher, Limits, Validators
from ingest.fetching.clock import Clock, SystemClock
from ingest.fetching.feed import Batch, Position
from ingest.fetching.rules import Rules
from ingest.models import FetchCursor, FetchedAddress, HostTurn
from ingest.records import heard_ahead
from ingest.services import PageReport, report_page, store_page, texts_to_read

UNCHANGED = "unchanged"
LONGEST_KEPT_ADDRESS = 2000
POLL_S = 0.5  # while another process asks a host


class DatabaseTurns:
    """Turns that hold for all processes and machines of a database."""

    def try_take(self, host: str, now: float, interval_s: float, hold_s: float, token: str) -> float:
        at = _moment(now)
        row, _ = HostTurn.objects.get_or_create(host=host, defaults={"next_at": at})
        free = Q(held_until=None) | Q(held_until__lte=at)
        taken = HostTurn.objects.filter(free, pk=row.pk, next_at__lte=at).update(
            next_at=at + timedelta(seconds=interval_s), held_until=at + timedelta(seconds=hold_s), token=token
        )
        if taken:
            return 0.0
        row.refresh_from_db()
        if row.next_at > at:
            return (row.next_at - at).total_seconds()
        return POLL_S

    def give_back(self, host: str, token: str) -> None:
        HostTurn.objects.filter(host=host, token=token).update(held_until=None)

    def postpone(self, host: str, until: float) -> None:
        HostTurn.objects.filter(host=host, next_at__lt=_moment(until)).update(next_at=_moment(until))


def open_fetcher(clock: Clock | None = None) -> Fetcher:
    """The client that the settings describe. Close it after use."""
    contact = settings.FETCH_CONTACT.encode("ascii", "replace").decode()  # all that a header may hold
    return Fetcher(
        Rules(settings.FETCH_HOSTS, settings.FETCH_ALLOW_PRIVATE),
        user_agent=f"Speedproof/1 (+{contact})" if contact else "Speedproof/1",
        limits=Limits(wall_s=settings.FETCH_WALL_S, max_bytes=settings.FETCH_MAX_BYTES),
        turns=DatabaseTurns(),
        intervals=settings.FETCH_INTERVALS,
        interval_s=settings.FETCH_INTERVAL_S,
        clock=clock or SystemClock(),
    )


def known_version(address: str) -> Validators | None:
    row = FetchedAddress.objects.filter(address=address).first()
    return Validators(row.etag, row.last_modified) if row and (row.etag or row.last_modified) else None


def remember(address: str, status: int, version: Validators, at: datetime) -> None:
    """Keep which version of the address is in the knowledge base now; in the transaction that put it there."""
    if len(address) > LONGEST_KEPT_ADDRESS or not address.isascii():
        return
    kept = {"etag": version.etag, "last_modified": version.last_modified, "status": status, "fetched_at": at}
    FetchedAddress.objects.update_or_create(address=address, defaults=kept)


def cursor_name(target: str) -> str:
    return hashlib.sha256(target.encode()).hexdigest()


def position_of(target: str) -> Position:
    """Where an earlier run stopped; empty where there was none, or the next begins anew."""
    row = FetchCursor.objects.filter(name=cursor_name(target)).first()
    return dict(row.position) if row else {}


def move_cursor(target: str, position: Position, *, done: bool) -> None:
    """Keep the place. A feed that reached its end and begins anew next time has none."""
    if done and not position:
        forget_cursor(target)
        return
    FetchCursor.objects.update_or_create(
        name=cursor_name(target), defaults={"target": target, "position": dict(position), "done": done}
    )


def forget_cursor(target: str) -> None:
    FetchCursor.objects.filter(name=cursor_name(target)).delete()


def store_batch(batch: Batch, target: str, at: datetime) -> PageReport:
    """Papers, versions and the place behind them: all of it or nothing, so that no end of a run loses or doubles a paper."""
    with heard_ahead(texts_to_read(batch.page.papers)), transaction.atomic():
        report = store_page(batch.page, batch.name)
        for fetched in batch.fetched:
            remember(fetched.address, fetched.status, fetched.validators, at)
        move_cursor(target, batch.position, done=batch.done)
    return _as_unchanged(batch, report)


def count_batch(batch: Batch) -> PageReport:
    """What a dry run tells of a batch; nothing is written."""
    return _as_unchanged(batch, report_page(batch.page, batch.name))


def _as_unchanged(batch: Batch, report: PageReport) -> PageReport:
    if batch.unchanged:
        report.layout = UNCHANGED
    return report


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
