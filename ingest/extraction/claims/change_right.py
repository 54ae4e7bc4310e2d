"""Rules for what follows the number: "2.5x training speedup", "60% reduction in memory", "saves 20% memory", "10%
of the data"."""

from __future__ import annotations

from ..words import word_set
from .comparison import SPEED_PHASES
from .nouns import FASTER, Noun
from .phrases import behind_number, compounds, coordinated, direction_of, head, noun_phrase, runs_code, sped
from .site import Anchor, Reading, Site
from .words import (
    BARE_COMPARATIVES,
    BE,
    BETTER,
    CHANGE_NOUNS,
    CHANGE_VERBS,
    COMPARATIVES,
    LESS,
    MORE,
    ONLY,
    RIVAL_VERBS,
    SELF_NOUNS,
)

_STOPS = word_set(
    """
    than compared relative versus vs when without with , . ( ) as by while during which that who from is are and on at over for
    in of under across via
    """
)
_SHARE_VERBS = word_set(
    """
    use uses using used require requires requiring required need needs needing only just merely train trains
    training tune tunes tuning updating updates update with utilizing utilizes adding adds to
    selecting select selects choosing picking on from after seeing has having have
    in at than introducing introduces costs retaining retains retain keeping takes taking take occupies occupying consumes consuming preserving within mere optimizing
    fine-tuning finetuning at less fewer under
    """
)


_RIVALS = word_set(
    "compared match matches matching comparable rivals outperform outperforms outperforming than trained par surpasses"
)


def _change_at(site: Site) -> tuple[int, str] | None:
    """Place and word of a noun of change within the noun phrase behind the number."""
    at = behind_number(site)
    for step in range(7):
        word = site.word(at + step)
        if at + step >= site.right or (word in _STOPS and not (step == 0 and word == "of")):
            return None
        if word in CHANGE_NOUNS or word in SELF_NOUNS or (word == "speed" and site.word(at + step + 1) == "up"):
            return at + step, word
    return None


def change_noun(site: Site) -> Reading | None:
    """ "up to 2x speedup", "5x compression improvement", "a 42% reduction in computational load", "2-3x gains in
    throughput"."""
    found = _change_at(site)
    if found is None:
        return None
    at, word = found
    begin = behind_number(site)
    inner = [
        a for a in site.clause.anchors if begin <= a.first < at and a.stop <= at + 1 and a.noun.polarity != "change"
    ]
    own = SELF_NOUNS.get(word, "speedup" if word == "speed" else "")
    after = at + (2 if word == "speed" else 1)
    behind = _behind(site, after)
    if own:
        return _self_noun(site, at, after, own=own, inner=inner, behind=behind)
    effect = CHANGE_NOUNS[word]
    noun = (head(inner, prefer_last=True) if inner else None) or behind
    if effect == BETTER and noun is behind and noun is not None and noun.noun.metric == "data_samples":
        # "7% improvements on two datasets", "an absolute gain over": quality, whatever the data is called.
        return Reading("change-noun", None, "", at, at + 1)
    if site.word(at - 1) == "absolute" and site.quantity.form == "percent":
        return Reading("change-noun", None, "", at, at + 1)
    if (
        noun is None
        and site.word(site.begin - 1) in {"a", "an"}
        and site.word(site.begin - 2) == ","
        and site.clause.quantities[0].first < site.begin
    ):
        # "Latency is 12 ms at batch size 1, a 40% reduction": of what was measured before.
        return Reading("change-noun", None, "", at, at + 1, weak=True)
    if noun is None:
        left = _compared_noun(site) if effect != MORE else None
        if left is not None:
            return Reading("change-noun", left.noun, direction_of(left.noun, effect), left.first, at + 1)
        if word == "overhead":
            return Reading("change-noun", Noun("other_efficiency", "cost"), "worse", at, at + 1)
        return Reading("change-noun", None, "", at, at + 1, weak=True)
    if noun.noun.polarity == "refuse":
        if runs_code(site, noun):
            return Reading("change-noun", FASTER, "better", noun.first, at + 1, coordinated(site, noun))
        return Reading("change-noun", None, "", at, noun.stop)
    extra = coordinated(site, noun)
    if word == "overhead" and verb_before(site) == LESS:
        effect = LESS
    direction = direction_of(noun.noun, effect)
    return Reading("change-noun", noun.noun, direction, min(noun.first, at), max(noun.stop, at + 1), extra)


def _behind(site: Site, after: int) -> Anchor | None:
    """The noun of "... in inference throughput", "... of the model size"."""
    if site.word(after) not in {"in", "of", "on", "for", "to"}:
        return None
    anchors = noun_phrase(site, after + 1, 8)
    return head(anchors, prefer_last=True)


def _self_noun(site: Site, at: int, after: int, *, own: str, inner: list[Anchor], behind: Anchor | None) -> Reading:
    direction = "worse" if site.word(at) == "slowdown" else "better"
    noun = FASTER if own == "speedup" else Noun(own, "gain")
    stop = after
    phases = [SPEED_PHASES.get(site.word(k)) for k in (at - 1, at - 2, after + 1, after + 2)]
    if site.word(site.begin - 1) == "(" and site.word(site.begin - 3) in {"faster", "quicker", "accelerated"}:
        phases.append(SPEED_PHASES.get(site.word(site.begin - 2)))
    phase = next((p for p in phases if p), "")
    if own == "speedup" and phase:
        noun = Noun("training_time" if phase == "training" else "speedup", "change", phase)
    if own == "speedup" and behind and site.word(after) == "in" and behind.noun.metric in {"throughput", "latency"}:
        noun, stop = behind.noun, behind.stop
    elif own == "speedup" and inner and inner[-1].noun.metric in {"throughput", "latency"}:
        noun = inner[-1].noun
    elif own == "compression" and behind and behind.noun.metric in {"params", "flops", "memory", "communication"}:
        noun, stop = behind.noun, behind.stop
    elif own == "compression" and site.word(at + 1) == "of" and behind and behind.noun.polarity == "refuse":
        stop = after
    return Reading("self-noun", noun, direction, at, stop)


def _compared_noun(site: Site) -> Anchor | None:
    """The noun before the number in "lower storage cost (up to 19x reduction)" or "for tokens per second, 3x
    improvement"."""
    anchors = [a for a in site.clause.anchors if site.left <= a.first and a.stop <= site.begin]
    if not anchors or anchors[-1].noun.polarity in {"refuse", "change"}:
        return None
    return anchors[-1] if site.begin - anchors[-1].stop <= 10 else None


def verb_before(site: Site) -> str | None:
    """The effect of a change verb just before the number ("reduce up to 67%", "saving over 20%")."""
    for at in range(site.begin - 1, max(site.left, site.begin - 4) - 1, -1):
        word = site.word(at)
        if word in {"by", "to"}:
            return None
        if word in CHANGE_VERBS:
            return None if word in RIVAL_VERBS else CHANGE_VERBS[word]
        if word not in {"up", "a", "an", "the", "about", "only", "around", "even", "also", "both", "its"}:
            return None
    return None


_SIGNS = {"-": LESS, "−": LESS, "–": LESS, "+": MORE}


def noun_right(site: Site) -> Reading | None:
    """The noun itself behind the number: "saves 24x storage", "2x throughput", "3% of the data", "half the NFEs"."""
    at = behind_number(site)
    share = site.word(at) == "of" or (site.word(at) == "the" and "of" in (site.word(at + 2), site.word(at + 3)))
    anchors = noun_phrase(site, at + 1 if share else at, 6 if share else 5, _STOPS)
    noun = head(anchors, prefer_last=True)
    if noun is None and site.quantity.how == "verb" and site.word(at + 1) in {"number", "amount"}:
        # "Halves the number of required steps".
        noun = head(noun_phrase(site, at + 3, 5, _STOPS), prefer_last=True)
    if noun is None and site.quantity.how == "verb":
        left = _compared_noun(site)
        return None if left is None else _verb_factor(site, left)
    if noun is None and share and site.word(site.end) == "of":
        return _share_of_data(site, at) or _share_of_a_rival(site)
    if noun is None:
        return None
    if noun.noun.polarity == "refuse":
        return Reading("noun-right", None, "", at, noun.stop)
    if (
        share
        and noun.noun.metric == "model_size"
        and {"its", "their", "original", "full"} & set(site.clause.lows[at : noun.stop])
    ):
        # "The cache is only 5% of its original size": what has that size stands before.
        sized = _compared_noun(site)
        if sized is None or site.word(site.begin - 1) == "to":
            return None
        return Reading("share", sized.noun, "better", sized.first, noun.stop)
    extra = coordinated(site, noun)
    effect = verb_before(site)
    if site.quantity.form == "percent":
        effect = _SIGNS.get(site.word(site.begin - 1), effect)
    how, form = site.quantity.how, site.quantity.form
    before = {site.word(k) for k in range(max(site.left, site.begin - 4), site.begin)}
    if how == "verb":
        return _verb_factor(site, noun)
    if form == "absolute" and effect != LESS:
        return None
    if effect is not None and not share:
        return Reading("noun-right", noun.noun, direction_of(noun.noun, effect), at, noun.stop, extra)
    if share and form == "factor" and how == "digits" and noun.noun.polarity == "gain" and site.word(at) == "the":
        return Reading("noun-right", noun.noun, "better", at, noun.stop, extra)
    if share or how == "part" or (before | {site.word(site.begin)}) & ONLY:
        return _share(site, at, noun, extra=extra, before=before, effect=effect)
    if form == "factor" and noun.noun.polarity in {"gain", "change"}:
        return Reading("noun-right", noun.noun, "better", at, noun.stop, extra)
    if form == "factor" and before & {"saving", "saves", "save", "less"}:
        return Reading("noun-right", noun.noun, "better", at, noun.stop, extra)
    if form == "factor" and site.word(at) == "the" and noun.noun.polarity == "cost" and _is_of_a_rival(site):
        return Reading("share-of-rival", noun.noun, "better", at, noun.stop, extra)
    return None


def _is_of_a_rival(site: Site) -> bool:
    """Whether what takes "twice the parameters" is a rival that ours reaches or passes ("matches models with")."""
    return not _RIVALS.isdisjoint(site.clause.lows[max(0, site.begin - 10) : site.begin])


def _share_of_a_rival(site: Site) -> Reading | None:
    """ "The number of parameters is 1/6 of that of A", "its memory is only 20% of the baseline's"."""
    lead = {site.word(site.begin - 1), site.word(site.begin - 2)}
    noun = _compared_noun(site) if lead & BE else None
    if noun is None or noun.noun.polarity != "cost":
        return None
    return Reading("share", noun.noun, "better", noun.first, site.end + 1)


def _share_of_data(site: Site, at: int) -> Reading | None:
    """ "Only 1% of the training queries": data by its adjective, where the table does not know the thing."""
    words = [site.word(k) for k in range(at + 1, at + 6)]
    kinds = [k for k, word in enumerate(words) if word in {"training", "labeled", "labelled", "annotated", "unlabeled"}]
    before = {site.word(k) for k in range(max(site.left, site.begin - 4), site.quantity.first)}
    if not kinds or not (before & ONLY or site.quantity.bound == "<"):
        return None
    return Reading("share-of-data", Noun("data_samples", "cost"), "better", at, at + 3 + kinds[0])


_REMOVED = word_set("reduced removed pruned saved eliminated skipped evicted discarded dropped avoided")
_ENOUGH = word_set("outperform outperforms comparable match matches matching full entire whole surpass surpasses par competitive near-equal equal rivals "
                   "beat beats exceed exceeds exceeding surpassing outperforming outperformed "
                   "retains suffices sufficient")  # fmt: skip
"""Words by which a share of the data is enough, and not just what an experiment was run with."""


_FEW, _HARDLY_ANY = 10.0, 1.0
"""So few percent of the data are named to boast of them, beside a word of quality or alone."""
_DIAGNOSES = word_set("bottleneck bottlenecks hotspot hotspots dominate dominates dominated dominant")
_TAKES_UP = word_set(
    "consuming consumes consume taking takes take occupying occupies occupy accounting accounts account constituting using"
)


_REACHED = _ENOUGH | word_set(
    "reaches reached reach keeps keep retain maintains preserves converges convergence achieves attains"
)


def _suffices(site: Site, noun: Anchor) -> bool:
    """ "Reaches the same loss with 45% of the tokens", "converges in 60% of the steps": the share is enough."""
    if site.quantity.form != "percent" or site.quantity.value > 75 or noun.noun.kind not in {"tokens", "steps"}:
        return False
    return site.word(site.begin - 1) in {"with", "in", "using", "after"} and not _REACHED.isdisjoint(site.clause.words)


def _goes_with(site: Site) -> bool:
    """The second share of "with 45% of the tokens and 52% of the FLOPs"."""
    place = site.clause.quantities.index(site.quantity)
    if site.word(site.begin - 1) != "and" or place == 0:
        return False
    first = site.clause.quantities[place - 1]
    return first.form == "percent" and site.begin - first.stop <= 6 and site.word(first.lead - 1) in {"with", "using"}


def _share(
    site: Site, at: int, noun: Anchor, *, extra: tuple[Noun, ...], before: set[str], effect: str | None
) -> Reading | None:
    """A share that remains: "only 0.5% of the parameters of", "with 10% of the compute"; more than the whole is none."""
    if site.quantity.form == "percent" and max(site.quantity.value, site.quantity.value_max or 0.0) > 100:
        return None
    if not _DIAGNOSES.isdisjoint(site.clause.words) and before & _TAKES_UP:
        # "The kernels are bottlenecks, consuming 72% of the time".
        return Reading("share", None, "", at, noun.stop)
    inside = {site.word(k) for k in range(site.begin, site.quantity.first)}
    ideal = {"theoretical", "peak", "maximum"}.intersection(site.clause.lows[at : noun.stop])
    if noun.noun.metric == "flops" and ideal:
        return Reading("share", None, "", at, noun.stop)
    thrift = bool((before | inside) & (ONLY | {"less", "fewer", "under", "merely"})) or site.quantity.bound == "<"
    priced = site.word(site.begin - 1) in {"at", "with", "using", "for"} and {"cost", "price", "costs"} & set(
        site.clause.lows[noun.first : noun.stop]
    )
    removed = site.word(at) == "of" and any(site.word(k) in _REMOVED for k in range(noun.stop, noun.stop + 8))
    removed = removed or (
        site.word(site.begin - 1).startswith("merg") and noun.noun.metric in {"compression", "other_efficiency"}
    )
    halved = (
        site.quantity.how == "part" and noun.noun.kind in {"steps", "tokens"} and site.quantity.qualifier != "at least"
    )
    if (
        noun.noun.metric == "other_efficiency"
        and noun.noun.polarity == "cost"
        and effect is None
        and not (thrift or priced or halved or removed or _suffices(site, noun))
    ):
        return None
    if effect is not None and site.quantity.form == "percent":
        return Reading("share", noun.noun, direction_of(noun.noun, effect), at, noun.stop, extra)
    if before & {"keeps", "keep", "retain"} and site.quantity.how == "digits":
        before = before | {"keeping"}
    used = any(word in _SHARE_VERBS for word in before | (inside - {"to", "than"})) or _goes_with(site)
    if site.quantity.form == "factor" and site.quantity.how == "digits" and not thrift:
        # "Matches models trained on 3x the amount of data".
        if noun.noun.polarity == "cost" and _is_of_a_rival(site):
            return Reading("share-of-rival", noun.noun, "better", at, noun.stop, extra)
        return None
    if not used and not thrift:
        if removed:
            return Reading("share", noun.noun, "better", at, noun.stop)
        return None
    if noun.noun.metric == "data_samples" and not thrift and site.quantity.how != "part":
        few = (
            site.quantity.form == "percent"
            and site.quantity.value <= 50
            and (
                site.quantity.value <= _HARDLY_ANY
                or not site.clause.words.isdisjoint(_REACHED if site.quantity.value <= _FEW else _ENOUGH)
            )
        )
        if not few:
            return Reading("share", None, "", at, noun.stop)
    if noun.noun.polarity == "cost":
        return Reading("share", noun.noun, "better", at, noun.stop, extra)
    return None


def _verb_factor(site: Site, noun: Anchor) -> Reading:
    """ "doubles the throughput", "halving the memory"."""
    verb = site.word(site.quantity.first)
    effect = LESS if verb.startswith("hal") else MORE
    direction = direction_of(noun.noun, effect)
    return Reading("verb-factor", noun.noun, direction, noun.first, noun.stop)


def _comparative_before(site: Site) -> Reading | None:
    """ "faster than other methods by an order of magnitude"."""
    for at in range(site.begin - 2, max(site.left, site.begin - 14) - 1, -1):
        word = site.word(at)
        if word not in COMPARATIVES:
            continue
        rest = site.clause.lows[at + 1 : site.begin]
        than = at + 1 + (rest.index("than") if "than" in rest else len(rest))
        noun = head([a for a in site.clause.anchors if at < a.first and a.stop <= than], prefer_last=True)
        if noun is not None and noun.noun.polarity == "refuse":
            return Reading("after-comparative", None, "", at, noun.stop)
        if noun is not None:
            return Reading("after-comparative", noun.noun, direction_of(noun.noun, COMPARATIVES[word]), at, noun.stop)
        if word in BARE_COMPARATIVES:
            metric, direction = BARE_COMPARATIVES[word]
            if metric == "speedup":
                return Reading("after-comparative", sped(site, at, than), direction, at, at + 1)
            return Reading("after-comparative", Noun(metric, "change"), direction, at, at + 1)
        return None
    return None


def bracketed(site: Site) -> Reading | None:
    """A number alone in brackets behind what it measures: "minimal additional parameters (~2%)", "faster training
    (3x)"."""
    open_at = site.begin - 1
    if site.word(open_at) not in {"(", "["}:
        return None
    anchors = [
        a
        for a in compounds(site, site.clause.anchors)
        if site.left <= a.first and a.stop <= open_at and open_at - a.stop <= 3
    ]
    if not anchors:
        return None
    noun = anchors[-1]
    if noun.noun.polarity == "refuse":
        return Reading("bracketed", None, "", noun.first, noun.stop)
    if site.word(site.end) not in {")", "]", ",", ";", "of", "vs", "on", "less", "smaller"}:
        return None
    if noun.noun.polarity == "change":
        return Reading("bracketed", noun.noun, "better", noun.first, noun.stop)
    words = [site.word(k) for k in range(max(site.left, noun.first - 5), open_at)]
    if site.word(site.begin) == "by" or site.clause.lows[site.begin : site.quantity.first].count("by"):
        words += site.clause.lows[max(0, noun.first - 16) : noun.first]
    if any(w in ONLY or w in {"minimal", "fewer", "less", "lower", "reduced", "reducing", "reduces", "reduction", "smaller",
                              "reduce", "faster", "higher", "improved", "saves", "saving", "cuts", "lowers"} for w in words):  # fmt: skip
        return Reading("bracketed", noun.noun, "better", noun.first, noun.stop)
    return None


def after_comparative(site: Site) -> Reading | None:
    """A number behind its comparative: "faster (up to 3x)", "faster than its rivals by 3x", "fewer steps than A by 40%"."""
    if site.word(site.begin - 1) == "by" and site.quantity.form != "absolute":
        return _comparative_before(site)
    for at in range(site.begin - 1, max(site.left, site.begin - 4) - 1, -1):
        word = site.word(at)
        if word == "faster":
            return Reading("after-comparative", FASTER, "better", at, at + 1)
        if word not in {"(", "[", ",", "by", "-", "i.e", "e.g", "."}:
            return None
    return None
