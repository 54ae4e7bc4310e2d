"""No state that is not final lasts for ever, and nothing is done twice, whenever a worker or its child is killed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from papers.models import FINAL_STATES, Device, DeviceKind, Implementation, Measurement, Run, RunState, Verdict
from runners import services
from runners.bench.results import Event, Judgement, SessionResult
from runners.bench.results import Measurement as Measured

pytestmark = pytest.mark.django_db
LATER = timedelta(minutes=5)


class Killed(BaseException):
    """SIGKILL: nothing of the worker runs after it, not even `except Exception`."""


def queued(implementation: Implementation, **fields: Any) -> Run:
    return Run.objects.create(implementation=implementation, device_kind=DeviceKind.CPU, **fields)


def found(result_with: Callable[..., SessionResult]) -> SessionResult:
    measured = Measured(
        workload="small", subject="technique", baseline="eager", measure="time", unit="ms", median=1.0, low=0.9, high=1.1,
        samples=[1.0], ratio=2.0, ratio_low=1.9, ratio_high=2.1, pairs=1, band=0.02, scope="kernel", cap_reached=False,
        device_kind="cpu",
    )  # fmt: skip
    judged = Judgement("speed", "not-comparable", 2.0, 1.9, 2.1, "small", "eager", "There was no GPU.", "")
    return result_with(measurements=[measured], judgements=[judged])


def die_in(stage: str, result: SessionResult, patch: pytest.MonkeyPatch) -> Callable[..., SessionResult]:
    """A session, during which or after which the worker is killed."""

    def session(request: Any, on_event: Callable[[Event], None], should_stop: Any) -> SessionResult:
        for phase in ("start", "check", "time"):
            on_event(Event("phase", phase, 0.5, ""))
            if phase == stage:
                raise Killed
        return result

    def killed(*args: Any, **fields: Any) -> None:
        raise Killed

    if stage == "storing measurements":
        patch.setattr("papers.models.Measurement.objects.bulk_create", killed)
    if stage == "storing verdicts":
        patch.setattr("papers.models.Verdict.objects.bulk_create", killed)
    return session


STAGES = ["start", "check", "time", "storing measurements", "storing verdicts"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_worker_killed_at_any_stage_is_replaced_once_and_its_run_done_once(
    stage: str, implementation: Implementation, cpu: Device, result_with: Any, rings: list[Any]
) -> None:
    run, result = queued(implementation), found(result_with)
    with pytest.MonkeyPatch.context() as patch:
        # The worker is gone before it could ring for the next one: `finally` does not run in a killed process either.
        patch.setattr(services, "ring_next", lambda kind: None)
        session = die_in(stage, result, patch)
        with pytest.raises(Killed):
            services.execute_run(run.pk, cpu, session)
    run.refresh_from_db()
    assert (run.state, Measurement.objects.count(), Verdict.objects.count()) == (RunState.RUNNING, 0, 0)
    services.execute_run(run.pk, cpu, lambda *args: pytest.fail("its lease has not ended"))
    services.reap(timezone.now() + LATER)
    assert rings[-1] == (run.pk, "runs-cpu")
    services.execute_run(run.pk, cpu, lambda *args: result)
    services.execute_run(run.pk, cpu, lambda *args: pytest.fail("it has ended"))
    run.refresh_from_db()
    assert (run.state, run.attempts, Measurement.objects.count(), Verdict.objects.count()) == ("finished", 2, 1, 1)


@pytest.mark.parametrize("stage", STAGES)
def test_a_run_that_kills_its_second_worker_too_fails_and_frees_the_device(
    stage: str, implementation: Implementation, cpu: Device, result_with: Any, rings: list[Any]
) -> None:
    run, other = queued(implementation), queued(implementation)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services, "ring_next", lambda kind: None)
        for _ in range(2):
            with pytest.raises(Killed):
                services.execute_run(run.pk, cpu, die_in(stage, found(result_with), patch))
            services.reap(timezone.now() + LATER)
    run.refresh_from_db()
    assert (run.state, run.failure_reason, run.attempts) == ("failed", "lost", 2)
    services.execute_run(run.pk, cpu, lambda *args: pytest.fail("it was tried often enough"))
    services.execute_run(other.pk, cpu, lambda *args: found(result_with))
    other.refresh_from_db()
    assert other.state == RunState.FINISHED


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({"state": RunState.QUEUED}, ("queued", "rung"), id="its message was lost"),
        pytest.param({"state": RunState.RUNNING, "attempts": 1}, ("queued", "rung"), id="its worker was lost"),
        pytest.param({"state": RunState.RUNNING, "attempts": 2}, ("failed", ""), id="both its workers were lost"),
        pytest.param({"state": RunState.RUNNING, "attempts": 1, "cancel_requested": True}, ("cancelled", ""),
                     id="its worker was lost while it was to stop"),
    ],
)  # fmt: skip
def test_every_state_that_is_not_final_is_reaped(
    fields: dict[str, Any], expected: tuple[str, str], implementation: Implementation, cpu: Device, rings: list[Any]
) -> None:
    lease = {"device": cpu, "lease_token": "gone", "lease_until": timezone.now() - LATER}
    run = queued(implementation, **(lease if fields["state"] == RunState.RUNNING else {}), **fields)
    services.reap()
    run.refresh_from_db()
    assert (run.state, "rung" if rings else "") == expected
    assert run.lease_until is None
    assert (run.finished_at is not None) == (run.state in FINAL_STATES)


def test_the_reaper_has_an_answer_for_every_state_there_is() -> None:
    assert set(RunState.values) - set(FINAL_STATES) == {RunState.QUEUED, RunState.RUNNING}, "add its row above"


def test_two_reapers_at_once_give_a_run_out_once(implementation: Implementation, cpu: Device, rings: list[Any]) -> None:
    run = queued(
        implementation, state=RunState.RUNNING, attempts=1, device=cpu, lease_token="gone",
        lease_until=timezone.now() - LATER,
    )  # fmt: skip
    assert services.reap()["requeued"] == 1
    assert services.reap()["requeued"] == 0
    assert rings == [(run.pk, "runs-cpu")]


def test_a_silent_child_is_no_silent_worker(
    implementation: Implementation, cpu: Device, result_with: Any, rings: Any
) -> None:
    run = queued(implementation)
    leases = []

    def session(request: Any, on_event: Callable[[Event], None], should_stop: Any) -> SessionResult:
        Run.objects.filter(pk=run.pk).update(lease_until=timezone.now() - LATER)
        on_event(Event("tick", "time", 0.5, ""))
        leases.append(Run.objects.get(pk=run.pk).lease_until)
        return found(result_with)

    services.execute_run(run.pk, cpu, session)
    assert leases[0] > timezone.now()
