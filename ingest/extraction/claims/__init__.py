"""Quantified efficiency claims of an abstract, by a grammar over tokens.

`tokens` cuts, `values` (with `counted`, `pairs` and `quantity`) reads numbers, `nouns` says what a noun measures, `site` holds a
number's surroundings, the rule files (`comparison`, `change_right`, `change_left`, `shares`, `amount`) say how a number and
its noun meet, `phase` and `context` add phase and baseline, `confidence` says how far a rule is trusted, and `refusals`
keeps out what is no claim of the paper's own. RULES is the order in which rules are asked.
"""

from .find import RULES, find_claims

__all__ = ["RULES", "find_claims"]
