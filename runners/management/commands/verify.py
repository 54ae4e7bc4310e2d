import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet

from papers.models import Implementation, Run
from runners.services import RunRefused, request_run


class Command(BaseCommand):
    help = "Queue verification runs and follow them. A worker must be running (script/server starts one)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "names", nargs="*", metavar="NAME", help="implementations, as `python -m runners.bench list` shows"
        )
        parser.add_argument("--all", action="store_true", help="every implementation")
        parser.add_argument("--device", choices=["cpu", "cuda"], default="", help="default: a GPU where there is one")
        parser.add_argument(
            "--mode",
            choices=["run", "sweep", "check"],
            default="run",
            help="run: time the workloads; sweep: time along the card's axis; check: answers only (default: run)",
        )
        parser.add_argument("--wait", action="store_true", help="follow the runs to their end; exit 1 if any failed")

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["names"]) == options["all"]:
            raise CommandError("name implementations, or give --all")
        present = Implementation.objects.filter(retired_at=None)
        chosen = present if options["all"] else present.filter(name__in=options["names"])
        if missing := set(options["names"]) - set(chosen.values_list("name", flat=True)):
            raise CommandError(
                f"no implementation is called {', '.join(sorted(missing))}; see `python -m runners.bench list`"
            )
        try:
            runs = [request_run(one, None, options["device"], options["mode"]) for one in self._able(chosen, options)]
        except RunRefused as fault:
            raise CommandError(str(fault)) from None
        for run in runs:
            self.stdout.write(f"run {run.pk}: {run.implementation.name} queued for {run.device_kind}")
        if options["wait"]:
            self._follow([run.pk for run in runs])

    def _able(self, chosen: QuerySet[Implementation], options: dict[str, Any]) -> list[Implementation]:
        """Of --all those whose cards name an axis, where a sweep is asked for; what was named is asked for as it is."""
        left_out = [
            one for one in chosen if options["all"] and options["mode"] == "sweep" and not one.card.get("sweep")
        ]
        for one in left_out:
            self.stderr.write(f"{one.name}: left out, its card names no axis to sweep")
        return [one for one in chosen if one not in left_out]

    def _follow(self, ids: list[int]) -> None:
        shown: dict[int, tuple[str, str]] = {}
        while True:
            runs = list(Run.objects.filter(pk__in=ids).select_related("implementation").order_by("pk"))
            for run in runs:
                now = (run.state, run.phase)
                if shown.get(run.pk) != now:
                    shown[run.pk] = now
                    self.stdout.write(
                        f"run {run.pk} {run.implementation.name}: {run.state} {run.phase or run.failure_detail}"
                    )
            if all(run.is_final for run in runs):
                break
            time.sleep(0.5)
        for run in runs:
            for verdict in run.verdicts.select_related("claim"):
                ratio = f" (measured {verdict.ratio:.2f}×)" if verdict.ratio else ""
                self.stdout.write(
                    f"{run.implementation.name}: {verdict.claim}: {verdict.outcome}{ratio}. {verdict.reason}"
                )
        if any(run.state != "finished" or run.failure_reason == "incorrect" for run in runs):
            raise CommandError("not every run passed; the lines above say which and why")
