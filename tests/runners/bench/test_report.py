"""A file of records becomes tables that a person can read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runners.bench.__main__ import main
from runners.bench.records import to_line
from runners.bench.report import report, says
from runners.bench.results import Failure
from tests.runners.sessions import records_of

ROOT = Path(__file__).resolve().parents[3]


def on_gpu(status: str = "PASSED", failure: Failure | None = None, seed: int = 1) -> list[dict[str, Any]]:
    return records_of(seed, device="cuda", device_name="NVIDIA H200", status=status, failure=failure)


def test_every_ratio_stands_with_its_interval_and_what_it_says() -> None:
    told = report(on_gpu())
    assert told.startswith("NVIDIA H200: 1 cards checked, 1 timed")
    assert "2.00×" in told
    assert "faster" in told


def test_a_session_that_failed_is_told_with_its_reason() -> None:
    failed = on_gpu(status="INCORRECT_NUMERICAL", failure=Failure("incorrect", "odd-layer: relative_l2 is 0.4"))
    assert "relative_l2 is 0.4" in report(failed)
    assert "relative_l2 is 0.4" not in report([*failed, *on_gpu(seed=2)]), "it passed afterwards"


def test_a_session_that_was_stopped_is_not_told() -> None:
    stopped = on_gpu(status="RUNTIME_ERROR", failure=Failure("cancelled", "stopped on request"))
    assert "stopped on request" not in report(stopped)
    assert report([]) == "no records"


@pytest.mark.parametrize(
    ("low", "high", "band", "word"),
    [(1.1, 1.2, 0.02, "faster"), (0.8, 0.9, 0.02, "slower"), (0.99, 1.01, 0.02, "no gain"), (0.9, 1.2, 0.02, "cannot be said")],
)  # fmt: skip
def test_a_ratio_says_where_its_interval_lies(low: float, high: float, band: float, word: str) -> None:
    assert says(low, high, band) == word


def test_the_command_reads_several_files_and_writes_markdown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.jsonl"
    out.write_text("\n".join(to_line(record) for record in on_gpu()))
    assert main(["report", str(out), "--markdown"]) == 0
    assert "| card | workload |" in capsys.readouterr().out
    out.write_text(json.dumps({"card": 3}))
    assert main(["report", str(out)]) == 2
    assert "line 1: " in capsys.readouterr().err


def test_the_document_of_results_is_what_the_command_prints_of_the_records_that_ship(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["report", str(ROOT / "runners/results/h200.jsonl"), "--markdown"]) == 0
    told = capsys.readouterr().out
    assert (ROOT / "docs/results.md").read_text(encoding="utf-8").endswith(told), (
        "docs/results.md is older than runners/results/h200.jsonl; print it anew"
    )
