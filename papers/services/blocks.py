"""The blocks of titles that may be one paper's, read for a whole batch at once."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from django.db.models import Count, F, Value

from papers.likeness import TitleKeys
from papers.models import Paper
from papers.models.paper import TITLE_BLOCKS, bare_key

# A block with more members than this says nothing: "Towards efficient ..." is no evidence.
LARGEST_BLOCK = 50

Member: TypeAlias = int | Paper  # the key of a row, or a paper of the batch
_Place: TypeAlias = tuple[str, str]  # a block: the column, and what it says


@dataclass
class _Block:
    """size: how many visible papers are in it. rows: folded titles of those in the database; None where not read."""

    size: int = 0
    rows: dict[int, str] | None = None
    joined: dict[int, Paper] = field(default_factory=dict)  # by id(): a paper may not be saved yet


class Blocks:
    """Blocks as they are after all that the batch did: `join` and `leave` tell of papers that it is going to write.

    However many papers there are, a title costs four probes of an index, and 50 rows of each block at most.
    """

    def __init__(self) -> None:
        self._blocks: dict[_Place, _Block] = {}
        self._left: dict[int, set[_Place]] = {}  # where rows are found in the database and do not belong any more

    def ask(self, titles: Iterable[TitleKeys]) -> None:
        """Learn the sizes of the titles' blocks, and the members of those that are not too large."""
        new = {place for keys in titles for place in _places(keys)} - self._blocks.keys()
        if not new:
            return
        self._blocks |= {place: _Block() for place in new}
        for name, key, size in _query(new, size=Count("*")):
            self._blocks[name, key].size = size
        for places in self._left.values():
            for place in places & new:
                self._blocks[place].size -= 1
        self._read({place for place in new if self._blocks[place].size <= LARGEST_BLOCK})

    def members(self, title: TitleKeys) -> list[tuple[Member, str]]:
        """Papers that share a block with the title, each with its folded title; blocks that are too large left out."""
        self.ask([title])
        found: dict[int, tuple[Member, str]] = {}
        for place in _places(title):
            block = self._blocks[place]
            if block.size > LARGEST_BLOCK:
                continue
            if block.rows is None:  # it was too large before a paper left it
                self._read({place})
            saved = {paper.pk for paper in block.joined.values()}
            found |= {-pk: (pk, key) for pk, key in (block.rows or {}).items() if pk not in saved}
            found |= {at: (paper, bare_key(paper.folded_title, paper.homonym)) for at, paper in block.joined.items()}
        return list(found.values())

    def join(self, paper: Paper) -> None:
        """The paper has its title from now on; a withdrawn one is in no block."""
        self.ask([paper.title_blocks])
        for place in _places(paper.title_blocks) if paper.withdrawn_at is None else ():
            self._blocks[place].size += 1
            self._blocks[place].joined[id(paper)] = paper

    def leave(self, paper: Paper) -> None:
        """The saved paper is going to have another title than it has now."""
        if paper.withdrawn_at is not None:
            return
        places = set(_places(paper.title_blocks))
        self._left[paper.pk] = places
        for place in places & self._blocks.keys():
            block = self._blocks[place]
            block.size -= 1
            block.joined.pop(id(paper), None)
            if block.rows is not None:
                block.rows.pop(paper.pk, None)

    def written(self) -> None:
        """What joined and left did so in the database, too."""
        self._left.clear()

    def _read(self, places: set[_Place]) -> None:
        members: dict[_Place, dict[int, str]] = {place: {} for place in places}
        columns = {"member": F("pk"), "folded": F("folded_title"), "mark": F("homonym")}
        filled = [place for place in places if self._blocks[place].size]
        for name, key, pk, folded, homonym in _query(filled, **columns):
            if (name, key) not in self._left.get(pk, ()):
                members[name, key][pk] = bare_key(folded, homonym)
        for place, rows in members.items():
            self._blocks[place].rows = rows


def _places(title: TitleKeys) -> list[_Place]:
    return [place for place in zip(TITLE_BLOCKS, title, strict=True) if place[1]]


def _query(places: Iterable[_Place], **columns: Count | F) -> Iterable[tuple[Any, ...]]:
    """Of the visible papers in the places: the column, what it says, and the columns named. One query."""
    keys: dict[str, list[str]] = {}
    for name, key in places:
        keys.setdefault(name, []).append(key)
    if not keys:
        return []
    visible = Paper.objects.visible().order_by()
    first, *rest = (
        visible.filter(**{f"{name}__in": wanted}).values_list(Value(name), name).annotate(**columns)
        for name, wanted in keys.items()
    )
    return first.union(*rest, all=True)
