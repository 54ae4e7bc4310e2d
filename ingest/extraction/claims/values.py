"""Quantities: what a run of tokens is worth, as a factor, a percentage or an amount.

Digits, number words, fractions, ranges, from-to pairs, orders of magnitude and the qualifier before them. No meaning is
given here: "3x" is the factor 3 whether it is speed or error.
"""

from __future__ import annotations

from .quantity import Quantity, qualified
from .tokens import Token
from .units import BY_SPELLING, BY_WORD, COUNTED, SCALE_WORDS, SCALES, Unit

NUMBER_WORDS = {
    "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0, "eight": 8.0, "nine": 9.0, "ten": 10.0,
    "twelve": 12.0, "fifteen": 15.0, "twenty": 20.0, "thirty": 30.0, "forty": 40.0, "fifty": 50.0, "sixty": 60.0,
    "hundred": 100.0, "thousand": 1000.0, "dozen": 12.0,
}  # fmt: skip
_PARTS = {"half": 2, "third": 3, "thirds": 3, "fourth": 4, "quarter": 4, "quarters": 4, "fifth": 5, "sixth": 6, "seventh": 7,
          "eighth": 8, "tenth": 10, "hundredth": 100}  # fmt: skip
_ALONE = {"twice": 2.0, "thrice": 3.0, "double": 2.0, "triple": 3.0, "quadruple": 4.0}
_VERB_FACTORS = {
    "doubles": 2.0, "doubled": 2.0, "doubling": 2.0, "triples": 3.0, "tripled": 3.0, "tripling": 3.0, "halves": 2.0,
    "halved": 2.0, "halving": 2.0, "halve": 2.0, "quadruples": 4.0, "quadrupling": 4.0,
}  # fmt: skip
_FUSED_FOLD = {"twofold": 2.0, "threefold": 3.0, "fourfold": 4.0, "fivefold": 5.0, "sixfold": 6.0, "sevenfold": 7.0,
               "eightfold": 8.0, "ninefold": 9.0, "tenfold": 10.0, "hundredfold": 100.0,
               "two-fold": 2.0, "three-fold": 3.0, "four-fold": 4.0, "five-fold": 5.0, "ten-fold": 10.0}  # fmt: skip
_SCALE_LETTERS = {
    "k": "k", "K": "k", "M": "M", "B": "B", "G": "G", "T": "T", "bn": "B", "mn": "M", "thousand": "k", "million": "M", "billion": "B",
    "trillion": "T", "m": "M", "b": "B",
}  # fmt: skip
_COUNTED_PER_SECOND = frozenset({"frames", "tokens", "images", "samples", "queries", "requests"})
TRIGGER_WORDS = frozenset({*_PARTS, *_ALONE, *_VERB_FACTORS, *_FUSED_FOLD, "magnitude", "times", "fold"})

_STARTERS = frozenset({*NUMBER_WORDS, *_FUSED_FOLD, *_ALONE, *_VERB_FACTORS, "one", "a", "an", "several", "few", "order", "orders",
                        "half"})  # fmt: skip

_MOST_BETWEEN = 8
"""Words between two numbers of one range or list."""


def find_quantities(tokens: list[Token]) -> list[Quantity]:
    """Quantities of a sentence from left to right; bare numbers without unit, factor or percent are left out."""
    found: list[Quantity] = []
    covered = 0
    for index, token in enumerate(tokens):
        if (token.kind == "num" or token.low in _STARTERS) and index >= covered:
            quantity = _read(tokens, index)
            if quantity is not None:
                found.append(quantity)
                covered = quantity.stop
    merged = _merge_pairs(tokens, _share_units(tokens, found))
    return [qualified(tokens, q) for q in merged if q.form != "bare"]


def _word(tokens: list[Token], index: int) -> str:
    return tokens[index].low if 0 <= index < len(tokens) else ""


def _read(tokens: list[Token], index: int) -> Quantity | None:
    """One number at `index`, without ranges."""
    token = tokens[index]
    if token.kind == "num":
        return _read_digits(tokens, index)
    if token.kind != "word":
        return None
    word = token.low
    if word in NUMBER_WORDS or word in {"one", "a", "an", "several", "few"} or word in {"order", "orders"}:
        spelled = _read_spelled(tokens, index)
        if spelled:
            return spelled
    if word in _FUSED_FOLD:
        return Quantity(index, index + 1, index, "factor", _FUSED_FOLD[word], how="word")
    if word in _ALONE:
        return Quantity(index, index + 1, index, "factor", _ALONE[word], how="word")
    if word in _VERB_FACTORS:
        return Quantity(index, index + 1, index, "factor", _VERB_FACTORS[word], how="verb")
    if word == "half" and _word(tokens, index + 1) in {"the", "of", "as", "its"}:
        return Quantity(index, index + 1, index, "factor", 2.0, how="part")
    return None


def _read_digits(tokens: list[Token], index: int) -> Quantity | None:
    token = tokens[index]
    value, after = float(token.low), index + 1
    following = _word(tokens, after)
    if token.suffix == "x":
        return Quantity(index, after, index, "factor", value)
    if token.suffix == "%":
        return Quantity(index, after, index, "percent", value)
    if token.suffix in BY_SPELLING:
        unit = BY_SPELLING[token.suffix]
        return _rate(tokens, Quantity(index, after, index, "absolute", value, unit=unit))
    if following == "/" and after + 1 < len(tokens) and tokens[after + 1].kind == "num" and value:
        below = float(tokens[after + 1].low)
        whole = "." not in token.low + tokens[after + 1].low and _word(tokens, after + 2) != "/"
        if (
            whole
            and below > value
            and tokens[after + 1].suffix in {"", "x"}
            and tokens[after + 1].start == tokens[after].end
        ):
            return Quantity(index, after + 2, index, "part", value / below, how="part")
    if following == "times" or following in {"fold", "folds"}:
        return Quantity(index, after + 1, index, "factor", value)
    if following in {"order", "orders"} and _word(tokens, after + 1) == "of":
        return Quantity(index, min(after + 3, len(tokens)), index, "factor", 10.0 ** min(value, 12), how="magnitude")
    if following in {"%", "percent", "percents"}:
        return Quantity(index, after + 1, index, "percent", value)
    scaled = _SCALE_LETTERS.get(token.suffix, "")
    if scaled:
        value *= SCALES[token.suffix]
    elif following in SCALE_WORDS:
        value, after, scaled = value * SCALE_WORDS[following], after + 1, _SCALE_LETTERS[following]
    return _counted(tokens, Quantity(index, after, index, "bare", value, scaled=scaled))


def _counted(tokens: list[Token], bare: Quantity) -> Quantity:
    """Gives a bare number the unit word behind it ("7.0 ms", "88 GPU-days", "300 training images", "4.5 FLOP(G)")."""
    if bare.scaled == "G" and _word(tokens, bare.stop) in {"gpu", "memory", "vram", "ram"}:
        bare.value, bare.scaled = bare.value / SCALES["G"], ""
        return _in_unit(bare, BY_SPELLING["GB"], bare.stop)
    for gap in range(4):
        at = bare.stop + gap
        if at >= len(tokens) or tokens[at].kind not in {"word", "dash"}:
            break
        word = tokens[at].low
        if word == "-" or tokens[at].kind == "dash":
            continue
        lone = word.removeprefix("gpu-").removeprefix("tpu-")
        if word.startswith(("gpu-", "tpu-")) and lone in BY_WORD:
            return _in_unit(bare, Unit("GPU-" + lone, "device-time"), at + 1)
        if word in {"gpu", "gpus", "tpu", "a100", "v100", "h100"} and _word(tokens, at + 1).rstrip("s") in {
            "hour",
            "day",
        }:
            return _in_unit(bare, Unit("GPU-" + tokens[at + 1].low, "device-time"), at + 2)
        if gap == 0 and word in _COUNTED_PER_SECOND and _is_per_second(tokens, at + 1):
            return _in_unit(bare, Unit(word + "/s", "rate"), at + 3)
        if gap == 0 and word in BY_WORD and not (bare.scaled and word in {"s"}):
            return _rate(tokens, _in_unit(bare, BY_WORD[word], at + 1))
        if word in COUNTED:
            if (
                tokens[at].low in {"flop", "flops"}
                and _word(tokens, at + 1) == "("
                and _word(tokens, at + 2) in {"g", "m"}
            ):
                unit = Unit(_word(tokens, at + 2).upper() + "FLOPs", "flops")
                return _in_unit(bare, unit, min(at + 4, len(tokens)))
            return _in_unit(bare, COUNTED[word], at + 1 if gap == 0 else bare.stop)
        if word in {"to", "and", "or", "of", "on", "in", "for", "with", "at", "than", "over"}:
            break
    return bare


def _rate(tokens: list[Token], quantity: Quantity) -> Quantity:
    """Turns "30 frames per second" and "120 tokens/s" into a rate."""
    unit = quantity.unit
    if unit is not None and _is_per_second(tokens, quantity.stop):
        if unit.measures in {"tokens", "samples"}:
            return _in_unit(quantity, Unit(unit.unit + "/s", "rate"), quantity.stop + 2)
        if unit.measures == "bytes":
            return _in_unit(quantity, Unit(unit.unit + "/s", "bandwidth"), quantity.stop + 2)
    return quantity


def _is_per_second(tokens: list[Token], at: int) -> bool:
    return _word(tokens, at) in {"per", "/", "a"} and _word(tokens, at + 1) in {
        "second",
        "sec",
        "s",
        "gpu-second",
        "minute",
    }


def _in_unit(quantity: Quantity, unit: Unit, stop: int) -> Quantity:
    quantity.form, quantity.unit, quantity.stop = "absolute", unit, stop
    return quantity


def _read_spelled(tokens: list[Token], index: int) -> Quantity | None:
    """ "three times", "four-fold", "one third", "two orders of magnitude", "ten million parameters"."""
    word = tokens[index].low
    value = NUMBER_WORDS.get(word, 1.0)
    after = index + 1
    following = _word(tokens, after)
    if word in {"order", "orders"}:
        if following == "of" and _word(tokens, after + 1).startswith("magnitude"):
            return Quantity(index, after + 2, index, "factor", 10.0, how="magnitude")
        return None
    if following in {"order", "orders", "order-of-magnitude"}:
        if following == "order-of-magnitude":
            return Quantity(index, after + 1, index, "factor", 10.0**value, how="magnitude")
        if _word(tokens, after + 1) == "of" and _word(tokens, after + 2).startswith("magnitude"):
            return Quantity(index, after + 3, index, "factor", 10.0**value, how="magnitude")
        return None
    if following == "full" and _word(tokens, after + 1) == "order":
        return Quantity(index, min(after + 4, len(tokens)), index, "factor", 10.0, how="magnitude")
    if following in _PARTS and word in {"one", "a", "two", "three"} and following != "half":
        return Quantity(index, after + 1, index, "part", min(value / _PARTS[following], 1.0), how="part")
    if word in NUMBER_WORDS:
        if following in {"times", "fold", "×"} or (following == "x" and tokens[after].kind == "word"):
            return Quantity(index, after + 1, index, "factor", value, how="word")
        if (
            following == "to"
            and _word(tokens, after + 1) in NUMBER_WORDS
            and _word(tokens, after + 2) in {"times", "fold"}
        ):
            high = NUMBER_WORDS[_word(tokens, after + 1)]
            return Quantity(index, after + 3, index, "factor", value, high, how="word")
        if following in SCALE_WORDS:
            return _counted(
                tokens,
                Quantity(
                    index, after + 1, index, "bare", value * SCALE_WORDS[following], scaled=_SCALE_LETTERS[following]
                ),
            )
        counted = _counted(tokens, Quantity(index, after, index, "bare", value, how="word"))
        return counted if counted.unit and counted.unit.measures in {"steps", "iterations", "time"} else None
    if word not in NUMBER_WORDS and "-" in following:
        tail = following.rsplit("-", 1)
        if tail[1] == "fold" and tail[0] in NUMBER_WORDS:
            return Quantity(after, after + 1, after, "factor", NUMBER_WORDS[tail[0]], how="word")
    return None


def _joint(tokens: list[Token], left: Quantity, right: Quantity) -> str:
    """What stands between two neighbouring numbers: "range", "to", "list", or "" for anything else."""
    between = tokens[left.stop : right.first]
    if len(between) > _MOST_BETWEEN:
        return ""
    words = [t.low if t.kind != "dash" else "-" for t in between]
    if words in (["-"], ["~"], ["-", "~"], ["~", "~"]):
        return "range"
    bare = [
        w
        for w in words
        if w not in {"up", "just", "merely", "only", "even", "a", "less", "than", "~", "about", "mere", "potentially"}
    ]
    if bare == ["to"]:
        return "to"
    if bare and all(w in {",", "and", "or", "&", "/"} for w in bare):
        return "list"
    return ""


def _share_units(tokens: list[Token], found: list[Quantity]) -> list[Quantity]:
    """In "2, 3 and 5 times" and "10-40%" the last unit counts for all."""
    shared = found
    for at in range(len(shared) - 2, -1, -1):
        left, right = shared[at], shared[at + 1]
        if left.form == "bare" and right.form not in {"bare", "part"} and right.how in {"digits", "word"}:
            joint = _joint(tokens, left, right)
            if joint in {"range", "to"} or (joint == "list" and not left.scaled):
                factor = 1.0
                if right.scaled and not left.scaled:
                    suffix = tokens[right.first].suffix
                    factor = SCALES.get(suffix, 1.0)
                left.form, left.unit, left.value = right.form, right.unit, left.value * factor
    return shared


def _merge_pairs(tokens: list[Token], found: list[Quantity]) -> list[Quantity]:
    """Ranges become one quantity; of "from A to B" the amount B stays and remembers A."""
    merged: list[Quantity] = []
    for right in found:
        left = merged[-1] if merged else None
        joint = _joint(tokens, left, right) if left else ""
        same = left is not None and left.form == right.form and left.form != "bare"
        if left is None or not same or joint not in {"range", "to"}:
            if left is not None and left.form != "bare" and _from_before(tokens, left) and _to_before(tokens, right):
                right.lead = right.first
                merged[-1] = _coming_from(tokens, left, right)
            else:
                merged.append(right)
            continue
        spread = _word(tokens, left.first - 2).startswith("rang") or _word(tokens, left.first - 2) in {
            "varying",
            "between",
        }
        if (joint == "to" and _from_before(tokens, left) and not spread and left.form != "factor") or (
            right.value < left.value and joint == "to" and left.form == "absolute"
        ):
            merged[-1] = _coming_from(tokens, left, right)
        else:
            left.stop, left.value_max, left.unit = right.stop, right.value, left.unit or right.unit
    for quantity in merged:
        if quantity.form == "part":
            quantity.form, quantity.value = "percent", round(100 * quantity.value, 1)
            quantity.value_max = None if quantity.value_max is None else round(100 * quantity.value_max, 1)
    return merged


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
    return _word(tokens, at)


def _from_before(tokens: list[Token], quantity: Quantity) -> bool:
    return (
        _before(
            tokens, quantity, frozenset({"about", "around", "approximately", "over", "more", "than", "roughly", "the"})
        )
        == "from"
    )


def _to_before(tokens: list[Token], quantity: Quantity) -> bool:
    return (
        _before(
            tokens,
            quantity,
            frozenset({"just", "only", "merely", "about", "around", "less", "than", "under", "approximately"}),
        )
        == "to"
    )
