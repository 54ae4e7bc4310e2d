"""What was written since a cursor, for those who keep a copy."""

from typing import Any

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response

from api.base import Endpoint
from api.errors import Problem
from api.exports.columns import as_json
from api.exports.tables import BY_KIND, BY_NAME
from api.queries import bounded, whole_number, yes_or_no
from papers.change_log import KINDS, CursorError, Place
from papers.models import Measurement, RecordChange

MOST = 1000


class ChangeSerializer(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=list(KINDS))
    id = serializers.IntegerField(help_text="The record's key, as in exports.")
    change = serializers.ChoiceField(
        choices=["created", "updated", "withdrawn", "merged", "deleted"],
        help_text="What the record is to a reader now. `withdrawn` also of retired implementations.",
    )
    at = serializers.DateTimeField(help_text="When it was written last, among what this page lists.")
    record = serializers.DictField(
        allow_null=True,
        help_text="The record as it is now, in the columns of the export; a run with its measurements. Null if deleted.",
    )


class ChangePageSerializer(serializers.Serializer[Any]):
    changes = ChangeSerializer(many=True, help_text="Each record once, however often it was written.")
    next = serializers.CharField(help_text="Ask for this next, now or later.")
    more = serializers.BooleanField(help_text="Whether more is there already.")


_EXAMPLE = {
    "changes": [
        {
            "kind": "verdict", "id": 12, "change": "created", "at": "2026-11-25T17:20:00Z",
            "record": {"id": 12, "claim": 40, "run": 9, "outcome": "confirmed", "ratio": 1.43},
        }
    ],
    "next": "YzEuMC4xMi4w",
    "more": False,
}  # fmt: skip


class ChangesView(Endpoint):
    """Everything that was created, updated, withdrawn or merged behind a cursor, in an order that misses nothing.

    Start without `since` (or with the cursor of an export), store what each page gives, then ask for `next`. A record may
    come again unchanged: store it again. Only what is settled is listed, so a change may show up some moments after it
    was made, but never behind your cursor.
    """

    parameters = ("since", "limit", "texts")
    repeated = ("kind",)

    @extend_schema(
        operation_id="changes_list",
        parameters=[
            OpenApiParameter("since", str, description="The `next` of the last page; left out: from the beginning."),
            OpenApiParameter("limit", bounded(1, MOST), description=f"Entries to look at, 1 to {MOST}, default 200."),
            OpenApiParameter("kind", str, many=True, enum=list(KINDS), description="Only these kinds of record."),
            OpenApiParameter("texts", bool, description="Also abstracts and quotes, which belong to their authors."),
        ],
        responses={
            200: ChangePageSerializer,
            400: OpenApiResponse(description="A parameter is wrong, or the cursor is none of this service."),
            410: OpenApiResponse(description="The cursor is too old, or of another state of the database: start anew."),
        },
        examples=[OpenApiExample("One new verdict", value=_EXAMPLE, response_only=True, status_codes=["200"])],
    )
    def get(self, request: Request) -> Response:
        limit = whole_number(request, "limit", 200, 1, MOST)
        place = self._place(request.query_params.get("since", ""))
        kinds = request.query_params.getlist("kind")
        if unknown := [kind for kind in kinds if kind not in KINDS]:
            raise Problem(
                status.HTTP_400_BAD_REQUEST, f"{unknown[0][:40]!r} is not one of: {', '.join(KINDS)}.", "kind"
            )
        entries = RecordChange.objects.settled().after(place.txid, place.pk)
        if kinds:
            entries = entries.filter(kind__in=kinds)
        found = list(entries[: limit + 1])
        more, found = len(found) > limit, found[:limit]
        # The records are read after the entries, so that each is at least as new as its entry.
        changes = changes_of(found, yes_or_no(request, "texts"))
        following = Place.of(found[-1]) if found else place
        return Response({"changes": changes, "next": following.write(), "more": more})

    @staticmethod
    def _place(cursor: str) -> Place:
        if not cursor:
            return Place()
        try:
            place = Place.read(cursor[:200])
            place.check()
        except CursorError as fault:
            gone = status.HTTP_410_GONE if fault.is_old else status.HTTP_400_BAD_REQUEST
            message = str(fault)
            raise Problem(gone, message[:1].upper() + message[1:] + ".", "since") from None
        return place


def changes_of(entries: list[RecordChange], texts: bool) -> list[dict[str, Any]]:
    """Each record of the entries once, at the place of its last entry."""
    last: dict[tuple[str, int], RecordChange] = {}
    born: set[tuple[str, int]] = set()
    for entry in entries:
        key = (entry.kind, entry.record)
        last.pop(key, None)
        last[key] = entry
        if entry.operation == "insert":
            born.add(key)
    records = {
        kind: BY_KIND[kind].rows_by_key([pk for k, pk in last if k == kind], texts) for kind in {k for k, _ in last}
    }
    if "run" in records:
        _add_measurements(records["run"])
    return [
        {
            "kind": kind,
            "id": pk,
            "change": _word(records[kind].get(pk), (kind, pk) in born),
            "at": as_json(entry.at),
            "record": as_json(records[kind].get(pk)),
        }
        for (kind, pk), entry in last.items()
    ]


def _add_measurements(runs: dict[int, dict[str, Any]]) -> None:
    table = BY_NAME["measurements"]
    for run in runs.values():
        run["measurements"] = []
    keys = Measurement.objects.filter(run__in=runs).values_list("pk", flat=True)
    for figure in sorted(table.rows_by_key(keys).values(), key=lambda one: one["id"]):
        runs[figure["run"]]["measurements"].append(figure)


def _word(record: dict[str, Any] | None, is_new: bool) -> str:
    if record is None:
        return "deleted"
    if record.get("merged_into"):
        return "merged"
    if record.get("withdrawn_at") or record.get("retired_at"):
        return "withdrawn"
    return "created" if is_new else "updated"
