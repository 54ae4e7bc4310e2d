"""The account page: tokens shown once, sessions that can be ended, a password that signs out everywhere else."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from rest_framework.test import APIClient

from api.models import ApiToken
from api.services import make_token
from papers.models import AuditEntry, SignIn
from papers.services import FieldError, set_role
from tests.factories import PASSWORD, make_implementation, make_run, make_user

pytestmark = pytest.mark.django_db
NEW = "a-rather-different-horse"


def browser(name: str, agent: str = "Firefox", password: str = PASSWORD) -> Client:
    client = Client(HTTP_USER_AGENT=agent)
    assert client.post("/sign-in/", {"username": name, "password": password}).status_code == 302
    return client


def is_signed_in(client: Client) -> bool:
    return bool(client.get("/account/").status_code == 200)


@pytest.fixture
def mira(db: None) -> Any:
    return make_user("mira", role="requester")


def make(client: Client, **fields: Any) -> Any:
    return client.post(reverse("add-token"), {"label": "nightly", "days": "30", "scopes": ["read", "run"], **fields})


def test_a_token_is_shown_once_and_works_within_its_scopes(mira: Any) -> None:
    client = browser("mira")
    page = make(client).content.decode()
    token = re.search(r"<code>(sp_[\w-]+)</code>", page)[1]  # type: ignore[index]
    assert token not in client.get("/account/").content.decode()
    row = ApiToken.objects.get()
    assert token not in str(vars(row))
    assert row.expires_at - timezone.now() < timedelta(days=30)  # type: ignore[operator]
    make_implementation(name="foldcache")
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert api.post("/api/v1/runs", {"implementation": "foldcache", "device": "cpu"}, format="json").status_code == 202
    assert AuditEntry.objects.get(action="request-run").detail["token"] == row.pk
    client.post(reverse("revoke-token", args=[row.pk]))
    assert api.post("/api/v1/runs", {"implementation": "foldcache"}, format="json").status_code == 401
    noted = set(AuditEntry.objects.filter(actor=mira).values_list("action", flat=True))
    assert {"make-token", "revoke-token"} <= noted


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"label": " "}, "Is blank"),
        ({"label": "x" * 81}, "at most 80"),
        ({"label": "a\x00b"}, "NUL"),
        ({"scopes": []}, "choose at least one"),
        ({"scopes": ["root"]}, "is not one of"),
        ({"scopes": ["edit"]}, "more than the role “Requester” allows"),
        ({"scopes": ["operate"]}, "more than the role"),
        ({"days": "99999"}, "Is not one of"),
        ({"days": ""}, "Is not one of"),
    ],
)
def test_what_is_wrong_with_a_token_is_told_and_nothing_made(mira: Any, fields: Any, words: str) -> None:
    answer = make(browser("mira"), **fields)
    assert answer.status_code == 400
    assert words in answer.content.decode()
    assert not ApiToken.objects.exists()


def test_a_token_loses_what_its_owner_loses(mira: Any) -> None:
    set_role(mira, "editor", None)
    _, token = make_token(mira, "x", ["edit", "run"], None, mira)
    row = ApiToken.objects.valid(token)
    assert row is not None
    assert row.allows("edit")
    set_role(mira, "reader", None)
    row = ApiToken.objects.valid(token)
    assert row is not None
    assert [scope for scope in ("edit", "run") if row.allows(scope)] == []
    make_implementation(name="foldcache")
    api = APIClient()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    answer = api.post("/api/v1/runs", {"implementation": "foldcache"}, format="json")
    assert (answer.status_code, "“Requester”" in answer.json()["detail"]) == (403, True)


def test_there_is_an_end_to_how_many_tokens_one_may_have(mira: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.services.MAX_TOKENS", 1)
    make_token(mira, "x", ["read"], None, mira)
    with pytest.raises(FieldError, match="revoke one first"):
        make_token(mira, "y", ["read"], None, mira)


def test_sessions_are_listed_and_one_is_ended(mira: Any) -> None:
    here, there = browser("mira", "Firefox on Linux"), browser("mira", "Chrome on a phone")
    page = here.get("/account/").content.decode()
    assert "Chrome on a phone" in page
    assert page.count("this one") == 1
    other = SignIn.objects.get(device="Chrome on a phone")
    here.post(reverse("end-session", args=[other.pk]))
    assert (is_signed_in(here), is_signed_in(there)) == (True, False)


def test_all_other_sessions_end_at_once(mira: Any) -> None:
    here, *others = (browser("mira", f"device {n}") for n in range(3))
    here.post(reverse("end-other-sessions"))
    assert [is_signed_in(each) for each in (here, *others)] == [True, False, False]


def test_a_new_password_signs_out_everywhere_else(mira: Any) -> None:
    here, there = browser("mira"), browser("mira")
    make_token(mira, "x", ["read"], None, mira)
    given = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW, "revoke_tokens": "on"}
    assert here.post(reverse("password"), given).status_code == 302
    assert (is_signed_in(here), is_signed_in(there)) == (True, False)
    assert not ApiToken.objects.alive().exists()
    assert is_signed_in(browser("mira", password=NEW))
    assert SignIn.objects.count() == 2


@pytest.mark.parametrize(
    "given",
    [
        {"old_password": "wrong", "new_password1": NEW, "new_password2": NEW},
        {"old_password": PASSWORD, "new_password1": "short", "new_password2": "short"},
        {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW + "x"},
    ],
)
def test_a_password_that_is_wrong_or_weak_changes_nothing(mira: Any, given: dict[str, str]) -> None:
    here, there = browser("mira"), browser("mira")
    assert here.post(reverse("password"), given).status_code == 200
    assert is_signed_in(there)


@pytest.mark.parametrize("name", ["revoke-token", "end-session"])
def test_what_belongs_to_others_is_not_there(mira: Any, name: str) -> None:
    ben = make_user("ben")
    browser("ben")
    token, _ = make_token(ben, "x", ["read"], None, ben)
    pk = token.pk if name == "revoke-token" else SignIn.objects.get(owner=ben).pk
    assert browser("mira").post(reverse(name, args=[pk])).status_code == 404
    assert ApiToken.objects.alive().count() == 1
    assert SignIn.objects.filter(owner=ben).exists()


def test_own_runs_and_quota_are_shown(mira: Any) -> None:
    mine, other = make_run(requester=mira), make_run(requester=make_user())
    page = browser("mira").get("/account/").content.decode()
    assert f'href="/runs/{mine.pk}/"' in page
    assert f'href="/runs/{other.pk}/"' not in page
    assert re.search(r"0 of 20</span>\s*waiting or running", page)


# ── signing in ──────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_failed_sign_in_does_not_tell_whether_the_name_exists(mira: Any) -> None:
    make_user("closed", is_active=False)
    told = set()
    for name in ("mira", "nobody", "closed"):
        page = Client().post("/sign-in/", {"username": name, "password": "wrong"}).content.decode()
        told.add(re.search(r'role="alert">([^<]+)', page)[1])  # type: ignore[index]
    assert len(told) == 1


@pytest.mark.parametrize("name", ["mira", "nobody"])
def test_guessing_is_throttled_for_names_that_exist_and_for_others_alike(mira: Any, name: str, settings: Any) -> None:
    settings.AXES_FAILURE_LIMIT = 3
    statuses = [Client().post("/sign-in/", {"username": name, "password": f"no{n}"}).status_code for n in range(4)]
    assert statuses[0] == 200
    assert statuses[-1] == 429
    assert Client().post("/sign-in/", {"username": name, "password": PASSWORD}).status_code == 429


# ── the audit page ──────────────────────────────────────────────────────────────────────────────────────────────────
def audit_page(query: str = "") -> str:
    if not SignIn.objects.filter(owner__username="boss").exists():
        make_user("boss", role="operator")
    answer = browser("boss").get(f"/audit/{query}")
    assert answer.status_code == 200
    return answer.content.decode()  # type: ignore[no-any-return]


def test_operators_find_entries_by_person_action_target_and_day(mira: Any) -> None:
    make_token(mira, "nightly", ["read"], None, mira)
    assert "nightly" in audit_page()
    assert "nightly" in audit_page("?who=MIRA&action=make-token")
    assert "nightly" not in audit_page("?who=ben")
    assert "nightly" not in audit_page("?action=sign-in")
    assert "nightly" in audit_page(f"?since={timezone.now():%Y-%m-%d}&until={timezone.now():%Y-%m-%d}")
    assert "nightly" not in audit_page("?since=2199-01-01")
    assert "nightly" in audit_page("?target=mira")


@pytest.mark.parametrize("query", ["?since=soon", "?until=9999-12-31", "?action=nothing", "?since=2024-02-30"])
def test_a_filter_that_makes_no_sense_is_told(query: str) -> None:
    name, _, value = query[1:].partition("=")
    assert f"Ignored: <code>{name}={value}</code>" in audit_page(query)


def test_entries_come_in_pages(mira: Any) -> None:
    AuditEntry.objects.bulk_create(AuditEntry(action="x", target=f"thing {n}") for n in range(120))
    assert 'rel="next"' in audit_page("?action=x")
    assert "thing 0<" in audit_page("?action=x&page=3")


# ── the admin ───────────────────────────────────────────────────────────────────────────────────────────────────────
def test_an_operator_gives_a_role_in_the_admin(mira: Any) -> None:
    make_user("boss", role="operator")
    boss = browser("boss")
    address = reverse("admin:auth_user_change", args=[mira.pk])
    assert boss.get(address).status_code == 200
    given = {"username": "mira", "email": "", "first_name": "", "last_name": "", "role": "editor", "may_sign_in": "on"}
    assert boss.post(address, given).status_code == 302
    assert AuditEntry.objects.get(action="set-role").detail == {"before": "requester", "after": "editor"}
    made = {"username": "new", "password1": NEW, "password2": NEW, "usable_password": "true", "role": "reader"}
    assert boss.post(reverse("admin:auth_user_add"), made).status_code == 302
    assert AuditEntry.objects.filter(action="add-person", target="new").exists()
    there = browser("mira")
    reset = {"password1": NEW, "password2": NEW, "usable_password": "true"}
    assert boss.post(reverse("admin:auth_user_password_change", args=[mira.pk]), reset).status_code == 302
    assert not is_signed_in(there)
    assert boss.post(reverse("admin:auth_user_delete", args=[mira.pk]), {"post": "yes"}).status_code == 403
