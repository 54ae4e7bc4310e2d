"""Agents at the same moment: on real PostgreSQL where the suite runs there."""

import uuid
from typing import Any

import pytest

from papers.models import AuditEntry, Measurement, Run
from tests.api.machines import CPU, Machine, real_implementation, wait
from tests.api.test_sending_again import at_once, needs_postgresql, shared
from tests.runners.sessions import records_of

pytestmark = [needs_postgresql, pytest.mark.django_db(transaction=True)]


def test_of_agents_that_ask_at_once_one_gets_the_run() -> None:
    wait(real_implementation())
    machines = [Machine(CPU) for _ in range(4)]
    answers = at_once([machine.lease for machine in machines])
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len([answer for answer in answers if answer.json()["run"]]) == 1
    assert Run.objects.get().attempts == 1


def test_an_agent_that_asks_four_times_at_once_works_on_one_run() -> None:
    implementation, machine, word = real_implementation(), Machine(CPU), str(uuid.uuid4())
    for _ in range(3):
        wait(implementation)
    at_once([lambda c=client: asked(machine, c, word) for client in [shared(machine.client) for _ in range(4)]])
    assert Run.objects.filter(state="running").count() == 1


def asked(machine: Machine, client: Any, word: str) -> Any:
    twin = Machine.__new__(Machine)
    vars(twin).update({**vars(machine), "client": client})
    return twin.lease(word)


def test_a_result_that_comes_four_times_at_once_is_stored_once() -> None:
    wait(real_implementation())
    machine = Machine(CPU)
    taken = machine.take()
    body = {"lease": machine.held, "records": records_of(taken["seed"]), "log": ""}
    address = f"/api/v1/agent/runs/{taken['id']}/result"
    clients = [shared(machine.client) for _ in range(4)]
    answers = at_once([lambda c=c: c.post(address, body, format="json") for c in clients])
    assert {answer.status_code for answer in answers} == {200}
    assert len({str(answer.json()) for answer in answers}) == 1
    assert Measurement.objects.filter(measure="time", subject="technique").count() == 1
    assert AuditEntry.objects.filter(action="hand-in-run").count() == 1
