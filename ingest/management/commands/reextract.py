import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ingest.reextraction import Summary, reextract, stale_papers, summarise
from papers.models import Paper


class Command(BaseCommand):
    help = (
        "Show what the present extractor would change in records that an older one made, and with --apply change it. "
        "What people edited or decided stays."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("papers", nargs="*", metavar="PAPER", help="slug or arXiv id; default: all")
        parser.add_argument("--apply", action="store_true", help="write, after the summary and a question")
        parser.add_argument("--yes", action="store_true", help="with --apply: do not ask")
        parser.add_argument("--limit", type=int, metavar="N", help="at most N papers, those that came first")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")
        parser.add_argument("--no-index", action="store_true", help="leave the search index to the worker")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["limit"] is not None and options["limit"] < 1:
            raise CommandError(f"--limit: {options['limit']} is not a number of papers from 1 on")
        if options["apply"] and not options["yes"] and (options["json"] or not sys.stdin.isatty()):
            raise CommandError("--apply asks before it writes; where nobody can answer, add --yes")
        try:
            papers = stale_papers(options["papers"], options["limit"])
        except LookupError as fault:
            raise CommandError(fault.args[0]) from None
        summary = self._with_progress("comparing", papers, options, summarise)
        if not options["json"]:
            self._say(summary)
        applied = None
        if options["apply"] and summary.papers and (options["yes"] or self._agreed(summary)):
            applied = self._with_progress("writing", papers, options, reextract)
        if options["json"]:
            self.stdout.write(json.dumps(summary.to_json() | {"applied": applied}))
        elif applied is not None:
            self.stdout.write(self.style.SUCCESS(f"{summary.papers} records are of version {summary.version} now."))
        elif summary.papers:
            self.stdout.write("Nothing was written." + ("" if options["apply"] else " --apply writes it."))
        if applied and not options["no_index"]:
            call_command("build_index", quiet=options["json"])

    def _with_progress(
        self, word: str, papers: QuerySet[Paper], options: dict[str, Any], work: Callable[..., Any]
    ) -> Any:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
        quiet = options["json"] or not sys.stderr.isatty()
        with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as progress:
            task = progress.add_task(word, total=papers.count())
            return work(papers, lambda done: progress.update(task, completed=done))

    def _say(self, summary: Summary) -> None:
        if not summary.papers:
            self.stdout.write(f"Every record is of version {summary.version} or newer.")
            return
        self.stdout.write(
            f"{summary.papers} records are older than version {summary.version}: {summary.new} new, "
            f"{summary.changed} would say something else."
        )
        for name, count in summary.fields.most_common():
            self.stdout.write(f"  {name}: {papers_of(count)}")
            for change, times in summary.most_common(name):
                self.stdout.write(f"    {name}: {change} ({papers_of(times)})")
        for what, count in summary.claims.items():
            self.stdout.write(f"  claims {what}: {count}")
            for example in summary.claim_examples[what]:
                self.stdout.write(f"    {example}")

    def _agreed(self, summary: Summary) -> bool:
        answer = input(f"Write {papers_of(summary.papers)}? [y/N] ")
        return answer.strip().casefold() in ("y", "yes")


def papers_of(count: int) -> str:
    return f"{count} paper{'' if count == 1 else 's'}"
