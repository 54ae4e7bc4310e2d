"""The tables of the data set: what each row says, made alike for exports, the change feed and their descriptions.

A row depends on its own record alone, withdrawn ones included with the time, so that a mirror which follows the changes
ends with what an export holds.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Model, QuerySet

from api.exports.columns import Column
from papers.models import FINAL_STATES, Claim, Implementation, Measurement, Paper, Run, Technique, Verdict, heavy_fields

SCHEMA_VERSION = 1
_CHUNK = 500
Row = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """`records` gives the rows' objects, `row` what one of them says."""

    name: str
    kind: str  # of the record in the change feed; blank where another record holds it
    about: str
    columns: tuple[Column, ...]
    records: Callable[[], QuerySet[Any]]
    row: Callable[[Any], Row]

    def shown(self, texts: bool) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if texts or not column.is_text_of_others)

    def rows(self, texts: bool = False) -> Iterator[Row]:
        """All rows in the order of their keys, some at a time in memory."""
        for record in self.records().order_by("pk").iterator(chunk_size=_CHUNK):
            yield self.row_of(record, texts)

    def row_of(self, record: Model, texts: bool = False) -> Row:
        said = self.row(record)
        return {column.name: said[column.name] for column in self.shown(texts)}

    def rows_by_key(self, keys: Iterable[int], texts: bool = False) -> dict[int, Row]:
        found = self.records().filter(pk__in=list(keys))
        return {record.pk: self.row_of(record, texts) for record in found}


def _same_named(record: Any, columns: Iterable[Column], **others: Any) -> Row:
    return {c.name: others[c.name] if c.name in others else getattr(record, c.name) for c in columns}


# ── papers ──────────────────────────────────────────────────────────────────────────────────────────────────────────
_PAPER = (
    Column("id", "integer"),
    Column("slug", "text", "The paper's address: /papers/<slug>/."),
    Column("title", "text"),
    Column("arxiv_id", "text", "Without version."),
    Column("doi", "text"),
    Column("year", "integer"),
    Column("published_on", "date"),
    Column("authors", "texts", "As sources name them; not always all."),
    Column("author_count", "integer"),
    Column("votes", "integer", "Of the source's readers; they only rise."),
    Column("summary", "text", "In our own words, where an implementation is here."),
    Column("code_links", "json", "Objects with url, official, framework and said_by."),
    Column("other_titles", "texts"),
    Column("merged_into", "text", "Slug of the paper that this one turned out to be."),
    Column("created_at", "time"),
    Column("updated_at", "time"),
    Column("withdrawn_at", "time", "Set where the paper left the lists."),
    Column("abstract", "text", "Belongs to the authors.", is_text_of_others=True),
)


def _paper(paper: Paper) -> Row:
    links = [
        {"url": link.url, "official": link.official, "framework": link.framework, "said_by": link.said_by}
        for link in paper.code_links.all()
    ]
    return _same_named(
        paper,
        _PAPER,
        code_links=links,
        other_titles=[other.title for other in paper.other_titles.all()],
        merged_into=paper.merged_into.slug if paper.merged_into else None,
    )


# ── techniques ──────────────────────────────────────────────────────────────────────────────────────────────────────
_TECHNIQUE = (
    Column("id", "integer"),
    Column("paper", "text", "Slug of the paper."),
    Column("kind", "text"),
    Column("name", "text"),
    Column("families", "texts", "Primary first."),
    Column("modality", "texts"),
    Column("stage", "texts"),
    Column("hardware", "texts", "As the paper names it."),
    Column("training_free", "boolean", "Empty where the paper does not say."),
    Column("verify", "text", "What it takes to reproduce the mechanism."),
    Column("mechanism", "text"),
    Column("code_urls", "texts", "Addresses that the abstract names."),
    Column("extractor_version", "text"),
    Column("edited_fields", "texts", "Fields that a person or a card set."),
    Column("updated_at", "time"),
    Column("quality_cost", "json", "With the words of the abstract that say it.", is_text_of_others=True),
)


def _technique(technique: Technique) -> Row:
    return _same_named(technique, _TECHNIQUE, paper=technique.paper.slug)


# ── claims ──────────────────────────────────────────────────────────────────────────────────────────────────────────
_CLAIM = (
    Column("id", "integer"),
    Column("paper", "text", "Slug of the paper."),
    Column("card_key", "text", "Implementation and key of the claim in its card, where a card judges it."),
    Column("statement", "text", "In our own words, from the card."),
    Column("metric", "text"),
    Column("phase", "text"),
    Column("form", "text", "factor, percent or absolute."),
    Column("direction", "text"),
    Column("value", "number", "Claimed by the authors; nobody here measured it."),
    Column("value_max", "number"),
    Column("unit", "text"),
    Column("qualifier", "text"),
    Column("ratio", "number", "What the claim says as baseline ÷ technique: above 1 is better."),
    Column("base_value", "number"),
    Column("base_unit", "text"),
    Column("baseline", "text", "What the paper compares itself with."),
    Column("hardware", "text", "As the paper names it."),
    Column("scope", "text"),
    Column("start", "integer", "Place of the words in the abstract, in characters."),
    Column("end", "integer"),
    Column("rule", "text"),
    Column("confidence", "number", "How sure extraction is, 0 to 1."),
    Column("review", "text", "What a person decided; rejected claims are kept as such."),
    Column("corrected_fields", "texts"),
    Column("created_at", "time"),
    Column("withdrawn_at", "time", "Set where it is no longer found."),
    Column("quote", "text", "The words of the abstract.", is_text_of_others=True),
)


def _claim(claim: Claim) -> Row:
    return _same_named(claim, _CLAIM, paper=claim.paper.slug)


# ── implementations, runs, measurements, verdicts ───────────────────────────────────────────────────────────────────
_IMPLEMENTATION = (
    Column("id", "integer"),
    Column("name", "text"),
    Column("paper", "text", "Slug of the paper."),
    Column("card", "json", "The whole card: baselines, workloads, claims, error budget, effect."),
    Column("card_hash", "text"),
    Column("code_hash", "text"),
    Column("created_at", "time"),
    Column("updated_at", "time"),
    Column("retired_at", "time"),
)


def _implementation(implementation: Implementation) -> Row:
    return _same_named(implementation, _IMPLEMENTATION, paper=implementation.paper.slug)


_RUN = (
    Column("id", "integer"),
    Column("implementation", "text"),
    Column("device_kind", "text", "cpu or cuda; a run on a CPU never decides a claim."),
    Column("device", "text"),
    Column("mode", "text"),
    Column("state", "text"),
    Column("status", "text"),
    Column("requested_at", "time"),
    Column("started_at", "time"),
    Column("finished_at", "time"),
    Column("failure_reason", "text"),
    Column("card_hash", "text"),
    Column("code_hash", "text"),
    Column("harness_version", "text"),
    Column("seed", "integer"),
    Column("python", "text"),
    Column("torch", "text"),
    Column("triton", "text"),
    Column("driver", "text"),
)


def _run(run: Run) -> Row:
    versions = {name: _text_or_none(run.environment.get(name)) for name in ("python", "torch", "triton", "driver")}
    device = run.device.name if run.device else ""
    return _same_named(run, _RUN, implementation=run.implementation.name, device=device, **versions)


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


_MEASUREMENT = (
    Column("id", "integer"),
    Column("run", "integer"),
    Column("implementation", "text"),
    Column("device_kind", "text"),
    Column("device", "text"),
    Column("workload", "text"),
    Column("subject", "text"),
    Column("baseline", "text"),
    Column("measure", "text"),
    Column("unit", "text"),
    Column("scope", "text"),
    Column("median", "number"),
    Column("low", "number", "Bound of the 95 % interval."),
    Column("high", "number"),
    Column("ratio", "number", "Baseline ÷ subject: above 1 is better."),
    Column("ratio_low", "number"),
    Column("ratio_high", "number"),
    Column("pairs", "integer"),
    Column("band", "number", "Half-width of the band in which a difference means nothing on this machine."),
    Column("cap_reached", "boolean"),
)


def _measurement(figure: Measurement) -> Row:
    run = figure.run
    shared = {
        "run": run.pk,
        "implementation": run.implementation.name,
        "device_kind": run.device_kind,
        "device": run.device.name if run.device else "",
    }
    return _same_named(figure, _MEASUREMENT, **shared)


_VERDICT = (
    Column("id", "integer"),
    Column("claim", "integer"),
    Column("run", "integer"),
    Column("implementation", "text"),
    Column("device_kind", "text"),
    Column("outcome", "text"),
    Column("ratio", "number", "Measured, baseline ÷ technique: above 1 is better."),
    Column("low", "number"),
    Column("high", "number"),
    Column("workload", "text"),
    Column("baseline", "text"),
    Column("reason", "text"),
    Column("hardware_note", "text"),
    Column("created_at", "time"),
    Column("withdrawn_at", "time", "Set where the verdict turned out to be wrong; it stays."),
)


def _verdict(verdict: Verdict) -> Row:
    run = verdict.run
    return _same_named(
        verdict,
        _VERDICT,
        claim=verdict.claim_id,
        run=run.pk,
        implementation=run.implementation.name,
        device_kind=run.device_kind,
    )


_WITH_DEVICE = ("implementation", "device")

TABLES = (
    Table(
        "papers", "paper", "Papers, each once, withdrawn ones marked.", _PAPER,
        lambda: Paper.objects.select_related("merged_into").prefetch_related("code_links", "other_titles"), _paper,
    ),
    Table(
        "techniques", "technique", "What each paper's technique is, with its labels.", _TECHNIQUE,
        lambda: Technique.objects.select_related("paper").prefetch_related("labels"), _technique,
    ),
    Table(
        "claims", "claim", "What papers say of their own gain. None of it was measured here.", _CLAIM,
        lambda: Claim.objects.select_related("paper"), _claim,
    ),
    Table(
        "implementations", "implementation", "What can be run here, with its whole card.", _IMPLEMENTATION,
        lambda: Implementation.objects.select_related("paper"), _implementation,
    ),
    Table(
        "runs", "run", "Runs that have ended, whatever came of them.", _RUN,
        lambda: Run.objects.filter(state__in=FINAL_STATES).select_related(*_WITH_DEVICE).defer("records", "log_tail", "skipped"), _run,
    ),
    Table(
        "measurements", "", "Figures of those runs, measured.", _MEASUREMENT,
        lambda: Measurement.objects.filter(run__state__in=FINAL_STATES)
        .select_related("run__implementation", "run__device")
        .defer("samples", *heavy_fields("run")),
        _measurement,
    ),
    Table(
        "verdicts", "verdict", "What a run says of a claim. Append-only; withdrawn ones are marked.", _VERDICT,
        lambda: Verdict.objects.select_related("run__implementation").defer(*heavy_fields("run")),
        _verdict,
    ),
)  # fmt: skip
BY_KIND = {table.kind: table for table in TABLES if table.kind}
BY_NAME = {table.name: table for table in TABLES}
