"""Ctrl-C ends the child and leaves what was measured in a form that can be read."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import runners.bench.__main__ as command
from runners.bench import selftest, session
from runners.bench.collect import Findings, Loop, measurements
from runners.bench.records import build_records, read_records, record_problem
from runners.bench.results import Failure, RunRequest
from runners.bench.selftest import HONEST, run_selftest, summary
from runners.bench.session import run_session
from runners.bench.stopping import Stop
from runners.cards import find_card

ROOT = Path(__file__).resolve().parents[3]
CARDS = ROOT / "tests/fixtures/cards"


def test_a_stopped_run_keeps_the_pairs_that_were_complete(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stopped = []

    def on_event(event):
        if event.phase == "time" and event.text == "medium":
            stopped.append(event)

    # Stops while the first rung is timed against its control: checks are complete, and no pair may be made up.
    request = RunRequest("plain-sum", card_root=CARDS, mode="run", seed=3, time_cap_s=60.0)
    result = run_session(request, on_event, lambda: bool(stopped))
    assert result.failure.reason == "cancelled"
    statuses = [record["evaluation"]["status"] for record in result.records]
    assert statuses.count("PASSED") >= 2
    assert statuses[-1] == "RUNTIME_ERROR"
    assert all(judgement.outcome == "not-comparable" for judgement in result.judgements)


def test_a_complete_pair_of_a_stopped_run_is_recorded_and_the_rest_told():
    card, failure = find_card("plain-sum", CARDS), Failure("cancelled", "stopped on request")
    loop = Loop({"rows": 256}, "float32", "forward", [1.0] * 12, [2.0] * 12, False, 0.02)
    findings = Findings(environment={"device_kind": "cpu"}, loops={("medium", "eager"): loop})
    fields = {"status": "RUNTIME_ERROR", "failure": failure, "judgements": [], "environment": {"device_kind": "cpu"}}
    request = RunRequest("plain-sum", card_root=CARDS)
    measured = measurements(findings, card, 3)
    pair, last = build_records(
        card=card, request=request, seed=3, findings=findings, measurements=measured, log="", timestamp="now", **fields
    )
    assert (pair["evaluation"]["status"], pair["ratio"]["median"]) == ("PASSED", 2.0)
    assert last["evaluation"]["correctness"]["reason"] == "cancelled"
    assert [record_problem(record) for record in (pair, last)] == ["", ""]


def test_a_signal_ends_the_command_with_130_and_its_records(tmp_path):
    out = tmp_path / "out.jsonl"
    command = [
        sys.executable, "-m", "runners.bench", "run", "plain-sum", "--cards", str(CARDS), "--time-cap", "120", "--json",
        "--out", str(out),
    ]  # fmt: skip
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        for line in running.stderr:
            if " time " in line:
                running.send_signal(signal.SIGINT)
                break
        told, rest = running.communicate(timeout=120)
    assert running.returncode == 130, rest or told[-3000:]
    assert "stopping" in rest
    assert json.loads(told)["failure"]["reason"] == "cancelled"
    assert read_records(out)[-1]["evaluation"]["correctness"]["reason"] == "cancelled"


def test_asking_twice_stops_at_once(capfd):
    stop = Stop()
    assert not stop()
    stop.ask(signal.SIGINT, None)
    assert stop()
    with pytest.raises(KeyboardInterrupt):
        stop.ask(signal.SIGINT, None)
    assert "once more" in capfd.readouterr().err


def test_a_stopped_self_test_tells_what_it_found(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(selftest, "CHEATS", ())
    asked = []

    def on_event(event):
        if event.phase == "cheats" and event.text == HONEST.name:
            asked.append(event)

    found = run_selftest("cpu", quick=True, on_event=on_event, should_stop=lambda: bool(asked))
    assert found.interrupted
    assert not found.passed
    assert {each["name"] for each in found.ceilings} >= {"copy", "matrix product, float32"}
    assert "interrupted" in summary(found)


@pytest.fixture
def unguarded(monkeypatch):
    """Without the guards of times: they are not what is tested here, and a busy machine makes honest times look like lies."""
    monkeypatch.setattr(session, "doubts_about", lambda findings, card: [])
    monkeypatch.setattr(session, "rungs_to_time_alone", lambda findings, compiled: {})


@pytest.mark.usefixtures("unguarded")
def test_sessions_side_by_side_time_one_after_the_other(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []

    def noted(request, on_event, should_stop, turns):
        def note(event):
            seen.append((id(request), event.phase))
            on_event(event)

        return run_session(request, note, should_stop, turns)

    monkeypatch.setattr(command, "run_session", noted)
    out = tmp_path / "out.jsonl"
    code = command.main(
        ["run", "plain-sum", "plain-sum", "--cards", str(CARDS), "--jobs", "2", "--workload", "medium", "--time-cap", "0.3",
         "--json", "--out", str(out)]
    )  # fmt: skip
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (code, [each["status"] for each in told]) == (0, ["PASSED", "PASSED"])
    assert len(read_records(out)) == sum(len(each["records"]) for each in told)
    timing = [who for who, phase in seen if phase == "time"]
    assert len(set(timing)) == 2
    assert timing == sorted(timing, key=timing.index), "one of them timed while the other did"


def test_a_number_of_jobs_below_one_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["check", "--all", "--jobs", "0"])
    assert "0 is not at least 1" in capsys.readouterr().err


def test_a_spent_budget_keeps_what_was_measured_and_tells_what_was_not_begun(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    out = tmp_path / "out.jsonl"
    code = command.main(
        [
            "run",
            "plain-sum",
            "plain-sum",
            "--cards",
            str(CARDS),
            "--budget",
            "2.5",
            "--time-cap",
            "60",
            "--json",
            "--out",
            str(out),
        ]
    )
    told, complaints = capsys.readouterr()
    assert code == 130
    assert json.loads(told)["failure"]["reason"] == "cancelled"
    assert "not begun: plain-sum" in complaints
    assert read_records(out)


@pytest.mark.usefixtures("unguarded")
def test_the_representative_workload_alone_is_timed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    command.main(["run", "plain-sum", "--cards", str(CARDS), "--representative", "--time-cap", "0.2", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert (told["status"], told["failure"]) == ("PASSED", None)
    assert {each["workload"] for each in told["measurements"]} == {"medium"}
    assert command.main(["run", "plain-sum", "--cards", str(CARDS), "--representative", "--workload", "medium"]) == 2
