"""What a run has found so far, in the log that a page shows while it goes on."""

from typing import Any

import pytest

from papers.models import RunState
from runners.bench.collect import Findings
from runners.bench.following import Followed
from runners.bench.results import Event
from runners.leases import Lease
from tests.factories import make_run


def pairs(kind: str = "pairs") -> dict[str, Any]:
    return {
        "type": kind, "workload": "decode-8k", "baseline": "eager", "axes": {"seq": 8192}, "dtype": "float32",
        "pass_": "forward", "technique_ms": [1.0, 1.0, 1.0], "baseline_ms": [2.0, 3.0, 2.5], "cap_reached": False,
        "band_floor": 0.01, "spans": [(0, 1), (1, 2), (2, 3)],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (pairs(), "timed decode-8k against eager: 3 pairs, raw median 2.500×"),
        (pairs("control"), "timed decode-8k eager twice: 3 pairs, raw median 2.500×"),
        ({"type": "note", "workload": "decode-8k", "text": "warm"}, ""),
    ],
    ids=["pairs", "control", "note"],
)
def test_samples_are_told_as_they_come(message: dict[str, Any], said: str) -> None:
    findings = Findings()
    findings.add(message, 0.0)
    assert findings.said(message) == said


@pytest.mark.django_db
def test_what_was_found_is_in_the_log_of_the_run() -> None:
    run = make_run(state=RunState.RUNNING, log_tail="")
    Lease(run).note(Event("found", "time", 0.5, "timed decode-8k against eager: 3 pairs, raw median 2.500×"))
    run.refresh_from_db()
    assert "3 pairs, raw median 2.500×" in run.log_tail
    assert (run.phase, run.progress) == ("time", 0.5)


def test_samples_so_far_stand_below_the_log_until_something_new_is_said() -> None:
    seen = Followed()
    seen.note(Event("phase", "time", 0.1, "decode-8k"))
    for count in (3, 9):
        seen.note(Event("progress", "time", 0.1, f"decode-8k against eager: {count} pairs so far"))
    assert seen.log == "decode-8k\ndecode-8k against eager: 9 pairs so far\n"
    seen.note(Event("log", "time", 0.1, "a warning"))
    seen.note(Event("found", "time", 0.2, "timed decode-8k against eager: 12 pairs"))
    assert seen.log == "decode-8k\na warning\ntimed decode-8k against eager: 12 pairs\n"
