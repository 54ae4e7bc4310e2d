import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from drf_spectacular.generators import SchemaGenerator

from api.client_types import client_types
from api.contract import breaking_changes

SCHEMA = settings.BASE_DIR / "docs" / "openapi.json"
TYPES = settings.BASE_DIR / "speedproof" / "types.py"


def present_schema() -> dict[str, Any]:
    schema: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return json.loads(json.dumps(schema))  # type: ignore[no-any-return]


def files() -> dict[Path, str]:
    """What the present code would write."""
    schema = present_schema()
    return {SCHEMA: json.dumps(schema, indent=1, ensure_ascii=False) + "\n", TYPES: client_types(schema)}


class Command(BaseCommand):
    help = "Write the API's schema and the client's types. Refuses what would break clients that exist."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="only look: exit 1 where the files are not up to date")
        parser.add_argument("--breaking", action="store_true", help="write although clients that exist will break")

    def handle(self, *args: Any, **options: Any) -> None:
        wanted = files()
        if SCHEMA.exists() and not options["breaking"]:
            before = json.loads(SCHEMA.read_text(encoding="utf-8"))
            if broken := breaking_changes(before, json.loads(wanted[SCHEMA])):
                told = "\n  ".join(broken)
                raise CommandError(
                    f"This breaks clients that exist:\n  {told}\nKeep the old beside the new, or give --breaking."
                )
        stale = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
        if options["check"] and stale:
            raise CommandError(
                f"{', '.join(path.name for path in stale)}: not up to date; run manage.py write_schema and commit"
            )
        for path in stale:
            path.write_text(wanted[path], encoding="utf-8")
        self.stdout.write(f"{len(stale)} of {len(wanted)} files written." if stale else "All is up to date.")
