"""How far a claim may be trusted: how often its rule held on labelled papers."""

from __future__ import annotations

RULE_RECORD: dict[str, tuple[int, int]] = {
    "comparative": (87, 85), "by-verb": (63, 58), "change-noun": (48, 47), "self-noun": (34, 32), "amount-time": (20, 19),
    "amount-flops": (16, 16), "share": (13, 12), "of-noun": (12, 11), "noun-right": (11, 10), "list": (10, 10),
    "amount-params": (10, 8), "amount-memory": (9, 9), "by-rival": (6, 6), "amount-data": (6, 5), "amount-rate": (6, 6),
    "continued": (5, 5), "amount-device-time": (5, 4), "parallel": (3, 3), "share-of-ideal": (3, 3), "amount-steps": (3, 3),
    "share-of-rival": (3, 3), "amount-params-beside": (3, 3), "verb-factor": (2, 2), "as-adjective": (2, 2),
    "amount-storage": (2, 2), "amount-tokens": (2, 2), "share-of-data": (2, 2), "amount-energy": (1, 1), "amount-money": (1, 1),
    "amount-devices": (1, 1), "share-pruned": (1, 1), "comparative-capacity": (1, 1), "bracketed": (1, 1),
    "share-utilized": (1, 1), "amount-size": (1, 1), "after-comparative": (1, 0), "amount-area": (0, 0),
    "amount-iterations": (0, 0), "comparative-rival": (0, 0), "comparative-default": (0, 0), "by-verb-default": (0, 0),
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
