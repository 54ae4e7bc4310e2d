"""What must not become a claim, whatever its grammar says."""

from __future__ import annotations

import math
import re

from ..words import trigger, word_set
from .nouns import Noun
from .quantity import Quantity
from .site import Clause, Reading

_OTHERS_SUBJECT = re.compile(
    r"^\W*(?:\w+,? ){0,2}(?:existing|previous|prior|conventional|traditional|current) (?:\w+ ){0,3}(?:methods?|works?|approaches|models|solutions|systems|kernels|implementations|frameworks|libraries|techniques|baselines"
    r"|networks|algorithms|architectures|engines|accelerators|schemes|designs|pipelines)"
    r" (?:\w+ )?(?:suffer|require|need|are|achieve|fail|incur|have|only|can|rely|use|reach|take|consume|spend|cost|utilize)\b",
    re.I,
)
OF_OTHERS = trigger("existing previous prior conventional traditional current")
"""The trigger that a sentence about others pulls."""
_COMPLAINTS = frozenset({"however", "unfortunately", "yet", "nevertheless", "but"})
_NOT_UNITS = word_set(
    """
    confidence ci interval pruned sparse sparsity labels labeled labelled unlabeled split dropout masking noise chance
    quantile percentile spatial spatially downsampling upsampling
    """
)


def speaks_of_others(text: str) -> bool:
    """Whether a sentence is about earlier methods ("existing approaches require ...") rather than this paper's."""
    return _OTHERS_SUBJECT.match(text) is not None


def is_refused(clause: Clause, quantity: Quantity, reading: Reading, noun: Noun) -> bool:
    """Whether a number sets an experiment up ("at 50% sparsity"), boasts of size ("10x more data") or blames others."""
    if reading.direction == "worse" and _is_no_cost(clause, quantity, reading, noun):
        return True
    if _is_said_of_others(clause, quantity) or _is_of_quality(clause, quantity):
        return True
    before = clause.lows[max(0, quantity.lead - 4) : quantity.lead]
    if quantity.form == "percent" and before[-1:] and before[-1] in _LOSES:
        return True
    if before[-1:] and before[-1] in _IDEALS:
        return True
    if (
        "only" in before
        and before[before.index("only") - 1] == "can"
        and _OWN_WORDS.isdisjoint(clause.lows[: quantity.lead])
    ):
        return True
    if _is_of_an_ideal(clause, quantity) and not reading.rule.startswith("share-"):
        return True
    behind = clause.lows[quantity.stop] if quantity.stop < len(clause.lows) else ""
    if behind in _NOT_UNITS and quantity.form != "absolute" and reading.rule not in {"noun-right", "share-pruned"}:
        return True
    return quantity.form == "factor" and quantity.value <= 1.0 and quantity.how != "part"


def _is_of_an_ideal(clause: Clause, quantity: Quantity) -> bool:
    """ "Brings training to 93% of the ideal speed": a share of what is possible, and no change."""
    after = clause.lows[quantity.stop : quantity.stop + 3]
    return quantity.form == "percent" and after[:1] == ["of"] and not _IDEALS.isdisjoint(after[1:])


_LOSES = word_set("lose loses losing lost sacrifices sacrificing forfeits")
"""What is lost in percent is quality."""
_IDEALS = word_set("ideal theoretical theoretically optimal")
_HARD_STOPS = frozenset({"while", "whereas", "whilst", ";", "but", "as", "though", "although"})
_OTHER = word_set(
    "other others existing prior previous competing comparative conventional alternative baseline rival earlier"
)
_WORKS = word_set(
    "methods method's works approaches techniques systems models baselines schemes algorithms frameworks solutions kernels rivals"
)
_TURNS = word_set("we our ours it its than over by to against versus from compared relative that which proposed")


def _is_said_of_others(clause: Clause, quantity: Quantity) -> bool:
    """ "While other methods only save 20%", "while the comparative methods' decline is 8%": others are the subject."""
    if clause.words.isdisjoint(_OTHER):
        return False
    start = next((k + 1 for k in range(quantity.lead - 1, -1, -1) if clause.lows[k] in _HARD_STOPS), 0)
    said = clause.lows[start : quantity.lead]
    opening = said[1:] if said[:1] in (["the"], ["all"], ["most"], ["many"]) else said
    if not opening or opening[0] not in _OTHER:
        return False
    named = any(word.strip("'’").removesuffix("'s") in _WORKS for word in opening[1:3])
    return named and _TURNS.isdisjoint(said)


def _is_of_quality(clause: Clause, quantity: Quantity) -> bool:
    """ "A degradation of 0.2% in accuracy", whatever else stands before."""
    at = quantity.stop
    if quantity.form != "percent" or clause.lows[at : at + 1] != ["in"]:
        return False
    return any(a.noun.polarity == "refuse" and at < a.first <= at + 2 for a in clause.anchors)


_OWN_WORDS = frozenset({"we", "our", "ours", "it"})
_NEEDS = frozenset({"require", "requires", "need", "needs", "takes"})
_MOST_WORSE = {"factor": 1.5, "percent": 40.0}
"""No paper boasts of a higher cost; what is larger is said of others, unless something is plainly called slower."""


def _is_no_cost(clause: Clause, quantity: Quantity, reading: Reading, noun: Noun) -> bool:
    """Whether a change for the worse is a complaint about others, or of data, and no cost that the paper admits."""
    if noun.metric == "data_samples" or clause.lows[0] in _COMPLAINTS:
        return True
    if not _NEEDS.isdisjoint(clause.lows[max(0, quantity.lead - 2) : quantity.lead]):
        return True
    slower = "slower" in clause.lows[reading.first : reading.stop]
    return not slower and quantity.value > _MOST_WORSE.get(quantity.form, math.inf)
