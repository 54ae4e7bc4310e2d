"""By what papers and techniques are ranked: figures of their claims, and of the verdicts from GPUs that stand for these.

What counts as measured is a verdict from a GPU that decides: one from a CPU, or one that is inconclusive, not comparable
or rejected, does not say how much a technique gains.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Case, Exists, ExpressionWrapper, F, FloatField, Max, OuterRef, Q, QuerySet, Subquery, When

from papers.models import Claim, DeviceKind, Direction, Verdict
from papers.models.claim import is_visible


@dataclass(frozen=True)
class Figures:
    """Ratios of one paper, above 1 for a gain; None where nothing is claimed or measured. For `gap` see `RANKINGS`."""

    claimed: float | None = None
    measured: float | None = None
    gap: float | None = None


def standing_measured() -> QuerySet[Verdict]:
    """Of each claim of a gain its newest deciding verdict from a GPU, with a ratio; as `papers.standing.settle` has it."""
    deciding = Verdict.objects.current().decisive().exclude(run__device_kind=DeviceKind.CPU).order_by()
    newer = deciding.filter(claim=OuterRef("claim"), pk__gt=OuterRef("pk"))
    return deciding.filter(is_visible("claim__"), ~Q(claim__direction=Direction.WORSE), ~Exists(newer), ratio__gt=0)


def _claimed() -> QuerySet[Any]:
    return Claim.objects.visible().filter(~Q(direction=Direction.WORSE), ratio__gt=0).order_by()


def _compared() -> QuerySet[Any]:
    return standing_measured().filter(claim__ratio__gt=0)


@dataclass(frozen=True)
class Ranking:
    """An order by a figure, the largest first; whatever has none comes last.

    rows: what the figure is taken from; key: the way from there to the paper; figure: of which the largest counts.
    """

    rows: Callable[[], QuerySet[Any]]
    key: str
    figure: Any

    def papers(self) -> QuerySet[Any]:
        """Keys of the papers that have the figure."""
        return self.rows().values(self.key)

    def of(self, paper: str = "pk") -> Case:
        """The figure of a row's paper, or nothing; `paper` is the row's way to the paper's key.

        Only of papers that are known to have one it is worked out: measured ones are few among many.
        """
        mine = self.rows().filter(**{self.key: OuterRef(paper)}).values(self.key)
        most = Subquery(mine.annotate(most=Max(self.figure)).values("most"), output_field=FloatField())
        return Case(When(**{f"{paper}__in": self.papers()}, then=most), default=None, output_field=FloatField())


RANKINGS = {
    # The largest gain that a paper claims, as a ratio.
    "claimed": Ranking(_claimed, "paper_id", F("ratio")),
    # The largest gain that stands for one of its claims.
    "measured": Ranking(standing_measured, "claim__paper_id", F("ratio")),
    # Claimed ÷ measured of the claim that held least: 4 says that a quarter of the ratio was found.
    "gap": Ranking(
        _compared, "claim__paper_id", ExpressionWrapper(F("claim__ratio") / F("ratio"), output_field=FloatField())
    ),
}


def figures_of(papers: Iterable[int]) -> dict[int, Figures]:
    """The figures of the papers with these keys."""
    wanted = list(papers)
    found: dict[int, dict[str, float]] = {paper: {} for paper in wanted}
    for name, ranking in RANKINGS.items():
        mine = ranking.rows().filter(**{f"{ranking.key}__in": wanted}).values(ranking.key)
        for paper, most in mine.annotate(most=Max(ranking.figure)).values_list(ranking.key, "most"):
            found[paper][name] = most
    return {paper: Figures(**given) for paper, given in found.items()}
