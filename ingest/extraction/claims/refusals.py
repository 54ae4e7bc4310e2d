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
    quantile percentile
    """
)


def speaks_of_others(text: str) -> bool:
    """Whether a sentence is about earlier methods ("existing approaches require ...") rather than this paper's."""
    return _OTHERS_SUBJECT.match(text) is not None


def is_refused(clause: Clause, quantity: Quantity, reading: Reading, noun: Noun) -> bool:
    """Whether a number sets an experiment up ("at 50% sparsity"), boasts of size ("10x more data") or blames others."""
    if reading.direction == "worse" and _is_no_cost(clause, quantity, reading, noun):
        return True
    before = clause.lows[max(0, quantity.lead - 4) : quantity.lead]
    if (
        "only" in before
        and before[before.index("only") - 1] == "can"
        and _OWN_WORDS.isdisjoint(clause.lows[: quantity.lead])
    ):
        return True
    behind = clause.lows[quantity.stop] if quantity.stop < len(clause.lows) else ""
    if behind in _NOT_UNITS and quantity.form != "absolute" and reading.rule not in {"noun-right", "share-pruned"}:
        return True
    return quantity.form == "factor" and quantity.value <= 1.0 and quantity.how != "part"


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
