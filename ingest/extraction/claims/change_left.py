"""Rules for what precedes the number: "reduces memory by 61%", "training time is cut by 2x", "a speedup of 3x"."""

from __future__ import annotations

from itertools import pairwise

from ..words import word_set
from .nouns import FASTER, Noun
from .phrases import (
    COUNTED_THING,
    GENERATED,
    compound,
    compounds,
    coordinated,
    direction_of,
    first_of_list,
    head,
    noun_phrase,
    runs_code,
)
from .site import Anchor, Reading, Site
from .words import (
    BE,
    BETTER,
    CHANGE_NOUNS,
    CHANGE_VERBS,
    COMPRESS_VERBS,
    LESS,
    MORE,
    RIVAL_VERBS,
    SELF_NOUNS,
    SPEED_VERBS,
)

PREPOSITIONS = frozenset(
    {
        "by",
        "to",
        "of",
        "at",
        "with",
        "is",
        "are",
        ":",
        "=",
        "was",
        "reaches",
        "reaching",
        "than",
        "from",
        "between",
        "rises",
    }
)
ENDS = word_set(
    """
    . , ) ; ] : for on over compared with without while and relative when versus vs at across under against than as but whereas
    according depending during in using via through or is are was were can yet thus thereby hence making where which that
    respectively whilst after before per - -- from since because even only whilst resulting leading enabling achieving
    """
) | {""}
_ABOUT_SPEED = frozenset({"speed", "fast", "faster", "latency", "throughput", "hardware", "software", "gpu", "gpus", "cpu", "cpus", "kernel",
                          "kernels", "runtime", "serving", "inference", "decoding", "systems", "engines", "frameworks", "library", "libraries", "accelerator", "fpga", "cudnn", "cublas", "tensorrt", "vllm", "pytorch"})  # fmt: skip
_BASELINE_OPENERS = frozenset({"compared", "versus", "vs", "relative", "than"})


def _verb(site: Site, start: int) -> tuple[int, str] | None:
    """The nearest change verb to the left of `start`."""
    for at in range(start - 1, site.left - 1, -1):
        word = site.word(at)
        if word in CHANGE_VERBS:
            if word in {"lower", "speed", "advanced"} and not (word == "speed" and _is_up(site, at)):
                continue
            if word in CHANGE_NOUNS and at and site.clause.tokens[at - 1].kind == "num":
                # "With a 0.1 drop": the number in front is what dropped.
                continue
            return at, word
    return None


def _is_up(site: Site, at: int) -> bool:
    return "up" in (site.word(at + 1), site.word(at + 2), site.word(at + 3))


def anchors_left(site: Site, start: int, stop: int) -> list[Anchor]:
    """Nouns between `start` and `stop`, without those of an inserted comparison ("compared to a 16-bit baseline")."""
    cut = stop
    for at in range(start, stop):
        if site.word(at) in _BASELINE_OPENERS:
            comma = next((k for k in range(at, stop) if site.word(k) == ","), stop)
            if at - start <= 2 and comma < stop:
                # "Compared with Adam, memory is lowered": what is measured comes behind the comma.
                start = comma
                continue
            cut = at
            break
    return compounds(site, [a for a in site.clause.anchors if start <= a.first and a.stop <= cut])


def by_verb(site: Site) -> Reading | None:
    """A verb of change and its object: "reduces KV cache memory by 62%", "accelerates decoding by 2x"."""
    preposition = site.word(site.begin - 1)
    if site.quantity.form == "absolute" and site.quantity.origin is None and preposition != "to":
        return None
    placed = preposition in {"by", "to", "of", "up"} or site.word(site.begin) in {"by", "an"}
    placed = placed or (preposition == "from" and site.quantity.value_max is not None)
    placed = placed or (preposition == "in" and site.quantity.how == "part")
    placed = placed or (site.quantity.form != "absolute" and _closed(site))
    if not placed and site.word(site.end) == "the" and site.quantity.form != "absolute":
        turned = _object_behind(site)
        if turned is not None:
            return turned
    if not placed and site.quantity.origin is None:
        return None
    found = _verb(site, site.begin)
    if found is None or (
        site.quantity.how == "magnitude" and site.word(site.begin) == "over" and site.word(site.begin - 1) != "by"
    ):
        return None
    at, verb = found
    if preposition == "of" and (verb in RIVAL_VERBS or (at == site.begin - 2 and verb in CHANGE_NOUNS)):
        return None
    if preposition == "of" and _is_named_later(site, at):
        return None
    if (
        verb in COMPRESS_VERBS
        and preposition == "to"
        and (site.quantity.form, site.quantity.how) == ("factor", "digits")
    ):
        # "The gain shrinks to 1.3x".
        return None
    effect = CHANGE_VERBS[verb]
    if site.quantity.form == "absolute" and effect == MORE:
        return None
    after = anchors_left(site, at + 1, site.begin)
    before = _subjects(site, at) if _passive(site, at) else []
    if verb in RIVAL_VERBS:
        return _rival(site, at, after)
    noun = _object(site, at, after)
    behind = named_behind(site) if noun is None else None
    if behind is not None:
        meaning = behind.noun
        if meaning.polarity == "refuse":
            return Reading("by-verb", None, "", at, behind.stop)
        return Reading("by-verb", meaning, direction_of(meaning, effect), at, behind.stop)
    if noun is None and verb in SPEED_VERBS and not (_TRAINED | _TUNED).isdisjoint(site.clause.lows[at : site.begin]):
        return _verb_alone(site, at, verb)
    if noun is None and effect == LESS and not _TRAINED.isdisjoint(site.clause.lows[at : site.begin]):
        return _verb_alone(site, at, verb)
    if noun is None and before:
        noun = before[-1]
        others = [a for a in before if a.noun.polarity != "refuse"]
        if noun.noun.polarity == "refuse" and (not others or site.word(others[-1].stop) != "and"):
            # In "with 1% of the weights, the error falls by" the weights are not what falls.
            return Reading("by-verb", None, "", noun.first, at + 1)
        noun = others[-1]
    if noun is None and effect == LESS and "number" in site.clause.lows[at + 1 : site.begin]:
        return Reading("by-verb-default", COUNTED_THING, "better", at, site.begin)
    if noun is not None and noun.noun.polarity == "refuse" and effect == BETTER and runs_code(site, noun):
        return Reading("by-verb", FASTER, "better", at, noun.stop)
    if noun is None or (noun.noun.polarity == "refuse" and verb in SPEED_VERBS):
        return _verb_alone(site, at, verb)
    if noun.noun.polarity == "refuse":
        return Reading("by-verb", None, "", at, noun.stop)
    remains = site.quantity.how == "part"
    raised = effect != LESS and site.word(site.begin) == "up"
    if (
        preposition == "to"
        and site.quantity.form == "factor"
        and site.word(site.begin - 2) != "up"
        and not (remains or raised)
    ):
        return None
    extra = coordinated(site, noun)
    if not after:
        noun, extra = first_of_list(site, noun, before[0].first if before else 0)
    meaning = noun.noun
    if site.quantity.form == "absolute" and site.quantity.unit is not None and meaning.metric == "other_efficiency":
        meaning = _BY_UNIT.get(site.quantity.unit.measures, meaning)
    if verb in COMPRESS_VERBS and (
        (meaning.metric in {"other_efficiency", "data_samples"} and meaning.kind != "price")
        or site.word(noun.stop - 1) in {"weights", "weight"}
    ):
        meaning = Noun("compression", "cost")
    if verb in SPEED_VERBS and meaning.metric not in {"latency", "throughput", "training_time"}:
        meaning = Noun(FASTER.metric, "change", meaning.phase)
    return Reading(
        "by-verb", meaning, direction_of(meaning, effect), min(noun.first, at), max(noun.stop, at + 1), extra
    )


def _object_behind(site: Site) -> Reading | None:
    """ "Accelerates 50% the training of": the object stands behind the number."""
    verb = next((k for k in range(site.begin - 1, site.left - 1, -1) if site.word(k) in SPEED_VERBS), -1)
    if verb < 0 or any(site.word(k) not in {"by", "up"} for k in range(verb + 1, site.begin)):
        return None
    if site.word(site.end + 1) in _TRAINED:
        return Reading("by-verb", Noun("training_time", "change", "training"), "better", verb, site.end + 2)
    if site.word(site.end + 1) in {"inference", "decoding", "generation", "sampling"}:
        return Reading("by-verb", FASTER, "better", verb, site.end + 2)
    return None


def _is_named_later(site: Site, verb: int) -> bool:
    """ "Reduces memory, achieving a compression ratio of 95%": behind the comma the number has a noun of its own."""
    noun = next((a for a in site.clause.anchors if a.stop == site.begin - 1), None)
    return noun is not None and "," in site.clause.lows[verb : noun.first] and noun.noun.polarity == "gain"


_BY_UNIT = {"time": Noun("latency", "cost"), "bytes": Noun("memory", "cost"), "flops": Noun("flops", "cost")}


def _closed(site: Site) -> bool:
    """Whether nothing is counted behind the number: "memory is cut 4x [, while]", not "cut 4x memory"."""
    verbs = [site.word(k) for k in range(max(site.left, site.begin - 6), site.begin) if site.word(k) in CHANGE_VERBS]
    return bool(verbs) and verbs[-1] not in RIVAL_VERBS and site.word(site.end) in ENDS


def named_behind(site: Site) -> Anchor | None:
    """The noun of "pruned by 2.3x in FLOPs", "faster by 3x in terms of latency"."""
    if site.word(site.end) != "in":
        return None
    start = site.end + (3 if site.word(site.end + 1) == "terms" else 1)
    named = head(noun_phrase(site, start, 4), prefer_last=True)
    # In "5x in the backward pass" the pass is where it was measured.
    return None if named is not None and site.word(named.stop - 1) == "pass" else named


_PHASED = word_set("training pre-training pretraining convergence fine-tuning finetuning tuning learning search")


def continued(site: Site) -> Reading | None:
    """A second object of an earlier verb: the 90% of "reducing parameters by 40% and inference cost by 90%"."""
    if site.quantity.form == "absolute" or site.word(site.begin - 1) not in {"by", "of"}:
        return None
    anchors = [a for a in site.clause.anchors if site.left <= a.first and a.stop <= site.begin]
    verb = next((site.word(k) for k in range(site.left - 1, -1, -1) if site.word(k) in CHANGE_VERBS), None)
    joined = next(
        (k for k in range(site.begin - 1, max(site.left, site.begin - 6) - 1, -1) if site.word(k) == "and"), -1
    )
    bare = _PHASED.isdisjoint(site.clause.lows[joined : site.begin]) and not any(joined < a.stop for a in anchors)
    if verb in SPEED_VERBS and joined >= 0 and bare:
        # "Accelerates A by 2x with a loss of 0.1, and B by 4x".
        return Reading("continued", FASTER, "better", site.begin - 1, site.end)
    if site.word(site.left) not in {"and", ",", "as", "(", "while"}:
        return None
    if not anchors or verb is None or verb in RIVAL_VERBS:
        return None
    noun = anchors[-1]
    if not (CHANGE_NOUNS.keys() | SELF_NOUNS.keys()).isdisjoint(site.clause.lows[noun.first : site.begin]):
        # "Cuts steps to 4 and brings wall-clock gains of 2x": a change of its own.
        return None
    if noun.noun.polarity == "refuse":
        return Reading("continued", None, "", noun.first, noun.stop)
    return Reading("continued", noun.noun, direction_of(noun.noun, CHANGE_VERBS[verb]), noun.first, noun.stop)


def _subjects(site: Site, at: int) -> list[Anchor]:
    """Nouns before a verb that may be what changes; in "by overlapping loads, cold starts are cut by" not the loads."""
    start = max(site.left, at - 14)
    comma = next((k for k in range(at - 1, start - 1, -1) if site.word(k) == ","), -1)
    opens = next((k for k in range(comma - 1, -1, -1) if site.word(k) == ","), -1) + 1
    if comma > 0 and site.word(opens) in _LEADS_IN and site.word(comma + 1) not in BE | {"which", "and", "that"}:
        start = max(start, comma)
    return anchors_left(site, start, at)


_LEADS_IN = word_set("by with using for at on in when through thanks after without compared via")
"""Words that open a phrase in front of a sentence's subject."""


def _passive(site: Site, at: int) -> bool:
    if site.word(at + 1) == "by" and site.begin - at <= 3:
        return True
    words = {site.word(at - 1), site.word(at - 2), site.word(at - 3)}
    return bool(words & BE) or site.word(at).endswith(("s", "ed")) or site.word(at) in {"down", "fell"}


def _object(site: Site, at: int, anchors: list[Anchor]) -> Anchor | None:
    """The object of the verb: the noun right after it; of a list ("A by 40% and B") the nearest to the number."""
    if not anchors:
        return None
    coordinated = [k for k in range(at + 1, site.begin) if site.word(k) == "and"]
    if coordinated and anchors[-1].first > coordinated[-1] and anchors[0].stop <= coordinated[-1]:
        return anchors[0] if _one_list(site, anchors) else anchors[-1]
    first = anchors[0]
    for anchor in anchors[1:]:
        if anchor.first == first.stop:
            first = compound(first, anchor)
    return first


def _one_list(site: Site, anchors: list[Anchor]) -> bool:
    """Whether "A and B by 40%" is one object of two nouns, as no number stands between them."""
    return all(b.first - a.stop <= 4 for a, b in pairwise(anchors))


_TUNED = frozenset({"fine-tuning", "finetuning"})
_TRAINED = frozenset({"training", "convergence", "pre-training", "pretraining", "backpropagation"})


def _trains_first(site: Site, at: int) -> bool:
    """ "End-to-end training of a large model is accelerated by": the training is the subject, however far from its verb."""
    start = next((k + 1 for k in range(at - 1, -1, -1) if site.word(k) in {",", ";", "that", "while", "and"}), 0)
    return not _TRAINED.isdisjoint((site.word(start), site.word(start + 1)))


def _verb_alone(site: Site, at: int, verb: str) -> Reading | None:
    words = {site.word(k) for k in range(at, site.begin)}
    if words & BE or _passive(site, at):
        words |= {site.word(k) for k in range(max(site.left, at - 5), at)}
    if verb in SPEED_VERBS or (verb == "speed" and _is_up(site, at)):
        noun = FASTER
        if site.word(site.end) == "the":
            words.add(site.word(site.end + 1))
        if words & _TUNED:
            noun = Noun("training_time", "change", "fine-tuning")
        elif words & _TRAINED or (words & BE and _trains_first(site, at)):
            noun = Noun("training_time", "change", "training")
        return Reading("by-verb", noun, "better", at, at + 1)
    if CHANGE_VERBS[verb] == BETTER and verb.startswith(("improv", "boost", "enhanc", "optimi")):
        words = {site.word(k) for k in range(at + 1, site.begin)}
        if site.quantity.form == "factor" and words & _TRAINED and len(words) <= 5:
            return Reading("by-verb", Noun("training_time", "change", "training"), "better", at, site.begin)
    if CHANGE_VERBS[verb] == LESS and verb.startswith(("short", "cut", "reduc", "decreas", "lower")):
        words = {site.word(k) for k in range(at + 1, site.begin)}
        if words & _TRAINED:
            return Reading("by-verb", Noun("training_time", "cost", "training"), "better", at, site.begin)
        if site.word(at).startswith("short") and GENERATED & set(site.clause.lows[max(site.left, at - 4) : site.begin]):
            return Reading("by-verb-default", COUNTED_THING, "better", at, site.begin)
        if words & {"inference", "decoding", "prefill", "rendering"} and verb.startswith("short"):
            return Reading("by-verb", Noun("latency", "cost", "inference"), "better", at, site.begin)
    if verb in COMPRESS_VERBS and not GENERATED.isdisjoint(site.clause.lows[max(site.left, at - 4) : site.begin]):
        return Reading("by-verb-default", COUNTED_THING, "better", at, site.begin)
    if verb.startswith(("shrink", "shrank", "shrunk")) and not _STORED.isdisjoint(words):
        return Reading("by-verb", Noun("storage", "cost"), "better", at, site.begin)
    if verb in COMPRESS_VERBS or (verb.startswith("prun") and site.quantity.form == "factor"):
        return Reading("by-verb", Noun("compression", "gain"), "better", at, at + 1)
    return Reading("by-verb", None, "", at, at + 1, weak=True)


_STORED = word_set("index indices indexes checkpoint checkpoints database databases datastore")
_SCORED = word_set("imagenet imagenet-1k cifar-10 cifar-100 coco ade20k glue superglue squad mmlu gsm8k humaneval kinetics-400 wmt14 "
                   "longbench librispeech cityscapes")  # fmt: skip
"""Benchmarks on which a percentage is a score."""
_LEAST_GAIN = 4.0
"""Who beats others by fewer percent beats them in quality."""


def _rival(site: Site, at: int, after: list[Anchor]) -> Reading | None:
    """ "outperforms X by 2x": speed if a noun of speed says so, or if the paper is about running code faster."""
    named = [a for a in after if a.noun.polarity != "refuse"]
    behind = site.anchors_right(site.end, min(site.end + 4, site.right)) if site.word(site.end) == "in" else []
    if behind:
        named = [a for a in behind if a.noun.polarity != "refuse"]
        if not named:
            return Reading("by-rival", None, "", at, at + 1)
    if any(a.noun.polarity == "refuse" for a in after) and not behind:
        return Reading("by-rival", None, "", at, at + 1)
    if named and site.word(named[0].first - 1) in {"in", "of", "on", "the", "inference", "training"}:
        return Reading("by-rival", named[0].noun, "better", at, max(named[0].stop, at + 1))
    subject = [
        a for a in compounds(site, site.clause.anchors) if site.left <= a.first and a.stop <= at and at - a.stop <= 7
    ]
    if subject and not behind and subject[-1].noun.polarity in {"gain", "change"}:
        return Reading("by-rival", subject[-1].noun, "better", subject[-1].first, at + 1)
    scored = site.word(site.end) == "on" and site.word(site.end + 1) in _SCORED
    if site.quantity.form == "percent" and (scored or site.quantity.value < _LEAST_GAIN):
        return Reading("by-rival", None, "", at, at + 1)
    fast = site.quantity.form == "factor" and not site.clause.words.isdisjoint(_ABOUT_SPEED)
    if site.clause.systems_paper or fast:
        return Reading("by-rival", FASTER, "better", at, at + 1)
    return Reading("by-rival", None, "", at, at + 1, weak=True)
