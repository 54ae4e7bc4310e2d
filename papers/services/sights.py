"""What a page, feed or card shows of a paper, and what that adds to the one that is known. Asks no database."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from papers.folding import fold_title
from papers.identifiers import bare_ids
from papers.models import Paper
from papers.services.code_links import SeenLink, check_links

MAX_TITLE = 500
FILLED = ("abstract", "summary", "arxiv_id", "doi", "year", "published_on", "authors", "author_count", "votes")


@dataclass(frozen=True)
class SeenPaper:
    """A paper as some page, feed or card shows it. Ids may come with their address or version.

    only_known: it adds to the paper that is known under an id or the title, and makes none.
    """

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
    only_known: bool = False


def check_title(title: str) -> str:
    """The title's key. Raises: ValueError where it is blank or longer than a title can be."""
    key = fold_title(title)
    if not key:
        raise ValueError("title: is blank; a paper is known by its title")
    if max(len(title), len(key)) > MAX_TITLE:
        raise ValueError(f"title: {title[:40]!r}… has {len(title)} characters; at most {MAX_TITLE} are a title")
    return key


def checked(seen: SeenPaper) -> SeenPaper:
    """The sight with its ids in canonical form. Raises: ValueError naming the field, as `record_paper` does."""
    if not seen.only_known:
        check_title(seen.title)
    arxiv_id, doi = bare_ids(seen.arxiv_id, seen.doi)
    check_links(seen.code_links)
    return replace(seen, arxiv_id=arxiv_id, doi=doi)


def of_known(seen: SeenPaper, paper: Paper) -> SeenPaper:
    """A sight that adds to known papers only, as one of this paper: its own title and ids win."""
    return replace(seen, title=paper.title, arxiv_id=paper.arxiv_id or seen.arxiv_id, doi=paper.doi or seen.doi)


def contradict(paper: Paper, seen: SeenPaper) -> bool:
    """Whether their ids say that they are two papers. A DOI speaks only where no arXiv id does."""
    if seen.arxiv_id and paper.arxiv_id:
        return seen.arxiv_id != paper.arxiv_id
    return bool(seen.doi and paper.doi and seen.doi != paper.doi)


def fill(paper: Paper, seen: SeenPaper, held: Iterable[str]) -> bool:
    """Set what the paper lacks, take the longer abstract, let votes rise. True if anything changed.

    held: ids that some paper has already; they are not given to another one.
    """
    before = [getattr(paper, name) for name in FILLED]
    for name in FILLED:
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
    return before != [getattr(paper, name) for name in FILLED]


def longer(present: str, offered: str) -> str:
    """The abstract that says more; where only spacing differs, the present one."""
    return offered if len(" ".join(offered.split())) > len(" ".join(present.split())) else present


def replaces_abstract(paper: Paper, seen: SeenPaper) -> bool:
    """Whether the sight brings another abstract than the paper has."""
    return "abstract" not in paper.edited_fields and longer(paper.abstract, seen.abstract) != paper.abstract
