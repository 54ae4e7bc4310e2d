"""Reading one table of a card: each value is checked where it is read, and what nobody read is an unknown key."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

REQUIRED: Any = object()


class CardError(ValueError):
    """A card cannot be used. The message reads "<file>: <field>: what was wrong; what would be right"."""


class Fields:
    """One table of a TOML file and the place where it stands, for error messages.

    Every reader takes `default`; without one the key is required. `finish()` refuses keys that were never read.
    """

    def __init__(self, path: Path, prefix: str, values: dict[str, Any]) -> None:
        self._path = path
        self._prefix = prefix
        self._values = values
        self._known: set[str] = set()

    def error(self, key: str, wrong: str, right: str) -> CardError:
        """The error to raise about `key` of this table."""
        return CardError(f"{self._path}: {self._prefix}{key}: {wrong}; {right}")

    def has(self, key: str) -> bool:
        return key in self._values

    def text(
        self, key: str, *, default: Any = REQUIRED, choices: Sequence[str] | None = None, pattern: str | None = None
    ) -> str:
        value = self._get(key, default)
        if value is default:
            return str(value)
        if not isinstance(value, str):
            raise self.error(key, f"{value!r} is not a string", "write it in quotes")
        value = value.strip()
        if not value and not (choices and "" in choices):
            raise self.error(key, "is empty", "write it, or leave the key out where it is optional")
        self._check_text(key, value, choices, pattern)
        return value

    def texts(self, key: str, *, default: Any = REQUIRED, choices: Sequence[str] | None = None) -> tuple[str, ...]:
        value = self._get(key, default)
        if value is default:
            return tuple(value)
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value) or not value:
            raise self.error(key, f"{value!r} is not a list of strings", 'write it as ["a", "b"]')
        for each in value:
            self._check_text(key, each, choices, None)
        if len(set(value)) != len(value):
            raise self.error(key, f"{value!r} repeats itself", "name each once")
        return tuple(value)

    def integer(self, key: str, *, default: Any = REQUIRED, low: int = 0, high: int | None = None) -> int:
        value = self._get(key, default)
        if value is default:
            return int(value)
        self._check_integer(key, value, low, high)
        return int(value)

    def integers(self, key: str, *, default: Any = REQUIRED, low: int = 0) -> tuple[int, ...]:
        value = self._get(key, default)
        if value is default:
            return tuple(value)
        if not isinstance(value, list):
            raise self.error(key, f"{value!r} is not a list of whole numbers", "write it as [1, 2]")
        for each in value:
            self._check_integer(key, each, low, None)
        return tuple(value)

    def number(self, key: str, *, default: Any = REQUIRED, above: float = -math.inf) -> float | None:
        value = self._get(key, default)
        if value is default:
            return None if value is None else float(value)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(key, f"{value!r} is not a number", "write a finite number without quotes")
        if value <= above:
            raise self.error(key, f"{value!r} is out of range", f"give a number above {above:g}")
        return float(value)

    def flag(self, key: str, *, default: Any = REQUIRED) -> bool | None:
        value = self._get(key, default)
        if value is not default and not isinstance(value, bool):
            raise self.error(key, f"{value!r} is neither true nor false", "write true or false without quotes")
        return None if value is None else bool(value)

    def axes(self, key: str, *, default: Any = REQUIRED, low: int = 0) -> dict[str, int]:
        """A table of whole numbers, 0 or more, by name; an axis of 0 or 1 can stand for a switch."""
        value = self._get(key, default)
        if not isinstance(value, dict) or (not value and value is not default):
            raise self.error(key, f"{value!r} is not a table of whole numbers", "write it as { batch = 1, seq = 37 }")
        for name, each in value.items():
            self._check_integer(f"{key}.{name}", each, low, None)
        return dict(value)

    def table(self, key: str, default: Any = REQUIRED) -> Fields:
        value = self._get(key, default)
        if not isinstance(value, dict):
            raise self.error(key, f"{value!r} is not a table", f"write it under [{key}]")
        return Fields(self._path, f"{self._prefix}{key}.", value)

    def tables(self, key: str, default: Any = REQUIRED) -> list[Fields]:
        """An array of tables; in messages each goes by its name or key where it has one, else by its position."""
        value = self._get(key, default)
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self.error(key, f"{value!r} is not an array of tables", f"write each under [[{key}]]")
        return [
            Fields(self._path, f"{self._prefix}{key}[{each.get('name') or each.get('key') or index}].", each)
            for index, each in enumerate(value)
        ]

    def finish(self) -> None:
        """Raises CardError about the first key that no reader asked for."""
        for key in self._values:
            if key not in self._known:
                close = difflib.get_close_matches(key, self._known, n=1)
                known = ", ".join(sorted(self._known))
                right = f"did you mean {close[0]!r}?" if close else f"known here: {known}"
                raise self.error(key, "is an unknown key", right)

    def _get(self, key: str, default: Any) -> Any:
        self._known.add(key)
        if key not in self._values and default is REQUIRED:
            raise self.error(key, "is missing", "add it")
        return self._values.get(key, default)

    def _check_text(self, key: str, value: str, choices: Sequence[str] | None, pattern: str | None) -> None:
        if choices is not None and value not in choices:
            offered = ", ".join(choice for choice in choices if choice) or "nothing, as none is declared"
            raise self.error(key, f"{value!r} is unknown", f"one of {offered}")
        if pattern is not None and not re.fullmatch(pattern, value):
            raise self.error(key, f"{value!r} has the wrong form", f"it must match {pattern}")

    def _check_integer(self, key: str, value: Any, low: int, high: int | None) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(key, f"{value!r} is not a whole number", "write it without quotes or point")
        if value < low or (high is not None and value > high):
            limits = f"at least {low}" if high is None else f"{low} to {high}"
            raise self.error(key, f"{value} is out of range", f"give {limits}")
