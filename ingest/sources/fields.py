"""Values of JSON objects that someone else wrote: the kind that is wanted, or nothing."""

from collections.abc import Iterable, Mapping

from ingest.sources.base import one_line

_MOST = 10**9


def text(value: object) -> str:
    """One line of text; "" for anything that is none."""
    return one_line(value) if isinstance(value, str) else ""


def texts(value: object) -> tuple[str, ...]:
    """The texts of a list that are not blank."""
    items: Iterable[object] = value if isinstance(value, list) else ()
    return tuple(found for item in items if (found := text(item)))


def people(value: object) -> tuple[str, ...]:
    """Names of a list of texts, or of objects with a "name"."""
    items: Iterable[object] = value if isinstance(value, list) else ()
    return tuple(name for item in items if (name := text(item.get("name") if isinstance(item, Mapping) else item)))


def count(value: object) -> int | None:
    """A number of votes or authors; None for anything below zero, or too large to be one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST else None


def flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
