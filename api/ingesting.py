"""Handing in pages of papers: what they would change is told first; kept is exactly what was told."""

from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers, status
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response

from api.base import Records
from api.editing import answered
from api.errors import Problem
from api.idempotency import KEY_PARAMETER, once
from api.models import ApiToken, Scope
from api.parsers import StrictJSONParser
from api.permissions import ReadOrScopedWrite
from ingest import submissions
from ingest.models import Submission, SubmissionKind, SubmissionState
from papers.roles import INGEST, is_operator, may

ROOM = 100_000  # bytes of a body beside what is handed in
WAYS = tuple(SubmissionKind.values)
DECIDED = {"confirm": (SubmissionState.APPLYING, SubmissionState.DONE), "discard": (SubmissionState.DISCARDED,)}


class HandInSerializer(serializers.Serializer[Any]):
    """One of `text`, `target` and `file`."""

    text = serializers.CharField(
        required=False, trim_whitespace=False, help_text="A page, feed or dump of papers, in any known format."
    )
    target = serializers.CharField(
        required=False, max_length=300, help_text="Such as 2312.00752, hf:2025-03-13 or an address on a listed host."
    )
    file = serializers.FileField(required=False, help_text="As multipart/form-data.")
    dry_run = serializers.BooleanField(
        required=False, default=False, help_text="Only tell what would change; keep nothing."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given = [way for way in WAYS if way in attrs]
        if len(given) != 1:
            told = f"Give one of {', '.join(WAYS)}; {' and '.join(given) if given else 'none'} was given."
            raise serializers.ValidationError({given[1] if given else WAYS[0]: [told]})
        return attrs


class CountsSerializer(serializers.Serializer[Any]):
    """The same counts as `manage.py ingest --json`."""

    read = serializers.IntegerField()
    new = serializers.IntegerField()
    updated = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    unmatched = serializers.IntegerField()
    refused = serializers.IntegerField()


class ClaimShownSerializer(serializers.Serializer[Any]):
    figure = serializers.CharField()
    metric = serializers.CharField()
    quote = serializers.CharField()


class EntryShownSerializer(serializers.Serializer[Any]):
    title = serializers.CharField()
    line = serializers.IntegerField(allow_null=True)
    change = serializers.ChoiceField(choices=["new", "updated"])
    slug = serializers.CharField(help_text="Of a paper that is known.", allow_blank=True)
    changes = serializers.ListField(child=serializers.CharField(), help_text="What would differ in a known paper.")
    claims = ClaimShownSerializer(many=True)


class RefusalSerializer(serializers.Serializer[Any]):
    file = serializers.CharField()
    line = serializers.IntegerField(allow_null=True)
    reason = serializers.CharField()


class SubmissionSerializer(serializers.ModelSerializer[Submission]):
    url = serializers.HyperlinkedIdentityField(view_name="api-ingest-detail")
    counts = serializers.SerializerMethodField(help_text="What keeping it does or did; null while it is being read.")
    layout = serializers.SerializerMethodField(help_text="The format that was recognized.")
    shown = serializers.SerializerMethodField(help_text="The first entries that would change something.")
    refused = serializers.SerializerMethodField(help_text="The first entries that cannot be read, and why.")

    class Meta:
        model = Submission
        fields = (
            "url", "id", "kind", "name", "state", "failure", "layout", "counts", "shown", "refused", "created_at",
            "decided_at", "finished_at",
        )  # fmt: skip

    @extend_schema_field(CountsSerializer(allow_null=True))
    def get_counts(self, row: Submission) -> dict[str, int] | None:
        counts = (row.counts if row.state == SubmissionState.DONE else None) or row.preview.get("counts")
        if not counts:
            return None
        return {"read": row.preview.get("entries", 0) - row.preview["counts"]["refused"], **counts}

    def get_layout(self, row: Submission) -> str:
        return str(row.preview.get("layout", ""))

    @extend_schema_field(EntryShownSerializer(many=True))
    def get_shown(self, row: Submission) -> list[dict[str, Any]]:
        return row.preview.get("shown", [])  # type: ignore[no-any-return]

    @extend_schema_field(RefusalSerializer(many=True))
    def get_refused(self, row: Submission) -> list[dict[str, Any]]:
        return row.preview.get("refused", [])  # type: ignore[no-any-return]


class IngestersOnly(ReadOrScopedWrite):
    """Also to look: what was handed in and not kept is nobody else's business."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.method not in SAFE_METHODS:
            return super().has_permission(request, view)
        if isinstance(request.auth, ApiToken):
            return request.auth.allows(Scope.IMPORT)
        return may(request.user, INGEST)


class IngestViewSet(Records[Submission]):
    """What editors hand in: read, shown as what it would change, and kept once they say so."""

    serializer_class, write_scope = SubmissionSerializer, Scope.IMPORT
    permission_classes, is_private = (IngestersOnly,), True
    parser_classes = (StrictJSONParser, MultiPartParser, FormParser)
    max_body_bytes = settings.INGEST_UPLOAD_MAX_BYTES + ROOM

    def get_queryset(self) -> QuerySet[Submission]:
        return Submission.objects.select_related("owner").defer("pages").order_by("-pk")

    @extend_schema(
        request={"application/json": HandInSerializer, "multipart/form-data": HandInSerializer},
        parameters=[KEY_PARAMETER],
        responses={
            200: SubmissionSerializer,
            202: OpenApiResponse(
                SubmissionSerializer, description="It is still being read or kept; follow it at Location."
            ),
        },
    )
    def create(self, request: Request) -> Response:
        """Hand in a page. A short one is kept at once, unless `dry_run` asks only what it would change.

        A long one, or one that is fetched, is read by a worker and then waits for `confirm`: nothing is kept unseen.
        """
        return once(request, lambda: self._create(request))

    def _create(self, request: Request) -> Response:
        given = HandInSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        fields = given.validated_data
        found = answered(lambda: _submit(request, fields))
        found.refresh_from_db()
        if fields["dry_run"] and found.state == SubmissionState.READY:
            shown = self._as_json(found)
            submissions.discard(found, request.user)
            return Response(shown | {"state": SubmissionState.DISCARDED.value})
        if not fields["dry_run"] and found.state == SubmissionState.READY:
            submissions.confirm(found, request.user)
        found.refresh_from_db()
        body = self._as_json(found)
        is_done = found.state not in (SubmissionState.READING, SubmissionState.APPLYING)
        code = status.HTTP_200_OK if is_done else status.HTTP_202_ACCEPTED
        return Response(body, code, headers={"Location": body["url"]})

    @extend_schema(
        request=None,
        responses={202: SubmissionSerializer, 409: OpenApiResponse(description="It was decided on before, or is gone")},
    )
    @action(detail=True, methods=["post"])
    def confirm(self, request: Request, pk: str = "") -> Response:
        """Keep what was shown. Saying so twice changes nothing."""
        return self._decided(request, "confirm")

    @extend_schema(
        request=None,
        responses={202: SubmissionSerializer, 409: OpenApiResponse(description="It was decided on before, or is gone")},
    )
    @action(detail=True, methods=["post"])
    def discard(self, request: Request, pk: str = "") -> Response:
        """Throw away what was handed in; nothing is kept of it."""
        return self._decided(request, "discard")

    def _decided(self, request: Request, word: str) -> Response:
        found: Submission = self.get_object()
        if found.owner_id != request.user.pk and not is_operator(request.user):
            raise PermissionDenied("Only whoever handed it in, or an operator, decides what becomes of it.")
        done = (submissions.confirm if word == "confirm" else submissions.discard)(found, request.user)
        found.refresh_from_db()
        if not done and found.state not in DECIDED[word]:
            told = f"It cannot be decided on now: it is {found.get_state_display().lower()}."
            raise Problem(status.HTTP_409_CONFLICT, told)
        return Response(self._as_json(found), status.HTTP_202_ACCEPTED)

    def _as_json(self, found: Submission) -> dict[str, Any]:
        return dict(SubmissionSerializer(found, context={"request": self.request}).data)


def _submit(request: Request, fields: dict[str, Any]) -> Submission:
    """Raises: FieldError; Problem where it is too large or of a kind that is not read."""
    most = settings.INGEST_UPLOAD_MAX_BYTES
    if "target" in fields:
        return submissions.submit_target(request.user, fields["target"])
    if "text" in fields:
        _check_size("text", len(fields["text"].encode("utf-8", "replace")), most)
        return submissions.submit_text(request.user, fields["text"])
    file: UploadedFile[bytes] = fields["file"]
    _check_size("file", file.size or 0, most)
    return submissions.submit_file(request.user, file.name or "", file.read())


def _check_size(field: str, size: int, most: int) -> None:
    if size > most:
        told = f"Has {size} bytes; at most {most} are taken. Larger ones: manage.py ingest."
        raise Problem(status.HTTP_413_REQUEST_ENTITY_TOO_LARGE, told, field)
