"""What a column holds, and how a value looks in JSON and CSV. No Django here."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

ColumnType = Literal["text", "integer", "number", "boolean", "date", "time", "texts", "json"]


@dataclass(frozen=True)
class Column:
    """`about` is a sentence for people; `is_text_of_others`: a passage of a paper, left out unless asked for."""

    name: str
    type: ColumnType
    about: str = ""
    is_text_of_others: bool = False


def as_json(value: Any) -> Any:
    """The value as JSON knows it; a number that is none (NaN) becomes null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): as_json(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(inner) for inner in value]
    return value


def json_text(value: Any) -> str:
    """One line, keys sorted, so that the same record is always the same text."""
    return json.dumps(as_json(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def cell(value: Any, kind: ColumnType) -> str:
    """The value as a spreadsheet takes it for data: text that would start a formula gets an apostrophe before it."""
    if value is None:
        return ""
    if kind in ("texts", "json"):
        text = json_text(value)
    elif kind == "boolean":
        return "true" if value else "false"
    elif kind in ("integer", "number", "date", "time"):
        plain = as_json(value)
        return "" if plain is None else str(plain)  # a negative number is no formula
    else:
        text = str(value)
    return f"'{text}" if text.startswith(_STARTS_FORMULA) else text
