"""Asking for a run, watching it, and reading what it found."""

import json
import re
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from papers.models import DeviceKind, Outcome, Run, RunState
from runners import services
from runners.bench.results import FAILURE_REASONS
from runners.views import FAILURES
from tests.factories import (
    make_device,
    make_implementation,
    make_measurement,
    make_run,
    make_user,
    make_verdict,
)

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "ring", lambda run_id, kind: None)


def read(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", unescape(answer.content.decode()))


# ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_visitor_signs_in_first_and_comes_back_to_the_technique(client: Client) -> None:
    implementation = make_implementation(name="foldcache")
    answer = client.post(reverse("request-run", args=["foldcache"]))
    assert answer.headers["Location"] == f"/sign-in/?next={implementation.get_absolute_url()}"
    assert not Run.objects.exists()


def test_asking_leads_to_the_run(client: Client) -> None:
    make_implementation(name="foldcache")
    user = make_user()
    client.force_login(user)
    answer = client.post(reverse("request-run", args=["foldcache"]), {"device": "cpu"})
    run = Run.objects.get()
    assert answer.headers["Location"] == run.get_absolute_url()
    assert (run.requester, run.device_kind, run.state) == (user, "cpu", "queued")


@pytest.mark.parametrize(
    ("device", "quota", "words"),
    [
        pytest.param("abacus", 20, "is not a kind of device", id="unknown-device"),
        pytest.param("cpu", 0, "runs waiting or running", id="quota"),
    ],
)
def test_a_refusal_is_told_on_the_page_it_came_from(
    client: Client, settings: Any, device: str, quota: int, words: str
) -> None:
    settings.RUN_QUOTA_PER_USER = quota
    implementation = make_implementation(name="foldcache")
    client.force_login(make_user())
    answer = client.post(reverse("request-run", args=["foldcache"]), {"device": device}, follow=True)
    assert answer.redirect_chain == [(implementation.get_absolute_url(), 302)]
    assert words in answer.content.decode()
    assert not Run.objects.exists()


@pytest.mark.parametrize("name", ["request-run", "cancel-run"])
def test_only_a_form_may_start_or_end_a_run(client: Client, name: str) -> None:
    run = make_run(make_implementation(name="foldcache"), RunState.QUEUED)
    address = reverse(name, args=["foldcache" if name == "request-run" else run.pk])
    client.force_login(make_user())
    assert client.get(address).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_user())
    assert strict.post(address).status_code == 403


# ── watching ────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_waiting_run_tells_its_place_and_asks_again_each_second(client: Client) -> None:
    implementation = make_implementation()
    make_run(implementation, RunState.QUEUED)
    make_run(implementation, RunState.QUEUED, device_kind=DeviceKind.CPU)
    run = make_run(implementation, RunState.QUEUED)
    page = read(client, run.get_absolute_url())
    assert "1 run ahead of it on CUDA GPU" in page
    assert 'hx-trigger="every 1s"' in page
    assert f'hx-get="/runs/{run.pk}/panel?seen=' in page
    assert '<noscript><meta http-equiv="refresh"' in page


def test_the_panel_changes_only_when_something_did(client: Client) -> None:
    run = make_run(state=RunState.RUNNING, progress=0.4, phase="timing llama")
    address = re.search(r'hx-get="([^"]+)"', read(client, run.get_absolute_url()))
    assert address is not None
    assert client.get(address[1], headers=HTMX).status_code == 204

    Run.objects.filter(pk=run.pk).update(progress=0.5)
    more = client.get(address[1], headers=HTMX).content.decode()
    assert "50 %" in more
    assert "hx-swap-oob" not in more, "progress alone is not read out"

    Run.objects.filter(pk=run.pk).update(phase="checking")
    assert "Running: checking" in client.get(address[1], headers=HTMX).content.decode()


def test_the_last_panel_brings_the_figures_and_no_trigger(client: Client) -> None:
    implementation = make_implementation()
    run = make_run(implementation)
    make_measurement(run)
    panel = client.get(reverse("run-panel", args=[run.pk]), headers=HTMX).content.decode()
    assert "hx-trigger" not in panel
    assert "1.84 ms" in panel


def test_the_panel_without_script_leads_to_the_page(client: Client) -> None:
    run = make_run()
    assert client.get(reverse("run-panel", args=[run.pk])).headers["Location"] == run.get_absolute_url()


def test_a_log_is_escaped(client: Client) -> None:
    run = make_run(state=RunState.RUNNING, log_tail="<script>alert(1)</script>")
    assert "<script>alert" not in client.get(run.get_absolute_url()).content.decode()


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_finished_run_shows_figures_verdicts_environment_and_records(client: Client) -> None:
    implementation = make_implementation()
    records = [{"definition": "foldcache", "ratio": 2.21}, {"definition": "foldcache", "note": "±"}]
    run = make_run(
        implementation,
        environment={"driver": "570.12", "clocks": {"sm": 1980}, "flags": ["a", "b"], "empty": None},
        records=records,
        skipped=[{"workload": "decode-128k", "subject": "library", "reason": "needs 96 GiB"}],
    )
    make_measurement(run, cap_reached=True)
    make_measurement(run, measure="weights", unit="bytes", median=2 * 1024**3, low=None, high=None, band=None)
    make_verdict(implementation.paper.claims.get(), run, Outcome.CONFIRMED)
    page = read(client, run.get_absolute_url())
    for words in (
        "Confirmed",
        "nine tenths",
        "1.84 ms",
        "2.21×",
        "2.18–2.24×",
        "24",
        "±1.2 %",
        "2.00 GiB",
        "570.12",
        "Clocks sm",
        "a, b",
        "needs 96 GiB",
    ):
        assert words in page
    assert "every 1s" not in page
    assert "http-equiv" not in page

    answer = client.get(reverse("run-records", args=[run.pk]))
    lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert [json.loads(line) for line in lines] == records
    assert f'filename="speedproof-run-{run.pk}.jsonl"' in answer.headers["Content-Disposition"]


def test_a_cpu_run_says_that_it_decides_nothing(client: Client) -> None:
    implementation = make_implementation()
    run = make_run(implementation, device_kind=DeviceKind.CPU)
    make_verdict(implementation.paper.claims.get(), run, Outcome.NOT_COMPARABLE)
    page = read(client, run.get_absolute_url())
    assert "not verdicts on the paper’s claims" in page
    assert "interval-hollow" in page


@pytest.mark.parametrize("reason", sorted(FAILURES))
def test_a_failure_says_what_happened_and_what_to_do(client: Client, reason: str) -> None:
    run = make_run(state=RunState.FAILED, failure_reason=reason, failure_detail="the last words of the child")
    page = read(client, run.get_absolute_url())
    assert FAILURES[reason][0] in page
    assert FAILURES[reason][1] in page
    assert "the last words of the child" in page


def test_every_reason_of_the_harness_has_words() -> None:
    assert set(FAILURE_REASONS) <= set(FAILURES)


def test_a_result_of_older_code_is_marked(client: Client) -> None:
    assert "An earlier version" in read(client, make_run(code_hash="0" * 64).get_absolute_url())
    assert "An earlier version" not in read(client, make_run().get_absolute_url())


# ── ending ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("who", "offered"), [("requester", True), ("operator", True), ("somebody", False), ("visitor", False)]
)
def test_cancelling_is_offered_to_those_who_may(client: Client, who: str, offered: bool) -> None:
    requester = make_user()
    run = make_run(state=RunState.QUEUED, requester=requester)
    person = {"requester": requester, "operator": make_user(is_staff=True), "somebody": make_user()}.get(who)
    if person:
        client.force_login(person)
    assert ("Cancel this run" in read(client, run.get_absolute_url())) is offered
    answer = client.post(reverse("cancel-run", args=[run.pk]))
    assert answer.status_code == (403 if who == "somebody" else 302)
    run.refresh_from_db()
    assert (run.state == RunState.CANCELLED) is offered


def test_cancelling_what_has_ended_says_so(client: Client) -> None:
    user = make_user()
    run = make_run(requester=user)
    client.force_login(user)
    answer = client.post(reverse("cancel-run", args=[run.pk]), follow=True)
    assert "had ended already" in answer.content.decode()
    run.refresh_from_db()
    assert run.state == RunState.FINISHED


# ── the list ────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_runs_are_listed_newest_first_and_by_state(client: Client) -> None:
    implementation = make_implementation()
    waiting = make_run(implementation, RunState.QUEUED)
    failed = make_run(implementation, RunState.FAILED, failure_reason="out-of-memory")
    assert [run.pk for run in client.get("/runs/").context["page"]] == [failed.pk, waiting.pk]
    assert [run.pk for run in client.get("/runs/?state=queued").context["page"]] == [waiting.pk]
    assert "Out of memory" in read(client, "/runs/")
    assert "state=lost</code> (known: queued, running," in read(client, "/runs/?state=lost")


def test_an_empty_list_says_where_to_begin(client: Client) -> None:
    assert "Nothing was verified yet" in read(client, "/runs/")


def test_the_list_costs_the_same_for_many_runs(client: Client, django_assert_max_num_queries: Any) -> None:
    device = make_device()

    def cost() -> int:
        with django_assert_max_num_queries(12) as asked:
            client.get("/runs/")
        return len(asked)

    make_run(device=device, requester=make_user())
    few = cost()
    for _ in range(20):
        make_run(make_implementation(), device=device, requester=make_user())
    assert cost() == few


def test_a_run_costs_the_same_for_many_figures(client: Client, django_assert_max_num_queries: Any) -> None:
    run = make_run()
    make_measurement(run)
    with django_assert_max_num_queries(12) as few:
        client.get(run.get_absolute_url())
    for number in range(30):
        make_measurement(run, workload=f"w{number}")
    with django_assert_max_num_queries(12) as many:
        client.get(run.get_absolute_url())
    assert len(many) == len(few)
