"""Papers: which sights are one paper, and what each adds to it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from papers.folding import fold_title
from papers.identifiers import bare_ids
from papers.models import Paper, PaperTitle, Source, Technique
from papers.services.claims import follow_abstract
from papers.services.code_links import SeenLink, record_code_links
from papers.services.common import Actor, Change, write_audit
from papers.services.twins import find_twins, suspect_twins

MAX_TITLE = 500


@dataclass(frozen=True)
class SeenPaper:
    """A paper as some page, feed or card shows it. Ids may come with their address or version."""

    title: str
    abstract: str = ""
    summary: str = ""
    arxiv_id: str | None = None
    doi: str | None = None
    year: int | None = None
    published_on: date | None = None
    authors: tuple[str, ...] = ()
    author_count: int | None = None
    votes: int | None = None
    code_links: tuple[SeenLink, ...] = ()
    source_kind: str = ""
    locator: str = ""
    line: int | None = None
    page_date: str = ""


def record_paper(seen: SeenPaper) -> tuple[Paper, Change]:
    """Add the paper, or merge the sight into the known one; the same sight twice changes nothing.

    A paper is known by its arXiv id, then its DOI, then its folded title. Ids that contradict each other on one title
    make two papers and a question for a person, and so do titles that are nearly alike.

    Raises: ValueError naming the field, where the title is blank or too long or an id is none.
    """
    check_title(seen.title)
    arxiv_id, doi = bare_ids(seen.arxiv_id, seen.doi)
    seen = replace(seen, arxiv_id=arxiv_id, doi=doi)
    try:
        with transaction.atomic():
            return _record(seen)
    except IntegrityError:  # another process added the same paper in the meantime: now it is known
        with transaction.atomic():
            return _record(seen)


def check_title(title: str) -> str:
    """The title's key. Raises: ValueError where it is blank or longer than a title can be."""
    key = fold_title(title)
    if not key:
        raise ValueError("title: is blank; a paper is known by its title")
    if max(len(title), len(key)) > MAX_TITLE:
        raise ValueError(f"title: {title[:40]!r}… has {len(title)} characters; at most {MAX_TITLE} are a title")
    return key


def find_paper(title: str = "", arxiv_id: str | None = None, doi: str | None = None) -> Paper | None:
    """The paper that a sight with these would be merged into, or None. Raises: ValueError where an id is none."""
    arxiv_id, doi = bare_ids(arxiv_id, doi)
    return _look_up(SeenPaper(title=title, arxiv_id=arxiv_id, doi=doi)).paper


# ── which paper it is ───────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class _Found:
    """`paper` is the sight's; `others` share an id or title with it and are not taken for it. `held`: ids in use."""

    paper: Paper | None
    others: tuple[Paper, ...]
    held: frozenset[str]
    title_is_new: bool


def _look_up(seen: SeenPaper) -> _Found:
    key = fold_title(seen.title)
    wanted = Q(folded_title=key) if key else Q(pk__in=[])
    if seen.arxiv_id:
        wanted |= Q(arxiv_id=seen.arxiv_id)
    if seen.doi:
        wanted |= Q(doi=seen.doi)
    rows = list(Paper.objects.filter(wanted).select_related("merged_into"))
    by_arxiv = next((_present(r) for r in rows if seen.arxiv_id and r.arxiv_id == seen.arxiv_id), None)
    by_doi = next((_present(r) for r in rows if seen.doi and r.doi == seen.doi), None)
    by_title = next((_present(r) for r in rows if r.folded_title == key), None)
    if by_title is None and key:
        other = PaperTitle.objects.filter(folded_title=key).select_related("paper__merged_into").first()
        by_title = _present(other.paper) if other else None
    weaker = [p for p in (by_doi, by_title) if p is not None]
    paper = by_arxiv or next((p for p in weaker if not _contradict(p, seen)), None)
    others = {p.pk: p for p in weaker if paper is None or p.pk != paper.pk}
    held = frozenset(i for r in rows for i in (r.arxiv_id, r.doi) if i)
    return _Found(paper, tuple(others.values()), held, by_title is None)


def _present(paper: Paper) -> Paper:
    return paper.merged_into or paper


def _contradict(paper: Paper, seen: SeenPaper) -> bool:
    """Whether their ids say that they are two papers. A DOI speaks only where no arXiv id does."""
    if seen.arxiv_id and paper.arxiv_id:
        return seen.arxiv_id != paper.arxiv_id
    return bool(seen.doi and paper.doi and seen.doi != paper.doi)


# ── what it adds ────────────────────────────────────────────────────────────────────────────────────────────────────
def _record(seen: SeenPaper) -> tuple[Paper, Change]:
    found = _look_up(seen)
    paper, change = found.paper, "unchanged"
    if paper is None:
        paper, change = Paper(title=seen.title), "new"
        paper.homonym = "" if found.title_is_new else (seen.arxiv_id or seen.doi or "")
    old_title, old_abstract = paper.folded_title, paper.abstract
    is_filled = _fill(paper, seen, found.held)
    is_retitled = change == "unchanged" and found.title_is_new and _retitle(paper, seen.title)
    if change == "new" or is_filled or is_retitled:
        paper.save()
        change = "new" if change == "new" else "updated"
    if change == "updated" and paper.abstract != old_abstract:
        abstract_was_replaced(paper)
    if seen.code_links and record_code_links(paper, seen.code_links) and change == "unchanged":
        change = "updated"
        Paper.objects.filter(pk=paper.pk).update(updated_at=timezone.now())
    _note_source(paper, seen, is_new=change == "new")
    if found.others:
        suspect_twins(paper, found.others, ids_of_sight={"arxiv_id": seen.arxiv_id, "doi": seen.doi})
    if change == "new" or paper.folded_title != old_title:
        find_twins(paper)
    return paper, change  # type: ignore[return-value]


def _note_source(paper: Paper, seen: SeenPaper, *, is_new: bool) -> None:
    if seen.locator:
        place = {"paper": paper, "kind": seen.source_kind, "locator": seen.locator}
        if is_new or not Source.objects.filter(**place).exists():
            Source.objects.create(**place, line=seen.line, page_date=seen.page_date)


def _retitle(paper: Paper, title: str) -> bool:
    """A title that the paper did not have yet becomes its own; the old one still leads to it. True if it did.

    A title that a person set stays, and the new one only leads to it. A title may be of an earlier version: the one
    that was seen first loses, since pages are mostly read in the order in which they appear.
    """
    if "title" in paper.edited_fields:
        PaperTitle.objects.create(paper=paper, title=title, folded_title=fold_title(title))
        return False
    PaperTitle.objects.create(paper=paper, title=paper.title, folded_title=paper.folded_title)
    paper.title, paper.homonym = title, ""
    return True


def _fill(paper: Paper, seen: SeenPaper, held: Iterable[str]) -> bool:
    """Set what the paper lacks, take the longer abstract, let votes rise. True if anything changed."""
    before = [getattr(paper, name) for name in _FILLED]
    for name in _FILLED:
        offered: Any = getattr(seen, name)
        offered = list(offered) if isinstance(offered, tuple) else offered
        if name in paper.edited_fields or offered in (None, "", []):
            continue
        present = getattr(paper, name)
        if name == "votes":
            paper.votes = max(present or 0, offered)
        elif name == "abstract":
            paper.abstract = longer(present, offered)
        elif not present and not (name in ("arxiv_id", "doi") and offered in held):
            setattr(paper, name, offered)
    return before != [getattr(paper, name) for name in _FILLED]


_FILLED = ("abstract", "summary", "arxiv_id", "doi", "year", "published_on", "authors", "author_count", "votes")


def longer(present: str, offered: str) -> str:
    """The abstract that says more; where only spacing differs, the present one."""
    return offered if len(" ".join(offered.split())) > len(" ".join(present.split())) else present


def abstract_was_replaced(paper: Paper) -> None:
    """Move the claims' spans with the text, and mark the record as made from another one, so that extraction follows."""
    follow_abstract(paper)
    Technique.objects.filter(paper=paper).update(extractor_version="")


def withdraw_paper(paper: Paper, actor: Actor, reason: str) -> bool:
    """Take a paper out of the lists; its address keeps answering and says that it was withdrawn. False if it was."""
    with transaction.atomic():
        now = timezone.now()
        done = Paper.objects.filter(pk=paper.pk, withdrawn_at=None).update(withdrawn_at=now, updated_at=now)
        if done:
            write_audit(actor, "withdraw-paper", paper.slug, reason=reason)
    return bool(done)
