import json
from argparse import ArgumentParser
from io import StringIO
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.http import QueryDict
from rich.console import Console
from rich.table import Table

from papers.filters import PaperFilter
from papers.models import Paper
from recommender.services import Asked, SearchResult, papers_named, refresh_index, search

FILTERS = ("family", "modality", "stage", "hardware", "metric", "kind", "training", "runnable", "verified")
MOST = 100


class Command(BaseCommand):
    help = "Search papers by words, by a pasted abstract, or by papers that the answers shall and shall not resemble."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("words", nargs="*", metavar="WORDS", help="words, or an abstract in quotes")
        for name, what in (("like", "that the answers shall resemble"), ("unlike", "that they shall not resemble")):
            parser.add_argument(
                f"--{name}", action="append", default=[], metavar="PAPER", help=f"slug or arXiv id {what}"
            )
        for name in FILTERS:
            parser.add_argument(
                f"--{name}", action="append", default=[], metavar="VALUE", help=f"only this {name}; may be repeated"
            )
        parser.add_argument("--exact", action="store_true", help="take words as they are typed")
        parser.add_argument("--limit", type=int, default=10, help=f"1 to {MOST} papers (default: 10)")
        parser.add_argument("--json", action="store_true", help="one JSON object with scores and their parts")

    def handle(self, *args: Any, **options: Any) -> None:
        text = " ".join(options["words"]).strip()
        if not 1 <= options["limit"] <= MOST:
            raise CommandError(f"--limit: {options['limit']} is out of range; use 1 to {MOST}")
        like, unlike = (self._examples(name, options[name]) for name in ("like", "unlike"))
        if not text and not like:
            raise CommandError("give words to search for, or --like PAPER")
        refresh_index()
        found = search(
            Asked(
                text=text, like=like, unlike=unlike, allowed_ids=self._allowed(options), limit=options["limit"],
                exact=options["exact"],
            )
        )  # fmt: skip
        papers = Paper.objects.in_bulk([hit.id for hit in found.hits])
        self.stdout.write(_as_json(text, found, papers) if options["json"] else self._as_table(found, papers))

    def _examples(self, name: str, names: list[str]) -> tuple[int, ...]:
        named, unknown = papers_named(names)
        if unknown:
            raise CommandError(f"--{name}: no paper is called {unknown[0]!r}; use a slug or an arXiv id")
        return tuple(paper.pk for paper in named)

    def _allowed(self, options: dict[str, Any]) -> set[int] | None:
        given = QueryDict(mutable=True)
        for name in FILTERS:
            given.setlist(name, options[name])
        chosen = PaperFilter(given, queryset=Paper.objects.visible())
        if not chosen.is_valid():
            field, messages = next(iter(chosen.errors.items()))
            raise CommandError(f"--{field}: {messages[0]}")
        return set(chosen.qs.values_list("pk", flat=True)) if chosen.narrows else None

    def _as_table(self, found: SearchResult, papers: dict[int, Paper]) -> str:
        text = StringIO()
        console = Console(file=text, width=None if self.stdout.isatty() else 120)
        for line in (found.note, found.corrected and f"Showing results for: {found.corrected}"):
            if line:
                console.print(line, highlight=False, markup=False)
        if not found.hits:
            console.print("No paper matches; take a filter away or use other words.")
        else:
            table = Table("Score", "Paper", "Year", box=None)
            for hit in found.hits:
                paper = papers[hit.id]
                table.add_row(f"{hit.score:.2f}", paper.title, str(paper.year or ""))
            console.print(table)
        return text.getvalue().rstrip()


def _as_json(text: str, found: SearchResult, papers: dict[int, Paper]) -> str:
    rows = [
        {
            "title": papers[hit.id].title,
            "slug": papers[hit.id].slug,
            "arxiv_id": papers[hit.id].arxiv_id,
            "score": round(hit.score, 4),
            "parts": {name: round(part, 4) for name, part in hit.parts.items()},
            "snippet": "".join(piece for piece, _ in hit.snippet),
        }
        for hit in found.hits
    ]
    whole = {"query": text, "corrected": found.corrected, "note": found.note, "total": found.total, "results": rows}
    return json.dumps(whole, ensure_ascii=False)
