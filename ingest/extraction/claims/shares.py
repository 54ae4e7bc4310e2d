"""Shares of a whole: "52% of the theoretical peak", "60% MFU", "more than 80% sparsity", "compressed to 40%"."""

from __future__ import annotations

from ..words import word_set
from .nouns import Noun
from .phrases import rival_before
from .site import Reading, Site

_IDEAL = word_set("theoretical peak optimal ideal maximum roofline hardware")
_REACH = word_set(
    """
    achieve achieves achieving achieved reach reaches reaching attain attains attaining obtain obtains sustain sustains
    sustaining sustained deliver delivers maintain maintains maintaining keeps keeping yield yields up with get gets yields
    """
)
_NAMED = _IDEAL | word_set("mfu utilization utilisation hfu efficiency")
_UTILIZED = word_set("mfu utilization utilisation hfu")
_PRUNES = word_set(
    "achieve achieves achieving reach reaches attains obtains obtain prune prunes pruning compress compresses induces"
)


def of_ideal(site: Site) -> Reading | None:
    """ "502 PFLOP/s, 52% of the theoretical peak", "achieving 55% MFU", "a utilization of 75%"."""
    if site.quantity.form != "percent" or site.clause.words.isdisjoint(_NAMED):
        return None
    behind = [site.word(k) for k in range(site.end, site.end + 6)]
    before = {site.word(k) for k in range(max(site.left, site.begin - 5), site.begin)}
    if behind[0] == "of" and _IDEAL & set(behind[1:4]) and before & (_REACH | {"throughput", "of"}):
        fast = {"throughput", "speed", "bandwidth"} & (before | set(behind[1:6]))
        metric = "throughput" if fast else "other_efficiency"
        return Reading("share-of-ideal", Noun(metric, "gain"), "better", site.begin, site.end + 3)
    used = next((k for k, word in enumerate(behind[:4]) if word in _UTILIZED), None)
    if (
        used is None
        and behind[0] in {"scaling", "parallel", "strong", "weak", "parallelization"}
        and "efficiency" in behind[1:3]
    ):
        used = behind.index("efficiency")
    if (
        used is None
        and behind[0] == "efficiency"
        and not site.clause.words.isdisjoint({"scales", "scaling", "scale", "scaled"})
    ):
        used = 0
    if used is not None and before & (_REACH | {"("}) and "of" not in behind[:used]:
        phase = "training" if behind[used] in {"mfu", "hfu"} or "flops" in behind[:used] else ""
        return Reading(
            "share-utilized", Noun("other_efficiency", "gain", phase), "better", site.begin, site.end + used + 1
        )
    if site.word(site.begin - 1) == "of" and site.word(site.begin - 2) in _UTILIZED:
        return Reading("share-utilized", Noun("other_efficiency", "gain"), "better", site.begin - 2, site.end)
    return None


def of_rival_size(site: Site) -> Reading | None:
    """ "Matches models twice its size", "outperforms models five times its size"."""
    if site.quantity.form != "factor" or site.word(site.end) not in {"its", "their", "the", "our"}:
        return None
    if site.word(site.end + 1) != "size" and not (
        site.word(site.end + 1) == "model" and site.word(site.end + 2) == "size"
    ):
        return None
    if not rival_before(site):
        return None
    return Reading("share-of-rival", Noun("model_size", "cost"), "better", site.begin, site.end + 2)


def sparse(site: Site) -> Reading | None:
    """ "achieves more than 80% sparsity"; "at 50% sparsity" is a set-up."""
    if site.quantity.form != "percent" or site.word(site.end) not in {"sparsity", "sparse"}:
        return None
    if not {site.word(k) for k in range(max(site.left, site.begin - 3), site.begin)} & _PRUNES:
        return Reading("share-pruned", None, "", site.begin, site.end + 1)
    return Reading("share-pruned", Noun("compression", "gain"), "better", site.begin, site.end + 1)
