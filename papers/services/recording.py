"""Recording what pages, feeds and cards show, many papers at once: which paper each sight is of, and what it adds."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from papers.folding import fold_title
from papers.likeness import title_keys
from papers.models import Paper, PaperTitle, Source
from papers.models.paper import TITLE_BLOCKS, FreeSlugs
from papers.services.code_links import LinkBook
from papers.services.common import Change
from papers.services.known import Found, KnownPapers
from papers.services.papers import abstracts_were_replaced
from papers.services.sights import FILLED, SeenPaper, checked, fill, of_known, replaces_abstract
from papers.services.twins import Twins

_WRITTEN = (*FILLED, "title", "homonym", "folded_title", *TITLE_BLOCKS)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What came of a sight. No paper: it was refused because of `fault`, or was of known papers only, and none is."""

    paper: Paper | None
    change: Change = "unchanged"
    fault: ValueError | None = None


def record_paper(seen: SeenPaper) -> tuple[Paper, Change]:
    """Add the paper, or merge the sight into the known one; the same sight twice changes nothing.

    A paper is known by its arXiv id, then its DOI, then its folded title. Ids that contradict each other on one title
    make two papers and a question for a person, and so do titles that are nearly alike.

    Raises: ValueError naming the field, where the title is blank or too long or an id or a link is none.
    """
    [[done]] = record_papers([seen])
    if done.fault is not None:
        raise done.fault
    assert done.paper is not None  # noqa: S101 - the sight may make a paper
    return done.paper, done.change


def record_papers(sights: Sequence[SeenPaper]) -> Iterator[list[Recorded]]:
    """What `record_paper` does with each sight in turn, in few queries. Of a sight that is refused nothing is kept.

    Yields what came of the next sights, once that is in the database. A list ends before a sight that brings another
    text of a paper in it, so that each text can be read in turn. The caller has a transaction for all of it.
    """
    checks = [_try_check(seen) for seen in sights]
    batch = None
    start = 0
    while start < len(checks):
        try:
            with transaction.atomic():
                batch = batch or _Batch(checks[start:])
                done = batch.record(checks[start:])
        except IntegrityError:  # another process added one of the papers in the meantime: now it is known
            with transaction.atomic():
                batch = _Batch(checks[start:])
                done = batch.record(checks[start:])
        start += len(done)
        yield done


def _try_check(seen: SeenPaper) -> SeenPaper | ValueError:
    try:
        return checked(seen)
    except ValueError as fault:
        return fault


@dataclass
class _Written:
    """A paper that a sight was of. before: what its row says; None where there is none yet."""

    paper: Paper
    before: dict[str, Any] | None
    is_touched: bool = False

    @property
    def changed(self) -> tuple[str, ...]:
        return tuple(name for name, value in (self.before or {}).items() if getattr(self.paper, name) != value)


class _Batch:
    """What a batch of sights needs to know, asked at once, and what it adds, kept in memory until it is written."""

    def __init__(self, checks: Iterable[SeenPaper | ValueError]) -> None:
        self._known = KnownPapers(lock=True)
        self._twins = Twins(self._known.rows)
        self._slugs = FreeSlugs()
        self._links = LinkBook()
        self._sources = SourceBook()
        self._papers: dict[int, _Written] = {}  # by id(), since a paper may not be saved yet
        self._titles: list[PaperTitle] = []
        self._ask([seen for seen in checks if isinstance(seen, SeenPaper)])

    def record(self, checks: Iterable[SeenPaper | ValueError]) -> list[Recorded]:
        """Record as many of the next sights as can be written together, at least one, and write them."""
        done: list[Recorded] = []
        for seen in checks:
            if isinstance(seen, ValueError):
                done.append(Recorded(None, fault=seen))
            elif (recorded := self._record(seen)) is not None:
                done.append(recorded)
            else:
                break
        self._write()
        return done

    def _ask(self, sights: list[SeenPaper]) -> None:
        self._known.ask(sights)
        known = list(self._known.rows.values())
        self._sources.ask(known, [seen.locator for seen in sights])
        if any(seen.code_links for seen in sights):
            self._links.ask(known)
        new = [seen.title for seen in sights if not seen.only_known and self._known.look_up(seen).title_is_new]
        self._slugs.ask(new)
        self._twins.blocks.ask(map(title_keys, new))

    # ── one sight ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _record(self, seen: SeenPaper) -> Recorded | None:
        """What the sight adds; None where it has to wait until the papers so far are written and read."""
        found = self._known.look_up(seen)
        if seen.only_known:
            if found.paper is None:
                return Recorded(None)
            seen = of_known(seen, found.paper)
            found = self._known.look_up(seen)
        if found.paper is None:
            return self._add(seen, found)
        paper = found.paper
        if id(paper) in self._papers and (found.title_is_new or replaces_abstract(paper, seen)):
            return None
        if id(paper) not in self._papers:
            self._papers[id(paper)] = _Written(paper, {name: getattr(paper, name) for name in _WRITTEN})
        old_title = paper.folded_title
        is_changed = fill(paper, seen, found.held)
        if found.title_is_new:
            is_changed |= self._retitle(paper, seen.title)
        if self._links.add(paper, seen.code_links):
            self._papers[id(paper)].is_touched = is_changed = True
        self._note(paper, seen, found, title_is_new=paper.folded_title != old_title)
        return Recorded(paper, "updated" if is_changed else "unchanged")

    def _add(self, seen: SeenPaper, found: Found) -> Recorded:
        try:
            slug = self._slugs.take(seen.title)
        except ValueError as fault:
            return Recorded(None, fault=fault)
        homonym = "" if found.title_is_new else (seen.arxiv_id or seen.doi or "")
        paper = Paper(title=seen.title, slug=slug, homonym=homonym)
        paper.set_keys()
        self._papers[id(paper)] = _Written(paper, None)
        fill(paper, seen, found.held)
        self._links.add(paper, seen.code_links)
        self._note(paper, seen, found, title_is_new=True)
        return Recorded(paper, "new")

    def _note(self, paper: Paper, seen: SeenPaper, found: Found, *, title_is_new: bool) -> None:
        self._known.note(paper)
        self._sources.note(paper, seen)
        self._twins.suspect(paper, found.others, {"arxiv_id": seen.arxiv_id, "doi": seen.doi})
        if title_is_new:
            self._twins.find(paper)
            self._twins.blocks.join(paper)

    def _retitle(self, paper: Paper, title: str) -> bool:
        """A title that the paper did not have yet becomes its own; the old one still leads to it. True if it did.

        A title that a person set stays, and the new one only leads to it. A title may be of an earlier version: the one
        that was seen first loses, since pages are mostly read in the order in which they appear.
        """
        is_edited = "title" in paper.edited_fields
        other, key = (title, fold_title(title)) if is_edited else (paper.title, paper.folded_title)
        self._titles.append(PaperTitle(paper=paper, title=other, folded_title=key))
        self._known.note_other_title(paper, key)
        if is_edited:
            return False
        self._twins.blocks.leave(paper)
        paper.title, paper.homonym = title, ""
        paper.set_keys()
        return True

    # ── all of them ─────────────────────────────────────────────────────────────────────────────────────────────────
    def _write(self) -> None:
        written = list(self._papers.values())
        known = [entry for entry in written if entry.before is not None]
        new = [entry.paper for entry in written if entry.before is None]
        replaced = [entry.paper for entry in known if "abstract" in entry.changed]
        _update(known)
        Paper.objects.bulk_create(new)
        self._known.saved(new)
        PaperTitle.objects.bulk_create(self._titles)
        self._sources.write()
        self._links.write()
        abstracts_were_replaced(replaced)
        self._twins.write()
        self._papers.clear()
        self._titles.clear()


def _update(entries: Iterable[_Written]) -> None:
    """Write what changed and nothing else; one query for all papers of which the same fields did."""
    now = timezone.now()
    groups: dict[tuple[str, ...], list[Paper]] = {}
    for entry in entries:
        if entry.changed or entry.is_touched:
            entry.paper.updated_at = now
            groups.setdefault(entry.changed, []).append(entry.paper)
    for names, papers in groups.items():
        Paper.objects.bulk_update(papers, [*names, "updated_at"])


class SourceBook:
    """The places where a batch of papers was seen. What is noted is in the database after `write`."""

    def __init__(self) -> None:
        self._locators: set[str] = set()
        self._asked: dict[int, Paper] = {}  # by id(), kept so that none is given out again
        self._places: set[tuple[int, str, str]] = set()
        self._new: list[Source] = []

    def ask(self, papers: Iterable[Paper], locators: Iterable[str] = ()) -> None:
        """Read which of the locators the papers list."""
        self._locators |= {locator for locator in locators if locator}
        new = [paper for paper in papers if id(paper) not in self._asked]
        self._asked |= {id(paper): paper for paper in new}
        saved = {paper.pk: id(paper) for paper in new if paper.pk is not None}
        if saved and self._locators:
            rows = Source.objects.filter(paper__in=saved, locator__in=self._locators).order_by()
            places = rows.values_list("paper_id", "kind", "locator")
            self._places |= {(saved[pk], kind, locator) for pk, kind, locator in places}

    def note(self, paper: Paper, seen: SeenPaper) -> None:
        if not seen.locator:
            return
        self.ask([paper])
        place = (id(paper), seen.source_kind, seen.locator)
        if place not in self._places:
            self._places.add(place)
            self._new.append(
                Source(
                    paper=paper, kind=seen.source_kind, locator=seen.locator, line=seen.line, page_date=seen.page_date
                )
            )

    def write(self) -> None:
        Source.objects.bulk_create(self._new)
        self._new = []
