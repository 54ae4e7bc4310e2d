"""Faults that no view of the API answers: unknown addresses, refused hosts, broken code. All become problem+json."""

import json
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

PROBLEM = "application/problem+json"


def problem_body(status: int, detail: str, errors: list[dict[str, str]] | None = None) -> dict[str, Any]:
    """RFC 9457; `errors` names the fields at fault."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "errors": errors or [],
    }


def problem(status: int, detail: str, field: str = "", headers: dict[str, str] | None = None) -> HttpResponse:
    body = problem_body(status, detail, [{"field": field, "message": detail}] if field else None)
    return HttpResponse(json.dumps(body), status=status, content_type=PROBLEM, headers=headers)


def as_problem(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The answer itself, or a problem in place of a page that tells people of a fault."""
    if response.status_code < 400 or response.get("Content-Type", "").startswith(PROBLEM):
        return response
    made = problem(response.status_code, _told(request, response.status_code))
    for name in ("Allow", "Retry-After", "WWW-Authenticate"):
        if name in response:
            made[name] = response[name]
    return made


def _told(request: HttpRequest, status: int) -> str:
    if status == HTTPStatus.NOT_FOUND:
        slash = " Addresses have no slash at their end." if request.path.endswith("/") else ""
        return f"There is nothing at this address.{slash} What there is: /api/v1/schema, /api/v1/docs."
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"This address does not answer to {request.method}."
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "The server failed. The operator's log has the details; the request may be sent again."
    if status == HTTPStatus.BAD_REQUEST:
        return "The request is malformed: its host, address or headers cannot be read."
    return HTTPStatus(status).description or HTTPStatus(status).phrase
