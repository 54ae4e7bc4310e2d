"""The admin: records to read, and actions that go through the services."""

from typing import Any

import pytest
from django.test import Client

from papers.models import AuditEntry, Claim, Paper, Review, ReviewItem, TwinCandidate, TwinState
from papers.services import SeenPaper, record_paper, store_record
from tests.factories import make_user
from tests.papers.sample import a_claim, a_record, the_paper

pytestmark = pytest.mark.django_db
MODELS = ["paper", "technique", "claim", "reviewitem", "twincandidate", "auditentry"]


@pytest.fixture
def operator(client: Client) -> Client:
    client.force_login(make_user(is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def paper() -> Paper:
    paper = the_paper()
    store_record(paper, a_record(claims=[a_claim(confidence=0.2)]), "1")
    record_paper(SeenPaper(title="TwoCache: half the cache"))
    return paper


def act(client: Client, model: str, action: str, *rows: Any) -> Any:
    data = {"action": action, "_selected_action": [row.pk for row in rows]}
    return client.post(f"/admin/papers/{model}/", data, follow=True)


@pytest.mark.parametrize("model", MODELS)
def test_every_record_can_be_looked_up_and_none_changed_by_a_form(operator: Client, paper: Paper, model: str) -> None:
    if model == "auditentry":
        AuditEntry.objects.create(action="x", target="y")
    row = {"paper": Paper, "technique": paper.technique, "claim": Claim, "reviewitem": ReviewItem,
           "twincandidate": TwinCandidate, "auditentry": AuditEntry}[model]  # fmt: skip
    row = row if model == "technique" else row.objects.all()[0]  # type: ignore[union-attr, assignment]
    assert operator.get(f"/admin/papers/{model}/?q=twocache").status_code == 200
    page = operator.get(f"/admin/papers/{model}/{row.pk}/change/")  # type: ignore[union-attr]
    assert page.status_code == 200
    assert "_save" not in page.content.decode()
    assert operator.post(f"/admin/papers/{model}/{row.pk}/change/", {}).status_code == 403  # type: ignore[union-attr]
    assert operator.get(f"/admin/papers/{model}/add/").status_code == 403


def test_actions_go_through_the_services(operator: Client, paper: Paper) -> None:
    claim = paper.claims.get()
    act(operator, "claim", "reject", claim)
    assert paper.claims.get().review == Review.REJECTED
    assert AuditEntry.objects.filter(action="review-claim", actor__isnull=False).exists()
    twin = TwinCandidate.objects.get()
    act(operator, "twincandidate", "keep_apart", twin)
    assert TwinCandidate.objects.get().state == TwinState.DISTINCT
    act(operator, "paper", "withdraw", paper)
    assert not Paper.objects.visible().filter(pk=paper.pk).exists()


def test_questions_are_answered_and_a_refusal_is_told(operator: Client, paper: Paper) -> None:
    low = ReviewItem.objects.get(reason="low-confidence")
    twin = ReviewItem.objects.get(reason="twin")
    page = act(operator, "reviewitem", "accept", low, twin).content.decode()
    assert "is not one of: merge, distinct" in page
    assert "1 questions answered" in page
    assert paper.claims.get().review == Review.ACCEPTED


@pytest.mark.parametrize("staff", [None, False], ids=["nobody", "a-reader"])
def test_readers_are_sent_away(client: Client, staff: bool | None) -> None:
    if staff is not None:
        client.force_login(make_user(is_staff=staff))
    assert client.get("/admin/papers/claim/").status_code == 302
