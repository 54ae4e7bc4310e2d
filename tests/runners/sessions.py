"""Records as the harness writes them, of a session that never ran: for a real card, with samples of the test's choice."""

import json
from dataclasses import replace
from typing import Any

from runners.bench.collect import Findings, Loop, measurements
from runners.bench.records import build_records
from runners.bench.results import Failure, Mode, RunRequest
from runners.bench.verdicts import judge, sweep_point
from runners.cards import find_card

CARD = "llm-int8"


def records_of(
    seed: int,
    *,
    device: str = "cpu",
    device_name: str = "Two cores",
    mode: Mode = "run",
    faster: float = 2.0,
    failure: Failure | None = None,
    status: str = "PASSED",
) -> list[dict[str, Any]]:
    """A check and, unless it failed, one timed pair on the card's representative workload, `faster` times as fast."""
    card = find_card(CARD)
    workload = card.representative(device)
    assert workload is not None
    if mode == "sweep":  # its first point alone
        assert card.sweep is not None
        base = next(each for each in card.workloads if each.name == card.sweep.workload)
        value = card.sweep.values[0]
        name = sweep_point(base.name, card.sweep.axis, value)
        workload = replace(base, name=name, axes={**base.axes, card.sweep.axis: value})
    found = Findings(environment={"device_kind": device, "device_name": device_name, "torch": "2.11.0"})
    found.checks.append(
        {
            "subject": "technique",
            "workload": "odd-layer",
            "status": "PASSED",
            "error": {},
            "quality": 0.01,
            "detail": "",
            "axes": {},
            "dtype": "float32",
            "seeds": [1],
            "distributions": ["normal"],
        }
    )
    if failure is None:
        ours = [1.0 + step / 100 for step in range(10)]
        theirs = [faster * each for each in ours]
        shape = {"axes": workload.axes, "dtype": workload.dtype, "pass_": workload.pass_, "cap_reached": False}
        found.loops[workload.name, "eager"] = Loop(**shape, technique_ms=ours, baseline_ms=theirs, band_floor=0.02)
        found.controls[workload.name, "eager"] = Loop(**shape, technique_ms=ours, baseline_ms=ours, band_floor=0.02)
        for subject, weights in (("technique", 100), ("eager", 200)):
            found.extras[workload.name, subject] = {"peak_memory": None, "footprint": {"weights": weights}}
    measured = measurements(found, card, seed)
    built = build_records(
        card=card,
        request=RunRequest(card.name, device=device, mode=mode),
        seed=seed,
        status=status,
        failure=failure,
        findings=found,
        measurements=measured,
        judgements=[judge(claim, card, measured, found.environment, status) for claim in card.claims],
        environment=found.environment,
        log="",
        timestamp="2026-11-25T12:00:00+00:00",
    )
    sent: list[dict[str, Any]] = json.loads(json.dumps(built))
    return sent
