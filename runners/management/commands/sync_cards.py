from typing import Any

from django.core.management.base import BaseCommand, CommandError

from runners.cards import CardError
from runners.services import sync_cards


class Command(BaseCommand):
    help = "Load the cards of runners/implementations into the database. Doing it again changes nothing."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            counts = sync_cards()
        except CardError as fault:
            raise CommandError(str(fault)) from None
        self.stdout.write(f"{counts['cards']} cards: {counts['changed']} new or changed, {counts['retired']} retired.")
