from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from api.exports.services import ExportError, write_export
from api.exports.writers import FORMATS


class Command(BaseCommand):
    help = "Write all records of this moment as files with their SHA-256 sums, in a new folder that appears when it is whole."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--out",
            metavar="DIR",
            help=f"folder of exports; default: EXPORT_DIR, served under /exports/ ({settings.EXPORT_DIR})",
        )
        parser.add_argument(
            "--format",
            default=",".join(FORMATS),
            metavar="LIST",
            help=f"formats, separated by commas: {', '.join(FORMATS)}; default: all",
        )
        parser.add_argument(
            "--with-texts", action="store_true", help="also abstracts and quotes, which belong to their authors"
        )
        parser.add_argument(
            "--keep", type=int, metavar="N", help="then remove all but the newest N exports in that folder"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["keep"] is not None and options["keep"] < 1:
            raise CommandError("--keep: has to be 1 or more")
        formats = [word.strip() for word in options["format"].split(",") if word.strip()]
        folder = Path(options["out"] or settings.EXPORT_DIR)
        try:
            made = write_export(
                folder,
                formats,
                texts=options["with_texts"],
                keep=options["keep"],
                say=self.stderr.write,
            )
        except ExportError as fault:
            raise CommandError(f"--{fault}" if str(fault).startswith("format:") else str(fault)) from None
        size = sum(one["bytes"] for one in made.files)
        self.stdout.write(f"{made.folder}: {len(made.files)} files, {size / 1e6:.1f} MB")
