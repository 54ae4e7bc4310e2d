"""Steps in the history of a ratio: since when a technique is no longer faster than a rung, and what changed then."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

CAUSES = ("torch", "triton", "driver", "cuda", "harness", "card", "code")
LEAST_SURE = 2


@dataclass(frozen=True)
class Past:
    """One run's ratio (baseline ÷ technique) with its interval and band; `versions` by the names in CAUSES."""

    run: int
    ratio: float
    low: float
    high: float
    band: float
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_faster(self) -> bool:
        """A gain that noise does not explain."""
        return self.low > 1 + self.band


@dataclass(frozen=True)
class Step:
    """The level of a history changed at `at`, the index of the first run after it.

    `before` and `after` are the levels, geometric medians. `changes` are versions that differ between the two runs, as
    name to (before, after). A step that only the newest run shows is not `sure`.
    """

    at: int
    before: float
    after: float
    changes: dict[str, tuple[str, str]]
    sure: bool


@dataclass(frozen=True)
class NoLongerFaster:
    """The technique beat the rung and does not any more; `run` is the first of which that is true."""

    run: int
    before: float
    after: float
    changes: dict[str, tuple[str, str]]

    def sentence(self, rung: str) -> str:
        causes = [f"{name} {after}" for name, (_, after) in self.changes.items() if name not in ("card", "code")]
        causes += [f"another version of the {name}" for name in ("card", "code") if name in self.changes]
        since = " and ".join(causes) or "a run with the same versions"
        return f"No longer faster than {rung} since {since}: {self.before:.2f}× before, {self.after:.2f}× now."


def steps(history: Sequence[Past]) -> list[Step]:
    """Changes of the level in a history, oldest run first.

    A run belongs to the level of those before it when it lies within its own and their band and interval of it. A
    single run off the level whose successor is back on it is an outlier and no step.
    """
    found: list[Step] = []
    level: list[int] = []
    index = 0
    while index < len(history):
        if not level or _on_level(history, level, index):
            level.append(index)
        elif _is_outlier(history, level, index):
            pass
        else:
            after = [index]
            after += [each for each in range(index + 1, len(history)) if _on_level(history, [index], each)][:4]
            found.append(
                Step(
                    at=index,
                    before=_level(history, level),
                    after=_level(history, after),
                    changes=changed(history[level[-1]].versions, history[index].versions),
                    sure=len(after) >= LEAST_SURE,
                )
            )
            level = [index]
        index += 1
    return found


def _level(history: Sequence[Past], indices: Sequence[int]) -> float:
    return math.exp(statistics.median(math.log(history[index].ratio) for index in indices))


def _on_level(history: Sequence[Past], level: Sequence[int], index: int) -> bool:
    """Whether the run's interval comes within the band of an interval around the level of the others."""
    one = history[index]
    middle = _level(history, level)
    reach = statistics.median(math.log(history[each].high / history[each].low) / 2 for each in level)
    band = math.log1p(max(one.band, statistics.median(history[each].band for each in level)))
    gap = max(math.log(one.low / middle), math.log(middle / one.high)) - reach
    return gap <= band


def _is_outlier(history: Sequence[Past], level: Sequence[int], index: int) -> bool:
    return index + 1 < len(history) and _on_level(history, level, index + 1)


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Versions that both know and that differ, in the order of CAUSES."""
    return {
        name: (before[name], after[name])
        for name in CAUSES
        if before.get(name) and after.get(name) and before[name] != after[name]
    }


def no_longer_faster(history: Sequence[Past]) -> NoLongerFaster | None:
    """Whether the technique was faster before the last sure step down and has not been since; None otherwise."""
    for step in reversed(steps(history)):
        since = history[step.at :]
        if not step.sure:
            continue
        fell = step.after < step.before
        was_faster = any(each.is_faster for each in history[: step.at])
        if fell and was_faster and not any(each.is_faster for each in since):
            return NoLongerFaster(history[step.at].run, step.before, step.after, step.changes)
        return None
    return None


def versions_of(environment: Mapping[str, Any], **others: str) -> dict[str, str]:
    """The versions in a run's environment that may be a cause, and others by name."""
    known = {name: str(environment.get(name) or "") for name in CAUSES}
    return {name: value for name, value in {**known, **others}.items() if value}


def is_due(ran_with: Mapping[str, str], now: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """What changed since the last run, so that it should be run again; empty where nothing did."""
    return changed(ran_with, now)


def transitions(history: Sequence[Past]) -> list[tuple[int, dict[str, tuple[str, str]]]]:
    """Every run before which versions changed, whether or not the ratio did: what a chart of the history marks."""
    return [
        (after.run, changes)
        for before, after in pairwise(history)
        if (changes := changed(before.versions, after.versions))
    ]
