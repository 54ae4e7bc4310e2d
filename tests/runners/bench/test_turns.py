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
    assert not turns.alone("b"), "a was ready first"
    assert turns.alone("a")
    assert not turns.alone("b")
    turns.leave("a")
    assert turns.alone("b")


def test_checks_wait_for_one_another_where_memory_is_short(turns: Turns) -> None:
    turns.memory_gib = 80
    assert turns.beside("a", 70)
    assert not turns.beside("b", 60)
    assert turns.beside("b", 40), "cards say what they need at most, and seldom need it at once"
    turns.leave("a")
    turns.leave("b")
    assert turns.beside("c", 500), "alone it may try"


def test_sessions_wait_until_it_is_known_what_the_device_can_do(turns: Turns) -> None:
    turns.open(False)
    assert not turns.beside("a")
    assert turns.alone("ceilings")
    turns.open()
    assert not turns.beside("a")
    turns.leave("ceilings")
    assert turns.beside("a")


def test_all_that_are_ready_take_their_times_before_another_check_begins(turns: Turns) -> None:
    assert turns.beside("a")
    assert turns.beside("b")
    assert not turns.alone("a")
    assert not turns.alone("b")
    assert not turns.beside("c"), "both are ready"
    assert turns.alone("a")
    assert not turns.beside("c"), "a takes its times"
    turns.leave("a")
    assert not turns.beside("c"), "b is ready to take its own"
    assert turns.alone("b")
    assert not turns.beside("c")
    assert turns.beside("b"), "b checks its next workload"
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
