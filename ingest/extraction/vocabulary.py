"""Finds many phrases in one pass over a list of words.

A phrase is looked up by its first word, so the cost grows with the text and hardly with the number of phrases.
Words are folded (lower case, plural "s" dropped, hyphens and slashes part words), so that "low-rank adapters" and
"low rank adapter" are one phrase.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

Payload = TypeVar("Payload")

WORD = re.compile(r"[^\W_]+")


def word_set(text: str) -> frozenset[str]:
    """The words of `text`, which are parted by blanks and line ends."""
    return frozenset(text.split())


_KEEP_S = word_set(
    """
    this is as was has its us thus bias analysis basis loss less across process gas plus minus focus consensus
    corpus class pass mass access progress fps nas rwkvs gps towards always perhaps besides ms physics robotics
    graphics genomics mamba redis axis thesis synthesis hypothesis diffusers lens sans yes dis os rs ds ps gbs
    times bus status virus campus nucleus bonus census previous various ids does goes
    """
)


@lru_cache(maxsize=1 << 16)
def fold_word(word: str) -> str:
    """`word` in lower case without a plural "s"."""
    word = word.lower()
    if len(word) < 4 or word[-1] != "s" or word[-2] in "su" or word in _KEEP_S:
        return "fps" if word == "fps" else word
    if word.endswith("ies") and len(word) > 5:
        return word[:-3] + "y"
    return word[:-1]


class Word(NamedTuple):
    """A folded word and where it stands in its text."""

    text: str
    start: int
    end: int


def words_of(text: str) -> list[Word]:
    return [Word(fold_word(m[0]), m.start(), m.end()) for m in WORD.finditer(text)]


def folded(text: str) -> list[str]:
    return [fold_word(w) for w in WORD.findall(text)]


class Hit(NamedTuple, Generic[Payload]):
    """`payload` of a phrase found at words `first` to `stop` (exclusive)."""

    payload: Payload
    first: int
    stop: int


class PhraseTable(Generic[Payload]):
    """Phrases with payloads; of two phrases that begin at one word the longer wins."""

    def __init__(self, phrases: Iterable[tuple[str, Payload]]) -> None:
        by_first: dict[str, list[tuple[tuple[str, ...], Payload]]] = {}
        for phrase, payload in phrases:
            parts = tuple(folded(phrase))
            if not parts:
                raise ValueError(f"phrase {phrase!r} has no word; a phrase needs at least one letter or digit")
            by_first.setdefault(parts[0], []).append((parts, payload))
        self._by_first = {
            first: sorted(entries, key=lambda entry: -len(entry[0])) for first, entries in by_first.items()
        }

    def find(self, words: Sequence[str], overlapping: bool = False) -> Iterator[Hit[Payload]]:
        """Hits from left to right. With `overlapping`, a phrase may begin inside the one before it."""
        table, covered = self._by_first, 0
        for index, word in enumerate(words):
            entries = table.get(word)
            if entries is None or (index < covered and not overlapping):
                continue
            for parts, payload in entries:
                size = len(parts)
                if size == 1 or tuple(words[index : index + size]) == parts:
                    yield Hit(payload, index, index + size)
                    covered = index + size
                    break
