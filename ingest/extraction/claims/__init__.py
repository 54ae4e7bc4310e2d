"""Quantified efficiency claims of an abstract, by a grammar over tokens.

`tokens` cuts, `values` (with `counted`, `pairs` and `quantity`) reads numbers, `nouns` says what a noun measures, `site` holds a
number's surroundings, the rule files (with `phrases`: `comparison`, `change_right`, `change_left`, `shares`, `amount`) say how a number and
its noun meet, `lists` asks them number by number and `fallback` guesses the rest, `phase`, `qualifiers` and `context` add phase, qualifier and baseline, `confidence` says how far a rule is trusted, and `refusals`
keeps out what is no claim of the paper's own. RULES is the order in which rules are asked.
"""

from .find import find_claims
from .lists import RULES

__all__ = ["RULES", "find_claims"]
