import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ingest.records import records_of
from ingest.services import FileReading, find_files
from ingest.sources import ParsedPaper
from papers.files import write_lines
from papers.folding import fold_title


class Command(BaseCommand):
    help = "Print the technique record of every paper on pages, one JSON object a line. Touches no database."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("pages", nargs="+", metavar="PAGE", help="a file or a folder of pages")
        parser.add_argument("--out", metavar="FILE", help="write there instead of to standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            files = find_files(options["pages"])
        except FileNotFoundError as fault:
            raise CommandError(str(fault)) from None
        papers: dict[str, tuple[str, str]] = {}
        refused = 0
        for path in files:
            file = FileReading(path)
            for item in file:
                if isinstance(item, ParsedPaper) and item.abstract and (key := fold_title(item.title)) not in papers:
                    papers[key] = item.title, item.abstract
            refused += file.report.refused_count
            for refusal in file.report.refused:
                line = f", line {refusal['line']}" if refusal["line"] else ""
                self.stderr.write(f"{refusal['file']}{line}: {refusal['reason']}")
        if not papers:
            raise CommandError("no page of papers among the files named")
        self._write((record.to_json() for record in records_of(papers.values())), options["out"])
        told = f" to {options['out']}" if options["out"] else ""
        self.stderr.write(f"{len(papers)} records written{told}" + (f", {refused} refusals above" if refused else ""))

    def _write(self, records: Iterable[dict[str, Any]], out: str | None) -> None:
        lines = (json.dumps(record, ensure_ascii=False) for record in records)
        if out is None:
            sys.stdout.writelines(line + "\n" for line in lines)
            return
        try:
            write_lines(Path(out), lines)
        except OSError as fault:
            raise CommandError(f"--out {out}: cannot be written: {fault.strerror}") from None
