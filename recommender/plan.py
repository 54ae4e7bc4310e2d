"""Which techniques go together: the fewest and best-proven that meet the budget, and what can be had for what.

A plan is reckoned through the situation: what several techniques change is changed together, so that two which shrink
the same bytes do not multiply, and what becomes short makes something else bind.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from recommender.changes import ACTS_ON
from recommender.constraints import EFFORTS, effort_of, error_of
from recommender.documents import Document
from recommender.gains import SOURCES, Gain, changes_for
from recommender.knowledge import Knowledge
from recommender.situation import FEW_SEQUENCES, TIME_BUDGETS, Change, Outcome, Situation

TOGETHER = 3
PLANS = 4
CANDIDATES = 14
OF_A_FAMILY = 4  # others of it would only be exchanged for these
LEAST_GAIN = 1.02
_TELLS_ONLY = re.compile(r"\b(?:survey|position paper|review|benchmark|scaling laws?|empirical study)\b", re.IGNORECASE)
NO_PART = frozenset({"survey", "benchmark", "dataset", "analysis", "theory", "other", "hardware"})
# What a model reads decides which papers can be meant for it.
_MODALITIES = {
    "decoder": {"language", "code", "multimodal", "general"}, "recurrent": {"language", "code", "general"},
    "convnet": {"vision", "video", "multimodal", "general", "3d"},
    "diffusion": {"vision", "video", "multimodal", "general", "3d"},
}  # fmt: skip


# Families that help only where there is what they work on.
_NEEDS: Mapping[str, Callable[[Situation], bool]] = {
    "serving-systems": lambda situation: situation.workload.batch > FEW_SEQUENCES,
    "distributed-training": lambda situation: situation.need.gpus > 1,
    "diffusion-acceleration": lambda situation: situation.model is None or situation.model.kind == "diffusion",
    "mixture-of-experts": lambda situation: situation.model is None or situation.model.experts > 1,
    "data-efficiency": lambda situation: situation.need.stage == "data",
    "nas": lambda situation: situation.need.stage == "search",
    "retrieval-efficiency": lambda situation: False,
    "hardware-accelerators": lambda situation: False,
}


@dataclass(frozen=True)
class Part:
    """A technique with what it changes, how sure that is (0 measured to 3 modelled), and what it costs."""

    document: Document
    changes: tuple[tuple[Change, Gain], ...]
    effort: str
    error: float | None

    @property
    def proof(self) -> int:
        return max((SOURCES.index(gain.source) for _, gain in self.changes), default=len(SOURCES))


@dataclass(frozen=True)
class Plan:
    """Techniques to use together and what comes of it.

    `meets_budget` is told at the likely factors, `is_sure` also at the cautious ones; None where nothing can be
    reckoned. `conflicts` names answers that were passed over and why.
    """

    documents: tuple[Document, ...]
    meets_budget: bool | None
    memory_gib: float | None
    gain: Gain | None
    conflicts: tuple[str, ...]
    is_sure: bool | None = None
    time_ms: tuple[tuple[str, float], ...] = ()
    error: float | None = None
    effort: str = "none"
    misses: tuple[tuple[str, float], ...] = ()
    proof: str | None = None
    changes: tuple[Change, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "names": [name_of(document) for document in self.documents],
            "ids": [document.id for document in self.documents],
            "meets_budget": self.meets_budget,
            "sure": self.is_sure,
            "memory_gib": _rounded(self.memory_gib),
            "time_ms": {name: _rounded(ms) for name, ms in self.time_ms},
            "gain": self.gain.to_json() if self.gain else None,
            "error": self.error,
            "effort": self.effort,
            "evidence": self.proof,
            "misses": {name: _rounded(by) for name, by in self.misses},
            "conflicts": list(self.conflicts),
        }


def name_of(document: Document) -> str:
    return document.name or document.title


def label(documents: Sequence[Document]) -> str:
    """Of a set: "One + Another"."""
    return " + ".join(map(name_of, documents))


def plans(
    ranked: Sequence[Document],
    situation: Situation,
    knowledge: Knowledge | None = None,
    reckoned: Sequence[Plan] | None = None,
) -> list[Plan]:
    """Up to four sets: those that meet the budget with the fewest and best-proven parts first.

    `reckoned` is what `sets_of` gives, where it is known already. Where nothing can be reckoned (no model, no figures),
    the first answers of different kinds as ranked.
    """
    usable = _usable(ranked)
    found = sets_of(ranked, situation, knowledge) if reckoned is None else reckoned
    if not found:
        return _as_ranked(usable, situation)
    improving = [plan for plan in found if plan.gain and (plan.gain.median or 0) >= LEAST_GAIN]
    ordered = sorted(improving or found, key=lambda plan: _order(plan, situation))
    return [replace(plan, conflicts=tuple(_passed_over(plan.documents, usable))) for plan in _varied(ordered)]


def front(found: Sequence[Plan]) -> list[Plan]:
    """The plans that no other beats in gain, error and effort at once; largest gain first."""

    def costs(plan: Plan) -> tuple[float, float, int]:
        gain = plan.gain.median if plan.gain and plan.gain.median else 0.0
        return -gain, plan.error if plan.error is not None else 1.0, EFFORTS.index(plan.effort)

    kept: list[Plan] = []
    for plan in found:
        mine = costs(plan)
        beaten = any(
            all(o <= m for o, m in zip(costs(other), mine, strict=True)) and costs(other) != mine for other in found
        )
        if plan.gain and not beaten and mine not in [costs(one) for one in kept]:
            kept.append(plan)
    return sorted(kept, key=costs)


def sets_of(ranked: Sequence[Document], situation: Situation, knowledge: Knowledge | None = None) -> list[Plan]:
    """Every compatible set of the candidates, reckoned; empty where the situation gives nothing to reckon with."""
    if situation.memory is None and not situation.costs:
        return []
    parts: list[Part] = []
    of_family: Counter[str] = Counter()
    for document in _usable(ranked):
        family = document.families[0]
        if of_family[family] < OF_A_FAMILY and (part := _part(document, situation, knowledge)):
            parts.append(part)
            of_family[family] += 1
    return [_plan(chosen, situation) for chosen in _sets(parts[:CANDIDATES])]


def conflict(one: Document, other: Document) -> str | None:
    """Why two techniques cannot be counted on together; None when nothing speaks against it."""
    first, second = one.families[0], other.families[0]
    if first == second:
        return f"{name_of(other)} and {name_of(one)} are both {first.replace('-', ' ')}"
    acts = ACTS_ON.get(first)
    if acts and acts == ACTS_ON.get(second):
        return f"{name_of(other)} and {name_of(one)} both decide {acts}"
    shared = {(e.term, e.resource) for e in one.effects} & {(e.term, e.resource) for e in other.effects}
    if shared:
        term, resource = sorted(shared)[0]
        return f"{name_of(other)} and {name_of(one)} both act on the {resource} of {term.replace('_', ' ')}"
    return None


def fits_model(document: Document, situation: Situation) -> bool:
    """Whether a paper can be applied to the model that the need names: data of its kind, its stage, and its weights kept."""
    model = situation.model
    stage = situation.need.stage or "inference"
    if document.stage and stage in ("inference", "training", "fine-tuning") and stage not in document.stage:
        return False
    if model is None:
        return True
    family = document.families[0] if document.families else ""
    if family in _NEEDS and not _NEEDS[family](situation):
        return False
    reads = _MODALITIES.get(model.kind)
    if reads and document.modality and not reads & set(document.modality):
        return False
    return document.kind != "architecture" or situation.need.training == "pretrain"


def _usable(ranked: Sequence[Document]) -> list[Document]:
    """Papers that offer something to use; a record does not always know a survey, its title does."""
    return [
        document
        for document in ranked
        if document.families and document.kind not in NO_PART and not _TELLS_ONLY.search(document.title)
    ]


def _part(document: Document, situation: Situation, knowledge: Knowledge | None) -> Part | None:
    effort, allowed = effort_of(document), situation.need.training
    too_much = allowed in EFFORTS and EFFORTS.index(effort) > EFFORTS.index(allowed) and effort != "unknown"
    if too_much and not situation.workload.trains:
        return None
    if not fits_model(document, situation):
        return None
    # A loss on one side counts as well: what saves memory may cost time.
    moved = tuple(pair for pair in changes_for(document, situation, knowledge) if situation.share(pair[0]))
    if not any(change.middle >= LEAST_GAIN for change, _ in moved):
        return None
    return Part(document, moved, effort, error_of(document))


def _sets(parts: Sequence[Part]) -> list[tuple[Part, ...]]:
    found: list[tuple[Part, ...]] = []
    for size in range(1, TOGETHER + 1):
        for chosen in itertools.combinations(parts, size):
            pairs = itertools.combinations(chosen, 2)
            if not any(conflict(one.document, other.document) or _same_place(one, other) for one, other in pairs):
                found.append(chosen)
    return found


def _same_place(one: Part, other: Part) -> bool:
    """Whether both shrink the same bytes or the same time; a figure of everything overlaps with any other of its kind."""
    mine, theirs = ({(c.resource, c.term) for c, _ in part.changes} for part in (one, other))
    wholes = {(resource, "all") for resource in ("memory", "time")}
    if mine & theirs:
        return True
    kinds = {resource for resource, _ in mine} & {resource for resource, _ in theirs}
    return any(resource in kinds for resource, _ in (mine | theirs) & wholes)


def _plan(chosen: Sequence[Part], situation: Situation) -> Plan:
    changes = [change for part in chosen for change, _ in part.changes]
    likely, cautious = situation.after(changes), situation.after(changes, "low")
    misses = situation.over_budget(likely)
    errors = [part.error for part in chosen]
    meets = not misses if situation.has_budget else None
    documents = tuple(part.document for part in chosen)
    return Plan(
        documents,
        meets,
        likely.memory_gib,
        _joint(chosen, likely, cautious, situation.after(changes, "high"), situation),
        (),
        None if meets is None else not situation.over_budget(cautious),
        tuple(likely.ms.items()),
        None if None in errors else sum(error for error in errors if error),
        max((part.effort for part in chosen), key=EFFORTS.index),
        tuple(misses.items()),
        SOURCES[max(part.proof for part in chosen)],
        tuple(changes),
    )


def _joint(
    chosen: Sequence[Part], likely: Outcome, cautious: Outcome, best: Outcome, situation: Situation
) -> Gain | None:
    """The factor on what the need wants less of: memory where that is the point or nothing else is moved, else time."""
    memory = situation.memory.total if situation.memory else None
    quicker = situation.request_ms and likely.request_ms and situation.request_ms / likely.request_ms >= LEAST_GAIN
    of_memory = situation.need.objective == "memory" or bool(situation.short_by_gib) or not quicker
    before = memory if of_memory else situation.request_ms
    ends = [one.memory_gib if of_memory else one.request_ms for one in (cautious, likely, best)]
    if not before or not all(ends):
        return None
    low, middle, high = (float(f"{before / (end or 1.0):.4g}") for end in ends)
    source = SOURCES[max(part.proof for part in chosen)]
    scope = situation.model.name if situation.model else None
    device = situation.device.name if situation.device else None
    basis = "All changes made together in the model of the situation."
    return Gain("memory" if of_memory else "latency", middle, low, high, source, scope, device, basis)


def _order(plan: Plan, situation: Situation) -> tuple[bool, float, int, bool, int, int, float]:
    """Meets the budget, by how much it misses, parts, whether it is sure, proof, effort, gain. Without a want of memory or time to meet,
    what gains most for its parts comes first."""
    pressed = bool(situation.short_by_gib) or any(getattr(situation.need, field) for field in TIME_BUDGETS)
    gain = plan.gain.median if plan.gain and plan.gain.median else 0.0
    missed = max((by for _, by in plan.misses), default=1.0)
    proof = SOURCES.index(plan.proof) if plan.proof else len(SOURCES)
    effort = EFFORTS.index(plan.effort)
    if pressed:
        return plan.meets_budget is False, missed, len(plan.documents), not plan.is_sure, proof, effort, -gain
    return plan.meets_budget is False, missed, 0, False, 0, 0, -gain * (0.93 ** len(plan.documents)) * (0.95**proof)


def _varied(ordered: Sequence[Plan]) -> list[Plan]:
    """The first plans that are not merely another with one part more and no better."""
    found: list[Plan] = []
    for plan in ordered:
        mine = {document.id for document in plan.documents}
        if not any(mine >= {document.id for document in other.documents} for other in found):
            found.append(plan)
        if len(found) == PLANS:
            break
    return found


def _passed_over(chosen: Sequence[Document], ranked: Sequence[Document]) -> list[str]:
    reasons = []
    for other in ranked:
        if other not in chosen:
            reasons += [reason for one in chosen if (reason := conflict(one, other))][:1]
    return reasons[:TOGETHER]


def _as_ranked(usable: Sequence[Document], situation: Situation) -> list[Plan]:
    """One set, led by the first answer: others that do not act on the same place."""
    if not usable:
        return []
    chosen = [usable[0]]
    for other in usable[1:]:
        if len(chosen) < TOGETHER and not any(conflict(one, other) for one in chosen):
            chosen.append(other)
    short = situation.short_by_gib
    memory = situation.memory.total if situation.memory else None
    errors = [error_of(document) for document in chosen]
    return [
        Plan(
            tuple(chosen),
            None if short is None else short == 0,
            memory,
            None,
            tuple(_passed_over(chosen, usable)),
            error=None if None in errors else sum(error for error in errors if error),
            effort=max((effort_of(document) for document in chosen), key=EFFORTS.index),
        )
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
