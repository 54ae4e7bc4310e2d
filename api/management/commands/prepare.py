import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.utils.crypto import get_random_string

FIRST_USER = "operator"


class Command(BaseCommand):
    requires_system_checks: list[str] = []  # they import every page; the server that starts next does so anyway
    help = "Make the database, static files, catalogue and index ready to serve. Quick where nothing changed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--first-user", action="store_true", help="make the first user where there is none")

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        call_command("sync_cards")
        if shipped := sorted(map(str, settings.RESULTS_DIR.glob("*.jsonl"))):
            call_command("import_results", *shipped)
        call_command("build_index", if_behind=True, quiet=True)
        if options["first_user"]:
            self._make_first_user()

    def _make_first_user(self) -> None:
        users = get_user_model().objects
        if users.exists():
            return
        password = get_random_string(20)
        users.create_superuser(username=FIRST_USER, password=password)
        self.stdout.write(f"First user: {FIRST_USER}   password: {password}   (shown this once; change it with")
        self.stdout.write(f"  {sys.executable} manage.py changepassword {FIRST_USER})")
