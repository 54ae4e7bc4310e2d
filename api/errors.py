"""Errors as problem+json (RFC 9457) that name the field."""

from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler


class Problem(exceptions.APIException):
    """A request that cannot be done, with the field at fault where there is one."""

    def __init__(self, status: int, detail: str, field: str = "") -> None:
        self.status_code = status
        super().__init__({field: [detail]} if field else detail)


def problem_response(fault: Exception, context: dict[str, Any]) -> Response | None:
    """What DRF calls for each exception; None leaves it to Django's own handling."""
    response = exception_handler(fault, context)
    if response is None:
        return None
    if isinstance(fault, Http404):
        fault = exceptions.NotFound()
    elif isinstance(fault, PermissionDenied):
        fault = exceptions.PermissionDenied()
    fields, detail = _fields_of(getattr(fault, "detail", ""))
    response.data = {
        "type": "about:blank",
        "title": HTTPStatus(response.status_code).phrase,
        "status": response.status_code,
        "detail": detail,
        "errors": fields,
    }
    response.content_type = "application/problem+json"
    return response


def _fields_of(detail: Any, prefix: str = "") -> tuple[list[dict[str, str]], str]:
    """DRF's nested detail as a flat list of {field, message}, and one sentence for people."""
    if isinstance(detail, dict):
        fields = []
        for name, inner in detail.items():
            path = f"{prefix}.{name}" if prefix else str(name)
            found, _ = _fields_of(inner, path)
            fields += found
        return fields, " ".join(f"{f['field']}: {f['message']}" for f in fields)
    if isinstance(detail, list):
        fields = [f for inner in detail for f in _fields_of(inner, prefix)[0]]
        return fields, " ".join(f["message"] for f in fields)
    return ([{"field": prefix, "message": str(detail)}] if prefix else []), str(detail)
