import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from runners.bench.records import RecordError
from runners.imports import import_file


class Command(BaseCommand):
    help = (
        "Store results that `python -m runners.bench run --out FILE` wrote elsewhere. Importing twice changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE", help="JSON lines of the harness")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        reports = []
        for name in options["files"]:
            try:
                reports.append(import_file(Path(name)))
            except RecordError as fault:
                raise CommandError(str(fault)) from None
        if options["json"]:
            self.stdout.write(json.dumps({"files": [report.to_json() for report in reports]}))
        for report in reports:
            if not options["json"]:
                older = f", {report.older} of another version of card or code" if report.older else ""
                self.stdout.write(f"{report.name}: {report.stored} runs stored, {report.known} already known{older}")
                if report.devices:
                    self.stdout.write(f"{report.name}: {report.devices} devices told what they can do")
            for reason in report.refused:
                self.stderr.write(f"{report.name}: refused: {reason}")
        if any(report.refused for report in reports):
            raise CommandError("some sessions were refused; the lines above say which and why")
