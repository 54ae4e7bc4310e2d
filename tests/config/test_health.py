"""What an operator's machines and an operator see of the installation's state."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client

from config import health
from config.logs import logging_config
from papers.models import RunState
from tests.factories import make_device, make_implementation, make_run, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _places(settings: Any, tmp_path: Path) -> None:
    settings.INDEX_DIR, settings.BROKER_DIR, settings.DATA_DIR = tmp_path / "index", tmp_path, tmp_path


def by_name(client: Client) -> dict[str, dict[str, str]]:
    return {part["name"]: part for part in client.get("/readyz").json()["parts"]}


def test_a_fresh_installation_is_ready_and_says_what_is_missing(client: Client) -> None:
    assert client.get("/readyz").status_code == 200
    found = by_name(client)
    assert {name: part["state"] for name, part in found.items()} == {
        "database": "ok", "migrations": "ok", "broker": "ok", "index": "degraded", "workers": "degraded", "disk": found["disk"]["state"],
    }  # fmt: skip
    make_device("cpu")
    make_run(make_implementation(), RunState.QUEUED)
    assert by_name(client)["workers"]["detail"] == "Devices at work: 1 cpu. 1 runs wait."


@pytest.mark.parametrize("name", ["database", "disk", "migrations"])
def test_without_what_it_cannot_do_without_it_is_not_ready(client: Client, monkeypatch: Any, name: str) -> None:
    monkeypatch.setattr(health, f"_{name}", lambda: (health.DOWN, "It is gone."))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert {"name": name, "state": "down", "detail": "It is gone."} in answer.json()["parts"]
    page = client.get("/status/")
    assert page.status_code == 503
    assert "cannot serve at the moment" in page.content.decode()


def test_a_check_that_breaks_tells_no_address(client: Client, monkeypatch: Any) -> None:
    def broken() -> tuple[str, str]:
        raise DatabaseError("connection to postgres://app:secret@10.0.0.7 failed")

    monkeypatch.setattr(health, "_broker", broken)
    said = client.get("/readyz").content.decode()
    assert "secret" not in said
    assert "10.0.0.7" not in said


def test_a_broker_that_does_not_answer_limits_and_stops_nothing(client: Client, settings: Any) -> None:
    settings.BROKER_URL = "redis://127.0.0.1:1/0"
    from config.celery import app

    before = app.conf.broker_url
    app.conf.broker_url = settings.BROKER_URL
    try:
        answer = client.get("/readyz")
    finally:
        app.conf.broker_url = before
    assert answer.status_code == 200
    assert by_name_of(answer)["broker"]["state"] == "degraded"


def by_name_of(answer: Any) -> dict[str, dict[str, str]]:
    return {part["name"]: part for part in answer.json()["parts"]}


def test_the_status_page_shows_parts_queues_and_last_runs(client: Client) -> None:
    run = make_run(make_implementation(name="foldcache"))
    make_run(run.implementation, RunState.QUEUED)
    page = client.get("/status/").content.decode()
    assert "No worker" not in page or "Limited" in page
    assert "1 queued" in page
    assert run.get_absolute_url() in page


class TestMetrics:
    def test_they_count_requests_runs_and_parts(self, client: Client) -> None:
        make_run(make_implementation(), RunState.QUEUED)
        client.get("/healthz")
        said = client.get("/metrics").content.decode()
        assert 'speedproof_runs{device_kind="cuda",failure_reason="",state="queued"} 1.0' in said
        assert 'speedproof_part_state{part="database"} 1.0' in said
        assert "django_http_requests_latency_seconds_by_view_method" in said

    def test_strangers_see_none(self, client: Client) -> None:
        assert client.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 403
        assert client.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 403
        client.force_login(make_user(role="editor"))
        assert client.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 403
        client.force_login(make_user(role="operator"))
        assert client.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 200

    def test_with_a_token_only_that_counts(self, client: Client, settings: Any) -> None:
        settings.METRICS_TOKEN = "a-long-token"
        assert client.get("/metrics").status_code == 403
        assert client.get("/metrics", headers={"Authorization": "Bearer another"}).status_code == 403
        assert client.get("/metrics", headers={"Authorization": "Bearer a-long-token"}).status_code == 200


class TestLogs:
    def line(self, form: str, message: str, **ids: Any) -> str:
        from structlog.contextvars import bound_contextvars

        made = logging_config(form, "INFO")["formatters"]["chosen"]
        formatter = made["()"](foreign_pre_chain=made["foreign_pre_chain"], processors=made["processors"])
        record = logging.LogRecord("runners.services", logging.INFO, "", 1, message, ("H200",), None)
        with bound_contextvars(**ids):
            return formatter.format(record)

    def test_a_line_for_programs_is_one_object_with_its_ids(self) -> None:
        told = json.loads(self.line("json", "begun on %s", run_id=7, request_id="abc"))
        assert (told["event"], told["run_id"], told["request_id"]) == ("begun on H200", 7, "abc")
        assert told["level"] == "info"

    def test_a_line_for_people_ends_with_its_ids(self) -> None:
        assert self.line("line", "begun on %s", run_id=7).endswith("INFO runners.services: begun on H200  run_id=7")

    def test_an_unknown_form_is_refused_by_name(self) -> None:
        with pytest.raises(ValueError, match="LOG_FORMAT='xml' is unknown; use line or json"):
            logging_config("xml", "INFO")
