"""Needs from files of JSON lines, and the grades of papers that those in `recommender/judged` have."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from papers.folding import fold_title
from recommender.index import Index
from recommender.need import Need
from recommender.need_reader import read_need

T = TypeVar("T")


@dataclass(frozen=True)
class JudgedNeed:
    """A need, and the grade (0 to 3) of papers by their id; `row` is the line as it was read."""

    text: str
    grades: Mapping[int, int]
    row: Mapping[str, Any]


def stated_need(row: Mapping[str, Any]) -> Need:
    """A line's need with what it gives beside the words. Raises: KeyError without words, NeedError."""
    given = {"stage": row.get("stage"), "gpu": row.get("hardware"), "training": row.get("training_allowed")}
    return read_need(row["need"], **{name: value for name, value in given.items() if value})


def needs_of(path: Path, index: Index) -> list[JudgedNeed]:
    """The needs of a file of which the index holds a paper that answers; titles that it lacks are left out.

    Raises: ValueError that names the file, the line and the field.
    """
    titles = {fold_title(document.title): number for number, document in index.documents.items()}

    def judged(row: dict[str, Any]) -> JudgedNeed:
        graded = {fold_title(title): int(grade) for title, grade in row["grades"].items()}
        return JudgedNeed(str(row["need"]), {titles[t]: grade for t, grade in graded.items() if t in titles}, row)

    return [need for _, need in read_lines(path, judged) if any(need.grades.values())]


def read_lines(path: Path, read: Callable[[dict[str, Any]], T]) -> list[tuple[int, T]]:
    """What `read` makes of each line that is not blank, with the line's number.

    Raises: ValueError that names the file, the line and the field.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise ValueError(f"{path}: cannot be read: {fault}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append((number, read(json.loads(line))))
        except (KeyError, TypeError, AttributeError, ValueError) as fault:
            why = f"field {fault} is missing" if isinstance(fault, KeyError) else str(fault)
            raise ValueError(f"{path}, line {number}: {why}") from None
    return found
