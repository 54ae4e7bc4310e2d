"""Which qualifier a claim has: the one in front of its number, one that the list passes on, or one said of its noun ("an
average speedup of 2x", "2x faster on average")."""

from __future__ import annotations

from itertools import pairwise

from ..words import word_set
from .quantity import Quantity
from .site import Clause, Reading
from .words import CHANGE_NOUNS, CHANGE_VERBS, COMPARATIVES, SELF_NOUNS

_AVERAGES = word_set("average averaged averages mean geomean averagely")
_MAXIMA = word_set("maximum maximal max")
_NAMED = {**dict.fromkeys(_AVERAGES, "average"), **dict.fromkeys(_MAXIMA, "up to")}
_LINKS = frozenset({"of", "by", "is", ":", "to", "reaches", "reaching", "at"})
_GAINS = CHANGE_NOUNS.keys() | SELF_NOUNS.keys() | COMPARATIVES.keys() | {"ratio", "rate", "factor"}
_BREAKS = word_set(", ; ( ) while and or but whereas with which that achieves achieving achieve")
_REACH = 6

_VERBAL = word_set(
    """
    with while by when ; ( achieves achieving achieve enables enabling improves requires using uses gives yields shows delivers
    further also but whereas than compared
    """
)
_OPENING = _VERBAL | (CHANGE_VERBS.keys() - CHANGE_NOUNS.keys() - COMPARATIVES.keys())
"""Words that begin a statement of its own, to which no qualifier is passed on."""


def share_qualifiers(clause: Clause) -> None:
    """ "Up to 5x lower latency and 43% energy savings": the qualifier holds for both, where no new verb or "by" begins."""
    _average_at_the_end(clause)
    for left, right in pairwise(clause.quantities):
        if (
            left.qualifier not in {"up to", "about", "average"}
            or right.qualifier
            or right.bound
            or "absolute" in (left.form, right.form)
        ):
            continue
        if left.lead == left.first and not left.passed:
            continue
        between = clause.lows[left.stop : right.lead]
        last = between[-2:-1] if between[-1:] in (["a"], ["an"]) else between[-1:]
        if last not in (["and"], ["or"]) and not (last == [","] and left.qualifier != "about"):
            continue
        if len(between) > 12:
            continue
        if _OPENING.isdisjoint(between):
            right.qualifier, right.passed = left.qualifier, True


def _average_at_the_end(clause: Clause) -> None:
    """ "2x speedup, 4x area savings, and 3x energy savings on average": said behind a list, it holds for all of it."""
    if "average" not in clause.words:
        return
    for left, right in list(pairwise(clause.quantities))[::-1]:
        last = right.stop
        while last < len(clause.lows) and last < right.stop + 6 and clause.lows[last] not in _BREAKS:
            if clause.lows[last] == "on" and clause.lows[last + 1 : last + 2] == ["average"]:
                right.qualifier = right.qualifier or "average"
                break
            last += 1
        if (
            right.qualifier == "average"
            and right.lead == right.first
            and not left.qualifier
            and _listed(clause, left, right)
        ):
            left.qualifier = "average"


def _listed(clause: Clause, left: Quantity, right: Quantity) -> bool:
    """Whether two numbers are members of one list with a noun each ("2x speedup, 4x area savings")."""
    between = clause.lows[left.stop : right.lead]
    close = len(between) <= 7 and "," in between[:6] and between[-1:] in ([","], ["and"], ["a"], ["an"])
    return close and left.form == right.form != "absolute" and _OPENING.isdisjoint(between)


def qualifier_of(clause: Clause, quantity: Quantity, reading: Reading, chain: list[Quantity]) -> str | None:
    """ "up to", "at least", "about", "average" or None."""
    # In "up to 3x and 2x" the qualifier of the first number holds for the others that have none.
    found = quantity.qualifier or chain[0].qualifier
    if _is_less_than_a_share(clause, quantity, reading):
        return "at least" if found in {None, "average"} else found
    if quantity.bound == "<":
        below = quantity.form == "absolute" or found in {None, "average"}
        return "up to" if below and found != "at least" else found
    said = found or _said_of_the_noun(clause, chain[0], reading) or _said_behind(clause, chain[-1], reading)
    return said or _said_in_front(clause, chain[0])


def _is_less_than_a_share(clause: Clause, quantity: Quantity, reading: Reading) -> bool:
    """ "Less than a tenth of the cost": the gain is at least so large; "at most" and "as few as" leave it at that."""
    if quantity.bound != "<" or not reading.rule.startswith("share") or reading.direction != "better":
        return False
    return "than" in clause.lows[quantity.lead : quantity.first]


def _said_of_the_noun(clause: Clause, first: Quantity, reading: Reading) -> str | None:
    """ "A mean reduction in latency of 30%", "reduces latency on average by 30%", "an average computing rate of 60 GOP/s"."""
    lows, lead = clause.lows, first.lead
    if lead < 1 or lows[lead - 1] not in _LINKS:
        return None
    for at in range(lead - 2, max(-1, lead - 2 - _REACH), -1):
        if lows[at] in _BREAKS:
            return None
        named = _NAMED.get(lows[at])
        if named == "up to" and _GAINS.isdisjoint(lows[at + 1 : lead]):
            # "Raises the maximum batch size by 6x": the maximum of what is measured.
            return None
        if named:
            return named
    return None


def _said_in_front(clause: Clause, first: Quantity) -> str | None:
    """ "On average over four tasks, it is 2x faster": said before the statement, it holds for its first number."""
    if "average" not in clause.words or first.form == "absolute":
        return None
    start = max((q.stop for q in clause.quantities if q.stop <= first.lead), default=0)
    before = clause.lows[start : first.lead]
    at = next((k for k, pair in enumerate(pairwise(before)) if pair == ("on", "average")), None)
    return "average" if at is not None and "," in before[at:] else None


def _said_behind(clause: Clause, last: Quantity, reading: Reading) -> str | None:
    """ "2x faster decoding on average", "a 2x average speedup"."""
    lows = clause.lows
    if last.stop < len(lows) and lows[last.stop] in _NAMED:
        return _NAMED[lows[last.stop]]
    for at in range(last.stop, min(len(lows) - 1, max(reading.stop, last.stop) + 2)):
        if lows[at] in {",", "and", ";", "while"}:
            return None
        if lows[at] == "on" and lows[at + 1] == "average":
            return "average"
        if lows[at] == "at" and lows[at + 1] in {"best", "peak", "most"}:
            return "up to"
    return None
