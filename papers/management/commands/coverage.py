import json
from argparse import ArgumentParser
from io import StringIO
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table

from papers.coverage import (
    FIELDS,
    NEEDS_LABELS,
    STATE_LABELS,
    WAVE_LABELS,
    Row,
    Tally,
    by_family,
    by_wave,
    chosen_rows,
    coverage_rows,
    problems_of,
    tally,
)
from papers.vocabulary import FAMILY_LABELS


class Command(BaseCommand):
    help = "Which systems of the corpus can be run, were checked, and were verified on which GPU."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--wave", default="", help=f"one of: none, {', '.join(w for w in WAVE_LABELS if w)}")
        parser.add_argument("--family", default="", help="a family of techniques, such as kv-cache")
        parser.add_argument("--state", default="", help=f"one of: {', '.join(STATE_LABELS)}")
        parser.add_argument("--needs", default="", help=f"what it takes; one of: {', '.join(NEEDS_LABELS)}")
        parser.add_argument("--words", default="", help="only systems whose title or mechanism has these words")
        parser.add_argument("--list", action="store_true", help="every system, not only the counts")
        parser.add_argument("--json", action="store_true", help="one JSON object with counts and systems")

    def handle(self, *args: Any, **options: Any) -> None:
        question = {name: options[name].strip() for name in FIELDS}
        if problems := problems_of(question, FAMILY_LABELS):
            raise CommandError(" ".join(f"--{name}: {problem}" for name, problem in problems.items()))
        rows = coverage_rows()
        chosen = chosen_rows(rows, **question)
        waves, families = list(by_wave(chosen)), list(by_family(chosen, FAMILY_LABELS))
        if options["json"]:
            found = {
                "all": tally("", "All", chosen).to_json(),
                "waves": [one.to_json() for one in waves],
                "families": [one.to_json() for one in families],
                "systems": [row.to_json() for row in chosen],
            }
            self.stdout.write(json.dumps(found, ensure_ascii=False, indent=2))
            return
        text = StringIO()
        console = Console(file=text, width=None if self.stdout.isatty() else 120)
        _counts(console, "Wave", waves)
        _counts(console, "Family", families)
        if options["list"] or any(question.values()):
            _systems(console, chosen)
        self.stdout.write(text.getvalue().rstrip())


def _counts(console: Console, title: str, tallies: list[Tally]) -> None:
    if not tallies:
        return
    table = Table(title, box=None)
    for name in ("Systems", "Runnable", "Checked", "Verified"):
        table.add_column(name, justify="right")
    for one in tallies:
        table.add_row(one.title, *(str(n) for n in (one.systems, one.runnable, one.checked, one.verified)))
    console.print(table)
    console.print()


def _systems(console: Console, rows: list[Row]) -> None:
    if not rows:
        console.print("No system matches; take one of the conditions away.")
        return
    table = Table("System", "State", "Implementation", "Wave", box=None)
    for row in rows:
        state = STATE_LABELS[row.state] + (f": {', '.join(row.verified_on)}" if row.verified_on else "")
        table.add_row(row.title, state, ", ".join(row.implementations), row.wave)
    console.print(table)
