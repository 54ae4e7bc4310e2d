"""An implementation to run, a device to run it on, and a harness that answers at once."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from papers.models import Claim, Device, DeviceKind, Implementation
from papers.services import SeenPaper, record_paper
from runners.bench.results import Event, Failure, RunRequest, SessionResult


@pytest.fixture
def implementation(db: None) -> Implementation:
    paper, _ = record_paper(SeenPaper(title="TwoCache: half a cache"))
    Claim.objects.create(
        paper=paper, card_key="twocache/speed", metric="speedup", form="factor", direction="better", value=2.0, unit="x"
    )
    return Implementation.objects.create(
        name="twocache",
        paper=paper,
        card={"name": "twocache", "scope": "kernel"},
        card_hash="c" * 64,
        code_hash="d" * 64,
    )


@pytest.fixture
def cpu(db: None) -> Device:
    return Device.objects.create(uid="here/cpu", kind=DeviceKind.CPU, name="Two cores")


@pytest.fixture
def person(db: None) -> User:
    return User.objects.create_user("ada", password="a long enough password")


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """Run ids and queues that a broker would have been told of."""
    heard: list[tuple[int, str]] = []

    def send_task(name: str, args: list[int], queue: str, **options: Any) -> None:
        heard.append((args[0], queue))

    monkeypatch.setattr("runners.services.current_app.send_task", send_task)
    return heard


@pytest.fixture
def result_with() -> Callable[..., SessionResult]:
    """A session's result; the caller names what matters to the test."""

    def build(**fields: Any) -> SessionResult:
        plain: dict[str, Any] = {
            "status": "PASSED", "failure": None, "records": [], "measurements": [], "judgements": [], "card_name": "twocache", "mode": "run", "skipped": [],
            "environment": {"device": "cpu"}, "log_tail": "all is well", "harness_version": "1", "seed": 7,
        }  # fmt: skip
        return SessionResult(**(plain | fields))

    return build


@pytest.fixture
def session_giving(result_with: Callable[..., SessionResult]) -> Callable[..., Any]:
    """A stand-in for the harness that reports some progress and returns the result; stops when it is told to."""

    def build(*, meanwhile: Callable[[], None] = lambda: None, **fields: Any) -> Callable[..., SessionResult]:
        def session(
            request: RunRequest, on_event: Callable[[Event], None], should_stop: Callable[[], bool]
        ) -> SessionResult:
            meanwhile()
            on_event(Event(kind="progress", phase="timing", fraction=0.5, text=""))
            if should_stop():
                return result_with(status="RUNTIME_ERROR", failure=Failure("cancelled", "stopped when asked"))
            return result_with(**fields)

        return session

    return build
