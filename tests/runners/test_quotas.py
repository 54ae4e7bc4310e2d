"""Quotas: what one person may ask for, and what a refusal tells."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from papers.models import Run, RunState
from runners.quotas import quotas_of
from runners.services import RunRefused, cancel_run, request_run
from tests.factories import make_implementation, make_run, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _limits(settings: Any) -> None:
    settings.RUN_QUOTA_PER_USER, settings.RUN_QUOTA_OPEN, settings.RUN_QUOTA_DAY = 3, {"cuda": 1}, {"cpu": 2}


def asked_by(user: Any, kind: str, hours_ago: float = 0, state: str = RunState.FINISHED, **fields: Any) -> Run:
    run = make_run(None, state, requester=user, device_kind=kind, **fields)
    Run.objects.filter(pk=run.pk).update(requested_at=timezone.now() - timedelta(hours=hours_ago))
    return run


def test_a_kind_of_device_has_its_own_limit() -> None:
    ada = make_user()
    request_run(make_implementation(), ada, "cuda")
    with pytest.raises(RunRefused, match=r"You have 1 runs waiting or running for .+; 1 are allowed"):
        request_run(make_implementation(), ada, "cuda")
    assert request_run(make_implementation(), ada, "cpu").device_kind == "cpu"
    assert request_run(make_implementation(), make_user(), "cuda").device_kind == "cuda"


def test_a_running_run_tells_by_when_it_frees_a_place(settings: Any) -> None:
    ada, began = make_user(), timezone.now() - timedelta(minutes=5)
    run = asked_by(ada, "cuda", state=RunState.RUNNING)
    Run.objects.filter(pk=run.pk).update(started_at=began)
    until = began + timedelta(seconds=settings.RUN_WALL_LIMIT_S)
    with pytest.raises(RunRefused, match=f"one ends by {until:%d %b %Y, %H:%M} UTC"):
        request_run(make_implementation(), ada, "cuda")


def test_the_day_is_the_last_24_hours_and_the_refusal_tells_when_it_frees() -> None:
    ada = make_user()
    asked_by(ada, "cpu", 25)
    asked_by(ada, "cpu", 20)
    oldest_that_counts = asked_by(ada, "cpu", 3)
    del oldest_that_counts
    frees = timezone.now() + timedelta(hours=4)
    with pytest.raises(RunRefused, match=f"possible from {frees:%d %b %Y, %H:%M} UTC"):
        request_run(make_implementation(), ada, "cpu")


def test_what_was_cancelled_before_it_began_does_not_count() -> None:
    ada = make_user()
    for _ in range(4):
        cancel_run(request_run(make_implementation(), ada, "cpu"), ada)
    assert [q.used for q in quotas_of(ada) if q.within == "day"] == [0]


def test_a_quota_of_nothing_says_so(settings: Any) -> None:
    settings.RUN_QUOTA_DAY = {"cpu": 0}
    with pytest.raises(RunRefused, match="None is possible"):
        request_run(make_implementation(), make_user(), "cpu")
