"""Whether a schema still keeps what an earlier one promised: what was there is there, and takes and gives as much."""

from collections.abc import Iterator
from typing import Any

METHODS = ("get", "post", "put", "patch", "delete")
Schema = dict[str, Any]
DEEPEST = 12


def breaking_changes(before: Schema, after: Schema) -> list[str]:
    """A sentence for each promise that is broken; additions break none."""
    return list(dict.fromkeys(_Comparison(before, after).all()))


class _Comparison:
    def __init__(self, before: Schema, after: Schema) -> None:
        self.before, self.after = before, after

    def all(self) -> Iterator[str]:
        for path, operations in self.before["paths"].items():
            if path not in self.after["paths"]:
                yield f"{path} is gone."
                continue
            for method in METHODS:
                if method not in operations:
                    continue
                name = f"{method.upper()} {path}"
                if method not in self.after["paths"][path]:
                    yield f"{name} is gone."
                else:
                    yield from self._operation(name, operations[method], self.after["paths"][path][method])

    def _operation(self, name: str, before: Schema, after: Schema) -> Iterator[str]:
        yield from self._parameters(name, before, after)
        if {} in before.get("security", []) and {} not in after.get("security", [{}]):
            yield f"{name} asks for a token now."
        old, new = _contents(before.get("requestBody", {})), _contents(after.get("requestBody", {}))
        if not old and after.get("requestBody", {}).get("required"):
            yield f"{name} asks for a body now."
        for media, schema in old.items():
            if media not in new:
                yield f"{name} no longer takes {media}."
            else:
                yield from self._taken(f"{name}, body", schema, new[media], 0)
        for status, response in before["responses"].items():
            if not status.startswith("2"):
                continue
            if status not in after["responses"]:
                yield f"{name} no longer answers with {status}."
                continue
            given = _contents(after["responses"][status])
            for media, schema in _contents(response).items():
                if media not in given:
                    yield f"{name} no longer gives {media}."
                else:
                    yield from self._given(f"{name}, answer", schema, given[media], 0)

    def _parameters(self, name: str, before: Schema, after: Schema) -> Iterator[str]:
        old = {(one["in"], one["name"]): one for one in before.get("parameters", [])}
        new = {(one["in"], one["name"]): one for one in after.get("parameters", [])}
        for key, one in old.items():
            if key not in new:
                yield f"{name}: the parameter {key[1]} is gone."
            else:
                if new[key].get("required") and not one.get("required"):
                    yield f"{name}: the parameter {key[1]} is required now."
                yield from self._taken(f"{name}: the parameter {key[1]}", one["schema"], new[key]["schema"], 0)
        for key, one in new.items():
            if key not in old and one.get("required"):
                yield f"{name}: the new parameter {key[1]} is required."

    # ── what is sent: it may be taken as before, or more ────────────────────────────────────────────────────────────
    def _taken(self, where: str, before: Schema, after: Schema, depth: int) -> Iterator[str]:
        before, after = self._resolved(before, self.before), self._resolved(after, self.after)
        if depth > DEEPEST:
            return
        if lost := _types(before) - _types(after):
            yield f"{where} no longer takes {_words(lost)}."
        if "enum" in before and (gone := _lost(before["enum"], after.get("enum"))):
            yield f"{where} no longer takes {_words(gone)}."
        if "enum" in after and "enum" not in before:
            yield f"{where} takes only some values now."
        for bound, sign in (("minimum", 1), ("minLength", 1), ("minItems", 1), ("maximum", -1), ("maxLength", -1), ("maxItems", -1)):  # fmt: skip
            if bound in after and (bound not in before or sign * after[bound] > sign * before[bound]):
                yield f"{where} has a narrower {bound} now, {after[bound]}."
        for field in sorted(set(after.get("required", [])) - set(before.get("required", []))):
            yield f"{where}: the field {field} is required now."
        yield from self._inside(where, before, after, depth, self._taken)

    # ── what comes back: it holds as much as before ─────────────────────────────────────────────────────────────────
    def _given(self, where: str, before: Schema, after: Schema, depth: int) -> Iterator[str]:
        before, after = self._resolved(before, self.before), self._resolved(after, self.after)
        if depth > DEEPEST:
            return
        if _types(before) and (more := (_types(after) or {"anything"}) - _types(before) - _narrower(before)):
            yield f"{where} may be {_words(more)} now."
        if "enum" in before and (gone := _lost(before["enum"], after.get("enum"))):
            yield f"{where} no longer knows {_words(gone)}."
        for field in sorted(set(before.get("required", [])) - set(after.get("required", []))):
            if field in after.get("properties", {}):
                yield f"{where}: the field {field} may be left out now."
        yield from self._inside(where, before, after, depth, self._given)

    def _inside(self, where: str, before: Schema, after: Schema, depth: int, compare: Any) -> Iterator[str]:
        for field, schema in before.get("properties", {}).items():
            if field not in after.get("properties", {}):
                yield f"{where}: the field {field} is gone."
            else:
                yield from compare(f"{where}, {field}", schema, after["properties"][field], depth + 1)
        if "items" in before and "items" in after:
            yield from compare(f"{where}, entries", before["items"], after["items"], depth + 1)

    def _resolved(self, schema: Schema, whole: Schema) -> Schema:
        """References followed, and of alternatives with null or blank the one schema with all their types and words."""
        if "$ref" in schema:
            return self._resolved(whole["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]], whole)
        for word in ("oneOf", "anyOf", "allOf"):
            if word in schema:
                merged: Schema = {}
                for one in (self._resolved(each, whole) for each in schema[word]):
                    merged = {**merged, **one, "type": sorted(_types(merged) | _types(one))}
                    if "enum" in one:
                        merged["enum"] = [*merged.get("known", []), *one["enum"]]
                        merged["known"] = merged["enum"]
                return merged
        return schema


def _contents(body: Schema) -> dict[str, Schema]:
    return {media: content.get("schema", {}) for media, content in body.get("content", {}).items()}


def _types(schema: Schema) -> set[str]:
    kinds = schema.get("type", [])
    return {kinds} if isinstance(kinds, str) else set(kinds)


def _narrower(schema: Schema) -> set[str]:
    return {"integer"} if "number" in _types(schema) else set()


def _lost(before: list[Any], after: list[Any] | None) -> list[Any]:
    return [] if after is None else [value for value in before if value not in after]


def _words(values: Any) -> str:
    return ", ".join(str(value) or "blank" for value in sorted(values, key=str))
