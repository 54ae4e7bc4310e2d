"""What a technique brings, told with where the figure comes from: measured, scaled, claimed or modelled, never mixed.

Every gain is a factor above 1 when it is better: time, memory or operations before, divided by after.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from recommender.changes import (
    FELT,
    GROWING,
    KERNELS,
    SPACE,
    SPEED,
    WHOLE,
    applies,
    cautious,
    change_of,
    changes_by_nature,
    localized,
    pass_of,
    place_of,
)
from recommender.documents import ClaimedGain, Document, MeasuredGain, ModelledEffect
from recommender.hardware.catalogue import Device, find_device
from recommender.knowledge import Knowledge
from recommender.situation import Change, Situation

SOURCES = ("measured", "scaled", "claimed", "modelled")
_SERVES: Mapping[str, frozenset[str]] = {
    "latency": frozenset({"latency", "speedup", "time", "training_time"}),
    "throughput": frozenset({"throughput", "speedup", "time", "training_time", "bandwidth"}),
    "memory": frozenset({"memory", "model_size", "params", "peak_memory", "weights", "kv_cache", "compression",
                         "optimizer_state", "parameters", "storage"}),
    "cost": frozenset({"training_cost", "energy", "training_time", "throughput", "speedup", "flops", "communication"}),
}  # fmt: skip
# Between two GPUs a ratio moves by a tenth for nothing, and by half of the logarithm in which their balance of
# arithmetic and bandwidth differs; both were chosen, and `benchmarks/advice.py` counts how often they hold.
ELSEWHERE, BY_BALANCE = 0.10, 0.5
# Of the ratio of bytes, what decoding with weights in 8 and 4 bits gained (published.toml).
UNPACKED = 0.75


# A whole model is measured in the one pass that its technique is about.
ONE_PASS = ("prefill", "decode")


@dataclass(frozen=True)
class Gain:
    """A factor with its range; `scope` is what it is of (a kernel, a model), `device` where it was found.

    `basis` is the sentence that tells how the figure came about. `part` names the term that the factor acts on and
    `share` how much of the user's whole that is, where the figure was projected from one. `phase` is that of a claim.
    """

    metric: str
    median: float | None
    low: float | None
    high: float | None
    source: str
    scope: str | None = None
    device: str | None = None
    basis: str = ""
    part: str | None = None
    share: float | None = None
    phase: str | None = None

    @property
    def figure(self) -> str:
        """The factor as a reader writes it: "2.63×", "1.5 to 2×", "up to 20×", "at least 3×"."""
        if self.median is not None:
            return f"{self.median:.3g}×"
        if self.low is not None and self.high is not None:
            return f"{self.low:.3g} to {self.high:.3g}×"
        return f"up to {self.high:.3g}×" if self.high is not None else f"at least {self.low:.3g}×"

    @property
    def is_partial(self) -> bool:
        """Whether it is a figure of a part, and not of the user's whole model."""
        return self.part not in (None, "all", "steps") and self.share is None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def gains_of(document: Document, situation: Situation, knowledge: Knowledge | None = None) -> list[Gain]:
    """All that is known, best evidence first, and within a source what serves the need's objective first."""
    known = knowledge or Knowledge()
    found = [gain for one in _measurements(document, known) if (gain := _measured(one, document, situation))]
    found += [gain for one in document.gains if (gain := _claimed(one, document, situation, known))]
    found += [gain for effect in _effects(document, situation) if (gain := _modelled(effect, situation))]
    if not any(gain.metric in SPACE for gain in found) and (gain := _natural(document, situation)):
        found.append(gain)
    return sorted(found, key=lambda gain: _order(gain, situation))


def best_gain(document: Document, situation: Situation, knowledge: Knowledge | None = None) -> Gain | None:
    return next(iter(gains_of(document, situation, knowledge)), None)


def projected(gain: Gain, situation: Situation) -> Gain | None:
    """The gain carried over to the whole of the user's workload by the part's share of it (Amdahl's law).

    None where it is of the whole already, or the situation does not say how large the part is.
    """
    change = change_from(gain)
    if change is None or change.term in ("all", "steps") or gain.share is not None:
        return None
    share, whole = situation.share(change), situation.gain_of(change)
    if share is None or whole is None:
        return None
    low, middle, high = whole
    name = situation.model.name if situation.model else None
    basis = f"{gain.basis} {_percent(share)} of the {change.resource} is {_words(change.term)}, so the whole gains this much."
    return replace(
        gain, median=_rounded(middle), low=_rounded(low), high=_rounded(high), scope=name, basis=basis.strip(),
        share=_rounded(share), device=situation.device.name if situation.device else gain.device,
    )  # fmt: skip


def change_from(gain: Gain) -> Change | None:
    """The gain as a change of the situation; a bound alone is taken from no gain to the bound."""
    if gain.part is None:
        return None
    resource = "memory" if gain.metric in SPACE else "time"
    high = gain.high if gain.high is not None else gain.median or gain.low
    low = gain.low if gain.low is not None else 1.0
    if high is None or low <= 0 or high <= 0:
        return None
    low, high = min(low, high), max(low, high)
    middle = gain.median if gain.median is not None else (low * high) ** 0.5
    return Change(resource, gain.part, low, min(max(middle, low), high), high)


def changes_for(
    document: Document, situation: Situation, knowledge: Knowledge | None = None
) -> list[tuple[Change, Gain]]:
    """What the technique changes in the situation, each with the figure that it rests on: the best for each term."""
    found: dict[tuple[str, str], tuple[Change, Gain]] = {}
    effects = {effect.term: effect for effect in _effects(document, situation) if applies(effect, situation)}
    for gain in gains_of(document, situation, knowledge):
        modelled = gain.source == "modelled" and gain.part in effects
        if gain.share is not None and not modelled:
            continue  # carried over to the whole already; it is taken from what it follows from, below
        change = change_of(effects[gain.part or ""]) if modelled else change_from(gain)
        if change is None or not in_stage(gain, situation) or _of_a_pass_that_is_none(gain, document, situation):
            continue
        if not _of_many_users(gain, document, situation):
            found.setdefault((change.resource, change.term), (change, gain))
    found = _counted_once(found)
    moved = {change.resource for change, _ in found.values()}
    for change, gain in _by_nature(document, situation):
        if change.resource not in moved:
            found[change.resource, change.term] = (change, gain)
    if "time" not in moved:
        found |= _read_less(list(found.values()), situation)
    return list(found.values())


def _counted_once(found: dict[tuple[str, str], tuple[Change, Gain]]) -> dict[tuple[str, str], tuple[Change, Gain]]:
    """A paper that gives a figure of the whole (or of a pass) and one of a part speaks of the same gain twice.

    The better evidence stays; of equal evidence the whole, which counts what the part costs elsewhere.
    """
    kept = dict(found)
    for whole, (_, gain) in found.items():
        parts = [other for other in found if other != whole and other[0] == whole[0] and _holds(whole[1], other[1])]
        best = min((SOURCES.index(found[part][1].source) for part in parts), default=len(SOURCES))
        for dropped in [whole] if best < SOURCES.index(gain.source) else parts:
            kept.pop(dropped, None)
    return kept


def _holds(whole: str, part: str) -> bool:
    if whole in ONE_PASS:
        # A part without its pass may be of this one.
        return part.startswith(f"{whole}/") or ("/" not in part and part not in ("all", "prefill", "decode"))
    return whole == "all"


def _effects(document: Document, situation: Situation) -> list[ModelledEffect]:
    """What the card says, each within the pass that the paper speaks of."""
    return [
        replace(one, term=localized(one.term, document, situation)) if one.resource == "time" else one
        for one in document.effects
    ]


def _read_less(
    changes: Sequence[tuple[Change, Gain]], situation: Situation
) -> dict[tuple[str, str], tuple[Change, Gain]]:
    """Weights and caches that take fewer bytes are read more quickly where they are what decoding waits for.

    At the cautious end nothing is gained: kernels may unpack first. The likely end is what published measurements of
    weights in 8 and 4 bits kept of the ratio of bytes.
    """
    found = {}
    for change, gain in changes:
        if change.resource == "memory" and change.term in ("weights", "kv_cache") and not situation.workload.trains:
            likely = max(1.0, change.middle * UNPACKED)
            quicker = Change("time", change.term, min(1.0, likely), likely, max(change.high, likely))
            words = f"{gain.basis} Fewer bytes are read for each token, if its kernels read them as they are stored."
            found["time", change.term] = (quicker, replace(gain, metric="latency", source="modelled", basis=words))
    return found


def _of_a_pass_that_is_none(gain: Gain, document: Document, situation: Situation) -> bool:
    """A claim of reading prompts or making tokens says nothing of a model that does neither."""
    model = situation.model
    if gain.source != "claimed" or gain.metric not in SPEED or model is None or model.is_decoder:
        return False
    return not situation.workload.trains and pass_of(document) is not None


def _of_many_users(gain: Gain, document: Document, situation: Situation) -> bool:
    """Throughput is often had by serving more at once, which makes no single answer quicker; of a smaller cache it always is,
    and how many it lets in follows from its memory."""
    if gain.metric != "throughput" or situation.workload.trains:
        return False
    return situation.need.objective != "throughput" or document.families[:1] == ("kv-cache",)


def _natural(document: Document, situation: Situation) -> Gain | None:
    """The changes that follow from a technique's nature, together, as one gain in memory."""
    pairs = [pair for pair in _by_nature(document, situation) if pair[0].resource == "memory"]
    if not pairs or len(pairs) == 1 or situation.memory is None:
        return pairs[0][1] if pairs else None
    changes, before = [change for change, _ in pairs], situation.memory.total
    ends = [before / (situation.after(changes, end).memory_gib or before) for end in ("low", "middle", "high")]
    low, middle, high = map(_rounded, ends)
    return replace(pairs[0][1], median=middle, low=low, high=high, part="all", share=1.0)


def _by_nature(document: Document, situation: Situation) -> Iterator[tuple[Change, Gain]]:
    """Bytes that follow from what the technique is: numbers of fewer bits, or few weights that are trained."""
    name = situation.model.name if situation.model else None
    for change, words in changes_by_nature(document, situation):
        low, middle, high = situation.gain_of(change) or (change.low, change.middle, change.high)
        yield change, Gain(
            "memory" if change.resource == "memory" else "latency", _rounded(middle), _rounded(low), _rounded(high), "modelled", name, None, words, change.term,
            _rounded(situation.share(change)),
        )  # fmt: skip


def evidence_rows(document: Document) -> list[dict[str, Any]]:
    """What was measured and what is claimed, as stated, for a reader who wants to judge."""
    measured = [{"source": "measured", **asdict(gain)} for gain in document.evidence]
    return measured + [{"source": "claimed", **asdict(gain)} for gain in document.gains]


def factor_of(claim: ClaimedGain) -> tuple[float | None, float | None, float | None] | None:
    """(median, low, high) factors of a claim; None for one that states no improvement as a ratio.

    "up to 3x" bounds from above alone, "at least 3x" from below alone.
    """
    if claim.direction != "better" or claim.form not in ("factor", "percent"):
        return None
    low = _factor(claim, claim.value)
    high = _factor(claim, claim.value_max) if claim.value_max is not None else low
    if low is None or high is None:
        return None
    low, high = min(low, high), max(low, high)
    if claim.qualifier == "up to":
        return None, None, high
    if claim.qualifier == "at least":
        return None, low, None
    return (low if low == high else (low * high) ** 0.5), low, high


def _factor(claim: ClaimedGain, value: float) -> float | None:
    if claim.form == "factor":
        return value if value > 0 else None
    if claim.metric in GROWING:
        return 1 + value / 100 if value > 0 else None
    return 1 / (1 - value / 100) if 0 < value < 100 else None


def _claimed(claim: ClaimedGain, document: Document, situation: Situation, known: Knowledge) -> Gain | None:
    """What is left of a claim when it holds as far as those of its family did."""
    if (factors := factor_of(claim)) is None:
        return None
    stated = factors[0] or factors[2] or factors[1]
    if stated is None or stated <= 1:
        return None
    discount = known.discount(document.families)
    # "up to" names the best case: at most it is reached. "at least" leaves more open above.
    most = min(discount.high, 1.0) if claim.qualifier == "up to" else max(discount.high, 1.0)
    # Something can be slower than what is used today; bytes that are saved are saved.
    least = max(discount.low, 0.0) if claim.metric in SPACE else discount.low
    ends = [max(stated**share, 0.05) for share in (least, min(discount.middle, most), most)]
    if factors[1] and factors[2] and factors[2] > factors[1]:
        ends[0], ends[2] = min(ends[0], factors[1] ** discount.middle), max(ends[2], factors[2])
    place = place_of(document, claim.metric, claim.scope, situation, claim.quote)
    family = discount.family.replace("-", " ") or "its kind"
    if discount.count:
        judged = f"The {discount.count} judged here of {family} held to {discount.middle:.0%} in logarithms."
    else:
        judged = (
            f"None of {family} was judged here yet; that {discount.middle:.0%} of it holds, in logarithms, is assumed."
        )
    bound = {"up to": "up to ", "at least": "at least "}.get(claim.qualifier or "", "")
    return Gain(
        claim.metric, _rounded(ends[1]), _rounded(ends[0]), _rounded(ends[2]), "claimed", claim.scope or claim.phase,
        claim.hardware, f"The paper claims {bound}{stated:.3g}×. {judged}", place[1] if place else None, phase=claim.phase,
    )  # fmt: skip


def _measurements(document: Document, known: Knowledge) -> list[MeasuredGain]:
    """Those that judged a claim, and those of the implementation that judged none; each once.

    A claim is judged against what its paper compares with, which may be no longer in use: where the same device tells how quick the
    technique is beside today's best, that alone counts.
    """
    today = known.measured.get(document.implementation or "", ())
    quick = {one.device for one in today if one.metric in SPEED}
    judged = [one for one in document.evidence if one.metric not in SPEED or one.device not in quick]
    found = {(one.metric, one.workload, one.baseline, one.device): one for one in judged}
    for one in today:
        found.setdefault((one.metric, one.workload, one.baseline, one.device), one)
    return list(found.values())


def _measured(gain: MeasuredGain, document: Document, situation: Situation) -> Gain | None:
    """As it was measured on this device; from another one, carried over by the balance of the two with a wider range."""
    if gain.median <= 0 or gain.low <= 0:
        return None
    place = place_of(document, gain.metric, gain.scope, situation)
    part = place[1] if place else None
    against = f" against {gain.baseline.replace('_', ' ')}" if gain.baseline else ""
    on = f" on {gain.device}" if gain.device else ""
    where = f"Measured{against}{on}."
    plain = Gain(
        gain.metric, _rounded(gain.median), _rounded(gain.low), _rounded(gain.high), "measured", gain.scope or None,
        gain.device or None, where, part if gain.scope not in WHOLE or part in ONE_PASS else "all" if part else None,
    )  # fmt: skip
    there, here = find_device(gain.device) if gain.device else None, situation.device
    if here is None or (there is not None and there.name == here.name):
        return plain
    if there is None:
        return replace(plain, basis=f"{where} It is not in the catalogue, so nothing is carried over to {here.name}.")
    return _carried(plain, there, here, gain.metric in SPACE)


def _carried(gain: Gain, there: Device, here: Device, of_memory: bool) -> Gain:
    """From one device to another. Bytes are bytes everywhere; times follow the balance of arithmetic and bandwidth.

    A technique that saves bytes gains more where bytes are dearer (a higher ridge), one that saves arithmetic less;
    which of the two it is, is not known, so the ratio stays and its range grows by the difference.
    """
    median, low, high = gain.median or 1.0, gain.low or 1.0, gain.high or 1.0
    if of_memory:
        basis = f"Measured on {there.name}; memory does not depend on the device."
        return replace(gain, source="scaled", device=there.name, basis=basis)
    away = abs(math.log(ridge(here) / ridge(there)))
    wider = math.exp(ELSEWHERE + BY_BALANCE * away * min(1.0, abs(math.log(median)) + 0.2))
    basis = (
        f"Measured on {there.name} and carried over to {here.name}: operations a byte at which arithmetic begins to bind "
        f"are {ridge(there):.0f} there and {ridge(here):.0f} here, so the range is {wider - 1:.0%} wider at each end."
    )
    return replace(
        gain, low=_rounded(low / wider), high=_rounded(high * wider), source="scaled", device=there.name, basis=basis
    )


def ridge(device: Device) -> float:
    """Operations a byte from which on arithmetic binds, in the device's usual format; 100 where no rate is published."""
    rate = device.rate(device.best_dtype())
    return rate * 1e12 / (device.bandwidth_gb_s * 1e9) if rate else 100.0


def _modelled(effect: ModelledEffect, situation: Situation) -> Gain | None:
    if not applies(effect, situation):
        return None
    name = situation.model.name if situation.model else None
    device = situation.device.name if situation.device else None
    metric = "memory" if effect.resource == "memory" else "latency"
    change = change_of(effect)
    stated = f"Its card says that {_words(effect.term)} shrinks {effect.low:g} to {effect.high:g} times."
    if effect.resource == "time":
        stated += " Its kernels may lose some of that to those of a library."
    if whole := situation.gain_of(change):
        low, middle, high = whole
        share = situation.share(change) or 0.0
        basis = f"{stated} {_percent(share)} of the {effect.resource} is that."
        return Gain(
            metric, _rounded(middle), _rounded(low), _rounded(high), "modelled", name, device, basis, effect.term,
            _rounded(share),
        )  # fmt: skip
    # Without a model the term's own factor is all that can be said; the scope tells which term.
    return Gain(metric, None, cautious(effect), effect.high, "modelled", effect.term, device, stated, effect.term)


def in_stage(gain: Gain, situation: Situation) -> bool:
    """Whether a claim speaks of the user's phase; what was measured or modelled is of the card's own."""
    if gain.phase in (None, "", "other") or situation.need.stage is None:
        return True
    trains = situation.workload.trains
    return (gain.phase in ("training", "fine-tuning")) == trains if situation.need.stage != "search" else True


def _order(gain: Gain, situation: Situation) -> tuple[int, bool, bool, bool, bool, float]:
    objective = situation.need.objective
    serves = objective is None or gain.metric in _SERVES[objective]
    whole = gain.scope in WHOLE or gain.scope not in KERNELS
    size = gain.median or gain.high or gain.low or 0.0
    # A thousandth of the tokens is no answer where the paper also says how much sooner it is done.
    felt = objective is not None or gain.metric in FELT
    return SOURCES.index(gain.source), not in_stage(gain, situation), not serves, not whole, not felt, -size


def _words(term: str) -> str:
    return {
        "kv_cache": "the key-value cache", "all": "everything", "steps": "denoising", "optimizer": "the optimizer's state", "conv": "convolution",
        "linear": "linear layers", "output-layer": "the output layer", "decode": "decoding", "attention": "attention",
        "weights": "the weights", "activations": "activations", "gradients": "gradients",
    }.get(term, " of ".join(reversed(term.replace("_", " ").split("/"))))  # fmt: skip


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 else "Under 1 %"


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
