import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from papers.encoding.encoders import EncoderError
from recommender.index import IndexBusy
from recommender.services import build_index, index_is_behind


class Command(BaseCommand):
    help = "Bring the search index up to the database. Papers whose text is unchanged are not encoded again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--quiet", action="store_true", help="no progress and no closing line")
        parser.add_argument("--if-behind", action="store_true", help="do nothing where the index is up to date")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["if_behind"] and not index_is_behind():
            return
        columns = TextColumn("Encoding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        hidden = options["quiet"] or not sys.stderr.isatty()
        with Progress(*columns, console=Console(stderr=True), disable=hidden, transient=True) as progress:
            task = progress.add_task("encoding", total=None)
            try:
                manifest = build_index(lambda done, total: progress.update(task, completed=done, total=total))
            except (EncoderError, IndexBusy) as fault:
                raise CommandError(str(fault)) from None
        if not options["quiet"]:
            self.stdout.write(f"Index of {manifest.count} papers is in place; {manifest.encoded} were encoded anew.")
