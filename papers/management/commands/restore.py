from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from papers.backups import BackupError, read_manifest, restore


class Command(BaseCommand):
    help = "Put the rows of a backup into this installation, whose tables manage.py migrate has made. All or nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--replace",
            action="store_true",
            help="delete what is here; without it an installation in use is left alone",
        )
        parser.add_argument("--check", action="store_true", help="only read the file and say what it holds")

    def handle(self, *args: Any, **options: Any) -> None:
        def tell(name: str) -> None:
            if options["verbosity"] > 1:
                self.stdout.write(name)

        try:
            if options["check"]:
                manifest = read_manifest(options["file"])
            else:
                manifest = restore(options["file"], replace=options["replace"], progress=tell)
        except BackupError as fault:
            raise CommandError(str(fault)) from fault
        for name, count in sorted(manifest.rows.items()):
            if count:
                self.stdout.write(f"{count:>10,}  {name}")
        self.stdout.write(
            f"Made {manifest.created} on {manifest.database}; {'it can be restored' if options['check'] else 'restored'}."
        )
        if not options["check"]:
            self.stdout.write("The search index follows by itself, or now with manage.py build_index.")
