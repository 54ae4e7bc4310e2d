"""The client against the real API, and against a network and a server that misbehave."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.core.cache import cache
from django.core.wsgi import get_wsgi_application

from api.models import ApiToken
from papers.models import Run
from speedproof import ApiError, Client, NotAllowed, NotFound, NotReachable, SpeedproofError, TooManyRequests
from speedproof.client import events_in
from tests.factories import make_claim, make_implementation, make_paper, make_run, make_user


@pytest.fixture
def client(db: None) -> Iterator[Client]:
    cache.clear()
    token = ApiToken.objects.issue(make_user(role="requester"), "client", ["run"])[1]
    with Client("http://localhost", token, transport=httpx.WSGITransport(app=get_wsgi_application())) as made:
        yield made


def answering(*answers: Any) -> tuple[Client, list[httpx.Request], list[float]]:
    """A client whose server gives these answers, one after another; what was asked, and how long was waited."""
    asked: list[httpx.Request] = []
    waits: list[float] = []
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        given = left.pop(0)
        if isinstance(given, Exception):
            raise given
        return given

    return Client("http://server", transport=httpx.MockTransport(answer), wait=waits.append), asked, waits


def test_every_page_is_read_and_no_record_twice(client: Client) -> None:
    made = {make_paper().slug for _ in range(5)}
    assert sorted(row["slug"] for row in client.records("papers", page_size=2, fields="slug")) == sorted(made)


def test_a_paper_is_found_by_slug_and_by_arxiv_id(client: Client) -> None:
    paper = make_paper(arxiv_id="2312.00752")
    make_claim(paper)
    assert client.paper("2312.00752")["slug"] == client.paper(paper.slug)["slug"] == paper.slug
    assert client.paper(paper.slug)["claims"][0]["standing"] is None


def test_problems_are_exceptions_with_their_fields(client: Client) -> None:
    with pytest.raises(NotFound):
        client.paper("../../runs")
    with pytest.raises(ApiError, match="limit") as caught:
        client.search("cache", limit=0)
    assert (caught.value.status, caught.value.errors[0]["field"]) == (400, "limit")


def test_a_run_is_asked_for_and_followed(client: Client) -> None:
    name = make_implementation().name
    asked = client.verify(name, "cpu", "check", key="k")
    assert client.verify(name, "cpu", "check", key="k")["id"] == asked["id"]
    assert client.cancel(asked["id"])["state"] == "cancelled"
    done = make_run(log_tail="one\ntwo\n")
    assert [event.kind for event in client.follow(done.pk)] == ["log", "progress", "state"]
    assert Run.objects.count() == 2


def test_without_a_token_nothing_is_asked_for(db: None) -> None:
    cache.clear()
    with (
        Client("http://localhost", transport=httpx.WSGITransport(app=get_wsgi_application())) as client,
        pytest.raises(NotAllowed),
    ):
        client.verify(make_implementation().name)


def test_what_failed_on_its_way_is_sent_again_and_waits_as_it_is_told() -> None:
    good = httpx.Response(200, json={"ok": True})
    client, asked, waits = answering(
        httpx.ConnectError("refused"), httpx.Response(429, headers={"Retry-After": "7"}), httpx.Response(503), good
    )
    assert client.get("/overview") == {"ok": True}
    assert (len(asked), waits[1]) == (4, 7.0)


def test_what_could_be_done_twice_is_sent_once_but_a_keyed_request_again_with_its_key() -> None:
    client, asked, _ = answering(httpx.ReadTimeout("slow"))
    with pytest.raises(NotReachable):
        client.cancel(1)
    assert len(asked) == 1
    client, asked, _ = answering(httpx.ReadTimeout("slow"), httpx.Response(202, json={"id": 3}))
    assert client.verify("x")["id"] == 3
    assert asked[0].headers["Idempotency-Key"] == asked[1].headers["Idempotency-Key"]


def test_a_server_that_stays_busy_or_answers_nonsense_is_an_exception() -> None:
    client, _, _ = answering(*[httpx.Response(429) for _ in range(4)])
    with pytest.raises(TooManyRequests):
        client.get("/overview")
    client, _, _ = answering(httpx.Response(404, text="<html>"))
    with pytest.raises(NotFound, match="status 404"):
        client.get("/overview")


def test_a_stream_that_breaks_off_is_gone_on_with() -> None:
    def event(number: int, **data: Any) -> str:
        return f": beat\n\nid: {number}\nevent: state\ndata: {json.dumps(data)}\n\n"

    first = httpx.Response(200, text=event(1, state="running"))
    second = httpx.Response(200, text=event(2, state="finished", is_final=True))
    client, asked, _ = answering(first, httpx.Response(503), second)
    assert [one.id for one in client.follow(1)] == ["1", "2"]
    assert [request.headers.get("Last-Event-ID") for request in asked] == [None, "1", "1"]


def test_broken_events_are_passed_over() -> None:
    lines = ["data: {", "", "event: log", "data: {", "", "event: log", 'data: {"text":', 'data: "x"}', "", "id: 9"]
    assert [one.data for one in events_in(iter(lines))] == [{"text": "x"}]


@pytest.mark.parametrize(
    ("server", "token"), [("server.example", None), ("http://x", "two words"), ("http://x", "a\nb")]
)
def test_an_address_and_a_token_that_are_none_are_refused(server: str, token: str | None) -> None:
    with pytest.raises(SpeedproofError):
        Client(server, token)
