"""Which techniques go together: sets of top answers of different families that do not act on the same place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recommender.documents import Document
from recommender.gains import Gain
from recommender.situation import Situation

TOGETHER = 3
PLANS = 3


@dataclass(frozen=True)
class Plan:
    """Techniques to use together. `conflicts` names answers that were passed over and why."""

    documents: tuple[Document, ...]
    meets_budget: bool | None
    memory_gib: float | None
    gain: Gain | None
    conflicts: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "names": [label(document) for document in self.documents],
            "meets_budget": self.meets_budget,
            "memory_gib": None if self.memory_gib is None else float(f"{self.memory_gib:.4g}"),
            "gain": self.gain.to_json() if self.gain else None,
            "conflicts": list(self.conflicts),
        }


def label(document: Document) -> str:
    return document.name or document.title


def plans(ranked: Sequence[Document], situation: Situation) -> list[Plan]:
    """Up to three sets, each led by another answer; those that meet the memory budget first, then as ranked."""
    usable = [
        document for document in ranked if document.families and document.kind not in ("survey", "benchmark", "dataset")
    ]
    found: list[Plan] = []
    led: set[str] = set()
    for lead in usable:
        if lead.families[0] in led:
            continue
        led.add(lead.families[0])
        plan = _plan(lead, usable, situation)
        if {one.id for one in plan.documents} not in ({one.id for one in other.documents} for other in found):
            found.append(plan)
        if len(found) == PLANS:
            break
    # sorted() is stable: False (meets it) before True, and plans without a figure as ranked in between.
    return sorted(found, key=lambda plan: plan.meets_budget is False)


def conflict(one: Document, other: Document) -> str | None:
    """Why two techniques cannot be counted on together; None when nothing speaks against it."""
    if one.families[0] == other.families[0]:
        return f"{label(other)} and {label(one)} are both {one.families[0].replace('-', ' ')}"
    shared = {(e.term, e.resource) for e in one.effects} & {(e.term, e.resource) for e in other.effects}
    if shared:
        term, resource = sorted(shared)[0]
        return f"{label(other)} and {label(one)} both act on the {resource} of {term.replace('_', ' ')}"
    return None


def _plan(lead: Document, usable: Sequence[Document], situation: Situation) -> Plan:
    chosen, conflicts = [lead], []
    for other in usable:
        if other is lead or len(chosen) == TOGETHER:
            continue
        if reason := next((found for one in chosen if (found := conflict(one, other))), None):
            conflicts.append(reason)
        else:
            chosen.append(other)
    effects = [effect for document in chosen for effect in document.effects]
    memory = situation.memory_after(effects)
    budget = situation.available_gib
    meets = None if memory is None or budget is None else memory <= budget
    return Plan(tuple(chosen), meets, memory, _joint_gain(chosen, situation), tuple(conflicts[:TOGETHER]))


def _joint_gain(chosen: Sequence[Document], situation: Situation) -> Gain | None:
    """The modelled factor on time of all effects together: the shares of different terms add up, factors do not."""
    left_low = left_high = 1.0
    known = False
    for document in chosen:
        for effect in document.effects:
            share = situation.shares.get(effect.term)
            if effect.resource == "time" and share is not None:
                known = True
                left_low -= share * (1 - 1 / effect.low)
                left_high -= share * (1 - 1 / effect.high)
    if not known or left_low <= 0 or left_high <= 0:
        return None
    low, high = float(f"{1 / left_low:.4g}"), float(f"{1 / left_high:.4g}")
    scope = situation.model.name if situation.model else None
    device = situation.device.name if situation.device else None
    return Gain("latency", None, low, high, "modelled", scope, device)
