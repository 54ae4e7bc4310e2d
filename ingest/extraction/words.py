"""Words of a text, cut once for every field: folded for phrase tables, and with the triggers that each word pulls.

A trigger is a set of words (or beginnings of words) of which a sentence must hold one before a costly pattern is tried
there. A word's triggers are bits of one number, so a sentence knows all of them after one look at each of its words.
"""

from __future__ import annotations

from typing import Any


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
    if word.endswith("sses"):
        return word[:-2]
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
DIGIT = 1
"""The trigger of words that hold a digit."""


Node = tuple[dict[str, Any], list[tuple[int, Any, str]]]
"""A word of the tree of phrases: the words that may follow, and the tables in which a phrase ends here."""
Word = tuple[str, int, Node | None, str]
"""All that is known of a word: folded, the triggers it pulls, the phrases that begin with it, if any, and folded once more, but ""
where it tells nothing. Plain tuples are taken apart faster than named ones, and this is done with every word of every text."""
_COMMON = word_set(
    """
    the of and to a in for with on is that we by as are this an which be from it our at or can these has have their its while
    than such into also not but been
    """
)


class _Known:
    """Words by spelling, learned as they come; triggers and phrases may only be added before texts are read."""

    def __init__(self) -> None:
        self.by_spelling: dict[str, Word] = {}
        self.tree: dict[str, Node] = {}
        self.bits = 0
        self.words: dict[str, int] = {}
        self.starts: dict[str, int] = {}
        self.lengths: tuple[int, ...] = ()

    def learn(self, word: str) -> Word:
        triggers = self.words.get(word, 0)
        for length in self.lengths:
            triggers |= self.starts.get(word[:length], 0)
        if not word.isalpha() and any(c.isdigit() for c in word):
            triggers |= DIGIT
        if len(self.by_spelling) >= _MOST_WORDS:
            self.by_spelling.clear()
        folded_word = fold_word(word)
        telling = "" if folded_word in _COMMON or folded_word.isdigit() else folded_word
        self.by_spelling[word] = known = (folded_word, triggers, self.tree.get(folded_word), telling)
        return known


KNOWN = _Known()


def trigger(words: str = "", starts: str = "") -> int:
    """A new trigger, pulled by any of `words` as they stand and by words that begin with one of `starts`."""
    KNOWN.by_spelling.clear()
    KNOWN.bits += 1
    bit = 1 << KNOWN.bits
    for table, entries in ((KNOWN.words, words), (KNOWN.starts, starts)):
        for entry in entries.split():
            table[entry] = table.get(entry, 0) | bit
    KNOWN.lengths = tuple(sorted({len(start) for start in KNOWN.starts}))
    return bit


def know(words: list[str]) -> list[Word]:
    """What is known of `words`, which are in lower case."""
    known = KNOWN.by_spelling
    try:
        return [known[word] for word in words]
    except KeyError:
        return [known.get(word) or KNOWN.learn(word) for word in words]


def pulled(words: list[Word]) -> int:
    """The triggers that `words` pull together."""
    together = 0
    for _, triggers, _, _ in words:
        if triggers:
            together |= triggers
    return together


def folded(text: str) -> list[str]:
    """The folded words of `text`."""
    return [word[0] for word in know(split_words(text))]
