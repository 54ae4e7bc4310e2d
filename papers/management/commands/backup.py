from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from papers.backups import BackupError, backup


class Command(BaseCommand):
    help = "Write every row into one archive, while the service goes on. The search index is left out: it is made again from the rows."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "target", type=Path, help="a file to write, or a folder that gets a file with the moment in its name"
        )
        parser.add_argument(
            "--with-secret-key",
            action="store_true",
            help="also the key that signs sessions; whoever has it can sign in as anybody",
        )
        parser.add_argument(
            "--keep", type=int, metavar="N", help="in a folder: delete all but the newest N of such files afterwards"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        target, keep = options["target"], options["keep"]
        if keep is not None and (keep < 1 or not target.is_dir()):
            raise CommandError("--keep needs a folder as target and a number of at least 1.")
        try:
            path, manifest = backup(target, with_secret_key=options["with_secret_key"])
        except BackupError as fault:
            raise CommandError(str(fault)) from fault
        self.stdout.write(f"{path}: {sum(manifest.rows.values()):,} rows, {path.stat().st_size / 2**20:.1f} MiB")
        for old in sorted(target.glob("speedproof-*.tar.gz"))[:-keep] if keep else []:
            old.unlink()
            self.stdout.write(f"deleted {old.name}")
