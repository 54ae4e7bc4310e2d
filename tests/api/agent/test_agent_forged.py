"""What an agent hands in that is not of its run: made up, of another device, or of another run."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from papers.models import AuditEntry, Implementation, Measurement, Run, Verdict
from runners.bench.results import Failure
from tests.api.machines import CPU, GPU, Machine, fields_of, wait
from tests.runners.sessions import records_of

pytestmark = pytest.mark.django_db


def _set(path: str, value: Any) -> Callable[[list[dict[str, Any]]], None]:
    def change(records: list[dict[str, Any]]) -> None:
        for record in records:
            *parents, last = path.split(".")
            place = record
            for parent in parents:
                place = place[parent]
            if parents or last != "ratio" or record["ratio"]:
                place[last] = value

    return change


def _timed(change: Callable[[dict[str, Any]], Any]) -> Callable[[list[dict[str, Any]]], None]:
    return lambda records: [change(each) for each in records if each["ratio"]] and None


FORGED = {
    "another-implementation": (_set("card", "flash-attention-2"), "records[0].card"),
    "other-card": (_set("card_hash", "0" * 64), "records[0].card_hash"),
    "other-code": (_set("code_hash", "0" * 64), "records[0].code_hash"),
    "replayed-from-another-run": (_set("seed", 2**31 + 5), "records[0].seed"),
    "other-harness": (_set("harness_version", "0.1"), "records[0].harness_version"),
    "other-mode": (_set("request.mode", "check"), "records[0].request.mode"),
    "no-request": (_set("request", None), "records[0].request.mode"),
    "a-cpu-as-a-gpu": (_set("evaluation.environment", {"device_kind": "cpu", "device_name": "Xeon"}), "records[0].evaluation.environment"),
    "another-gpu": (
        _set("evaluation.environment", {"device_kind": "cuda", "device_name": "NVIDIA H100 NVL"}),
        "records[0].evaluation.environment",
    ),
    "no-gpu-named": (_set("evaluation.environment", {"device_kind": "cuda"}), "records[0].evaluation.environment"),
    "two-sessions": (lambda records: records[1]["evaluation"].update(timestamp="2020-01-01"), "records[1].evaluation.timestamp"),
    "a-better-ratio": (_timed(lambda one: one["ratio"].update(median=9.0, high=9.5)), "records"),
    "a-smaller-band": (_timed(lambda one: one["samples"].pop("control_first_ms")), "records"),
    "a-rung-of-its-own": (_timed(lambda one: one.update(baseline="slow")), "records[1].baseline"),
    "an-easier-shape": (_timed(lambda one: one["workload"].update(axes={"tokens": 1})), "records[1].workload"),
    "an-unknown-workload": (_timed(lambda one: one["workload"].update(name="mine")), "records[1].workload.name"),
    "a-name-that-is-none": (_timed(lambda one: one["workload"].update(name=[])), "records[1]"),
    "no-memory": (_timed(lambda one: one.update(memory={})), "records"),
    "endless-memory": (_timed(lambda one: one["memory"]["eager"].update(weights=10**400)), "records"),
    "endless-samples": (_timed(lambda one: one["samples"].update(technique_ms=[10**400] * 10)), "records[1]"),
    "nobody-checked": (lambda records: records.pop(0), "records"),
    "nothing": (lambda records: records.clear(), "records"),
    "told-twice": (lambda records: records.append(records[1]), "records"),
    "a-check-that-failed": (lambda records: records[0]["evaluation"].update(status="INCORRECT_SHAPE"), "records"),
    "nul": (_set("definition", {"name": "a\x00b"}), "records"),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_what_is_not_of_this_run_is_refused_by_name_and_stores_nothing(
    implementation: Implementation, name: str
) -> None:
    change, field = FORGED[name]
    machine = Machine(GPU)
    wait(implementation, "cuda")
    taken = machine.take()
    records = records_of(taken["seed"], device="cuda", device_name=GPU["name"])
    change(records)
    answer = machine.hand_in(taken, records)
    assert (answer.status_code, fields_of(answer)) == (400, [field])
    assert Run.objects.get().state == "running"
    assert not Measurement.objects.exists()
    assert not Verdict.objects.exists()
    assert AuditEntry.objects.filter(action="refuse-result").count() == 1
    right = records_of(taken["seed"], device="cuda", device_name=GPU["name"])
    assert machine.hand_in(taken, right).status_code == 200, "the lease is still good"


def test_records_of_a_run_that_failed_tell_no_times(implementation: Implementation) -> None:
    machine = Machine(CPU)
    wait(implementation)
    taken = machine.take()
    failed = records_of(taken["seed"], failure=Failure("integrity", "a cheat"), status="REWARD_HACK")
    answer = machine.hand_in(taken, [*records_of(taken["seed"]), failed[-1]])
    assert (answer.status_code, fields_of(answer)) == (400, ["records"])


def test_the_same_records_serve_no_second_run(implementation: Implementation) -> None:
    machine = Machine(CPU)
    wait(implementation)
    first = machine.take()
    records = records_of(first["seed"])
    assert machine.hand_in(first, records).status_code == 200
    wait(implementation)
    second = machine.take()
    assert second["seed"] != first["seed"]
    assert fields_of(machine.hand_in(second, records)) == ["records[0].seed"]
    Run.objects.filter(pk=second["id"]).update(seed=first["seed"])
    answer = machine.hand_in(second, records)
    assert f"run {first['id']}" in answer.json()["detail"]


@pytest.mark.parametrize("what", ["beat", "release", "hand_in"])
def test_another_token_holds_nothing_of_it_even_with_the_lease(implementation: Implementation, what: str) -> None:
    machine = Machine(CPU)
    wait(implementation)
    taken = machine.take()
    for thief in (Machine(CPU), Machine({**CPU, "uid": "other/cpu"}, owner=machine.owner)):
        thief.held = machine.held
        extra = (records_of(taken["seed"]),) if what == "hand_in" else ()
        assert getattr(thief, what)(taken, *extra).status_code == 409
    assert Run.objects.get().state == "running"
    machine.held = str(uuid.uuid4())
    assert machine.beat(taken).status_code == 409, "nor has its own token without the lease"
