"""One number in its sentence: what stands to its left and right, and the nouns there."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from .nouns import NOUNS, Noun
from .quantity import Quantity
from .tokens import Tokens
from .words import CHANGE_NOUNS, CHANGE_VERBS, COMPARATIVES, SELF_NOUNS

_NOTHING = ("",)
_COUNTED = frozenset({"nfes", "nfe"})
"""Nouns that stay nouns inside a number, as they are its unit."""
_COUNTS = frozenset({"number", "amount", "count", "numbers", "amounts"})
_HARD_STOPS = frozenset({";", "whereas", "but", "while", "whilst", "although", "though"})
_MAX_LEFT, _MAX_RIGHT = 30, 12


class Anchor(NamedTuple):
    """A noun of the metric table at tokens `first` to `stop` (exclusive)."""

    noun: Noun
    first: int
    stop: int


@dataclass(slots=True)
class Reading:
    """What a rule made of a number. `first` to `stop` are the tokens that the quote must hold besides the number.

    `noun` None means refused: the number was understood and is no efficiency claim; `weak` if only its noun is unknown.
    """

    rule: str
    noun: Noun | None
    direction: str
    first: int
    stop: int
    extra: tuple[Noun, ...] = ()
    weak: bool = False


class Clause:
    """A sentence's tokens with its numbers and nouns; built once, read by every rule.

    `lows` are the tokens' words and `words` the set of them; `qualifying` are the tokens of qualifiers ("up to"); `phases`,
    `baselines` and `phrases` (baselines by their first token) are filled when first asked for.
    """

    __slots__ = ("anchors", "baselines", "lows", "phases", "phrases", "places", "qualifying", "quantities", "stops", "systems_paper", "tokens",
                 "words")  # fmt: skip

    def __init__(self, places: Tokens, quantities: list[Quantity], systems_paper: bool = False) -> None:
        self.places, self.tokens, self.quantities, self.systems_paper = places, places.tokens, quantities, systems_paper
        self.phases: list[tuple[int, str]] | None = None
        self.baselines: list[tuple[int, int, int]] | None = None
        self.phrases: dict[int, list[str]] = {}
        self.lows = [t[1] for t in self.tokens]
        self.words = frozenset(self.lows)
        self.stops: list[int] = []
        if not self.words.isdisjoint(_HARD_STOPS):
            self.stops = [at for at, low in enumerate(self.lows) if low in _HARD_STOPS]
        self.qualifying = frozenset(k for q in quantities for k in range(q.lead, q.first))
        self.anchors = self._nouns()

    def _nouns(self) -> list[Anchor]:
        """Nouns of the metric table outside the numbers themselves."""
        parts = [t[3] for t in self.tokens]
        for q in self.quantities:
            for at in range(q.first, q.stop):
                if self.lows[at] not in _COUNTED:
                    parts[at] = _NOTHING
        words = [part for token in parts for part in token]
        found = NOUNS.find(words)
        if len(words) == len(parts):
            anchors = [Anchor(noun, first, stop) for noun, first, stop in found if noun[1] != "ignore"]
        else:
            owners = [at for at, token in enumerate(parts) for _ in token]
            anchors = [
                Anchor(noun, owners[first], owners[stop - 1] + 1) for noun, first, stop in found if noun[1] != "ignore"
            ]
        if not _COUNTS.isdisjoint(self.words) and any(a.noun.kind == "count" for a in anchors):
            # "The number of trained parameters": what is counted is known, and the count says nothing of its own.
            near = [(a, b) for a, b in pairwise([*anchors, None]) if a is not None]
            anchors = [
                a for a, b in near if not (a.noun.kind == "count" and b is not None and 0 <= b.first - a.stop <= 3)
            ]
        return anchors


@dataclass(slots=True)
class Site:
    """Where a number, or a tight list of numbers that share their surroundings, stands in a clause.

    Left context is tokens `left` to `begin`, right context `end` to `right`, both as half-open token ranges.
    """

    clause: Clause
    quantity: Quantity
    begin: int
    end: int
    left: int
    right: int

    def word(self, index: int) -> str:
        lows = self.clause.lows
        return lows[index] if 0 <= index < len(lows) else ""

    def anchors_right(self, start: int, stop: int) -> list[Anchor]:
        return [a for a in self.clause.anchors if a.first >= start and a.stop <= stop]


def chains_of(clause: Clause) -> list[list[Quantity]]:
    """Groups neighbouring numbers of one form whose surroundings are shared ("2x, 3x and 4x"; brackets between are
    allowed)."""
    chains: list[list[Quantity]] = []
    for quantity in clause.quantities:
        if chains and _tight(clause, chains[-1][-1], quantity):
            chains[-1].append(quantity)
        else:
            chains.append([quantity])
    return chains


def _tight(clause: Clause, left: Quantity, right: Quantity) -> bool:
    relative = {"factor", "percent"}
    if left.form != right.form and not relative.issuperset({left.form, right.form}):
        return False
    if left.how in {"verb", "part"} or right.how == "verb" or left.unit != right.unit:
        return False
    if clause.lows[right.lead - 1] in {"a", "an"} and _is_of_a_change(clause, left):
        return False
    depth, glue = 0, False
    for token in clause.tokens[left.stop : right.lead]:
        if token.low in {"(", "["}:
            depth += 1
        elif token.low in {")", "]"}:
            depth -= 1
        elif depth <= 0:
            if token.low not in {",", "and", "or", "&", "/", "even", "by", "a"}:
                return False
            glue = True
    return glue and depth == 0


def _is_of_a_change(clause: Clause, quantity: Quantity) -> bool:
    """ "A memory reduction of 45% and a 20% increase": the first number has its noun in front of it."""
    at = quantity.lead
    return at > 1 and clause.lows[at - 1] == "of" and clause.lows[at - 2] in _OF_CHANGE


_OF_CHANGE = CHANGE_NOUNS.keys() | SELF_NOUNS.keys()
_LOOSE_OPENERS = frozenset(
    {"on", "for", "in", "with", "when", "under", "at", "over", "(", ",", "and", "respectively", "than", "compared"}
)


_WHERE = frozenset({"on", "for", "in", "at", "when", "under"})


def continues(clause: Clause, left: Quantity, right: Quantity, read: int = 0) -> bool:
    """Whether `right` goes on a loose list after `left`: "8x on state-space models, and 14x on linear attention".

    Tokens before `read` belong to what `left` measures: the "speedup" of "8x speedup on A and 14x on B".
    """
    if "absolute" in (left.form, right.form) and left.form != right.form:
        return False
    if left.unit is not None and right.unit is not None and left.unit.measures != right.unit.measures:
        return False
    between = clause.lows[max(left.stop, min(read, right.lead)) : right.lead]
    if between in (["("], [",", "("]):
        return clause.lows[right.stop : right.stop + 1] != ["from"]
    if (
        not 1 <= len(between) <= 12
        or between[0] not in _LOOSE_OPENERS
        or between[-1] not in {",", "and", "by", "or", "to"}
    ):
        return False
    if any(word in CHANGE_VERBS or word in COMPARATIVES for word in between):
        return False
    # In "50% on two tasks and 90% on three" the tasks are where it was measured.
    begin = right.lead if between[0] in _WHERE and between[-1] in {"and", ",", "or"} else left.stop
    return not any(begin <= a.first < right.lead and a.noun.polarity == "refuse" for a in clause.anchors)


def site_of(clause: Clause, chain: list[Quantity], quantity: Quantity) -> Site:
    """The surroundings of a chain: up to its neighbours, or a stop such as ";" or "while"."""
    begin, end = chain[0].lead, chain[-1].stop
    place = clause.quantities.index(chain[0])
    left_wall = clause.quantities[place - 1].stop if place else 0
    last = place + len(chain)
    if (
        clause.lows[end : end + 1] == ["("]
        and last < len(clause.quantities)
        and clause.quantities[last].lead <= end + 2
    ):
        # "71% (57 GB) of memory": the amount in brackets says the same and ends nothing.
        while last < len(clause.quantities) and clause.quantities[last].form == "absolute" != chain[0].form:
            inner, last = clause.quantities[last], last + 1
            if ")" in clause.lows[inner.stop : inner.stop + 2]:
                break
        else:
            beside = clause.quantities[last] if last < len(clause.quantities) else None
            closed = beside is not None and clause.lows[beside.stop : beside.stop + 1] == [")"]
            if beside is not None and closed and beside.form == chain[0].form:
                # "43% (up to 71%) of the cost": the bracket is passed over too.
                last += 1
    right_wall = clause.quantities[last].lead if last < len(clause.quantities) else len(clause.tokens)
    left = max(left_wall, begin - _MAX_LEFT)
    right = min(right_wall, end + _MAX_RIGHT)
    for at in clause.stops:
        if left <= at < begin:
            left = at + 1
        elif end <= at < right:
            right = at
            break
    return Site(clause, quantity, begin, end, left, right)
