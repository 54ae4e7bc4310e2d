import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from papers.files import write_lines
from papers.labels import labelled_records


class Command(BaseCommand):
    help = "Write what people decided about records as labelled records, one JSON object a line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--out", metavar="FILE", help="write there instead of to standard output")
        parser.add_argument(
            "--complete", action="store_true", help="only papers none of whose claims waits for a decision"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        lines = (json.dumps(r, ensure_ascii=False) for r in labelled_records(complete=options["complete"]))
        if options["out"] is None:
            count = 0
            for count, line in enumerate(lines, 1):  # noqa: B007 - the count outlives the loop
                self.stdout.write(line)
        else:
            try:
                count = write_lines(Path(options["out"]), lines)
            except OSError as fault:
                raise CommandError(f"--out {options['out']}: cannot be written: {fault.strerror}") from None
        told = f" to {options['out']}" if options["out"] else ""
        self.stderr.write(f"{count} labelled records written{told}" if count else "Nobody has decided anything yet.")
