"""How well rules and endpoint read labelled papers, alone and where they agree.

    python -m benchmarks.endpoint_agreement LABELS.jsonl PAGE... [--limit N] [--answers FILE] [--json]

LABELS holds records in the schema of the labelled papers, the pages their abstracts. The endpoint is the one of the settings
(docs/guide/endpoint.md). Each paper is one request, which does not count towards the limit of a day but is never made more often
than that limit allows. `--answers` keeps what the model said, one line a paper, so that a run can go on and figures can be
computed again without asking. Touches no database.

Columns: the rules' figure; the endpoint's, after the checks against the text; both on the papers where they agree, with the share of
papers that is; and where they differ, how often each is right. By policy the rules' value stays wherever they differ.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from ingest.endpoint.check import check  # noqa: E402
from ingest.endpoint.client import Answer, EndpointClient  # noqa: E402
from ingest.endpoint.compare import DETAILS, compare, match, same_claim, same_field  # noqa: E402
from ingest.endpoint.config import EndpointConfig  # noqa: E402
from ingest.endpoint.configured import endpoint_config  # noqa: E402
from ingest.endpoint.errors import EndpointError  # noqa: E402
from ingest.endpoint.locate import FoldedText  # noqa: E402
from ingest.endpoint.prompt import PROMPT_VERSION  # noqa: E402
from ingest.extraction import extract  # noqa: E402
from ingest.services import read_abstracts  # noqa: E402
from papers.folding import fold_title  # noqa: E402

Record = dict[str, Any]
FIELDS = ("kind", "name", "families", "modality", "stage", "training_free", "hardware", "code_urls")
READERS = ("rules", "endpoint", "agreed")


@dataclass
class Tally:
    """Right answers of those given, of those wanted."""

    right: int = 0
    given: int = 0
    wanted: int = 0

    def add(self, right: int, given: int, wanted: int) -> None:
        self.right, self.given, self.wanted = self.right + right, self.given + given, self.wanted + wanted

    @property
    def f1(self) -> float | None:
        return 2 * self.right / (self.given + self.wanted) if self.given + self.wanted else None

    @property
    def precision(self) -> float | None:
        return self.right / self.given if self.given else None

    @property
    def recall(self) -> float | None:
        return self.right / self.wanted if self.wanted else None


@dataclass
class Field:
    """One field over all papers: whole values that are right by reader, and who is right where they differ."""

    papers: int = 0
    right: dict[str, int] = field(default_factory=lambda: dict.fromkeys(READERS, 0))
    agreed: int = 0
    differ: int = 0
    rules_right: int = 0
    endpoint_right: int = 0


@dataclass
class Figures:
    fields: dict[str, Field] = field(default_factory=lambda: {name: Field() for name in FIELDS})
    claims: dict[str, Tally] = field(default_factory=lambda: {name: Tally() for name in READERS})
    strict: dict[str, Tally] = field(default_factory=lambda: {name: Tally() for name in READERS})

    def add(self, label: Record, abstract: str, rules: Record, answer: Record, model: str) -> None:
        """Count one paper. Of the endpoint's record a field that was refused is wrong."""
        checked = check(label["title"], abstract, answer, model)
        found = compare(rules, checked)
        agrees = {f.field: f.agrees for f in found.fields}
        for name, counted in self.fields.items():
            rules_right = same_field(name, label.get(name), rules.get(name))
            endpoint_right = name in checked.record and same_field(name, label.get(name), checked.record[name])
            counted.papers += 1
            counted.right["rules"] += rules_right
            counted.right["endpoint"] += endpoint_right
            if agrees.get(name, False):
                counted.agreed += 1
                counted.right["agreed"] += rules_right
            else:
                counted.differ += 1
                counted.rules_right += rules_right
                counted.endpoint_right += endpoint_right
        wanted = placed(label["claims"], abstract)
        lists = {"rules": rules["claims"], "endpoint": checked.record["claims"], "agreed": found.agreed_claims}
        for reader, claims in lists.items():
            self.claims[reader].add(len(match(wanted, claims)), len(claims), len(label["claims"]))
            self.strict[reader].add(len(match(wanted, claims, same_in_all)), len(claims), len(label["claims"]))

    def to_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for name, f in self.fields.items():
            told[name] = {
                "rules": ratio(f.right["rules"], f.papers),
                "endpoint": ratio(f.right["endpoint"], f.papers),
                "agreed": ratio(f.right["agreed"], f.agreed),
                "share_agreed": ratio(f.agreed, f.papers),
                "rules_right_where_they_differ": ratio(f.rules_right, f.differ),
                "endpoint_right_where_they_differ": ratio(f.endpoint_right, f.differ),
            }
        measures: dict[str, Callable[[Tally], float | None]] = {
            "precision": lambda t: t.precision, "recall": lambda t: t.recall, "f1": lambda t: t.f1
        }  # fmt: skip
        for kind, tallies in (("claim", self.claims), ("claim_strict", self.strict)):
            for name, measure in measures.items():
                told[f"{kind}_{name}"] = {reader: measure(tally) for reader, tally in tallies.items()}
        return told


def ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def same_in_all(wanted: Record, claim: Record) -> bool:
    return same_claim(wanted, claim) and all((wanted.get(k) or None) == (claim.get(k) or None) for k in DETAILS)


def placed(claims: Iterable[Record], abstract: str) -> list[Record]:
    """Labelled claims with the place of their quote; one whose quote is not on the page can be met by no claim."""
    text = FoldedText(abstract)
    found = []
    for claim in claims:
        spans = text.find(claim.get("quote") or "")
        start, end = spans[0] if spans else (-1, -1)
        found.append({**claim, "start": start, "end": end})
    return found


def read_labels(path: Path) -> list[Record]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


class Answers:
    """Answers of the model, kept in a file if one is named; each paper is asked about once for one model and prompt."""

    def __init__(self, config: EndpointConfig, kept: Path | None) -> None:
        self._config, self._kept = config, kept
        self._known: dict[tuple[str, str, str], Record] = {}
        self.failed: list[str] = []
        self.requests = 0
        if kept is not None and kept.exists():
            for line in read_labels(kept):
                self._known[line["title"], line["model"], line["prompt"]] = line["answer"]

    def of(self, papers: list[tuple[str, str]]) -> dict[str, Record]:
        """Answers by title; papers without one are told in `failed`."""
        keys = {title: (title, self._config.model, PROMPT_VERSION) for title, _ in papers}
        asked = [(title, abstract) for title, abstract in papers if keys[title] not in self._known]
        if asked:
            with EndpointClient(self._config) as client, ThreadPoolExecutor(self._config.concurrency) as pool:
                for (title, _), got in zip(asked, pool.map(lambda p: _ask(client, *p), asked), strict=True):
                    self.requests += got.usage.requests
                    if isinstance(got, Answer):
                        self._known[keys[title]] = got.record
                        self._keep(keys[title], got.record)
                    else:
                        self.failed.append(f"{title}: {got.message}")
        return {title: self._known[key] for title, key in keys.items() if key in self._known}

    def _keep(self, key: tuple[str, str, str], answer: Record) -> None:
        if self._kept is not None:
            title, model, prompt = key
            line = {"title": title, "model": model, "prompt": prompt, "answer": answer}
            with self._kept.open("a", encoding="utf-8") as out:
                out.write(json.dumps(line) + "\n")


def _ask(client: EndpointClient, title: str, abstract: str) -> Answer | EndpointError:
    try:
        return client.read(title, abstract)
    except EndpointError as fault:
        return fault


def show(figures: dict[str, Any]) -> None:
    def cell(value: float | None) -> str:
        return "    -" if value is None else f"{value:5.2f}"

    print(f"{'':18}  rules  endpoint  agreed  share   where they differ: rules  endpoint")
    for name, row in figures.items():
        line = f"{name:18}  {cell(row['rules'])}     {cell(row['endpoint'])}   {cell(row['agreed'])}"
        if "share_agreed" in row:
            line += f"  {cell(row['share_agreed'])}                      {cell(row['rules_right_where_they_differ'])}"
            line += f"     {cell(row['endpoint_right_where_they_differ'])}"
        print(line)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path)
    parser.add_argument("pages", nargs="+")
    parser.add_argument("--limit", type=int, help="at most N papers")
    parser.add_argument(
        "--answers", type=Path, metavar="FILE", help="keep the model's answers there, and use those kept"
    )
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(arguments)
    config = endpoint_config()
    known = read_abstracts(args.pages)
    labels = [label for label in read_labels(args.labels) if known.get(fold_title(label["title"]))]
    labels = labels[: min(args.limit or len(labels), config.daily_limit)]
    if not labels:
        print("no labelled paper has an abstract on the pages named", file=sys.stderr)
        return 1
    answers = Answers(config, args.answers)
    try:
        found = answers.of([(label["title"], known[fold_title(label["title"])]) for label in labels])
    except EndpointError as fault:
        print(fault.message, file=sys.stderr)
        return 1
    figures = Figures()
    for label in labels:
        if label["title"] in found:
            abstract = known[fold_title(label["title"])]
            rules = extract(label["title"], abstract).to_json()
            figures.add(label, abstract, rules, found[label["title"]], config.model)
    for failure in answers.failed:
        print(failure, file=sys.stderr)
    told = {"model": config.model, "papers": len(found), "requests": answers.requests, "failed": len(answers.failed)}
    if args.json:
        print(json.dumps({**told, "figures": figures.to_json()}))
    else:
        print(", ".join(f"{name} {value}" for name, value in told.items()))
        show(figures.to_json())
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
