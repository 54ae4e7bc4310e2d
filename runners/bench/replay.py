"""Replays recorded sessions: the same card, mode, seed, workloads and device kind again, old figures against new."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

from runners.bench.progress import table
from runners.bench.records import RecordError, numbered_records
from runners.bench.results import Mode, RunRequest, SessionResult
from runners.bench.statistics import Interval
from runners.card_types import Card
from runners.cards import CardError, find_card

RunSession = Callable[[RunRequest], SessionResult]


@dataclass(frozen=True)
class Recorded:
    """The records of one session. `place` reads "<file>, line <n>" and names its first record."""

    place: str
    records: list[dict[str, Any]]
    request: RunRequest

    @property
    def status(self) -> str:
        """PASSED, or that of the record that tells why the session failed."""
        return next((status for each in self.records if (status := each["evaluation"]["status"]) != "PASSED"), "PASSED")

    @property
    def device_name(self) -> str:
        return str(self.records[0]["evaluation"]["environment"].get("device_name", ""))


@dataclass(frozen=True)
class Comparison:
    """One (workload, baseline) then and now; `problem` says why there is no new figure."""

    workload: str
    baseline: str
    old: Interval
    new: Interval | None
    band: float
    agrees: bool
    problem: str = ""


@dataclass(frozen=True)
class Replay:
    """What became of one recorded session."""

    place: str
    card: str
    mode: str
    seed: int
    same_card: bool
    same_code: bool
    old_device: str
    new_device: str
    old_status: str
    new_status: str
    comparisons: list[Comparison]
    result: SessionResult

    @property
    def agrees(self) -> bool:
        """The same status, and each recorded ratio found again."""
        return self.old_status == self.new_status and all(each.agrees for each in self.comparisons)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; without the new records, which `--out` keeps."""
        plain = {name: value for name, value in vars(self).items() if name not in ("result", "comparisons")}
        failure = asdict(self.result.failure) if self.result.failure else None
        compared = [asdict(each) for each in self.comparisons]
        return {**plain, "agrees": self.agrees, "failure": failure, "comparisons": compared}


def read_sessions(path: Path, card_root: Path | None = None) -> list[Recorded]:
    """The sessions recorded in `path`, in order.

    Raises RecordError that names file, line and field, and CardError with the line of a card that does not exist here.
    """
    groups: dict[tuple[Any, ...], list[tuple[int, dict[str, Any]]]] = {}
    for number, record in numbered_records(path):
        evaluation = record["evaluation"]
        key = (
            record["card"],
            record["seed"],
            record["card_hash"],
            record["code_hash"],
            str(evaluation.get("timestamp")),
            str(record.get("request")),
        )
        groups.setdefault(key, []).append((number, record))
    if not groups:
        raise RecordError(f"{path}: holds no record; give a file that `run --out` wrote")
    sessions = [_session(path, group) for group in groups.values()]
    for recorded in sessions:  # before the first of them runs, which may take an hour
        try:
            find_card(recorded.request.card_name, card_root)
        except CardError as error:
            raise CardError(f"{recorded.place}: {error}") from error
    return sessions


def _session(path: Path, group: list[tuple[int, dict[str, Any]]]) -> Recorded:
    place = f"{path}, line {group[0][0]}"
    records = [record for _, record in group]
    first = records[0]
    asked = first.get("request") or _inferred(records)
    problem = _request_problem(asked)
    if problem:
        raise RecordError(f"{place}: {problem}")
    request = RunRequest(
        card_name=first["card"],
        device=asked["device"],
        mode=asked["mode"],
        seed=first["seed"],
        workloads=tuple(asked["workloads"]),
        time_cap_s=asked.get("time_cap_s"),
        compile_on_cpu=bool(asked.get("compile_on_cpu")),
    )
    return Recorded(place, records, request)


def _request_problem(asked: Any) -> str:
    if not isinstance(asked, dict):
        return "request: is not an object; write what the harness writes"
    if asked.get("mode") not in get_args(Mode):
        return f"request.mode: {asked.get('mode')!r} is unknown; one of {', '.join(get_args(Mode))}"
    if asked.get("device") not in ("cpu", "cuda"):
        return f"request.device: {asked.get('device')!r} is unknown; cpu or cuda"
    names = asked.get("workloads")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return "request.workloads: is not a list of names; an empty one means all"
    cap = asked.get("time_cap_s")
    if cap is not None and (isinstance(cap, bool) or not isinstance(cap, int | float) or not cap > 0):
        return f"request.time_cap_s: {cap!r} is no time; give seconds above 0 or null"
    return ""


def _inferred(records: list[dict[str, Any]]) -> dict[str, Any]:
    """What must have been asked for, for records that do not say."""
    timed = list(dict.fromkeys(str(each["workload"].get("name", "")) for each in records if each["ratio"]))
    mode = "check" if not timed else "sweep" if any("[" in name for name in timed) else "run"
    workloads = list(dict.fromkeys(name.partition("[")[0] for name in timed))
    device = str(records[0]["evaluation"]["environment"].get("device_kind", ""))
    return {"mode": mode, "device": device, "workloads": workloads}


def replay(recorded: Recorded, run: RunSession, limits: RunRequest) -> Replay:
    """Runs the session again by `run`; `limits` gives what belongs to this machine: wall, memory and card folder."""
    card = find_card(recorded.request.card_name, limits.card_root)
    request = replace(
        recorded.request,
        wall_limit_s=limits.wall_limit_s,
        memory_limit_gib=limits.memory_limit_gib,
        card_root=limits.card_root,
    )
    result = run(request)
    first = recorded.records[0]
    return Replay(
        place=recorded.place,
        card=card.name,
        mode=request.mode,
        seed=result.seed,
        same_card=first["card_hash"] == card.card_hash,
        same_code=first["code_hash"] == card.code_hash,
        old_device=recorded.device_name,
        new_device=str(result.environment.get("device_name", "")),
        old_status=recorded.status,
        new_status=result.status,
        comparisons=list(_compared(recorded, card, result)),
        result=result,
    )


def _compared(recorded: Recorded, card: Card, result: SessionResult) -> Iterator[Comparison]:
    measured = {(each.workload, each.baseline): each for each in result.measurements if each.measure == "time"}
    skipped = {(each["workload"], each["subject"]): each["reason"] for each in result.skipped}
    for record in recorded.records:
        if not record["ratio"]:
            continue
        workload, baseline = str(record["workload"].get("name", "")), record["baseline"]
        old = Interval(record["ratio"]["median"], record["ratio"]["low"], record["ratio"]["high"])
        found = measured.get((workload, baseline))
        if found is None or found.ratio is None or found.ratio_low is None or found.ratio_high is None:
            reason = _why_missing(card, result, skipped, workload, baseline)
            yield Comparison(
                workload, baseline, old, None, float(record.get("band") or 0.0), agrees=False, problem=reason
            )
            continue
        new = Interval(found.ratio, found.ratio_low, found.ratio_high)
        band = max(float(record.get("band") or 0.0), found.band or 0.0)
        yield Comparison(workload, baseline, old, new, band, agrees=agree(old, new, band))


def _why_missing(
    card: Card, result: SessionResult, skipped: dict[tuple[str, str], str], workload: str, baseline: str
) -> str:
    if result.failure:
        return f"{result.failure.reason}: {result.failure.detail}"
    reason = skipped.get((workload, baseline)) or skipped.get((workload, "technique"))
    if reason:
        return reason
    if card.baseline(baseline) is None:
        return f"the card has no rung {baseline!r} any more"
    return f"the card times no {workload!r} any more"


def agree(old: Interval, new: Interval, band: float) -> bool:
    """Whether two intervals of a ratio overlap or lie no farther apart than `band`, the noise between equal subjects.

    An interval says how well one session knows its median; the band, what two sessions of equal subjects differ by.
    """
    gap = max(math.log(old.low / new.high), math.log(new.low / old.high))
    return gap <= math.log1p(band)


def summary(replayed: Replay) -> str:
    """A replay in words and a table."""
    title = f"{replayed.card}: {replayed.mode} of {replayed.place}, seed {replayed.seed}"
    parts = [f"{title}: {'agrees' if replayed.agrees else 'does not agree'}"]
    parts.append(f"  status {replayed.old_status}, now {replayed.new_status}")
    if replayed.result.failure:
        parts.append(f"  {replayed.result.failure.reason}: {replayed.result.failure.detail}")
    parts.append(f"  card: {_version(replayed.same_card)}; code: {_version(replayed.same_code)}")
    if replayed.old_device != replayed.new_device and replayed.new_device:
        parts.append(f"  another device: {replayed.old_device or 'unnamed'}, now {replayed.new_device}")
    text = "\n".join(parts)
    if not replayed.comparisons:
        return text
    headers = ["workload", "against", "recorded", "interval", "now", "interval", "equal within", "agree"]
    return text + "\n\n" + table(headers, [_row(each) for each in replayed.comparisons])


def _version(same: bool) -> str:
    return "the recorded one" if same else "another version than the recorded one"


def _row(each: Comparison) -> list[str]:
    now = ["-", each.problem] if each.new is None else _shown(each.new)
    return [
        each.workload, each.baseline, *_shown(each.old), *now, f"±{each.band:.1%}", "yes" if each.agrees else "no",
    ]  # fmt: skip


def _shown(interval: Interval) -> list[str]:
    return [f"{interval.median:.3f}×", f"{interval.low:.3f} to {interval.high:.3f}"]
