"""Families of techniques: what each is in our words, what is here of it, and how far its claims hold."""

import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import median

from django.db.models import Count, Exists, OuterRef, QuerySet

from papers.models import (
    Claim,
    Direction,
    Facet,
    Implementation,
    Outcome,
    Technique,
    TechniqueLabel,
    Verdict,
    heavy_fields,
)
from papers.standing import rank, standing_of
from papers.vocabulary import FAMILY_LABELS

WORDS = Path(__file__).parent / "data" / "families.toml"
TYPICAL_METRICS = 4
# What lists of techniques are about: things that one can apply. Surveys and data sets are found under papers.
APPLICABLE_KINDS = ("technique", "architecture", "system", "hardware")


def applicable() -> QuerySet[Technique]:
    return Technique.objects.filter(paper__withdrawn_at=None, kind__in=APPLICABLE_KINDS)


@dataclass(frozen=True)
class Words:
    """what: the idea. gains: what it makes cheaper. watch: what to look out for."""

    what: str
    gains: str
    watch: str


@dataclass
class Family:
    """A family with what is known of it here.

    outcomes: claims by the verdict that stands, from a GPU; shares: measured ÷ claimed of those whose verdict decides.
    """

    name: str
    words: Words
    techniques: int = 0
    runnable: int = 0
    claims: int = 0
    metrics: list[tuple[str, int]] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=dict)
    shares: list[float] = field(default_factory=list)

    @property
    def title(self) -> str:
        return FAMILY_LABELS[self.name]

    @property
    def measured(self) -> int:
        return sum(self.outcomes.values())

    @property
    def median_share(self) -> float | None:
        return median(self.shares) if self.shares else None


@cache
def words_of_families() -> dict[str, Words]:
    with WORDS.open("rb") as file:
        return {name: Words(**words) for name, words in tomllib.load(file).items()}


def families(techniques: QuerySet[Technique], only: str = "") -> list[Family]:
    """Every family, or only one, over these techniques, in the order of the vocabulary. A fixed number of queries."""
    words = words_of_families()
    found = {name: Family(name, words[name]) for name in FAMILY_LABELS if not only or name == only}
    labels = TechniqueLabel.objects.filter(facet=Facet.FAMILY, value__in=list(found), technique__in=techniques)
    here = Implementation.objects.filter(paper=OuterRef("technique__paper"), retired_at=None)
    counts = (
        labels.order_by()
        .values("value")
        .annotate(
            number=Count("technique", distinct=True), runnable=Count("technique", distinct=True, filter=Exists(here))
        )
    )
    for row in counts:
        found[row["value"]].techniques, found[row["value"]].runnable = row["number"], row["runnable"]
    _add_claims(found, labels)
    _add_verdicts(found, labels)
    return list(found.values())


def _add_claims(found: dict[str, Family], labels: QuerySet[TechniqueLabel]) -> None:
    claims = Claim.objects.visible().filter(paper__technique__labels__in=labels)
    rows = claims.order_by().values("paper__technique__labels__value", "metric").annotate(number=Count("pk"))
    metrics: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows.filter(paper__technique__labels__facet=Facet.FAMILY):
        metrics[row["paper__technique__labels__value"]][row["metric"]] += row["number"]
    for name, counts in metrics.items():
        if name in found:
            found[name].claims = counts.total()
            found[name].metrics = counts.most_common(TYPICAL_METRICS)


def _add_verdicts(found: dict[str, Family], labels: QuerySet[TechniqueLabel]) -> None:
    """Of each claim the verdict that stands; one from a CPU decides nothing and is left out."""
    verdicts = (
        Verdict.objects.current()
        .filter(claim__in=Claim.objects.visible().filter(paper__technique__labels__in=labels))
        .select_related("claim", "run")
        .defer(*heavy_fields("run"), "reason", "hardware_note")
    )
    standing = standing_of(verdicts)
    of_paper = _families_of({verdict.claim.paper_id for verdict in standing}, labels)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for verdict in standing:
        for name in of_paper[verdict.claim.paper_id]:
            counts[name][verdict.outcome] += 1
            if (share := share_of(verdict)) is not None:
                found[name].shares.append(share)
    for name, outcomes in counts.items():
        found[name].outcomes = {outcome: outcomes[outcome] for outcome in Outcome.values if outcomes[outcome]}


def share_of(verdict: Verdict) -> float | None:
    """Measured ÷ claimed, where the verdict decides about a gain: 1 is all of what the paper says."""
    claimed = verdict.claim.ratio
    decides = rank(verdict)[0] == 0
    if not (decides and verdict.ratio and claimed) or verdict.claim.direction == Direction.WORSE:
        return None
    return verdict.ratio / claimed


def _families_of(papers: Iterable[int], labels: QuerySet[TechniqueLabel]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for paper, name in labels.filter(technique__paper__in=papers).order_by().values_list("technique__paper", "value"):
        found[paper].append(name)
    return found
