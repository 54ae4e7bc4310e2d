from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from api.models import ApiToken, Scope


class Command(BaseCommand):
    help = "Make an API token for a user and print it; it is shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--label", default="made on the command line")
        parser.add_argument("--scopes", nargs="+", default=[Scope.READ, Scope.RUN], choices=Scope.values)
        parser.add_argument("--days", type=int, default=90, help="days until it expires; 0 for never (default: 90)")

    def handle(self, *args: Any, **options: Any) -> None:
        user = get_user_model().objects.filter(username=options["username"]).first()
        if user is None:
            raise CommandError(f"username: there is no user {options['username']!r}")
        if options["days"] < 0:
            raise CommandError("--days: give 0 (never) or a number of days")
        expires = timezone.now() + timedelta(days=options["days"]) if options["days"] else None
        _, token = ApiToken.objects.issue(user, options["label"], list(options["scopes"]), expires)
        self.stdout.write(token)
