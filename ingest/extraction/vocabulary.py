"""Finds the phrases of every field in one pass over a list of words.

A phrase is looked up word by word in one tree, so the cost grows with the text and hardly with the number of phrases.
Words are folded (lower case, plural "s" dropped, hyphens and slashes part words), so that "low-rank adapters" and
"low rank adapter" are one phrase.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from .words import KNOWN, Node, Word, folded

Payload = TypeVar("Payload")
Weights = tuple[tuple[str, float], ...]
"""The labels that a phrase speaks for, each with a weight."""

TITLE, BACKGROUND, OWN = 0, 1, 2
"""Where a phrase stands: the title, what comes before the paper's own part, that part."""


def _insert(tree: dict[str, Node], phrase: str, table: int, payload: object) -> None:
    """Adds a phrase; of two phrases of one table with the same folded words the first stays."""
    parts = folded(phrase)
    if not parts:
        raise ValueError(f"phrase {phrase!r} has no word; a phrase needs at least one letter or digit")
    following, ends = tree, list[tuple[int, Any, str]]()
    for part in parts:
        following, ends = following.setdefault(part, ({}, []))
    if all(known != table for known, _, _ in ends):
        ends.append((table, payload, " ".join(parts)))


class Hit(NamedTuple, Generic[Payload]):
    """`payload` of a phrase found at words `first` to `stop` (exclusive)."""

    payload: Payload
    first: int
    stop: int


class PhraseTable(Generic[Payload]):
    """Phrases with payloads; of two phrases that begin at one word the longer wins."""

    def __init__(self, phrases: Iterable[tuple[str, Payload]]) -> None:
        self._tree: dict[str, Node] = {}
        for phrase, payload in phrases:
            _insert(self._tree, phrase, 0, payload)

    def find(self, words: Sequence[str]) -> Iterator[Hit[Payload]]:
        """Hits from left to right; none begins inside the one before it."""
        tree, covered, count = self._tree, 0, len(words)
        for index in [at for at, word in enumerate(words) if word in tree]:
            if index < covered:
                continue
            node: Node | None = tree[words[index]]
            at, last = index + 1, None
            while node is not None:
                following, ends = node
                if ends:
                    last, covered = ends, at
                node = following.get(words[at]) if at < count else None
                at += 1
            if last is not None:
                yield Hit(last[0][1], index, covered)


Found = tuple[int, Weights, str, int]
"""Place (TITLE, BACKGROUND or OWN), weights and folded words of a phrase, and the number of its first word there."""
FoundPhrases = list[list[Found]]
"""By table of a lexicon: its phrases, in order."""


class Lexicon:
    """The weighted phrase tables of all fields in one tree. Each table is matched as if it were alone."""

    def __init__(self) -> None:
        self._tables = 0

    def add(self, table: Iterable[tuple[str, Weights]]) -> int:
        """Adds a table and returns its number."""
        for phrase, weights in table:
            _insert(KNOWN.tree, phrase, self._tables, weights)
        KNOWN.by_spelling.clear()
        self._tables += 1
        return self._tables - 1

    def find(self, title: Sequence[Word], words: Sequence[Word], own: int) -> FoundPhrases:
        """Phrases of title and abstract; the paper's own part begins at word `own` of the abstract."""
        found: FoundPhrases = [[] for _ in range(self._tables)]
        self._scan(title, len(title), TITLE, found)
        self._scan(words, own, BACKGROUND, found)
        return found

    def _scan(self, words: Sequence[Word], cut: int, before: int, found: FoundPhrases) -> None:
        count = len(words)
        covered = [0] * self._tables
        for index, (_, _, node, _) in enumerate(words):
            if node is None:
                continue
            following, last = node
            stop, longest = index + 1, []
            while stop < count and words[stop][0] in following:
                if last:
                    longest.append((stop, last))
                following, last = following[words[stop][0]]
                stop += 1
            place = before if index < cut else OWN
            while True:
                for table, weights, phrase in last:
                    if covered[table] <= index:
                        covered[table] = stop
                        found[table].append((place, weights, phrase, index))
                if not longest:
                    break
                stop, last = longest.pop()


LEXICON = Lexicon()
"""Fields add their tables to it when they are imported."""


def weighted_phrases(vocabulary: dict[str, dict[float, str]], ignored: str = "") -> list[tuple[str, Weights]]:
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
    return [(phrase, tuple(weights.items())) for phrase, weights in by_phrase.items() if phrase]


def loudness(found: list[Found], factors: tuple[float, float, float]) -> dict[str, float]:
    """How much each label is spoken for: phrases, each times the factor of its place (title, background, own part); repeats of
    a phrase add less."""
    scores: dict[str, float] = {}
    heard: dict[str, list[float]] = {}
    for place, weights, phrase, _ in found:
        factor = factors[place]
        if not factor:
            continue
        seen = heard.get(phrase)
        if seen is None:
            heard[phrase] = seen = [0.0] * len(weights)
        for at, (label, weight) in enumerate(weights):
            gain = weight * factor / (1.0 + seen[at] / weight)
            seen[at] += gain
            scores[label] = scores.get(label, 0.0) + gain
    return scores
