"""How much of the corpus can be run: every system of the list, and what has been done for it so far.

The list (papers/data/systems.csv) names the paper, what reproducing its mechanism takes, in which wave of work it comes
and what an implementation has to show. Everything else is read from the implementations and runs that are here.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from papers.folding import fold_title
from papers.models import DeviceKind, Facet, Implementation, Paper, Run, RunMode, RunState, TechniqueLabel, Verdict

LIST = Path(__file__).parent / "data" / "systems.csv"

STATE_LABELS = {
    "verified": "Verified on a GPU",
    "checked": "Checked",
    "failed": "Check failed",
    "runnable": "Runnable",
    "missing": "Not yet",
    "nothing": "Nothing to run",
}
# Each includes those before it: what is verified is also checked, what is checked is also runnable.
HAVE_CODE = ("verified", "checked", "failed", "runnable")
HAVE_CHECK = ("verified", "checked")
NEEDS_LABELS = {
    "kernel": "Kernel or layer",
    "random-model": "Model with random weights",
    "small-training": "Short training",
    "multi-device": "Several devices",
    "needs-weights": "Pretrained weights",
    "other-hardware": "Other hardware",
    "none": "Nothing to run",
}
WAVE_LABELS = {
    "1-inference": "Wave 1: inference",
    "1-training-vision": "Wave 1: training and vision",
    "2": "Wave 2",
    "3": "Wave 3",
    "later": "Later",
    "": "No wave",
}
PASSED = "PASSED"


@dataclass(frozen=True)
class System:
    """A row of the list."""

    title: str
    needs: str
    wave: str
    mechanism: str

    @property
    def key(self) -> str:
        return fold_title(self.title)


@dataclass
class Row:
    """A system with what is here for it. `verified_on` are names of GPUs; `outcomes` counts verdicts from them."""

    title: str
    needs: str
    wave: str
    mechanism: str
    state: str = "missing"
    families: list[str] = field(default_factory=list)
    implementations: list[str] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    verified_on: list[str] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=dict)
    claims: int = 0
    slug: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Tally:
    """Of `systems` that have something to run, how many are how far."""

    name: str
    title: str
    systems: int
    runnable: int
    checked: int
    verified: int

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@cache
def systems() -> tuple[System, ...]:
    with LIST.open(encoding="utf-8", newline="") as file:
        return tuple(System(**row) for row in csv.DictReader(file))


def coverage_rows() -> list[Row]:
    """Every system of the list, then implementations of papers that are not on it; the farthest first, then by title."""
    papers = _papers_by_key()
    present = _implementations_by_paper()
    passed, failed = _runs_of_what_is_here()
    families, outcomes = _families(papers.values()), _outcomes()
    rows = []
    for system in systems():
        row = Row(system.title, system.needs, system.wave, system.mechanism)
        row.state = "nothing" if system.needs == "none" else "missing"
        paper = papers.pop(system.key, None)
        if paper:
            row.slug, row.families = paper.slug, families.get(paper.pk, [])
            _add_implementations(row, present.pop(paper.pk, []), passed, failed, outcomes)
        rows.append(row)
    for found in present.values():
        paper = found[0].paper
        row = Row(paper.title, "kernel", "", "", slug=paper.slug, families=families.get(paper.pk, []))
        _add_implementations(row, found, passed, failed, outcomes)
        rows.append(row)
    order = list(STATE_LABELS)
    return sorted(rows, key=lambda row: (order.index(row.state), fold_title(row.title)))


def _add_implementations(
    row: Row,
    found: list[Implementation],
    passed: dict[int, set[str]],
    failed: set[int],
    outcomes: dict[str, dict[str, int]],
) -> None:
    if not found:
        return
    row.implementations = [one.name for one in found]
    row.scopes = sorted({one.card.get("scope", "") for one in found} - {""})
    row.families = row.families or list(found[0].card.get("families", []))
    row.claims = sum(len(one.card.get("claims", [])) for one in found)
    devices = set().union(*(passed.get(one.pk, set()) for one in found))
    row.verified_on = sorted(devices - {""})
    for one in found:
        for outcome, count in outcomes.get(one.name, {}).items():
            row.outcomes[outcome] = row.outcomes.get(outcome, 0) + count
    if row.verified_on:
        row.state = "verified"
    elif devices:
        row.state = "checked"
    else:
        row.state = "failed" if any(one.pk in failed for one in found) else "runnable"


def _papers_by_key() -> dict[str, Paper]:
    """The papers of the list and those with an implementation, by folded title; `pk`, `slug` and title only."""
    wanted = [system.key for system in systems()]
    return {p.folded_title: p for p in Paper.objects.filter(folded_title__in=wanted).only("slug", "folded_title")}


def _implementations_by_paper() -> dict[int, list[Implementation]]:
    by_paper: dict[int, list[Implementation]] = defaultdict(list)
    for one in Implementation.objects.filter(retired_at=None).select_related("paper"):
        by_paper[one.paper_id].append(one)
    return by_paper


def _runs_of_what_is_here() -> tuple[dict[int, set[str]], set[int]]:
    """By implementation the GPUs that timed it ("" where its answers alone passed), and those that gave a wrong answer.

    Only runs of the card and code that are here now count. A check on a GPU times nothing, so it verifies nothing.
    """
    passed: dict[int, set[str]] = defaultdict(set)
    failed: set[int] = set()
    columns = ("implementation_id", "status", "mode", "device_kind", "device__name")
    runs = Run.objects.made_with_what_is_here().filter(state__in=(RunState.FINISHED, RunState.FAILED))
    for implementation, status, mode, kind, name in runs.order_by().values_list(*columns).distinct():
        if status == PASSED:
            is_timed = kind == DeviceKind.CUDA and mode != RunMode.CHECK
            passed[implementation].add((name or "a GPU") if is_timed else "")
        elif status.startswith("INCORRECT"):
            failed.add(implementation)
    return passed, failed


def _families(papers: Iterable[Paper]) -> dict[int, list[str]]:
    by_paper: dict[int, list[str]] = defaultdict(list)
    labels = TechniqueLabel.objects.filter(facet=Facet.FAMILY, technique__paper__in=[paper.pk for paper in papers])
    for paper, value in labels.order_by("position").values_list("technique__paper_id", "value"):
        by_paper[paper].append(value)
    return by_paper


def _outcomes() -> dict[str, dict[str, int]]:
    """By implementation, claims by the outcome of their newest verdict from a GPU."""
    newest: dict[int, tuple[str, str]] = {}
    columns = ("claim_id", "run__implementation__name", "outcome")
    verdicts = Verdict.objects.current().filter(run__device_kind=DeviceKind.CUDA).order_by("pk")
    for claim, name, outcome in verdicts.values_list(*columns):
        newest[claim] = (name, outcome)
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for name, outcome in newest.values():
        counts[name][outcome] = counts[name].get(outcome, 0) + 1
    return counts


# ── what a reader asks of it ────────────────────────────────────────────────────────────────────────────────────────
def chosen_rows(
    rows: Iterable[Row], *, wave: str = "", family: str = "", state: str = "", needs: str = "", words: str = ""
) -> list[Row]:
    """The rows that meet every condition that is not blank. "none" as wave means rows that have none.

    State "runnable" holds also what is checked and verified, "checked" also what is verified.
    """
    states = {"runnable": HAVE_CODE, "checked": HAVE_CHECK}.get(state, (state,))
    wave_wanted = "" if wave == "none" else wave
    folded = [word.casefold() for word in words.split()]
    return [
        row
        for row in rows
        if (not wave or row.wave == wave_wanted)
        and (not family or family in row.families)
        and (not state or row.state in states)
        and (not needs or row.needs == needs)
        and all(word in f"{row.title} {row.mechanism}".casefold() for word in folded)
    ]


def tally(name: str, title: str, rows: Iterable[Row]) -> Tally:
    states = [row.state for row in rows if row.state != "nothing"]
    return Tally(
        name,
        title,
        len(states),
        sum(state in HAVE_CODE for state in states),
        sum(state in HAVE_CHECK for state in states),
        sum(state == "verified" for state in states),
    )


def by_wave(rows: list[Row]) -> Iterator[Tally]:
    for wave, label in WAVE_LABELS.items():
        found = [row for row in rows if row.wave == wave and row.state != "nothing"]
        if found:
            yield tally(wave or "none", label, found)


def by_family(rows: list[Row], labels: dict[str, str]) -> Iterator[Tally]:
    """A system counts under each of its families; those whose record was not read yet come last."""
    for family, label in labels.items():
        found = [row for row in rows if family in row.families and row.state != "nothing"]
        if found:
            yield tally(family, label, found)
    unread = [row for row in rows if not row.families and row.state != "nothing"]
    if unread:
        yield tally("", "Record not read yet", unread)


FIELDS = ("wave", "family", "state", "needs", "words")
"""What a question may ask, alike on the page, from the command and the API."""
CHOICES = {"wave": ("none", *(w for w in WAVE_LABELS if w)), "state": tuple(STATE_LABELS), "needs": tuple(NEEDS_LABELS)}


def problems_of(question: dict[str, str], families: Iterable[str]) -> dict[str, str]:
    """What is wrong with each field of a question, with what would be right; blank fields ask nothing."""
    allowed = CHOICES | {"family": tuple(families)}
    return {
        name: f"{value[:40]!r} is not a {name}; use one of: {', '.join(allowed[name])}."
        for name, value in question.items()
        if value and name in allowed and value not in allowed[name]
    }
