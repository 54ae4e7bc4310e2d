"""Quantities: what a run of tokens is worth, as a factor, a percentage or an amount.

Digits, number words, fractions, ranges, from-to pairs, orders of magnitude and the qualifier before them. No meaning is
given here: "3x" is the factor 3 whether it is speed or error.
"""

from __future__ import annotations

from .counted import counted, rated, span_of_rate, word_at
from .pairs import merge_pairs, share_units
from .quantity import Quantity, qualified, tenfold
from .tokens import Token
from .units import BY_SPELLING, SCALE_WORDS, SCALES
from .words import SPEED_VERBS

NUMBER_WORDS = {
    "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0, "eight": 8.0, "nine": 9.0, "ten": 10.0,
    "twelve": 12.0, "fifteen": 15.0, "twenty": 20.0, "thirty": 30.0, "forty": 40.0, "fifty": 50.0, "sixty": 60.0,
    "hundred": 100.0, "thousand": 1000.0, "dozen": 12.0, "eleven": 11.0, "sixteen": 16.0,
}  # fmt: skip
_PARTS = {"half": 2, "third": 3, "thirds": 3, "fourth": 4, "quarter": 4, "quarters": 4, "fifth": 5, "sixth": 6, "seventh": 7,
          "eighth": 8, "ninth": 9, "tenth": 10, "twelfth": 12, "fifteenth": 15, "sixteenth": 16, "twentieth": 20, "thirtieth": 30,
          "fortieth": 40, "fiftieth": 50, "hundredth": 100, "thousandth": 1000}  # fmt: skip
_ALONE = {"twice": 2.0, "thrice": 3.0, "double": 2.0, "triple": 3.0, "quadruple": 4.0}
_PLURAL = {"tens": 10.0, "dozens": 10.0, "hundreds": 100.0, "thousands": 1000.0}
"""Of "hundreds of times"."""
_VERB_FACTORS = {
    "doubles": 2.0, "doubled": 2.0, "doubling": 2.0, "triples": 3.0, "tripled": 3.0, "tripling": 3.0, "halves": 2.0,
    "halved": 2.0, "halving": 2.0, "halve": 2.0, "quadruples": 4.0, "quadrupling": 4.0,
}  # fmt: skip
_FUSED_FOLD = {f"{word}{glue}fold": value for word, value in NUMBER_WORDS.items() for glue in ("", "-")}
_FUSED_PARTS = {
    f"{word}-{part}": count / share
    for word, count in (("one", 1), ("two", 2), ("three", 3))
    for part, share in _PARTS.items()
    if part != "half" and count < share
}
_SCALE_LETTERS = {
    "k": "k", "K": "k", "M": "M", "B": "B", "G": "G", "T": "T", "bn": "B", "mn": "M", "thousand": "k", "million": "M", "billion": "B",
    "trillion": "T", "m": "M", "b": "B",
}  # fmt: skip
_FUSED_ORDERS = {
    f"{word}-{order}": value for word, value in NUMBER_WORDS.items() if value < 13 for order in ("order", "orders")
}
TRIGGER_WORDS = frozenset({*_PARTS, *_ALONE, *_VERB_FACTORS, *_FUSED_FOLD, *_FUSED_PARTS, "magnitude", "magnitudes", "times", "fold",
                           "order-of-magnitude", "orders-of-magnitude", "million", "thousand", "billion"})  # fmt: skip

_STARTERS = frozenset({*NUMBER_WORDS, *_FUSED_ORDERS, *_FUSED_FOLD, *_FUSED_PARTS, *_ALONE, *_PLURAL, *_VERB_FACTORS, "one", "a", "an", "several", "magnitudes",
                       "few", "many", "order", "orders", "half", "order-of-magnitude", "orders-of-magnitude"})  # fmt: skip

_BY_AN_ORDER = frozenset(
    {"more", "less", "fewer", "faster", "slower", "smaller", "larger", "lower", "higher", "cheaper"}
)
"""Behind "an order" and "magnitudes" they say that orders of magnitude are meant."""
_SPELLED = frozenset({"magnitudes", "one", "a", "an", "several", "few", "many", "order", "orders"})
_OF_HALF = frozenset({"the", "of", "as", "its", "that", "their"})
_SPELLED_UNITS = frozenset({"bytes", "steps", "iterations", "time", "device-time", "samples", "params"})
_LONG_SPANS = frozenset({"hour", "day", "week", "minute"})
_BEFORE_SPAN = frozenset({"in", "under", "within", "than", "about", "only", "just", "takes", "requires", "merely"})
_NEARLY = frozenset({"nearly", "almost", "roughly", "over", "approximately"})
_ONE_OF = frozenset({"second", "minute", "hour", "day", "millisecond", "kilobyte", "megabyte", "gigabyte"})
_ONE_STEP = frozenset({"step", "evaluation", "pass", "nfe", "iteration", "epoch"})
_LARGEST = 1e15
"""No number of an honest claim is larger; more digits are noise."""


def find_quantities(tokens: list[Token]) -> list[Quantity]:
    """Quantities of a sentence from left to right; bare numbers without unit, factor or percent are left out."""
    found: list[Quantity] = []
    covered = 0
    for index in [at for at, token in enumerate(tokens) if token[0] == "num" or token[1] in _STARTERS]:
        if index >= covered:
            quantity = _read(tokens, index)
            if quantity is not None:
                found.append(quantity)
                covered = quantity.stop
    if len(found) > 1:
        share_units(tokens, found)
        found = merge_pairs(tokens, found)
    return [qualified(tokens, _whole(tokens, q)) for q in found if q.form != "bare" and not _spread(tokens, q)]


def _spread(tokens: list[Token], quantity: Quantity) -> bool:
    """Whether the number is the spread of the one before it ("15% ± 3%")."""
    return word_at(tokens, quantity.first - 1) in {"±", "pm"}


def _read(tokens: list[Token], index: int) -> Quantity | None:
    """One number at `index`, without ranges."""
    token = tokens[index]
    if token.kind == "num":
        return _read_digits(tokens, index)
    if token.kind != "word":
        return None
    word = token.low
    if word in _FUSED_PARTS:
        return Quantity(index, index + 1, index, "part", _FUSED_PARTS[word], how="part")
    if word == "a" and word_at(tokens, index + 1) == "single" and word_at(tokens, index + 2) in _LONG_SPANS:
        return counted(tokens, Quantity(index, index + 2, index, "bare", 1.0, how="word"))
    if word in {"a", "an"}:
        before = word_at(tokens, index - 1)
        spanned = word_at(tokens, index + 1) in _LONG_SPANS or (
            word_at(tokens, index + 1) in {"second", "minute", "millisecond"} and before in {"under", "than"}
        )
        if spanned and before in _BEFORE_SPAN:
            return counted(tokens, Quantity(index, index + 1, index, "bare", 1.0, how="word"))
    if word == "one" and word_at(tokens, index + 1) in _ONE_OF:
        return counted(tokens, Quantity(index, index + 1, index, "bare", 1.0, how="word"))
    if (
        word == "one"
        and any(word_at(tokens, index + k) in _ONE_STEP for k in (1, 2, 3))
        and word_at(tokens, index - 1) in {"only", "just", "merely"}
    ):
        return counted(tokens, Quantity(index, index + 1, index, "bare", 1.0, how="word"))
    if (
        word in _FUSED_ORDERS
        and word_at(tokens, index + 1) == "of"
        and word_at(tokens, index + 2).startswith("magnitude")
    ):
        return Quantity(index, index + 3, index, "factor", tenfold(_FUSED_ORDERS[word]), how="magnitude")
    if word in _PLURAL:
        if word_at(tokens, index + 1) == "of" and word_at(tokens, index + 2) == "times":
            return Quantity(index, index + 3, index, "factor", _PLURAL[word], how="word")
        return None
    if word in {"order-of-magnitude", "orders-of-magnitude"}:
        return Quantity(index, index + 1, index, "factor", 10.0, how="magnitude")
    if word in NUMBER_WORDS or word in _SPELLED:
        spelled = _read_spelled(tokens, index)
        if spelled:
            return spelled
    if word in _FUSED_FOLD:
        return Quantity(index, index + 1, index, "factor", _FUSED_FOLD[word], how="word")
    if word in _ALONE:
        return Quantity(index, index + 1, index, "factor", _ALONE[word], how="word")
    if word in _VERB_FACTORS and not (word == "doubling" and word_at(tokens, index + 1) in {"time", "times"}):
        return Quantity(index, index + 1, index, "factor", _VERB_FACTORS[word], how="verb")
    if word == "half" and (
        word_at(tokens, index + 1) in _OF_HALF
        or word_at(tokens, index - 1) in {"in", "by", "to", "than", "about"}
        or (word_at(tokens, index - 1) in _NEARLY and word_at(tokens, index - 2) in {"by", "in", "to"})
    ):
        return Quantity(index, index + 1, index, "factor", 2.0, how="part")
    return None


def _read_digits(tokens: list[Token], index: int) -> Quantity | None:
    token = tokens[index]
    value, after = float(token.low.rstrip("+")), index + 1
    if value > _LARGEST:
        return None
    if token.suffix == "x" and span_of_rate(tokens, after) == "s":
        return Quantity(index, after + 2, index, "absolute", value, unit=BY_SPELLING["Hz"])
    if token.suffix == "x":
        return Quantity(index, after, index, "factor", value)
    if token.suffix == "%":
        return Quantity(index, after, index, "percent", value)
    following = word_at(tokens, after)
    if token.suffix == "$" and following in _SCALE_LETTERS:
        letter = _SCALE_LETTERS[following]
        amount = Quantity(index, after + 1, index, "absolute", value * SCALES[letter], unit=BY_SPELLING["$"])
        amount.scaled = letter
        return amount
    if token.suffix in BY_SPELLING:
        unit = BY_SPELLING[token.suffix]
        return rated(tokens, Quantity(index, after, index, "absolute", value, unit=unit))
    if following == "/" and after + 1 < len(tokens) and tokens[after + 1].kind == "num" and value:
        below = float(tokens[after + 1].low.rstrip("+"))
        whole = "." not in token.low + tokens[after + 1].low and word_at(tokens, after + 2) != "/"
        if whole and below > value and tokens[after + 1].suffix in {"", "x"}:
            return Quantity(index, after + 2, index, "part", value / below, how="part")
    if following == "/" and value == 1 and word_at(tokens, after + 1).rstrip("thrdns").isdigit():
        below = float(word_at(tokens, after + 1).rstrip("thrdns"))
        if below > 1:
            return Quantity(index, after + 2, index, "part", 1.0 / below, how="part")
    if not token.suffix and following in {"times", "fold", "folds"}:
        return Quantity(index, after + 1, index, "factor", value)
    if following in {"order", "orders"} and word_at(tokens, after + 1) == "of":
        return Quantity(index, min(after + 3, len(tokens)), index, "factor", tenfold(value), how="magnitude")
    if following in {"order-of-magnitude", "orders-of-magnitude"}:
        return Quantity(index, after + 1, index, "factor", tenfold(value), how="magnitude")
    if following == ")" and word_at(tokens, index - 1) == "(" and word_at(tokens, index - 2) == "o":
        # The order of an amount, "O(100) ns".
        found = counted(tokens, Quantity(index - 2, after + 1, index - 2, "bare", value))
        return _about(found) if found.form == "absolute" else None
    if (
        following == ":"
        and word_at(tokens, after + 1) == "1"
        and ("ratio" in {word_at(tokens, index - k) for k in (1, 2, 3, 4)} or word_at(tokens, after + 2) in _RATIOS)
    ):
        return Quantity(index, after + 2, index, "factor", value)
    if following in {"%", "percent", "percents"}:
        return Quantity(index, after + 1, index, "percent", value)
    scaled = _SCALE_LETTERS.get(token.suffix, "")
    if scaled:
        value *= SCALES[token.suffix]
    elif following in SCALE_WORDS:
        value, after, scaled = value * SCALE_WORDS[following], after + 1, _SCALE_LETTERS[following]
    if scaled and word_at(tokens, after) in {"times", "×", "fold"}:
        return Quantity(index, after + 1, index, "factor", value)
    if not scaled and (_is_a_ratio(tokens, index, after) or following in _MUCH_LESS):
        return Quantity(index, after, index, "factor", value)
    return counted(tokens, Quantity(index, after, index, "bare", value, scaled=scaled))


def _is_a_ratio(tokens: list[Token], index: int, after: int) -> bool:
    """ "A speedup of 2.5", "a compression ratio of 16", "a 1.6 average speed-up": the noun makes a bare number a factor."""
    named = after + (word_at(tokens, after) in _SORTS_OF_SPEEDUP)
    if word_at(tokens, named) in _SPEEDUPS | {"acceleration"}:
        return True
    if tokens[after : after + 1] and tokens[after].kind in {"num", "near", "rel"}:
        return False
    at = index - 1
    if word_at(tokens, at) == "factor" and word_at(tokens, at - 1) == "a":
        return True
    while at > index - 5 and word_at(tokens, at) in _BEFORE_RATIO:
        at -= 1
    if at == index - 1 or at < 0 or word_at(tokens, index - 1) not in _BEFORE_RATIO - {"an", "average"}:
        return False
    if "." in tokens[index].low and word_at(tokens, at) not in _RATIO_NOUNS and _sped_before(tokens, index):
        return True
    noun, kind = word_at(tokens, at), word_at(tokens, at - 1)
    if noun in {"factor", "factors"} and (kind in {"by", "a", "the", "average"} or kind in _RATIOS):
        return True
    return (
        noun in _SPEEDUPS
        or (noun == "up" and kind in {"speed", "speeds"})
        or (noun in {"ratio", "rate"} and kind in _RATIOS)
    )


_RATIO_NOUNS = frozenset({"rate", "ratio", "factor"})


def _sped_before(tokens: list[Token], index: int) -> bool:
    """Whether a verb of speed governs "... by 1.20", whose "times" is lost."""
    if word_at(tokens, index - 1) != "by" and word_at(tokens, index - 2) != "by" and word_at(tokens, index - 3) != "by":
        return False
    return word_at(tokens, index + 1) in {"", ".", ",", ")", "when", "on", "over", "compared", "and"} and any(
        word_at(tokens, k) in SPEED_VERBS for k in range(index - 9, index)
    )


_MUCH_LESS = frozenset({"smaller", "faster", "slower", "cheaper", "lighter"})
"""Behind a bare number they say that its "times" is lost ("nearly 16 smaller than")."""
_SORTS_OF_SPEEDUP = frozenset({"average", "mean", "overall", "wall-clock", "end-to-end"})
_SPEEDUPS = frozenset({"speedup", "speedups", "speed-up", "speed-ups"})
_BEFORE_RATIO = frozenset({"of", "by", "is", "reaches", "=", ":", "to", "up", "about", "around", "over", "approximately", "nearly", "~", "an", "average", "from", "at", "least",
                           "more", "than", "roughly", "almost"})  # fmt: skip
_RATIOS = frozenset({"compression", "speedup", "speed-up", "acceleration", "reduction", "speed"})


def _about(quantity: Quantity) -> Quantity:
    quantity.qualifier = "about"
    return quantity


def _read_spelled(tokens: list[Token], index: int) -> Quantity | None:
    """ "three times", "four-fold", "one third", "two orders of magnitude", "ten million parameters"."""
    word = tokens[index].low
    value = NUMBER_WORDS.get(word, 1.0)
    after = index + 1
    following = word_at(tokens, after)
    if word in {"an", "one"} and following == "order" and word_at(tokens, after + 1) in _BY_AN_ORDER:
        return Quantity(index, after + 1, index, "factor", 10.0, how="magnitude")
    if word == "magnitudes":
        return Quantity(index, after, index, "factor", 10.0, how="magnitude") if following in _BY_AN_ORDER else None
    if word in {"order", "orders"}:
        if following == "of" and word_at(tokens, after + 1).startswith("magnitude"):
            return Quantity(index, after + 2, index, "factor", 10.0, how="magnitude")
        return None
    if following in {"order", "orders", "order-of-magnitude", "orders-of-magnitude"}:
        if following.endswith("magnitude"):
            return Quantity(index, after + 1, index, "factor", tenfold(value), how="magnitude")
        if word_at(tokens, after + 1) == "of" and word_at(tokens, after + 2).startswith("magnitude"):
            return Quantity(index, after + 3, index, "factor", tenfold(value), how="magnitude")
        return None
    if following == "full" and word_at(tokens, after + 1) == "order":
        return Quantity(index, min(after + 4, len(tokens)), index, "factor", 10.0, how="magnitude")
    if following == "half" and word == "one":
        return Quantity(index, after + 1, index, "factor", 2.0, how="part")
    if following in _PARTS and word in {"one", "a", "two", "three"} and following != "half":
        return Quantity(index, after + 1, index, "part", min(value / _PARTS[following], 1.0), how="part")
    if word in NUMBER_WORDS:
        if _is_a_ratio(tokens, index, after):
            return Quantity(index, after, index, "factor", value, how="word")
        if following in {"times", "fold", "×"} or (following == "x" and tokens[after].kind == "word"):
            return Quantity(index, after + 1, index, "factor", value, how="word")
        if (
            following == "to"
            and word_at(tokens, after + 1) in NUMBER_WORDS
            and word_at(tokens, after + 2) in {"times", "fold"}
        ):
            high = NUMBER_WORDS[word_at(tokens, after + 1)]
            return Quantity(index, after + 3, index, "factor", value, high, how="word")
        if following in {"to", "or"} and word_at(tokens, after + 2).startswith("order"):
            high = NUMBER_WORDS.get(word_at(tokens, after + 1), 0.0)
            if high > value:
                stop = min(after + 5, len(tokens))
                return Quantity(index, stop, index, "factor", tenfold(value), tenfold(high), how="magnitude")
        if following in SCALE_WORDS and len(following) > 1:
            scaled, letter = value * SCALE_WORDS[following], _SCALE_LETTERS[following]
            return counted(tokens, Quantity(index, after + 1, index, "bare", scaled, scaled=letter))
        if following in {"hundred", "thousand"} and word not in {"hundred", "thousand"}:
            value, after = value * NUMBER_WORDS[following], after + 1
            if word_at(tokens, after) in {"times", "fold"}:
                return Quantity(index, after + 1, index, "factor", value, how="word")
        found = counted(tokens, Quantity(index, after, index, "bare", value, how="word"))
        return found if found.unit and found.unit.measures in _SPELLED_UNITS else None
    if word not in NUMBER_WORDS and "-" in following:
        tail = following.rsplit("-", 1)
        if tail[1] == "fold" and tail[0] in NUMBER_WORDS:
            return Quantity(after, after + 1, after, "factor", NUMBER_WORDS[tail[0]], how="word")
    return None


def _whole(tokens: list[Token], quantity: Quantity) -> Quantity:
    """Makes a part of a whole a factor or a percentage: "an eighth of the memory" is 8x less, "less by an eighth" 12.5 %."""
    if quantity.form != "part":
        return quantity
    whole = 1.0 / quantity.value
    if quantity.value_max is None and abs(whole - round(whole)) < 1e-9 and not _by_before(tokens, quantity):
        quantity.form, quantity.value = "factor", float(round(whole))
    else:
        quantity.form, quantity.value = "percent", round(100 * quantity.value, 1)
        quantity.value_max = None if quantity.value_max is None else round(100 * quantity.value_max, 1)
    return quantity


def _by_before(tokens: list[Token], quantity: Quantity) -> bool:
    return "by" in {word_at(tokens, quantity.first - k) for k in (1, 2, 3)}
