import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from ingest.endpoint import services
from ingest.endpoint.config import EndpointConfig, wrong_settings
from ingest.endpoint.configured import endpoint_config
from ingest.endpoint.errors import EndpointError
from ingest.endpoint.prompt import PROMPT_VERSION
from ingest.endpoint.run import RunReport, read_papers
from ingest.models.endpoint import unread
from papers.models import Paper
from papers.models.paper import PaperQuerySet

INTERRUPTED = 130


class Command(BaseCommand):
    help = (
        "Have the endpoint read papers beside the rules: agreement raises confidence, the rest goes to review. "
        "Papers whose present text was read already are passed over, so that the command may be run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("papers", nargs="*", metavar="PAPER", help="a paper's slug or arXiv id")
        parser.add_argument("--all", action="store_true", help="every paper with an abstract")
        parser.add_argument(
            "--missing", action="store_true", help="papers that were not read, but for those that failed three times"
        )
        parser.add_argument("--limit", type=int, metavar="N", help="ask about at most N papers")
        parser.add_argument("--again", action="store_true", help="ask also about papers that were read")
        parser.add_argument("--dry-run", action="store_true", help="show what would be asked; asks and writes nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of lines")

    def handle(self, *args: Any, **options: Any) -> None:
        config = endpoint_config()
        if not config.is_on:
            raise CommandError("no endpoint is set: give ENDPOINT_URL and ENDPOINT_MODEL (docs/guide/endpoint.md)")
        if wrong := wrong_settings(config):
            raise CommandError(f"{wrong[0].setting} {wrong[0].problem}. {wrong[0].hint}")
        keys = self._chosen(config, options)
        if options["dry_run"]:
            self._foretell(keys, config, options)
            return
        report = self._read(keys, config, options)
        self._close(report, as_json=options["json"])

    def _chosen(self, config: EndpointConfig, options: dict[str, Any]) -> list[int]:
        """Keys of the papers to be asked about. Raises: CommandError where none or contradictory ones are named."""
        named, limit = options["papers"], options["limit"]
        if sum(map(bool, (named, options["all"], options["missing"]))) != 1:
            raise CommandError("name papers, or give --all, or give --missing; one of the three")
        if limit is not None and limit < 1:
            raise CommandError(f"--limit {limit}: give a number of at least 1")
        if named:
            keys = [self._named(name).pk for name in named]
        else:
            every: PaperQuerySet = Paper.objects.visible().exclude(abstract="").order_by("pk")
            found = unread(every, config.model, PROMPT_VERSION) if options["missing"] else every
            keys = list(found.values_list("pk", flat=True))
        if limit is None:
            return keys
        asked = keys if options["again"] else (p.pk for p in _papers(keys) if not services.is_current(p, config))
        return [*islice(asked, limit)]

    def _named(self, name: str) -> Paper:
        paper = Paper.objects.filter(Q(slug=name) | Q(arxiv_id=name)).first()
        if paper is None:
            raise CommandError(f"{name}: no paper has this slug or arXiv id")
        if not paper.abstract:
            raise CommandError(f"{name}: has no abstract that could be read")
        return paper

    def _foretell(self, keys: list[int], config: EndpointConfig, options: dict[str, Any]) -> None:
        asked = [p for p in _papers(keys) if options["again"] or not services.is_current(p, config)]
        left = services.requests_left(config.daily_limit)
        if options["json"]:
            told = {"would_ask": [paper.slug for paper in asked], "already_read": len(keys) - len(asked)}
            self.stdout.write(json.dumps({**told, "model": config.model, "requests_left_today": left}))
            return
        for paper in asked:
            self.stdout.write(f"would ask about {paper.slug}: {paper.title}")
        self.stdout.write(
            f"{len(asked)} papers would be asked about with {config.model}, {len(keys) - len(asked)} are read already; "
            f"{left} requests are left today."
        )

    def _read(self, keys: list[int], config: EndpointConfig, options: dict[str, Any]) -> RunReport:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
        quiet = options["json"] or not sys.stderr.isatty()

        def interrupted(on_the_way: int) -> None:
            told = f"Stopping: {on_the_way} answers are on their way and will be stored; Ctrl-C again drops them."
            self.stderr.write(told)

        with Progress(*columns, console=Console(stderr=True), disable=quiet, transient=True) as progress:
            task = progress.add_task("reading", total=len(keys))

            def told(paper: Paper, what: str) -> None:
                progress.update(task, advance=1)
                if what not in {"read", "already read"} and not options["json"]:
                    self.stderr.write(f"{paper.slug}: {what}")

            try:
                papers, again = _papers(keys), options["again"]
                return read_papers(papers, config, again=again, on_paper=told, on_interrupt=interrupted)
            except EndpointError as fault:
                raise CommandError(fault.message) from None

    def _close(self, report: RunReport, *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps(report.to_json()))
        else:
            self.stdout.write(_summary(report))
        if report.interrupted:
            raise CommandError("interrupted; run it again to go on", returncode=INTERRUPTED)
        if report.stopped:
            raise CommandError(f"stopped: {report.stopped}")
        if report.failed and not report.read:
            raise CommandError("no paper could be read")


def _papers(keys: Iterable[int]) -> Iterator[Paper]:
    """Papers as they are when their turn comes, which in a long run is not what they were at its start."""
    for key in keys:
        yield from Paper.objects.filter(pk=key)


def _summary(report: RunReport) -> str:
    passed = f", {report.already_read} were read already" if report.already_read else ""
    passed += f", {report.taken_elsewhere} are being read elsewhere" if report.taken_elsewhere else ""
    failed = f", {len(report.failed)} got no answer" if report.failed else ""
    return (
        f"{report.read} papers read{passed}{failed}.\n"
        f"Agreed: {report.agreed_fields} fields, {report.agreed_claims} claims. Differing: {report.differing}. "
        f"Claims that only the endpoint found: {report.proposals}. Questions opened for review: {report.opened}. "
        f"Parts of answers that the text does not bear out: {report.refused}.\n"
        f"Spent: {report.requests} requests, {report.prompt_tokens} tokens read, {report.completion_tokens} written."
    )
