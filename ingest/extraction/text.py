"""Sentences of an abstract, with offsets into the text as given, and which of them speak of the paper's own work."""

from __future__ import annotations

import re
from typing import NamedTuple

from .vocabulary import LEXICON
from .words import Word, blank_others, know, pulled, split_words, trigger, word_set

_BREAK = re.compile(r"[.!?][\"')\]]?\s+(?=[^\sa-z])")
_ABBREVIATIONS = word_set("e.g i.e vs al cf fig eq sec tab resp approx no etc dr st max min avg ca")
_LONGEST = 1 + max(map(len, _ABBREVIATIONS))
_OWN = re.compile(
    r"\b(?:we|our|ours|us)\b|\b(?:this|the present) (?:paper|work|study|article|letter|report|thesis|survey|review)\b"
    r"|\bin this\b|\bhere(?:in)?,|\b(?:is|are) (?:proposed|introduced|presented)\b|\bthe proposed\b|\bproposed (?:method|model|approach)",
    re.I,
)
_OTHERS = re.compile(
    r"^(?:however|unfortunately|recent(?:ly)?|existing|previous|prior|current(?:ly)?|traditional|conventional|although|despite|while"
    r"|most|many|many existing|state-of-the-art|to date|nevertheless|in recent years)\b",
    re.I,
)


_SAYS_OWN = trigger("we our ours us")
_MAY_SAY_OWN = trigger("this present here herein proposed introduced presented")


class Sentence(NamedTuple):
    """`text == abstract[start:end]`; `own` where it speaks of the paper's own work or follows its announcement.

    `triggers` are those of all its words.
    """

    text: str
    start: int
    end: int
    own: bool
    words: list[Word]
    triggers: int


def _cuts(abstract: str) -> list[tuple[int, int]]:
    """Where sentences start and end. Abbreviations ("e.g.", "vs.", an initial) do not end one."""
    cuts, begin = [], 0
    for match in _BREAK.finditer(abstract):
        at = match.start()
        if abstract[at] == ".":
            word = abstract[abstract.rfind(" ", max(0, at - 9), at) + 1 : at]
            if len(word) <= _LONGEST and (len(word) == 1 or word.lower().lstrip("(") in _ABBREVIATIONS):
                continue
        cuts.append((begin, at + 1))
        begin = match.end()
    cuts.append((begin, len(abstract)))
    return cuts


def split_sentences(abstract: str) -> list[Sentence]:
    """Sentences in order."""
    announced = False
    sentences = []
    plain = blank_others(abstract)
    aligned = len(plain) == len(abstract)
    for start, end in _cuts(abstract):
        text = abstract[start:end]
        if not text or text.isspace():
            continue
        words = know(plain[start:end].split() if aligned else split_words(text))
        triggers = pulled(words)
        if not announced:
            announced = bool(triggers & _SAYS_OWN or (triggers & _MAY_SAY_OWN and _OWN.search(text)))
        sentences.append(Sentence(text, start, end, announced, words, triggers))
    if sentences and not announced:
        # An abstract without "we" speaks of its own work all along, apart from its opening.
        sentences = [s._replace(own=_OTHERS.match(s.text) is None) for s in sentences]
    return sentences


class Document:
    """A title and an abstract, cut once for every field.

    `own_start` is the offset of the first sentence about the paper's own work (the text's end if there is none), `own_word`
    the number of words before it; `triggers` are those of the whole abstract.
    """

    __slots__ = ("abstract", "found", "own_start", "own_word", "sentences", "title", "title_triggers", "title_words",
                 "triggers", "words")  # fmt: skip

    def __init__(self, title: str, abstract: str) -> None:
        self.title, self.abstract = title, abstract
        self.sentences = split_sentences(abstract)
        self.title_words = know(split_words(title))
        self.title_triggers = pulled(self.title_words)
        self.words: list[Word] = []
        self.triggers = 0
        self.own_start, self.own_word = len(abstract), -1
        for sentence in self.sentences:
            if sentence.own and self.own_word < 0:
                self.own_start, self.own_word = sentence.start, len(self.words)
            self.words += sentence.words
            self.triggers |= sentence.triggers
        if self.own_word < 0:
            self.own_word = len(self.words)
        self.found = LEXICON.find(self.title_words, self.words, self.own_word)
