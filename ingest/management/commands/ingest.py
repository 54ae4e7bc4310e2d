import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from ingest.services import REFUSALS_KEPT, SUFFIXES, FileReading, PageReport, find_files, ingest_file


class Command(BaseCommand):
    help = "Read pages of papers into the knowledge base. Reading a page again changes nothing and says so."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("targets", nargs="+", metavar="TARGET", help="a file or a folder of pages, feeds or dumps")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
        parser.add_argument("--dry-run", action="store_true", help="parse and count, write nothing")
        parser.add_argument("--no-index", action="store_true", help="leave the search index to the worker")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            files = find_files(options["targets"])
        except FileNotFoundError as fault:
            raise CommandError(str(fault)) from None
        if not files:
            raise CommandError(
                f"no page found: the folders named hold no file that ends in {', '.join(sorted(SUFFIXES))}"
            )
        quiet = options["json"] or not sys.stderr.isatty()
        reports = []
        for path in files:
            reports.append(_count(path) if options["dry_run"] else self._ingest(path, quiet))
            if not options["json"]:
                self._say(reports[-1])
        self._close(reports, options)

    def _ingest(self, path: Path, quiet: bool) -> PageReport:
        columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as progress:
            task = progress.add_task(path.name, total=None)
            return ingest_file(path, lambda done, total: progress.update(task, completed=done, total=total))

    def _say(self, report: PageReport) -> None:
        if report.layout:
            self.stdout.write(self._counts(report))
        for refusal in report.refused:
            where = f"{refusal['file']}, line {refusal['line']}" if refusal["line"] else refusal["file"]
            word = "" if report.layout else "refused: "
            self.stderr.write(f"{'  ' if report.layout else ''}{where}: {word}{refusal['reason']}")
        if (more := report.refused_count - len(report.refused)) > 0:
            self.stderr.write(f"  {report.name}: and {more} more that were refused")

    def _counts(self, report: PageReport) -> str:
        return (
            f"{report.name}: {report.read} entries read, {report.new} new, {report.updated} updated, "
            f"{report.duplicate} already known"
            + (f", {report.unmatched} links of papers that are not known" if report.unmatched else "")
        )

    def _close(self, reports: list[PageReport], options: dict[str, Any]) -> None:
        keys = ("read", "new", "updated", "duplicate", "unmatched", "refused_count")
        totals: dict[str, Any] = {key: sum(getattr(r, key) for r in reports) for key in keys}
        changed = totals["new"] + totals["updated"]
        if options["json"]:
            totals["refused"] = [refusal for r in reports for refusal in r.refused][:REFUSALS_KEPT]
            totals["files"] = [r.to_json() for r in reports]
            self.stdout.write(json.dumps(totals))
        elif not options["dry_run"]:
            told = f"{totals['new']} new and {totals['updated']} updated papers" if changed else "nothing changed"
            self.stdout.write(self.style.SUCCESS(f"In all {totals['read']} entries: {told}."))
        if changed and not options["dry_run"] and not options["no_index"]:
            call_command("build_index", quiet=options["json"])
        if all(not r.layout for r in reports):
            raise CommandError("none of the files could be read as a page of papers")


def _count(path: Path) -> PageReport:
    file = FileReading(path)
    for _ in file:
        pass
    return file.report
