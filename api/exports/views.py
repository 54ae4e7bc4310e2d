"""Exports for people and programs: a page, a list, and the files themselves."""

from typing import Any

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import http_date, quote_etag
from django.views.decorators.http import etag, require_safe
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.base import Endpoint
from api.exports.catalogue import MANIFEST, SUMS, Export, export_named, exports, media_type
from api.exports.licence import licence
from api.exports.tables import SCHEMA_VERSION, TABLES

_FOR_EVER = "public, max-age=31536000, immutable"


class LicenceSerializer(serializers.Serializer[Any]):
    spdx = serializers.CharField(help_text="SPDX id of the licence of our records.")
    url = serializers.URLField()
    note = serializers.CharField(help_text="What the licence does not cover.")


class ExportTableSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    about = serializers.CharField()
    rows = serializers.IntegerField()


class ExportFileSerializer(serializers.Serializer[Any]):
    path = serializers.CharField()
    url = serializers.URLField()
    table = serializers.CharField()
    format = serializers.CharField(help_text="jsonl, csv, parquet or papers-with-code.")
    rows = serializers.IntegerField()
    bytes = serializers.IntegerField()
    sha256 = serializers.CharField()


class ExportSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="The moment that it shows, in UTC.")
    made_at = serializers.DateTimeField()
    schema = serializers.IntegerField(help_text="Rises when a column changes its meaning or goes.")
    texts = serializers.BooleanField(help_text="Whether it holds abstracts and quotes.")
    changes_cursor = serializers.CharField(help_text="Follow `changes` from here to stay up to date.")
    manifest_url = serializers.URLField()
    sums_url = serializers.URLField()
    tables = ExportTableSerializer(many=True)
    files = ExportFileSerializer(many=True)


class ExportListSerializer(serializers.Serializer[Any]):
    licence = LicenceSerializer()
    schema = serializers.IntegerField()
    exports = ExportSerializer(many=True, help_text="Newest first.")


_EXAMPLE = {
    "licence": {
        "spdx": "CC-BY-4.0",
        "url": "https://spdx.org/licenses/CC-BY-4.0.html",
        "note": "Abstracts ... are left out.",
    },
    "schema": SCHEMA_VERSION,
    "exports": [],
}


class ExportsView(Endpoint):
    """Whole copies of the records as files, newest first, with their SHA-256 sums."""

    @extend_schema(
        operation_id="exports_list",
        responses=ExportListSerializer,
        examples=[OpenApiExample("No export was made yet", value=_EXAMPLE, response_only=True)],
    )
    def get(self, request: Request) -> Response:
        found = [described(one, request) for one in exports(settings.EXPORT_DIR)]
        return Response({"licence": licence().to_json(), "schema": SCHEMA_VERSION, "exports": found})


def described(export: Export, request: Request | HttpRequest) -> dict[str, Any]:
    """What an API says of an export, with whole addresses."""

    def address(path: str) -> str:
        return request.build_absolute_uri(reverse("export-file", args=[export.name, path]))

    said = export.manifest
    return {
        **{name: said[name] for name in ("name", "made_at", "schema", "texts", "changes_cursor")},
        "manifest_url": address(MANIFEST),
        "sums_url": address(SUMS),
        "tables": [{name: table[name] for name in ("name", "about", "rows")} for table in said["tables"]],
        "files": [{**one, "url": address(one["path"])} for one in export.files],
    }


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    found = [described(one, request) for one in exports(settings.EXPORT_DIR)]
    context = {"exports": found, "newest": found[0] if found else None, "tables": TABLES, "licence": licence()}
    return render(request, "exports/exports.html", context)


def _etag(request: HttpRequest, name: str, path: str) -> str | None:
    export = export_named(settings.EXPORT_DIR, name)
    digest = export.sum_of(path) if export else None
    return quote_etag(digest) if digest else None


@require_safe
@etag(_etag)
def file(request: HttpRequest, name: str, path: str) -> HttpResponseBase:
    """A file that the export's own manifest names, and nothing else. It never changes."""
    export = export_named(settings.EXPORT_DIR, name)
    if export is None or (path not in (MANIFEST, SUMS) and export.sum_of(path) is None):
        raise Http404("No such file is in an export.")
    try:
        opened = (export.folder / path).open("rb")
    except OSError:
        raise Http404("This export was removed.") from None
    answer = FileResponse(opened, content_type=media_type(path))
    answer["Cache-Control"] = _FOR_EVER
    answer["Last-Modified"] = http_date(export.made_at.timestamp())
    if path not in (MANIFEST, SUMS):
        answer["Content-Disposition"] = f'attachment; filename="speedproof-{export.name}-{path}"'
    return answer
