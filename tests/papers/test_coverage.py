"""Coverage: what counts as runnable, checked and verified; and the same answer on the page, from the command and the API."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from papers.coverage import NEEDS_LABELS, WAVE_LABELS, Row, coverage_rows, systems
from papers.models import DeviceKind, Implementation, Outcome
from tests.factories import make_implementation, make_paper, make_run, make_technique, make_verdict

LLM_INT8 = "LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale"


@pytest.fixture
def llm_int8(db: None) -> Implementation:
    paper = make_paper(title=LLM_INT8)
    make_technique(paper, families=("quantization",))
    return make_implementation(paper, "llm-int8")


def row_of(title: str) -> Row:
    return next(row for row in coverage_rows() if row.title == title)


def ask(**options: Any) -> dict[str, Any]:
    out = StringIO()
    call_command("coverage", json=True, stdout=out, **options)
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


def test_the_list_has_every_system_once_with_known_words() -> None:
    rows = systems()
    assert len({row.key for row in rows}) == len(rows) > 600
    assert {row.needs for row in rows} <= set(NEEDS_LABELS)
    assert {row.wave for row in rows} <= set(WAVE_LABELS)
    assert all((row.wave == "") == (row.needs == "none") for row in rows)
    assert all(row.mechanism for row in rows if row.wave)


@pytest.mark.django_db
def test_without_implementations_nothing_is_runnable() -> None:
    assert {row.state for row in coverage_rows()} == {"missing", "nothing"}


def test_an_implementation_makes_its_paper_runnable(llm_int8: Implementation) -> None:
    row = row_of(LLM_INT8)
    assert (row.state, row.implementations, row.families) == ("runnable", ["llm-int8"], ["quantization"])


@pytest.mark.parametrize(
    ("runs", "state"),
    [
        pytest.param([{"device_kind": DeviceKind.CPU}], "checked", id="right-on-a-cpu"),
        pytest.param([{"device_kind": DeviceKind.CPU, "code_hash": "e" * 64}], "runnable", id="older-code"),
        pytest.param([{"device_kind": DeviceKind.CPU, "status": "INCORRECT_NUMERICAL"}], "failed", id="wrong-answer"),
        pytest.param([{"device_kind": DeviceKind.CPU, "status": "TIMEOUT"}], "runnable", id="no-answer"),
        pytest.param([{}], "verified", id="timed-on-a-gpu"),
        pytest.param([{"mode": "check"}], "checked", id="checked-on-a-gpu"),
        pytest.param([{"status": "REWARD_HACK"}], "runnable", id="times-not-trusted"),
        pytest.param([{}, {"device_kind": DeviceKind.CPU}], "verified", id="both"),
    ],
)
def test_a_run_of_the_code_that_is_here_decides_the_state(
    llm_int8: Implementation, runs: list[dict[str, Any]], state: str
) -> None:
    for fields in runs:
        make_run(llm_int8, **fields)
    assert row_of(LLM_INT8).state == state


def test_the_gpu_and_the_newest_verdicts_are_named(llm_int8: Implementation) -> None:
    claim = llm_int8.paper.claims.get()
    make_verdict(claim, make_run(llm_int8), outcome=Outcome.NO_GAIN)
    make_verdict(claim, make_run(llm_int8), outcome=Outcome.CONFIRMED)
    row = row_of(LLM_INT8)
    assert (row.verified_on, row.outcomes) == (["NVIDIA H200"], {"confirmed": 1})


def test_a_retired_implementation_does_not_count(llm_int8: Implementation) -> None:
    Implementation.objects.update(retired_at="2026-01-01T00:00Z")
    assert row_of(LLM_INT8).state == "missing"


@pytest.mark.django_db
def test_an_implementation_of_a_paper_that_is_not_listed_is_shown_too_and_what_can_be_run_comes_first() -> None:
    make_implementation(make_paper(title="Foldcache: Folded Pages"), "foldcache")
    row = coverage_rows()[0]
    assert (row.title, row.wave, row.state) == ("Foldcache: Folded Pages", "", "runnable")


def test_page_command_and_api_count_alike(llm_int8: Implementation, client: Client) -> None:
    make_run(llm_int8)
    told = ask(wave="1-inference")
    assert told["all"] == told["waves"][0] | {"name": "", "title": "All"}
    assert (told["all"]["systems"], told["all"]["runnable"], told["all"]["verified"]) == (58, 1, 1)
    assert client.get("/api/v1/coverage?wave=1-inference").json() == told
    page = client.get("/coverage/?wave=1-inference&state=verified")
    assert page.context["page"].paginator.count == 1
    assert page.context["whole"].verified == 1


@pytest.mark.parametrize(
    ("options", "titles"),
    [
        pytest.param({"state": "runnable"}, {LLM_INT8}, id="runnable"),
        pytest.param({"family": "quantization"}, {LLM_INT8}, id="family"),
        pytest.param({"words": "int8 outlier"}, {LLM_INT8}, id="words-of-title-and-mechanism"),
        pytest.param({"state": "verified"}, set(), id="none"),
    ],
)
def test_conditions_hold_together(llm_int8: Implementation, options: dict[str, str], titles: set[str]) -> None:
    assert {row["title"] for row in ask(**options)["systems"]} == titles


def test_nonsense_is_told_and_left_out_by_the_page(llm_int8: Implementation, client: Client) -> None:
    page = client.get("/coverage/?wave=7&state=runnable&page=99")
    assert page.status_code == 200
    assert "&#x27;7&#x27; is not a wave; use one of: none, 1-inference" in page.content.decode()
    assert page.context["page"].paginator.count == 1


@pytest.mark.django_db
def test_nonsense_is_refused_by_api_and_command_with_the_field(client: Client) -> None:
    answer = client.get("/api/v1/coverage?needs=magic")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "needs"
    assert "use one of: kernel" in answer.json()["errors"][0]["message"]
    with pytest.raises(CommandError, match="--family: 'magic' is not a family; use one of: quantization"):
        ask(family="magic")


@pytest.mark.django_db
def test_the_number_of_queries_does_not_grow(client: Client, django_assert_max_num_queries: Any) -> None:
    for number in range(12):
        make_run(make_implementation(name=f"cache-{number}"))
    with django_assert_max_num_queries(8):
        client.get("/coverage/")


@pytest.mark.django_db
def test_a_terminal_shows_counts_and_what_was_asked_for(llm_int8: Implementation) -> None:
    out = StringIO()
    call_command("coverage", state="runnable", stdout=out)
    assert "Wave 1: inference" in out.getvalue()
    assert "llm-int8" in out.getvalue()
