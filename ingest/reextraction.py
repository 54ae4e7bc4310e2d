"""Bringing stored records up to the extractor that is here: what would change, and changing it.

A record that is up to date carries the present version, so a run that was stopped goes on where it was. What a person
or a card set is left alone by the services.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import tee
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet

from ingest import services
from ingest.endpoint import services as endpoint
from ingest.extraction import EXTRACTOR_VERSION
from ingest.records import BY_WORDS, heard_ahead, records_of, wanted_version
from papers.models import Claim, Paper, Technique
from papers.services import diff_record

BATCH = 100
EXAMPLES = 5
# Where a change is worth an example; the words behind a decision change with every rule.
COUNTED_ONLY = ("reasons",)

Progress = Callable[[int], None]


@dataclass
class Summary:
    """What re-extraction changes. `fields` counts papers by field, `changes` by what it said and what it would say."""

    version: str
    papers: int = 0
    new: int = 0
    changed: int = 0
    fields: Counter[str] = field(default_factory=Counter)
    changes: dict[str, Counter[str]] = field(default_factory=dict)
    claims: Counter[str] = field(default_factory=Counter)
    claim_examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, paper: Paper, changes: dict[str, tuple[Any, Any]], claims: dict[str, list[Claim]], new: bool) -> None:
        self.papers += 1
        self.new += new
        self.changed += not new and bool(changes or any(claims.values()))
        for name, (before, after) in changes.items() if not new else ():
            self.fields[name] += 1
            if name not in COUNTED_ONLY:
                self.changes.setdefault(name, Counter())[f"{shown(before)} -> {shown(after)}"] += 1
        for what, rows in claims.items():
            self.claims[what] += len(rows)
            examples = self.claim_examples.setdefault(what, [])
            examples += [f"{c.metric} {c.figure} ({paper.title[:60]})" for c in rows[: EXAMPLES - len(examples)]]

    def most_common(self, name: str) -> list[tuple[str, int]]:
        """The commonest changes of a field, with how many papers each is of."""
        return self.changes.get(name, Counter()).most_common(EXAMPLES)

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "papers": self.papers,
            "new": self.new,
            "changed": self.changed,
            "fields": {
                name: {"papers": count, "examples": dict(self.most_common(name))}
                for name, count in self.fields.most_common()
            },
            "claims": {
                what: {"claims": self.claims[what], "examples": self.claim_examples[what]} for what in self.claims
            },
        }


def stale_papers(named: Iterable[str] = (), limit: int | None = None) -> QuerySet[Paper]:
    """Papers with an abstract whose record is missing or older than the extractor, oldest first.

    `named` narrows them to these slugs or arXiv ids; a record of a newer extractor is none of them.

    Raises: LookupError naming the first that is no paper.
    """
    papers = Paper.objects.visible().exclude(abstract="").order_by("pk")
    if named := list(named):
        known = set(Paper.objects.filter(Q(slug__in=named) | Q(arxiv_id__in=named)).values_list("slug", "arxiv_id"))
        if missing := [name for name in named if not any(name in ids for ids in known)]:
            raise LookupError(f"{missing[0]}: is neither the slug nor the arXiv id of a paper here")
        papers = papers.filter(Q(slug__in=named) | Q(arxiv_id__in=named))
    versions = Technique.objects.order_by().values_list("extractor_version", flat=True).distinct()
    older = [version for version in versions if _is_older(version)]
    stale = papers.filter(Q(technique=None) | Q(technique__extractor_version__in=older))
    if limit is not None:
        stale = Paper.objects.filter(pk__in=list(stale.values_list("pk", flat=True)[:limit])).order_by("pk")
    return stale


def _is_older(version: str) -> bool:
    """Whether a record of this version is to be made anew. One that no extractor made is older than any."""
    made, here = _numbers(version), _numbers(wanted_version())
    if made is None or here is None:
        return version != wanted_version()
    return made < here


def _numbers(version: str) -> tuple[int, ...] | None:
    """The parts of a version, and last whether the encoder read too."""
    plain, plus, how = version.partition("+")
    parts = plain.split(".")
    if (plus and f"+{how}" != BY_WORDS[len(EXTRACTOR_VERSION) :]) or not all(
        p.isascii() and p.isdigit() for p in parts
    ):
        return None
    return (*map(int, parts), 0 if plus else 1)


def summarise(papers: QuerySet[Paper], progress: Progress = lambda done: None) -> Summary:
    """What re-extraction of the papers would change. Writes nothing."""
    summary = Summary(wanted_version())
    ahead, read = tee(papers.prefetch_related("claims").iterator(chunk_size=BATCH))
    records = records_of((paper.title, paper.abstract) for paper in read)
    for paper, found in zip(ahead, records, strict=True):
        record = endpoint.raise_confidence(paper, found.to_json())
        diff = diff_record(paper, record)
        plan = diff.claims
        claims = {
            "new": [*plan.new, *plan.restored],
            "changed": [*plan.changed, *plan.moved],
            "withdrawn": plan.withdrawn,
        }
        summary.add(paper, diff.fields, claims, diff.is_new)
        progress(summary.papers)
    return summary


def reextract(papers: QuerySet[Paper], progress: Progress = lambda done: None) -> int:
    """Bring the papers' records up to the extractor, a batch at a time; how many records changed in what they say.

    A failure leaves the batches before it done, and the next run goes on behind them.
    """
    changed = done = 0
    for pks in _batches(papers):
        with heard_ahead(papers.filter(pk__in=pks).values_list("title", "abstract")), transaction.atomic():
            # Read anew and held, so that an abstract that was replaced meanwhile is the one that is read.
            batch = Paper.objects.select_for_update().filter(pk__in=pks).order_by("pk")
            changed += len(services.extract_papers(batch))
            done += len(pks)
        progress(done)
    return changed


def _batches(papers: QuerySet[Paper]) -> Iterator[list[int]]:
    """The keys of the papers as they are now: those that a batch finishes leave the set, and shall not shift it."""
    pks = list(papers.values_list("pk", flat=True))
    for start in range(0, len(pks), BATCH):
        yield pks[start : start + BATCH]


def shown(value: Any) -> str:
    """A field's value in a line of the summary."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "(none)"
    if isinstance(value, dict):
        return str(value.get("quote") or value)[:60]
    return "(none)" if value in (None, "") else str(value)[:60]
