"""How well needs are answered: nDCG@10 and success@1 on the judged needs that ship, beside plain methods.

    python -m benchmarks.search_quality [--needs FILE ...] [--json]

Over the papers of the installation that it is run in, so `DATA_DIR` has to hold the papers that were judged (read in with
`manage.py ingest`); papers without a grade count as useless. "all" is the whole recommendation, as page, API and command give it.
What was held out was never trained on; "once with a twin" says that a need asking for the same papers was written for training too,
and left out of it.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import django

JUDGED = Path(__file__).parents[1] / "recommender" / "judged"
FILES = ("tune.jsonl", "held-out.jsonl")
# By the letter that ids begin with: who wrote the needs, and when.
WRITTEN = {
    "n": "first needs", "m": "first needs", "v": "few answers", "p": "everyday words", "u": "no word added",
    "a": "later, two writers", "b": "later, two writers", "c": "later, a third writer", "e": "one more writer", "f": "last, two writers", "q": "examples",
}  # fmt: skip
METHODS = ("words", "vectors", "word by word", "words and vectors", "all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--needs", nargs="+", type=Path, default=[JUDGED / name for name in FILES])
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    rows = [json.loads(line) for path in args.needs for line in path.read_text("utf-8").splitlines() if line.strip()]
    table = figures(rows)
    if args.json:
        print(json.dumps(table))
        return
    print(f"{'':52} needs  " + "  ".join(f"{name:>18}" for name in METHODS))
    for name, found in table.items():
        told = "  ".join(f"{found[method]['ndcg10']:10.3f}, {found[method]['success1']:.3f} " for method in METHODS)
        print(f"{name:52} {found['needs']:5}  {told}")


def figures(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """By part and writer: the number of needs, and of each method the means of nDCG@10 and success@1."""
    from papers.folding import fold_title
    from recommender.metrics import ndcg, success
    from recommender.services import ensure_index

    index = ensure_index()
    known = {fold_title(document.title): number for number, document in index.documents.items()}
    parts: dict[str, list[dict[str, tuple[float, float]]]] = defaultdict(list)
    for row in rows:
        # A paper that the installation lacks has its grade all the same, and can be found by nobody.
        grades = {
            known.get(fold_title(title), -1 - at): grade for at, (title, grade) in enumerate(row["grades"].items())
        }
        part = f"{row.get('part', 'known')}: {WRITTEN.get(str(row['id'])[0], 'others')}"
        parts[part].append(
            {name: (ndcg(grades, order), success(grades, order)) for name, order in rankings(row, index).items()}
        )
    return {part: _means(found) for part, found in sorted(parts.items())}


def rankings(row: dict[str, Any], index: Any) -> dict[str, list[int]]:
    """Ids by each method, best first."""
    from recommender.fusion import reciprocal_rank
    from recommender.judged_needs import stated_need
    from recommender.services import needs_reader, recommend

    need = stated_need(row)
    found = index.candidates(need.text, needs_reader(), None)
    lexical, semantic, wording = (_best(scores) for scores in (found.lexical, found.semantic, found.wording))
    return {
        "words": lexical, "vectors": semantic, "word by word": wording,
        "words and vectors": _best(reciprocal_rank([lexical, semantic])),
        "all": [answer["id"] for answer in recommend(need).to_json()["answers"]],
    }  # fmt: skip


def _best(scores: Any) -> list[int]:
    return sorted(scores, key=lambda number: (-scores[number], number))


def _means(found: Sequence[dict[str, tuple[float, float]]]) -> dict[str, Any]:
    means: dict[str, Any] = {"needs": len(found)}
    for method in METHODS:
        columns = list(zip(*(one[method] for one in found), strict=True))
        means[method] = dict(
            zip(("ndcg10", "success1"), (sum(column) / len(column) for column in columns), strict=True)
        )
    return means


if __name__ == "__main__":
    main()
