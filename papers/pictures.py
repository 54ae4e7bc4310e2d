"""Rows of the charts: the same for the chart, the table beneath it, and the API."""

from dataclasses import asdict, dataclass
from typing import Any

from django.urls import reverse

from papers.families import applicable, families
from papers.models import Claim, Direction, Outcome, Verdict, heavy_fields
from papers.standing import standing_of
from papers.vocabulary import label_of

MOST_POINTS = 2_000


@dataclass(frozen=True)
class Point:
    """A claim of a gain and what a GPU measured, both as ratios above 1 for a gain; low and high bound the 95 % interval."""

    technique: str
    page: str
    metric: str
    claimed: float
    measured: float
    low: float
    high: float
    outcome: str
    device: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def claims_against_measurements() -> list[Point]:
    """Claims of a gain whose standing verdict has a ratio from a GPU that speaks of the same thing, newest verdict first."""
    verdicts = (
        Verdict.objects.current()
        .filter(claim__in=Claim.objects.visible().exclude(direction=Direction.WORSE), ratio__gt=0)
        .exclude(outcome__in=(Outcome.REJECTED, Outcome.NOT_COMPARABLE))
        .select_related("claim__paper__technique", "run__device")
        .defer(*heavy_fields("run"), "claim__paper__abstract")
        .order_by("-pk")
    )
    points = []
    for verdict in standing_of(verdicts):
        claimed = verdict.claim.ratio
        if claimed and claimed > 0 and verdict.ratio:
            points.append(_point(verdict, claimed, verdict.ratio))
    return points[:MOST_POINTS]


def _point(verdict: Verdict, claimed: float, measured: float) -> Point:
    paper, device = verdict.claim.paper, verdict.run.device
    record = getattr(paper, "technique", None)
    return Point(
        technique=(record.name if record else "") or paper.title,
        page=reverse("technique", args=[paper.slug]),
        metric=f"{verdict.claim.figure} {label_of(verdict.claim.metric).lower()}",
        claimed=claimed,
        measured=measured,
        low=verdict.low or measured,
        high=verdict.high or measured,
        outcome=Outcome(verdict.outcome).label,
        device=device.name if device else "GPU",
    )


def outcomes_by_family() -> list[dict[str, Any]]:
    """A row for each family and outcome that occurs: how many claims stand so, by verdicts from GPUs."""
    return [
        {"family": family.title, "outcome": Outcome(outcome).label, "claims": number}
        for family in families(applicable())
        for outcome, number in family.outcomes.items()
    ]
