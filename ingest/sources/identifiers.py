"""Ids, DOIs, days and years as pages write them, in one canonical form each; None where there is none."""

import re
from datetime import date
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import unquote

_ARXIV_ID = (
    r"(?P<new>\d{2}(?:0[1-9]|1[0-2])\.\d{4,5})"
    r"|(?P<archive>[a-z][a-z-]{1,9})(?:\.[a-z][a-z-]{0,11})?/(?P<number>\d{2}(?:0[1-9]|1[0-2])\d{3})"
)
_BARE_ID = re.compile(rf"(?:arxiv:\s*)?(?:{_ARXIV_ID})(?:v\d{{1,3}})?", re.IGNORECASE)
_ID_IN_TEXT = re.compile(
    rf"(?:\barxiv:\s*|arxiv\.org/(?:abs|pdf|html|e-print|src)/|huggingface\.co/papers/|hf\.co/papers/|10\.48550/arxiv\.)(?:{_ARXIV_ID})"
    r"(?:v\d{1,3})?(?:\.pdf)?(?=[][/?#\s,;)]|$)",
    re.IGNORECASE,
)
_DOI = re.compile(r"(?:^|doi\.org/|doi:|[\s(])\s*(?P<doi>10\.\d{4,9}(?:\.\d+)*/[^\s\"<>{}|\\^`]+)", re.IGNORECASE)
_OWN_DOI_OF_ARXIV = "10.48550/arxiv."
_LONGEST_DOI = 200
_BLANK = re.compile(r"\s|[\x00-\x1f]")  # hidden in "%20"
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d{2}(?!\d)")


class Month(NamedTuple):
    year: int
    month: int


def read_arxiv_id(text: str) -> str | None:
    """The id that text is, or that an address or "arXiv:..." in it names; without version, and without the class of an old archive."""
    found = _BARE_ID.fullmatch(text.strip()) or _ID_IN_TEXT.search(text)
    if found is None:
        return None
    return found["new"] or f"{found['archive'].lower()}/{found['number']}"


def month_of(arxiv_id: str) -> Month:
    """When arXiv gave out the id, which says year and month: "2103.00001", "math/0301001"."""
    digits = arxiv_id.rpartition("/")[2][:4]
    year = int(digits[:2])
    # The ids began in 1991 and changed their form in 2007.
    return Month(1900 + year if "/" in arxiv_id and year > 90 else 2000 + year, int(digits[2:]))


def trusted_day(day: date | None, arxiv_id: str | None) -> date | None:
    """The day, unless it lies behind the month of the id: then it is the day of a later version, as arXiv prints it at times."""
    if day is None or arxiv_id is None:
        return day
    year, month = month_of(arxiv_id)
    return day if (day.year - year) * 12 + day.month - month <= 1 else None


def read_doi(text: str) -> str | None:
    """The first DOI in text, lower case. The DOIs that arXiv gives its own papers are none: the id says the same."""
    found = _DOI.search(text)
    if found is None:
        return None
    doi = unquote(found["doi"]).casefold().rstrip(".,;:")
    while doi.endswith(")") and doi.count(")") > doi.count("("):
        doi = doi[:-1]
    return None if doi.startswith(_OWN_DOI_OF_ARXIV) or len(doi) > _LONGEST_DOI or _BLANK.search(doi) else doi


def read_day(stamp: object) -> date | None:
    """The day of an ISO time stamp such as "2024-05-02T17:59:59Z"; None for anything else."""
    try:
        return date.fromisoformat(stamp[:10]) if isinstance(stamp, str) else None
    except ValueError:
        return None


def read_mail_day(stamp: object) -> date | None:
    """The day of a time as arXiv prints it in its versions: "Tue, 19 Jan 2021 04:10:52 GMT"; None for anything else."""
    try:
        return parsedate_to_datetime(stamp).date() if isinstance(stamp, str) else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def read_year(value: object) -> int | None:
    """The year in a number or text such as 2021 or "May 2021"; None where there is none or it is not of our time."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 1900 <= value < 2100 else None
    found = _YEAR.search(value) if isinstance(value, str) else None
    return int(found[0]) if found else None
