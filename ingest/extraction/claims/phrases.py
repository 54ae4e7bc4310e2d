"""What the rules of claims share: noun phrases beside a number, lists of nouns, and what rivals are known by."""

from __future__ import annotations

from ..words import word_set
from .nouns import FASTER, Noun
from .site import Anchor, Site
from .words import BETTER, CHANGE_VERBS, COMPARATIVES, LESS, RIVAL_VERBS

_NP_STOPS = word_set(
    """
    than compared over relative versus vs on at when without with , . ( ) to as by using while for per from
    under across via is are
    """
)


def skip_bracket(site: Site, at: int) -> int:
    """The token behind a bracket that opens at `at`, or `at`; an opening bracket without end stays."""
    if site.word(at) in {"(", "["}:
        for close in range(at + 1, min(at + 10, site.right)):
            if site.word(close) in {")", "]"}:
                return close + 1
    return at


def behind_number(site: Site) -> int:
    """The token behind the number, the bracket around it ("(2x) faster") or the one after it ("2x (on A) faster")."""
    if site.word(site.begin - 1) == "(" and site.word(site.end) == ")":
        return site.end + 1
    return skip_bracket(site, site.end)


def noun_phrase(site: Site, start: int, limit: int = 7, stops: frozenset[str] = _NP_STOPS) -> list[Anchor]:
    """Nouns of the phrase that starts at `start`, up to a preposition, a comparative or the clause's end."""
    stop = start
    while stop < min(start + limit, site.right) and site.word(stop) not in stops and not _is_verb(site, stop, start):
        stop += 1
    return [a for a in site.clause.anchors if start <= a.first < stop and a.stop <= site.right]


def _is_verb(site: Site, at: int, start: int) -> bool:
    """Whether a new verb phrase begins ("... 2x faster [and] reducing memory"); a participle that opens the phrase does not."""
    return at > start and site.word(at).endswith("ing") and site.word(at) in CHANGE_VERBS


def compound(left: Anchor, right: Anchor) -> Anchor:
    """Two nouns side by side: the second one counts ("memory latency"), unless it is as vague as "size" or "footprint"."""
    vague = right.noun.metric in {"model_size", "other_efficiency"} and left.noun.polarity == "cost"
    vague = vague and right.noun.polarity != "gain"
    return Anchor(left.noun if vague else right.noun, left.first, right.stop)


def compounds(site: Site, anchors: list[Anchor]) -> list[Anchor]:
    """Anchors with those that stand side by side made one ("token latency"), and those that "of" joins ("latency of requests")."""
    merged: list[Anchor] = []
    for anchor in anchors:
        if merged and merged[-1].stop == anchor.first:
            merged[-1] = compound(merged[-1], anchor)
        elif merged and _belongs(site, merged[-1], anchor):
            merged[-1] = Anchor(merged[-1].noun, merged[-1].first, anchor.stop)
        else:
            merged.append(anchor)
    return merged


def _belongs(site: Site, left: Anchor, right: Anchor) -> bool:
    """Whether "A of the B" measures A of B; a bare count or consumption of B is B's."""
    between = site.clause.lows[left.stop : right.first]
    if not 1 <= len(between) <= 3 or between[0] != "of" or left.noun.polarity not in {"cost", "gain"}:
        return False
    vague = left.noun.metric == "other_efficiency" or (
        left.noun.metric == "model_size" and right.noun.metric not in {"other_efficiency", ""}
    )
    return not vague and all(word.isalpha() for word in between) and right.noun.polarity in {"cost", "gain"}


def head(anchors: list[Anchor], prefer_last: bool = False) -> Anchor | None:
    """The head of a noun phrase: its first known noun, or its last where compounds end in the head ("KV cache
    latency")."""
    if not anchors:
        return None
    if not prefer_last:
        return anchors[0]
    chosen = anchors[0]
    for anchor in anchors[1:]:
        if anchor.first == chosen.stop:
            chosen = compound(chosen, anchor)
    return chosen


_JOINS = frozenset({",", "and", "well"})
_LIST_GLUE = frozenset({",", "and", "the", "number", "of", "both", "as", "well", "total", "amount"})


def runs_code(site: Site, noun: Anchor) -> bool:
    """Whether "3x performance" means speed: only as a factor, and only in a paper about running code faster."""
    return site.quantity.form == "factor" and site.clause.systems_paper and site.word(noun.stop - 1) == "performance"


def coordinated(site: Site, first: Anchor, limit: int = 4) -> tuple[Noun, ...]:
    """Nouns that go on a list after `first`: the energy and area of "reductions in latency, energy, and area"."""
    found: list[Noun] = []
    last = first.stop
    whole = compounds(site, site.clause.anchors)
    for anchor in whole:
        if anchor.first < last:
            continue
        if len(found) == limit or anchor.first == last:
            break
        glue = site.clause.lows[last : anchor.first]
        if anchor.noun.polarity not in {"cost", "gain"} or not _LIST_GLUE.issuperset(glue) or _JOINS.isdisjoint(glue):
            break
        if site.word(anchor.stop) in _GROWS:
            # "3x less time and memory grows linearly": a statement of its own begins.
            break
        found.append(first.noun if _shares_front(site, first, anchor) else anchor.noun)
        last = anchor.stop
    return tuple(found)


_GROWS = word_set("grows scales stays remains increases decreases drops falls rises shrinks is are becomes")
_BARE_HEADS = word_set("overhead overheads usage consumption footprint requirement requirements demand demands")


def _shares_front(site: Site, first: Anchor, later: Anchor) -> bool:
    """ "Communication volume and overhead": the second head has no meaning of its own and is of communication too."""
    bare = later.stop - later.first == 1 and site.word(later.first) in _BARE_HEADS
    return bare and first.stop - first.first > 1 and site.word(later.first - 1) in {"and", ","}


def first_of_list(site: Site, last: Anchor, start: int = 0) -> tuple[Anchor, tuple[Noun, ...]]:
    """The first noun of a list that ends with `last`, and the others: "parameters, FLOPs and latency [are reduced by]".

    In "2x faster speed and energy is reduced by" the speed has a change of its own. Nouns before token `start` belong to no list.
    """
    start = max(start, site.left)
    before = [a for a in compounds(site, site.clause.anchors) if start <= a.first and a.stop <= last.first]
    found = [last]
    for anchor in reversed(before):
        glue = site.clause.lows[anchor.stop : found[0].first]
        good = {anchor.noun.polarity, last.noun.polarity} <= {"cost", "gain"}
        if (
            not (good or anchor.noun.polarity == last.noun.polarity)
            or not glue
            or not _LIST_GLUE.issuperset(glue)
            or len(glue) > 3
            or site.word(anchor.first - 1) in COMPARATIVES
            or site.word(anchor.first - 1) == "per"
        ):
            break
        found.insert(0, anchor)
    return found[0], tuple(found[0].noun if _shares_front(site, found[0], a) else a.noun for a in found[1:])


_TRAINS = word_set("training pre-training pretraining")


def sped(site: Site, first: int, stop: int) -> Noun:
    """What "faster" measures with the words between `first` and `stop` behind it ("faster in actual training by 30%")."""
    trained = not _TRAINS.isdisjoint(site.clause.lows[first:stop])
    return Noun("training_time", "change", "training") if trained else FASTER


def direction_of(noun: Noun, effect: str) -> str:
    """Better or worse, from what changes and how."""
    if effect == BETTER or noun.polarity == "change":
        return "better"
    good = noun.polarity == ("cost" if effect == LESS else "gain")
    return "better" if good else "worse"


GENERATED = word_set("chains reasoning responses outputs answers traces prompts chain response output thoughts")
COUNTED_THING = Noun("other_efficiency", "cost")
"""What "3x fewer things" is about where the table of nouns does not know the thing."""
_THINGS: dict[str, Noun] = {
    **dict.fromkeys(word_set("communicates communicate communicated communicating uploads uploaded transmits transmitted transmit bytes bits sent sends "
                             "messages exchanged rounds upload"), Noun("communication", "cost")),
    **dict.fromkeys(word_set("labels annotations labelled labeled annotated demonstrations clicks"), Noun("data_samples", "cost")),
    **dict.fromkeys(word_set("loads loaded reads fetched fetches"), Noun("bandwidth", "cost")),
    **dict.fromkeys(word_set("stores stored storing checkpoints"), Noun("storage", "cost")),
    **dict.fromkeys(word_set("gpus tpus machines"), Noun("other_efficiency", "cost")),
}  # fmt: skip


def counted_thing(site: Site, first: int, stop: int) -> Noun:
    """What a thing that no row knows counts as, by the words between `first` and `stop`."""
    return next((_THINGS[word] for word in site.clause.lows[max(first, 0) : stop] if word in _THINGS), COUNTED_THING)


_LIKE = word_set(
    "comparable comparably par match matches matching matched rivals similarly equivalent competitive parity"
)


def rival_before(site: Site) -> bool:
    return any(site.word(at) in RIVAL_VERBS or site.word(at) in _LIKE
               for at in range(max(site.left, site.begin - 14), site.begin))  # fmt: skip
