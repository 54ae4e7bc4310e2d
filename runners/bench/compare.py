"""What changed between two runs: environments, versions, what was asked for, and the figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from runners.bench.progress import table
from runners.bench.replay import agree
from runners.bench.statistics import Interval

# Differ from run to run on one machine; everything else stays until someone changes it.
STATE = frozenset(
    {
        "load_average",
        "clock_mhz",
        "temperature_c",
        "power_mw",
        "device_state",
        "network",
        "files",
        "system_calls",
        "timestamp",
        "log_bytes",
    }
)
FIRST = ("device_name", "device_kind", "torch", "driver", "cuda", "triton", "python")


@dataclass(frozen=True)
class Change:
    """One fact then and now; None where it was not told. `is_state`: it differs from run to run anyway."""

    name: str
    old: Any
    new: Any
    is_state: bool


@dataclass(frozen=True)
class RatioChange:
    """One workload and rung then and now; None where one side has no figure."""

    card: str
    workload: str
    baseline: str
    old: Interval | None
    new: Interval | None
    band: float

    @property
    def agrees(self) -> bool:
        return self.old is not None and self.new is not None and agree(self.old, self.new, self.band)


@dataclass(frozen=True)
class Differences:
    """All that changed; `same` holds when nothing did but the state of the machine, and the ratios agree."""

    versions: list[Change]
    environment: list[Change]
    ratios: list[RatioChange]

    @property
    def same(self) -> bool:
        lasting = [each for each in (*self.versions, *self.environment) if not each.is_state]
        return not lasting and all(each.agrees for each in self.ratios)

    def to_dict(self) -> dict[str, Any]:
        return {
            "same": self.same,
            "versions": [asdict(each) for each in self.versions],
            "environment": [asdict(each) for each in self.environment],
            "ratios": [{**asdict(each), "agrees": each.agrees} for each in self.ratios],
        }


def environment_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Facts that differ, nested ones by dotted names; what decides most first, the state of the machine last."""
    before, after = dict(_flat(old)), dict(_flat(new))
    found = [
        Change(name, before.get(name), after.get(name), name.partition(".")[0] in STATE)
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]
    return sorted(found, key=lambda each: (each.is_state, _rank(each.name), each.name))


def _rank(name: str) -> int:
    return FIRST.index(name) if name in FIRST else len(FIRST)


def _flat(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif value not in (None, ""):
            yield f"{prefix}{name}", value


def compare_records(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> Differences:
    """Two bundles of records, as `run --out` writes them. Raises ValueError for an empty one."""
    if not old or not new:
        raise ValueError("records: one side holds none; give two files that `run --out` wrote")
    environments = [dict(side[0]["evaluation"]["environment"]) for side in (old, new)]
    return Differences(
        versions=_version_changes(old, new),
        environment=environment_changes(*environments),
        ratios=_ratio_changes(old, new),
    )


def _version_changes(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[Change]:
    """Of cards that both sides have: card, code, harness, seed and request; and cards that only one side has."""
    firsts = [{record["card"]: record for record in reversed(side)} for side in (old, new)]
    found = []
    for card in sorted(firsts[0].keys() | firsts[1].keys()):
        before, after = (side.get(card) for side in firsts)
        if before is None or after is None:
            found.append(Change(card, "recorded" if before else None, "recorded" if after else None, is_state=False))
            continue
        for name in ("card_hash", "code_hash", "harness_version", "seed", "request"):
            if before.get(name) != after.get(name):
                found.append(Change(f"{card}: {name}", before.get(name), after.get(name), is_state=name == "seed"))
    return found


def _ratio_changes(old: Sequence[Mapping[str, Any]], new: Sequence[Mapping[str, Any]]) -> list[RatioChange]:
    sides = [
        {(each["card"], str(each["workload"].get("name")), each["baseline"]): each for each in side if each["ratio"]}
        for side in (old, new)
    ]
    found = []
    for key in dict.fromkeys([*sides[0], *sides[1]]):
        pair = [side.get(key) for side in sides]
        before, after = (
            Interval(each["ratio"]["median"], each["ratio"]["low"], each["ratio"]["high"]) if each else None
            for each in pair
        )
        band = max(float(each.get("band") or 0.0) for each in pair if each)
        card, workload, baseline = key
        found.append(RatioChange(card, workload, baseline, before, after, band))
    return found


def summary(found: Differences) -> str:
    """The differences in words and tables."""
    parts = []
    rows = [[each.name, _short(each.old), _short(each.new)] for each in found.versions]
    parts.append(table(["version or request", "then", "now"], rows) if rows else "same cards, code and request")
    lasting = [[each.name, _short(each.old), _short(each.new)] for each in found.environment if not each.is_state]
    parts.append(table(["environment", "then", "now"], lasting) if lasting else "same environment")
    state = [[each.name, _short(each.old), _short(each.new)] for each in found.environment if each.is_state]
    if state:
        parts.append(table(["state of the machine", "then", "now"], state))
    rows = [
        [each.card, each.workload, each.baseline, _ratio(each.old), _ratio(each.new), "yes" if each.agrees else "no"]
        for each in found.ratios
    ]
    if rows:
        parts.append(table(["card", "workload", "against", "then", "now", "agree"], rows))
    return "\n\n".join(parts)


def _short(value: Any) -> str:
    text = "-" if value is None else str(value)
    is_hash = len(text) == 64 and all(digit in "0123456789abcdef" for digit in text)
    return text[:12] if is_hash else text if len(text) <= 60 else text[:59] + "…"


def _ratio(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval.median:.3f}× ({interval.low:.3f} to {interval.high:.3f})"
