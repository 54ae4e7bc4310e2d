from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from api.models import Scope
from api.services import make_token
from papers.services import FieldError


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
        if not 0 <= options["days"] <= 36_500:
            raise CommandError("--days: give 0 (never) or a number of days")
        expires = timezone.now() + timedelta(days=options["days"]) if options["days"] else None
        try:
            _, token = make_token(user, options["label"], list(options["scopes"]), expires, None)
        except FieldError as fault:
            raise CommandError(str(fault)) from None
        self.stdout.write(token)
