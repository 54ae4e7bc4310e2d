"""What a claim amounts to: a ratio to its baseline where it states one, and an amount in base units where it has a unit.

Ratios are above 1 for a gain (`papers.ratios`). A number whose meaning is open gets none:

- A percentage is a share that remains ("only 5 % of the parameters", "cut to 30 %") or a change ("40 % less memory"); the
  rule that read it and the words beside it decide.
- "90 % compression" takes 90 % away; "a compression rate of 90 %" may mean either.
- Of "from A to B" the ratio is A/B for a cost and B/A for a gain; a bare amount has no ratio.

Amounts are in s, byte, J, W, FLOP, FLOP/s, bit/s, byte/s, Hz, USD, GPU-s, and counts ("parameters", "tokens", "tokens/s").
Prefixes mean what they say: GB is 10^9 bytes, GiB 2^30. One MAC is two FLOP. Units that the grammar writes are in a table
that a test compares with pint; others are looked up with pint, which is imported only then.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from papers.ratios import claim_ratio

from ..words import word_set
from .nouns import Noun
from .quantity import Quantity
from .site import Clause, Reading
from .units import BY_WORD
from .words import BETTER, CHANGE_NOUNS, CHANGE_VERBS, COMPARATIVES, COMPRESS_VERBS, LESS, MORE, ONLY, SELF_NOUNS

if TYPE_CHECKING:
    import pint


class Normal(NamedTuple):
    """`ratio` and, for a range, its upper end; `base_value` in `base_unit`, "" where the claim has no unit."""

    ratio: float | None = None
    ratio_max: float | None = None
    base_value: float | None = None
    base_unit: str = ""


NOTHING = Normal()

BASE_UNITS: dict[str, tuple[float, str]] = {
    "ns": (1e-9, "s"), "us": (1e-6, "s"), "ms": (1e-3, "s"), "s": (1.0, "s"), "min": (60.0, "s"), "hours": (3600.0, "s"),
    "days": (86400.0, "s"), "weeks": (604800.0, "s"),
    "KB": (1e3, "byte"), "MB": (1e6, "byte"), "GB": (1e9, "byte"), "TB": (1e12, "byte"),
    "KiB": (1024.0, "byte"), "MiB": (1024.0**2, "byte"), "GiB": (1024.0**3, "byte"), "TiB": (1024.0**4, "byte"),
    "KFLOPs": (1e3, "FLOP"), "MFLOPs": (1e6, "FLOP"), "GFLOPs": (1e9, "FLOP"), "TFLOPs": (1e12, "FLOP/s"),
    "PFLOPs": (1e15, "FLOP/s"), "FLOPs": (1.0, "FLOP"), "MMACs": (2e6, "FLOP"), "GMACs": (2e9, "FLOP"), "MAdds": (2e6, "FLOP"),
    "uJ": (1e-6, "J"), "mJ": (1e-3, "J"), "J": (1.0, "J"), "kWh": (3.6e6, "J"), "mW": (1e-3, "W"), "W": (1.0, "W"),
    "kbps": (1e3, "bit/s"), "Mbps": (1e6, "bit/s"), "Gbps": (1e9, "bit/s"), "KB/s": (1e3, "byte/s"), "MB/s": (1e6, "byte/s"), "GB/s": (1e9, "byte/s"),
    "TB/s": (1e12, "byte/s"), "Hz": (1.0, "Hz"), "FPS": (1.0, "frames/s"), "$": (1.0, "USD"), "params": (1.0, "parameters"),
}  # fmt: skip
"""Units as the grammar writes them: factor and base unit."""
_COUNTS = word_set("tokens samples steps epochs tokens/s samples/s frames/s images/s queries/s requests/s")
_RATE_SPANS = {"min": 60.0, "h": 3600.0, "day": 86400.0}
_DEVICE_TIME = re.compile(r"(?i)(GPU|TPU)-?(second|minute|min|hr|hour|day|week)s?")
_IN_SECONDS = {
    "second": 1.0,
    "minute": 60.0,
    "min": 60.0,
    "hr": 3600.0,
    "hour": 3600.0,
    "day": 86400.0,
    "week": 604800.0,
}
_MULTIPLY_ADDS = word_set("mac macs mult-adds multiply-adds madds")
_ASKABLE = re.compile(r"[A-Za-zµμ]{1,12}(?:\s?/\s?[A-Za-z]{1,12})?")
"""What may be handed to pint's parser: a unit or a quotient of two, no powers and no numbers."""


def to_base(value: float, unit: str) -> tuple[float, str] | None:
    """`value` of `unit` in its base unit, or None for a unit that nobody knows: 2.0 "GB" is (2e9, "byte")."""
    known = BASE_UNITS.get(unit)
    if known is None:
        if unit == "things":
            return None
        if unit in _COUNTS or (unit.endswith("s/s") and unit[:-2].islower()):
            known = (1.0, unit)
        elif device := _DEVICE_TIME.fullmatch(unit):
            known = (_IN_SECONDS[device[2].lower()], f"{device[1].upper()}-s")
        else:
            known = _ask_pint(unit) if _ASKABLE.fullmatch(unit) else None
    return None if known is None or not math.isfinite(value) else (float(f"{value * known[0]:.12g}"), known[1])


@lru_cache(maxsize=1)
def _registry() -> pint.UnitRegistry[Any]:
    import pint

    registry: pint.UnitRegistry[Any] = pint.UnitRegistry()
    registry.define("FLOP = [operation] = _ = FLOPs = FLOPS")
    registry.define("MAC = 2 * FLOP = _ = MACs")
    registry.define("USD = [currency] = _ = dollar")
    return registry


_PINT_BASES = (("s", "second"), ("byte", "byte"), ("J", "joule"), ("W", "watt"), ("FLOP", "FLOP"), ("FLOP/s", "FLOP/second"),
               ("byte/s", "byte/second"), ("Hz", "hertz"), ("USD", "USD"))  # fmt: skip


@lru_cache(maxsize=512)
def _ask_pint(unit: str) -> tuple[float, str] | None:
    """Factor and base unit of a unit that the table lacks ("kJ", "TB/s", "PFLOP/s"), from pint's definitions."""
    registry = _registry()
    try:
        amount = registry.Quantity(1.0, unit)
        for name, base in _PINT_BASES:
            if amount.is_compatible_with(base):
                bits = name == "byte/s" and ("bps" in unit.lower() or "bit" in unit.lower())
                return float(amount.to("bit/second" if bits else base).magnitude), "bit/s" if bits else name
    except Exception:  # pint raises errors of many unrelated classes for text that is no unit
        return None
    return None


def normalise(clause: Clause, quantity: Quantity, reading: Reading, noun: Noun) -> Normal:
    """Ratio and base amount of one number as a rule has read it."""
    if quantity.form == "absolute":
        return _of_amount(clause, quantity, noun)
    if _second_order(clause, reading, noun):
        return NOTHING
    if quantity.form == "factor" and quantity.origin_value is None:
        return _ends(quantity, reading.direction)
    grows = _grows(clause, quantity, reading, noun)
    if grows is None:
        return NOTHING
    if quantity.origin_value is not None:
        return _of_pair(quantity.origin_value, quantity.value, reading.direction, grows)
    remains = _remains(clause, quantity, reading)
    return NOTHING if remains is None or (remains and grows) else _ends(quantity, reading.direction, grows, remains)


def _ends(quantity: Quantity, direction: str, grows: bool = False, remains: bool = False) -> Normal:
    """The ratio, or both of a range in order; a range of which one end has no ratio has none."""
    form, value, high = quantity.form, quantity.value, quantity.value_max
    if quantity.how == "part" and form == "percent":
        value, high = _exact(value), None if high is None else _exact(high)
    first = claim_ratio(form, direction, value, grows=grows, remains=remains)
    second = None if high is None else claim_ratio(form, direction, high, grows=grows, remains=remains)
    if first is None or (high is not None and second is None):
        return NOTHING
    if second is None:
        return Normal(_rounded(first))
    return Normal(_rounded(min(first, second)), _rounded(max(first, second)))


def _rounded(ratio: float) -> float:
    return float(f"{ratio:.6g}")


def _exact(value: float) -> float:
    """A percentage that was written as a fraction is that fraction again: 33.3 of "one third" is 100/3."""
    return float(100 * Fraction(value / 100).limit_denominator(100)) if 0 < value <= 100 else value


def _grows(clause: Clause, quantity: Quantity, reading: Reading, noun: Noun) -> bool | None:
    """Whether more of what is measured is better; None where the words leave it open."""
    if noun.metric == "compression":
        if reading.rule == "self-noun" or (reading.rule == "by-verb" and _words(clause, reading) & COMPRESS_VERBS):
            return False
        return True if reading.rule in {"comparative", "by-verb", "change-noun"} else None
    if reading.rule == "self-noun" and any(SELF_NOUNS.get(word) == "speedup" for word in _words(clause, reading)):
        return True
    return noun.polarity != "cost"


def _words(clause: Clause, reading: Reading) -> set[str]:
    return set(clause.lows[reading.first : reading.stop])


_SKIPPED = word_set("only just merely a mere about approximately around nearly roughly as little low ~ under less than")
_REMOVED = word_set("reduced removed pruned saved eliminated skipped discarded dropped evicted")
_EFFECTS = {**CHANGE_VERBS, **CHANGE_NOUNS, **COMPARATIVES, **dict.fromkeys(SELF_NOUNS, BETTER)}
_NEAR_BEFORE, _NEAR_BEHIND = 5, 10


def _remains(clause: Clause, quantity: Quantity, reading: Reading) -> bool | None:
    """Whether a percentage is what is left (True) or what has changed (False); None where neither is said."""
    lows = clause.lows
    at = quantity.first - 1
    while at >= 0 and lows[at] in _SKIPPED:
        at -= 1
    if at >= 0 and lows[at] == "to" and lows[at - 1 : at] != ["up"]:
        return True
    before = lows[max(0, quantity.lead - _NEAR_BEFORE) : quantity.first]
    if reading.rule == "share":
        if reading.direction == "worse" or any(CHANGE_VERBS.get(word) == LESS for word in before):
            return False
        return not _REMOVED.intersection(lows[quantity.stop : quantity.stop + _NEAR_BEHIND])
    part_of = lows[quantity.stop : quantity.stop + 1] == ["of"]
    if reading.rule == "bracketed":
        near = lows[max(0, reading.first - _NEAR_BEFORE) : quantity.first]
        return (
            False
            if any(_EFFECTS.get(word) in {LESS, BETTER} for word in near) and not ONLY.intersection(near)
            else None
        )
    if reading.rule in {"list", "parallel"}:
        return False if not part_of and any(word in _EFFECTS for word in lows) else None
    return None if part_of and reading.rule == "of-noun" else False


def _second_order(clause: Clause, reading: Reading, noun: Noun) -> bool:
    """Whether a number compares two reductions ("24% higher FLOPs reduction") and says nothing of what is left."""
    lows, stop = clause.lows, reading.stop
    if noun.polarity != "cost" or stop >= len(lows) or CHANGE_NOUNS.get(lows[stop]) != LESS:
        return False
    return any(_EFFECTS.get(word) in {MORE, BETTER} for word in _words(clause, reading))


def _of_pair(origin: float, value: float, direction: str, grows: bool) -> Normal:
    """Of "from A to B": the ratio, unless it goes against the direction that was read."""
    if not (math.isfinite(origin) and math.isfinite(value)) or origin <= 0 or value <= 0:
        return NOTHING
    ratio = value / origin if grows else origin / value
    if (direction == "better" and ratio < 1) or (direction == "worse" and ratio > 1):
        return NOTHING
    return Normal(_rounded(ratio))


def _of_amount(clause: Clause, quantity: Quantity, noun: Noun) -> Normal:
    unit = _unit_of(clause, quantity)
    value = quantity.value
    counted, slash, span = unit.rpartition("/")
    if slash and span in _RATE_SPANS:
        unit, value = counted + "/s", value / _RATE_SPANS[span]
    if unit == "MAdds" and quantity.scaled:
        value /= 1e6  # "219M MAdds": the letter already says millions
    if unit == "FLOPs" and _MULTIPLY_ADDS.intersection(clause.lows[quantity.first : quantity.stop + 1]):
        value *= 2
    base = to_base(value, unit)
    ratio = None
    if quantity.origin_value is not None:
        grows = noun.metric == "throughput" or noun.polarity == "gain"
        ratio = _amounts_ratio(quantity, unit, grows)
    return Normal(ratio, None, *(base if base else (None, "")))


def _amounts_ratio(quantity: Quantity, unit: str, grows: bool) -> float | None:
    """A/B of "from A to B", each in its own unit ("from 5 days to 3 hours"); None if they measure different things."""
    written = (quantity.origin or "").split()
    own = re.sub(r"^[\d.]+", "", written[-1]) if written else ""
    spelled = BY_WORD.get(own) if len(own) > 1 else None
    before = to_base(quantity.origin_value or 0.0, spelled.unit if spelled else unit)
    after = to_base(quantity.value, unit)
    if before is None or after is None or before[1] != after[1]:
        return None
    return _of_pair(before[0], after[0], "none", grows).ratio


def _unit_of(clause: Clause, quantity: Quantity) -> str:
    """The unit with what its short spelling loses: TPUs."""
    unit = quantity.unit.unit if quantity.unit else ""
    tokens = clause.tokens[quantity.first : quantity.stop]
    if unit.startswith("GPU-") and any(t.low.startswith("tpu") for t in tokens):
        return "TPU-" + unit[4:]
    if unit.endswith("/s") and any(t.low == "gpu-second" for t in tokens):
        return ""
    return unit
