"""From records back to measurements, so that figures of another machine are computed here and never taken on trust."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runners.bench.collect import TECHNIQUE, Findings, Loop, measurements
from runners.bench.results import Measurement
from runners.card_types import Card

Record = dict[str, Any]
MOST = 2**63  # bytes or things; no machine holds more


def measurements_of(records: Sequence[Record], card: Card) -> list[Measurement]:
    """What `collect.measurements` gave when the records were made, from their raw samples and counts.

    The records are of one session and have no `record_problem`. Raises: ValueError naming the field that does not fit.
    """
    if not records:
        return []
    first = records[0]
    findings = Findings(environment=first["evaluation"]["environment"])
    for record in records:
        if record["ratio"] is not None:
            _add(findings, record)
    return measurements(findings, card, first["seed"])


def _add(findings: Findings, record: Record) -> None:
    workload, rung, samples = record["workload"]["name"], record["baseline"], record["samples"]
    if (workload, rung) in findings.loops:
        raise ValueError(f"workload.name: {workload} against {rung} is told twice; give each pair one record")
    findings.loops[workload, rung] = _loop(record, samples["technique_ms"], samples["baseline_ms"], 0.0)
    first, second = samples.get("control_first_ms"), samples.get("control_second_ms")
    band = record["band"]
    if (first is None) is not (band is None):
        raise ValueError("band: is the baseline timed against itself; give it where there are samples of that alone")
    if first is not None:
        # The recorded band is a floor here: nobody makes two subjects look more different than the control allows.
        findings.controls[workload, rung] = _loop(record, first, second, band)
    for subject in (TECHNIQUE, rung):
        findings.extras[workload, subject] = _extras(record["memory"].get(subject))


def _loop(record: Record, technique: Any, baseline: Any, floor: float) -> Loop:
    workload = record["workload"]
    if not technique or not baseline or len(technique) != len(baseline):
        raise ValueError("samples: are not pairs; give as many of the one as of the other")
    inputs = workload.get("inputs") or {}
    return Loop(
        axes=workload.get("axes") or {},
        dtype=str(inputs.get("dtype") or ""),
        pass_=str(inputs.get("pass") or ""),
        technique_ms=technique,
        baseline_ms=baseline,
        cap_reached=bool(record["ratio"].get("cap_reached")),
        band_floor=floor,
    )


def _extras(figures: Any) -> dict[str, Any]:
    if not isinstance(figures, dict):
        raise ValueError("memory: lacks the technique or its rung; give both")
    for name, value in figures.items():
        is_count = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < MOST
        if value is not None and not is_count:
            raise ValueError(f"memory.{name}: {value!r} is no count; give bytes or a number of things")
    counted = {name: value for name, value in figures.items() if value is not None}
    found: dict[str, Any] = {name: counted.pop(name, None) for name in ("peak_memory", "steady_memory")}
    return {**found, "footprint": counted}
