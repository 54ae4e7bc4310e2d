"""Numbers that belong together: ranges, from-to pairs, what an amount is compared with, and lists that share a unit."""

from __future__ import annotations

from itertools import pairwise

from .counted import word_at
from .quantity import Quantity, tenfold
from .tokens import Token
from .units import SCALES

_MOST_BETWEEN = 8
"""Words between two numbers of one range or list."""


def _joint(tokens: list[Token], left: Quantity, right: Quantity) -> str:
    """What stands between two neighbouring numbers: "range", "to", "list", or "" for anything else."""
    if right.first - left.stop > _MOST_BETWEEN:
        return ""
    between = tokens[left.stop : right.first]
    words = [t.low if t.kind != "dash" else "-" for t in between]
    if words in (["-"], ["~"], ["-", "~"], ["~", "~"]):
        return "range"
    if words in (["or"], ["and"]) and (words == ["or"] or _is_between(tokens, left)):
        return "either"
    if words in (["→"], ["-", ">"], ["to", "only"]):
        return "to"
    if tuple(words) in _VERSUS or (left.form == "absolute" and len(words) <= 7 and tuple(words[-2:]) in _VERSUS):
        return "versus"
    bare = [
        w
        for w in words
        if w
        not in {
            "up",
            "just",
            "merely",
            "only",
            "even",
            "a",
            "less",
            "than",
            "~",
            "about",
            "mere",
            "potentially",
            "as",
            "low",
            "little",
            "few",
        }
    ]
    if bare == ["to"]:
        return "to"
    if bare and all(w in {",", "and", "or", "&", "/"} for w in bare):
        return "list"
    return ""


_LIST_ENDS = frozenset(
    {"", ".", ",", ";", "and", "on", "for", "over", "in", "at", "with", "respectively", "compared", "when", "across"}
)
"""What stands behind a number that counts nothing."""


def _bare_digits(tokens: list[Token], quantity: Quantity) -> bool:
    return (
        quantity.stop == quantity.first + 1
        and tokens[quantity.first].kind == "num"
        and not tokens[quantity.first].suffix
    )


_NUMBERED = frozenset({"size", "batch", "top", "rank", "stage", "level", "table", "figure", "section", "version", "k", "layer", "step", "length",
                       "epoch", "rate", "ratio", "node", "nodes", "gpu", "bit", "seed", "scale", "rtx", "gtx", "titan", "pixel", "iphone", "galaxy", "jetson", "core", "cortex", "xeon", "ryzen", "raspberry", "pi"})  # fmt: skip
"""Words whose number counts nothing: the 1 of "at batch size 1 and 1.4x at 64"."""
_VERSUS = {("out", "of"), ("vs",), ("versus",), ("vs", "."), ("compared", "to"), ("compared", "with"), ("instead", "of"), ("rather", "than"),
           ("as", "opposed", "to"), ("(", "vs"), ("(", "vs", "."), ("(", "versus"), ("against",)}  # fmt: skip


def _is_between(tokens: list[Token], quantity: Quantity) -> bool:
    return word_at(tokens, quantity.first - 1) == "between"


def share_units(tokens: list[Token], shared: list[Quantity]) -> None:
    """In "2, 3 and 5 times" and "10-40%" the last unit counts for all, in "speedups of 2, 3 and 5" the noun in front."""
    for left, right in pairwise(shared):
        bare = left.form == "factor" and right.form == "bare" and _bare_digits(tokens, left) and not right.scaled
        if bare and _joint(tokens, left, right) == "list" and word_at(tokens, right.stop) in _LIST_ENDS:
            right.form = "factor"
    for at in range(len(shared) - 2, -1, -1):
        left, right = shared[at], shared[at + 1]
        if (
            left.form == "factor"
            and right.form == "bare"
            and not right.scaled
            and left.stop == left.first + 1
            and not tokens[left.first].suffix
        ):
            # "A compression ratio of 27 to 63": the noun makes both a factor.
            if _joint(tokens, left, right) in {"range", "to"} and right.value > left.value:
                right.form = "factor"
            continue
        if left.form == "bare" and right.form not in {"bare", "part"} and right.how in {"digits", "word", "magnitude"}:
            joint = _joint(tokens, left, right)
            if right.how == "magnitude":
                if joint in {"range", "to", "either"}:
                    left.form, left.how, left.value = "factor", "magnitude", tenfold(left.value)
                continue
            if joint == "list" and (
                word_at(tokens, left.first - 1) in _NUMBERED
                or _ends_a_phrase(tokens, shared, at)
                or _is_a_score(tokens, left)
            ):
                continue
            if joint in {"range", "to", "versus", "either"} or (joint == "list" and not left.scaled):
                factor = 1.0
                if right.scaled and not left.scaled:
                    suffix = tokens[right.first].suffix
                    factor = SCALES.get(suffix, 1.0)
                left.form, left.unit, left.value = right.form, right.unit, left.value * factor
                left.scaled = left.scaled or right.scaled


_SCORES = frozenset({"score", "scores", "accuracy", "fid", "map", "ap", "iou", "miou", "bleu", "psnr", "ssim", "wer", "cer", "f1", "auc", "dice",
                     "perplexity", "top-1", "rank", "rouge", "pesq", "mos", "ndcg", "recall", "error", "elo"})  # fmt: skip


def _is_a_score(tokens: list[Token], quantity: Quantity) -> bool:
    """ "A score of 77 and 5 ms latency", "an FID of 2.1 and 4 steps": the first number has no unit."""
    at = quantity.first - 1
    return word_at(tokens, at - (word_at(tokens, at) in {"of", "is", "reaches"})) in _SCORES


def _ends_a_phrase(tokens: list[Token], shared: list[Quantity], at: int) -> bool:
    """ "On a Zedphone 13, 2x faster than": a list says "and" before its last number, or goes on."""
    left, right = shared[at], shared[at + 1]
    if at and word_at(tokens, left.first - 1) == "at" and left.first - shared[at - 1].stop <= 2:
        # "1.5x at 8 and 1.2x at 32": the 8 says where.
        return True
    if [t.low for t in tokens[left.stop : right.first]] not in ([","], [",", "a"]):
        return False
    return at + 2 == len(shared) or _joint(tokens, right, shared[at + 2]) != "list"


def merge_pairs(tokens: list[Token], found: list[Quantity]) -> list[Quantity]:
    """Ranges become one quantity; of "from A to B" the amount B stays and remembers A."""
    merged: list[Quantity] = []
    for right in found:
        left = merged[-1] if merged else None
        joint = _joint(tokens, left, right) if left else ""
        same = left is not None and left.form == right.form and left.form != "bare"
        if left is not None and joint == "versus" and left.form == "absolute" and right.form in {"absolute", "bare"}:
            _coming_from(tokens, right, left)
            continue
        open_end = left is not None and (
            left.form == "absolute" or left.how == "magnitude" or _is_between(tokens, left)
        )
        if left is not None and same and joint == "either" and open_end:
            left.first -= _is_between(tokens, left)
            left.stop, left.value_max, left.unit = right.stop, right.value, left.unit or right.unit
            continue
        if left is None or not same or joint not in {"range", "to"}:
            pair = left is not None and _from_before(tokens, left) and _to_before(tokens, right)
            if pair and left is not None and "absolute" in (left.form, right.form):
                _one_unit(left, right)
            if left is not None and left.form != "bare" and pair:
                right.lead = right.first
                merged[-1] = _coming_from(tokens, left, right)
            else:
                merged.append(right)
            continue
        spread = word_at(tokens, left.first - 2).startswith("rang") or word_at(tokens, left.first - 2) in {
            "varying",
            "between",
        }
        if (joint == "to" and _from_before(tokens, left) and not spread and left.form != "factor") or (
            right.value < left.value and joint == "to" and left.form == "absolute"
        ):
            merged[-1] = _coming_from(tokens, left, right)
        else:
            if "up" in [t.low for t in tokens[left.stop : right.first]] and left.form != "absolute":
                left.qualifier = "up to"
            left.stop, left.value_max, left.unit = right.stop, right.value, left.unit or right.unit
    return merged


def _one_unit(left: Quantity, right: Quantity) -> None:
    """ "From 355.3 million to 0.09 million": the unit of one number of the pair holds for both."""
    for known, other in ((left, right), (right, left)):
        if known.form == "absolute" and other.form == "bare":
            other.form, other.unit = "absolute", known.unit


def _coming_from(tokens: list[Token], left: Quantity, right: Quantity) -> Quantity:
    """The end of "from A to B", which remembers A."""
    right.origin, right.origin_value = _text(tokens, left), left.value
    return right


def _text(tokens: list[Token], quantity: Quantity) -> str:
    return " ".join(t.low + (t.suffix if t.kind == "num" else "") for t in tokens[quantity.first : quantity.stop])


def _before(tokens: list[Token], quantity: Quantity, fillers: frozenset[str]) -> str:
    at = quantity.first - 1
    while at >= 0 and (tokens[at].low in fillers or tokens[at].kind in {"near", "rel"}):
        at -= 1
    return word_at(tokens, at)


_FROM_FILLERS = frozenset(
    {"about", "around", "approximately", "over", "more", "than", "roughly", "the", "potentially", "nearly"}
)
_TO_FILLERS = frozenset(
    {"just", "only", "merely", "about", "around", "less", "than", "under", "approximately", "a", "mere", "nearly"}
)


def _from_before(tokens: list[Token], quantity: Quantity) -> bool:
    return _before(tokens, quantity, _FROM_FILLERS) == "from"


def _to_before(tokens: list[Token], quantity: Quantity) -> bool:
    return _before(tokens, quantity, _TO_FILLERS) == "to"
