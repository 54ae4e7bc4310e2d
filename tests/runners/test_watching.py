"""The regression watch: gains that are gone are marked, once, and what has changed is run again, if that is wanted."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from papers.models import AuditEntry, Device, Implementation, Measurement, Regression, Run, RunState
from runners import watching

pytestmark = pytest.mark.django_db
Ran = Callable[..., Run]


@pytest.fixture
def ran(implementation: Implementation, cpu: Device) -> Ran:
    """A finished run with one ratio; each a day after the last one."""
    started = timezone.now() - timedelta(days=100)

    def build(ratio: float = 1.5, torch: str = "2.11.0", **fields: Any) -> Run:
        plain = {
            "implementation": implementation, "device": cpu, "device_kind": "cpu", "state": RunState.FINISHED,
            "environment": {"torch": torch}, "card_hash": "c" * 64, "code_hash": "d" * 64,
            "finished_at": started + timedelta(days=Run.objects.count()),
        }  # fmt: skip
        run = Run.objects.create(**(plain | fields))
        Measurement.objects.create(
            run=run, workload="small", subject="technique", baseline="sdpa", measure="time", median=1.0, ratio=ratio,
            ratio_low=ratio * 0.99, ratio_high=ratio * 1.01, band=0.02,
        )  # fmt: skip
        return run

    return build


def test_a_gain_that_is_gone_is_marked_once_with_its_cause(implementation: Implementation, ran: Ran) -> None:
    implementation.card["baselines"] = [{"name": "sdpa", "label": "SDPA"}]
    implementation.save()
    runs = [ran(), ran(1.51), ran(1.0, "2.13.0"), ran(1.01, "2.13.0")]
    assert watching.mark_regressions(implementation) == {"found": 1, "ended": 0}
    assert watching.mark_regressions(implementation) == {"found": 0, "ended": 0}
    marked = Regression.objects.get()
    assert marked.since_run == runs[2]
    assert marked.sentence == "No longer faster than SDPA since torch 2.13.0: 1.50× before, 1.00× now."
    assert marked.changes == {"torch": ["2.11.0", "2.13.0"]}
    assert (marked.device_name, AuditEntry.objects.get().action) == ("Two cores", "mark-regression")


def test_a_gain_that_comes_back_ends_the_mark_and_keeps_it(implementation: Implementation, ran: Ran) -> None:
    for ratio in (1.5, 1.5, 1.0, 1.0):
        ran(ratio)
    watching.mark_regressions(implementation)
    ran(1.5)
    ran(1.5)
    assert watching.mark_regressions(implementation) == {"found": 0, "ended": 1}
    assert not Regression.objects.current().exists()
    assert Regression.objects.count() == 1


def test_other_devices_and_failed_runs_have_no_part_in_it(implementation: Implementation, ran: Ran) -> None:
    other = Device.objects.create(uid="there/cpu", kind="cpu", name="Four cores")
    ran(1.5)
    ran(1.5)
    ran(1.0, device=other)
    ran(1.0, device=other)
    ran(1.0, state=RunState.FAILED)
    ran(1.0, state=RunState.FAILED)
    assert watching.mark_regressions(implementation)["found"] == 0
    assert {key[0]: len(past) for key, past in watching.histories(implementation).items()} == {
        "Two cores": 2,
        "Four cores": 2,
    }


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, cpu: Device) -> None:
    """This machine has torch 2.13.0 and its worker is alive."""
    versions = {"torch": "2.13.0"}

    def version(package: str) -> str:
        if package not in versions:
            raise watching.importlib.metadata.PackageNotFoundError(package)
        return versions[package]

    monkeypatch.setattr(watching.importlib.metadata, "version", version)
    Device.objects.update(last_seen_at=timezone.now())


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        pytest.param({"torch": "2.13.0"}, None, id="nothing changed"),
        pytest.param({"torch": "2.11.0"}, ["torch"], id="torch"),
        pytest.param({"torch": "2.13.0", "code_hash": "e" * 64}, ["code"], id="code"),
        pytest.param({"torch": "2.13.0", "card_hash": "e" * 64}, ["card"], id="card"),
        pytest.param({"state": RunState.FAILED, "environment": {}}, None, id="failed with the same code"),
        pytest.param({"state": RunState.CANCELLED}, None, id="cancelled, as if never run"),
    ],
)
def test_what_has_changed_is_due(
    fields: dict[str, Any], why: list[str] | None, ran: Ran, cpu: Device, here: None
) -> None:
    ran(**fields)
    assert [list(changes) for _, changes in watching.due(cpu)] == ([why] if why else [])


def test_the_watch_queues_one_run_at_a_time_and_says_why(ran: Ran, here: None, rings: list[Any]) -> None:
    ran(torch="2.11.0")
    assert watching.watch()["queued"] == 1
    assert watching.watch()["queued"] == 0, "one is open"
    run = Run.objects.open().get()
    assert run.requester is None
    assert AuditEntry.objects.get(action="rerun").detail["changes"] == {"torch": ["2.11.0", "2.13.0"]}


def test_without_a_worker_nothing_is_queued(ran: Ran, here: None) -> None:
    ran(torch="2.11.0")
    Device.objects.update(last_seen_at=timezone.now() - timedelta(hours=1))
    assert watching.watch()["queued"] == 0


def test_the_watch_is_off_unless_it_is_asked_for() -> None:
    from config.celery import app

    assert "watch-for-regressions" not in app.conf.beat_schedule
