"""The newest export as Croissant 1.0: what its files are, their sums, and what each column holds."""

from typing import Any

from django.conf import settings
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from api.base import Endpoint
from api.errors import Problem
from api.exports.catalogue import Export, exports, media_type
from api.exports.views import described

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_TYPES = {
    "text": "sc:Text", "integer": "sc:Integer", "number": "sc:Float", "boolean": "sc:Boolean", "date": "sc:Date",
    "time": "sc:DateTime", "texts": "sc:Text", "json": "sc:Text",
}  # fmt: skip
_PREFERRED = ("parquet", "csv", "jsonl")


class JsonLdRenderer(JSONRenderer):
    media_type = "application/ld+json"


class CroissantView(Endpoint):
    """The newest export described in Croissant, with the address and SHA-256 of every file."""

    renderer_classes = (JsonLdRenderer, JSONRenderer)

    @extend_schema(
        operation_id="croissant_metadata",
        responses={
            (200, "application/ld+json"): OpenApiTypes.OBJECT,
            404: OpenApiResponse(description="No export was made on this installation yet."),
        },
    )
    def get(self, request: Request) -> Response:
        newest = next(iter(exports(settings.EXPORT_DIR)), None)
        if newest is None:
            raise Problem(
                404, "No export was made on this installation yet; an operator makes one with manage.py export_data."
            )
        return Response(croissant(newest, described(newest, request), request.build_absolute_uri(reverse("exports"))))


def croissant(export: Export, said: dict[str, Any], page: str) -> dict[str, Any]:
    """`said` is what the API tells of the export, with addresses."""
    manifest = export.manifest
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "speedproof",
        "description": "ML-efficiency techniques: papers, what they claim, what can be run, and what was measured. "
        + manifest["licence"]["note"],
        "license": manifest["licence"]["url"],
        "url": page,
        "version": f"{manifest['schema']}.0.0+{export.name}",
        "datePublished": manifest["made_at"],
        "creator": {"@type": "sc:Organization", "name": "The Speedproof authors", "url": page},
        "citeAs": f"The Speedproof authors: Speedproof data set, {export.name}. {page}",
        "isLiveDataset": True,
        "distribution": [_file(one) for one in said["files"]],
        "recordSet": [found for table in manifest["tables"] if (found := _record_set(table, said["files"]))],
    }


def _file(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": one["path"],
        "name": one["path"],
        "contentUrl": one["url"],
        "encodingFormat": media_type(one["path"]).partition(";")[0].replace("vnd.apache.parquet", "x-parquet"),
        "contentSize": f"{one['bytes']} B",
        "sha256": one["sha256"],
    }


def _record_set(table: dict[str, Any], files: list[dict[str, Any]]) -> dict[str, Any] | None:
    mine = {one["format"]: one["path"] for one in files if one["table"] == table["name"]}
    path = next((mine[form] for form in _PREFERRED if form in mine), None)
    if path is None:
        return None
    name = table["name"]
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": table["about"],
        "key": {"@id": f"{name}/id"},
        "field": [_field(name, column, path) for column in table["columns"]],
    }


def _field(table: str, column: dict[str, Any], path: str) -> dict[str, Any]:
    by_path = path.endswith(".jsonl.gz")
    extract = {"jsonPath": f"$.{column['name']}"} if by_path else {"column": column["name"]}
    field = {
        "@type": "cr:Field",
        "@id": f"{table}/{column['name']}",
        "name": column["name"],
        "description": column["about"] or column["name"].replace("_", " "),
        "dataType": _TYPES[column["type"]],
        "source": {"fileObject": {"@id": path}, "extract": extract},
    }
    if column["type"] == "texts" and path.endswith(".parquet"):
        field["repeated"] = True
    return field
