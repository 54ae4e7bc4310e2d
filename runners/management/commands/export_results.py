from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from papers.files import whole
from papers.models import DeviceKind, Run, RunState
from runners.bench.records import to_line


class Command(BaseCommand):
    help = "Write the records of finished runs as JSON lines, in the form that import_results reads."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--out", metavar="FILE", help="write there instead of to standard output")
        parser.add_argument("--device", choices=DeviceKind.values, help="only runs on such a device")
        parser.add_argument("--implementation", metavar="NAME")

    def handle(self, *args: Any, **options: Any) -> None:
        runs = Run.objects.filter(state=RunState.FINISHED).order_by("pk")
        if options["device"]:
            runs = runs.filter(device_kind=options["device"])
        if options["implementation"]:
            runs = runs.filter(implementation__name=options["implementation"])
        lines = [to_line(record) for run in runs.iterator() for record in run.records]
        text = "".join(line + "\n" for line in lines)
        if not options["out"]:
            self.stdout.write(text, ending="")
            return
        target = Path(options["out"])
        try:
            with whole(target) as aside:
                aside.write_text(text, encoding="utf-8")
        except OSError as fault:
            raise CommandError(f"--out {target}: cannot be written: {fault.strerror}") from None
        self.stderr.write(f"{len(lines)} records of {runs.count()} runs written to {target}")
