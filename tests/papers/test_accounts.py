"""Accounts: roles, who may change them, where people are signed in, and what is noted of it."""

import io
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import Client

from papers.models import AppendOnly, AuditEntry, SignIn
from papers.roles import EDIT, INGEST, OPERATE, PERMISSIONS, REQUEST_RUNS, Role, may, role_of
from papers.services import FieldError, add_person, set_active, set_role, write_audit
from tests.factories import PASSWORD, make_user

pytestmark = pytest.mark.django_db
OTHER = "another-horse-battery"


def signs_in(name: str, password: str) -> bool:
    return Client().post("/sign-in/", {"username": name, "password": password}).status_code == 302


def people(*words: str) -> str:
    told = io.StringIO()
    call_command("people", *words, stdout=told)
    return told.getvalue()


@pytest.mark.parametrize("role", Role)
def test_a_role_allows_what_it_says_and_no_more(role: Role) -> None:
    person = make_user()
    set_role(person, role.value, None)
    allowed = {each for each in (REQUEST_RUNS, EDIT, INGEST, OPERATE) if may(person, each)}
    assert allowed == set(PERMISSIONS[role])
    assert role_of(User.objects.get(pk=person.pk)) is role


def test_groups_carry_the_permissions_so_that_the_admin_can_give_them() -> None:
    held = {group.name: {p.codename for p in group.permissions.all()} for group in Group.objects.all()}
    assert held["requester"] == {"request_run"}
    assert held["editor"] == {"request_run", "review", "ingest"}
    assert held["reader"] == set()


@pytest.mark.parametrize(("given", "role"), [("reader", Role.READER), ("editor", Role.EDITOR)])
def test_new_accounts_get_the_role_of_the_setting(settings: Any, given: str, role: Role) -> None:
    settings.NEW_ACCOUNT_ROLE = given
    assert role_of(make_user()) is role
    assert role_of(make_user(is_staff=True)) is Role.OPERATOR


def test_a_closed_account_may_nothing_and_its_sessions_end(client: Client) -> None:
    person = make_user("mira")
    make_user(is_staff=True)
    client.post("/sign-in/", {"username": "mira", "password": PASSWORD})
    assert SignIn.objects.filter(owner=person).count() == 1
    assert set_active(person, False, None)
    assert not may(User.objects.get(pk=person.pk), REQUEST_RUNS)
    assert not SignIn.objects.exists()
    assert not Session.objects.exists()
    assert not set_active(person, False, None)


def test_the_last_operator_can_neither_step_down_nor_be_closed() -> None:
    boss = make_user("boss", is_staff=True, is_superuser=True)
    with pytest.raises(FieldError, match="only operator"):
        set_role(boss, "reader", None)
    with pytest.raises(FieldError, match="only operator"):
        set_active(boss, False, None)
    assert role_of(User.objects.get(pk=boss.pk)) is Role.OPERATOR
    make_user(is_staff=True)
    assert set_role(boss, "reader", None)
    assert not User.objects.get(pk=boss.pk).is_staff


def test_a_change_of_role_is_noted_with_who_made_it() -> None:
    boss, person = make_user("boss", is_staff=True), make_user("mira")
    set_role(person, "editor", boss)
    entry = AuditEntry.objects.get(action="set-role")
    assert (entry.actor, entry.actor_name, entry.target) == (boss, "boss", "mira")
    assert entry.detail == {"before": "requester", "after": "editor"}
    assert not set_role(person, "editor", boss)
    assert AuditEntry.objects.filter(action="set-role").count() == 1


def test_accounts_from_the_command_line() -> None:
    told = people("add", "mira", "--role", "editor")
    password = told.split("password: ")[1].split()[0]
    assert signs_in("mira", password)
    assert people("role", "mira", "reader") == "mira: reader\n"
    assert people("disable", "mira") == "mira: closed\n"
    assert "closed" in people("list")
    assert not signs_in("mira", password)
    assert people("enable", "mira") == "mira: open\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("add", "mira"), "already exists"),
        (("add", "no spaces allowed"), "valid username"),
        (("role", "nobody", "editor"), "there is no account 'nobody'"),
    ],
)
def test_the_command_says_what_is_wrong(words: tuple[str, ...], message: str) -> None:
    make_user("mira")
    with pytest.raises(CommandError, match=message):
        people(*words)


@pytest.mark.parametrize("password", ["short", "123456789012", "password1234", "miramiramira"])
def test_weak_passwords_are_refused(password: str) -> None:
    with pytest.raises(FieldError, match="password"):
        add_person("miramiramira", "reader", None, password=password)
    assert not User.objects.exists()


def test_sign_ins_and_failed_ones_are_noted_without_what_was_typed(client: Client) -> None:
    make_user("mira")
    client.post("/sign-in/", {"username": "mira", "password": OTHER})
    client.post("/sign-in/", {"username": OTHER, "password": "x"})  # the password in the wrong field
    client.post("/sign-in/", {"username": "mira", "password": PASSWORD})
    client.post("/sign-out/")
    noted = list(AuditEntry.objects.order_by("pk").values_list("action", "target", "detail__address"))
    assert noted == [
        ("sign-in-failed", "mira", "127.0.0.1"),
        ("sign-in-failed", "(no such name)", "127.0.0.1"),
        ("sign-in", "mira", "127.0.0.1"),
        ("sign-out", "mira", "127.0.0.1"),
    ]


def test_the_audit_log_only_grows() -> None:
    person = make_user("mira")
    write_audit(person, "x", "y")
    entry = AuditEntry.objects.get()
    entry.target = "z"
    for attempt in (
        entry.save,
        entry.delete,
        AuditEntry.objects.all().delete,
        lambda: AuditEntry.objects.update(target="z"),
        lambda: AuditEntry.objects.bulk_update([entry], ["target"]),
    ):
        with pytest.raises(AppendOnly):
            attempt()
    person.delete()
    entry = AuditEntry.objects.get()
    assert (entry.target, entry.actor, entry.actor_name) == ("y", None, "mira")
