"""From the child's messages to measurements: every statistic is computed here, in the parent."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runners.bench.results import STATUSES, Failure, Measurement
from runners.bench.statistics import bootstrap_median, equivalence_band, paired_ratios
from runners.card_types import Card

TECHNIQUE = "technique"
COUNTED_UNITS = {
    "weights": "B", "kv_cache": "B", "optimizer_state": "B", "peak_memory": "B", "steady_memory": "B", "parameters": "", "flops": "",
}  # fmt: skip


class ProtocolError(ValueError):
    """The child sent what the harness never sends; its figures cannot be trusted."""


@dataclass(frozen=True)
class Usage:
    """What all threads of the child had used when the parent looked: seconds on a core, and waiting for one.

    `at_s` is the parent's clock at that look, which on a busy machine comes after the message that asked for it.
    """

    run_s: float
    queued_s: float
    at_s: float

    def since(self, before: Usage) -> Usage:
        """The difference; its `at_s` is the time between the two looks."""
        return Usage(self.run_s - before.run_s, self.queued_s - before.queued_s, self.at_s - before.at_s)


@dataclass(frozen=True)
class Stretch:
    """Calls in a row by the parent's own clock; `usage` is what the child used meanwhile, None where nobody says."""

    calls: int
    seconds: float
    usage: Usage | None


@dataclass
class Loop:
    """Paired samples of the technique (or the control's twin) and a rung on one workload."""

    axes: dict[str, int]
    dtype: str
    pass_: str
    technique_ms: list[float]
    baseline_ms: list[float]
    cap_reached: bool
    band_floor: float
    spans: list[tuple[float, float]] = field(default_factory=list)
    dropped: dict[str, list[float]] = field(default_factory=dict)
    """Samples that were left out because the device's clock drifted, by "technique_ms" and "baseline_ms"."""

    def keep(self, indices: Sequence[int]) -> None:
        """Leaves out every pair whose index is not given."""
        kept = set(indices)
        out = [index for index in range(len(self.technique_ms)) if index not in kept]
        for name in ("technique_ms", "baseline_ms") if out else ():
            samples = getattr(self, name)
            self.dropped[name] = [samples[index] for index in out]
            setattr(self, name, [samples[index] for index in indices])
        self.spans = [self.spans[index] for index in indices] if out else self.spans


@dataclass
class Findings:
    """What the child has reported so far. `add` validates each message and raises ProtocolError."""

    environment: dict[str, Any] = field(default_factory=dict)
    started_s: float = 0.0
    checks: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    notes: list[dict[str, str]] = field(default_factory=list)
    setups: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    extras: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    loops: dict[tuple[str, str], Loop] = field(default_factory=dict)
    controls: dict[tuple[str, str], Loop] = field(default_factory=dict)
    back_to_back: dict[tuple[str, str], list[Stretch]] = field(default_factory=dict)
    alone: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    processor: dict[str, float] = field(default_factory=dict)
    ceilings: list[dict[str, Any]] = field(default_factory=list)
    compiled: list[str] = field(default_factory=list)
    doubts: list[dict[str, str]] = field(default_factory=list)
    """What the parent thinks of the times, {"workload", "text"}; no message of the child's adds to it."""
    failure: tuple[str, Failure] | None = None
    done: bool = False
    _mark: tuple[tuple[str, str], float, Usage | None] | None = None
    _usage: Usage | None = None

    def add(self, message: Mapping[str, Any], arrived_s: float, usage: Usage | None = None) -> None:
        """Takes one message in. `arrived_s` is the parent's clock when it was read, `usage` the child's up to then."""
        self._usage = usage
        handlers: dict[str, Callable[[Mapping[str, Any], float], None]] = {
            "environment": self._add_environment,
            "check": self._add_check,
            "skipped": self._add_skipped,
            "note": self._add_note,
            "setup": self._add_setup,
            "extras": self._add_extras,
            "pairs": self._add_pairs,
            "control": self._add_pairs,
            "mark": self._add_mark,
            "alone": self._add_alone,
            "spent": self._add_spent,
            "processor": self._add_processor,
            "compiled": self._add_compiled,
            "ceiling": self._add_ceiling,
            "failure": self._add_failure,
            "done": self._add_done,
        }
        handler = handlers.get(str(message.get("type")))
        if handler is None:
            raise ProtocolError(f"message of unknown type {message.get('type')!r}")
        try:
            handler(message, arrived_s)
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"malformed {message['type']} message: {error}") from error

    def said(self, message: Mapping[str, Any]) -> str:
        """A message that `add` took as a line for whoever watches: samples as they come, before any guard has judged them."""
        if message["type"] == "check":
            return f"checked {message['workload']}, {message['subject']}: {message['status']}"
        if message["type"] in ("pairs", "control"):
            loops = self.loops if message["type"] == "pairs" else self.controls
            loop = loops[message["workload"], message["baseline"]]
            against = f"against {message['baseline']}" if message["type"] == "pairs" else f"{message['baseline']} twice"
            ratio = statistics.median(b / t for t, b in zip(loop.technique_ms, loop.baseline_ms, strict=True))
            return f"timed {message['workload']} {against}: {len(loop.spans)} pairs, raw median {ratio:.3f}×"
        return ""

    def _add_environment(self, message: Mapping[str, Any], arrived_s: float) -> None:
        self.started_s = arrived_s
        self.environment = {key: value for key, value in message.items() if key != "type"}

    def _add_check(self, message: Mapping[str, Any], _: float) -> None:
        if message["status"] not in STATUSES:
            raise ValueError(f"status {message['status']!r} is unknown")
        self.checks.append({key: value for key, value in message.items() if key != "type"})

    def _add_skipped(self, message: Mapping[str, Any], _: float) -> None:
        self.skipped.append({key: str(message[key]) for key in ("workload", "subject", "reason")})

    def _add_note(self, message: Mapping[str, Any], _: float) -> None:
        self.notes.append({key: str(message[key]) for key in ("workload", "text")})

    def _add_setup(self, message: Mapping[str, Any], _: float) -> None:
        self.setups[message["workload"], message["subject"]] = {
            "setup_ms": float(message["setup_ms"]),
            "first_call_ms": float(message["first_call_ms"]),
            "warm_up_calls": int(message["warm_up_calls"]),
        }

    def _add_extras(self, message: Mapping[str, Any], _: float) -> None:
        peak = message["peak_memory"]
        self.extras[message["workload"], message["subject"]] = {
            "host_ms": _positive(message["host_ms"]),
            "launch_ms": _positive(message["launch_ms"]),
            "operator_ms": [(float(inside), float(outside)) for inside, outside in message["operator_ms"]],
            "peak_memory": None if peak is None else int(peak),
            "steady_memory": None if message.get("steady_memory") is None else int(message["steady_memory"]),
            **{str(key): int(value) for key, value in message.get("work", {}).items()},
            "footprint": {str(key): int(value) for key, value in message["footprint"].items()},
        }

    def _add_pairs(self, message: Mapping[str, Any], _: float) -> None:
        loop = Loop(
            axes={str(key): int(value) for key, value in message["axes"].items()},
            dtype=str(message["dtype"]),
            pass_=str(message["pass_"]),
            technique_ms=_positive(message["technique_ms"]),
            baseline_ms=_positive(message["baseline_ms"]),
            cap_reached=bool(message["cap_reached"]),
            band_floor=float(message["band_floor"]),
            spans=[(float(begin), float(end)) for begin, end in message["spans"]],
        )
        if len(loop.spans) != len(loop.technique_ms):
            raise ValueError(f"{len(loop.spans)} spans for {len(loop.technique_ms)} pairs")
        if len(loop.technique_ms) != len(loop.baseline_ms) or not loop.technique_ms:
            raise ValueError(f"{len(loop.technique_ms)} and {len(loop.baseline_ms)} samples do not make pairs")
        target = self.loops if message["type"] == "pairs" else self.controls
        pair = (message["workload"], message["baseline"])
        if pair in target:
            raise ValueError(f"{pair[0]} against {pair[1]} was told twice")
        target[pair] = loop

    def _add_mark(self, message: Mapping[str, Any], arrived_s: float) -> None:
        subject = (str(message["workload"]), str(message["subject"]))
        if message["edge"] == "begin":
            self._mark = (subject, arrived_s, self._usage)
            return
        if self._mark is None or self._mark[0] != subject:
            raise ValueError("a stretch of calls ends that never began")
        _, began_s, before = self._mark
        used = None
        if before and self._usage:
            used = self._usage.since(before)
        stretch = Stretch(int(message["calls"]), arrived_s - began_s, used)
        if stretch.calls < 1:
            raise ValueError("a stretch without calls")
        self.back_to_back.setdefault(subject, []).append(stretch)
        self._mark = None

    def _add_alone(self, message: Mapping[str, Any], _: float) -> None:
        self.alone[message["workload"], message["subject"]] = _positive(message["samples"])

    def _add_spent(self, message: Mapping[str, Any], _: float) -> None:
        self.spent = {str(part): float(seconds) for part, seconds in message["seconds"].items()}

    def _add_processor(self, message: Mapping[str, Any], _: float) -> None:
        self.processor = {part: float(message[f"{part}_s"]) for part in ("start", "card")}

    def _add_compiled(self, message: Mapping[str, Any], _: float) -> None:
        self.compiled = [str(rung) for rung in message["rungs"]]

    def _add_ceiling(self, message: Mapping[str, Any], _: float) -> None:
        fields = {key: str(message[key]) for key in ("name", "unit", "detail")}
        self.ceilings.append({**fields, "value": _positive([message["value"]])[0]})

    def _add_failure(self, message: Mapping[str, Any], _: float) -> None:
        if message["status"] not in STATUSES:
            raise ValueError(f"status {message['status']!r} is unknown")
        self.failure = (message["status"], Failure(str(message["reason"]), str(message["detail"])))

    def _add_done(self, _message: Mapping[str, Any], _: float) -> None:
        self.done = True


def _positive(samples: Any) -> list[float]:
    values = [float(sample) for sample in samples]
    if not all(math.isfinite(value) and value > 0 for value in values):
        raise ValueError("a time is not a positive number")
    return values


def median_ratios(findings: Findings) -> dict[tuple[str, str], float]:
    """Median ratio of each workload and rung."""
    return {
        pair: statistics.median(paired_ratios(loop.baseline_ms, loop.technique_ms))
        for pair, loop in findings.loops.items()
    }


def measurements(findings: Findings, card: Card, seed: int) -> list[Measurement]:
    """Every figure of the run: ratios against each rung, and each rung's own figures."""
    kind = str(findings.environment.get("device_kind", "cpu"))
    found: list[Measurement] = []
    bands = {workload: _band(loop, seed) for (workload, _), loop in findings.controls.items()}
    for (workload, rung), loop in findings.loops.items():
        ratio = bootstrap_median(paired_ratios(loop.baseline_ms, loop.technique_ms), seed)
        for subject, baseline, samples in ((TECHNIQUE, rung, loop.technique_ms), (rung, "", loop.baseline_ms)):
            own = bootstrap_median(samples, seed)
            against = ratio if baseline else None
            found.append(
                Measurement(
                    workload=workload,
                    subject=subject,
                    baseline=baseline,
                    measure="time",
                    unit="ms",
                    median=own.median,
                    low=own.low,
                    high=own.high,
                    samples=samples,
                    ratio=against.median if against else None,
                    ratio_low=against.low if against else None,
                    ratio_high=against.high if against else None,
                    pairs=len(samples),
                    band=bands.get(workload) if against else None,
                    scope=card.scope,
                    cap_reached=loop.cap_reached,
                    device_kind=kind,
                )
            )
    return found + _counted(findings, card, kind)


def _band(control: Loop, seed: int) -> float:
    interval = bootstrap_median(paired_ratios(control.baseline_ms, control.technique_ms), seed)
    return equivalence_band(interval, control.band_floor)


def _counted(findings: Findings, card: Card, kind: str) -> list[Measurement]:
    """Memory and counts. They do not scatter, so their interval has no width and any difference is real."""
    found = []
    for workload, rung in findings.loops:
        technique = _figures(findings.extras.get((workload, TECHNIQUE)))
        baseline = _figures(findings.extras.get((workload, rung)))
        for measure, value in technique.items():
            ratio = baseline[measure] / value if baseline.get(measure) and value else None
            if ratio is not None:
                for subject, against, figure in ((TECHNIQUE, rung, value), (rung, "", baseline[measure])):
                    found.append(
                        _exact(
                            workload=workload,
                            subject=subject,
                            baseline=against,
                            measure=measure,
                            value=figure,
                            ratio=ratio if against else None,
                            scope=card.scope,
                            kind=kind,
                        )
                    )
    return found


def _figures(extras: Mapping[str, Any] | None) -> dict[str, int]:
    if extras is None:
        return {}
    measured = {name: extras[name] for name in ("peak_memory", "steady_memory") if extras.get(name) is not None}
    return {**extras["footprint"], **measured}


def _exact(
    *, workload: str, subject: str, baseline: str, measure: str, value: int, ratio: float | None, scope: str, kind: str
) -> Measurement:
    return Measurement(
        workload=workload,
        subject=subject,
        baseline=baseline,
        measure=measure,
        unit=COUNTED_UNITS.get(measure, ""),
        median=float(value),
        low=float(value),
        high=float(value),
        samples=[float(value)],
        ratio=ratio,
        ratio_low=ratio,
        ratio_high=ratio,
        pairs=1 if baseline else 0,
        band=0.005 if baseline else None,
        scope=scope,
        cap_reached=False,
        device_kind=kind,
    )
