"""Which techniques go together: the fewest and best-proven that meet the budget, and what can be had for what.

A plan is reckoned through the situation: what several techniques change is changed together, so that two which shrink
the same bytes do not multiply, and what becomes short makes something else bind.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from recommender.applicability import SAME_WORK, asks_too_much, fits_model, is_to_use, usable_of
from recommender.changes import ACTS_ON
from recommender.constraints import EFFORTS, effort_of, error_of
from recommender.documents import Document
from recommender.gains import SOURCES, Gain, changes_for
from recommender.knowledge import Knowledge
from recommender.settings_of_training import Setting, settings_for
from recommender.situation import TIME_BUDGETS, Change, Outcome, Situation

TOGETHER = 3
WITH_SETTINGS = 2
PLANS = 4
CANDIDATES = 14
OF_A_FAMILY = 4  # others of it would only be exchanged for these
LEAST_GAIN = 1.02
# Memory that is not lacking is worth this power of what it saves.
SPARE_MEMORY, NEARLY_FULL = 0.2, 0.85


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
    reckoned. `conflicts` names answers that were passed over and why. `settings` are what it needs besides to fit.
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
    settings: tuple[str, ...] = ()

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
            "settings": list(self.settings),
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
    usable = usable_of(ranked)
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


class Parts:
    """What each document changes in a situation, worked out once."""

    def __init__(self, situation: Situation, knowledge: Knowledge | None = None) -> None:
        self._of = functools.cache(lambda document: _part(document, situation, knowledge))

    def of(self, document: Document) -> Part | None:
        """None where it cannot be used here, or changes nothing."""
        return self._of(document)


def sets_of(
    ranked: Sequence[Document], situation: Situation, knowledge: Knowledge | None = None, known: Parts | None = None
) -> list[Plan]:
    """Every compatible set of the candidates, reckoned; empty where the situation gives nothing to reckon with."""
    of_document = known or Parts(situation, knowledge)
    if situation.memory is None and not situation.costs:
        return []
    parts: list[Part] = []
    of_family: Counter[str] = Counter()
    for document in usable_of(ranked):
        family = document.families[0]
        if of_family[family] < OF_A_FAMILY and (part := of_document.of(document)):
            parts.append(part)
            of_family[family] += 1
    chosen_sets = _sets(parts[:CANDIDATES])
    found = [_plan(chosen, situation) for chosen in chosen_sets]
    if situation.workload.trains and situation.short_by_gib and not any(plan.meets_budget for plan in found):
        found += [plan for chosen in chosen_sets if (plan := _made_to_fit(chosen, situation))]
    return found


def _made_to_fit(chosen: Sequence[Part], situation: Situation) -> Plan | None:
    """The set with the fewest settings that make it meet the budget; None where all together do not, or it is large."""
    if len(chosen) > WITH_SETTINGS:
        return None
    for settings in settings_for([part.document for part in chosen], situation):
        if (plan := _plan(chosen, situation, settings)).meets_budget:
            return plan
    return None


def worth_alone(document: Document, situation: Situation, parts: Parts) -> float | None:
    """How many times less the whole of the user's workload takes with this technique alone, of what is lacking: memory
    where that is short, else time. None where it cannot be used or nothing can be reckoned."""
    if not situation.costs or not is_to_use(document) or not (part := parts.of(document)):
        return None
    after = situation.after([change for change, _ in part.changes])
    before_gib = situation.memory.total if situation.memory else 0.0
    if _lacks_memory(situation) and after.memory_gib and before_gib / after.memory_gib > LEAST_GAIN:
        return before_gib / after.memory_gib
    return situation.request_ms / after.request_ms if situation.request_ms and after.request_ms else None


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


def _part(document: Document, situation: Situation, knowledge: Knowledge | None) -> Part | None:
    effort = effort_of(document)
    if asks_too_much(document, situation.need.training) and not situation.workload.trains:
        return None
    if not fits_model(document, situation):
        return None
    # A loss on one side counts as well: what saves memory may cost time.
    moved = tuple(
        (_within_peaks(change, document, situation), gain)
        for change, gain in changes_for(document, situation, knowledge)
        if situation.share(change)
    )
    if not any(change.middle >= LEAST_GAIN for change, _ in moved):
        return None
    return Part(document, moved, effort, error_of(document))


def _within_peaks(change: Change, document: Document, situation: Situation) -> Change:
    """What leaves the work as it is cannot be quicker than the peaks of the device allow, whatever its paper compares with."""
    if change.resource != "time" or document.families[0] not in SAME_WORK:
        return change
    most = situation.most_by_same_work
    return replace(change, low=min(change.low, most), middle=min(change.middle, most), high=min(change.high, most))


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
    cache = {("time", "kv_cache"), ("time", "decode/attention")}  # decoding's attention reads the cache
    if mine & theirs or (mine & cache and theirs & cache):
        return True
    kinds = {resource for resource, _ in mine} & {resource for resource, _ in theirs}
    return any(resource in kinds for resource, _ in (mine | theirs) & wholes)


def _plan(chosen: Sequence[Part], situation: Situation, settings: Sequence[Setting] = ()) -> Plan:
    pairs = [pair for part in chosen for pair in part.changes]
    further = [change for setting in settings for change in setting.changes]
    # More requests in the same time make no single pass quicker.
    changes = [change for change, gain in pairs if gain.metric != "throughput"] + further
    for_many = len(changes) < len(pairs) + len(further)
    ends = _ends(changes, situation)
    cautious, likely, _ = ends
    misses = situation.over_budget(likely)
    errors = [part.error for part in chosen] + [None for setting in settings if not setting.is_exact]
    meets = not misses if situation.has_budget else None
    documents = tuple(part.document for part in chosen)
    return Plan(
        documents,
        meets,
        likely.memory_gib,
        _joint(chosen, _ends([change for change, _ in pairs] + further, situation), situation, "throughput")
        if for_many
        else _joint(chosen, ends, situation),
        (),
        None if meets is None else not situation.over_budget(cautious),
        tuple(likely.ms.items()),
        None if None in errors else sum(error for error in errors if error),
        max((part.effort for part in chosen), key=EFFORTS.index),
        tuple(misses.items()),
        "modelled" if settings else SOURCES[max(part.proof for part in chosen)],
        tuple(changes),
        tuple(setting.name for setting in settings),
    )


def _ends(changes: Sequence[Change], situation: Situation) -> tuple[Outcome, Outcome, Outcome]:
    """Cautious, likely and best."""
    cautious, likely, best = (situation.after(changes, end) for end in ("low", "middle", "high"))
    return cautious, likely, best


def _joint(
    chosen: Sequence[Part], outcomes: tuple[Outcome, Outcome, Outcome], situation: Situation, of_time: str = "latency"
) -> Gain | None:
    """The factor on what the need wants less of: memory where that is the point or nothing else is moved, else time."""
    likely = outcomes[1]
    memory = situation.memory.total if situation.memory else None
    quicker = situation.request_ms and likely.request_ms and situation.request_ms / likely.request_ms >= LEAST_GAIN
    of_memory = situation.need.objective == "memory" or bool(situation.short_by_gib) or not quicker
    before = memory if of_memory else situation.request_ms
    ends = [one.memory_gib if of_memory else one.request_ms for one in outcomes]
    if not before or not all(ends):
        return None
    low, middle, high = (float(f"{before / (end or 1.0):.4g}") for end in ends)
    source = SOURCES[max(part.proof for part in chosen)]
    scope = situation.model.name if situation.model else None
    device = situation.device.name if situation.device else None
    basis = "All changes made together in the model of the situation."
    return Gain("memory" if of_memory else of_time, middle, low, high, source, scope, device, basis)


def _order(plan: Plan, situation: Situation) -> tuple[bool, float, int, bool, int, int, float]:
    """Meets the budget, by how much it misses, parts, whether it is sure, proof, effort, gain. Without a want of memory or time to meet,
    what gains most for its parts comes first; memory that nobody lacks gains little."""
    pressed = bool(situation.short_by_gib) or any(getattr(situation.need, field) for field in TIME_BUDGETS)
    gain = plan.gain.median if plan.gain and plan.gain.median else 0.0
    missed = max((by for _, by in plan.misses), default=1.0)
    proof = SOURCES.index(plan.proof) if plan.proof else len(SOURCES)
    effort = EFFORTS.index(plan.effort)
    if pressed:
        parts = len(plan.documents) + len(plan.settings)
        return plan.meets_budget is False, missed, parts, not plan.is_sure, proof, effort, -gain
    if plan.gain and plan.gain.metric == "memory" and not _lacks_memory(situation) and gain > 1:
        gain = gain**SPARE_MEMORY
    without_card = sum(not document.effects for document in plan.documents)
    worth = gain * (0.93 ** len(plan.documents)) * (0.95**proof) * (0.9**without_card)
    return plan.meets_budget is False, missed, 0, False, 0, 0, -worth


def _lacks_memory(situation: Situation) -> bool:
    """Whether memory is what is wanted, or all that can be reckoned, or nearly used up."""
    there, memory = situation.available_gib, situation.memory
    if situation.need.objective == "memory" or not situation.costs or memory is None or not there:
        return True
    return memory.total > NEARLY_FULL * there


def _varied(ordered: Sequence[Plan]) -> list[Plan]:
    """The first plans that are not merely another with one part more and no better; those of other families first, because
    one of the same would only exchange a part for its like."""
    found: list[Plan] = []
    for only_new in (True, False):
        ways = {_families(plan) for plan in found}
        for plan in ordered:
            mine = {document.id for document in plan.documents}
            if len(found) == PLANS:
                break
            if (only_new and _families(plan) in ways) or any(
                mine >= {document.id for document in other.documents} for other in found
            ):
                continue
            found.append(plan)
            ways.add(_families(plan))
    return found


def _families(plan: Plan) -> frozenset[str]:
    return frozenset(document.families[0] for document in plan.documents)


def _passed_over(chosen: Sequence[Document], ranked: Sequence[Document]) -> list[str]:
    reasons = []
    for other in ranked:
        if other not in chosen:
            reasons += [reason for one in chosen if (reason := conflict(one, other))][:1]
    return reasons[:TOGETHER]


def _as_ranked(usable: Sequence[Document], situation: Situation) -> list[Plan]:
    """One set, led by the first answer: others that do not act on the same place nor ask for more training than allowed."""
    allowed = situation.need.training
    usable = [one for one in usable if fits_model(one, situation) and not asks_too_much(one, allowed)]
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
