"""The change log: triggers that note every write of a record, however it was made, and where a reader of the log is.

Triggers, because papers and claims are written by services, in bulk, by `update` and by cascades; whatever changes a row
is noted in the same transaction. They read nothing but the row itself, so that both engines stay simple and a change of
one table cannot break the trigger of another.
"""

import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from papers.models import FINAL_STATES, RecordChange

KINDS = ("paper", "technique", "claim", "implementation", "run", "verdict")
LOG = RecordChange._meta.db_table
_VERSION = 1
_FINAL = ", ".join(f"'{state}'" for state in FINAL_STATES)


@dataclass(frozen=True)
class Watched:
    """A table whose rows are records, or parts of one: `column` is the key of the record."""

    table: str
    kind: str
    column: str = "id"
    only: str = ""  # a condition on the row, named {row}

    @property
    def is_part(self) -> bool:
        return self.column != "id"


WATCHED = (
    Watched("papers_paper", "paper"),
    Watched("papers_papertitle", "paper", "paper_id"),
    Watched("papers_codelink", "paper", "paper_id"),
    Watched("papers_technique", "technique"),
    Watched("papers_techniquelabel", "technique", "technique_id"),
    Watched("papers_claim", "claim"),
    Watched("papers_implementation", "implementation"),
    Watched("papers_run", "run", only=f"{{row}}.state IN ({_FINAL})"),  # not each second of a running one
    Watched("papers_verdict", "verdict"),
)
_EVENTS = ("insert", "update", "delete")
_XID = "pg_current_xact_id()::text::bigint"
_SQLITE_NOW = "strftime('%Y-%m-%d %H:%M:%f', 'now')"


# ── triggers ────────────────────────────────────────────────────────────────────────────────────────────────────────
def install(connection: BaseDatabaseWrapper) -> list[str]:
    """Give every watched table its triggers, and note all rows of those that had none; the tables that were so.

    Asked for after each migration: SQLite drops a table's triggers when it makes the table anew.
    """
    tables = set(connection.introspection.table_names())
    if LOG not in tables:
        return []
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            _forget_another_servers_order(cursor)
        present = _present(connection, cursor)
        bare = [one for one in WATCHED if one.table in tables and not set(_names(one)) <= present]
        for one in bare:
            for statement in _statements(connection.vendor, one):
                cursor.execute(statement)
            if not one.is_part:
                cursor.execute(_note_all_rows(connection.vendor, one))
    return [one.table for one in bare]


def remove(connection: BaseDatabaseWrapper) -> None:
    """Take all triggers away: before a migration that makes the log anew, or takes it away."""
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        present = _present(connection, cursor)
        for one in WATCHED:
            for name in set(_names(one)) & present:
                where = f" ON {one.table}" if connection.vendor == "postgresql" else ""
                cursor.execute(f"DROP TRIGGER {name}{where}")


def _names(one: Watched) -> list[str]:
    return [f"change_log_{_VERSION}_{one.table}_{event}" for event in _EVENTS]


def _present(connection: BaseDatabaseWrapper, cursor: Any) -> set[str]:
    if connection.vendor == "postgresql":
        cursor.execute("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'change_log_%'")
    else:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'change_log_%'")
    return {name for (name,) in cursor.fetchall()}


def _statements(vendor: str, one: Watched) -> Iterable[str]:
    """What makes the triggers of a table. A part of a record that moves changes both records."""
    make = _of_postgresql if vendor == "postgresql" else _of_sqlite
    for event, name in zip(_EVENTS, _names(one), strict=True):
        row = "OLD" if event == "delete" else "NEW"
        word = "update" if one.is_part else event
        when = [one.only.format(row=row)] if one.only else []
        notes = [(row, word)]
        if one.is_part and event == "update":
            notes.append(("OLD", word))
        yield from make(one, name, event, when, notes)


def _of_sqlite(one: Watched, name: str, event: str, when: list[str], notes: list[tuple[str, str]]) -> Iterable[str]:
    condition = f" WHEN {when[0]}" if when else ""
    body = " ".join(
        f"INSERT INTO {LOG} (kind, record, operation, txid, at) "  # noqa: S608 - our own words
        f"VALUES ('{one.kind}', {row}.{one.column}, '{word}', 0, {_SQLITE_NOW});"
        for row, word in notes
    )
    yield f"CREATE TRIGGER {name} AFTER {event.upper()} ON {one.table} FOR EACH ROW{condition} BEGIN {body} END"


def _of_postgresql(one: Watched, name: str, event: str, when: list[str], notes: list[tuple[str, str]]) -> Iterable[str]:
    condition = f" WHEN ({when[0]})" if when else ""
    body = " ".join(
        f"INSERT INTO {LOG} (kind, record, operation, txid, at) "  # noqa: S608 - our own words
        f"VALUES ('{one.kind}', {row}.{one.column}, '{word}', {_XID}, clock_timestamp());"
        for row, word in notes
    )
    yield f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$"
    yield (
        f"CREATE TRIGGER {name} AFTER {event.upper()} ON {one.table} FOR EACH ROW{condition} EXECUTE FUNCTION {name}()"
    )


def _note_all_rows(vendor: str, one: Watched) -> str:
    """Who wrote them unseen is not known; a mirror reads them once more."""
    xid, now = (_XID, "clock_timestamp()") if vendor == "postgresql" else ("0", _SQLITE_NOW)
    only = f" WHERE {one.only.format(row=one.table)}" if one.only else ""
    return (
        f"INSERT INTO {LOG} (kind, record, operation, txid, at) "  # noqa: S608 - our own words
        f"SELECT '{one.kind}', id, 'insert', {xid}, {now} FROM {one.table}{only} ORDER BY id"
    )


def _forget_another_servers_order(cursor: Any) -> None:
    """After a restore into another server its transaction ids mean nothing here: all entries become the oldest.

    Every reader is then told to start anew, since its place is gone.
    """
    cursor.execute(
        f"UPDATE {LOG} SET txid = 0 WHERE EXISTS (SELECT 1 FROM {LOG} "  # noqa: S608 - our own words
        "WHERE txid >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint)"
    )


# ── where a reader is ───────────────────────────────────────────────────────────────────────────────────────────────
class CursorError(ValueError):
    """A cursor that cannot be gone on from. `is_old`: it was good once."""

    def __init__(self, message: str, *, is_old: bool = False) -> None:
        super().__init__(message)
        self.is_old = is_old


@dataclass(frozen=True)
class Place:
    """The last entry that a reader has seen. Its time tells it from an entry of another log with the same ids."""

    txid: int = 0
    pk: int = 0
    stamp: int = 0

    @classmethod
    def of(cls, entry: RecordChange) -> "Place":
        return cls(entry.txid, entry.pk, _microseconds(entry.at))

    @classmethod
    def read(cls, cursor: str) -> "Place":
        """Raises: CursorError where it is none of ours."""
        try:
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            version, *numbers = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii").split(".")
            txid, pk, stamp = (int(number) for number in numbers if number.isdigit() and len(number) < 19)
        except (UnicodeError, binascii.Error, ValueError):
            version = ""
        if version != "c1":
            raise CursorError("is no cursor of this service; leave it out to start from the beginning")
        return cls(txid, pk, stamp)

    def write(self) -> str:
        text = f"c1.{self.txid}.{self.pk}.{self.stamp}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def check(self) -> None:
        """Raises: CursorError where the entry is not in this log (any more)."""
        if self == Place():
            return
        entry = RecordChange.objects.filter(pk=self.pk, txid=self.txid).first()
        if entry is not None and _microseconds(entry.at) == self.stamp:
            return
        kept = timezone.now() - timedelta(days=settings.CHANGES_KEPT_DAYS)
        if self.stamp < _microseconds(kept):
            raise CursorError(
                f"is older than the {settings.CHANGES_KEPT_DAYS} days that are kept; start from the beginning, "
                "or from an export",
                is_old=True,
            )
        raise CursorError(
            "is not of this database (it may have been restored from a backup); start from the beginning, or from an export",
            is_old=True,
        )


def head() -> Place:
    """The newest place that is settled."""
    entry = RecordChange.objects.settled().reverse().first()
    return Place.of(entry) if entry else Place()


def _microseconds(at: datetime) -> int:
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def prune(now: datetime | None = None) -> int:
    """Drop entries that are older than what is kept and were followed by another of the same record; how many.

    The newest entry of each record stays, so that starting from the beginning always gives everything.
    """
    oldest = (now or timezone.now()) - timedelta(days=settings.CHANGES_KEPT_DAYS)
    behind = Q(txid__gt=OuterRef("txid")) | Q(txid=OuterRef("txid"), pk__gt=OuterRef("pk"))
    later = RecordChange.objects.filter(behind, kind=OuterRef("kind"), record=OuterRef("record"))
    superseded = RecordChange.objects.filter(Exists(later), at__lt=oldest)
    removed, _ = superseded.delete()
    return removed


def install_after_migrating(using: str = "default", **kwargs: Any) -> None:
    install(connections[using])


def remove_before_migrating(using: str = "default", plan: Any = (), **kwargs: Any) -> None:
    """SQLite refuses to rename a table anew while a trigger names one that is away; they come back afterwards."""
    if connections[using].vendor == "sqlite" and any(step.app_label == "papers" for step, _ in plan or ()):
        remove(connections[using])
