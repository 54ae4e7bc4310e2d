"""Keys of requests, and edits at the same moment: on real PostgreSQL where the suite runs there, on SQLite elsewhere."""

import threading
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from rest_framework.test import APIClient

from api.models import DoneRequest
from papers.models import AuditEntry, Run
from tests.api.test_editing import client_of
from tests.factories import make_implementation, make_paper


@pytest.fixture(autouse=True)
def _fresh_rates() -> None:
    cache.clear()


def ask(client: APIClient, name: str, key: str) -> Any:
    return client.post(
        "/api/v1/runs", {"implementation": name, "device": "cpu"}, format="json", headers={"Idempotency-Key": key}
    )


@pytest.mark.django_db
def test_a_request_that_is_sent_again_gets_the_first_answer_even_after_the_run_ended() -> None:
    implementation, client = make_implementation(), client_of("run")
    first = ask(client, implementation.name, "k-1")
    Run.objects.update(state="cancelled", finished_at="2026-01-01T00:00Z")
    again = ask(client, implementation.name, "k-1")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert (again["Location"], again["Idempotent-Replayed"]) == (first["Location"], "true")
    assert Run.objects.count() == 1
    assert ask(client, implementation.name, "k-2").json()["id"] != first.json()["id"]


@pytest.mark.django_db
def test_a_key_belongs_to_one_request_and_one_owner() -> None:
    one, two = make_implementation(), make_implementation()
    client = client_of("run")
    ask(client, one.name, "k")
    other = ask(client, two.name, "k")
    assert (other.status_code, other.json()["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert ask(client_of("run"), two.name, "k").status_code == 202


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "two words", "ü", "x" * 121])
def test_a_malformed_key_is_named(key: str) -> None:
    answer = ask(client_of("run"), make_implementation().name, key)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "Idempotency-Key")


@pytest.mark.django_db
def test_a_refused_request_uses_no_key_up() -> None:
    client, implementation = client_of("run"), make_implementation()
    assert ask(client, "nothing-of-that-name", "k").status_code == 400
    assert not DoneRequest.objects.exists()
    assert ask(client, implementation.name, "k").status_code == 202


needs_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite's database of tests locks whole tables; run on PostgreSQL too"
)


def at_once(work: list[Any]) -> list[Any]:
    """Each in a thread with its own connection, started together."""
    gate, answers = threading.Barrier(len(work)), [None] * len(work)

    def run(number: int) -> None:
        gate.wait()
        try:
            answers[number] = work[number]()
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[number]) for number in range(len(work))]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return answers


def shared(client: APIClient) -> APIClient:
    """A client of the same token, since one client serves one thread."""
    other = APIClient()
    other.credentials(**client._credentials)
    return other


@needs_postgresql
@pytest.mark.django_db(transaction=True)
def test_the_same_key_four_times_at_once_is_one_run() -> None:
    implementation, client = make_implementation(), client_of("run")
    clients = [shared(client) for _ in range(4)]
    answers = at_once([lambda c=c: ask(c, implementation.name, "k") for c in clients])
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert Run.objects.count() == 1


@needs_postgresql
@pytest.mark.django_db(transaction=True)
def test_of_editors_who_saw_the_same_version_one_wins_and_the_others_are_told() -> None:
    paper, client = make_paper(year=2001), client_of("edit")
    version = APIClient().get(f"/api/v1/papers/{paper.slug}")["ETag"]

    def edit(client: APIClient, year: int) -> Any:
        return client.patch(
            f"/api/v1/papers/{paper.slug}", {"year": year}, format="json", headers={"If-Match": version}
        )

    clients = [shared(client) for _ in range(4)]
    answers = at_once([lambda c=c, y=2010 + n: edit(c, y) for n, c in enumerate(clients)])
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    winner = next(answer.json()["year"] for answer in answers if answer.status_code == 200)
    paper.refresh_from_db()
    assert paper.year == winner
    assert AuditEntry.objects.filter(action__contains="edit").count() == 1
