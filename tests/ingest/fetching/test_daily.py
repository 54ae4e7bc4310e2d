"""The daily job: once a day, by one worker, with the days that were missed; and what an operator sees of it."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction

from ingest import daily, tasks
from ingest.fetch_runs import Run
from ingest.models import DailyFetch, DailyState
from papers.models import Paper
from tests.ingest.fetching.answers import hub_list
from tests.ingest.fetching.hosts import START, Answer

pytestmark = pytest.mark.django_db

SUNDAY = date(2025, 6, 15)  # 15:06 UTC is the time of the fake clock


@pytest.fixture(autouse=True)
def switched_on(settings, host):
    settings.FETCH_HOSTS, settings.FETCH_ALLOW_PRIVATE = [host.name], True
    settings.HUGGINGFACE_URL = host.url
    settings.DAILY_PAPERS, settings.DAILY_PAPERS_AT = True, time(12, 0)
    host.script["/api/daily_papers"] = lambda seen: hub_list(
        [f"25{seen.query['date'][5:7]}.000{seen.query['date'][8:]}"]
    )


def read(clock):
    return [(row.day, row.state) for row in daily.read_due_days(Run(clock=clock))]


def asked(host):
    return [seen.query["date"] for seen in host.seen]


def test_the_day_is_read_once_however_often_it_rings(host, clock):
    assert read(clock) == [(SUNDAY, DailyState.DONE)]
    assert read(clock) == []
    clock.pass_by(600)
    assert read(clock) == []
    assert asked(host) == ["2025-06-15"]
    row = DailyFetch.objects.get()
    assert row.counts == {"read": 1, "new": 1, "updated": 0, "duplicate": 0, "refused": 0}
    assert (row.attempts, row.lease_until) == (1, None)


def test_two_workers_that_hear_the_same_ring_read_it_once(clock):
    daily.expect_days(Run(clock=clock).now)
    first = daily.take_day(SUNDAY, Run(clock=clock).now)
    second = daily.take_day(SUNDAY, Run(clock=clock).now)
    assert first is not None
    assert second is None


def test_before_its_hour_the_day_of_yesterday_is_the_latest(host, clock, settings):
    settings.DAILY_PAPERS_AT = time(22, 0)
    assert read(clock) == [(SUNDAY - timedelta(days=1), DailyState.DONE)]
    clock.pass_by(7 * 3600)
    assert read(clock) == [(SUNDAY, DailyState.DONE)]


def test_days_that_were_slept_through_are_read_as_well(host, clock):
    read(clock)
    clock.pass_by(3 * 86400)
    assert [day for day, _ in read(clock)] == [SUNDAY + timedelta(days=days) for days in (1, 2, 3)]


def test_after_a_long_sleep_only_the_last_week_is(host, clock):
    read(clock)
    clock.pass_by(40 * 86400)
    days = [day for day, _ in read(clock)]
    assert days == [SUNDAY + timedelta(days=40 - back) for back in range(6, -1, -1)]
    assert read(clock) == []


def test_when_switched_on_first_only_the_latest_day_is_read(host, clock):
    assert len(read(clock)) == 1


def test_switched_off_it_does_nothing(host, clock, settings):
    settings.DAILY_PAPERS = False
    assert read(clock) == []
    assert (host.seen, DailyFetch.objects.count()) == ([], 0)


def test_a_day_that_failed_is_tried_again_later_and_says_why(host, clock):
    whole = host.script["/api/daily_papers"]
    host.on("/api/daily_papers", Answer(500))
    assert read(clock) == [(SUNDAY, DailyState.FAILED)]
    assert "status 500" in DailyFetch.objects.get().failure
    assert read(clock) == [], "not at once"
    host.script["/api/daily_papers"] = whole
    clock.pass_by(1200)
    assert read(clock) == [(SUNDAY, DailyState.DONE)]
    row = DailyFetch.objects.get()
    assert (row.attempts, row.failure) == (2, "")


def test_a_day_that_always_fails_is_given_up(host, clock):
    host.on("/api/daily_papers", Answer(404))
    tries = 0
    for _ in range(200):
        tries += len([day for day, _ in read(clock) if day == SUNDAY])
        clock.pass_by(600)
    assert tries == daily.MOST_ATTEMPTS
    assert len(host.seen) < 40


def test_a_day_whose_worker_was_lost_is_given_to_another(host, clock):
    now = Run(clock=clock).now
    daily.expect_days(now)
    lost = daily.take_day(SUNDAY, now)
    assert read(clock) == []
    clock.pass_by(daily.LEASE.total_seconds() + 1)
    assert read(clock) == [(SUNDAY, DailyState.DONE)]
    assert not daily.finish_day(lost, now, state=DailyState.FAILED, failure="I was asleep")
    assert DailyFetch.objects.get().state == DailyState.DONE


def test_a_day_without_papers_is_done(host, clock):
    host.on("/api/daily_papers", Answer(body=b"[]"))
    assert read(clock) == [(SUNDAY, DailyState.DONE)]


def test_a_fault_of_our_own_is_kept_too(host, clock, monkeypatch):
    def broken(*args):
        raise RuntimeError("a bug")
        yield

    monkeypatch.setattr(daily, "read_targets", broken)
    with pytest.raises(RuntimeError):
        read(clock)
    assert DailyFetch.objects.get().state == DailyState.FAILED


def test_the_task_does_what_the_service_does(host, monkeypatch):
    monkeypatch.setattr(daily, "latest_due", lambda now: now.date())
    tasks.daily_papers()
    tasks.daily_papers()
    assert (len(host.seen), Paper.objects.count()) == (1, 1)


def test_an_operator_sees_how_it_went(host, clock, capsys):
    read(clock)
    host.on("/api/daily_papers", Answer(404))
    clock.pass_by(86400)
    read(clock)
    call_command("ingest", status=True)
    told = capsys.readouterr().out
    assert "Daily Papers: on, at 12:00 UTC" in told
    assert "2025-06-15  done" in told
    assert "1 read, 1 new" in told
    assert "2025-06-16  failed" in told
    assert "is not there (status 404)" in told
    assert "1 of 6 tries" in told


def test_the_database_refuses_states_that_make_no_sense():
    for wrong in ({"state": "odd"}, {"state": "running"}, {"state": "failed"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            DailyFetch.objects.create(day=SUNDAY, **wrong)


def test_beat_rings_where_it_is_switched_on(project_root):
    code = "from config.celery import app; print(app.conf.beat_schedule['daily-papers']['task'])"
    told = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project_root,
        env={**os.environ, "DAILY_PAPERS": "true"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == tasks.daily_papers.name


def test_the_clock_of_the_tests_is_where_the_tests_think():
    assert datetime.fromtimestamp(START, UTC).date() == SUNDAY
