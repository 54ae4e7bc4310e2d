"""The documentation of the API as pages of ours: every operation of the schema by section, readable without script."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from drf_spectacular.generators import SchemaGenerator

METHODS = ("get", "post", "put", "patch", "delete")
MOST_VALUES = 8  # of an enumeration, as they are shown
_LISTED_VALUES = re.compile(
    r"\n*^\* `.*$", re.MULTILINE
)  # beneath the description of an enumeration; its kind tells them


@dataclass(frozen=True)
class Field:
    """A parameter, or a field of what is sent."""

    name: str
    kind: str
    words: str
    is_needed: bool = False


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    anchor: str
    title: str
    words: str
    needs_token: bool
    parameters: list[Field]
    sent: list[Field]
    answers: list[tuple[str, str]]


@dataclass(frozen=True)
class Section:
    name: str
    title: str
    operations: list[Operation]


@lru_cache(maxsize=1)
def sections() -> tuple[Section, ...]:
    """All of the API; the same until the code changes, so it is worked out once in a process."""
    schema = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    by_name: dict[str, list[Operation]] = {}
    for path, methods in schema["paths"].items():
        for method in METHODS:
            if operation := methods.get(method):
                name = (operation.get("tags") or ["other"])[0]
                by_name.setdefault(name, []).append(_operation(schema, path, method, operation))
    return tuple(
        Section(name, name.removesuffix(".json").replace("-", " ").capitalize(), found)
        for name, found in sorted(by_name.items())
    )


def _operation(schema: Mapping[str, Any], path: str, method: str, said: Mapping[str, Any]) -> Operation:
    title, _, words = (said.get("description") or said.get("summary") or "").partition("\n\n")
    parameters = [_resolved(schema, one) for one in said.get("parameters", ())]
    return Operation(
        method=method.upper(),
        path=path,
        anchor=said["operationId"],
        title=" ".join(title.split()),
        words=words.strip(),
        needs_token={} not in said.get("security", [{}]),
        parameters=[
            Field(
                one["name"],
                _kind(schema, one.get("schema", {})),
                one.get("description", ""),
                one.get("required", False),
            )
            for one in parameters
            if one["in"] in ("path", "query")
        ],
        sent=list(_sent(schema, said)),
        answers=[
            (code, _resolved(schema, one).get("description", "")) for code, one in sorted(said["responses"].items())
        ],
    )


def _sent(schema: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[Field]:
    content = _resolved(schema, said.get("requestBody", {})).get("content", {})
    body = _resolved(schema, content.get("application/json", {}).get("schema", {}))
    for name, one in body.get("properties", {}).items():
        if not one.get("readOnly"):
            yield Field(name, _kind(schema, one), _words(one), name in body.get("required", ()))


def _resolved(schema: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference leads to."""
    while "$ref" in part:
        found: Any = schema
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return part


def _words(part: Mapping[str, Any]) -> str:
    return _LISTED_VALUES.sub("", part.get("description", "")).strip()


def _kind(schema: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    part = _resolved(schema, part)
    if values := [str(value) for value in part.get("enum", ()) if value not in (None, "")]:
        more = f" or {len(values) - MOST_VALUES} more" if len(values) > MOST_VALUES else ""
        return ", ".join(values[:MOST_VALUES]) + more
    for way in ("allOf", "oneOf", "anyOf"):
        if kinds := [_kind(schema, one) for one in part.get(way, ())]:
            return " or ".join(dict.fromkeys(kind for kind in kinds if kind))
    if part.get("type") == "array":
        return f"list of {_kind(schema, part.get('items', {}))}"
    return str(part.get("format") or part.get("type") or "")
