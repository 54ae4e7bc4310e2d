"""Errors of views as problem+json (RFC 9457) that name the field."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from api.problems import PROBLEM, problem_body


class Problem(exceptions.APIException):
    """A request that cannot be done, with the field at fault where there is one."""

    def __init__(self, status: int, detail: str, field: str = "", retry_after_s: int | None = None) -> None:
        self.status_code = status
        if retry_after_s is not None:
            self.wait = retry_after_s  # DRF makes Retry-After of it
        super().__init__({field: [detail]} if field else detail)


def problem_response(fault: Exception, context: dict[str, Any]) -> Response | None:
    """What DRF calls for each exception; None leaves it to Django's own handling, and `as_problem` to the answer."""
    response = exception_handler(fault, context)
    if response is None:
        return None
    if isinstance(fault, Http404):
        fault = exceptions.NotFound("There is no such record here.")
    elif isinstance(fault, PermissionDenied):
        fault = exceptions.PermissionDenied()
    fields, detail = _fields_of(getattr(fault, "detail", ""))
    if isinstance(fault, exceptions.UnsupportedMediaType):
        detail += f" Send one of: {', '.join(parser.media_type for parser in context['view'].get_parsers())}."
    if isinstance(fault, exceptions.NotAcceptable):
        detail = f"Accept: what there is: {', '.join(one.media_type for one in context['view'].get_renderers())}."
        fields = [{"field": "Accept", "message": detail}]
    response.data = problem_body(response.status_code, detail, fields)
    response.content_type = PROBLEM
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
