"""Two runs: what changed between their environments and versions, and which figures agree."""

from collections.abc import Iterator, Sequence
from typing import Any

from papers.models import Measurement, Run
from runners.bench.collect import TECHNIQUE
from runners.bench.compare import Change, Differences, RatioChange, environment_changes
from runners.bench.statistics import Interval

VERSIONS = ("card_hash", "code_hash", "harness_version", "mode", "seed")


def compare_runs(old: Run, new: Run) -> Differences:
    """The first run beside the second, as `runners.bench.compare` tells two files apart."""
    return Differences(
        versions=list(_versions(old, new)),
        environment=environment_changes(old.environment, new.environment),
        ratios=list(_ratios(_figures(old), _figures(new), new.implementation.name)),
    )


def _versions(old: Run, new: Run) -> Iterator[Change]:
    facts: list[tuple[str, Any, Any]] = [("implementation", old.implementation.name, new.implementation.name)]
    facts += [(name, getattr(old, name), getattr(new, name)) for name in VERSIONS]
    for name, before, after in facts:
        if before != after:
            yield Change(name, _short(before), _short(after), is_state=name == "seed")


def _short(value: Any) -> Any:
    return value[:12] if isinstance(value, str) and len(value) == 64 else value


def _figures(run: Run) -> list[Measurement]:
    return list(run.measurements.filter(subject=TECHNIQUE, measure="time", ratio__isnull=False).defer("samples"))


def _ratios(old: Sequence[Measurement], new: Sequence[Measurement], card: str) -> Iterator[RatioChange]:
    sides = [{(each.workload, each.baseline): each for each in side} for side in (old, new)]
    for workload, baseline in dict.fromkeys([*sides[0], *sides[1]]):
        before, after = (side.get((workload, baseline)) for side in sides)
        band = max(float(each.band or 0.0) for each in (before, after) if each)
        yield RatioChange(card, workload, baseline, _interval(before), _interval(after), band)


def _interval(figure: Measurement | None) -> Interval | None:
    if figure is None or figure.ratio is None:
        return None
    low, high = figure.ratio_low, figure.ratio_high
    return Interval(figure.ratio, figure.ratio if low is None else low, figure.ratio if high is None else high)
