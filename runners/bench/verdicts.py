"""The verdict on a claim, from measurements alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runners.bench import absolutes
from runners.bench.results import Judgement, Measurement
from runners.bench.statistics import Interval, beside_band, geometric_mean, widened_for_choice
from runners.card_types import Card, Claim

CONFIRMED_SHARE = 0.9
REVIEW_FACTOR = 10.0
REVIEW_SHARE = 1.5
DEFAULT_BAND = 0.02
REJECTING = {
    "INCORRECT_SHAPE": "its output has the wrong shape",
    "INCORRECT_NUMERICAL": "its output is wrong",
    "INCORRECT_DTYPE": "its output has the wrong data type",
    "REWARD_HACK": "the harness found that the run cannot be trusted",
    "INVALID_REFERENCE": "the card's own check accepts worthless output",
}
SCOPES_BY_WIDTH = ("kernel", "module", "model", "training-step", "processes")
GROWS_WITH_GAIN = frozenset({"throughput", "speedup", "bandwidth"})


@dataclass(frozen=True)
class _Evidence:
    interval: Interval
    band: float
    workload: str
    note: str
    """How the interval came about, as a clause for the reason."""


def claim_as_ratio(form: str, direction: str, value: float, metric: str) -> float | None:
    """The claim as a ratio, above 1 for a gain; None where it says nothing relative.

    "N times" is N, "40 % less" 1 / 0.6, "20 % more throughput" 1.2; a claim of loss gives the inverse direction.
    """
    if form == "factor":
        ratio = value
        return ratio if direction != "worse" else 1 / ratio
    if form != "percent" or direction == "none":
        return None
    share = value / 100
    grows = metric in GROWS_WITH_GAIN
    if direction == "better":
        if grows:
            return 1 + share
        return 1 / (1 - share) if share < 1 else None
    if grows:
        return 1 - share if share < 1 else None
    return 1 / (1 + share)


def judge(
    claim: Claim, card: Card, measurements: Sequence[Measurement], environment: Mapping[str, Any], status: str
) -> Judgement:
    """The verdict on `claim`. Pure: the same arguments give the same judgement.

    `environment["device_kind"]` is "cpu" or "cuda" and `environment["device_name"]` the name for the hardware note.
    """
    device_kind = str(environment.get("device_kind", "cpu"))
    device_name = str(environment.get("device_name", "") or "an unnamed device")
    measured = _relevant(claim, measurements, card.scope)
    evidence = _evidence(claim, card, measured, device_kind)

    def verdict(outcome: str, reason: str) -> Judgement:
        shown = evidence.interval if evidence else None
        return Judgement(
            claim_key=claim.key,
            outcome=outcome,
            ratio=shown.median if shown else None,
            low=shown.low if shown else None,
            high=shown.high if shown else None,
            workload=evidence.workload if evidence else claim.workload,
            baseline=claim.baseline,
            reason=reason,
            hardware_note=_hardware_note(claim, device_name),
        )

    if status in REJECTING:
        return verdict("rejected", f"No speed counts, because {REJECTING[status]}.")
    if device_kind != "cuda":
        return verdict("not-comparable", _cpu_reason(evidence, status, measurements))
    if status != "PASSED":
        return verdict("not-comparable", f"The run ended with {status} before it could be measured.")
    if not any(each.scope == claim.scope for each in measured) and claim.scope != card.scope:
        return verdict("not-comparable", _scope_reason(claim, card, evidence))
    if claim.form == "absolute":
        return _judge_absolute(claim, measurements, device_name)
    target = claim_as_ratio(claim.form, claim.direction, _claimed_value(claim), claim.metric)
    if target is None:
        text = f"{claim.value:g} {claim.unit}".strip()
        return verdict("not-comparable", f"The claim ({text}) cannot be written as a ratio to a baseline.")
    if not claim.baseline:
        named = f" ({claim.baseline_text})" if claim.baseline_text else ""
        return verdict("not-comparable", f"No rung of the ladder stands for the claim's baseline{named}.")
    if evidence is None:
        return verdict(
            "not-comparable", f"There is no {claim.measure} against {claim.baseline!r} from this run to compare with."
        )
    outcome, reason = _compare(claim, card, evidence, target)
    most = claim_as_ratio(claim.form, claim.direction, claim.value_max or _claimed_value(claim), claim.metric)
    return verdict(outcome, reason + _review(evidence.interval.median, max(target, most or target)))


def _judge_absolute(claim: Claim, measurements: Sequence[Measurement], device_name: str) -> Judgement:
    """The verdict on "12 ms" or "5 GB": the same technique and workload, and for times the same device."""
    why, measured, value = (
        absolutes.why_not(claim, device_name),
        absolutes.own_figure(claim, measurements),
        absolutes.in_measured_unit(claim),
    )
    if not why and measured is None:
        why = f"There is no {claim.measure} on {claim.workload!r} from this run to compare with."
    interval = None
    if not why and measured is not None and value is not None:
        try:
            interval = absolutes.against_figure(claim, measured, value)
        except ValueError as error:
            why = f"{error}."
    outcome = "not-comparable"
    if interval is not None and measured is not None:
        claimed = f"{claim.value:g} {claim.unit}".strip()
        found = f"Measured {measured.median:.4g} {measured.unit}".rstrip() + f" where the paper says {claimed}"
        if interval.low >= CONFIRMED_SHARE:
            outcome, why = "confirmed", f"{found}, within a tenth of it or better."
        elif interval.high < CONFIRMED_SHARE:
            outcome, why = "below-claim", f"{found}, which is not reached."
        else:
            outcome, why = "inconclusive", f"{found}; the interval neither reaches nor rules it out."
    return Judgement(
        claim_key=claim.key,
        outcome=outcome,
        ratio=interval.median if interval else None,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        workload=claim.workload,
        baseline="",
        reason=why,
        hardware_note=_hardware_note(claim, device_name),
    )


def _scope_reason(claim: Claim, card: Card, evidence: _Evidence | None) -> str:
    """Why a figure of another scope decides nothing, and what it bounds all the same."""
    text = f"The paper speaks of a {claim.scope}, this implementation measures a {card.scope}."
    wider = claim.scope in SCOPES_BY_WIDTH and SCOPES_BY_WIDTH.index(claim.scope) > SCOPES_BY_WIDTH.index(card.scope)
    if evidence is None or claim.measure not in ("time", "throughput") or not wider:
        return text
    ratio = evidence.interval.median
    found = f" The {card.scope} alone was measured at {ratio:.2f}×"
    if ratio <= 1:
        return text + found + "."
    half = amdahl(ratio, 0.5)
    return text + found + f"; by Amdahl's law a {claim.scope} that spends half of its time there gains {half:.2f}×."


def amdahl(ratio: float, share: float) -> float:
    """Gain of a whole whose part takes `share` of the time and becomes `ratio` times as fast (Amdahl 1967).

    Raises ValueError for a ratio that is not positive or a share outside of 0 to 1.
    """
    if ratio <= 0 or not 0 <= share <= 1:
        raise ValueError(f"ratio {ratio} and share {share}: a ratio above 0 and a share of 0 to 1 are needed")
    return 1 / (1 - share + share / ratio)


def _claimed_value(claim: Claim) -> float:
    """The number to meet: a range's upper end for "up to", its lower end otherwise."""
    if claim.qualifier == "up to" and claim.value_max is not None:
        return claim.value_max
    return claim.value


def _relevant(claim: Claim, measurements: Sequence[Measurement], card_scope: str) -> list[Measurement]:
    """Ratios of the claim's measure against its rung; where there are figures of the claim's own scope, only those."""
    found = _of_measure(claim, measurements, card_scope)
    return [each for each in found if each.scope == claim.scope] or found


def _of_measure(claim: Claim, measurements: Sequence[Measurement], card_scope: str) -> list[Measurement]:
    measures = {"time", "throughput"} if claim.measure in ("time", "throughput") else {claim.measure}
    return [
        each
        for each in measurements
        if each.subject == "technique"
        and each.baseline == claim.baseline
        and claim.baseline
        and each.scope in (claim.scope, card_scope)
        and each.measure in measures
        and each.ratio is not None
    ]


def _interval(measurement: Measurement) -> Interval:
    ratio = measurement.ratio or 0.0
    low = ratio if measurement.ratio_low is None else measurement.ratio_low
    high = ratio if measurement.ratio_high is None else measurement.ratio_high
    return Interval(ratio, low, high)


def sweep_point(workload: str, axis: str, value: int) -> str:
    """Name of one point of a sweep, as measurements carry it."""
    return f"{workload}[{axis}={value}]"


def _points(card: Card, measured: Sequence[Measurement]) -> list[Measurement]:
    if card.sweep is None:
        return []
    prefix = f"{card.sweep.workload}[{card.sweep.axis}="
    return [each for each in measured if each.workload.startswith(prefix)]


def _evidence(claim: Claim, card: Card, measured: Sequence[Measurement], device_kind: str) -> _Evidence | None:
    if not measured:
        return None
    band = max(each.band if each.band is not None else DEFAULT_BAND for each in measured)
    points = _points(card, measured)
    several = points or [each for each in measured if "[" not in each.workload]
    if claim.qualifier == "up to" and not claim.workload and several:
        best = max(several, key=lambda each: each.ratio or 0.0)
        picked = widened_for_choice(_interval(best), len(several))
        note = f"best of {len(several)} points" if len(several) > 1 else ""
        return _Evidence(picked, best.band or DEFAULT_BAND, best.workload, note)
    if claim.qualifier == "up to" and points:
        best = max(points, key=lambda each: each.ratio or 0.0)
        picked = widened_for_choice(_interval(best), len(points))
        return _Evidence(picked, best.band or DEFAULT_BAND, best.workload, f"best of {len(points)} points")
    if claim.qualifier == "average" and not claim.workload and several:
        many = f"{len(several)} {'points' if points else 'workloads'}"
        note = f"geometric mean of {many}" if len(several) > 1 else "of one workload, where the paper gives an average"
        return _Evidence(geometric_mean([_interval(each) for each in several]), band, "", note)
    representative = card.representative(device_kind)
    wanted = claim.workload or (representative.name if representative else "")
    chosen = next((each for each in measured if each.workload == wanted), None)
    if chosen is None and device_kind != "cuda":
        # A CPU run gives no verdict; its ratio on whatever was timed is still worth showing.
        chosen = measured[0]
    if chosen is None:
        return None
    return _Evidence(_interval(chosen), DEFAULT_BAND if chosen.band is None else chosen.band, chosen.workload, "")


def _compare(claim: Claim, card: Card, evidence: _Evidence, target: float) -> tuple[str, str]:
    interval, band = evidence.interval, evidence.band
    least = CONFIRMED_SHARE * target
    found = f"{interval.median:.2f}× ({interval.low:.2f} to {interval.high:.2f})"
    if evidence.note:
        found += f", {evidence.note},"
    claimed = f"{target:.2f}× claimed"
    place = beside_band(interval.low, interval.high, band)
    gain_is_sure = target <= 1 or (interval.low > 1 and place != "equal")
    if interval.low >= least and gain_is_sure:
        return "confirmed", f"Measured {found} reaches {CONFIRMED_SHARE:.0%} of the {claimed}."
    if claim.qualifier == "up to" and card.sweep is not None and not evidence.workload.endswith("]"):
        return "inconclusive", f"Measured {found}; an 'up to' claim needs the card's sweep, which was not run."
    if place == "equal":
        return "no-gain", f"Measured {found} lies within ±{band:.1%} of equal; {claimed}."
    if place == "worse":
        worse = "slower" if claim.measure in ("time", "throughput") else "larger"  # the outcome's name is one for both
        return "slower", f"Measured {found} is {worse} than the baseline; {claimed}."
    if interval.high < least and place == "better":
        return "below-claim", f"Measured {found} is a real gain, but less than {CONFIRMED_SHARE:.0%} of the {claimed}."
    return "inconclusive", f"Measured {found} neither reaches nor rules out the {claimed}."


def _review(ratio: float, target: float) -> str:
    if ratio > REVIEW_FACTOR:
        return f" Needs review: more than {REVIEW_FACTOR:g} times the baseline is rarely true."
    if target > 1 and ratio > REVIEW_SHARE * target:
        return f" Needs review: it is more than {REVIEW_SHARE:g} times what the paper claims."
    return ""


def _cpu_reason(evidence: _Evidence | None, status: str, measurements: Sequence[Measurement]) -> str:
    if status != "PASSED":
        return f"There was no GPU, and the run ended with {status}."
    if evidence is None:
        several = "Nothing was timed" if not measurements else "This claim's measure was not taken"
        return f"There was no GPU. The answers were checked on a CPU. {several}."
    ratio = evidence.interval
    return (
        f"There was no GPU. On the CPU the ratio was {ratio.median:.2f}× ({ratio.low:.2f} to {ratio.high:.2f}), "
        f"which is no verdict on the claim."
    )


def _hardware_note(claim: Claim, device_name: str) -> str:
    if not claim.hardware:
        return f"measured on {device_name}; the paper names no hardware"
    if claim.hardware.lower() in device_name.lower():
        return f"measured on {device_name}, as in the paper"
    return f"measured on {device_name}; the paper names {claim.hardware}"
