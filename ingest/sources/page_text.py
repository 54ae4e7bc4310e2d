"""Text copied off a Hugging Face Daily Papers page: where its list begins, and what its lines are."""

import re
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import NamedTuple

from ingest.sources.base import ParseError, decode, one_line

EXPECTED = (
    "a Daily Papers page copied as text, which begins with a line such as "
    '"Get trending papers in your email inbox!" or "byAK and the research community"'
)
# The list has begun long before this line on any page, even when the site's menu was copied along.
_HEADER_LINES = 60
_WRAPPED_WIDTH = 160
_LINES_OF_A_LONG_ABSTRACT = 16

_SURE_HEADER = re.compile(
    r"get trending papers in your email inbox\b.*|by ?ak and the research community|daily papers", re.I
)
_HEADER = re.compile(r"new|subscribe|trending papers|" + _SURE_HEADER.pattern, re.I)
_SUBSCRIBE = "Subscribe"  # a button: pages lose the line end behind it, and the first title is glued to it

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = r"(?P<month>" + "|".join(MONTHS) + r")[a-z]{0,6}\.? (?P<day>\d{1,2})(?:, ?(?P<year>\d{4}))?"
_PAGE_DATE = re.compile(_DATE)
_DATE_AND_VOTES = re.compile(_DATE + r"(?: (?P<votes>\d{1,9}))?")
_AUTHOR_COUNT = re.compile(r"(?:[•·] ?)?(?P<count>\d{1,6}) authors?")
_DETAILS = re.compile(rf"(?:{_AUTHOR_COUNT.pattern})? ?·? ?(?:{_DATE_AND_VOTES.pattern})?")
# What is left of a line of details when the page was cut in it.
_CUT_DETAILS = re.compile(r"[•·] ?(?:\d+ ?[a-z]*)?|(?:" + "|".join(MONTHS) + r")(?: \d*(?:,.*)?)?")


class Line(NamedTuple):
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class PageText:
    """The list of a page, line by line, blank lines included, and what its header said.

    cut: the last line ends in the middle of a character's bytes.
    """

    lines: tuple[Line, ...]
    page_date: str | None
    cut: bool


@dataclass(frozen=True, slots=True)
class Details:
    """What a block such as "• 5 authors · Dec 11, 2023 2" tells; a line of it may tell only a part."""

    author_count: int | None = None
    month: int | None = None
    day: int | None = None
    year: int | None = None
    votes: int | None = None


def read_page_text(raw: bytes) -> PageText:
    """Raises ParseError if raw is empty, binary or shows no sign of the site's header."""
    text, cut = decode(raw)
    lines = [Line(number, one_line(line)) for number, line in enumerate(text.split("\n"), start=1)]
    body, page_date = _skip_header(lines)
    return PageText(tuple(body), page_date, cut and bool(lines[-1].text))


def _skip_header(lines: list[Line]) -> tuple[list[Line], str | None]:
    """The lines behind the header, and its date. What stands before the header (the site's menu) goes with it."""
    filled = [position for position, line in enumerate(lines) if line.text]
    sure = [position for position in filled[:_HEADER_LINES] if _is_header(lines[position].text, _SURE_HEADER)]
    if not sure:
        raise ParseError(f"this is not {EXPECTED}", lines[filled[0]].number if filled else None)
    page_date = None
    subscribe_seen = False
    for position in (p for p in filled if p >= sure[0]):
        line = lines[position]
        if _is_header(line.text, _HEADER):
            subscribe_seen = subscribe_seen or line.text.casefold() == _SUBSCRIBE.casefold()
        elif page_date is None and _PAGE_DATE.fullmatch(line.text):
            page_date = line.text
        elif not subscribe_seen and line.text.startswith(_SUBSCRIBE):
            glued = Line(line.number, line.text.removeprefix(_SUBSCRIBE).strip())
            return [glued, *lines[position + 1 :]], page_date
        else:
            return lines[position:], page_date
    return [], page_date


def _is_header(text: str, pattern: re.Pattern[str]) -> bool:
    return len(text) < 100 and pattern.fullmatch(text) is not None


def is_separated_by_blank_lines(page: PageText) -> bool:
    """Whether blank lines part titles from abstracts; otherwise each line is a title or an abstract.

    A stray blank line does not make a page of blocks, unless its lines are short because whoever saved it wrapped them.
    """
    gaps = neighbours = 0
    texts = [line for line in page.lines if line.text and read_details(line.text) is None]
    blank = {line.number for line in page.lines if not line.text}
    for before, after in pairwise(texts):
        blank_between = any(number in blank for number in range(before.number + 1, after.number))
        gaps, neighbours = gaps + blank_between, neighbours + (not blank_between)
    if all(len(line.text) <= _WRAPPED_WIDTH for line in texts):
        return gaps * _LINES_OF_A_LONG_ABSTRACT > neighbours
    return gaps > neighbours


def read_details(text: str) -> Details | None:
    """Authors, date and votes of a line such as "• 5 authors", "·" or "Dec 11, 2023 2"; None for any other line."""
    found = _DETAILS.fullmatch(text)
    if not text or found is None:
        return None
    count, month, day, year, votes = found["count"], found["month"], found["day"], found["year"], found["votes"]
    return Details(
        author_count=int(count) if count else None,
        month=MONTHS.index(month) + 1 if month else None,
        day=int(day) if day else None,
        year=int(year) if year else None,
        votes=int(votes) if votes else None,
    )


def is_cut_details(text: str) -> bool:
    """Whether text could be the beginning of a line of details: "• 1", "Dec 11, 20"."""
    return _CUT_DETAILS.fullmatch(text) is not None


def to_date(year: int | None, month: int | None, day: int | None) -> date | None:
    """The date, or None where a part is missing or there is no such day."""
    if year is None or month is None or day is None:
        return None
    try:
        return date(year, month, day)
    except ValueError:
        return None


def page_day(page_date: str | None) -> date | None:
    """The date in a page's header, if it gives a year."""
    found = _PAGE_DATE.fullmatch(page_date or "")
    if found is None or not found["year"]:
        return None
    return to_date(int(found["year"]), MONTHS.index(found["month"]) + 1, int(found["day"]))
