"""Rules for comparatives behind the number: "3x faster decoding", "83% fewer steps", "twice as fast as"."""

from __future__ import annotations

from ..words import word_set
from .nouns import FASTER, Noun
from .phrases import (
    COUNTED_THING,
    GENERATED,
    behind_number,
    coordinated,
    counted_thing,
    direction_of,
    head,
    noun_phrase,
    rival_before,
    runs_code,
)
from .site import Anchor, Reading, Site
from .words import BARE_COMPARATIVES, BE, COMPARATIVES, MORE

_AS_ADJECTIVES = {"fast": ("speedup", "better"), "quickly": ("speedup", "better"), "slow": ("speedup", "worse"),
                  "small": ("model_size", "better"), "cheap": ("other_efficiency", "better"),
                  "efficient": ("other_efficiency", "better"), "efficiently": ("other_efficiency", "better"),
                  "large": ("", ""), "big": ("", ""), "much": ("", ""), "many": ("", "")}  # fmt: skip
_CHEAPER = Noun("other_efficiency", "change", kind="price")
SPEED_PHASES = {"training": "training", "train": "training", "convergence": "training", "converge": "training",
                "pretraining": "training", "pre-training": "training", "fine-tuning": "fine-tuning", "finetuning": "fine-tuning",
                "search": "search", "iterations": "training", "epochs": "training", "pretrain": "training", "finetune": "fine-tuning",
                "fine-tune": "fine-tuning", "learning": "training", "tuning": "fine-tuning", "time-to-accuracy": "training",
                "time-to-train": "training", "time-to-convergence": "training"}  # fmt: skip


def _speed(site: Site, at: int) -> tuple[Noun, int]:
    """ "faster" with what is faster, where the next words say so ("faster training", "faster in GPU latency"), and where it ends."""
    named = next((a for a in site.clause.anchors if at < a.first <= at + 5 and a.stop <= site.right), None)
    between = set(site.clause.lows[at + 1 : named.first]) if named else set()
    measured = named is not None and (
        not between or {"latency", "throughput", "time", "runtime"} & set(site.clause.lows[named.first : named.stop])
    )
    if named and measured and named.noun.metric in {"latency", "throughput"} and not between & _PARTS_PHRASES:
        return named.noun, named.stop
    if named and named.noun.metric == "training_time" and not between:
        return Noun("training_time", "change", named.noun.phase), named.stop
    if site.word(at + 1 + (site.word(at + 1) in {"at", "in", "during", "for"})) in INFERS:
        return FASTER, at + 1
    beside = [site.word(at + 1), site.word(at - 1), site.word(site.begin - 1)]
    if site.word(at + 1) not in _PARTS_PHRASES:
        beside.insert(1, site.word(at + 2))
    if site.word(at + 1) in {"in", "during"} and site.word(at + 2) not in SPEED_PHASES:
        # "Faster in mixed-precision training".
        beside.insert(2, site.word(at + 3))
    if site.word(site.begin - 1) == "be" and site.word(site.begin - 2) == "to":
        # "Allows pre-training to be 2x faster".
        beside.append(site.word(site.begin - 3))
    for word in beside:
        phase = SPEED_PHASES.get(word)
        if phase:
            return Noun("training_time" if phase != "search" else "speedup", "change", phase), at + 1
    if _than_training(site, at + 1):
        return Noun("training_time", "change", "training"), at + 1
    led = _led_by(site)
    if led is not None:
        return led.noun, at + 1
    before = {site.word(k) for k in range(max(site.left, site.begin - 4), site.begin)}
    subject = _trained_first(site)
    if subject:
        return Noun("training_time", "change", subject), at + 1
    if before & _LEARNS or (before & BE and site.word(site.begin - 2) == "training"):
        return Noun("training_time", "change", "training"), at + 1
    return FASTER, at + 1


_ARRIVES = word_set("token tokens response responses answer answers arrives appears")
_PAYS = word_set("pay pays paying cost costs costing")
_ENDS_COST = word_set("than . , ; and while with") | {""}


def _is_of_training(site: Site) -> bool:
    """ "Training is 5x cheaper", "5x cheaper to train"."""
    words = {site.word(site.begin - 1), site.word(site.begin - 2), site.word(site.end + 1), site.word(site.end + 2)}
    return not {"training", "train", "pre-training", "pretraining"}.isdisjoint(words)


def _than_ours(site: Site, at: int) -> bool:
    """ "The rival is 3x slower than ours"."""
    return site.word(at + 1) == "than" and (
        site.word(at + 2) in {"ours", "our"} or site.word(at + 3) in {"proposed", "presented"}
    )


def _trained_first(site: Site) -> str:
    """The phase of "Training a large model with it is 2x faster", where the training is the subject."""
    if site.word(site.begin - 1) not in BE | {"becomes", "become", "runs", "ran", "run", "proceeds"}:
        return ""
    start = next((k + 1 for k in range(site.begin - 2, -1, -1) if site.word(k) in {",", ";", "that"}), 0)
    subject = next((site.word(k) for k in range(start, min(start + 3, site.begin)) if site.word(k) in _SUBJECTS), "")
    return SPEED_PHASES.get(subject, "")


_SUBJECTS = word_set("training pre-training pretraining fine-tuning finetuning")


_RETRAINS = word_set("training trained retrained pre-training")


def _than_training(site: Site, start: int) -> bool:
    """Whether the rival is a training: "10x faster (speed and better quality) than training it from scratch", "than being trained"; what replaces a retraining need not train."""
    than = next((k for k in range(start, min(start + 10, site.right + 1)) if site.word(k) == "than"), start)
    return site.word(than) == "than" and not _RETRAINS.isdisjoint((site.word(than + 1), site.word(than + 2)))


def _led_by(site: Site) -> Anchor | None:
    """The noun of "in inference latency, Zedwick is 2x faster"."""
    for anchor in site.clause.anchors:
        if (
            site.left <= anchor.first
            and anchor.stop <= site.begin
            and anchor.noun.metric in {"latency", "throughput", "training_time"}
        ):
            led = site.word(anchor.first - 1) == "in" or (
                site.word(anchor.first - 1) == "of" and site.word(anchor.first - 2) == "terms"
            )
            if led and any(site.word(k) == "," for k in range(anchor.stop, min(anchor.stop + 9, site.begin))):
                return anchor
    return None


_MODELS = word_set("model models network networks student students net nets")
_ENABLES = word_set("train trains training fit fits enable enables enabling support supports run runs")
_PARTS_PHRASES = word_set("than , and while compared")
INFERS = word_set("inference decoding generation sampling prefill rendering")
_LEARNS = word_set(
    "converges converge converging trains train trained learns convergence pre-trains pretrains distills distill"
)


def as_adjective(site: Site) -> Reading | None:
    """ "four times as fast as", "2x as many tokens per second"; "as large" is refused: it sizes something else."""
    if site.word(site.end) != "as":
        return None
    if site.word(site.end + 1).endswith("ly") and site.word(site.end + 2) in {"efficient", "fast", "cheap"}:
        metric, direction = _AS_ADJECTIVES[site.word(site.end + 2)]
        if site.word(site.end + 1).startswith("computation"):
            metric = "flops"
        return Reading("as-adjective", Noun(metric, "change"), direction, site.end, site.end + 3)
    found = _AS_ADJECTIVES.get(site.word(site.end + 1))
    if found is None:
        return None
    metric, direction = found
    if not metric:
        noun = head(noun_phrase(site, site.end + 2))
        left = _noun_on_left(site) if site.quantity.how == "part" and site.word(site.begin - 1) in BE else None
        if left is not None and noun is None and left.noun.polarity == "cost":
            # "The cache is an eighth as large".
            return Reading("as-adjective", left.noun, "better", left.first, site.end + 2)
        if site.word(site.end + 1) in {"large", "big"} and rival_before(site):
            return Reading("as-adjective", Noun("model_size", "cost"), "better", site.end, site.end + 2)
        few = site.quantity.how == "part" or rival_before(site)
        if noun is not None and noun.noun.polarity == "cost" and (few or _of_a_rival(site)):
            return Reading("as-adjective", noun.noun, "better", site.end, noun.stop)
        if noun is None or noun.noun.polarity != "gain":
            return Reading("as-adjective", None, "", site.end, site.end + 2)
        return Reading("as-adjective", noun.noun, "better", site.end, noun.stop)
    if site.quantity.how == "part":
        return Reading("as-adjective", Noun(metric, "cost"), "better", site.end, site.end + 2)
    return Reading("as-adjective", Noun(metric, "change"), direction, site.end, site.end + 2)


_RIVALS = word_set(
    "vanilla baseline baselines existing conventional standard others original teacher prior previous competing"
)


def _of_a_rival(site: Site) -> bool:
    """Whether a rival is what takes twice as many steps."""
    return not _RIVALS.isdisjoint(site.clause.lows[max(site.left, site.begin - 6) : site.begin])


_BARE = frozenset({"than", "on", "in", "compared", "for", "and", "relative"})
"""Behind "fewer" they say that what is counted stands before the number."""


def comparative(site: Site) -> Reading | None:
    """N times, or N percent, and a comparative: "2.6x faster", "(8%) fewer parameters", "1.6x higher throughput"."""
    at = behind_number(site)
    for _ in range(3):
        word = site.word(at)
        if (
            word in COMPARATIVES
            or word in BARE_COMPARATIVES
            or word in {"longer", "deeper", "wider"}
            or at >= site.right
        ):
            break
        if word in {
            "times",
            "the",
            "a",
            "or",
            "and",
            ",",
            "on",
            "even",
            "much",
            "as",
            "average",
            "computationally",
            "relatively",
            "inference",
        }:
            if word == "on" and site.word(at + 1) != "average":
                # "4.5x on cheaper cards" says where, and not what.
                return None
            at += 1
        else:
            return None
    word = site.word(at)
    paid = word == "less" and site.word(site.begin - 1) in _PAYS and site.word(at + 1) in _ENDS_COST
    if paid or (word == "less" and site.word(at + 1) in {"expensive", "costly"}):
        return Reading("comparative", _CHEAPER, "better", at, at + 2)
    if word == "less" and site.word(at + 1).endswith("efficient"):
        return Reading("comparative", None, "", at, at + 2)
    counts = any(a.first == at + 2 and a.noun.polarity == "gain" for a in site.clause.anchors)
    if word == "more" and site.word(at + 1).endswith(("efficient", "effective", "economical")) and not counts:
        return _efficient(site, at + 1)
    if word in {"more", "better"} and site.word(at + 2) in {"efficient", "effective"} and site.word(at + 1) != "and":
        return _efficient(site, at + 2)
    if word in {"longer", "larger", "bigger", "deeper", "wider", "more"} and _fits_more(site, at):
        return Reading("comparative-capacity", Noun("other_efficiency", "gain"), "better", at, at + 2)
    if word == "smaller" and site.word(at + 1) in {"batch", "batches"}:
        return Reading("comparative", COUNTED_THING, "better", at, at + 2)
    if word in {"smaller", "lighter", "larger", "bigger", "heavier"}:
        return _sized(site, at)
    if word == "shorter" and SPEED_PHASES.get(site.word(at + 1), "search") != "search":
        return Reading(
            "comparative", Noun("training_time", "cost", SPEED_PHASES[site.word(at + 1)]), "better", at, at + 2
        )
    if word in {"longer", "deeper", "wider"} and _enabled_before(site):
        return Reading("comparative-capacity", Noun("other_efficiency", "gain"), "better", site.begin - 1, at + 1)
    if word == "more" and site.word(at + 1) in {"compact", "lightweight"}:
        return _compact(site, at + 1)
    bare = BARE_COMPARATIVES.get(word)
    if bare and word not in {"fast", "compact"}:
        metric, direction = bare
        if direction == "worse" and _than_ours(site, at):
            direction = "better"
        if metric == "training_time" and not _ARRIVES.isdisjoint(site.clause.lows[site.left : site.begin]):
            return Reading("comparative", Noun("latency", "cost"), direction, at, at + 1)
        if metric == "speedup":
            noun_of_speed, stop = _speed(site, at)
            return Reading("comparative", noun_of_speed, direction, at, stop)
        anchors = noun_phrase(site, at + 1, 4)
        noun = head(anchors)
        if noun and noun.noun.metric in {"other_efficiency", "training_cost"}:
            return Reading("comparative", noun.noun, direction, at, noun.stop)
        if word == "cheaper" and _is_of_training(site):
            return Reading("comparative", Noun("training_cost", "cost", "training"), direction, at, at + 1)
        noun_of_change = _CHEAPER if word == "cheaper" else Noun(metric, "change")
        return Reading("comparative", noun_of_change, direction, at, at + 1)
    if word not in COMPARATIVES:
        return None
    effect = COMPARATIVES[word]
    anchors = noun_phrase(site, at + 1) if site.word(at + 1) not in {"and", "or", "but"} else []
    if not anchors and site.word(at + 1) in {"in", "on", "for"}:
        anchors = noun_phrase(site, at + 2)
    noun = head(anchors, prefer_last=True)
    if noun is None:
        left = _noun_on_left(site)
        if word == "less" and site.word(at + 1) == "space":
            return Reading("comparative", Noun("storage", "cost"), "better", at, at + 2)
        if word == "fewer" and site.word(at + 1).isalpha() and site.word(at + 1) not in _BARE:
            return Reading("comparative-default", counted_thing(site, at, at + 4), "better", at, at + 2)
        if left is None and word == "shorter" and GENERATED & set(site.clause.lows[site.left : site.begin]):
            return Reading("comparative-default", COUNTED_THING, "better", at, at + 1)
        if left is None:
            return Reading("comparative", None, "", at, at + 1, weak=True)
        rival = rival_before(site) and effect == MORE and left.noun.polarity == "cost"
        return Reading(
            "comparative", left.noun, "better" if rival else direction_of(left.noun, effect), left.first, at + 1
        )
    if noun.noun.polarity == "refuse":
        if runs_code(site, noun):
            return Reading("comparative", FASTER, "better", at, noun.stop)
        return Reading("comparative", None, "", at, noun.stop)
    if (
        noun.noun.metric == "other_efficiency"
        and {"token", "tokens"} & set(site.clause.lows[noun.first : noun.stop])
        and any(site.word(k).startswith("compress") for k in range(site.left, site.begin))
    ):
        return Reading("comparative", Noun("compression", "cost"), direction_of(noun.noun, effect), at, noun.stop)
    if noun.noun.metric == "data_samples" and not _SENDS.isdisjoint(
        site.clause.lows[max(0, site.begin - 3) : site.begin]
    ):
        return Reading("comparative", Noun("communication", "cost"), direction_of(noun.noun, effect), at, noun.stop)
    direction = direction_of(noun.noun, effect)
    tuned = word in {"extra", "additional"} and {"trainable", "tunable", "learnable"} & set(
        site.clause.lows[at : noun.stop]
    )
    if (
        direction == "worse"
        and effect == MORE
        and (tuned or rival_before(site) or site.word(noun.stop) in {"reduction", "reductions", "savings", "saving"})
    ):
        direction = "better"
    extra = coordinated(site, noun)
    return Reading("comparative", noun.noun, direction, at, noun.stop, extra)


_SENDS = word_set("sends send sending transmits transmit transmitting uploads upload transfers transferring exchanges exchanging "
                  "communicates communicating moves exchange communicate move")  # fmt: skip


def _fits_more(site: Site, at: int) -> bool:
    """ "Enables training on 4x longer sequences", "fits 3x larger models"."""
    things = {site.word(at + 1), site.word(at + 2)} & _CAPACITIES
    before = site.clause.lows[max(site.left, site.begin - 8) : site.begin]
    return bool(things) and not (_ENABLES | _HANDLES).isdisjoint(before)


_HANDLES = word_set(
    "allows allow allowing supporting lets handle handles handling process processes processing accommodates accommodate"
)

_CAPACITIES = word_set(
    "sequences contexts models batches sequence context model batch batch-size inputs graphs windows networks videos users"
)


def _enabled_before(site: Site) -> bool:
    """ "We can train networks four times deeper"."""
    if site.word(site.begin - 1) not in {"models", "networks", "volumes", "batches", "sequences", "contexts", "inputs"}:
        return False
    return not (_ENABLES | _HANDLES).isdisjoint(site.clause.lows[max(0, site.begin - 5) : site.begin])


def _noun_on_left(site: Site) -> Anchor | None:
    """The subject of "throughput is 39% higher": the nearest noun, or behind a form of "be" the first one of its clause."""
    anchors = [a for a in site.clause.anchors if site.left <= a.first and a.stop <= site.begin]
    if anchors and site.word(site.begin - 1) in BE:
        commas = [k for k in range(site.left, site.begin) if site.word(k) == ","]
        anchors = [a for a in anchors if not commas or a.first > commas[-1]][:1]
    else:
        anchors = [a for a in anchors if site.begin - a.stop <= 6]
    return anchors[-1] if anchors and anchors[-1].noun.polarity != "refuse" else None


def _efficient(site: Site, at: int) -> Reading:
    kind = site.word(at).removesuffix("efficient").rstrip("-") or site.word(at - 1)
    by_kind = {"memory": "memory", "energy": "energy", "parameter": "params", "compute": "flops", "sample": "data_samples",
               "data": "data_samples", "label": "data_samples", "annotation": "data_samples", "power": "energy", "communication": "communication",
               "computationally": "flops", "computation": "flops", "computational": "flops"}  # fmt: skip
    if kind not in by_kind and site.word(at + 1) == "in":
        named = head(noun_phrase(site, at + (4 if site.word(at + 2) == "terms" else 2), 4), prefer_last=True)
        if named is not None and named.noun.polarity in {"cost", "gain"}:
            return Reading("comparative", named.noun, "better", at - 1, named.stop)
    return Reading("comparative", Noun(by_kind.get(kind, "other_efficiency"), "gain"), "better", at - 1, at + 1)


def _compact(site: Site, at: int) -> Reading:
    """ "61% more compact in terms of parameters"."""
    found = [a for a in site.clause.anchors if at < a.first <= at + 5 and a.noun.polarity == "cost"]
    noun = found[0].noun if found else Noun("model_size", "cost")
    return Reading("comparative", noun, "better", at, found[0].stop if found else at + 1)


def _sized(site: Site, at: int) -> Reading:
    """ "10x smaller" is a claim, "models 10x larger" only where ours matches or beats them."""
    anchors = noun_phrase(site, at + 1, 4) if site.word(at + 1) not in {"and", "or", "but"} else []
    noun = head(anchors)
    smaller = site.word(at) in {"smaller", "lighter"}
    metric = Noun("model_size", "cost")
    if smaller and {"embeddings", "index", "descriptors", "vectors", "indices", "database"} & set(
        site.clause.lows[max(0, site.begin - 2) : site.begin]
    ):
        return Reading("comparative", Noun("storage", "cost"), "better", at, at + 1)
    beside = next((a for a in site.clause.anchors if a.stop == site.begin and a.noun.polarity == "cost"), None)
    if beside is not None and beside.noun.metric not in {"data_samples", "other_efficiency"}:
        return Reading("comparative", beside.noun, "better" if smaller else "worse", beside.first, at + 1)
    subject = _noun_on_left(site) if site.word(site.begin - 1) in BE else None
    if subject is not None and site.word(site.begin - 2) in _MODELS and subject.noun.metric != "model_size":
        subject = None
    if subject is not None and subject.noun.polarity == "cost":
        return Reading("comparative", subject.noun, "better" if smaller else "worse", subject.first, at + 1)
    if noun and noun.noun.metric and noun.noun.polarity in {"cost", "gain"}:
        if noun.noun.metric == "data_samples":
            return Reading("comparative", noun.noun if smaller else None, "better", at, noun.stop)
        metric = noun.noun
    if smaller:
        return Reading("comparative", metric, "better", at, max(at + 1, noun.stop if noun else 0))
    if noun and noun.noun.polarity == "gain":
        return Reading("comparative", noun.noun, "better", at, noun.stop)
    left = [
        a for a in site.clause.anchors if site.left <= a.first and a.stop <= site.begin and site.begin - a.stop <= 4
    ]
    if left and left[-1].noun.metric == "params":
        metric = left[-1].noun
    if _enabled_before(site):
        return Reading("comparative-capacity", Noun("other_efficiency", "gain"), "better", site.begin - 1, at + 1)
    if rival_before(site) or site.word(site.begin - 1) in {"models", "baselines", "counterparts", "being", "networks"}:
        return Reading("comparative-rival", metric, "better", at, at + 1)
    return Reading("comparative", None, "", at, at + 1)
