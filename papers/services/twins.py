"""Papers that may be one: found by likeness, decided by people, merged only on their word."""

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils import timezone

from papers.likeness import TWIN_AT, Likeness, Sighting, compare
from papers.models import Paper, ReviewItem, ReviewReason, TwinCandidate, TwinState
from papers.services.common import Actor, FieldError, write_audit
from papers.services.queue import Doubt, close_review_items, open_review_items

# A block with more members than this says nothing: "Towards efficient ..." is no evidence.
LARGEST_BLOCK = 50
_COMPARED = ("pk", "title", "authors", "year", "arxiv_id", "doi")


def find_twins(paper: Paper) -> int:
    """Ask about papers whose titles are nearly this one's; how many pairs are new.

    Costs four index probes of at most 51 rows each and as many comparisons, however many papers there are.
    """
    pairs = [(other, _likeness(paper, other), "near-title") for other in _block_members(paper)]
    return _ask(paper, [pair for pair in pairs if pair[1].score >= TWIN_AT])


def suspect_twins(paper: Paper, others: Iterable[Paper], ids_of_sight: dict[str, str | None]) -> int:
    """Ask about papers that one sight names both: by an id the one, by its title or another id the other."""
    pairs = [(other, _likeness(paper, other), "ids-differ" if paper.homonym else "one-sight") for other in others]
    return _ask(paper, pairs, {"ids_of_sight": ids_of_sight})


def _likeness(paper: Paper, other: Paper) -> Likeness:
    """Told of the older paper first."""
    first, second = sorted((paper, other), key=lambda p: p.pk)
    return compare(_sighting(first), _sighting(second))


def _block_members(paper: Paper) -> list[Paper]:
    """Papers that share a block with this one, blocks that are too large left out."""
    members: dict[int, Paper] = {}
    for name in ("title_head", "title_start", "title_tail", "title_words"):
        key = getattr(paper, name)
        if key:
            block = Paper.objects.filter(**{name: key}, withdrawn_at=None).exclude(pk=paper.pk).order_by()
            rows = list(block.only(*_COMPARED)[: LARGEST_BLOCK + 1])
            members |= {row.pk: row for row in rows} if len(rows) <= LARGEST_BLOCK else {}
    return list(members.values())


def _sighting(paper: Paper) -> Sighting:
    return Sighting(paper.title, tuple(paper.authors), paper.year, paper.arxiv_id, paper.doi)


def _ask(paper: Paper, pairs: list[tuple[Paper, Likeness, str]], details: dict[str, Any] | None = None) -> int:
    doubts = []
    for other, likeness, why in pairs:
        first, second = sorted((paper, other), key=lambda p: p.pk)
        explanation = likeness.to_json() | {"why": why} | (details or {})
        twin, is_new = TwinCandidate.objects.get_or_create(
            first=first, second=second, defaults={"score": likeness.score, "explanation": explanation}
        )
        if is_new:
            doubts.append(Doubt(ReviewReason.TWIN, first, f"{first.pk}:{second.pk}", twin=twin))
    return open_review_items(doubts)


def keep_apart(twin: TwinCandidate, actor: Actor, note: str = "") -> bool:
    """Remember that two papers are not the same; they are not asked about again. False if that was known.

    Raises: FieldError where they were merged already.
    """
    with transaction.atomic():
        twin = TwinCandidate.objects.select_for_update().get(pk=twin.pk)
        if twin.state == TwinState.MERGED:
            raise FieldError("decision", "is too late: these papers were merged already")
        if twin.state == TwinState.DISTINCT:
            return False
        settle_twin(twin, TwinState.DISTINCT, actor)
        write_audit(actor, "keep-apart", f"{twin.first.slug} {twin.second.slug}", note=note, score=twin.score)
    return True


def settle_twin(twin: TwinCandidate, state: TwinState, actor: Actor) -> None:
    twin.state, twin.decided_by_id, twin.decided_at = state, getattr(actor, "pk", None), timezone.now()
    twin.save()
    word = "merge" if state == TwinState.MERGED else "distinct"
    close_review_items(ReviewItem.objects.filter(twin=twin), word, actor)
