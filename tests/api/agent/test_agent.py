"""Agents: what a machine that can only ask over HTTPS may do, and all that it may not."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from api.services import make_token
from papers.models import AuditEntry, Claim, Device, Implementation, Measurement, Run, Verdict
from papers.services import FieldError
from runners import services
from runners.bench.results import Failure
from tests.api.machines import CPU, GPU, Machine, fields_of, lose, wait
from tests.factories import make_device, make_user
from tests.runners.sessions import CARD, records_of

pytestmark = pytest.mark.django_db


# ── the way of a run ────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_run_is_taken_kept_alive_and_handed_in(implementation: Implementation) -> None:
    run, machine = wait(implementation), Machine(CPU)
    taken = machine.take()
    assert (taken["id"], taken["device"], taken["mode"]) == (run.pk, "box/cpu", "run")
    assert machine.beat(taken).json() == {"cancelled": False}
    run.refresh_from_db()
    assert (run.state, run.phase, run.progress, run.log_tail) == ("running", "time", 0.5, "timed\n")
    answer = machine.hand_in(taken, records_of(taken["seed"]))
    assert answer.json() == {"id": run.pk, "state": "finished", "status": "PASSED"}
    run.refresh_from_db()
    assert (run.device.name, run.log_tail, run.attempts) == ("Two cores, 2 cores", "done\n", 1)
    time = Measurement.objects.get(run=run, measure="time", subject="technique")
    assert (time.ratio, time.pairs) == (2.0, 10)
    actions = set(AuditEntry.objects.filter(detail__token=machine.row.pk).values_list("action", flat=True))
    assert actions == {"offer-device", "hand-in-run"}


def test_what_a_gpu_measured_decides_and_what_a_cpu_measured_does_not(implementation: Implementation) -> None:
    machine = Machine(CPU, GPU)
    for kind, name in (("cpu", "Two cores"), ("cuda", GPU["name"])):
        wait(implementation, kind)
        taken = machine.take()
        assert machine.hand_in(taken, records_of(taken["seed"], device=kind, device_name=name)).status_code == 200
    by_kind = {
        each.run.device_kind: each.outcome
        for each in Verdict.objects.filter(claim__card_key__endswith="half-the-memory")
    }
    assert by_kind == {"cpu": "not-comparable", "cuda": "confirmed"}
    assert {each.run.device_kind for each in Verdict.objects.decisive()} == {"cuda"}


def test_a_sweep_is_handed_in_by_its_points(implementation: Implementation) -> None:
    machine = Machine(GPU)
    wait(implementation, "cuda", mode="sweep")
    taken = machine.take()
    records = records_of(taken["seed"], device="cuda", device_name=GPU["name"], mode="sweep")
    assert machine.hand_in(taken, records).status_code == 200
    assert Measurement.objects.filter(workload="llama-3-8b-mlp[tokens=16]", measure="time", ratio=2.0).count() == 1


def test_verdicts_are_made_here_whatever_the_records_say(implementation: Implementation) -> None:
    machine = Machine(GPU)
    wait(implementation, "cuda")
    taken = machine.take()
    records = records_of(taken["seed"], device="cuda", device_name=GPU["name"], faster=1.0)
    for record in records:
        for judged in record["claim"]:
            judged["outcome"] = "rejected"
            judged["ratio"] = 99.0
    assert machine.hand_in(taken, records).status_code == 200
    assert not Verdict.objects.filter(outcome="rejected").exists()
    assert not Verdict.objects.filter(ratio=99.0).exists()


def test_no_run_waits(implementation: Implementation) -> None:
    answer = Machine(CPU).lease()
    assert (answer.status_code, answer.json()["run"], answer.json()["ask_again_s"] > 0) == (200, None, True)


def test_the_oldest_that_fits_is_given_out(implementation: Implementation) -> None:
    for_gpu, first, _ = wait(implementation, "cuda"), wait(implementation), wait(implementation)
    assert Machine(CPU).take()["id"] == first.pk
    assert Machine(GPU).take()["id"] == for_gpu.pk


def test_a_device_does_one_run_at_a_time(implementation: Implementation) -> None:
    machine = Machine(CPU)
    wait(implementation)
    wait(implementation)
    machine.take()
    assert machine.lease().json()["run"] is None


def test_a_lost_answer_is_given_again_and_no_second_run(implementation: Implementation) -> None:
    machine, word = Machine(CPU), str(uuid.uuid4())
    wait(implementation)
    wait(implementation)
    assert machine.lease(word).json() == machine.lease(word).json()
    assert Run.objects.filter(state="running").count() == 1


def test_a_machine_with_other_code_is_passed_over_and_told(implementation: Implementation) -> None:
    machine = Machine(CPU)
    run = wait(implementation)
    answer = machine.lease(**{CARD: ["0" * 64, "1" * 64]}).json()
    assert (answer["run"], answer["other_versions"]) == (None, [CARD])
    run.refresh_from_db()
    assert (run.state, run.attempts) == ("queued", 0)


@pytest.mark.parametrize(
    ("needs", "other", "given"),
    [
        pytest.param({"memory_gib": 100.0}, {"memory_bytes": 150 * 2**30}, False, id="another-has-the-memory"),
        pytest.param({"memory_gib": 100.0}, None, True, id="nobody-has: the harness will say so"),
        pytest.param({"cuda_capability": "10.0"}, {"capability": "10.0"}, False, id="another-has-the-capability"),
        pytest.param({"cuda_capability": "8.0"}, None, True, id="it-has"),
    ],
)
def test_needs_of_the_card(implementation: Implementation, needs: Any, other: Any, given: bool) -> None:
    implementation.card["needs"] = needs
    implementation.save()
    if other:
        make_device("cuda", **other)
    wait(implementation, "cuda")
    assert (Machine(GPU).lease().json()["run"] is not None) is given


def test_a_run_that_was_asked_for_before_an_update_is_done_with_what_is_here(implementation: Implementation) -> None:
    run = wait(implementation, card_hash="0" * 64, code_hash="1" * 64)
    taken = Machine(CPU).take()
    run.refresh_from_db()
    assert (taken["code_hash"], run.code_hash) == (implementation.code_hash, implementation.code_hash)


# ── what goes wrong ─────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_lost_agents_run_is_done_once_more_and_what_it_found_is_refused(implementation: Implementation) -> None:
    run, lost, other = wait(implementation), Machine(CPU), Machine(CPU)
    taken = lost.take()
    lose(taken)
    again = other.take()
    assert again["id"] == run.pk
    assert lost.beat(taken).status_code == 409
    assert lost.hand_in(taken, records_of(taken["seed"])).status_code == 409
    assert lost.release(taken).status_code == 409
    assert not Measurement.objects.exists()
    assert other.hand_in(again, records_of(again["seed"])).status_code == 200
    assert lost.hand_in(taken, records_of(taken["seed"])).status_code == 409
    run.refresh_from_db()
    assert (run.state, run.attempts, run.device.details["token"]) == ("finished", 2, other.row.pk)


def test_a_run_that_loses_two_agents_fails_for_good(implementation: Implementation) -> None:
    run = wait(implementation)
    for _ in range(2):
        lose(Machine(CPU).take())
    run.refresh_from_db()
    assert (run.state, run.failure_reason, run.attempts) == ("failed", "lost", 2)
    assert Machine(CPU).lease().json()["run"] is None


def test_with_no_worker_there_the_next_question_finds_the_lost_run(implementation: Implementation) -> None:
    run = wait(implementation)
    Machine(CPU).take()
    Run.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert Machine(CPU).take()["id"] == run.pk


def test_a_hand_in_that_is_sent_twice_is_answered_the_same(implementation: Implementation) -> None:
    machine = Machine(CPU)
    wait(implementation)
    taken = machine.take()
    records = records_of(taken["seed"])
    first, again = machine.hand_in(taken, records), machine.hand_in(taken, records)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert Measurement.objects.filter(measure="time", subject="technique").count() == 1
    assert AuditEntry.objects.filter(action="hand-in-run").count() == 1
    other = machine.hand_in(taken, records_of(taken["seed"], faster=3.0))
    assert other.status_code == 409
    assert Measurement.objects.filter(ratio=3.0).count() == 0


def test_a_cancelled_run_is_told_at_the_next_heartbeat(implementation: Implementation) -> None:
    run, machine = wait(implementation), Machine(CPU)
    taken = machine.take()
    services.cancel_run(run, None)
    assert machine.beat(taken).json() == {"cancelled": True}
    assert machine.release(taken).json() == {"given_back": False}
    records = records_of(taken["seed"], failure=Failure("cancelled", "stopped"), status="RUNTIME_ERROR")
    assert machine.hand_in(taken, records).json()["state"] == "cancelled"


def test_nobody_but_a_person_cancels(implementation: Implementation) -> None:
    machine = Machine(CPU)
    wait(implementation)
    taken = machine.take()
    records = records_of(taken["seed"], failure=Failure("cancelled", "stopped"), status="RUNTIME_ERROR")
    assert machine.hand_in(taken, records).status_code == 400
    assert Run.objects.get().state == "running"


def test_a_run_that_is_given_back_costs_no_attempt(implementation: Implementation) -> None:
    run, machine = wait(implementation), Machine(CPU)
    taken = machine.take()
    assert machine.release(taken).json() == {"given_back": True}
    run.refresh_from_db()
    assert (run.state, run.attempts) == ("queued", 0)
    assert machine.hand_in(taken, records_of(taken["seed"])).status_code == 409


@pytest.mark.parametrize(
    ("failure", "status", "state"),
    [
        pytest.param(Failure("unsupported", "no such kernel"), "UNSUPPORTED", "finished", id="unsupported"),
        pytest.param(Failure("incorrect", "wrong"), "INCORRECT_NUMERICAL", "finished", id="incorrect"),
        pytest.param(Failure("out-of-memory", "80 GiB"), "OUT_OF_MEMORY", "failed", id="out-of-memory"),
    ],
)
def test_a_failure_that_the_harness_found(
    implementation: Implementation, failure: Any, status: str, state: str
) -> None:
    machine = Machine(CPU)
    wait(implementation)
    taken = machine.take()
    assert machine.hand_in(taken, records_of(taken["seed"], failure=failure, status=status)).json()["state"] == state
    run = Run.objects.get()
    assert (run.status, run.failure_reason, run.failure_detail) == (status, failure.reason, failure.detail)


def test_a_failure_of_the_harness_itself_is_typed_and_may_come_twice(implementation: Implementation) -> None:
    machine = Machine(CPU)
    wait(implementation)
    taken = machine.take()
    told = {"lease": machine.held, "failure": {"reason": "harness-fault", "detail": "KeyError"}}
    for _ in range(2):
        assert machine.post(f"runs/{taken['id']}/result", **told).json()["state"] == "failed"
    assert Run.objects.get().failure_reason == "harness-fault"
    told["failure"]["reason"] = "slow"
    answer = machine.post(f"runs/{taken['id']}/result", **told)
    assert (answer.status_code, fields_of(answer)) == (400, ["failure.reason"])


# ── devices ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_devices_are_shown_as_any_workers(implementation: Implementation) -> None:
    Machine(GPU)
    page = APIClient().get("/hardware/nvidia-h100-80gb-hbm3/")
    assert "A worker offers it now" in page.content.decode()
    assert APIClient().get("/api/v1/devices").json()["results"][0]["alive"] is True
    assert services.best_device_kind() == "cuda"


def test_a_device_moves_to_a_new_token_but_not_from_under_a_run(implementation: Implementation) -> None:
    old = Machine(CPU)
    new = Machine(owner=old.owner)
    wait(implementation)
    taken = old.take()
    answer = new.register(CPU)
    assert (answer.status_code, fields_of(answer)) == (400, ["devices[0].uid"])
    assert old.hand_in(taken, records_of(taken["seed"])).status_code == 200
    assert new.register(CPU).status_code == 200
    assert old.lease().status_code == 409
    assert Device.objects.count() == 1


def test_no_agent_takes_a_workers_device_for_its_own(implementation: Implementation) -> None:
    worker = make_device("cpu", uid="box/cpu")
    machine = Machine(CPU)
    wait(implementation)
    assert machine.take()["device"] == "box/cpu"
    assert Run.objects.get().device != worker


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "tpu"}, "devices.0.kind"),
        ({"name": "bad\nname"}, "devices.0.name"),
        ({"uid": "x" * 91}, "devices.0.uid"),
        ({"memory_bytes": -1}, "devices.0.memory_bytes"),
        ({"capability": "new"}, "devices.0.capability"),
    ],
)
def test_devices_that_are_none_are_named(change: dict[str, Any], field: str) -> None:
    answer = Machine().register({**GPU, **change})
    assert (answer.status_code, fields_of(answer)) == (400, [field])
    assert not Device.objects.exists()


def test_another_version_of_the_harness_is_told_to_update() -> None:
    answer = Machine().register(GPU, harness="0.0")
    assert (answer.status_code, fields_of(answer)) == (400, ["harness_version"])


def test_no_token_fills_the_list_of_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runners.remote.MOST_DEVICES", 2)
    machine = Machine(CPU, GPU)
    assert machine.register(CPU).status_code == 200
    assert fields_of(machine.register({**CPU, "uid": "new/cpu"})) == ["devices[0].uid"]


def test_no_message_is_left_for_a_kind_that_agents_alone_offer(
    implementation: Implementation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr("runners.services.current_app.send_task", lambda *args, **options: sent.append(options))
    Machine(GPU)
    wait(implementation, "cuda")
    services.reap()
    assert sent == []
    make_device("cuda")
    services.reap(timezone.now() + timedelta(minutes=1))
    assert len(sent) == 1


# ── who may ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("scope", ["read", "run", "import", "edit", "operate"])
def test_no_other_token_does_any_of_it(scope: str) -> None:
    assert Machine(scopes=(scope,)).register(CPU).status_code == 403
    assert not Device.objects.exists()


def test_nor_does_a_session_of_an_operator() -> None:
    client = APIClient()
    client.force_login(make_user(role="operator"))
    assert client.post("/api/v1/agent/devices", {}, format="json").status_code == 403
    assert APIClient().post("/api/v1/agent/devices", {}, format="json").status_code == 401


def test_a_device_token_asks_for_no_run_and_edits_nothing(implementation: Implementation) -> None:
    client, claim = Machine().client, Claim.objects.first()
    assert claim is not None
    assert client.post("/api/v1/runs", {"implementation": CARD}, format="json").status_code == 403
    assert client.post("/api/v1/ingest", {"text": "x"}, format="json").status_code == 403
    assert client.patch(f"/api/v1/claims/{claim.pk}", {"decision": "accept"}, format="json").status_code == 403


def test_the_token_ends_with_the_role_of_its_owner() -> None:
    machine = Machine(CPU)
    machine.owner.is_staff = machine.owner.is_superuser = False
    machine.owner.save()
    assert machine.lease().status_code == 403


def test_a_token_for_a_machine_is_an_operators_and_for_that_alone() -> None:
    operator, editor = make_user(role="operator"), make_user(role="editor")
    row, _ = make_token(operator, "box", ["device"], None, operator)
    assert row.scopes == ["device"]
    for owner, scopes in ((operator, ["device", "read"]), (editor, ["device"])):
        with pytest.raises(FieldError, match="scopes"):
            make_token(owner, "box", scopes, None, owner)


# ── sizes ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_sizes_are_bounded(implementation: Implementation, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(CPU)
    wait(implementation)
    taken = machine.take()
    assert fields_of(machine.beat(taken, log="x" * 16_001)) == ["log"]
    assert fields_of(machine.beat(taken, progress=1.5)) == ["progress"]
    assert machine.beat(taken, phase="x" * 1_100_000).status_code == 413
    many = [{"workload": "", "subject": "", "reason": ""}] * 1001
    assert fields_of(machine.hand_in(taken, records_of(taken["seed"]), skipped=many)) == ["skipped"]
    monkeypatch.setattr("runners.handed_in.MOST_RECORDS", 1)
    assert fields_of(machine.hand_in(taken, records_of(taken["seed"]))) == ["records"]
    monkeypatch.setattr("runners.handed_in.MOST_RECORDS", 10)
    monkeypatch.setattr("runners.handed_in.MOST_SAMPLES", 9)
    assert fields_of(machine.hand_in(taken, records_of(taken["seed"]))) == ["records[1].samples"]
    monkeypatch.setattr("api.agent.ResultView.max_body_bytes", 1000)
    assert machine.hand_in(taken, records_of(taken["seed"])).status_code == 413
