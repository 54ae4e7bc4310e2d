"""What stands in the way where nothing meets a budget, and what would have to give least."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from recommender.constraints import TRAINING_ORDER, Excluded
from recommender.need import Need
from recommender.plan import Plan, label
from recommender.situation import Situation


def nearest_to_give(
    situation: Situation, is_answered: bool, excluded: Sequence[Excluded], sets: Sequence[Plan]
) -> str | None:
    """A sentence that begins with the field at fault; None where something meets the budget, or there is none to meet."""
    misses = situation.over_budget(situation.after(()))
    if misses and not any(plan.meets_budget for plan in sets):
        return _to_give(situation, sets, misses, excluded)
    if not is_answered and excluded:
        constraint, count = Counter(one.constraint for one in excluded).most_common(1)[0]
        value = getattr(situation.need, constraint)
        return f"{constraint}: {value!r} rules out {count} of the nearest techniques"
    return None


def _to_give(
    situation: Situation, sets: Sequence[Plan], misses: Mapping[str, float], excluded: Sequence[Excluded]
) -> str:
    """Of the plan that comes closest, what it misses, the least first; then what else could be loosened."""
    closest = min(sets, key=lambda plan: max((by for _, by in plan.misses), default=1.0), default=None)
    left = dict(closest.misses) if closest else dict(misses)
    if closest and max(left.values()) > max(misses.values()):
        closest, left = None, dict(misses)
    told = [_missed(field, by, closest, situation) for field, by in sorted(left.items(), key=lambda pair: pair[1])]
    return "; ".join([*told, *_could_be_loosened(excluded, situation.need)])


def _missed(field: str, by: float, closest: Plan | None, situation: Situation) -> str:
    after = f" even with {label(closest.documents)}" if closest else ""
    if field == "memory":
        total, there = situation.memory.total if situation.memory else 0.0, situation.available_gib or 0.0
        best = f"; the best plan leaves {closest.memory_gib:.3g} GiB" if closest and closest.memory_gib else ""
        text = f"memory: needs {total:.3g} GiB, {there:.3g} GiB are usable, {total - there:.3g} GiB too much{best}"
        return text + _more_devices(situation, by)
    ms = getattr(situation.need, field)
    return f"{field}: {ms:g} ms are allowed, {ms * by:.3g} ms are expected{after}"


def _more_devices(situation: Situation, times: float) -> str:
    device = situation.device
    if device is None or not device.link_gb_s:
        return ""
    return f"; {math.ceil(situation.need.gpus * times)} × {device.name} would hold it"


def _could_be_loosened(excluded: Sequence[Excluded], need: Need) -> list[str]:
    """Constraints that rule out techniques which may help, with how many of the nearest ones."""
    found = []
    counts = Counter(one.constraint for one in excluded)
    if counts["training"] and need.training in TRAINING_ORDER:
        more = counts["training"]
        found.append(f"with more training than {need.training!r} {more} more of the nearest techniques could be used")
    if counts["max_error"] and need.max_error is not None:
        more = counts["max_error"]
        found.append(f"with an error of more than {need.max_error:.1%} {more} more of the nearest could be used")
    return found
