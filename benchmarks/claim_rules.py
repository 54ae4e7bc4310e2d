"""How far each claim rule held on labelled papers: `python -m benchmarks.claim_rules PAPERS.jsonl...`.

A line of PAPERS.jsonl is a record in the labelling schema with its `title` and `abstract`. Prints the rows of RULE_RECORD in
`ingest/extraction/claims/confidence.py`: claims found by the rule, and those of them that a label confirms (metric, form,
value within 1 % and overlapping quotes).
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from ingest.extraction import ExtractedClaim, extract


def confirms(label: dict[str, Any], claim: ExtractedClaim, abstract: str) -> bool:
    """Whether a label says what the claim says."""
    if (label["metric"], label["form"]) != (claim.metric, claim.form):
        return False
    at = abstract.find(label["quote"])
    if at < 0 or at >= claim.end or at + len(label["quote"]) <= claim.start:
        return False
    values = [label["value"], label["value"] * 1e3, label["value"] * 1e6, label["value"] * 1e9, label.get("value_max")]
    return any(v is not None and abs(v - claim.value) <= 0.01 * max(abs(v), 1e-12) for v in values)


def records(papers: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """(claims found, claims confirmed) by rule, the most used first."""
    found: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for paper in papers:
        for claim in extract(paper["title"], paper["abstract"]).claims:
            found[claim.rule] += 1
            right[claim.rule] += any(confirms(label, claim, paper["abstract"]) for label in paper["claims"])
    return {rule: (count, right[rule]) for rule, count in found.most_common()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("papers", nargs="+", type=Path, help="JSON lines with title, abstract and labelled claims")
    lines = [line for path in parser.parse_args().papers for line in path.read_text("utf-8").splitlines()]
    table = records([json.loads(line) for line in lines if line.strip()])
    for rule, (count, right) in table.items():
        print(f'    "{rule}": ({count}, {right}),')
    total, held = (sum(column) for column in zip(*table.values(), strict=True)) if table else (0, 0)
    print(f"{held} of {total} claims confirmed")


if __name__ == "__main__":
    main()
