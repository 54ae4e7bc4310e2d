"""What a script gets: the same filters as the pages, and errors that name the field."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from api import reference
from papers.models import Implementation, Paper, Run, Verdict
from papers.services import SeenPaper, record_paper, store_record

pytestmark = pytest.mark.django_db
ABSTRACT = "The cache is 3x smaller than a plain one."


def store(title: str, **record: Any) -> Paper:
    paper, _ = record_paper(SeenPaper(title=title, abstract=ABSTRACT))
    claim = {
        "metric": "memory", "phase": "inference", "form": "factor", "direction": "better", "value": 3.0, "unit": "x",
        "quote": "3x smaller", "start": 13, "end": 23, "rule": "times",
    }  # fmt: skip
    plain = {"kind": "technique", "name": title, "families": ["kv-cache"], "modality": ["language"], "claims": [claim]}
    store_record(paper, plain | record, "1")
    return paper


def get(path: str, **query: Any) -> Any:
    return APIClient().get(f"/api/v1/{path}", query)


def test_papers_are_filtered_as_on_the_pages() -> None:
    store("TwoCache")
    store("OtherThing", families=["peft"], claims=[])
    found = get("papers", family="kv-cache").json()
    assert [(p["title"], p["claim_count"]) for p in found["results"]] == [("TwoCache", 1)]
    assert "abstract" not in found["results"][0], "lists stay small"


def test_a_paper_without_a_technique_has_blanks_and_not_nulls() -> None:
    record_paper(SeenPaper(title="Only a title"))
    row = get("papers").json()["results"][0]
    assert (row["name"], row["kind"], row["families"]) == ("", "", [])


def test_a_papers_page_holds_its_claims_with_their_places() -> None:
    paper = store("TwoCache")
    body = get(f"papers/{paper.slug}").json()
    claim = body["claims"][0]
    assert body["abstract"][claim["start"] : claim["end"]] == claim["quote"] == "3x smaller"
    assert claim["figure"] == "3×"


def test_claims_techniques_and_verdicts_are_filtered() -> None:
    paper = store("TwoCache")
    store("OtherThing", families=["peft"], claims=[])
    implementation = Implementation.objects.create(name="two", paper=paper, card={}, card_hash="c", code_hash="d")
    run = Run.objects.create(implementation=implementation, device_kind="cpu")
    Verdict.objects.create(claim=paper.claims.get(), run=run, outcome="not-comparable", reason="No GPU.")
    assert get("claims", metric="memory", judged="true").json()["count"] == 1
    assert get("claims", metric="speedup").json()["count"] == 0
    assert [t["title"] for t in get("techniques", family="peft").json()["results"]] == ["OtherThing"]
    assert get("verdicts", outcome="not-comparable", paper=paper.slug).json()["count"] == 1
    assert get("implementations", family="kv-cache").json()["count"] == 1
    assert get("runs", implementation="two", state="queued").json()["count"] == 1


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        pytest.param("papers", {"year": "soon"}, "year", id="paper-year"),
        pytest.param("claims", {"metric": "beauty"}, "metric", id="claim-metric"),
        pytest.param("runs", {"state": "asleep"}, "state", id="run-state"),
        pytest.param("claims", {"ordering": "password"}, "ordering", id="ordering"),
        pytest.param("search", {}, "q", id="search-without-words"),
        pytest.param("search", {"q": "cache", "limit": "-1"}, "limit", id="search-limit"),
    ],
)
def test_a_bad_value_is_named(path: str, query: dict[str, str], field: str) -> None:
    answer = get(path, **query)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert [e["field"] for e in answer.json()["errors"]] == [field]


def test_what_is_not_there_is_a_problem_too() -> None:
    answer = get("papers/nothing-of-that-name")
    assert (answer.status_code, answer.json()["status"]) == (404, 404)


def test_a_run_of_an_unknown_implementation_names_the_field(admin_user: User) -> None:
    client = APIClient()
    client.force_authenticate(admin_user)
    answer = client.post("/api/v1/runs", {"implementation": "nope"}, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "implementation"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({}, "need", id="no-need"),
        pytest.param({"need": "faster decoding", "stage": "lunch"}, "stage", id="stage"),
        pytest.param({"need": "faster decoding", "gpus": 0}, "gpus", id="gpus"),
        pytest.param({"need": 0}, "need", id="need-is-a-number"),
        pytest.param({"need": "faster decoding", "max_error": False}, "max_error", id="error-is-a-truth"),
        pytest.param({"need": "faster decoding", "gpu": "RTX 99999"}, "gpu", id="gpu"),
    ],
)
def test_a_bad_need_is_named(body: dict[str, Any], field: str) -> None:
    answer = APIClient().post("/api/v1/recommendations", body, format="json")
    assert answer.status_code == 400
    assert field in str(answer.json()["errors"])


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[1]", b'"x"'], ids=["cut", "binary", "list", "text"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    answer = APIClient().post("/api/v1/recommendations", body, content_type="application/json")
    assert answer.status_code == 400


def test_the_lists_cost_the_same_for_many_rows(django_assert_max_num_queries: Any) -> None:
    for number in range(30):
        store(f"Paper {number}")
    for path in ("papers", "techniques", "claims"):
        with django_assert_max_num_queries(6):
            assert len(get(path).json()["results"]) == 25


def test_the_documentation_is_served_from_here(client: Any) -> None:
    page = client.get("/api/v1/docs?tool=swagger")
    assert page.status_code == 200
    assert b"//cdn" not in page.content
    assert get("schema").status_code == 200


def test_the_documentation_tells_every_operation_of_the_schema(client: Any) -> None:
    told = [operation for section in reference.sections() for operation in section.operations]
    schema = client.get("/api/v1/schema?format=json").json()
    there = {(m.upper(), path) for path, methods in schema["paths"].items() for m in methods if m in reference.METHODS}
    assert {(one.method, one.path) for one in told} == there
    page = client.get("/api/v1/docs").content.decode()
    assert all(f"<code>{one.path}</code>" in page for one in told)
    assert "<script>" not in page


def test_a_section_of_the_documentation_tells_what_is_sent_and_answered(client: Any) -> None:
    page = client.get("/api/v1/docs?section=runs").content.decode()
    assert 'id="runs_create"' in page
    assert "needs a token" in page
    assert "<dt><code>implementation</code>" in page
    assert "cpu, cuda" in page
    assert "<code>409</code>" in page
    assert "/api/v1/papers/{" not in page
    odd = client.get("/api/v1/docs?section=<b>&tool=hammer").content.decode()
    assert "known: swagger" in odd
    assert "known: agent, changes" in odd
