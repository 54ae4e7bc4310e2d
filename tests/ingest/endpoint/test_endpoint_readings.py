"""What an answer does to papers, records and the review queue, and who may ask how often."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from ingest import tasks
from ingest.endpoint import run, services
from ingest.endpoint.configured import endpoint_config
from ingest.endpoint.run import MOST_FAULTS_IN_A_ROW, RunReport, read_papers
from ingest.models import EndpointDay, EndpointReading
from ingest.records import BY_WORDS
from ingest.reextraction import stale_papers, summarise
from ingest.services import extract_paper
from papers.models import Paper, ReviewItem, Technique
from papers.services import add_claim, edit_technique, review_claim
from tests.factories import make_paper, make_user
from tests.ingest.endpoint.fake_endpoint import (
    ABSTRACT,
    KEY,
    MEMORY,
    SPEEDUP,
    TITLE,
    FakeEndpoint,
    Reply,
    claim,
    completion,
    record,
)

pytestmark = pytest.mark.django_db
ENERGY = claim("uses 40% less memory", 40, "percent", metric="energy")


@pytest.fixture
def paper(endpoint_on: FakeEndpoint) -> Paper:
    """A paper that the rules have read."""
    made = make_paper(title=TITLE, abstract=ABSTRACT)
    extract_paper(made)
    return made


@pytest.fixture
def sure(monkeypatch: pytest.MonkeyPatch) -> float:
    """A confidence that the rules alone never have."""
    monkeypatch.setattr(services, "AGREED_CONFIDENCE", 0.999)
    return 0.999


@pytest.fixture
def rings(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    sent: list[Any] = []
    monkeypatch.setattr(services.current_app, "send_task", lambda name, args, **options: sent.append((name, *args)))
    return sent


def read(*papers: Paper, **options: Any) -> RunReport:
    return read_papers(papers, endpoint_config(), **options)


def questions(paper: Paper) -> list[ReviewItem]:
    return list(ReviewItem.objects.filter(paper=paper, reason="endpoint-disagrees").open())


def command(*args: str, **options: Any) -> dict[str, Any]:
    out = StringIO()
    call_command("extract_with_endpoint", *args, json=True, stdout=out, stderr=StringIO(), **options)
    return json.loads(out.getvalue())


# ── what an answer does ─────────────────────────────────────────────────────────────────────────────────────────────
def test_where_both_agree_confidence_is_high_and_nobody_is_asked(paper: Paper, sure: float) -> None:
    report = read(paper)
    assert (report.read, report.agreed_claims, report.differing, report.opened) == (1, 2, 0, 0)
    assert {c.confidence for c in paper.claims.all()} == {sure}
    reading = EndpointReading.objects.get(paper=paper)
    assert (reading.outcome, reading.model, reading.extractor_version) == ("answered", "small-model", BY_WORDS)
    assert (reading.requests, reading.prompt_tokens, reading.completion_tokens) == (1, 900, 120)


def test_confidence_stays_high_when_the_rules_read_the_paper_again(paper: Paper, sure: float) -> None:
    read(paper)
    Technique.objects.update(extractor_version="0")
    extract_paper(Paper.objects.get(pk=paper.pk))
    assert {c.confidence for c in paper.claims.all()} == {sure}


def test_a_preview_of_re_extraction_knows_of_the_agreement(paper: Paper, sure: float) -> None:
    read(paper)
    Technique.objects.update(extractor_version="0")
    assert summarise(stale_papers()).changed == 0


def test_where_they_differ_the_rules_value_stays_and_a_person_is_asked_with_both(
    paper: Paper, endpoint_on: FakeEndpoint
) -> None:
    endpoint_on.answer(record(families=["efficient-attention"]))
    read(paper)
    assert Paper.objects.get(pk=paper.pk).technique.families == ["kv-cache"]
    (item,) = questions(paper)
    assert item.field == "families"
    assert item.details["rules"]["value"] == ["kv-cache"]
    assert "cache" in item.details["rules"]["words"]
    assert item.details["endpoint"] == {"value": ["efficient-attention"], "words": ["folds the KV cache"]}


def test_a_claim_read_otherwise_is_asked_about_with_both_quotes(paper: Paper, endpoint_on: FakeEndpoint) -> None:
    endpoint_on.answer(record(claims=[{**SPEEDUP, "phase": "training"}, MEMORY]))
    read(paper)
    (item,) = questions(paper)
    assert item.claim == paper.claims.get(value=2.3)
    assert item.details["differs"] == ["phase"]
    assert item.details["rules"]["quote"] != item.details["endpoint"]["quote"]
    assert all(item.details[side]["quote"] in ABSTRACT for side in ("rules", "endpoint"))
    assert paper.claims.get(value=2.3).phase == "inference"


def test_a_claim_that_only_the_endpoint_found_waits_as_a_proposal(paper: Paper, endpoint_on: FakeEndpoint) -> None:
    endpoint_on.answer(record(claims=[SPEEDUP, MEMORY, ENERGY]))
    report = read(paper)
    assert (report.proposals, paper.claims.count()) == (1, 2)
    (item,) = questions(paper)
    assert item.claim is None
    assert item.details["proposal"]["metric"] == "energy"
    assert item.details["proposal"]["quote"] in ABSTRACT


def test_a_proposal_that_an_editor_takes_is_a_claim_and_no_question_any_more(endpoint_on: FakeEndpoint) -> None:
    paper = make_paper(title=TITLE, abstract=f"{ABSTRACT} It reaches 91% accuracy on 7 tasks.")
    extract_paper(paper)
    endpoint_on.answer(
        record(claims=[SPEEDUP, MEMORY, claim("91% accuracy", 91, "percent", metric="other_efficiency")])
    )
    read(paper)
    added, change = add_claim(paper, questions(paper)[0].details["proposal"], make_user())
    assert (change, added.value, added.metric, added.review) == ("new", 91, "other_efficiency", "accepted")
    read(paper, again=True)
    assert questions(paper) == []
    assert extract_paper(Paper.objects.get(pk=paper.pk)) is False
    assert paper.claims.filter(withdrawn_at=None).count() == 3


def test_a_claim_that_the_endpoint_does_not_see_is_asked_about(paper: Paper, endpoint_on: FakeEndpoint) -> None:
    endpoint_on.answer(record(claims=[MEMORY]))
    read(paper)
    (item,) = questions(paper)
    assert (item.claim, item.details["endpoint"]) == (paper.claims.get(value=2.3), None)


def test_what_a_person_decided_is_not_asked_again(paper: Paper, endpoint_on: FakeEndpoint) -> None:
    someone = make_user()
    edit_technique(paper, {"families": ["serving-systems"]}, someone)
    review_claim(paper.claims.get(value=2.3), "reject", someone)
    endpoint_on.answer(record(families=["efficient-attention"], claims=[{**SPEEDUP, "phase": "training"}, MEMORY]))
    read(paper)
    assert questions(paper) == []


def test_the_same_doubt_is_asked_once_and_a_settled_one_is_closed(paper: Paper, endpoint_on: FakeEndpoint) -> None:
    endpoint_on.answer(record(families=["efficient-attention"]))
    assert read(paper).opened == 1
    assert read(paper, again=True).opened == 0
    endpoint_on.answer(record())
    read(paper, again=True)
    assert questions(paper) == []
    endpoint_on.answer(record(families=["efficient-attention"]))
    assert read(paper, again=True).opened == 1


def test_parts_that_the_text_does_not_bear_out_are_kept_with_their_reasons_alone(
    paper: Paper, endpoint_on: FakeEndpoint
) -> None:
    endpoint_on.answer(record(claims=[SPEEDUP, MEMORY, claim("100x faster", 100)], name="Turbofold"))
    report = read(paper)
    assert (report.refused, report.opened, report.agreed_claims) == (2, 0, 2)
    refused = EndpointReading.objects.get().answer["refused"]
    assert {r["where"] for r in refused} == {"name", "claims[2].quote"}
    assert all(r["reason"] for r in refused)


def test_an_answer_about_a_text_that_changed_meanwhile_is_of_no_use(paper: Paper, endpoint_on: FakeEndpoint) -> None:
    asked = services.text_hash(paper.title, paper.abstract)
    services.take(paper, endpoint_config())
    Paper.objects.filter(pk=paper.pk).update(abstract="Now it says something else.")
    with pytest.raises(services.TextChanged):
        services.store_answer(paper.pk, asked, endpoint_config(), record(), services.Usage(1))
    reading = EndpointReading.objects.get()
    assert (reading.outcome, reading.answer, reading.claimed_until) == ("", None, None)


# ── who is asked about ──────────────────────────────────────────────────────────────────────────────────────────────
def test_a_paper_that_was_read_is_not_asked_about_again(paper: Paper, endpoint_on: FakeEndpoint) -> None:
    assert command("--missing")["read"] == 1
    before = list(EndpointReading.objects.values("answer", "requests"))
    assert command("--missing")["read"] == 0
    assert command("--all")["already_read"] == 1
    assert command(paper.slug)["already_read"] == 1
    assert list(EndpointReading.objects.values("answer", "requests")) == before
    assert len(endpoint_on.asked) == 1
    assert command("--all", "--again")["read"] == 1


@pytest.mark.parametrize("change", ["model", "abstract"])
def test_another_model_or_another_text_is_read_anew(
    paper: Paper, endpoint_on: FakeEndpoint, settings: Any, change: str
) -> None:
    command("--missing")
    if change == "model":
        settings.ENDPOINT_MODEL = "large-model"
    else:
        again = Paper.objects.get(pk=paper.pk)
        again.abstract += " It is simple."
        again.save()
    assert command("--missing")["read"] == 1


def test_a_paper_whose_votes_rose_is_not_asked_about_again(paper: Paper, endpoint_on: FakeEndpoint) -> None:
    command("--missing")
    Paper.objects.get(pk=paper.pk).save()  # touches updated_at
    assert command("--missing")["already_read"] == 1
    assert services.unread(Paper.objects.all(), "small-model", services.PROMPT_VERSION).count() == 0
    assert len(endpoint_on.asked) == 1


def test_withdrawn_papers_and_papers_without_an_abstract_are_left_alone(endpoint_on: FakeEndpoint) -> None:
    make_paper(abstract="")
    make_paper(withdrawn_at=timezone.now())
    assert command("--all")["read"] == 0
    assert endpoint_on.asked == []


def test_a_failed_paper_is_tried_three_times_and_then_only_by_name(paper: Paper, endpoint_on: FakeEndpoint) -> None:
    endpoint_on.answer("not a record")
    for _ in range(3):
        with pytest.raises(CommandError, match="no paper could be read"):
            command("--missing")
    assert command("--missing")["failed"] == []
    assert len(endpoint_on.asked) == 3
    reading = EndpointReading.objects.get()
    assert (reading.outcome, reading.failures) == ("malformed", 3)
    assert "JSON" in reading.message
    endpoint_on.answer(record())
    assert command(paper.slug)["read"] == 1


def test_a_later_failure_leaves_an_earlier_answer_in_force(paper: Paper, endpoint_on: FakeEndpoint) -> None:
    read(paper)
    endpoint_on.answer("not a record")
    read(paper, again=True)
    reading = EndpointReading.objects.get()
    assert (reading.outcome, reading.answer["record"]["name"]) == ("malformed", "Foldcache")


def test_a_paper_that_another_process_asks_about_is_passed_over_until_that_ends(
    paper: Paper, endpoint_on: FakeEndpoint
) -> None:
    assert services.take(paper, endpoint_config())
    assert command("--missing")["taken_elsewhere"] == 1
    assert EndpointDay.objects.get().requests == 0
    EndpointReading.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))  # its holder died
    assert command("--missing")["read"] == 1


def test_several_papers_are_asked_about_at_once(endpoint_on: FakeEndpoint, settings: Any) -> None:
    import threading

    settings.ENDPOINT_CONCURRENCY = 3
    met = threading.Barrier(3, timeout=10)
    endpoint_on.replies = [Reply(completion(record()), before=met.wait)]
    for _ in range(6):
        make_paper()
    assert command("--missing")["read"] == 6


# ── limits ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_run_stops_at_the_limit_of_the_day_and_goes_on_the_next(endpoint_on: FakeEndpoint, settings: Any) -> None:
    settings.ENDPOINT_DAILY_LIMIT = 2
    for _ in range(3):
        make_paper()
    with pytest.raises(CommandError, match="limit of 2 requests a day"):
        command("--missing")
    assert len(endpoint_on.asked) == EndpointDay.objects.get().requests == 2
    with pytest.raises(CommandError, match="ENDPOINT_DAILY_LIMIT"):
        command("--missing")
    assert len(endpoint_on.asked) == 2
    EndpointDay.objects.update(day=timezone.now().date() - timedelta(days=1))
    assert command("--missing")["read"] == 1
    assert EndpointReading.objects.filter(outcome="answered").count() == 3


def test_retries_count_towards_the_limit(paper: Paper, endpoint_on: FakeEndpoint, settings: Any) -> None:
    settings.ENDPOINT_DAILY_LIMIT = 3
    endpoint_on.replies = [Reply({}, 500)]
    report = read(paper)
    assert (report.requests, EndpointDay.objects.get().requests, len(endpoint_on.asked)) == (3, 3, 3)
    assert services.requests_left(3) == 0


def test_what_a_reading_did_not_use_is_given_back(paper: Paper) -> None:
    read(paper)
    day = EndpointDay.objects.get()
    assert (day.requests, day.prompt_tokens, day.completion_tokens) == (1, 900, 120)


def test_a_wrong_key_stops_the_run_and_is_not_the_papers_fault(endpoint_on: FakeEndpoint) -> None:
    papers = [make_paper() for _ in range(4)]
    endpoint_on.replies = [Reply({"error": {"message": f"no such key {KEY}"}}, 401)]
    report = read(*papers)
    assert "ENDPOINT_API_KEY" in report.stopped
    assert len(endpoint_on.asked) <= 2  # as many as are asked about at once
    assert set(EndpointReading.objects.values_list("failures", flat=True)) == {0}


def test_a_server_that_is_down_stops_the_run_after_some_papers(endpoint_on: FakeEndpoint, settings: Any) -> None:
    settings.ENDPOINT_CONCURRENCY = 1
    endpoint_on.replies = [Reply({}, 503)]
    report = read(*[make_paper() for _ in range(MOST_FAULTS_IN_A_ROW + 3)])
    assert len(report.failed) == MOST_FAULTS_IN_A_ROW
    assert "in a row" in report.stopped


def test_an_interrupt_stores_what_is_on_its_way_and_the_next_run_goes_on(
    endpoint_on: FakeEndpoint, settings: Any
) -> None:
    papers = [make_paper() for _ in range(3)]
    told: list[int] = []

    def drawn() -> Iterator[Paper]:
        yield papers[0]
        raise KeyboardInterrupt

    settings.ENDPOINT_CONCURRENCY = 2
    report = read_papers(drawn(), endpoint_config(), on_interrupt=told.append)
    assert (report.interrupted, report.read, told) == (True, 1, [1])
    assert EndpointReading.objects.exclude(claimed_until=None).count() == 0
    assert command("--missing")["read"] == 2
    assert len(endpoint_on.asked) == 3


class InterruptedPool(ThreadPoolExecutor):
    """Ctrl-C arrives while a request is handed over, before the run has noted whose it is."""

    def submit(self, function: Any, /, *arguments: Any, **named: Any) -> Future[Any]:
        super().submit(function, *arguments, **named)
        raise KeyboardInterrupt


def test_an_interrupt_before_a_paper_is_known_to_be_asked_about_asks_nothing(
    paper: Paper, endpoint_on: FakeEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "ThreadPoolExecutor", InterruptedPool)
    report = read(paper)
    assert (report.interrupted, report.read) == (True, 0)
    assert endpoint_on.asked == []
    assert EndpointReading.objects.exclude(claimed_until=None).count() == 0


# ── the command ─────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_dry_run_asks_and_writes_nothing(paper: Paper, endpoint_on: FakeEndpoint) -> None:
    told = command("--all", "--dry-run")
    assert told == {"would_ask": [paper.slug], "already_read": 0, "model": "small-model", "requests_left_today": 1000}
    assert (endpoint_on.asked, EndpointReading.objects.count(), EndpointDay.objects.count()) == ([], 0, 0)


def test_a_limit_counts_papers_that_are_asked_about(endpoint_on: FakeEndpoint) -> None:
    for _ in range(4):
        make_paper()
    assert command("--all", "--limit", "2")["read"] == 2
    assert command("--all", "--limit", "1")["read"] == 1
    assert EndpointReading.objects.filter(outcome="answered").count() == 3


def test_the_summary_says_what_was_done_and_spent(paper: Paper, endpoint_on: FakeEndpoint) -> None:
    out = StringIO()
    call_command("extract_with_endpoint", paper.slug, stdout=out)
    assert "1 papers read" in out.getvalue()
    assert "1 requests, 900 tokens read, 120 written" in out.getvalue()


@pytest.mark.parametrize(
    ("args", "told"),
    [
        pytest.param([], "one of the three", id="nothing-named"),
        pytest.param(["--all", "--missing"], "one of the three", id="two-named"),
        pytest.param(["no-such-paper"], "no paper has this slug", id="unknown-paper"),
        pytest.param(["--all", "--limit", "0"], "--limit 0", id="limit-of-none"),
    ],
)
def test_a_wrong_call_is_told_and_asks_nothing(endpoint_on: FakeEndpoint, args: list[str], told: str) -> None:
    with pytest.raises(CommandError, match=told):
        command(*args)
    assert endpoint_on.asked == []


def test_without_an_endpoint_the_command_says_what_to_set(settings: Any) -> None:
    settings.ENDPOINT_URL = ""
    with pytest.raises(CommandError, match="ENDPOINT_URL and ENDPOINT_MODEL"):
        command("--all")


def test_a_wrong_setting_is_named(endpoint_on: FakeEndpoint, settings: Any) -> None:
    settings.ENDPOINT_MODEL = ""
    with pytest.raises(CommandError, match="ENDPOINT_MODEL is empty"):
        command("--all")


# ── the doorbell ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_an_extracted_paper_rings_after_commit(
    endpoint_on: FakeEndpoint, rings: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    made = make_paper(title=TITLE, abstract=ABSTRACT)
    with django_capture_on_commit_callbacks(execute=True):
        extract_paper(made)
        assert rings == []
    assert rings == [("ingest.read_with_endpoint", made.pk)]
    tasks.read_with_endpoint(made.pk)
    tasks.read_with_endpoint(made.pk)  # may ring twice
    assert len(endpoint_on.asked) == 1
    assert made.endpoint_reading.outcome == "answered"


def test_with_the_endpoint_off_nothing_rings(
    settings: Any, rings: list[Any], django_capture_on_commit_callbacks: Any
) -> None:
    settings.ENDPOINT_URL = ""
    made = make_paper()
    with django_capture_on_commit_callbacks(execute=True):
        extract_paper(made)
    tasks.read_with_endpoint(made.pk)
    tasks.ring_for_unread()
    assert (rings, EndpointReading.objects.count()) == ([], 0)


def test_a_broker_that_is_away_does_not_stop_ingestion(
    endpoint_on: FakeEndpoint, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def away(*args: Any, **options: Any) -> None:
        raise OSError("no broker")

    monkeypatch.setattr(services.current_app, "send_task", away)
    with django_capture_on_commit_callbacks(execute=True):
        assert extract_paper(make_paper())


def test_papers_whose_message_was_lost_are_rung_for_again(
    endpoint_on: FakeEndpoint, rings: list[Any], settings: Any
) -> None:
    made = [make_paper() for _ in range(3)]
    assert services.ring_for_unread() == 3
    read(made[0])
    rings.clear()
    assert services.ring_for_unread() == 2
    assert [pk for _, pk in rings] == [made[1].pk, made[2].pk]
    settings.ENDPOINT_DAILY_LIMIT = 1
    assert services.ring_for_unread() == 0


def test_while_the_endpoint_is_at_fault_one_paper_alone_tries_it(endpoint_on: FakeEndpoint, rings: list[Any]) -> None:
    made = [make_paper() for _ in range(3)]
    endpoint_on.replies = [Reply({}, 401)]
    read(made[0])
    assert services.ring_for_unread() == 1
    EndpointReading.objects.update(read_at=timezone.now() - timedelta(hours=1))
    assert services.ring_for_unread() == 3


# ── the key ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_key_is_in_no_row(endpoint_on: FakeEndpoint) -> None:
    papers = [make_paper() for _ in range(3)]
    leaking = completion(record(mechanism=f"The key is {KEY}.", name=KEY))
    error = {"error": {"message": f"key {KEY} is wrong"}}
    endpoint_on.replies = [Reply(leaking), Reply(error, 400), Reply(error, 401)]
    report = read(*papers)
    assert len(endpoint_on.asked) == 3
    for model in (EndpointReading, EndpointDay, ReviewItem, Paper):
        assert KEY not in json.dumps(list(model.objects.values()), default=str)
    assert KEY not in json.dumps(report.to_json())
