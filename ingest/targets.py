"""What `manage.py ingest` may be given: the grammar of its targets, and what is told where something is none of them.

Knows no database and no network. A path is looked at only to see whether something is there.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from ingest.sources.identifiers import read_arxiv_id

FORMS = (
    "a file or folder",
    "https://host/page",
    "2312.00752",
    "arXiv:2312.00752v2",
    "cs/0112017",
    "hf:today",
    "hf:2025-03-13",
    "hf:2025-03-01..2025-03-07",
    "hf:search:WORDS",
    "hf:2312.00752",
    "arxiv:query:cat:cs.LG AND all:quantization",
    "arxiv:oai:cs.LG:from=2025-03-01",
)
FIRST_DAILY_PAPERS = date(2023, 5, 4)
MOST_DAYS = 366

_ID = r"(?:\d{4}\.\d{4,5}|[a-z][a-z-]*(?:\.[a-z][a-z-]*)?/\d{7})(?:v[1-9]\d{0,2})?"
_BARE_ID = re.compile(_ID, re.IGNORECASE)
_ID_LIKE = re.compile(r"\d{4}\.\d{4,5}(?:v\d+)?|[a-z-]+(?:\.[A-Z]{2})?/\d{7}(?:v\d+)?", re.IGNORECASE)
_PAPER_PAGE = re.compile(
    rf"https?://(?:www\.|export\.)?arxiv\.org/(?:abs|pdf|html)/(?P<id>{_ID})(?:\.pdf)?/?(?:[?#].*)?", re.IGNORECASE
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_DAY = re.compile(r"\d{4}-\d{1,2}-\d{1,2}")
_CATEGORY = re.compile(r"[a-z][a-z-]*(?:\.[A-Za-z-]+|(?::[A-Za-z-]+){1,2})?")
_FIELDS = re.compile(r"\b(?:ti|au|abs|co|jr|cat|rn|id|all|submittedDate|lastUpdatedDate):", re.IGNORECASE)


class TargetError(ValueError):
    """A target that is none: what is wrong with it, and what would be right."""


@dataclass(frozen=True, slots=True)
class PathTarget:
    path: Path

    @property
    def name(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class PageTarget:
    """An address on the web: a page, a file or a dump in any known format."""

    address: str

    @property
    def name(self) -> str:
        return self.address


@dataclass(frozen=True, slots=True)
class PaperTarget:
    """An id of arXiv, with its version where one was named."""

    arxiv_id: str

    @property
    def name(self) -> str:
        return f"arxiv:{self.arxiv_id}"


@dataclass(frozen=True, slots=True)
class DailyTarget:
    """The Daily Papers of all days from first to last."""

    first: date
    last: date

    @property
    def name(self) -> str:
        return f"hf:{self.first}" if self.first == self.last else f"hf:{self.first}..{self.last}"


@dataclass(frozen=True, slots=True)
class HubSearchTarget:
    words: str

    @property
    def name(self) -> str:
        return f"hf:search:{self.words}"


@dataclass(frozen=True, slots=True)
class HubPaperTarget:
    arxiv_id: str

    @property
    def name(self) -> str:
        return f"hf:{self.arxiv_id}"


@dataclass(frozen=True, slots=True)
class QueryTarget:
    """A query in the language of arXiv's API."""

    query: str

    @property
    def name(self) -> str:
        return f"arxiv:query:{self.query}"


@dataclass(frozen=True, slots=True)
class HarvestTarget:
    """All papers of a category ("" for every one) whose records changed on these days; None: from the first, to today."""

    category: str
    first: date | None
    until: date | None

    @property
    def name(self) -> str:
        parts = ["arxiv:oai", self.category]
        parts += [f"{word}={day}" for word, day in (("from", self.first), ("until", self.until)) if day]
        return ":".join(part for part in parts if part)


Target: TypeAlias = (
    PathTarget | PageTarget | PaperTarget | DailyTarget | HubSearchTarget | HubPaperTarget | QueryTarget | HarvestTarget
)


def parse_target(text: str, today: date) -> Target:
    """The target that text names. What begins with "hf:", "arxiv:" or "https://" is never a file; write ./hf:x for one.

    today: in UTC; "hf:today" is that day, and later days are refused.

    Raises: TargetError.
    """
    text = text.strip()
    if not text or "\0" in text:
        raise TargetError(f"a blank target; {_told_forms()}")
    if (marked := _marked(text, today)) is not None:
        return marked
    path = Path(text)
    if _exists(path):
        return PathTarget(path)
    if _BARE_ID.fullmatch(text):
        return PaperTarget(_checked_id(text, text))
    raise TargetError(_told_missing(text, path))


def parse_remote_target(text: str, today: date) -> Target:
    """The target that text names, never a file: this is for people who must not look at the disk. See `parse_target`.

    Raises: TargetError.
    """
    text = text.strip()
    if not text or "\0" in text:
        raise TargetError(f"a blank target; {_told_forms(FORMS[1:])}")
    if (marked := _marked(text, today)) is not None:
        return marked
    if _BARE_ID.fullmatch(text):
        return PaperTarget(_checked_id(text, text))
    raise TargetError(f"{text[:80]}: names nothing that can be fetched. {_told_forms(FORMS[1:])}")


def _marked(text: str, today: date) -> Target | None:
    """The target of text that says by its beginning what it is."""
    scheme, colon, rest = text.partition(":")
    if _SCHEME.match(text):
        return _page(text)
    if colon and scheme.lower() == "hf":
        return _hub(text, rest.strip(), today)
    if colon and scheme.lower() == "arxiv":
        return _arxiv(text, rest.strip(), today)
    return None


def parse_targets(texts: Sequence[str], today: date) -> list[Target]:
    """Raises: TargetError about the first that is none, before anything is done."""
    return list(dict.fromkeys(parse_target(text, today) for text in texts))


def _page(text: str) -> Target:
    if found := _PAPER_PAGE.fullmatch(text):
        return PaperTarget(_checked_id(found["id"], text))
    if any(character.isspace() for character in text):
        raise TargetError(f"{text}: an address has no spaces; write %20 for one")
    if text.split(":", 1)[0].lower() not in {"http", "https"}:
        raise TargetError(f"{text}: only http and https are fetched; write it like https://host/page")
    try:
        host = urlsplit(text).hostname
    except ValueError:
        host = None
    if not host:
        raise TargetError(f"{text}: the address names no host; write it like https://host/page")
    return PageTarget(text)


def _hub(text: str, rest: str, today: date) -> Target:
    if rest.lower() == "today":
        return DailyTarget(today, today)
    if rest.lower().startswith("search:"):
        words = " ".join(rest[len("search:") :].split())
        if not words:
            raise TargetError(f"{text}: names no words; write hf:search:sparse attention")
        return HubSearchTarget(words)
    if _BARE_ID.fullmatch(rest):
        return HubPaperTarget(_checked_id(rest, text, with_version=False))
    first, dots, last = rest.partition("..")
    if _DAY.fullmatch(first):
        return _days(text, first, last if dots else first, today)
    raise TargetError(_told_nearest(text, [form for form in FORMS if form.startswith("hf:")]))


def _days(text: str, first: str, last: str, today: date) -> DailyTarget:
    if not _DAY.fullmatch(last):
        raise TargetError(f"{text}: a range is two days, like hf:2025-03-01..2025-03-07")
    begin, end = _day(text, first), _day(text, last)
    if begin > end:
        raise TargetError(f"{text}: ends before it begins; write hf:{end}..{begin}")
    if end > today:
        raise TargetError(f"{text}: {end} has not come; the latest day is hf:{today}")
    if begin < FIRST_DAILY_PAPERS:
        raise TargetError(f"{text}: Daily Papers began on {FIRST_DAILY_PAPERS}; write hf:{FIRST_DAILY_PAPERS}..{end}")
    if (end - begin).days >= MOST_DAYS:
        raise TargetError(
            f"{text}: has {(end - begin).days + 1} days; at most {MOST_DAYS} are one target: "
            f"hf:{begin}..{begin + timedelta(days=MOST_DAYS - 1)} and so on"
        )
    return DailyTarget(begin, end)


def _arxiv(text: str, rest: str, today: date) -> Target:
    word, _, tail = rest.partition(":")
    if word.lower() == "query":
        words = " ".join(tail.split())
        if not words:
            raise TargetError(f"{text}: names no query; write arxiv:query:cat:cs.LG AND all:quantization")
        if not _FIELDS.search(words):
            raise TargetError(f"{text}: names no field; write arxiv:query:all:{words}")
        return QueryTarget(words)
    if word.lower() == "oai":
        return _harvest(text, tail, today)
    if _ID_LIKE.fullmatch(rest):
        return PaperTarget(_checked_id(rest, text))
    raise TargetError(_told_nearest(text, [form for form in FORMS if form.lower().startswith("arxiv:")]))


def _harvest(text: str, tail: str, today: date) -> HarvestTarget:
    parts = [part.strip() for part in tail.split(":") if part.strip()]
    category = ":".join(part for part in parts if "=" not in part)
    if category and not _CATEGORY.fullmatch(category):
        raise TargetError(f"{text}: {category!r} is no category of arXiv; write one like cs.LG, hep-th or stat")
    days: dict[str, date] = {}
    for part in parts:
        word, equals, day = part.partition("=")
        if not equals:
            continue
        if word not in {"from", "until"} or word in days or not _DAY.fullmatch(day):
            raise TargetError(f"{text}: {part!r} is not understood; write from=2025-03-01 and until=2025-03-31")
        days[word] = _day(text, day)
    first, until = days.get("from"), days.get("until")
    if first and first > (until or today):
        raise TargetError(f"{text}: begins on {first}, behind its end on {until or today}")
    return HarvestTarget(category, first, until)


def _day(text: str, day: str) -> date:
    try:
        return date(*(int(part) for part in day.split("-")))
    except ValueError:
        raise TargetError(f"{text}: there is no day {day}; write it like 2025-03-13") from None


def _checked_id(arxiv_id: str, text: str, with_version: bool = True) -> str:
    """The id in its canonical form. A month of 13 is no month, so such an id was never given out."""
    plain = read_arxiv_id(arxiv_id)
    if plain is None:
        raise TargetError(f"{text}: arXiv gives out no such id; they look like 2312.00752 or cs/0112017")
    version = re.search(r"v\d+$", arxiv_id, re.IGNORECASE)
    return f"{plain}{version[0].lower()}" if version and with_version else plain


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _told_missing(text: str, path: Path) -> str:
    try:
        near = get_close_matches(path.name, [other.name for other in path.parent.iterdir()], n=1)
    except (OSError, ValueError):
        near = []
    if near:
        return f"{text}: there is no such file or folder; the nearest is {path.parent / near[0]}. {_told_forms()}"
    if path.suffix and not _looks_like_form(text):
        return f"{text}: there is no such file or folder. {_told_forms()}"
    return f"{text}: there is no such file or folder; {_told_nearest(text, FORMS[1:]).partition(': ')[2]}"


def _looks_like_form(text: str) -> bool:
    return ":" in text or bool(re.match(r"\d", text))


def _told_nearest(text: str, forms: Sequence[str]) -> str:
    likeness: Callable[[str], float] = lambda form: SequenceMatcher(None, text.lower(), form.lower()).ratio()  # noqa: E731
    return f"{text}: the nearest form is {max(forms, key=likeness)}. {_told_forms()}"


def _told_forms(forms: Sequence[str] = FORMS) -> str:
    return f"Targets are: {'; '.join(forms)}"
