"""What the checks of all implementations cost: measured in the child, compared at equal speed of the machine."""

from runners.bench.progress import check_times
from runners.bench.results import RunRequest, SessionResult
from runners.bench.session import run_session


def result(name: str, start: float, card: float) -> SessionResult:
    return SessionResult(
        name, "check", "PASSED", None, [], [], [], [], {}, "", "1", 7, processor={"start": start, "card": card}
    )


def test_a_check_on_a_machine_half_as_fast_is_not_called_slow():
    shown = check_times([result("even", 1.5, 1.9), result("busy", 3.0, 3.0), result("slow", 1.5, 2.1)])
    assert shown.splitlines()[-1] == "above 2 s: slow"
    assert [line.split()[0] for line in shown.splitlines()[2:5]] == ["slow", "even", "busy"]


def test_nothing_is_said_of_checks_that_did_not_end():
    lost = SessionResult("lost", "check", "RUNTIME_ERROR", None, [], [], [], [], {}, "", "1", 7)
    assert check_times([lost]) == ""
    assert "lost" not in check_times([lost, result("even", 1.5, 1.0)])


def test_a_session_tells_its_processor_time():
    spent = run_session(RunRequest("tk-local", mode="check", seed=3), lambda event: None).processor
    assert spent["start"] > 0.2
    assert 0 < spent["card"] < 60
