"""Roles × routes × methods, over the whole URL conf: pages and API, sessions and tokens of each scope."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from api.models import ApiToken, Scope
from papers.roles import EDIT, INGEST, OPERATE, PERMISSIONS, REQUEST_RUNS, Role
from tests.factories import make_implementation, make_user
from tests.security.routes import AGENT, ANYONE, METHODS, SIGNED_IN, TABLE, Route, admin_routes, routes

pytestmark = pytest.mark.django_db
OF_SCOPE = {
    Scope.READ: set(), Scope.RUN: {REQUEST_RUNS}, Scope.IMPORT: {INGEST}, Scope.EDIT: {EDIT}, Scope.OPERATE: {OPERATE},
    Scope.DEVICE: {AGENT},
}  # fmt: skip
SLOW = ("api-schema", "api-docs")  # the same for everybody: what is there does not depend on who asks
# Everyone who may come, with what they may do.
PEOPLE: dict[str, set[str]] = {
    "anonymous": {ANYONE},
    **{role.value: {ANYONE, SIGNED_IN, *PERMISSIONS[role]} for role in Role},
    **{f"token {scope.value}": {ANYONE, *allowed} for scope, allowed in OF_SCOPE.items()},
}


@pytest.fixture(autouse=True)
def _quiet_and_unthrottled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    monkeypatch.setattr("api.throttles.ByMethodThrottle.allow_request", lambda *a: True)
    yield
    logging.disable(logging.NOTSET)


def client_of(who: str) -> Client:
    """Tokens are an operator's, so that the scope alone decides."""
    if who.startswith("token"):
        _, token = ApiToken.objects.issue(make_user(role="operator"), who, [who.split()[1]])
        return Client(headers={"Authorization": f"Bearer {token}"})
    client = Client()
    if who != "anonymous":
        client.force_login(make_user(role=who))
    return client


def ask(client: Client, method: str, address: str) -> Any:
    body = {} if method == "GET" else {"data": "{}", "content_type": "application/json"}
    if method == "POST" and not address.startswith("/api/"):
        body = {"data": {}}
    return getattr(client, method.lower())(address, **body)


def is_refused(answer: Any) -> bool:
    to_sign_in = answer.status_code == 302 and answer["Location"].startswith(("/sign-in/", "/admin/login/"))
    return answer.status_code in (401, 403) or to_sign_in


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    assert sorted({route.name for route in routes()}) == sorted(TABLE)


@pytest.mark.parametrize("who", PEOPLE)
def test_the_table_holds_for_every_route_and_method(who: str) -> None:
    """Methods that no row names are tried by the two ends: nobody, and whoever may everything."""
    make_implementation(name="foldcache")
    client, wrong, tried = client_of(who), [], 0
    for route in routes():
        if who.startswith("token") and not route.is_api:
            continue
        row = TABLE[route.name]
        for method in METHODS if who in ("anonymous", "operator") else row:
            if who != "anonymous" and method == "GET" and route.name in SLOW:
                continue
            needed, answer = row.get(method), ask(client, method, route.address)
            tried += 1
            if needed is None:
                fine = is_refused(answer) or answer.status_code in (404, 405, 415)
            else:
                fine = is_refused(answer) is not (needed in PEOPLE[who]) and answer.status_code in (
                    *range(100, 500),
                    503,
                )
            if not fine:
                wrong.append((route.name, method, needed, answer.status_code))
            if route.name in ("sign-out", "end-other-sessions", "password"):
                client = client_of(who)
    assert wrong == []
    assert tried > 40


@pytest.mark.parametrize("who", ["anonymous", "reader", "requester", "editor"])
def test_only_operators_enter_the_admin(who: str) -> None:
    client = client_of(who)
    addresses = list(admin_routes())
    assert len(addresses) > 15
    free = [a for a in addresses if a not in ("/admin/login/", "/admin/logout/") and not is_refused(client.get(a))]
    assert free == []


def test_a_token_opens_no_page() -> None:
    client = client_of("token operate")
    for address in ("/audit/", "/account/", "/admin/", "/review/", "/ingest/"):
        assert is_refused(client.get(address)), address


# ── CSRF ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def unsafe(is_api: bool) -> list[tuple[Route, str]]:
    found = [(r, m) for r in routes() for m in TABLE[r.name] if m != "GET" and r.is_api is is_api]
    return [each for each in found if each[0].name != "api-recommendations"]


def test_no_form_of_any_page_is_taken_without_its_csrf_token() -> None:
    make_implementation(name="foldcache")
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user(role="operator"))
    pages = unsafe(is_api=False)
    assert len(pages) > 10
    assert [(r.name, m) for r, m in pages if ask(client, m, r.address).status_code != 403] == []
    changing = [a for a in admin_routes() if a.endswith("/add/")]
    assert [a for a in changing if client.post(a, {}).status_code != 403] == []


def test_nor_does_the_api_take_one_from_a_session() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user(role="operator"))
    writes = unsafe(is_api=True)
    assert len(writes) > 5
    assert [(r.name, m) for r, m in writes if ask(client, m, r.address).status_code != 403] == []
