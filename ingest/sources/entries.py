"""From the lines or blocks of a Daily Papers page to its papers: which block is a title, an abstract, or more of one.

Titles and abstracts alternate. Where they seem not to, length and the way a block ends decide, so that one odd entry
does not turn the titles of all that follow into abstracts.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from ingest.sources.base import ParsedPaper, Problem
from ingest.sources.page_text import Details, is_cut_details, page_day, to_date

# Between a title and an abstract: of 611 papers the longest title has 143 characters, the shortest abstract 644.
PROSE_LENGTH = 300

_URL_AT_END = re.compile(r"https?://(?P<host>[\w-]+(?:\.[\w-]+)*\.[a-z]{2,})(?P<path>/\S*)?$", re.IGNORECASE)
_STOPS = frozenset(".!?…。！？।؟")
_CODE_HOSTS = ("github.com", "gitlab.com", "huggingface.co")
_LEADS_ON = re.compile(
    r"(?:[,:;–—-]|\b(?:a|an|and|as|at|by|for|from|in|into|of|on|or|the|through|to|towards?|under|via|with))$", re.I
)


class Block(NamedTuple):
    """A run of text, or a line of details about the entry before it."""

    line: int
    text: str
    details: Details | None


@dataclass(slots=True)
class _Entry:
    line: int
    title: str
    abstract: list[str] = field(default_factory=list)
    details: list[Details] = field(default_factory=list)


def assemble(
    blocks: Sequence[Block], page_date: str | None, cut: bool
) -> tuple[tuple[ParsedPaper, ...], tuple[Problem, ...]]:
    """Papers of a page, and a problem for each entry that lacks a part. cut: the page ends within a character."""
    entries, problems = _group(blocks)
    papers: list[ParsedPaper] = []
    for entry in entries:
        if entry is entries[-1] and (reason := _why_cut(entry, cut)):
            problems.append(Problem(entry.line, reason))
        elif not entry.abstract:
            problems.append(Problem(entry.line, f"{_shown(entry.title)} has no abstract"))
        else:
            papers.append(_to_paper(entry, page_day(page_date)))
    return tuple(papers), tuple(sorted(problems, key=lambda problem: problem.line or 0))


def _group(blocks: Sequence[Block]) -> tuple[list[_Entry], list[Problem]]:
    entries: list[_Entry] = []
    problems: list[Problem] = []
    for position, block in enumerate(blocks):
        entry = entries[-1] if entries else None
        following = blocks[position + 1 : position + 3]
        if block.details is not None:
            if entry is not None:
                entry.details.append(block.details)
        elif entry is not None and entry.abstract and not following and is_cut_details(block.text):
            problems.append(Problem(block.line, f"the page ends in the details of {_shown(entry.title)}"))
        elif entry is None or entry.details or (entry.abstract and not _continues(block, following)):
            if len(block.text) >= PROSE_LENGTH:
                problems.append(Problem(block.line, f"an abstract without a title: {_shown(block.text)}"))
            else:
                entries.append(_Entry(block.line, block.text))
        elif entry.abstract or not _is_title_again(block, following):
            entry.abstract.append(block.text)
        elif _LEADS_ON.search(entry.title) or block.text[:1].islower():
            entry.title = f"{entry.title} {block.text}"
        else:
            entries.append(_Entry(block.line, block.text))
    return entries, problems


def _continues(block: Block, following: Sequence[Block]) -> bool:
    """Whether a block behind an abstract is its next paragraph, not the next title."""
    if len(block.text) >= PROSE_LENGTH:
        return True
    if not (block.text.endswith(".") or _URL_AT_END.search(block.text)):
        return False
    if len(following) < 2:
        return not following or following[0].details is not None
    after, then = following
    return after.details is not None or (
        len(after.text) < PROSE_LENGTH <= len(then.text) and not after.text.endswith(".") and then.details is None
    )


def _is_title_again(block: Block, following: Sequence[Block]) -> bool:
    """Whether a block behind a title is no abstract: it is as short as a title, and an abstract comes behind it."""
    return (
        len(block.text) < PROSE_LENGTH
        and not block.text.endswith(".")
        and bool(following)
        and following[0].details is None
        and len(following[0].text) >= PROSE_LENGTH
    )


def _why_cut(entry: _Entry, cut: bool) -> str | None:
    """Why the page's last entry is not whole, or None. Details behind an abstract prove that it is."""
    if entry.details:
        return None
    if not entry.abstract:
        return f"the page ends behind the title {_shown(entry.title)}: its abstract is missing"
    end = entry.abstract[-1]
    if cut or not _ends_whole(end):
        return f"the page ends in the abstract of {_shown(entry.title)}, behind {_shown(end[-40:].lstrip())}"
    return None


def _ends_whole(text: str) -> bool:
    """Whether an abstract may end like this: with a stop, a closing bracket or quote, or a whole address."""
    if text.rfind("(") > text.rfind(")"):
        return False
    if url := _URL_AT_END.search(text):
        host, path = url["host"].lower(), url["path"] or ""
        return host.removeprefix("www.") not in _CODE_HOSTS or len(path.strip("/").split("/")) >= 2
    # A quote ends a sentence only behind its stop; otherwise it may be an apostrophe, or close a quoted word.
    last = text.rstrip("\"'’”»")[-1:]
    return last in _STOPS or (last == text[-1] and unicodedata.category(last) == "Pe")


def _to_paper(entry: _Entry, page_day: date | None) -> ParsedPaper:
    told = _merge(entry.details)
    published_on = to_date(told.year, told.month, told.day)
    if told.year is None and page_day is not None:
        # The site leaves out the current year, so a day that would lie behind the page's own is of some other year.
        this_year = to_date(page_day.year, told.month, told.day)
        published_on = this_year if this_year is not None and this_year <= page_day else None
    return ParsedPaper(
        title=entry.title,
        abstract=" ".join(entry.abstract),
        line=entry.line,
        author_count=told.author_count,
        published_on=published_on,
        votes=told.votes,
    )


def _merge(parts: Sequence[Details]) -> Details:
    """One record of what the lines of a block tell; the first that tells something is right."""
    merged = Details()
    for part in parts:
        told = {name: getattr(merged, name) for name in Details.__slots__}
        merged = Details(**{name: getattr(part, name) if value is None else value for name, value in told.items()})
    return merged


def _shown(text: str) -> str:
    return f'"{text if len(text) <= 60 else text[:57] + "..."}"'
