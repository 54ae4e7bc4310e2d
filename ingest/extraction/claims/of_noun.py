"""Rules for a noun and its value: "a speedup of 2.5x", "a memory reduction of 60%", "less memory of 11x"."""

from __future__ import annotations

from .change_left import PREPOSITIONS, anchors_left
from .nouns import FASTER, Noun
from .phrases import direction_of, head, noun_phrase, runs_code, sped
from .site import Anchor, Reading, Site
from .words import BETTER, CHANGE_NOUNS, COMPARATIVES, SELF_NOUNS


def of_noun(site: Site) -> Reading | None:
    """A noun and its value: "a speedup of 2.5x", "memory reduction of 60%", "compression ratio of 16x", "less
    memory of 11x"."""
    start = site.begin - 1
    led = site.word(start) in PREPOSITIONS or site.word(site.begin) in {"between", "a", "by"}
    led = led or (site.begin < site.quantity.first and site.word(start) in SELF_NOUNS.keys() | CHANGE_NOUNS.keys())
    led = led or (site.begin < site.quantity.first and any(a.stop == site.begin for a in site.clause.anchors))
    if not led and site.word(start) not in {",", "(", "as", "approximately"}:
        return None
    change = next((k for k in range(start, max(site.left, start - 12) - 1, -1)
                   if site.word(k) in CHANGE_NOUNS or site.word(k) in SELF_NOUNS or site.word(k) in COMPARATIVES), None)  # fmt: skip
    near = anchors_left(site, site.left, site.begin)
    close = [a for a in near if start - a.stop <= 3]
    if change is not None:
        reading = _of_change(site, change, near)
        if reading is not None:
            return reading
    if not close:
        return None
    noun = close[-1]
    if noun.noun.polarity == "refuse":
        return Reading("of-noun", None, "", noun.first, noun.stop)
    if noun.noun.polarity in {"gain", "change"} and site.quantity.form == "factor":
        return Reading("of-noun", noun.noun, "better", noun.first, noun.stop)
    return None


_BETWEEN_PHRASES = frozenset({",", "with", "on", "across", "for", "over"})


def _spanning(anchors: list[Anchor], change: int) -> list[Anchor]:
    """The noun that ends in the word of change ("area overhead") or stands right before it."""
    return [a for a in anchors if a.first < change <= a.stop <= change + 1]


def _of_change(site: Site, change: int, anchors: list[Anchor]) -> Reading | None:
    word = site.word(change)
    own = SELF_NOUNS.get(word)
    inner = [a for a in anchors if change - 5 <= a.first and a.stop <= change
             and _BETWEEN_PHRASES.isdisjoint(site.clause.lows[a.stop : change])]  # fmt: skip
    behind = [a for a in anchors if a.first > change]
    if own:
        noun = FASTER if own == "speedup" else Noun(own, "gain")
        near_phase = {site.word(change - 1), site.word(change - 2)}
        if own == "speedup" and near_phase & {"training", "convergence", "pre-training"}:
            noun = Noun("training_time", "change", "training")
        if own == "speedup" and inner and inner[-1].noun.metric in {"latency", "throughput"}:
            noun = inner[-1].noun
        refused = behind and behind[0].noun.polarity == "refuse"
        direction = "worse" if word.startswith("slowdown") else "better"
        return None if refused and own != "compression" else Reading("of-noun", noun, direction, change, change + 1)
    effect = CHANGE_NOUNS.get(word) or COMPARATIVES[word]
    if word in {"faster", "quicker"} and not behind:
        return Reading("of-noun", sped(site, change, site.begin), "better", change, change + 1)
    if word in COMPARATIVES:
        nouns = behind
    elif word.startswith("overhead") and (own_noun := _spanning(anchors, change)):
        nouns = own_noun
    elif site.word(site.begin - 1) == "of" and change >= site.begin - 4 and site.word(site.end) in {"in", "of"}:
        nouns = [a for a in (head(noun_phrase(site, site.end + 1), prefer_last=True),) if a is not None] or inner[-1:]
    else:
        nouns = behind[:1] if behind and site.word(change + 1) in {"in", "of", "on"} else inner[-1:]
    if not nouns:
        return None
    noun_anchor = nouns[0]
    if noun_anchor.noun.polarity == "refuse" and effect == BETTER and runs_code(site, noun_anchor):
        return Reading("of-noun", FASTER, "better", noun_anchor.first, change + 1)
    if noun_anchor.noun.polarity == "refuse":
        return Reading("of-noun", None, "", change, noun_anchor.stop)
    first, stop = min(change, noun_anchor.first), max(change + 1, noun_anchor.stop)
    return Reading("of-noun", noun_anchor.noun, direction_of(noun_anchor.noun, effect), first, stop)
