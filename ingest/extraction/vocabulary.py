"""Finds many phrases in one pass over a list of words.

A phrase is looked up by its first word, so the cost grows with the text and hardly with the number of phrases.
Words are folded (lower case, plural "s" dropped, hyphens and slashes part words), so that "low-rank adapters" and
"low rank adapter" are one phrase.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
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


def fold_word(word: str) -> str:
    """`word`, which is in lower case, without a plural "s"."""
    if len(word) < 4 or word[-1] != "s" or word[-2] in "su" or word in _KEEP_S:
        return word
    if word.endswith("ies") and len(word) > 5:
        return word[:-3] + "y"
    return word[:-1]


class _Folds(dict[str, str]):
    """Folded words by word; emptied when hostile text has filled it."""

    _LIMIT = 1 << 17

    def __missing__(self, word: str) -> str:
        if len(self) >= self._LIMIT:
            self.clear()
        self[word] = folded_word = fold_word(word)
        return folded_word


_FOLDS = _Folds()


def folded(text: str) -> list[str]:
    """The folded words of `text`."""
    folds = _FOLDS
    return [folds[word] for word in WORD.findall(text.lower())]


class Hit(NamedTuple, Generic[Payload]):
    """`payload` of a phrase found at words `first` to `stop` (exclusive)."""

    payload: Payload
    first: int
    stop: int


class PhraseTable(Generic[Payload]):
    """Phrases with payloads; of two phrases that begin at one word the longer wins."""

    def __init__(self, phrases: Iterable[tuple[str, Payload]]) -> None:
        by_first: dict[str, dict[int, dict[tuple[str, ...], Payload]]] = {}
        for phrase, payload in phrases:
            parts = tuple(folded(phrase))
            if not parts:
                raise ValueError(f"phrase {phrase!r} has no word; a phrase needs at least one letter or digit")
            by_first.setdefault(parts[0], {}).setdefault(len(parts), {}).setdefault(parts, payload)
        self._by_first = {first: tuple(sorted(sizes.items(), reverse=True)) for first, sizes in by_first.items()}

    def find(self, words: Sequence[str]) -> Iterator[Hit[Payload]]:
        """Hits from left to right; none begins inside the one before it."""
        table, covered = self._by_first, 0
        for index, word in enumerate(words):
            if word not in table or index < covered:
                continue
            for size, phrases in table[word]:
                parts = tuple(words[index : index + size])
                if parts in phrases:
                    yield Hit(phrases[parts], index, index + size)
                    covered = index + size
                    break


def weighted_table(
    vocabulary: dict[str, dict[float, str]], ignored: str = ""
) -> PhraseTable[tuple[tuple[str, float], ...]]:
    """One entry a phrase, with every label that it speaks for; `ignored` phrases hide the phrases inside them.

    `vocabulary` maps a label to comma-separated phrases by weight.
    """
    by_phrase: dict[str, dict[str, float]] = defaultdict(dict)
    for label, rows in vocabulary.items():
        for weight, phrases in rows.items():
            for phrase in phrases.split(","):
                weights = by_phrase[" ".join(phrase.split())]
                weights[label] = max(weight, weights.get(label, 0.0))
    for phrase in ignored.split(","):
        by_phrase[" ".join(phrase.split())] = {}
    return PhraseTable((phrase, tuple(weights.items())) for phrase, weights in by_phrase.items() if phrase)


class Evidence:
    """How much each label is spoken for, and by which phrases."""

    def __init__(self) -> None:
        self.scores: dict[str, float] = defaultdict(float)
        self.phrases: dict[str, dict[str, float]] = defaultdict(dict)

    def weigh(
        self,
        table: PhraseTable[tuple[tuple[str, float], ...]],
        words: Sequence[str],
        own: int,
        before: float,
        after: float,
    ) -> None:
        """Adds the phrases of `words`: times `before` up to word `own`, times `after` from there; repeats add less."""
        for payload, first, stop in table.find(words):
            factor = before if first < own else after
            phrase = " ".join(words[first:stop])
            for label, weight in payload:
                seen = self.phrases[label].get(phrase, 0.0)
                gain = weight * factor / (1.0 + seen / weight)
                self.phrases[label][phrase] = seen + gain
                self.scores[label] += gain

    def strongest(self, labels: Iterable[str], count: int = 3) -> list[str]:
        """The phrases that speak loudest for each label."""
        found = (
            phrase
            for label in labels
            for phrase, _ in sorted(self.phrases.get(label, {}).items(), key=lambda item: -item[1])[:count]
        )
        return list(dict.fromkeys(found))
