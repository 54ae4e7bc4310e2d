"""Finds a quote in the text that it was taken from, also where it was copied with other spaces, dashes or LaTeX.

What is found is always a place in the text as given: the quote itself is thrown away.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

_LONGEST_QUOTE = 1000

_PIECE = re.compile(
    r"""
    (?P<times>[ ]*\$?[ ]*(?:\\times|\times|×)|(?<=\d)times(?![a-z]))
  | (?P<near>\\simeq|\\sim|\\approx|(?<![a-z])sim(?=\d)|[~≈∼])
  | (?P<less>\\leqslant|\\leq|\\textless|\textless|\\lt|\\le(?![a-z])|(?<![a-z])(?:leq|textless)(?=\d)|[<≤])
  | (?P<more>\\geqslant|\\geq|\\textgreater|\textgreater|\\gt|\\ge(?![a-z])|(?<![a-z])(?:geq|textgreater)(?=\d)|[>≥])
  | (?P<silent>\\(?:text|math|emph)[a-z]*(?=\s*\{)|[${}\\*`_]|[\u00ad\u200b-\u200d\u2060\ufeff])
  | (?P<space>\s+)
  | (?P<dash>[-\u2010-\u2015\u2212]+)
  | (?P<mark>['"\u2018-\u201f]+)
    """,
    re.X | re.I,
)
# A tab before "imes" or "extless" is a backslash and a "t" that a model left unescaped in its JSON.
_FOLDED = {"times": "x", "near": "~", "less": "<", "more": ">", "silent": "", "space": " ", "dash": "-", "mark": "'"}


class Span(NamedTuple):
    """Characters `start` to `end` (exclusive)."""

    start: int
    end: int


class FoldedText:
    """A text in one way of writing, which remembers where each of its characters comes from."""

    __slots__ = ("_ends", "_starts", "folded", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        parts: list[str] = []
        self._starts: list[int] = []
        self._ends: list[int] = []
        for written, start, end in _pieces(text):
            if written == " " and parts and parts[-1] == " ":
                continue
            parts.append(written)
            self._starts += [start] * len(written)
            self._ends += [end] * len(written)
        self.folded = "".join(parts)

    def find(self, quote: str) -> list[Span]:
        """Every place where `quote` stands, exact ones alone if there are any; none begins or ends inside a word or number."""
        bare = quote.strip()
        if len(bare) > _LONGEST_QUOTE or not any(c.isalnum() for c in bare):
            return []
        exact = [Span(at, at + len(bare)) for at in _places(self.text, bare)]
        if exact := [span for span in exact if self._is_whole(span)]:
            return exact
        wanted = FoldedText(bare).folded.strip()
        if not wanted:
            return []
        spans = (Span(self._starts[at], self._ends[at + len(wanted) - 1]) for at in _places(self.folded, wanted))
        return [span for span in spans if self._is_whole(span)]

    def _is_whole(self, span: Span) -> bool:
        text, (start, end) = self.text, span
        return (
            not (_joined(text[start - 1 : start], text[start]) or _joined(text[end - 1], text[end : end + 1]))
            and not (text[start].isdigit() and re.search(r"\d[.,]$", text[max(0, start - 2) : start]))
            and not (text[end - 1].isdigit() and re.match(r"[.,]\d", text[end : end + 2]))
        )


def _joined(left: str, right: str) -> bool:
    """Whether a cut between two characters goes through a word or a number."""
    return bool(left and right) and ((left.isalpha() and right.isalpha()) or (left.isdigit() and right.isdigit()))


def _places(text: str, wanted: str) -> Iterator[int]:
    at = text.find(wanted)
    while at >= 0:
        yield at
        at = text.find(wanted, at + 1)


def _pieces(text: str) -> Iterator[tuple[str, int, int]]:
    """Folded writing of each piece of the text, and its place."""
    at = 0
    for match in _PIECE.finditer(text):
        yield from _letters(text, at, match.start())
        written = _FOLDED[match.lastgroup or ""]
        if written:
            yield written, match.start(), match.end()
        at = match.end()
    yield from _letters(text, at, len(text))


def _letters(text: str, start: int, stop: int) -> Iterator[tuple[str, int, int]]:
    for at in range(start, stop):
        folded = unicodedata.normalize("NFKC", text[at]).casefold()
        if folded:
            yield folded, at, at + 1
