"""How long a run will wait."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from papers.models import Device, DeviceKind, Implementation, Run, RunState
from runners.waiting import queue, wait_of
from tests.factories import make_device, make_implementation, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def gpu() -> Device:
    return make_device()


@pytest.fixture
def took(gpu: Device) -> Callable[..., None]:
    """Finished runs of an implementation that took so many seconds each."""

    def make(implementation: Implementation, *seconds: float, **fields: Any) -> None:
        now = timezone.now()
        for each in seconds:
            make_run(implementation, device=gpu, started_at=now - timedelta(seconds=each), finished_at=now, **fields)

    return make


def test_a_wait_adds_up_what_the_like_took_before(gpu: Device, took: Any) -> None:
    first, second = make_implementation(), make_implementation()
    took(first, 100, 120, 900)
    took(second, 60)
    running = make_run(first, RunState.RUNNING, device=gpu, started_at=timezone.now() - timedelta(seconds=20))
    waiting = [make_run(second, RunState.QUEUED), make_run(first, RunState.QUEUED), make_run(first, RunState.QUEUED)]
    found = {each.run.pk: each for each in queue()}
    assert found[running.pk].takes_s == pytest.approx(120)
    assert [found[run.pk].wait_s for run in waiting] == [pytest.approx(each, abs=2) for each in (100, 160, 280)]
    assert [found[run.pk].ahead for run in waiting] == [1, 2, 3]


def test_two_workers_share_what_waits(took: Any) -> None:
    make_device()
    one = make_implementation()
    took(one, 100)
    waiting = [make_run(one, RunState.QUEUED) for _ in range(4)]
    assert [wait.wait_s for run in waiting if (wait := wait_of(run))] == [0, 0, pytest.approx(100), pytest.approx(100)]


def test_what_never_finished_before_makes_a_wait_unknown(gpu: Device, took: Any) -> None:
    known, new = make_implementation(), make_implementation()
    took(known, 100)
    took(new, 50, mode="check")
    first, second = make_run(new, RunState.QUEUED), make_run(known, RunState.QUEUED)
    waits = [wait_of(run) for run in (first, second)]
    assert [wait.wait_s for wait in waits if wait] == [0, None]
    assert [wait.takes_s for wait in waits if wait] == [None, pytest.approx(100)]
    assert waits[1] is not None
    assert "the wait is unknown" in waits[1].sentence


def test_without_a_worker_of_the_kind_that_is_said(client: Client, took: Any) -> None:
    one = make_implementation()
    took(one, 100)
    Device.objects.update(last_seen_at=None)
    run = make_run(one, RunState.QUEUED)
    cpu = make_run(one, RunState.QUEUED, device_kind=DeviceKind.CPU)
    assert "no GPU worker is alive: it waits until one starts" in client.get(run.get_absolute_url()).content.decode()
    assert "No CPU worker is alive" in client.get("/runs/").content.decode()
    assert "no CPU worker is alive" in client.get(cpu.get_absolute_url()).content.decode()


def test_the_list_shows_the_queue_and_asks_again_while_something_is_open(
    client: Client, gpu: Device, took: Any
) -> None:
    one = make_implementation()
    took(one, 600)
    make_run(one, RunState.RUNNING, device=gpu)
    run = make_run(one, RunState.QUEUED)
    page = client.get("/runs/").content.decode()
    assert "about 10 min" in page
    assert 'hx-get="/runs/waiting"' in page
    Run.objects.filter(state__in=["queued", "running"]).update(state=RunState.CANCELLED)
    part = client.get("/runs/waiting", headers={"HX-Request": "true"}).content.decode()
    assert f"/runs/{run.pk}/" not in part
    assert "hx-get" not in part
    assert client.get("/runs/waiting").headers["Location"] == "/runs/"


def test_the_queue_costs_the_same_for_many(gpu: Device, took: Any, django_assert_num_queries: Any) -> None:
    took(make_implementation(), 60)
    for _ in range(3):
        make_run(make_implementation(), RunState.QUEUED)
    with django_assert_num_queries(3):
        queue()
    for _ in range(9):
        make_run(make_implementation(), RunState.QUEUED)
    with django_assert_num_queries(3):
        queue()
