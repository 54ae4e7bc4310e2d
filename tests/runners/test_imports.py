"""Results from a machine that never saw this database."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from papers.models import Device, Implementation, Measurement, Run, Verdict
from runners.bench.records import RecordError
from runners.imports import import_file

pytestmark = pytest.mark.django_db


def a_record(**changes: Any) -> dict[str, Any]:
    """One timed pair on a GPU, twice as fast, that confirms the claim "speed"."""
    judged = {
        "claim_key": "speed", "outcome": "confirmed", "ratio": 2.0, "low": 1.9, "high": 2.1, "workload": "large",
        "baseline": "eager", "reason": "The low end reaches nine tenths of the claim.", "hardware_note": "measured on H200",
    }  # fmt: skip
    record: dict[str, Any] = {
        "schema": 1, "card": "twocache", "definition": {}, "solution": {}, "workload": {"name": "large", "axes": {}},
        "evaluation": {
            "status": "PASSED", "log": "", "correctness": None, "performance": {}, "timestamp": "2026-11-20T10:00:00+00:00",
            "environment": {"device_kind": "cuda", "device_name": "NVIDIA H200", "memory_gib": 139.0, "torch": "2.11.0"},
        },
        "scope": "kernel", "baseline": "eager", "band": 0.01, "memory": {"technique": {"weights": 10}, "eager": {"weights": 40}},
        "error": {}, "samples": {"technique_ms": [1.0, 1.0, 1.1], "baseline_ms": [2.0, 1.9, 2.3]}, "claim": [judged],
        "ratio": {"median": 2.0, "low": 1.9, "high": 2.1, "pairs": 3, "cap_reached": False},
        "code_hash": "d" * 64, "card_hash": "c" * 64, "seed": 7, "harness_version": "1.0",
    }  # fmt: skip
    return record | changes


def write(folder: Path, *records: dict[str, Any]) -> Path:
    path = folder / "results.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def test_a_session_becomes_a_run_with_figures_and_a_verdict(implementation: Implementation, tmp_path: Path) -> None:
    report = import_file(write(tmp_path, a_record()))
    run = Run.objects.get()
    assert (report.stored, report.older, run.state, run.device.name) == (1, 0, "finished", "NVIDIA H200")
    assert {m.measure: m.ratio for m in Measurement.objects.all()} == {"time": 2.0, "weights": 4.0}
    assert Verdict.objects.decisive().get().outcome == "confirmed"


def test_importing_twice_changes_nothing(implementation: Implementation, tmp_path: Path) -> None:
    path = write(tmp_path, a_record())
    import_file(path)
    assert import_file(path).known == 1
    assert (Run.objects.count(), Verdict.objects.count(), Device.objects.count()) == (1, 1, 1)


def test_a_file_that_is_known_costs_the_same_however_long_it_is(
    implementation: Implementation, tmp_path: Path, django_assert_num_queries: Any
) -> None:
    """Every start imports the results that ship: their number must not slow it down."""
    path = write(tmp_path, *(a_record(seed=seed) for seed in range(12)))
    assert import_file(path).stored == 12
    with django_assert_num_queries(2):
        report = import_file(path)
    assert (report.sessions, report.known, report.stored) == (12, 12, 0)


def test_a_known_session_is_told_as_older_once_the_code_has_changed(
    implementation: Implementation, tmp_path: Path
) -> None:
    path = write(tmp_path, a_record())
    assert import_file(path).older == 0
    Implementation.objects.filter(pk=implementation.pk).update(code_hash="e" * 64)
    assert (import_file(path).older, import_file(path).known) == (1, 1)


def test_another_version_of_the_code_is_stored_and_told(implementation: Implementation, tmp_path: Path) -> None:
    assert import_file(write(tmp_path, a_record(code_hash="e" * 64))).older == 1
    assert not Run.objects.get().is_current


def test_a_cpu_result_is_never_a_verdict_whatever_it_says(implementation: Implementation, tmp_path: Path) -> None:
    record = a_record()
    record["evaluation"]["environment"] |= {"device_kind": "cpu", "device_name": "Two cores"}
    import_file(write(tmp_path, record))
    assert Verdict.objects.get().outcome == "not-comparable"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(
            {"ratio": {"median": 3.0, "low": 2.0, "high": 4.0, "pairs": 3}}, "its samples give 2", id="forged-ratio"
        ),
        pytest.param({"card": "unknown"}, "'unknown' is not among", id="unknown-card"),
    ],
)
def test_what_cannot_be_right_is_refused_and_nothing_of_it_stored(
    change: dict[str, Any], reason: str, implementation: Implementation, tmp_path: Path
) -> None:
    report = import_file(write(tmp_path, a_record(**change)))
    assert reason in report.refused[0]
    assert not Run.objects.exists()
    with pytest.raises(CommandError, match="refused"):
        call_command("import_results", str(tmp_path / "results.jsonl"))


def test_a_line_that_is_no_record_names_its_number(implementation: Implementation, tmp_path: Path) -> None:
    path = write(tmp_path, a_record(), {"card": "twocache"})
    with pytest.raises(RecordError, match="line 2"):
        import_file(path)
    assert not Run.objects.exists()


def test_what_is_exported_can_be_imported(implementation: Implementation, tmp_path: Path) -> None:
    import_file(write(tmp_path, a_record()))
    out = tmp_path / "out.jsonl"
    call_command("export_results", out=str(out), device="cuda")
    assert import_file(out).known == 1


def a_selftest(**changes: Any) -> dict[str, Any]:
    rows = [{"name": "copy", "value": 3000.0, "unit": "GB/s", "detail": "2048 MiB read and written"}]
    environment = {"device_kind": "cuda", "device_name": "NVIDIA H200", "memory_gib": 139.0, "torch": "2.11.0"}
    return {"kind": "selftest", "schema": 1, "environment": environment, "ceilings": rows} | changes


def test_a_self_test_tells_what_its_device_can_do(implementation: Implementation, tmp_path: Path) -> None:
    report = import_file(write(tmp_path, a_record(), a_selftest()))
    device = Device.objects.get()
    assert (report.stored, report.devices) == (1, 1)
    assert device.details["ceilings"][0]["value"] == 3000.0
    assert device.details["ceilings_of"] == {"torch": "2.11.0"}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param({"ceilings": [{"name": "copy", "value": -1, "unit": "GB/s"}]}, r"ceilings\[0\]", id="negative"),
        pytest.param({"ceilings": "many"}, "ceilings: is not a list", id="no-rows"),
        pytest.param({"environment": {}}, "environment: names no device", id="no-device"),
    ],
)
def test_a_self_test_that_cannot_be_right_changes_nothing(change: dict[str, Any], named: str, tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=f"line 1: {named}"):
        import_file(write(tmp_path, a_selftest(**change)))
    assert not Device.objects.exists()
