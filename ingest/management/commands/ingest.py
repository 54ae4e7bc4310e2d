import json
import sys
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from ingest.daily import status_lines
from ingest.fetch_runs import Run, read_targets
from ingest.fetch_services import UNCHANGED
from ingest.services import REFUSALS_KEPT, SUFFIXES, PageReport
from ingest.targets import FORMS, TargetError, parse_targets

NOTHING_READ = 1
NOT_ALL_READ = 3
INTERRUPTED = 130
COUNTS = ("read", "new", "updated", "duplicate", "unmatched", "refused_count")
EXITS = f"""exit status: 0 all was read; {NOTHING_READ} nothing was, or a target is none; {NOT_ALL_READ} a fetch broke off, the rest is kept;
{INTERRUPTED} interrupted, what was read is kept. Running the same command again goes on where it stopped."""


class Command(BaseCommand):
    help = "Read papers into the knowledge base, from files and from the network. Reading again changes nothing and says so."

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        epilog = "targets:\n  " + "\n  ".join(FORMS) + "\n\n" + EXITS
        parser = super().create_parser(prog_name, subcommand, epilog=epilog, **kwargs)
        parser.formatter_class = RawDescriptionHelpFormatter
        return parser

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("targets", nargs="*", metavar="TARGET", help="one of the forms below")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
        parser.add_argument("--dry-run", action="store_true", help="fetch, parse and count; keep nothing")
        parser.add_argument(
            "--limit", type=_count, metavar="N", help="the most papers of each query, search or harvest"
        )
        again = parser.add_mutually_exclusive_group()
        again.add_argument("--resume", action="store_true", help="go on where the last run stopped (as without it)")
        again.add_argument("--restart", action="store_true", help="begin anew, and fetch also what has not changed")
        parser.add_argument("--no-index", action="store_true", help="leave the search index to the worker")
        parser.add_argument("--status", action="store_true", help="show the daily job and what broke off, read nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["status"]:
            self.stdout.write("\n".join(status_lines()))
            return
        if not options["targets"]:
            raise CommandError(f"name at least one target: {'; '.join(FORMS)}")
        reports: list[PageReport] = []
        interrupted = False
        with self._progress(hidden=options["json"] or not sys.stderr.isatty()) as progress:
            run = Run(limit=options["limit"], restart=options["restart"], dry_run=options["dry_run"], progress=progress)
            try:
                for report in read_targets(parse_targets(options["targets"], run.today), run):
                    reports.append(report)
                    if not options["json"]:
                        self._say(report)
            except (TargetError, FileNotFoundError) as fault:
                raise CommandError(str(fault)) from None
            except KeyboardInterrupt:
                interrupted = True
        if not reports and not interrupted:
            raise CommandError(
                f"no page found: the folders named hold no file that ends in {', '.join(sorted(SUFFIXES))}"
            )
        self._close(reports, options)
        self._end(reports, interrupted)

    @contextmanager
    def _progress(self, hidden: bool) -> Iterator[Any]:
        columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
        with Progress(*columns, console=Console(stderr=True), disable=hidden, transient=True) as bars:
            tasks: dict[str, Any] = {}

            def show(name: str, done: int, total: int) -> None:
                if name not in tasks:
                    tasks[name] = bars.add_task(name[:60], total=None)
                bars.update(tasks[name], completed=done, total=total or None)

            yield show

    def _say(self, report: PageReport) -> None:
        if report.layout:
            self.stdout.write(self._counts(report))
        for refusal in report.refused:
            where = f"{refusal['file']}, line {refusal['line']}" if refusal["line"] else refusal["file"]
            word = "" if report.layout else "not fetched: " if report.unfinished else "refused: "
            self.stderr.write(f"{'  ' if report.layout else ''}{where}: {word}{refusal['reason']}")
        if (more := report.refused_count - len(report.refused)) > 0:
            self.stderr.write(f"  {report.name}: and {more} more that were refused")

    def _counts(self, report: PageReport) -> str:
        if report.layout == UNCHANGED:
            return f"{report.name}: nothing new since it was last read"
        return (
            f"{report.name}: {report.read} entries read, {report.new} new, {report.updated} updated, "
            f"{report.duplicate} already known"
            + (f", {report.unmatched} links of papers that are not known" if report.unmatched else "")
        )

    def _close(self, reports: list[PageReport], options: dict[str, Any]) -> None:
        totals: dict[str, Any] = {key: sum(getattr(r, key) for r in reports) for key in COUNTS}
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

    def _end(self, reports: list[PageReport], interrupted: bool) -> None:
        again = "run the same command again to go on, or with --restart to begin anew"
        if interrupted:
            raise CommandError(f"interrupted; what was read is kept: {again}", returncode=INTERRUPTED)
        broken = [report.name for report in reports if report.unfinished]
        if all(not report.layout for report in reports):
            raise CommandError(
                f"nothing was fetched: {again}" if broken else "none of the files could be read as a page of papers",
                returncode=NOTHING_READ,
            )
        if broken:
            raise CommandError(f"not fetched to the end: {', '.join(broken)}; {again}", returncode=NOT_ALL_READ)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not int(text):
        raise ArgumentTypeError(f"{text!r} is no number of papers; write one like 500")
    return int(text)
