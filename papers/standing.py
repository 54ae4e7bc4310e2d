"""Which verdict stands for a claim, and how claims stand all in all."""

from django.db.models import Case, Count, IntegerField, OuterRef, Prefetch, Q, QuerySet, Subquery, Value, When

from papers.models import Claim, DeviceKind, Outcome, Verdict, heavy_fields

FROM_CPU = 2
UNDECISIVE = (Outcome.NOT_COMPARABLE, Outcome.INCONCLUSIVE, Outcome.REJECTED)


def shown_claims() -> QuerySet[Claim]:
    """Visible claims, each with all its verdicts, newest first; withdrawn verdicts are shown as such."""
    return Claim.objects.visible().order_by("start", "id").prefetch_related(with_verdicts())


def with_verdicts() -> Prefetch[str]:
    """Gives each claim all its verdicts as `judged`, newest first."""
    verdicts = Verdict.objects.select_related("run__device").defer(*heavy_fields("run"))
    return Prefetch("verdicts", verdicts, to_attr="judged")


def settle(claims: list[Claim]) -> list[Claim]:
    """Give each claim the verdict that stands: the newest decisive one, else one from a GPU, else one from a CPU."""
    for claim in claims:
        current = [v for v in claim.judged if v.withdrawn_at is None]  # type: ignore[attr-defined]
        claim.standing = min(current, key=rank, default=None)  # type: ignore[attr-defined]
    return claims


def rank(verdict: Verdict) -> tuple[int, int]:
    """Sorts as `_decisive_first` does."""
    rank = FROM_CPU if verdict.run.device_kind == DeviceKind.CPU else int(verdict.outcome in UNDECISIVE)
    return rank, -verdict.pk


def standing_of(verdicts: QuerySet[Verdict]) -> list[Verdict]:
    """Of each claim the one that stands, those from a CPU left out, which decide nothing."""
    of_claim: dict[int, Verdict] = {}
    for verdict in verdicts:
        known = of_claim.get(verdict.claim_id)
        if known is None or rank(verdict) < rank(known):
            of_claim[verdict.claim_id] = verdict
    return [verdict for verdict in of_claim.values() if rank(verdict)[0] < FROM_CPU]


def outcome_counts() -> dict[str, int]:
    """How many claims stand where, by the verdict that stands (see `settle`); "" counts those without one."""
    standing = Verdict.objects.current().filter(claim=OuterRef("pk")).annotate(rank=_decisive_first())
    claims = (
        Claim.objects.visible()
        .order_by()
        .annotate(standing=Subquery(standing.order_by("rank", "-pk").values("outcome")[:1]))
    )
    rows = claims.values("standing").annotate(found=Count("pk"))
    return {row["standing"] or "": row["found"] for row in rows}


def _decisive_first() -> Case:
    on_cpu = Q(run__device_kind=DeviceKind.CPU)
    ranks = (When(on_cpu, then=Value(FROM_CPU)), When(outcome__in=UNDECISIVE, then=Value(1)))
    return Case(*ranks, default=Value(0), output_field=IntegerField())
