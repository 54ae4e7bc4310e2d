from typing import Any

from django.core.management.base import BaseCommand, CommandError

from runners.cards import CardError, all_cards


class Command(BaseCommand):
    help = "Validate every card. A wrong one is named with its file and field."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            cards = all_cards()
        except CardError as fault:
            raise CommandError(str(fault)) from None
        claims = sum(len(card.claims) for card in cards.values())
        families = {family for card in cards.values() for family in card.families[:1]}
        self.stdout.write(f"{len(cards)} cards in {len(families)} families are valid; they judge {claims} claims.")
