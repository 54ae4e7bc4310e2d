"""What a number is compared against."""

from __future__ import annotations

import string

from ..words import word_set
from .quantity import Quantity
from .site import Clause
from .tokens import Tokens

_BASELINE_START = frozenset({"than", "over", "versus", "vs", "against"})
_BASELINE_PAIRS = {("compared", "to"), ("compared", "with"), ("relative", "to"), ("in", "comparison"), ("comparing", "to"),
                   ("comparison", "to"), ("comparison", "with"), ("with", "respect"), ("opposed", "to"), ("as", "as")}  # fmt: skip
_BASELINE_OPENS = frozenset(first for first, _ in _BASELINE_PAIRS)
_RIVALS = word_set(
    "over than beats outperform outperforms outperformed outperforming outperformance surpass surpasses surpassed surpassing"
)
_OPENS = _BASELINE_START | _BASELINE_OPENS | _RIVALS
_BASELINE_STOPS = word_set(
    """
    , ; ( ) while with when on at without in by for during but whereas respectively under across achieving
    making using : and as which that to is are has does do did
    """
)
_TRAILING = string.whitespace + ".,;:"


def baseline_of(clause: Clause, quantity: Quantity, abstract: str, order: int, count: int) -> str | None:
    """What the number is compared against, cut from the text behind it.

    `order` and `count` place the number in its list, for "2x and 3x over A and B, respectively".
    """
    if quantity.origin:
        return quantity.origin
    start = _baseline_start(clause, quantity)
    if start is None:
        return None
    phrases = clause.phrases.get(start)
    if phrases is None:
        phrases = clause.phrases[start] = _phrases(clause.places, start, abstract)
    if not phrases:
        return None
    if count > 1 and len(phrases) == count:
        return phrases[order]
    return phrases[0]


def _baseline_start(clause: Clause, quantity: Quantity) -> int | None:
    """The first token of a baseline behind the number ("than ..."), or before it ("outperforms ... by")."""
    if clause.baselines is None:
        clause.baselines = _baselines(clause)
    left = None
    for at, behind, before in clause.baselines:
        if at < quantity.lead:
            if before and at > quantity.lead - 14:
                left = before
        elif behind and quantity.stop <= at < quantity.stop + 16:
            return behind
    return left


def _baselines(clause: Clause) -> list[tuple[int, int, int]]:
    """Words that open a baseline: their place, and the baseline's first token if the number stands before or behind
    them (0: not a baseline then)."""
    lows = clause.lows
    found: list[tuple[int, int, int]] = []
    if clause.words.isdisjoint(_OPENS):
        return found
    for at in [k for k, low in enumerate(lows) if low in _OPENS]:
        low = lows[at]
        behind = before = 0
        if low in _BASELINE_START and at not in clause.qualifying:
            behind = at + 1
        if low in _RIVALS:
            before = at + 1
        if low in _BASELINE_OPENS and at + 1 < len(lows) and (low, lows[at + 1]) in _BASELINE_PAIRS:
            before = at + 2
            if at not in clause.qualifying:
                behind = at + 2 + (lows[at + 2 : at + 3] in (["to"], ["with"], ["over"]))
        if behind or before:
            found.append((at, behind, before))
    return found


def _phrases(places: Tokens, start: int, abstract: str) -> list[str]:
    tokens = places.tokens
    phrases: list[str] = []
    begin, at = start, start
    while at < len(tokens) and at - start < 16:
        low = tokens[at].low
        listed = low in {",", "and"}
        if low in _BASELINE_STOPS or tokens[at].kind == "num" or tokens[at].kind == "url" or low == ".":
            if at > begin:
                phrases.append(_clean(abstract[places.start(begin) : places.end(at - 1)]))
            if not listed:
                break
            begin = at + 1
        at += 1
    else:
        if at > begin and begin < len(tokens):
            phrases.append(_clean(abstract[places.start(begin) : places.end(at - 1)]))
    return [p for p in phrases if p]


def _clean(phrase: str) -> str:
    phrase = phrase.rstrip(_TRAILING)
    for article in ("the ", "an ", "a "):
        phrase = phrase.removeprefix(article)
    return phrase
