"""How far a claim may be trusted: how often its rule held on labelled papers."""

from __future__ import annotations

RULE_RECORD: dict[str, tuple[int, int]] = {
    "comparative": (215, 198), "by-verb": (208, 187), "self-noun": (118, 105), "change-noun": (117, 113), "amount-time": (66, 59),
    "share": (53, 50), "amount-rate": (52, 50), "of-noun": (49, 43), "list": (38, 33), "amount-flops": (29, 23), "amount-params": (28, 25),
    "amount-memory": (25, 22), "noun-right": (21, 17), "guess": (18, 9), "continued": (13, 12), "by-rival": (11, 11),
    "amount-params-beside": (10, 8), "amount-size": (10, 10), "amount-data": (9, 8), "amount-device-time": (8, 7), "parallel": (7, 7),
    "amount-energy": (6, 6), "verb-factor": (6, 6), "amount-steps": (6, 6), "goes-on": (6, 5), "amount-money": (4, 4),
    "amount-storage": (4, 3), "comparative-capacity": (4, 4), "bracketed": (4, 3), "as-adjective": (3, 3), "share-of-ideal": (3, 3),
    "share-of-rival": (3, 3), "share-utilized": (3, 3), "amount-devices": (2, 1), "amount-tokens": (2, 2), "share-of-data": (2, 2),
    "guess-thing": (2, 2), "amount-traffic": (2, 2), "share-pruned": (1, 1), "after-comparative": (1, 0), "comparative-default": (1, 1),
    "comparative-rival": (1, 1), "amount-things": (1, 0), "amount-iterations": (1, 1), "amount-area": (0, 0), "by-verb-default": (0, 0),
}  # fmt: skip
"""Claims that each rule found on the labelled papers, and those of them that the labels confirm. Printed by
`python -m benchmarks.claim_rules`."""
_PRIOR, _WEIGHT = 0.8, 5.0
"""A rule that was never seen is trusted so far, and a record counts more the longer it is."""
_TRUST = {rule: (right + _PRIOR * _WEIGHT) / (found + _WEIGHT) for rule, (found, right) in RULE_RECORD.items()}
_DOUBTS = {"other_efficiency": 0.9}
"""Metrics on which readers differ themselves."""
_WORSE = 0.9


def confidence_of(rule: str, metric: str, direction: str) -> float:
    """Between 0 and 1: the share of this rule's claims that hold, less for costs and for metrics that are hard to tell."""
    share = _TRUST.get(rule, _PRIOR)
    return round(share * _DOUBTS.get(metric, 1.0) * (_WORSE if direction == "worse" else 1.0), 3)
