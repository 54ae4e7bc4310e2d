"""Needs with graded papers, as the files in `recommender/judged` hold them, over the papers of an index."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from papers.folding import fold_title
from recommender.index import Index


@dataclass(frozen=True)
class JudgedNeed:
    """A need, and the grade (0 to 3) of papers by their id; `row` is the line as it was read."""

    text: str
    grades: Mapping[int, int]
    row: Mapping[str, Any]


def needs_of(path: Path, index: Index) -> list[JudgedNeed]:
    """The needs of a file of JSON lines of which the index holds a paper that answers; titles that it lacks are left out.

    Raises: ValueError that names the file, the line and the field.
    """
    titles = {fold_title(document.title): number for number, document in index.documents.items()}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise ValueError(f"{path}: cannot be read: {fault}") from None
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            graded = {fold_title(title): int(grade) for title, grade in row["grades"].items()}
            need = JudgedNeed(str(row["need"]), {titles[t]: grade for t, grade in graded.items() if t in titles}, row)
        except (KeyError, TypeError, AttributeError, ValueError) as fault:
            why = f"field {fault} is missing" if isinstance(fault, KeyError) else str(fault)
            raise ValueError(f"{path}, line {number}: {why}") from None
        if any(need.grades.values()):
            found.append(need)
    return found
