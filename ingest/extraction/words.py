"""Words of a text, cut once for every field: folded for phrase tables, and with the triggers that each word pulls.

A trigger is a set of words (or beginnings of words) of which a sentence must hold one before a costly pattern is tried
there. A word's triggers are bits of one number, so a sentence knows all of them after one look at each of its words.
"""

from __future__ import annotations


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
    return text.lower().translate(_BLANKS).split()


class _Known(dict[str, tuple[str, int]]):
    """By word: the word folded, and its triggers. Emptied when hostile text has filled it."""

    _LIMIT = 1 << 17

    def __init__(self) -> None:
        super().__init__()
        self.bits = 0
        self.words: dict[str, int] = {}
        self.starts: dict[str, int] = {}
        self.lengths: tuple[int, ...] = ()

    def __missing__(self, word: str) -> tuple[str, int]:
        triggers = self.words.get(word, 0)
        for length in self.lengths:
            triggers |= self.starts.get(word[:length], 0)
        if not word.isalpha() and any(c.isdigit() for c in word):
            triggers |= DIGIT
        if len(self) >= self._LIMIT:
            self.clear()
        self[word] = known = (fold_word(word), triggers)
        return known


KNOWN = _Known()
DIGIT = 1
"""The trigger of words that hold a digit."""


def trigger(words: str = "", starts: str = "") -> int:
    """A new trigger, pulled by any of `words` as they stand and by words that begin with one of `starts`."""
    KNOWN.clear()
    KNOWN.bits += 1
    bit = 1 << KNOWN.bits
    for table, entries in ((KNOWN.words, words), (KNOWN.starts, starts)):
        for entry in entries.split():
            table[entry] = table.get(entry, 0) | bit
    KNOWN.lengths = tuple(sorted({len(start) for start in KNOWN.starts}))
    return bit


def read_words(text: str) -> tuple[list[str], int]:
    """The folded words of `text`, and the triggers that they pull together."""
    known, words, triggers = KNOWN, [], 0
    for word in split_words(text):
        folded_word, bits = known[word]
        words.append(folded_word)
        triggers |= bits
    return words, triggers


def folded(text: str) -> list[str]:
    """The folded words of `text`."""
    return [KNOWN[word][0] for word in split_words(text)]
