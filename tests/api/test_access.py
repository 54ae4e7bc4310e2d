"""Who may do what: everybody reads, only a signed-in user or a token with the scope asks for work."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import get_resolver, reverse
from django.utils import timezone
from rest_framework.test import APIClient

from api.models import ApiToken
from papers.models import Implementation, Run
from papers.services import SeenPaper, record_paper

pytestmark = pytest.mark.django_db


@pytest.fixture
def implementation(db: None) -> Implementation:
    paper, _ = record_paper(SeenPaper(title="TwoCache: half a cache"))
    return Implementation.objects.create(name="twocache", paper=paper, card={}, card_hash="c", code_hash="d")


@pytest.fixture
def ada(db: None) -> User:
    return User.objects.create_user("ada", password="a long enough password")


def with_token(owner: User, *scopes: str, **fields: Any) -> APIClient:
    _, token = ApiToken.objects.issue(owner, "test", list(scopes), **fields)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def post_run(client: APIClient) -> Any:
    return client.post(reverse("api-run-list"), {"implementation": "twocache"}, format="json")


LISTS = ["papers", "techniques", "claims", "implementations", "devices", "runs", "verdicts", "review-items"]


@pytest.mark.parametrize("name", LISTS)
def test_everybody_reads_every_list(name: str) -> None:
    answer = APIClient().get(f"/api/v1/{name}")
    assert answer.status_code == 200
    assert answer.json()["results"] == []


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_nobody_writes_anonymously(name: str, method: str) -> None:
    assert getattr(APIClient(), method)(f"/api/v1/{name}").status_code in {401, 403, 405}


def test_an_anonymous_request_for_a_run_is_refused_and_stores_nothing(implementation: Implementation) -> None:
    answer = post_run(APIClient())
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"
    assert not Run.objects.exists()


def test_a_token_with_the_scope_queues_a_run(implementation: Implementation, ada: User) -> None:
    answer = post_run(with_token(ada, "run"))
    assert answer.status_code == 202
    assert answer["Location"].endswith(reverse("api-run-detail", args=[Run.objects.get().pk]))
    assert (answer.json()["state"], answer.json()["queue_position"]) == ("queued", 0)
    assert Run.objects.get().requester == ada


@pytest.mark.parametrize(
    ("change", "status"),
    [
        pytest.param({"scopes": ["read"]}, 403, id="another-scope"),
        pytest.param({"expires_at": timezone.now() - timedelta(days=1)}, 401, id="expired"),
        pytest.param({"revoked_at": timezone.now()}, 401, id="revoked"),
        pytest.param({"digest": "0" * 64}, 401, id="unknown"),
    ],
)
def test_a_token_that_does_not_allow_it(
    change: dict[str, Any], status: int, implementation: Implementation, ada: User
) -> None:
    client = with_token(ada, "run")
    ApiToken.objects.update(**change)
    assert post_run(client).status_code == status
    assert not Run.objects.exists()


def test_a_token_of_a_closed_account_is_dead(implementation: Implementation, ada: User) -> None:
    client = with_token(ada, "run")
    User.objects.update(is_active=False)
    assert post_run(client).status_code == 401


def test_only_a_digest_of_a_token_is_stored(ada: User) -> None:
    row, token = ApiToken.objects.issue(ada, "x", ["read"])
    assert token not in str(vars(row))
    assert ApiToken.objects.valid(token) == row


def test_a_signed_in_session_needs_the_csrf_token(implementation: Implementation, ada: User) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(ada)
    assert post_run(client).status_code == 403
    assert not Run.objects.exists()


def test_only_the_requester_or_an_operator_cancels(implementation: Implementation, ada: User) -> None:
    run_id = post_run(with_token(ada, "run")).json()["id"]
    other = User.objects.create_user("bob")
    address = reverse("api-run-cancel", args=[run_id])
    assert with_token(other, "run").post(address).status_code == 403
    assert Run.objects.get().state == "queued"
    assert with_token(ada, "run").post(address).json()["state"] == "cancelled"
    again = with_token(ada, "run").post(address)
    assert (again.status_code, "ended already" in again.json()["detail"]) == (409, True)


def test_every_writing_endpoint_names_its_scope() -> None:
    """Enumerates the routes, so that a new endpoint cannot forget."""
    checked = 0
    for pattern in get_resolver().url_patterns:
        if getattr(pattern, "namespace", None) is None and str(pattern.pattern) == "api/v1/":
            for route in pattern.url_patterns:
                view = getattr(route.callback, "cls", None)
                if view is None:
                    continue
                actions = getattr(route.callback, "actions", None) or {
                    m: m for m in ("post", "put", "patch", "delete") if hasattr(view, m)
                }
                if set(actions) & {"post", "put", "patch", "delete"}:
                    checked += 1
                    assert getattr(view, "write_scope", None) or getattr(view, "open_post", False), route.pattern
    assert checked >= 3
