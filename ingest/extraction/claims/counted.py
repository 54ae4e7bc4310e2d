"""The unit of a bare number: the thing counted behind it ("5,000 labelled images", "88 GPU-days") or the noun in front of
it ("a frame rate of 50", "parameter count of 2.3M")."""

from __future__ import annotations

from ..words import word_set
from .quantity import Quantity
from .tokens import Token
from .units import BY_SPELLING, BY_WORD, COUNTED, DEVICE_SPANS, DEVICES, SCALES, Unit

_SPANS = {
    "second": "s",
    "sec": "s",
    "s": "s",
    "gpu-second": "s",
    "gpu-sec": "s",
    "minute": "min",
    "min": "min",
    "hour": "h",
    "day": "day",
}
"""Spans of time behind "per", and how a rate's unit names them."""
_RATES = word_set("frame frames tokens images samples queries requests steps sequences sentences words pages clips")
_PER = frozenset({"per", "/", "a", "every", "each"})
_BREAKS = word_set("to and or of on in for with at than over from as by when while that which is are per the a an")
_NOT_COUNTED = word_set("shot way bit hop view class task layer node fold stage")
_FRAME_RATE = Unit("FPS", "rate")
_NAMED = {
    **dict.fromkeys(("parameter", "parameters", "params", "param"), Unit("params", "params")),
    **dict.fromkeys(("flops", "macs", "madds", "mult-adds", "multiply-adds"), Unit("FLOPs", "flops")),
    **dict.fromkeys(("framerate", "frame-rate", "fps", "rate"), _FRAME_RATE),
    "size": Unit("params", "params"),
    **dict.fromkeys(("rtf", "factor"), Unit("RTF", "real-time-factor")),
    **dict.fromkeys(("epochs", "iterations"), Unit("epochs", "iterations")),
    **dict.fromkeys(("nfe", "nfes", "steps", "evaluations"), Unit("steps", "steps")),
}
"""Nouns that may stand in front of the number that they count."""
_LINKING = word_set("of is = : to count ( from")
_LINKS = _LINKING | word_set(
    "goes go went down fell drop drops dropped decreases decreased shrinks shrank cut lowered are was were be by only just about ~ under merely ) < approximately around falls drops reduced"
)
_SCALED_ONLY = frozenset({"params", "flops"})


def word_at(tokens: list[Token], index: int) -> str:
    """The word of a token, in lower case, or "" outside the sentence."""
    return tokens[index].low if 0 <= index < len(tokens) else ""


def in_unit(quantity: Quantity, unit: Unit, stop: int) -> Quantity:
    """`quantity` as an amount in `unit` that ends before token `stop`."""
    quantity.form, quantity.unit, quantity.stop = "absolute", unit, stop
    return quantity


def span_of_rate(tokens: list[Token], at: int) -> str:
    """ "s" where "per second" or "/ s" begins at token `at`, "min" for minutes, "h" and "day", else ""."""
    return _SPANS.get(word_at(tokens, at + 1), "") if word_at(tokens, at) in _PER else ""


def counted(tokens: list[Token], bare: Quantity) -> Quantity:
    """Gives a bare number its unit, if a word near it names one."""
    following = word_at(tokens, bare.stop)
    if bare.scaled == "G" and following in {"gpu", "memory", "vram", "ram", "gpus"}:
        bare.value, bare.scaled = bare.value / SCALES["G"], ""
        return in_unit(bare, BY_SPELLING["GB"], bare.stop)
    if bare.scaled and (
        following == "size" or (following in {"model", "network"} and word_at(tokens, bare.stop + 1) == "size")
    ):
        return in_unit(bare, Unit("params", "params"), bare.stop)
    stop = _device_time(tokens, bare.stop)
    if stop:
        span = word_at(tokens, stop - 1).rpartition("-")[2]
        return in_unit(bare, Unit("GPU-" + DEVICE_SPANS[span.rstrip("s")], "device-time"), stop)
    for gap in range(4):
        at = bare.stop + gap
        if at >= len(tokens) or tokens[at].kind not in {"word", "dash", "ident"}:
            break
        word = tokens[at].low
        if tokens[at].kind == "dash":
            continue
        if word in _RATES or (word.endswith("s") and word_at(tokens, at + 1) in _PER):
            behind = _past_bracket(tokens, at + 1)
            span = span_of_rate(tokens, behind)
            if span:
                return in_unit(bare, Unit(f"{word}/{span}", "rate"), behind + 2)
        if gap == 0 and word in BY_WORD and not (bare.scaled and word == "s"):
            return rated(tokens, in_unit(bare, BY_WORD[word], at + 1))
        if word in COUNTED:
            return _of_kind(tokens, bare, at, gap=gap)
        if word in _BREAKS or word in _NOT_COUNTED:
            break
    return _named_before(tokens, bare)


def _of_kind(tokens: list[Token], bare: Quantity, at: int, *, gap: int) -> Quantity:
    unit = COUNTED[tokens[at].low]
    letter = word_at(tokens, at + 2)
    if unit.measures == "flops" and word_at(tokens, at + 1) == "(" and letter in {"g", "m"}:
        return in_unit(bare, Unit(letter.upper() + "FLOPs", "flops"), min(at + 4, len(tokens)))
    if unit.measures == "devices" and (gap > 2 or bare.scaled or "." in tokens[bare.first].low):
        return bare
    return in_unit(bare, unit, at + 1 if gap == 0 else bare.stop)


def _device_time(tokens: list[Token], start: int) -> int:
    """The token behind "GPU hours", "H800 GPU-hours", "A100-days" at `start`, or 0."""
    seen = False
    for at in range(start, min(start + 5, len(tokens))):
        word = tokens[at].low
        head, _, tail = word.rpartition("-")
        if head and tail.rstrip("s") in DEVICE_SPANS and (head in DEVICES or head.rpartition("-")[2] in DEVICES):
            return at + 1
        if seen and word.rstrip("s") in DEVICE_SPANS:
            return at + 1
        if word in DEVICES or word.rpartition("-")[2] in DEVICES:
            seen = True
        elif at == start and tokens[at].kind == "word" and word not in _BREAKS and word_at(tokens, at + 1) in DEVICES:
            continue
        elif word not in {"-", "/", "·"} and tokens[at].kind != "dash":
            return 0
    return 0


def _past_bracket(tokens: list[Token], at: int) -> int:
    if word_at(tokens, at) == "(":
        for close in range(at + 1, min(at + 8, len(tokens))):
            if tokens[close].low == ")":
                return close + 1
    return at


def _named_before(tokens: list[Token], bare: Quantity) -> Quantity:
    """ "a frame rate of 50", "parameters of only 2.3M", "an RTF of 0.02"."""
    at, linked = bare.first - 1, False
    while at > bare.first - 6 and (word_at(tokens, at) in _LINKS or (at >= 0 and tokens[at].kind == "num")):
        linked |= tokens[at].low in _LINKING
        at -= 1
    word = word_at(tokens, at)
    unit = _NAMED.get(word)
    if unit is None:
        return bare
    if unit.measures in _SCALED_ONLY and not (bare.scaled and linked):
        return bare
    before = word_at(tokens, at - 1)
    if word == "size" and before not in {"model", "network", "compact", "small", "parameter", "models", "its", "tiny"}:
        return bare
    if (word == "rate" and before != "frame") or (word == "factor" and before not in {"real-time", "time"}):
        return bare
    if unit.measures in {"steps", "iterations"} and not linked:
        return bare
    if word in {"steps", "evaluations", "epochs", "iterations"} and "from" not in {
        word_at(tokens, bare.first - k) for k in (1, 2, 3, 4)
    }:
        return bare
    return in_unit(bare, unit, bare.stop)


def rated(tokens: list[Token], quantity: Quantity) -> Quantity:
    """Turns "30 frames per second" and "120 tokens/s" into a rate."""
    unit, span = quantity.unit, span_of_rate(tokens, quantity.stop)
    if unit is not None and span:
        if unit.measures in {"tokens", "samples"}:
            return in_unit(quantity, Unit(f"{unit.unit}/{span}", "rate"), quantity.stop + 2)
        if unit.measures == "bytes":
            return in_unit(quantity, Unit(f"{unit.unit}/{span}", "bandwidth"), quantity.stop + 2)
    return quantity
