"""Words of a text, cut once for every field: folded for phrase tables, and with the triggers that each word pulls.

A trigger is a set of words (or beginnings of words) of which a sentence must hold one before a costly pattern is tried
there. A word's triggers are bits of one number, so a sentence knows all of them after one look at each of its words.
"""

from __future__ import annotations

from functools import reduce
from operator import or_


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


class _Blanks(dict[int, int]):
    """For `str.translate`: letters and digits of any script stay, everything else becomes a blank."""

    def __missing__(self, code: int) -> int:
        kept = code if chr(code).isalnum() else 32
        if len(self) < 1 << 12:
            self[code] = kept
        return kept


_BLANKS = _Blanks()


def split_words(text: str) -> list[str]:
    """Lower-case runs of letters and digits."""
    return blank_others(text).split()


def blank_others(text: str) -> str:
    """`text` in lower case with a blank for all but letters and digits."""
    return text.lower().translate(_BLANKS)


_MOST_WORDS = 1 << 17
"""Different words that are remembered; hostile text may not fill the memory."""


class _Folds(dict[str, str]):
    """Folded words by word."""

    def __missing__(self, word: str) -> str:
        if len(self) >= _MOST_WORDS:
            self.clear()
        self[word] = folded_word = fold_word(word)
        return folded_word


class _Triggers(dict[str, int]):
    """Triggers by word."""

    def __init__(self) -> None:
        super().__init__()
        self.bits = 0
        self.words: dict[str, int] = {}
        self.starts: dict[str, int] = {}
        self.lengths: tuple[int, ...] = ()

    def __missing__(self, word: str) -> int:
        triggers = self.words.get(word, 0)
        for length in self.lengths:
            triggers |= self.starts.get(word[:length], 0)
        if not word.isalpha() and any(c.isdigit() for c in word):
            triggers |= DIGIT
        if len(self) >= _MOST_WORDS:
            self.clear()
        self[word] = triggers
        return triggers


DIGIT = 1
"""The trigger of words that hold a digit."""
FOLDS = _Folds()
TRIGGERS = _Triggers()


def trigger(words: str = "", starts: str = "") -> int:
    """A new trigger, pulled by any of `words` as they stand and by words that begin with one of `starts`."""
    TRIGGERS.clear()
    TRIGGERS.bits += 1
    bit = 1 << TRIGGERS.bits
    for table, entries in ((TRIGGERS.words, words), (TRIGGERS.starts, starts)):
        for entry in entries.split():
            table[entry] = table.get(entry, 0) | bit
    TRIGGERS.lengths = tuple(sorted({len(start) for start in TRIGGERS.starts}))
    return bit


def read_words(text: str) -> tuple[list[str], int]:
    """The folded words of `text`, and the triggers that they pull together."""
    return know_words(split_words(text))


def know_words(words: list[str]) -> tuple[list[str], int]:
    """The folded `words`, which are in lower case, and the triggers that they pull together."""
    return list(map(FOLDS.__getitem__, words)), reduce(or_, map(TRIGGERS.__getitem__, words), 0)


def folded(text: str) -> list[str]:
    """The folded words of `text`."""
    return list(map(FOLDS.__getitem__, split_words(text)))
