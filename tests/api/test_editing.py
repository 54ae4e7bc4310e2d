"""Changing records over the API: for editors with the scope, and only what the services allow."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from api.models import ApiToken
from papers.models import AuditEntry, Claim, Paper, ReviewItem
from papers.services import SeenPaper, record_paper, store_record
from tests.papers.sample import a_claim, a_record, the_paper

pytestmark = pytest.mark.django_db


def client_of(*scopes: str, is_staff: bool = True) -> APIClient:
    owner = User.objects.create_user(f"user-{User.objects.count()}", is_staff=is_staff)
    _, token = ApiToken.objects.issue(owner, "test", list(scopes))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


@pytest.fixture
def editor(db: None) -> APIClient:
    return client_of("edit")


@pytest.fixture
def paper(db: None) -> Paper:
    paper = the_paper()
    store_record(paper, a_record(claims=[a_claim(confidence=0.2)]), "1")
    return paper


def addresses(paper: Paper) -> dict[str, tuple[str, str, dict[str, Any]]]:
    claim, item = paper.claims.get(), ReviewItem.objects.get()
    return {
        "paper": ("patch", f"/api/v1/papers/{paper.slug}", {"year": 2020}),
        "technique": ("patch", f"/api/v1/techniques/{paper.slug}", {"kind": "system"}),
        "claim": ("patch", f"/api/v1/claims/{claim.pk}", {"decision": "accept"}),
        "new-claim": ("post", "/api/v1/claims", {"paper": paper.slug, "metric": "memory", "form": "factor", "value": 2.5,
                                                 "unit": "x", "quote": "2.5x less memory"}),
        "item": ("post", f"/api/v1/review-items/{item.pk}/decision", {"decision": "reject"}),
    }  # fmt: skip


WHAT = ["paper", "technique", "claim", "new-claim", "item"]


@pytest.mark.parametrize("what", WHAT)
@pytest.mark.parametrize(
    ("client", "status"),
    [("nobody", 401), ("reader-with-scope", 403), ("editor-without-scope", 403), ("editor-with-scope", 200)],
)
def test_who_may_change_records(paper: Paper, what: str, client: str, status: int) -> None:
    clients = {
        "nobody": APIClient,
        "reader-with-scope": lambda: client_of("edit", is_staff=False),
        "editor-without-scope": lambda: client_of("run", "read"),
        "editor-with-scope": lambda: client_of("edit"),
    }
    method, address, body = addresses(paper)[what]
    answer = getattr(clients[client](), method)(address, body, format="json")
    assert answer.status_code == (201 if (what, status) == ("new-claim", 200) else status)
    assert AuditEntry.objects.exists() is (status == 200)


@pytest.mark.parametrize(
    ("what", "body", "field"),
    [
        pytest.param("paper", {"year": "soon"}, "year", id="paper-year"),
        pytest.param("paper", {"votes": 9}, "votes", id="paper-unknown"),
        pytest.param("paper", {"year": 2020, "note": 3}, "note", id="note"),
        pytest.param("technique", {"families": ["speed"]}, "families", id="technique-family"),
        pytest.param("technique", {}, "fields", id="technique-nothing"),
        pytest.param("claim", {"value": None}, "value", id="claim-value"),
        pytest.param("claim", {"decision": "accept", "value": 3}, "decision", id="claim-accept-with-fields"),
        pytest.param("claim", {"decision": "perhaps"}, "decision", id="claim-decision"),
        pytest.param("new-claim", {"paper": "nowhere"}, "paper", id="new-claim-paper"),
        pytest.param("new-claim", {"quote": "not there"}, "quote", id="new-claim-quote"),
        pytest.param("item", {"decision": "merge"}, "decision", id="item-decision"),
        pytest.param("item", {"decision": "correct"}, "fields", id="item-nothing"),
        pytest.param("item", {"decision": "correct", "fields": [1]}, "fields", id="item-list"),
        pytest.param("item", {"verdict": "reject"}, "verdict", id="item-unknown"),
    ],
)
def test_bad_input_names_its_field_and_changes_nothing(
    editor: APIClient, paper: Paper, what: str, body: dict[str, Any], field: str
) -> None:
    method, address, good = addresses(paper)[what]
    answer = getattr(editor, method)(address, good | body if what == "new-claim" else body, format="json")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field
    assert not AuditEntry.objects.exists()
    assert paper.claims.get().review == "unreviewed"


@pytest.mark.parametrize("body", [[], "x", None], ids=["list", "text", "null"])
@pytest.mark.parametrize("what", WHAT)
def test_a_body_that_is_no_object_is_refused(editor: APIClient, paper: Paper, what: str, body: Any) -> None:
    method, address, _ = addresses(paper)[what]
    assert getattr(editor, method)(address, body, format="json").status_code == 400


def test_a_correction_shows_in_the_answer_and_survives_extraction(editor: APIClient, paper: Paper) -> None:
    claim = paper.claims.get()
    body = {"value": 2.9, "quote": "runs 3x faster", "note": "misread"}
    answer = editor.patch(f"/api/v1/claims/{claim.pk}", body, format="json").json()
    assert (answer["value"], answer["review"], answer["ratio"]) == (2.9, "corrected", 2.9)
    assert answer["corrected_fields"] == ["quote", "value"]
    store_record(paper, a_record(), "2")
    assert [c.value for c in Claim.objects.visible()] == [2.9]


def test_a_missed_claim_is_made_once(editor: APIClient, paper: Paper) -> None:
    _, address, body = addresses(paper)["new-claim"]
    first, second = (editor.post(address, body, format="json") for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]


def test_items_are_listed_filtered_and_answered_once(editor: APIClient, paper: Paper) -> None:
    found = APIClient().get("/api/v1/review-items?state=open&reason=low-confidence").json()["results"]
    assert [(i["paper"], i["claim"]) for i in found] == [(paper.slug, paper.claims.get().pk)]
    address = found[0]["url"] + "/decision"
    first = editor.post(address, {"decision": "reject", "note": "set-up"}, format="json")
    assert (first.status_code, first.json()["state"], first.json()["decision"]) == (200, "done", "reject")
    assert editor.post(address, {"decision": "reject"}, format="json").status_code == 200
    other = editor.post(address, {"decision": "accept"}, format="json")
    assert (other.status_code, "made already" in other.json()["detail"]) == (409, True)
    assert APIClient().get("/api/v1/review-items?state=open").json()["results"] == []
    assert APIClient().get("/api/v1/review-items?reason=nonsense").status_code == 400


def test_twins_are_merged_by_naming_the_one_that_stays(editor: APIClient, paper: Paper) -> None:
    other, _ = record_paper(SeenPaper(title="TwoCache: half the cache"))
    item = ReviewItem.objects.get(reason="twin")
    address = f"/api/v1/review-items/{item.pk}/decision"
    wrong = editor.post(address, {"decision": "merge", "keep": "nowhere"}, format="json")
    assert wrong.json()["errors"][0]["field"] == "keep"
    assert editor.post(address, {"decision": "merge", "keep": paper.slug}, format="json").status_code == 200
    merged = APIClient().get(f"/api/v1/papers/{other.slug}").json()
    assert merged["merged_into"] == paper.slug


def test_lists_cost_the_same_however_many_rows(paper: Paper, django_assert_max_num_queries: Any) -> None:
    for number in range(8):
        more = the_paper(f"Paper {number}")
        store_record(more, a_record(claims=[a_claim(confidence=0.1)]), "1")
    with django_assert_max_num_queries(3):
        assert APIClient().get("/api/v1/review-items").json()["count"] == 9
