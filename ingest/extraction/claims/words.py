"""Words of change: comparatives, nouns of change and verbs, each with what it does to the thing measured."""

from __future__ import annotations

from ..words import word_set

LESS, MORE, BETTER = "less", "more", "better"

COMPARATIVES: dict[str, str] = {
    **dict.fromkeys(word_set("fewer less lower reduced shorter cheaper lesser decreased smaller lighter slimmer leaner tighter"), LESS),
    **dict.fromkeys(word_set("more higher greater larger bigger increased slower heavier additional extra"), MORE),
    **dict.fromkeys(word_set("better improved faster quicker speedier superior"), BETTER),
}  # fmt: skip
"""Adjectives that compare the number's subject with a baseline."""

BARE_COMPARATIVES = {
    "faster": ("speedup", "better"), "quicker": ("speedup", "better"), "slower": ("speedup", "worse"),
    "smaller": ("model_size", "better"), "lighter": ("model_size", "better"), "cheaper": ("other_efficiency", "better"),
    "compact": ("model_size", "better"), "fast": ("speedup", "better"), "speedier": ("speedup", "better"),
    "sooner": ("training_time", "better"), "earlier": ("training_time", "better"),
}  # fmt: skip
"""Comparatives that carry their own metric: (metric, direction)."""

CHANGE_NOUNS: dict[str, str] = {
    **dict.fromkeys(word_set("reduction reductions decrease decreases saving savings drop drops cut cuts shrinkage decrement decline "
                             "shrink save reduce lowering minimization"), LESS),
    **dict.fromkeys(word_set("improvement improvements gain gains boost boosts enhancement enhancements advantage advantages uplift "
                             "advancement benefit benefits"), BETTER),
    **dict.fromkeys(word_set("increase increases overhead overheads slowdown slowdowns increment growth penalty penalties"), MORE),
}  # fmt: skip
SELF_NOUNS: dict[str, str] = {
    **dict.fromkeys(word_set("speedup speedups speed-up speed-ups acceleration accelerations accelerated slowdown slowdowns "
                             "speeding-up"), "speedup"),
    "compression": "compression",
}  # fmt: skip
"""Nouns of change that are a metric of their own."""


def _forms(effect: str, stems: str) -> dict[str, str]:
    forms: dict[str, str] = {}
    for stem in stems.split():
        base = stem.removesuffix("e")
        third = stem + ("es" if stem.endswith(("s", "sh", "ch", "x")) else "s")
        forms |= dict.fromkeys((stem, third, base + "ed", base + "ing"), effect)
    return forms


CHANGE_VERBS: dict[str, str] = {
    **_forms(LESS, "reduce decrease lower save minimize shrink slash trim economize shorten diminish prune eliminate conserve "
                   "curtail alleviate remove discard decline lessen downsize mitigate skip condense economise minimise avoid evict free relieve hide overlap offload prevent amortize"),
    **_forms(MORE, "increase raise scale add introduce incur grow"),
    **_forms(BETTER, "improve boost enhance optimize accelerate expedite compress outperform outpace outrun surpass exceed beat advance speed "
                     "quicken ameliorate optimise elevate lift"),
    **dict.fromkeys(word_set("cut cuts cutting drop drops dropped dropping fall falls fell falling trimmed trimming slimming shrunk "
                             "shrank down"), LESS),
    **dict.fromkeys(word_set("rise rises rose risen rising climbs climb jumps jump soars multiply multiplies multiplied multiplying"), MORE),
    **dict.fromkeys(word_set("sped beats beating"), BETTER),
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
    v for v in CHANGE_VERBS if v.startswith(("outp", "outr", "surpass", "exceed", "beat", "advanc"))
)
BE = frozenset({"is", "are", "was", "were", "be", "been", "being", "get"})
ONLY = word_set("only just merely mere few tiny single solely sufficient little")
"""Words that turn an amount into a claim of thrift."""
