"""Whether two titles may be one paper's, and why. No Django here.

Titles are compared only within a block: papers that share the first letters of the folded title, more of its beginning,
its end, or the three longest words. A block is one probe of an index, so that a new paper costs the same among a
thousand and a million.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, NamedTuple

from papers.folding import fold_title

HEAD = 8  # letters: most names of methods differ in them; where many titles begin alike, the block is too large to use
START = 24
TAIL = 12
STEM = 6  # a word is as good as its first letters: "transformer" and "transformers" are in one block
LEAST_BEGINNING = 16  # a shorter title that is only the beginning of another says little
LEAST_LIKE = 0.8  # titles that are less alike than this are not looked at further
TWIN_AT = 0.88  # scores from here on go to a person

_WORD = re.compile(r"[^\W_]+")


class TitleKeys(NamedTuple):
    head: str
    start: str
    tail: str
    words: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """What of a paper is compared."""

    title: str
    authors: tuple[str, ...] = ()
    year: int | None = None
    arxiv_id: str | None = None
    doi: str | None = None


@dataclass(frozen=True, slots=True)
class Likeness:
    """`score` is the sum of the weights of `parts`, kept within 0 and 1."""

    score: float
    parts: tuple[tuple[str, float], ...]
    only_first: tuple[str, ...] = ()
    only_second: tuple[str, ...] = ()
    shared_authors: tuple[str, ...] = ()
    year_distance: int | None = None
    ids: dict[str, list[str | None]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "parts": [{"what": what, "weight": round(weight, 3)} for what, weight in self.parts],
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
            "shared_authors": list(self.shared_authors),
            "year_distance": self.year_distance,
            "ids": self.ids,
        }


def title_keys(title: str) -> TitleKeys:
    """The keys of the blocks that a title belongs to; a blank one belongs to none."""
    folded = fold_title(title)
    words = sorted({fold_title(word) for word in _WORD.findall(title)}, key=lambda word: (-len(word), word))[:3]
    rare = " ".join(sorted(word[:STEM] for word in words)) if len(words) == 3 else ""
    return TitleKeys(folded[:HEAD], folded[:START], folded[-TAIL:], rare)


def compare(first: Sighting, second: Sighting) -> Likeness:
    """How much speaks for one paper; a score of 0 without parts where the titles alone rule it out."""
    titles = _titles_alike(first.title, second.title)
    if titles < LEAST_LIKE:
        return Likeness(0.0, ())
    parts = [("titles", titles)]
    ours, theirs = _words(first.title), _words(second.title)
    if _numbers(ours) != _numbers(theirs):
        parts.append(("numbers differ", -0.1))
    shared = _shared(first.authors, second.authors)
    if first.authors and second.authors:
        parts.append(("shared authors", 0.06) if shared else ("no shared author", -0.1))
    distance = abs(first.year - second.year) if first.year and second.year else None
    if distance is not None and distance > 1:
        parts.append(("years apart", -0.03 * min(distance, 5)))
    if first.arxiv_id and second.arxiv_id and first.arxiv_id != second.arxiv_id:
        parts.append(("two arXiv ids", -0.06))
    return Likeness(
        score=round(min(1.0, max(0.0, sum(weight for _, weight in parts))), 3),
        parts=tuple(parts),
        only_first=tuple(word for word in ours if word not in theirs),
        only_second=tuple(word for word in theirs if word not in ours),
        shared_authors=shared,
        year_distance=distance,
        ids={"arxiv_id": [first.arxiv_id, second.arxiv_id], "doi": [first.doi, second.doi]},
    )


class Near:
    """Rules out titles that are less alike than LEAST_LIKE to one title, at a small part of the cost of comparing them.

    What the comparison finds in common is letters of both titles in the order of both. So there are never more of it
    than of their longest common subsequence, which bit-parallel arithmetic finds in one pass (Hyyrö 2004).
    """

    def __init__(self, folded: str) -> None:
        self._folded = folded
        self._places: dict[str, int] = {}
        for place, letter in enumerate(folded):
            self._places[letter] = self._places.get(letter, 0) | 1 << place

    def rules_out(self, folded: str) -> bool:
        """Whether the titles are surely not alike; False says nothing. folded: the other title's key."""
        letters = len(self._folded) + len(folded) or 1
        short, long = sorted((self._folded, folded), key=len)
        if len(short) >= LEAST_BEGINNING and long.startswith(short):
            return False
        return 2 * len(short) / letters < LEAST_LIKE or 2 * self._common(folded) / letters < LEAST_LIKE

    def _common(self, folded: str) -> int:
        """The length of the longest common subsequence."""
        full = (1 << len(self._folded)) - 1
        row, places = full, self._places
        for letter in folded:
            if found := row & places.get(letter, 0):
                row = (row + found) | (row - found)
        return len(self._folded) - (row & full).bit_count()


def _titles_alike(first: str, second: str) -> float:
    """The share of letters in common, in order; a title that only lacks the other's subtitle is as good as alike."""
    ours, theirs = fold_title(first), fold_title(second)
    if Near(ours).rules_out(theirs):
        return 0.0
    short, long = sorted((ours, theirs), key=len)
    if len(short) >= LEAST_BEGINNING and long.startswith(short):
        return max(0.9, len(short) / len(long))
    return SequenceMatcher(None, ours, theirs, autojunk=False).ratio()


def _words(title: str) -> list[str]:
    return list(dict.fromkeys(word.casefold() for word in _WORD.findall(title)))


def _numbers(words: Iterable[str]) -> list[str]:
    return sorted(number for word in words for number in re.findall(r"\d+", word))


def _shared(first: Iterable[str], second: Iterable[str]) -> tuple[str, ...]:
    """Authors of both, by family name and first letter, as the first writes them."""
    known = {_author_key(name) for name in second}
    return tuple(name for name in first if _author_key(name) in known)


def _author_key(name: str) -> tuple[str, str]:
    family, _, given = (
        name.partition(",") if "," in name else (name.rsplit(maxsplit=1)[-1] if name.split() else "", "", name)
    )
    return fold_title(family), fold_title(given)[:1]
