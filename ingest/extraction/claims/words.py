"""Words of change: comparatives, nouns of change and verbs, each with what it does to the thing measured."""

from __future__ import annotations

from ..words import word_set

LESS, MORE, BETTER = "less", "more", "better"

COMPARATIVES: dict[str, str] = {
    "fewer": LESS, "less": LESS, "lower": LESS, "reduced": LESS, "shorter": LESS, "cheaper": LESS, "lesser": LESS,
    "decreased": LESS, "smaller": LESS, "lighter": LESS, "more": MORE, "higher": MORE, "greater": MORE, "larger": MORE,
    "bigger": MORE, "increased": MORE, "better": BETTER, "improved": BETTER, "faster": BETTER, "quicker": BETTER,
    "speedier": BETTER, "slower": MORE, "heavier": MORE, "superior": BETTER, "additional": MORE, "extra": MORE,
}  # fmt: skip
"""Adjectives that compare the number's subject with a baseline."""

BARE_COMPARATIVES = {
    "faster": ("speedup", "better"), "quicker": ("speedup", "better"), "slower": ("speedup", "worse"),
    "smaller": ("model_size", "better"), "lighter": ("model_size", "better"), "cheaper": ("other_efficiency", "better"),
    "compact": ("model_size", "better"), "fast": ("speedup", "better"), "speedier": ("speedup", "better"),
}  # fmt: skip
"""Comparatives that carry their own metric: (metric, direction)."""

CHANGE_NOUNS: dict[str, str] = {
    "reduction": LESS, "reductions": LESS, "decrease": LESS, "saving": LESS, "savings": LESS, "drop": LESS, "cut": LESS,
    "decreases": LESS, "shrinkage": LESS,
    "decrement": LESS,
    "improvement": BETTER, "improvements": BETTER, "gain": BETTER, "gains": BETTER, "boost": BETTER, "enhancement": BETTER,
    "boosts": BETTER, "advantage": BETTER,
    "increase": MORE, "increases": MORE, "overhead": MORE, "slowdown": MORE,
}  # fmt: skip
SELF_NOUNS = {
    "speedup": "speedup", "speedups": "speedup", "speed-up": "speedup", "speed-ups": "speedup", "acceleration": "speedup",
    "accelerations": "speedup", "speed-ups.": "speedup", "accelerated": "speedup",
    "compression": "compression", "slowdown": "speedup",
}  # fmt: skip
"""Nouns of change that are a metric of their own."""


def _forms(effect: str, stems: str) -> dict[str, str]:
    forms: dict[str, str] = {}
    for stem in stems.split():
        base = stem.removesuffix("e")
        forms |= dict.fromkeys((stem, stem + "s", base + "ed", base + "ing"), effect)
    return forms


CHANGE_VERBS: dict[str, str] = {
    **_forms(LESS, "reduce decrease lower save minimize shrink slash trim economize shorten diminish prune eliminate conserve"),
    **_forms(MORE, "increase raise scale add introduce incur"),
    **_forms(BETTER, "improve boost enhance optimize accelerate expedite compress outperform surpass exceed beat advance speed "
                     "quicken reach"),
    **dict.fromkeys(("cut", "cuts", "cutting", "slashes"), LESS),
    **dict.fromkeys(("drop", "drops", "dropped", "dropping"), LESS),
    **dict.fromkeys(("sped", "beats", "beating", "slimming"), BETTER),
}  # fmt: skip
SPEED_VERBS = word_set(
    """
    accelerate accelerates accelerated accelerating speed speeds sped speeding expedite expedites expedited
    expediting
    """
)
COMPRESS_VERBS = word_set(
    """
    compress compresses compressed compressing shrink shrinks shrinking shrunk
    """
)
RIVAL_VERBS = frozenset(
    v for v in CHANGE_VERBS if v.startswith(("outperform", "surpass", "exceed", "beat", "advanc", "reach"))
)
BE = frozenset({"is", "are", "was", "were", "be", "been", "being", "get"})
ONLY = frozenset({"only", "just", "merely", "mere", "few", "tiny", "single", "solely", "sufficient", "little"})
"""Words that turn an amount into a claim of thrift."""
