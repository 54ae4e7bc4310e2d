"""Papers that may be one: found by likeness, decided by people, merged only on their word."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from papers.likeness import TWIN_AT, Likeness, Near, Sighting, compare
from papers.models import Paper, ReviewItem, ReviewReason, TwinCandidate, TwinState
from papers.models.paper import bare_key
from papers.services.blocks import Blocks
from papers.services.common import Actor, FieldError, write_audit
from papers.services.queue import Doubt, close_review_items, open_review_items

_COMPARED = ("pk", "title", "authors", "year", "arxiv_id", "doi")


def find_twins(paper: Paper) -> int:
    """Ask about papers whose titles are nearly this one's, which is saved; how many pairs are new.

    However many papers there are, it is compared with at most 50 of each of its four blocks.
    """
    twins = Twins({paper.pk: paper})
    twins.blocks.leave(paper)
    twins.find(paper)
    return twins.write()


@dataclass(frozen=True)
class _Pair:
    """Told of the older paper first. is_new: the pair cannot have been asked about before."""

    first: Paper
    second: Paper
    likeness: Likeness
    explanation: dict[str, Any]
    is_new: bool


class Twins:
    """The pairs that a batch of papers asks about. They are in the database after `write`.

    rows: papers of the batch that are saved, by key; their objects say what the database may not say yet.
    """

    def __init__(self, rows: Mapping[int, Paper]) -> None:
        self.blocks = Blocks()
        self._rows = rows
        self._pairs: dict[tuple[Any, Any], _Pair] = {}
        self._born: dict[int, int] = {}  # by id(): the order of papers that are not saved yet

    def find(self, paper: Paper) -> None:
        """Ask about papers whose titles are nearly this one's. The paper shall not be in its blocks yet."""
        self._age(paper)  # every paper is told of here, in the order in which they are going to be saved
        near = Near(bare_key(paper.folded_title, paper.homonym))
        members = self.blocks.members(paper.title_blocks)
        alike = [member for member, folded in members if not near.rules_out(folded)]
        known = self._load([member for member in alike if isinstance(member, int)])
        for member in alike:
            other = known[member] if isinstance(member, int) else member
            likeness = self._likeness(paper, other)
            if likeness.score >= TWIN_AT:
                self._ask(paper, other, likeness, {"why": "near-title"})

    def suspect(self, paper: Paper, others: Iterable[Paper], ids_of_sight: dict[str, str | None]) -> None:
        """Ask about papers that one sight names both: by an id the one, by its title or another id the other."""
        why = "ids-differ" if paper.homonym else "one-sight"
        for other in others:
            likeness = self._likeness(paper, other)
            self._ask(paper, other, likeness, {"why": why, "ids_of_sight": ids_of_sight})

    def write(self) -> int:
        """Keep the pairs, whose papers are saved by now; how many are new."""
        pairs = {(p.first.pk, p.second.pk): p for p in self._pairs.values()}
        self._pairs, self._born = {}, {}
        self.blocks.written()
        old = [pks for pks, pair in pairs.items() if not pair.is_new]
        if old:
            firsts, seconds = zip(*old, strict=True)
            asked = TwinCandidate.objects.filter(first__in=firsts, second__in=seconds)
            for pks in asked.values_list("first_id", "second_id"):
                pairs.pop(pks, None)
        rows = TwinCandidate.objects.bulk_create(
            TwinCandidate(first=p.first, second=p.second, score=p.likeness.score, explanation=p.explanation)
            for p in pairs.values()
        )
        return open_review_items(
            Doubt(ReviewReason.TWIN, row.first, f"{row.first_id}:{row.second_id}", twin=row) for row in rows
        )

    def _load(self, pks: list[int]) -> dict[int, Paper]:
        rest = [pk for pk in pks if pk not in self._rows]
        rows = Paper.objects.only(*_COMPARED).in_bulk(rest) if rest else {}
        return rows | {pk: self._rows[pk] for pk in pks if pk in self._rows}

    def _likeness(self, paper: Paper, other: Paper) -> Likeness:
        first, second = sorted((paper, other), key=self._age)
        return compare(_sighting(first), _sighting(second))

    def _ask(self, paper: Paper, other: Paper, likeness: Likeness, details: dict[str, Any]) -> None:
        first, second = sorted((paper, other), key=self._age)
        is_new = second.pk is None
        pair = _Pair(first, second, likeness, likeness.to_json() | details, is_new)
        self._pairs.setdefault((self._age(first), self._age(second)), pair)

    def _age(self, paper: Paper) -> tuple[int, int]:
        """Sorts older papers first."""
        if paper.pk is not None:
            return 0, paper.pk
        return 1, self._born.setdefault(id(paper), len(self._born))


def _sighting(paper: Paper) -> Sighting:
    return Sighting(paper.title, tuple(paper.authors), paper.year, paper.arxiv_id, paper.doi)


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
