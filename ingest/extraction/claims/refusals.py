"""What must not become a claim, whatever its grammar says."""

from __future__ import annotations

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
    confidence ci interval sparse sparsity labels labeled labelled unlabeled split dropout masking noise chance
    quantile percentile
    """
)


def speaks_of_others(text: str) -> bool:
    """Whether a sentence is about earlier methods ("existing approaches require ...") rather than this paper's."""
    return _OTHERS_SUBJECT.match(text) is not None


def is_refused(clause: Clause, quantity: Quantity, reading: Reading, noun: Noun) -> bool:
    """Whether a number sets an experiment up ("at 50% sparsity"), boasts of size ("10x more data") or blames others."""
    if reading.direction == "worse" and (noun.metric == "data_samples" or clause.lows[0] in _COMPLAINTS):
        return True
    if reading.direction == "worse" and {"require", "requires", "need", "needs", "takes"} & set(
        clause.lows[max(0, quantity.lead - 2) : quantity.lead]
    ):
        return True
    slower = "slower" in clause.lows[reading.first : reading.stop]
    if reading.direction == "worse" and not slower and quantity.value > (1.5 if quantity.form == "factor" else 40.0):
        return True
    behind = clause.lows[quantity.stop] if quantity.stop < len(clause.lows) else ""
    if behind in _NOT_UNITS and quantity.form != "absolute" and reading.rule not in {"noun-right", "share-pruned"}:
        return True
    return quantity.form == "factor" and quantity.value < 1.0 and quantity.how != "part"
