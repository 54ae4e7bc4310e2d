"""Whether this installation can serve: each part with its state and a sentence. Nothing here tells an address or a secret."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from papers.models import Device, Paper, Run, RunState
from recommender.index_files import peek

OK, DEGRADED, DOWN = "ok", "degraded", "down"
GIB = 2**30
LOW_DISK_GIB, NO_DISK_GIB = 2.0, 0.2
BROKER_PATIENCE_S = 2.0
STATE_WORDS = {OK: "Works", DEGRADED: "Limited", DOWN: "Does not work"}


@dataclass(frozen=True)
class Part:
    """`state` is ok, degraded (pages are served, something is missing) or down (they cannot be)."""

    name: str
    state: str
    detail: str

    @property
    def word(self) -> str:
        return STATE_WORDS[self.state]

    def to_dict(self) -> dict[str, str]:
        return asdict(self)


def parts() -> list[Part]:
    """Every part; a check that itself breaks is a part that is down."""
    found = [database()]
    if found[0].state == DOWN:
        return [*found, _checked("disk", _disk)]
    checks: tuple[tuple[str, Callable[[], tuple[str, str]]], ...] = (
        ("migrations", _migrations), ("broker", _broker), ("index", _index), ("workers", _workers), ("disk", _disk),
    )  # fmt: skip
    return found + [_checked(name, check) for name, check in checks]


def database() -> Part:
    return _checked("database", _database)


def is_ready(found: list[Part]) -> bool:
    return all(part.state != DOWN for part in found)


def _checked(name: str, check: Callable[[], tuple[str, str]]) -> Part:
    try:
        return Part(name, *check())
    except Exception as fault:  # whatever broke is what the operator has to hear of; its text may name addresses
        return Part(name, DOWN, f"The check itself failed ({type(fault).__name__}); the log says more.")


def _database() -> tuple[str, str]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return DOWN, "The database does not answer."
    return OK, f"{connection.vendor} answers."


def _migrations() -> tuple[str, str]:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        return DOWN, f"{len(missing)} migrations are not applied; run manage.py migrate."
    return OK, "The tables are those of this version."


def _broker() -> tuple[str, str]:
    if settings.BROKER_URL.startswith("filesystem:"):
        if os.access(settings.BROKER_DIR, os.W_OK):
            return OK, "The embedded broker's folder can be written."
        return DEGRADED, "The embedded broker's folder cannot be written; runs wait for the next look of a worker."
    from config.celery import app

    try:
        with app.connection_for_write(connect_timeout=BROKER_PATIENCE_S) as broker:
            broker.ensure_connection(max_retries=0, timeout=BROKER_PATIENCE_S)
    except Exception:  # each transport has its own errors
        return DEGRADED, "The broker does not answer; runs wait until it does."
    return OK, "The broker answers."


def _index() -> tuple[str, str]:
    manifest = peek(settings.INDEX_DIR)
    if manifest is None:
        return DEGRADED, "There is no search index yet; it is built at the first search or by manage.py build_index."
    if manifest.encoder != settings.ENCODER:
        return DEGRADED, "Another encoder built the search index; run manage.py build_index."
    made = datetime.fromisoformat(manifest.created)
    waiting = max(0, Paper.objects.visible().count() - manifest.count)
    said = f"{manifest.count:,} papers, made {made:%Y-%m-%d %H:%M} UTC"
    return OK, f"{said}; {waiting:,} wait to be taken in." if waiting else f"{said}."


def _workers() -> tuple[str, str]:
    alive = list(Device.objects.alive().values_list("kind", flat=True))
    queued = Run.objects.filter(state=RunState.QUEUED).count()
    if not alive:
        return DEGRADED, f"No worker shows a device; {queued} runs wait." if queued else "No worker shows a device."
    kinds = ", ".join(f"{alive.count(kind)} {kind}" for kind in sorted(set(alive)))
    return OK, f"Devices at work: {kinds}. {queued} runs wait."


def _disk() -> tuple[str, str]:
    free = shutil.disk_usage(settings.DATA_DIR).free / GIB
    said = f"{free:,.1f} GiB are free."
    if free < NO_DISK_GIB:
        return DOWN, f"{said} Nothing can be written soon; free some space."
    return (DEGRADED, f"{said} Free some space.") if free < LOW_DISK_GIB else (OK, said)


def ages(now: datetime | None = None) -> Iterator[tuple[str, float]]:
    """Seconds since each device was last heard of, by kind and name."""
    now = now or timezone.now()
    for device in Device.objects.exclude(last_seen_at=None):
        seen = device.last_seen_at
        if seen is not None:
            yield f"{device.kind} {device.name}", max(0.0, (now - seen).total_seconds())
