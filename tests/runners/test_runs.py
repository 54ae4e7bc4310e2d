"""A run from the request to its end, whatever happens to its worker."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError
from django.test import override_settings
from django.utils import timezone

from papers.models import AuditEntry, Device, DeviceKind, Implementation, Run, RunState, Verdict
from runners import services
from runners.bench.results import Failure, Judgement

pytestmark = pytest.mark.django_db
Ask = Callable[..., Any]


def judged(outcome: str = "not-comparable") -> Judgement:
    return Judgement(
        claim_key="speed", outcome=outcome, ratio=1.8, low=1.7, high=1.9, workload="small", baseline="eager",
        reason="No GPU was there.", hardware_note="",
    )  # fmt: skip


def queued(implementation: Implementation, **fields: Any) -> Run:
    return Run.objects.create(implementation=implementation, device_kind=DeviceKind.CPU, **fields)


def test_a_request_queues_a_run_wakes_a_worker_and_is_written_down(
    implementation: Implementation, person: User, rings: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        run = services.request_run(implementation, person)
    assert (run.state, run.device_kind, rings) == (RunState.QUEUED, "cpu", [(run.pk, "runs-cpu")])
    assert AuditEntry.objects.get().actor == person


def test_asking_again_while_it_is_open_gives_the_same_run(
    implementation: Implementation, person: User, rings: Any
) -> None:
    assert services.request_run(implementation, person) == services.request_run(implementation, person)


def test_a_gpu_is_chosen_where_a_worker_offers_one(implementation: Implementation, person: User) -> None:
    Device.objects.create(uid="g", kind=DeviceKind.CUDA, name="H200", last_seen_at=timezone.now())
    assert services.request_run(implementation, person).device_kind == "cuda"
    Device.objects.update(last_seen_at=timezone.now() - timedelta(hours=1))
    assert services.best_device_kind() == "cpu"


@override_settings(RUN_QUOTA_PER_USER=1)
def test_the_quota_names_itself(implementation: Implementation, person: User) -> None:
    services.request_run(implementation, person, "cpu")
    with pytest.raises(services.RunRefused, match="1 runs waiting"):
        services.request_run(implementation, person, "cuda")


def test_a_retired_implementation_is_refused(implementation: Implementation, person: User) -> None:
    implementation.retired_at = timezone.now()
    with pytest.raises(services.RunRefused, match="retired"):
        services.request_run(implementation, person)


def test_a_finished_run_stores_its_verdicts(
    implementation: Implementation, cpu: Device, session_giving: Ask, rings: Any
) -> None:
    run = queued(implementation)
    services.execute_run(run.pk, cpu, session_giving(judgements=[judged()]))
    run.refresh_from_db()
    verdict = Verdict.objects.get()
    assert (run.state, run.status, run.progress, run.log_tail) == ("finished", "PASSED", 1.0, "all is well")
    assert (verdict.outcome, verdict.ratio, verdict.claim.card_key) == ("not-comparable", 1.8, "twocache/speed")
    assert not Verdict.objects.decisive().exists()


def test_ringing_twice_runs_once(implementation: Implementation, cpu: Device, session_giving: Ask, rings: Any) -> None:
    run = queued(implementation)
    for _ in range(2):
        services.execute_run(run.pk, cpu, session_giving(judgements=[judged()]))
    assert Verdict.objects.count() == 1


def test_a_device_runs_one_thing_at_a_time(
    implementation: Implementation, cpu: Device, session_giving: Ask, rings: Any
) -> None:
    first, second = queued(implementation), queued(implementation)

    def meanwhile() -> None:
        services.execute_run(second.pk, cpu, session_giving())
        assert Run.objects.get(pk=second.pk).state == RunState.QUEUED

    services.execute_run(first.pk, cpu, session_giving(meanwhile=meanwhile))
    assert rings[-1] == (second.pk, "runs-cpu"), "the next in line is told when the device is free"


def test_the_database_itself_refuses_a_second_run_on_a_device(implementation: Implementation, cpu: Device) -> None:
    lease = {"state": RunState.RUNNING, "device": cpu, "lease_until": timezone.now()}
    queued(implementation, **lease)
    with pytest.raises(IntegrityError):
        queued(implementation, **lease)


def test_a_worker_that_was_given_up_cannot_write(
    implementation: Implementation, cpu: Device, session_giving: Ask, rings: Any
) -> None:
    run = queued(implementation)

    def meanwhile() -> None:  # the reaper gives it to somebody else, who is at work on it
        Run.objects.filter(pk=run.pk).update(lease_token="somebody else")

    services.execute_run(run.pk, cpu, session_giving(meanwhile=meanwhile, judgements=[judged()]))
    run.refresh_from_db()
    assert (run.state, run.lease_token) == ("running", "somebody else")
    assert not Verdict.objects.exists()


def test_a_lost_run_is_given_out_again_once_and_then_fails_with_a_reason(
    implementation: Implementation, cpu: Device, rings: list[Any]
) -> None:
    run = queued(implementation)
    for expected in ("queued", "failed"):
        assert services.take_run(run.pk, cpu) is not None
        services.reap()
        assert Run.objects.get(pk=run.pk).state == "running", "its lease has not ended"
        services.reap(timezone.now() + timedelta(minutes=5))
        run.refresh_from_db()
        assert run.state == expected
    assert (run.failure_reason, run.attempts) == ("lost", 2)
    assert rings == [(run.pk, "runs-cpu")]


def test_a_lost_message_is_sent_again_but_not_at_once(implementation: Implementation, rings: list[Any]) -> None:
    run = queued(implementation, rung_at=timezone.now())
    services.reap()
    assert rings == []
    services.reap(timezone.now() + timedelta(seconds=16))
    assert rings == [(run.pk, "runs-cpu")]


def test_a_broker_that_is_away_leaves_the_run_queued(
    implementation: Implementation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any, **options: Any) -> None:
        raise ConnectionError("broker is away")

    monkeypatch.setattr("runners.services.current_app.send_task", away)
    run = queued(implementation)
    services.ring(run.pk, "cpu")
    run.refresh_from_db()
    assert run.state == RunState.QUEUED


def test_cancelling_a_waiting_run_ends_it_at_once(implementation: Implementation, person: User) -> None:
    run = queued(implementation, requester=person)
    assert services.cancel_run(run, person)
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED
    assert not services.cancel_run(run, person), "it has ended"


def test_cancelling_a_running_run_stops_the_child(
    implementation: Implementation, cpu: Device, person: User, session_giving: Ask, rings: Any
) -> None:
    run = queued(implementation)
    services.execute_run(run.pk, cpu, session_giving(meanwhile=lambda: services.cancel_run(run, person)))
    run.refresh_from_db()
    assert (run.state, run.failure_reason) == ("cancelled", "cancelled")


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        pytest.param("crashed", "failed", id="crash"),
        pytest.param("timed-out", "failed", id="time-out"),
        pytest.param("incorrect", "finished", id="a-wrong-answer-is-a-finding"),
        pytest.param("unsupported", "finished", id="a-missing-capability-is-a-finding"),
    ],
)
def test_each_failure_is_a_state_with_its_reason(
    reason: str, state: str, implementation: Implementation, cpu: Device, session_giving: Ask, rings: Any
) -> None:
    run = queued(implementation)
    services.execute_run(run.pk, cpu, session_giving(status="RUNTIME_ERROR", failure=Failure(reason, "because")))
    run.refresh_from_db()
    assert (run.state, run.failure_reason, run.failure_detail) == (state, reason, "because")


def test_a_fault_of_the_harness_ends_the_run_and_tells_no_secrets(
    implementation: Implementation, cpu: Device, rings: Any
) -> None:
    run = queued(implementation)

    def broken(*args: Any) -> Any:
        raise RuntimeError("password=hunter2")

    with pytest.raises(RuntimeError):
        services.execute_run(run.pk, cpu, broken)
    run.refresh_from_db()
    assert (run.state, run.failure_reason) == ("failed", "harness-fault")
    assert "hunter2" not in run.failure_detail
