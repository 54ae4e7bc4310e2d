"""Accounts from the command line."""

import getpass
import sys
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.utils.crypto import get_random_string

from papers.roles import MEANINGS, Role, role_of
from papers.services import FieldError, add_person, set_active, set_role
from papers.services.accounts import set_password

ROLES = "; ".join(f"{role.value} {meaning}" for role, meaning in MEANINGS.items())


class Command(BaseCommand):
    help = f"List, add, change or close accounts. Roles: {ROLES}."

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_subparsers(dest="what", required=True, metavar="list|add|role|password|disable|enable")
        what.add_parser("list", help="every account with its role")
        add = what.add_parser("add", help="make an account; its password is printed once unless it is given")
        add.add_argument("name")
        add.add_argument("--role", default="", choices=["", *Role.values], help="default: NEW_ACCOUNT_ROLE")
        add.add_argument("--email", default="")
        self._password_choice(add)
        role = what.add_parser("role", help="give an account another role")
        role.add_argument("name")
        role.add_argument("role", choices=Role.values)
        password = what.add_parser("password", help="set a new password and end every session")
        password.add_argument("name")
        self._password_choice(password)
        what.add_parser("disable", help="close an account and end its sessions").add_argument("name")
        what.add_parser("enable", help="open a closed account").add_argument("name")

    def _password_choice(self, parser: ArgumentParser) -> None:
        parser.add_argument("--ask", action="store_true", help="type the password; from a pipe, its first line")

    def handle(self, *args: Any, **options: Any) -> None:
        act = {
            "list": self._list,
            "add": self._add,
            "role": self._role,
            "password": self._new_password,
            "disable": self._disable,
            "enable": self._enable,
        }
        try:
            act[options["what"]](options)
        except FieldError as fault:
            raise CommandError(str(fault)) from None

    def _person(self, options: dict[str, Any]) -> User:
        person = get_user_model().objects.filter(username=options["name"]).first()
        if person is None:
            raise CommandError(f"name: there is no account {options['name']!r}; see `manage.py people list`")
        return person

    def _list(self, options: dict[str, Any]) -> None:
        for person in get_user_model().objects.order_by("username"):
            seen = f"{person.last_login:%Y-%m-%d}" if person.last_login else "never"
            state = "open" if person.is_active else "closed"
            self.stdout.write(
                f"{person.username:30} {role_of(person).value if person.is_active else '-':10} {state:7} {seen}"
            )

    def _add(self, options: dict[str, Any]) -> None:
        password, typed = self._password(options)
        person = add_person(options["name"], options["role"], None, password=password, email=options["email"])
        told = "" if typed else f"   password: {password}   (shown this once)"
        self.stdout.write(f"{person.username}: {role_of(person).value}{told}")

    def _role(self, options: dict[str, Any]) -> None:
        person = self._person(options)
        changed = set_role(person, options["role"], None)
        self.stdout.write(f"{person.username}: {options['role']}{'' if changed else ' already'}")

    def _new_password(self, options: dict[str, Any]) -> None:
        person = self._person(options)
        password, typed = self._password(options)
        set_password(person, password, None)
        self.stdout.write(
            f"{person.username}: changed" + ("" if typed else f"   password: {password}   (shown this once)")
        )

    def _disable(self, options: dict[str, Any]) -> None:
        changed = set_active(self._person(options), False, None)
        self.stdout.write(f"{options['name']}: {'closed' if changed else 'closed already'}")

    def _enable(self, options: dict[str, Any]) -> None:
        changed = set_active(self._person(options), True, None)
        self.stdout.write(f"{options['name']}: {'open' if changed else 'open already'}")

    def _password(self, options: dict[str, Any]) -> tuple[str, bool]:
        """A password and whether a person typed it."""
        if not options["ask"]:
            return get_random_string(20), False
        typed = getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        return typed, True
