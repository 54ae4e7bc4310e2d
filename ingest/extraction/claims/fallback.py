"""The last resort for a factor or a percentage that no rule takes: the nouns and words of change of its sentence are
weighed by how far they stand and what is in between."""

from __future__ import annotations

from collections.abc import Callable

from ..words import word_set
from .change_left import ENDS, named_behind
from .change_right import verb_before
from .nouns import FASTER, Noun
from .phrases import counted_thing, direction_of
from .site import Anchor, Reading, Site
from .words import (
    BARE_COMPARATIVES,
    BE,
    BETTER,
    CHANGE_NOUNS,
    CHANGE_VERBS,
    COMPARATIVES,
    COMPRESS_VERBS,
    LESS,
    ONLY,
    RIVAL_VERBS,
    SELF_NOUNS,
    SPEED_VERBS,
)

_FAR = {"factor": 12.0, "percent": 4.5}
"""A noun or a word of change that costs more does not speak for the number; most percentages are of quality."""
_MOST_ADMITTED = 15.0
"""A cost of more percent is a complaint about others."""
_COSTS: dict[str, float] = {
    **dict.fromkeys(word_set(", ("), 2.0),
    **dict.fromkeys(word_set("on for with at when under across using via after during without"), 3.0),
    **dict.fromkeys(word_set("than compared relative versus vs over against"), 5.0),
    **dict.fromkeys(word_set("; while whereas but whilst although though"), 9.0),
    **dict.fromkeys(word_set("of in the to by is are a an and both its ) :"), 0.4),
}
"""What a word between a noun and its number costs; all others cost 1, and a number in between `_NUMBER`."""
_NUMBER = 8.0
_EFFECTS: dict[str, str] = {
    **{w: e for w, e in CHANGE_VERBS.items() if w not in RIVAL_VERBS},
    **CHANGE_NOUNS,
    **COMPARATIVES,
}
_SPEEDS = SPEED_VERBS | SELF_NOUNS.keys() | word_set("faster quicker fast speed speeds sped slower") - {"compression"}
_CUES = _EFFECTS.keys() | _SPEEDS | BARE_COMPARATIVES.keys() | COMPRESS_VERBS


class _Ways:
    """What it costs to get from the number to any token of its clause."""

    def __init__(self, site: Site) -> None:
        lows, numbers = site.clause.lows, {q.first for q in site.clause.quantities}
        self.far = _FAR[site.quantity.form]
        self.site, self.costs = site, [0.0] * (len(lows) + 1)
        self.left, self.right = site.begin, site.end
        cost = 0.0
        while self.left > 0 and cost <= self.far:
            self.left -= 1
            self.costs[self.left] = cost
            cost += _NUMBER if self.left in numbers else _COSTS.get(lows[self.left], 1.0)
        cost = 0.0
        while self.right < len(lows) and cost <= self.far:
            self.costs[self.right] = cost
            cost += _NUMBER if self.right in numbers else _COSTS.get(lows[self.right], 1.0)
            self.right += 1

    def to(self, first: int, stop: int) -> float:
        """The cost of the way to tokens `first` to `stop`, above `far` if they are out of reach or in the number."""
        if self.left <= first and stop <= self.site.begin:
            return self.costs[stop - 1]
        if self.site.end <= first < self.right:
            return self.costs[first]
        return self.far + 1


def guess(site: Site, weak: Reading | None = None, before: Reading | None = None) -> Reading | None:
    """The nearest noun with the nearest word of change; "None" where a score, an unknown thing or nothing at all is near."""
    quantity = site.quantity
    if (
        quantity.form == "absolute"
        or quantity.how == "part"
        or site.word(quantity.first - 1) in {"±", "+", "\\pm", "pm"}
    ):
        return None
    if quantity.form == "percent" and site.word(quantity.first - 1) in {"within", "at", "under", "top"}:
        return None
    if quantity.how == "magnitude" and site.word(quantity.lead) == "over" and site.word(quantity.stop) in {"in", "of"}:
        return None
    ways = _Ways(site)
    noun = min(site.clause.anchors, key=lambda a: ways.to(a.first, a.stop), default=None)
    if noun is not None and ways.to(noun.first, noun.stop) > ways.far:
        noun = None
    own = named_behind(site)
    noun = own if own is not None and ways.to(own.first, own.stop) <= ways.far else noun
    cue = _cue(site, ways)
    if before is None and weak is not None and weak.rule == "comparative" and noun is None:
        before = _amount_before(site)
    if before is not None and before.noun is not None and (noun is None or noun.stop <= before.stop):
        found = _goes_on(site, before, weak)
        if found is not None:
            return found
    if noun is not None:
        return _of_noun(site, noun, cue)
    if (
        weak is None
        and noun is None
        and quantity.form == "percent"
        and verb_before(site) == LESS
        and site.word(site.end) == "of"
    ):
        return Reading(
            "guess-thing", counted_thing(site, site.end, site.end + 5), "better", site.begin - 1, site.end + 1
        )
    if (
        weak is not None
        and weak.rule == "by-verb"
        and CHANGE_VERBS.get(site.word(weak.first)) == LESS
        and not (quantity.origin and quantity.form == "percent")
        and _has_object(site, weak.first)
    ):
        return Reading("guess-thing", counted_thing(site, weak.first, site.begin), "better", weak.first, site.end)
    return None if cue is None or quantity.form == "percent" else _of_cue(site, cue)


def _has_object(site: Site, verb: int) -> bool:
    """Whether something is reduced ("reduces crossings by", "are cut by"), and nothing just falls ("sales fell by")."""
    if site.word(verb - 1) in {"a", "an", "the", "no"}:
        # "With a drop of only 0.5%": a noun, and what drops so little is quality.
        return False
    between = site.clause.lows[verb + 1 : site.begin]
    return (
        any(word.isalpha() and word not in {"by", "to", "of", "up", "about", "the"} for word in between)
        or site.word(verb - 1) in BE
    )


_COUNTED = {
    "params": "params",
    "bytes": "memory",
    "flops": "flops",
    "time": "latency",
    "energy": "energy",
    "power": "energy",
}


def _amount_before(site: Site) -> Reading | None:
    """The amount that "1.3M parameters, i.e. 20 times fewer than A" compares."""
    for quantity in reversed(site.clause.quantities):
        if quantity.stop <= site.begin and quantity.unit is not None and site.begin - quantity.stop <= 8:
            metric = _COUNTED.get(quantity.unit.measures)
            return Reading("list", Noun(metric, "cost"), "better", quantity.first, quantity.stop) if metric else None
    return None


_GOES_ON = word_set(
    "and with reaching up achieving or even exceeding respectively to of a over an by , ( for respectively attaining reach delivering"
)


def _goes_on(site: Site, before: Reading, weak: Reading | None) -> Reading | None:
    """ "A speedup of 1.9x on A, reaching up to 2.4x on B", "cut from 5 M to 1 M, a 5x reduction": what was measured before."""
    noun = before.noun
    apposed = weak is not None and weak.rule == "change-noun" and site.word(site.begin - 1) in {"a", "an", ","}
    if noun is None or (site.quantity.form != "factor" and not apposed):
        return None
    if weak is not None:
        return (
            Reading("goes-on", noun, "better", site.begin, weak.stop)
            if weak.rule in {"change-noun", "comparative"} and site.word(site.end) != "more"
            else None
        )
    if site.word(site.begin - 1) in _GOES_ON and site.word(site.end) in ENDS:
        return Reading("goes-on", noun, _direction_after(before), site.begin, site.end)
    return None


def _direction_after(before: Reading) -> str:
    """A ratio behind an amount ("690 TFLOPS, 1.4x over") is a gain."""
    return "better" if before.direction == "none" else before.direction


def _cue(site: Site, ways: _Ways) -> int | None:
    lows = site.clause.lows
    near = [
        at
        for at in range(ways.left, min(ways.right, len(lows)))
        if lows[at] in _CUES and not site.begin <= at < site.end
    ]
    at = min(near, key=lambda k: ways.to(k, k + 1), default=None)
    return at if at is not None and ways.to(at, at + 1) <= ways.far else None


def _of_noun(site: Site, noun: Anchor, cue: int | None) -> Reading | None:
    first, stop = min(noun.first, site.begin), max(noun.stop, site.end)
    meaning = noun.noun
    if meaning.polarity == "refuse" or meaning.metric == "data_samples":
        return Reading("guess", None, "", first, stop)
    if noun.first >= site.end and _governs(site, noun):
        return Reading("guess", None, "", first, stop)
    if cue is not None:
        word = site.word(cue)
        first, stop = min(first, cue), max(stop, cue + 1)
        if word in _SPEEDS and meaning.metric not in {"latency", "throughput", "training_time", "speedup"}:
            meaning = FASTER
        effect = _EFFECTS.get(word)
        direction = "better" if effect is None else direction_of(meaning, effect)
        if word in {"additional", "extra"} and not ONLY.isdisjoint(
            site.clause.lows[max(0, site.begin - 2) : site.begin]
        ):
            # "Only 0.5% additional parameters": so few are what the paper is proud of.
            direction = "better"
        if direction == "worse" and site.quantity.form == "percent" and site.quantity.value > _MOST_ADMITTED:
            return None
        if direction == "worse" and site.quantity.form == "factor":
            # No paper boasts of a higher cost: the verb of the gain stands farther off.
            direction = "better"
        return Reading("guess", meaning, direction, first, stop)
    thrift = site.quantity.bound == "<" or not ONLY.isdisjoint(
        site.clause.lows[max(0, site.begin - 3) : site.quantity.first]
    )
    if meaning.polarity == "cost" and site.quantity.form == "percent" and site.quantity.value > 100:
        return None
    if meaning.polarity == "cost":
        return Reading("guess", meaning, "better", first, stop) if thrift else None
    return Reading("guess", meaning, "better", first, stop) if site.quantity.form == "factor" else None


def _governs(site: Site, noun: Anchor) -> bool:
    """ "With 20% of the tokens it improves throughput by 3x": the number belongs to what brings the gain, a verb stands between."""
    between = site.clause.lows[site.end : noun.first]
    return any(word in CHANGE_VERBS and word not in CHANGE_NOUNS and word not in COMPARATIVES for word in between)


def _of_cue(site: Site, cue: int) -> Reading | None:
    word = site.word(cue)
    first, stop = min(cue, site.begin), max(cue + 1, site.end)
    if word in _SPEEDS:
        return Reading("guess", FASTER, "worse" if word.startswith("slow") else "better", first, stop)
    if word in COMPRESS_VERBS:
        return Reading("guess", Noun("compression", "gain"), "better", first, stop)
    if word in BARE_COMPARATIVES:
        metric, direction = BARE_COMPARATIVES[word]
        return Reading("guess", Noun(metric, "change"), direction, first, stop)
    if word in CHANGE_NOUNS and _EFFECTS[word] == BETTER and site.clause.systems_paper:
        # "Gains of 1.5-2x on this card": of a paper about running code faster.
        return Reading("guess", FASTER, "better", first, stop)
    if _EFFECTS.get(word) == LESS:
        return Reading("guess-thing", counted_thing(site, first - 3, stop), "better", first, stop)
    return None


Guess = Callable[[Site], Reading | None]
