"""What goes into the review queue and what leaves it. Finding a doubt again does not ask twice."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.conf import settings
from django.utils import timezone

from papers.models import Claim, Paper, Review, ReviewItem, ReviewReason, ReviewState, TwinCandidate
from papers.models.review import GONE
from papers.services.common import Actor
from papers.services.statements import contradicts_card, read_one_number_twice

__all__ = [
    "GONE",
    "Doubt",
    "claims_are_gone",
    "close_review_items",
    "open_review_item",
    "open_review_items",
    "question_claims",
]


@dataclasses.dataclass(frozen=True)
class Doubt:
    """A question for a person. `about` tells it from others of its reason on the same paper."""

    reason: ReviewReason
    paper: Paper
    about: str
    claim: Claim | None = None
    field: str = ""
    twin: TwinCandidate | None = None
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.reason}:{self.about}"[:200]


def open_review_items(doubts: Iterable[Doubt]) -> int:
    """Ask each question that was not asked before, or that closed only because its subject was gone. How many opened."""
    asked = {doubt.key: doubt for doubt in doubts}
    if not asked:
        return 0
    known = dict(ReviewItem.objects.filter(key__in=asked).values_list("key", "decision"))
    again = [key for key, decision in known.items() if decision == GONE]
    if again:
        reopened = ReviewItem.objects.filter(key__in=again)
        reopened.update(state=ReviewState.OPEN, decision="", decided_by=None, decided_at=None)
    fresh = [
        ReviewItem(
            key=key, reason=d.reason, paper=d.paper, claim=d.claim, field=d.field, twin=d.twin, details=d.details
        )
        for key, d in asked.items()
        if key not in known
    ]
    ReviewItem.objects.bulk_create(fresh, ignore_conflicts=True)
    return len(fresh) + len(again)


def open_review_item(doubt: Doubt) -> bool:
    """Ask one question; False if it was asked before."""
    return bool(open_review_items([doubt]))


def close_review_items(items: Any, decision: str, actor: Actor = None, state: ReviewState = ReviewState.DONE) -> int:
    """Close those of the queryset that are open; how many did."""
    closed: int = items.filter(state=ReviewState.OPEN).update(
        state=state, decision=decision, decided_by_id=getattr(actor, "pk", None), decided_at=timezone.now()
    )
    return closed


def claims_are_gone(claims: Iterable[Claim]) -> None:
    """Nobody needs to decide on claims that were withdrawn."""
    gone = ReviewItem.objects.filter(claim__in=list(claims))
    close_review_items(gone, GONE, state=ReviewState.DISMISSED)


def question_claims(claims_of: Iterable[tuple[Paper, Iterable[Claim]]]) -> int:
    """Ask about those of the papers' claims that are doubtful now: little confidence, or two that contradict each other."""
    return open_review_items(doubt for paper, claims in claims_of for doubt in _doubts(paper, claims))


def _doubts(paper: Paper, claims: Iterable[Claim]) -> Iterator[Doubt]:
    live = [c for c in claims if c.withdrawn_at is None and c.review != Review.REJECTED]
    live.sort(key=lambda c: (c.start is None, c.start, c.pk))
    fresh = [c for c in live if not c.is_reviewed]
    for claim in fresh:
        if claim.confidence is not None and claim.confidence < settings.REVIEW_BELOW:
            details: dict[str, Any] = {"confidence": claim.confidence, "below": settings.REVIEW_BELOW}
            yield Doubt(ReviewReason.LOW_CONFIDENCE, paper, f"claim:{claim.pk}", claim, details=details)
    for claim in fresh:
        against = [c for c in live if c.pk != claim.pk and read_one_number_twice(claim, c)]
        against += [c for c in live if c.card_key and c.start is None and contradicts_card(claim, c, live)]
        if against:
            details = {"with": [{"claim": c.pk, "figure": c.figure, "metric": c.metric} for c in against]}
            yield Doubt(ReviewReason.CONFLICT, paper, f"claim:{claim.pk}", claim, details=details)
