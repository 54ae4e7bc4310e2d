"""Which papers a batch of sights may be about: read at once, and kept up with what the batch itself adds."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_

from django.db.models import Q

from papers.folding import fold_title
from papers.models import Paper, PaperTitle
from papers.services.sights import SeenPaper, contradict

_KEYS = ("arxiv_id", "doi", "folded_title")


@dataclass(frozen=True)
class Found:
    """`paper` is the sight's; `others` share an id or title with it and are not taken for it. `held`: ids in use."""

    paper: Paper | None
    others: tuple[Paper, ...]
    held: frozenset[str]
    title_is_new: bool


class KnownPapers:
    """Papers by their ids and titles, one object a row. Sights have canonical ids.

    lock: nobody else shall change the rows until the transaction ends, in which this has to be used.
    """

    def __init__(self, *, lock: bool = False) -> None:
        self._lock = lock
        self._asked: dict[str, set[str]] = {name: set() for name in _KEYS}
        self._by: dict[str, dict[str, Paper]] = {name: {} for name in _KEYS}
        self._by_other_title: dict[str, Paper] = {}
        self.rows: dict[int, Paper] = {}

    def ask(self, sights: Iterable[SeenPaper]) -> None:
        """Read the papers that share an id or title with any of the sights."""
        wanted: dict[str, set[str]] = {name: set() for name in _KEYS}
        for seen in sights:
            for name, key in zip(_KEYS, (seen.arxiv_id, seen.doi, fold_title(seen.title)), strict=True):
                if key and key not in self._asked[name]:
                    wanted[name].add(key)
        if not any(wanted.values()):
            return
        for name, keys in wanted.items():
            self._asked[name] |= keys
        self._read(reduce(or_, (Q(**{f"{name}__in": keys}) for name, keys in wanted.items() if keys)))
        titles = wanted["folded_title"] - self._by["folded_title"].keys()
        if titles:
            aliases = dict(PaperTitle.objects.filter(folded_title__in=titles).values_list("folded_title", "paper_id"))
            self._read_missing(aliases.values())
            self._by_other_title |= {key: self.rows[pk] for key, pk in aliases.items()}

    def look_up(self, seen: SeenPaper) -> Found:
        """What the sight is of. A paper that was merged into another one leads there."""
        self.ask([seen])
        by_arxiv = self._get("arxiv_id", seen.arxiv_id)
        by_doi = self._get("doi", seen.doi)
        key = fold_title(seen.title)
        by_title = self._get("folded_title", key)
        if by_title is None and key in self._by_other_title:
            by_title = self._present(self._by_other_title[key])
        weaker = [p for p in (by_doi, by_title) if p is not None]
        paper = by_arxiv or next((p for p in weaker if not contradict(p, seen)), None)
        others = {id(p): p for p in weaker if p is not paper}
        held = frozenset(i for i, p in ((seen.arxiv_id, by_arxiv), (seen.doi, by_doi)) if i and p is not None)
        return Found(paper, tuple(others.values()), held, by_title is None)

    def note(self, paper: Paper) -> None:
        """Find the paper, which may not be saved yet, under the keys that it has now."""
        for name in _KEYS:
            if key := getattr(paper, name):
                self._by[name].setdefault(key, paper)

    def note_other_title(self, paper: Paper, key: str) -> None:
        """Find the paper under a title that is not, or no longer, its own."""
        if self._by["folded_title"].get(key) is paper:
            del self._by["folded_title"][key]
        self._by_other_title[key] = paper

    def saved(self, papers: Iterable[Paper]) -> None:
        """Papers that were noted have rows now."""
        self.rows |= {paper.pk: paper for paper in papers}

    def _get(self, name: str, key: str | None) -> Paper | None:
        paper = self._by[name].get(key) if key else None
        return paper and self._present(paper)

    def _present(self, paper: Paper) -> Paper:
        return self.rows[paper.merged_into_id] if paper.merged_into_id else paper

    def _read(self, condition: Q) -> None:
        rows = Paper.objects.filter(condition).order_by("pk")
        if self._lock:  # in one order, so that two batches do not wait for each other
            rows = rows.select_for_update(no_key=True)
        for row in rows:
            if row.pk not in self.rows:
                self.rows[row.pk] = row
                self.note(row)
        self._read_missing([row.merged_into_id for row in rows if row.merged_into_id])

    def _read_missing(self, pks: Iterable[int]) -> None:
        if missing := set(pks) - self.rows.keys():
            self._read(Q(pk__in=missing))
