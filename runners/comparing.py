"""Techniques side by side: rows of a table in which what differs can be told from what does not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from papers.models import Claim, Implementation, Paper, Technique
from papers.templatetags.figures import Scale, scale_of
from papers.templatetags.text import quality_words, training_words
from papers.vocabulary import label_of
from runners.measured import ROLE_QUESTIONS, Measured, OnDevice, Rung, first_of, measured_of

TRAINING = {"none": "", "calibration": "calibration on data", "finetune": "fine-tuning", "pretrain": "pre-training"}


@dataclass
class Column:
    """A technique with everything that a row may show of it."""

    paper: Paper
    technique: Technique | None
    implementations: list[Implementation]
    claims: list[Claim]
    measured: list[Measured] = field(default_factory=list)

    @property
    def name(self) -> str:
        return (self.technique.name if self.technique else "") or self.paper.title

    @property
    def card(self) -> dict[str, Any]:
        return self.implementations[0].card if self.implementations else {}


@dataclass(frozen=True)
class Cell:
    """What one technique says to a row. look: which part of the template draws it; quiet: there is nothing to say."""

    words: str = ""
    look: str = "words"
    value: Any = None
    quiet: bool = False

    @property
    def key(self) -> str:
        """What makes it the same as another."""
        return self.words


@dataclass(frozen=True)
class Row:
    title: str
    cells: list[Cell]
    note: str = ""
    scale: Scale | None = None

    @property
    def differs(self) -> bool:
        return len({cell.key for cell in self.cells}) > 1


@dataclass(frozen=True)
class Group:
    title: str
    rows: list[Row]
    note: str = ""


NOTHING = Cell("–", quiet=True)


def columns(papers: Sequence[Paper]) -> list[Column]:
    """`papers` come with their technique, `shown_claims` and `present` implementations; see the view."""
    found = [
        Column(paper, getattr(paper, "technique", None), paper.present, paper.shown_claims)  # type: ignore[attr-defined]
        for paper in papers
    ]
    everything = measured_of([one for column in found for one in column.implementations])
    for column in found:
        column.measured = [everything[one.pk] for one in column.implementations]
    return found


def groups(chosen: Sequence[Column]) -> list[Group]:
    """All that is compared; groups and rows of which nothing is known of any technique are left out."""
    made = [
        Group("What it is", list(_facts(chosen))),
        Group("What the papers claim", list(_claims(chosen))),
        *_measured(chosen),
        Group("To run it", list(_needs(chosen))),
    ]
    kept = [Group(each.title, [row for row in each.rows if _says_something(row)], each.note) for each in made]
    return [each for each in kept if each.rows]


def _says_something(row: Row) -> bool:
    return any(not cell.quiet for cell in row.cells)


def _words(text: str) -> Cell:
    return Cell(text) if text else NOTHING


# ── what it is ──────────────────────────────────────────────────────────────────────────────────────────────────────
def _facts(chosen: Sequence[Column]) -> Iterator[Row]:
    yield Row("Kind", [_words(label_of(one.technique.kind) if one.technique else "") for one in chosen])
    yield Row("Family", [_labels(one.technique.families if one.technique else []) for one in chosen])
    yield Row("What it changes", [_words(_effect(one.card)) for one in chosen])
    yield Row("In short", [_words(one.card.get("summary", "")) for one in chosen])
    yield Row("Training", [_words(_training(one)) for one in chosen])
    yield Row("Answer", [_words(_answer(one.card)) for one in chosen])
    yield Row("Stage", [_labels(one.technique.stage if one.technique else []) for one in chosen])
    yield Row("Modality", [_labels(one.technique.modality if one.technique else []) for one in chosen])
    yield Row("Hardware named", [_words(", ".join(one.technique.hardware if one.technique else [])) for one in chosen])
    yield Row("Year", [_words(str(one.paper.year or "")) for one in chosen])


def _labels(values: Iterable[str]) -> Cell:
    return _words(", ".join(label_of(value) for value in values))


def _effect(card: dict[str, Any]) -> str:
    effect = card.get("effect") or {}
    if not effect:
        return ""
    term = label_of(effect.get("term", "").replace("_", "-")).replace("-", " ")
    return f"{label_of(effect.get('resource', ''))}: {term}".strip(": ")


def _training(one: Column) -> str:
    if one.technique is None:
        return ""
    needed = TRAINING.get((one.card.get("effect") or {}).get("requires_training", ""), "")
    words = training_words(one.technique.training_free)
    return f"{words} ({needed})" if needed else words


def _answer(card: dict[str, Any]) -> str:
    if not card:
        return ""
    if card.get("correctness") == "exact":
        return "Exact"
    check = card.get("check", {})
    return f"Approximate: {quality_words(check.get('quality', ''))} {check.get('budget', '')}".strip()


# ── claims ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _claims(chosen: Sequence[Column]) -> Iterator[Row]:
    metrics = dict.fromkeys(claim.metric for one in chosen for claim in one.claims)
    for metric in metrics:
        cells = []
        for one in chosen:
            mine = [claim for claim in one.claims if claim.metric == metric]
            said = "; ".join(f"{claim.figure} {claim.baseline}" for claim in mine)
            cells.append(Cell(said, "claims", mine) if mine else NOTHING)
        yield Row(label_of(metric), cells)


# ── measured ────────────────────────────────────────────────────────────────────────────────────────────────────────
def _measured(chosen: Sequence[Column]) -> Iterator[Group]:
    """A group for each device, GPUs first; a CPU's only where no GPU measured any of them."""
    devices = {(each.device, each.kind): each.decides for one in chosen for m in one.measured for each in m.devices}
    on_gpu = [key for key, decides in devices.items() if decides]
    for name, kind in on_gpu or devices:
        found = [_on(one, name, kind) for one in chosen]
        note = "" if (name, kind) in on_gpu else "A CPU’s figures decide nothing about a claim."
        yield Group(f"Measured on {name}", [*_ladder(found), *_errors(chosen, found), *_memory(chosen, found)], note)


def _on(one: Column, name: str, kind: str) -> OnDevice | None:
    return next(
        (d for m in one.measured for d in m.devices if (d.device, d.kind) == (name, kind) and d.workloads), None
    )


def _ladder(found: Sequence[OnDevice | None]) -> Iterator[Row]:
    """Gains in time on the representative workload, one row for each role of a rung; bars of a row share a scale."""
    for role in ROLE_QUESTIONS:
        rungs = [_rung(one, role) for one in found]
        if not any(rungs):
            continue
        ends = [
            end for rung in rungs if rung for end in (rung.figure.ratio, rung.figure.ratio_low, rung.figure.ratio_high)
        ]
        cells = [_bar(rung, one) if rung and one else NOTHING for rung, one in zip(rungs, found, strict=True)]
        yield Row(
            label_of(role) if role != "paper" else "The paper’s baseline", cells, ROLE_QUESTIONS[role], scale_of(ends)
        )


def _rung(one: OnDevice | None, role: str) -> Rung | None:
    work = one.representative if one else None
    return next((rung for rung in (work.ladder if work else []) if rung.role == role), None)


def _bar(rung: Rung, one: OnDevice) -> Cell:
    value = {"rung": rung, "decides": one.decides, "run": one.run}
    return Cell(f"{rung.figure.ratio}", "bar", value)


def _errors(chosen: Sequence[Column], found: Sequence[OnDevice | None]) -> Iterator[Row]:
    cells = []
    for column, one in zip(chosen, found, strict=True):
        error = one.representative.error if one and one.representative else {}
        value = error.get("relative_l2") if error.get("quality") is None else error["quality"]
        name = column.card.get("check", {}).get("quality") or "relative_l2"
        cells.append(Cell(f"{value:.3g} ({name.replace('_', ' ')})") if isinstance(value, int | float) else NOTHING)
    yield Row("Error", cells, "Of exact techniques, to a float64 reference.")


def _memory(chosen: Sequence[Column], found: Sequence[OnDevice | None]) -> Iterator[Row]:
    works = [one.representative if one else None for one in found]
    for measure in dict.fromkeys(figure.measure for work in works if work for figure in work.others):
        cells = []
        for column, work in zip(chosen, works, strict=True):
            first = first_of(work, measure, column.card) if work else None
            cells.append(Cell(f"{first.median} {first.ratio}", "amount", first) if first else NOTHING)
        yield Row(label_of(measure), cells)


# ── to run it ───────────────────────────────────────────────────────────────────────────────────────────────────────
def _needs(chosen: Sequence[Column]) -> Iterator[Row]:
    yield Row("Runs here", [Cell("yes", "run", one) if one.card else Cell("not yet") for one in chosen])
    yield Row("Scope", [_words(label_of(one.card.get("scope", ""))) for one in chosen])
    needs = [one.card.get("needs", {}) for one in chosen]
    yield Row("GPU", [_words(_gpu(each)) for each in needs])
    yield Row("Memory", [_words(f"{each['memory_gib']:g} GiB" if each.get("memory_gib") else "") for each in needs])
    cpu = ["checked and timed" if each.get("cpu_timing") else "checked only" if each else "" for each in needs]
    yield Row("On a CPU", [_words(each) for each in cpu])


def _gpu(needs: dict[str, Any]) -> str:
    if not needs:
        return ""
    words = [f"CUDA capability {needs['cuda_capability']} or newer"] if needs.get("cuda_capability") else ["any"]
    return ", ".join([*words, *(["Triton"] if needs.get("triton") else [])])
