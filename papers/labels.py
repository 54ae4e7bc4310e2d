"""What people decided, as labelled records: what extraction is measured against and may learn from."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Q

from papers.models import Claim, Paper, Review

CLAIM_KEYS = ("metric", "phase", "form", "direction", "value", "value_max", "unit", "qualifier", "baseline", "quote")
_NULL_WHERE_BLANK = ("qualifier", "baseline")
_BATCH = 200


def labelled_records(*, complete: bool = False) -> Iterator[dict[str, Any]]:
    """One record a paper of whose technique or claims a person decided something, oldest paper first.

    It has the keys of the labelled records; `claims` are those that a person accepted, corrected or added. Besides,
    `reviewed` says what stands on a person's word: `fields` of the technique that one set, `rejected` claims, and
    whether it is `complete`, which it is where no claim waits for a decision. With `complete`, only such records.
    """
    papers = Paper.objects.visible().filter(
        Q(claims__in=Claim.objects.exclude(review=Review.UNREVIEWED))
        | (Q(technique__isnull=False) & ~Q(technique__edited_fields=[]))
    )
    rows = Paper.objects.filter(pk__in=papers.order_by().values("pk")).select_related("technique")
    rows = rows.prefetch_related("technique__labels", "claims").order_by("pk")
    for paper in rows.iterator(chunk_size=_BATCH):
        record = _record(paper)
        reviewed = record["reviewed"]
        decided = reviewed["fields"] or record["claims"] or reviewed["rejected"]
        if decided and (reviewed["complete"] or not complete):
            yield record


def _record(paper: Paper) -> dict[str, Any]:
    technique = getattr(paper, "technique", None)
    claims = sorted(
        (c for c in paper.claims.all() if c.withdrawn_at is None and c.quote), key=lambda c: (c.start or 0, c.pk)
    )
    kept = [c for c in claims if c.review in (Review.ACCEPTED, Review.CORRECTED)]
    return {
        "title": paper.title,
        "kind": technique.kind if technique else "other",
        "name": (technique.name or None) if technique else None,
        "families": technique.families if technique else [],
        "modality": technique.modality if technique else [],
        "stage": technique.stage if technique else [],
        "training_free": technique.training_free if technique else None,
        "hardware": technique.hardware if technique else [],
        "code_urls": technique.code_urls if technique else [],
        "claims": [_claim(c) for c in kept],
        "quality_cost": technique.quality_cost if technique else None,
        "verify": (technique.verify or "none") if technique else "none",
        "mechanism": (technique.mechanism or None) if technique else None,
        "reviewed": {
            "fields": sorted(technique.set_by_people) if technique else [],
            "rejected": [_claim(c) for c in claims if c.review == Review.REJECTED],
            "complete": all(c.is_reviewed for c in claims),
        },
    }


def _claim(claim: Claim) -> dict[str, Any]:
    said = {name: getattr(claim, name) for name in CLAIM_KEYS}
    for name in _NULL_WHERE_BLANK:
        said[name] = said[name] or None
    for name in ("value", "value_max"):
        said[name] = int(said[name]) if said[name] is not None and said[name] == int(said[name]) else said[name]
    return said
