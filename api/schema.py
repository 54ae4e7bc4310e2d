"""What the schema says beside what views declare: faults, headers, validators and an example, alike for every operation."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework.permissions import SAFE_METHODS
from rest_framework.serializers import Serializer

from api.problems import PROBLEM
from api.queries import FIELDS, SparseFields

EXAMPLES = Path(__file__).parent / "examples.json"
METHODS = ("get", "post", "put", "patch", "delete")
TEXT_HEADER = {"schema": {"type": "string"}}
NUMBER_HEADER = {"schema": {"type": "integer", "minimum": 0}}
RATES = {
    "RateLimit-Limit": {"description": "Requests that are allowed in a minute.", **NUMBER_HEADER},
    "RateLimit-Remaining": {"description": "Requests that are left.", **NUMBER_HEADER},
    "RateLimit-Reset": {"description": "Seconds until one more is allowed.", **NUMBER_HEADER},
}
RATE_REFERENCES = {name: {"$ref": f"#/components/headers/{name.replace('-', '')}"} for name in RATES}
PROBLEM_SCHEMA = {
    "type": "object",
    "description": "A fault (RFC 9457), with the fields that are to blame.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for people."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
                "required": ["field", "message"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "errors"],
}
FAULTS = {
    "400": "Bad input; `errors` names the field, what was wrong and what would be right",
    "401": "The token is unknown, expired or revoked, or none was sent where one is needed",
    "403": "The account or the token may not do this",
    "404": "There is no such record",
    "405": "The address does not answer to this method",
    "406": "There is no representation of the kind that Accept names",
    "409": "The record is in a state that does not allow it",
    "412": "The record is no longer the version that If-Match names",
    "413": "The body is too large",
    "415": "The body is of a kind that is not taken",
    "422": "The Idempotency-Key was used for another request",
    "429": "Too many requests; come back after Retry-After seconds",
    "500": "The server failed; the operator's log has the details",
    "503": "It cannot be done just now; come back after Retry-After seconds",
}


class ApiSchema(AutoSchema):
    def get_override_parameters(self) -> list[Any]:
        listed = getattr(self.view, "action", "") in ("list", "retrieve")
        return [_fields_parameter(self.view)] if listed and isinstance(self.view, SparseFields) else []

    def get_auth(self) -> list[Any]:
        """Reading, and what computes without writing, is for everybody; a token only changes the rate."""
        auth: list[Any] = super().get_auth()
        is_open = self.method in SAFE_METHODS and not getattr(self.view, "is_private", False)
        return [{}, *auth] if is_open or getattr(self.view, "open_post", False) else auth


def _fields_parameter(view: Any) -> OpenApiParameter:
    names = list(_names(view.get_serializer()))
    return OpenApiParameter(
        FIELDS,
        {"type": "array", "minItems": 1, "items": {"type": "string", "enum": names}},
        style="form",
        explode=False,
        description="Only these fields; dots lead into records, as in `title,claims.value`.",
    )


def _names(serializer: Any, path: str = "") -> Iterator[str]:
    inner = getattr(serializer, "child", serializer)
    for name, field in getattr(inner, "fields", {}).items():
        yield path + name
        if isinstance(getattr(field, "child", field), Serializer):
            yield from _names(field, f"{path}{name}.")


@cache
def examples() -> dict[str, Any]:
    """By method and path what may be sent and what comes back; made by tests/api/test_schema.py from real answers."""
    found: dict[str, Any] = json.loads(EXAMPLES.read_text(encoding="utf-8")) if EXAMPLES.exists() else {}
    return found


def complete(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """A hook of drf-spectacular."""
    components = result["components"]
    components["schemas"]["Problem"] = PROBLEM_SCHEMA
    components["headers"] = {name.replace("-", ""): told for name, told in RATES.items()}
    components["responses"] = {f"Fault{status}": _fault(status, told) for status, told in FAULTS.items()}
    for path, operations in result["paths"].items():
        for method in METHODS:
            if method in operations:
                _complete(path, method, operations[method])
    return result


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    responses, parameters = operation["responses"], operation.setdefault("parameters", [])
    for status in _faults_of(path, method, operation):
        told = responses.get(status, {}).get("description")
        responses[status] = _fault(status, told) if told else {"$ref": f"#/components/responses/Fault{status}"}
    if method == "get" and "text/event-stream" not in responses["200"].get("content", {}):
        parameters.append(_header("If-None-Match", "The ETag that you have; 304 where it is still right."))
        responses["304"] = {"description": "What you have is still right."}
        responses["200"].setdefault("headers", {})["ETag"] = {"required": True, **TEXT_HEADER}
    if method == "patch":
        parameters.append(_header("If-Match", "The ETag of the version that you mean to change; 412 where it is gone."))
    for response in responses.values():
        if "$ref" not in response:
            response.setdefault("headers", {}).update(RATE_REFERENCES)
    _add_example(f"{method.upper()} {path}", operation)


def _fault(status: str, told: str) -> dict[str, Any]:
    headers: dict[str, Any] = dict(RATE_REFERENCES)
    if status in ("429", "503"):
        headers["Retry-After"] = {"required": status == "429", **NUMBER_HEADER}
    content = {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": told, "content": content, "headers": headers}


def _faults_of(path: str, method: str, operation: dict[str, Any]) -> list[str]:
    names = {one["name"] for one in operation["parameters"]}
    is_open = {} in operation.get("security", [])
    found = {"400", "401", "406", "429", "500"}
    found |= {"404"} if "{" in path or "page" in names else set()
    found |= {"403"} if not is_open else set()
    found |= {"413", "415"} if "requestBody" in operation else set()
    found |= {"412"} if method in ("get", "patch") else set()
    found |= {"422", "409"} if "Idempotency-Key" in names else set()
    # Declared by the view with a sentence of its own.
    found |= {status for status in ("403", "404", "409", "503") if status in operation["responses"]}
    return sorted(found)


def _header(name: str, description: str) -> dict[str, Any]:
    return {"in": "header", "name": name, "description": description, "schema": {"type": "string"}}


def _add_example(key: str, operation: dict[str, Any]) -> None:
    known = examples().get(key)
    if known is None:
        return
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        if "request" in known and media == "application/json":
            content["examples"] = {"usual": {"value": known["request"]}}
    for content in operation["responses"].get(known["status"], {}).get("content", {}).values():
        content["examples"] = {"usual": {"value": known["response"]}}
