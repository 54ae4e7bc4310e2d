"""What was written, in an order in which a mirror misses nothing."""

from __future__ import annotations

from typing import ClassVar, Self

from django.db import connections, models
from django.db.models import BigIntegerField, Func


class OldestOpenTransaction(Func):
    """PostgreSQL's lowest transaction id that has not ended: all below are committed and visible, or were rolled back."""

    template = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
    output_field: ClassVar[BigIntegerField[int, int]] = BigIntegerField()


class RecordChangeQuerySet(models.QuerySet["RecordChange"]):
    def settled(self) -> Self:
        """Entries before which none can appear any more, in their order."""
        ordered = self.order_by("txid", "pk")
        if connections[self.db].vendor == "postgresql":
            return ordered.filter(txid__lt=OldestOpenTransaction())
        return ordered  # SQLite has one writer at a time, so that ids rise in the order of commits

    def after(self, txid: int, pk: int) -> Self:
        """Entries behind that place. Compared as a pair, so that an index leads there at once."""
        pair = '("papers_change_log"."txid", "papers_change_log"."id") > (%s, %s)'
        behind: Self = self.extra(where=[pair], params=[txid, pk])  # type: ignore[assignment]  # noqa: S610 - our own words
        return behind


class RecordChange(models.Model):
    """A record was written. Triggers of the database make these rows; see papers/change_log.py.

    It says which record, not what it says now: whoever follows the log reads the record as it is, so that the order of
    two transactions that wrote one record does not matter. `txid` is PostgreSQL's id of the transaction (an xid8, which
    a bigint holds); 0 elsewhere.
    """

    kind = models.CharField(max_length=20)
    record = models.BigIntegerField()
    operation = models.CharField(max_length=6)
    txid = models.BigIntegerField(default=0)
    at = models.DateTimeField()

    objects = RecordChangeQuerySet.as_manager()

    class Meta:
        db_table = "papers_change_log"
        ordering = ["txid", "id"]
        indexes = [
            models.Index(fields=["txid", "id"], name="change_by_order"),
            models.Index(fields=["kind", "record"], name="change_by_record"),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.kind} {self.record}"
