"""Sessions check side by side and take their times one by one."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from runners.bench import __main__ as command
from runners.bench.process import lock_of
from runners.bench.records import read_records
from runners.bench.results import Event, Failure, RunRequest, SessionResult
from runners.bench.session import run_session
from runners.bench.turns import Turns
from runners.bench.watcher import OnEvent, ShouldStop
from tests.runners.bench.test_session import CARDS


@pytest.fixture
def turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with Turns("cpu", side_by_side=2) as made:
        yield made


def test_as_many_check_at_a_time_as_were_allowed(turns: Turns) -> None:
    assert turns.beside("a")
    assert turns.beside("b")
    assert not turns.beside("c")
    turns.leave("a")
    assert turns.beside("c")


def test_times_are_taken_when_no_session_checks_any_more(turns: Turns) -> None:
    assert turns.beside("a")
    assert turns.beside("b")
    assert not turns.alone("a")
    assert turns.alone("b"), "b was the last that checked"
    assert not turns.alone("a")
    turns.leave("b")
    assert turns.alone("a")


def test_all_that_are_ready_take_their_times_before_another_check_begins(turns: Turns) -> None:
    assert turns.beside("a")
    assert turns.beside("b")
    assert not turns.alone("a")
    assert turns.alone("b")
    assert not turns.beside("c"), "b takes its times"
    turns.leave("b")
    assert not turns.beside("c"), "a is ready to take its own"
    assert turns.alone("a")
    assert not turns.beside("c")
    assert turns.beside("a"), "a checks its next workload"
    assert turns.beside("c")


def test_a_session_may_join_the_checks_while_another_waits_for_them_to_end(turns: Turns) -> None:
    assert turns.beside("a")
    assert turns.beside("b")
    assert not turns.alone("a")
    assert turns.beside("c"), "b checks still, so a must wait in any case"


def test_to_another_process_all_sessions_are_one_holder_of_the_device(turns: Turns) -> None:
    assert turns.beside("a")
    other = lock_of("cpu")
    assert not other.acquire(0.0)
    turns.leave("a")
    turns.__exit__(None, None, None)
    assert other.acquire(0.0)
    other.release()


def test_a_session_waits_for_the_device_and_says_so(turns: Turns) -> None:
    holder = lock_of("cpu")
    assert holder.acquire(0.0)
    seen: list[Event] = []
    request = RunRequest("plain-sum", card_root=CARDS, seed=3, time_cap_s=0.05)
    released = threading.Timer(1.5, holder.release)
    released.start()
    result = run_session(request, seen.append)
    released.join()
    assert result.status == "PASSED"
    assert any(event.phase == "waiting" and "holds the device" in event.text for event in seen)


def test_a_session_that_was_crowded_out_of_memory_runs_again_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    beside: list[bool] = []

    def crowded(request: RunRequest, on_event: OnEvent, should_stop: ShouldStop, turns: Turns | None) -> SessionResult:
        beside.append(turns is not None)
        first = len(beside) == 1
        result = run_session(request, on_event, should_stop, turns)
        return replace(result, failure=Failure("out-of-memory", "the device is full")) if first else result

    monkeypatch.setattr(command, "run_session", crowded)
    out = tmp_path / "results.jsonl"
    arguments = ["check", "plain-sum", "plain-sum", "--cards", str(CARDS), "--jobs", "2", "--out", str(out), "--json"]
    assert command.main(arguments) == 0
    assert beside == [True, True, False]
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["status"] for each in told] == ["PASSED", "PASSED"]
    assert len(read_records(out)) == sum(len(each["records"]) for each in told)
