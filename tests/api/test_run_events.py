"""Following a run as server-sent events: what changed since the client looked, and no more streams than there are threads."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.core.signals import request_finished
from django.db import close_old_connections
from rest_framework.test import APIClient

from api import events
from papers.models import Run
from tests.factories import make_run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    cache.clear()
    monkeypatch.setattr(events, "POLL_S", 0.0)
    yield
    assert events.slots.taken == 0, "a stream was left open"


def open_events(run: Run, **headers: str) -> Any:
    return APIClient().get(f"/api/v1/runs/{run.pk}/events", headers={"Accept": "text/event-stream", **headers})


def read(stream: Any) -> list[dict[str, Any]]:
    """Events as a browser takes them apart."""
    found = []
    for block in b"".join(stream).decode().split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in lines:
            found.append({"id": lines["id"], "event": lines["event"], "data": json.loads(lines["data"])})
    return found


def shut(answer: Any) -> None:
    """End an answer as a client that goes away does, but keep the database connection, which holds the test's rows."""
    request_finished.disconnect(close_old_connections)
    try:
        answer.close()
    finally:
        request_finished.connect(close_old_connections)


def finished(log: str = "one\ntwo\n") -> Run:
    return make_run(state="finished", log_tail=log)


def test_a_run_that_has_ended_is_told_whole_and_the_stream_ends() -> None:
    answer = open_events(finished())
    assert answer["Content-Type"].startswith("text/event-stream")
    assert answer["Cache-Control"] == "no-store"
    told = read(answer)
    shut(answer)
    assert [one["event"] for one in told] == ["log", "progress", "state"]
    assert told[0]["data"] == {"text": "one\ntwo\n", "from_start": True}
    assert told[-1]["data"]["is_final"] is True


def test_a_client_that_knows_the_end_is_told_to_stay_away() -> None:
    run = finished()
    answer = open_events(run)
    last = read(answer)[-1]["id"]
    shut(answer)
    assert open_events(run, **{"Last-Event-ID": last}).status_code == 204


def test_a_running_run_is_followed_to_its_end() -> None:
    run = make_run(state="running", log_tail="one\n")
    steps = iter(
        [
            {"log_tail": "one\ntwo\n", "progress": 0.7},
            {"cancel_requested": True},
            {"state": "cancelled", "phase": "", "progress": 1.0},
        ]
    )
    stream = events.EventStream(run.pk, events.Seen(), "me", wait=lambda s: step())

    def step() -> None:
        Run.objects.filter(pk=run.pk).update(**next(steps))

    events.slots.take("me")
    told = read(stream)
    stream.close()
    assert [one["data"]["text"] for one in told if one["event"] == "log"] == ["one\n", "two\n"]
    assert [one["data"]["state"] for one in told if one["event"] == "state"] == ["running", "running", "cancelled"]
    assert len({one["id"] for one in told}) == len(told), "each event has an id of its own to go on from"


def test_a_stream_goes_on_behind_the_last_event_though_the_log_was_cut_at_its_front() -> None:
    log = "".join(f"line {number:03}\n" for number in range(200))  # nine characters each
    run = make_run(state="running", log_tail=log[:900])
    known = events.news_of(Run.objects.values(*events.COLUMNS).get(pk=run.pk), events.Seen())[1]
    Run.objects.filter(pk=run.pk).update(log_tail=log[300:])
    told, _ = events.news_of(Run.objects.values(*events.COLUMNS).get(pk=run.pk), events.Seen.read(str(known)))
    data = json.loads(told[0].decode().split("data: ", 1)[1])
    assert data == {"text": log[900:], "from_start": False}


@pytest.mark.parametrize("last", ["nonsense", "a-b-c", "----", "%00", "x" * 3000])
def test_an_id_that_is_none_is_told_everything(last: str) -> None:
    answer = open_events(finished(), **{"Last-Event-ID": last})
    assert [one["event"] for one in read(answer)] == ["log", "progress", "state"]
    shut(answer)


def test_silence_is_broken_by_a_comment_and_ends_in_time(settings: Any) -> None:
    now = iter(float(10 * n) for n in range(1000))
    run = make_run(state="queued")
    stream = events.EventStream(run.pk, events.Seen(), "me", wait=lambda s: None, clock=lambda: next(now))
    events.slots.take("me")
    told = b"".join(stream)
    stream.close()
    assert b": still here" in told
    assert told.endswith(b"\n\n")


def test_a_client_has_one_stream_and_a_process_has_few(settings: Any) -> None:
    settings.EVENT_STREAMS, run = 2, make_run(state="queued")
    first = open_events(run)
    refused = open_events(run)
    assert (refused.status_code, refused["Retry-After"]) == (429, "5")
    second = events.open_stream(run.pk, "", "another")
    third = APIClient().get(f"/api/v1/runs/{run.pk}/events", REMOTE_ADDR="10.0.0.3")
    assert (third.status_code, third["Retry-After"]) == (503, "5")
    assert third["Content-Type"].startswith("application/problem+json")
    shut(first)  # before anything was read of it
    assert second is not None
    second.close()
    again = open_events(run)
    assert again.status_code == 200
    shut(again)


def test_there_is_nothing_to_follow_without_a_run() -> None:
    assert APIClient().get("/api/v1/runs/987654/events").status_code == 404


def test_the_records_come_as_lines() -> None:
    run = make_run(records=[{"a": 1}, {"b": "ü"}])
    answer = APIClient().get(f"/api/v1/runs/{run.pk}/records")
    assert answer["Content-Type"].startswith("application/x-ndjson")
    assert [json.loads(line) for line in answer.content.decode().splitlines()] == [{"a": 1}, {"b": "ü"}]
