"""Sentences of an abstract, with offsets into the text as given, and which of them speak of the paper's own work."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from .vocabulary import folded

_BREAK = re.compile(r"[.!?][\"')\]]?\s+(?=[^\sa-z])")
_ABBREVIATION = re.compile(r"(?:\b(?:e\.g|i\.e|vs|al|cf|fig|eq|sec|tab|resp|approx|no|etc|dr|st)|(?:^|\s)[A-Z])$", re.I)
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


@dataclass(frozen=True, slots=True)
class Sentence:
    """`text == abstract[start:end]`; `own` where it speaks of the paper's own work or follows its announcement."""

    text: str
    start: int
    end: int
    own: bool


def split_sentences(abstract: str) -> list[Sentence]:
    """Sentences in order. Abbreviations ("e.g.", "vs.", an initial) do not end one."""
    cuts, begin = [], 0
    for match in _BREAK.finditer(abstract):
        if abstract[match.start()] == "." and _ABBREVIATION.search(abstract, max(0, match.start() - 8), match.start()):
            continue
        cuts.append((begin, match.start() + 1))
        begin = match.end()
    cuts.append((begin, len(abstract)))
    announced = False
    sentences = []
    for start, end in cuts:
        text = abstract[start:end]
        if not text.strip():
            continue
        announced = announced or _OWN.search(text) is not None
        sentences.append(Sentence(text, start, end, announced))
    if sentences and not announced:
        # An abstract without "we" speaks of its own work all along, apart from its opening.
        sentences = [Sentence(s.text, s.start, s.end, _OTHERS.match(s.text) is None) for s in sentences]
    return sentences


@dataclass(frozen=True)
class Document:
    """A title and an abstract, cut once for every field."""

    title: str
    abstract: str

    @cached_property
    def sentences(self) -> list[Sentence]:
        return split_sentences(self.abstract)

    @cached_property
    def title_words(self) -> list[str]:
        """Folded words of the title."""
        return folded(self.title)

    @cached_property
    def words(self) -> list[str]:
        """Folded words of the abstract."""
        return self._background_words + folded(self.abstract[self.own_start :])

    @cached_property
    def _background_words(self) -> list[str]:
        return folded(self.abstract[: self.own_start])

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """The abstract's words as a set, for a quick look whether a field's trigger occurs at all."""
        return frozenset(self.words)

    @cached_property
    def own_start(self) -> int:
        """Offset of the first sentence about the paper's own work; the text's end if there is none."""
        return next((s.start for s in self.sentences if s.own), len(self.abstract))

    @cached_property
    def own_word(self) -> int:
        """Index among `words` of the first word about the paper's own work."""
        return len(self._background_words)
