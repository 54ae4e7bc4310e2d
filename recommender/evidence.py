"""What the database's measurements teach the advice: claims that were judged, baselines that were timed, devices."""

import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import Count, Max, QuerySet

from papers.models import Device, DeviceKind, Measurement, Run, RunState, Verdict
from recommender.baselines import Timed, judge, reached
from recommender.documents import ClaimedGain, MeasuredGain
from recommender.gains import factor_of
from recommender.hardware.catalogue import devices, find_device
from recommender.knowledge import Baseline, Held, Knowledge

# What a measure is called among the metrics of claims.
METRICS = {"time": "latency", "parameters": "params", "flops": "flops"}
COUNTED = ("kv_cache", "weights", "optimizer_state", "parameters")
PART = "module"
WHOLE = ("peak_memory", "steady_memory")
BYTES = frozenset({*COUNTED, *WHOLE})
# From here on a run says itself that a person should look: so much is rarely true.
TOO_GOOD = 10.0
_held: dict[str, Any] = {}
_lock = threading.Lock()


def knowledge() -> Knowledge:
    """What is known now; loaded anew when a run was finished or a verdict was made or withdrawn."""
    stamp = _stamp()
    with _lock:
        if _held.get("stamp") != stamp:
            _held.update(stamp=stamp, knowledge=_load())
        return _held["knowledge"]  # type: ignore[no-any-return]


def this_machine() -> str:
    """The catalogue's name for the device of a worker that is alive, a GPU before a CPU; blank without one."""
    alive = sorted(Device.objects.alive(), key=lambda device: device.kind != DeviceKind.CUDA)
    return next((found.name for device in alive if (found := find_device(device.name))), "")


def _stamp() -> tuple[Any, ...]:
    runs = Run.objects.filter(state=RunState.FINISHED).aggregate(Max("id"), Count("id"))
    verdicts = Verdict.objects.current().aggregate(Max("id"), Count("id"))
    seen = Device.objects.aggregate(Count("id"))
    return (*runs.values(), *verdicts.values(), *seen.values())


def _load() -> Knowledge:
    timed: dict[str, list[Timed]] = defaultdict(list)
    measured: dict[str, list[MeasuredGain]] = defaultdict(list)
    for measurement in _current_measurements():
        if baseline := _timed(measurement):
            timed[baseline.device].append(baseline)
    for name, gain in _gains(_current_measurements()):
        measured[name].append(gain)
    ceilings = {
        found.name: device.details["ceilings"]
        for device in Device.objects.all()
        if device.details.get("ceilings")
        if (found := find_device(device.name))
    }
    efficiencies = {
        name: efficiency
        for name in {*timed, *ceilings}
        if (efficiency := reached(timed.get(name, ()), devices()[name], ceilings.get(name, ())))
    }
    baselines = [one for name, ones in timed.items() for each in ones if (one := judge(each, devices()[name]))]
    return Knowledge(
        tuple(_judged()), {name: tuple(gains) for name, gains in measured.items()}, efficiencies, _latest(baselines)
    )


def _current_measurements() -> QuerySet[Measurement]:
    """Timed and counted ratios of finished runs, oldest first; without samples, which are large."""
    return (
        Measurement.objects.filter(run__state=RunState.FINISHED, ratio__gt=0)
        .exclude(baseline="")
        .select_related("run__device", "run__implementation")
        .defer("samples", "run__records", "run__log_tail")
        .order_by("id")
    )


def _timed(measurement: Measurement) -> Timed | None:
    """The baseline of a ratio: it took the technique's time times the ratio."""
    device = find_device(measurement.run.device.name) if measurement.run.device else None
    card = measurement.run.implementation.card
    workload = _named(card, "workloads", measurement.workload)
    rung = _named(card, "baselines", measurement.baseline)
    if device is None or measurement.measure != "time" or not measurement.median or not (workload and rung):
        return None
    return Timed(
        device.name,
        measurement.run.implementation.name,
        str(rung.get("role", "")),
        measurement.workload,
        workload.get("axes") or {},
        str(workload.get("dtype", "")),
        "backward" in str(workload.get("pass", "")),
        measurement.median * (measurement.ratio or 0.0),
    )


def _gains(measurements: QuerySet[Measurement]) -> Iterator[tuple[str, MeasuredGain]]:
    """For each device and representative workload the ratio to the strongest baseline: what it is still worth today.

    Of several runs the newest counts, and only with the card and code that are here now. A time that awaits review because
    it is gained too easily counts for nothing.
    """
    found: dict[tuple[str, str, str, str], MeasuredGain] = {}
    runs: dict[tuple[str, str, str, str], int] = {}
    for one in measurements:
        run, device = one.run, one.run.device
        workload = _named(run.implementation.card, "workloads", one.workload)
        rung = _named(run.implementation.card, "baselines", one.baseline)
        if device is None or not run.is_current or not workload or not workload.get("representative"):
            continue
        if rung is None or one.ratio is None or not _is_used_today(run.implementation.card, rung):
            continue
        if one.measure == "time" and one.ratio > TOO_GOOD:
            continue
        key = (run.implementation.name, device.name, one.workload, one.measure)
        low, high = one.ratio_low or one.ratio, one.ratio_high or one.ratio
        # A cache of a whole model is no more than its cache: the weights beside it stay as they are.
        scope = PART if one.measure in COUNTED else one.scope
        gain = MeasuredGain(
            METRICS.get(one.measure, "memory"), one.ratio, low, high, scope, device.name, "", one.baseline, one.workload
        )  # fmt: skip
        if key not in found or run.pk > runs[key] or (run.pk == runs[key] and one.ratio < found[key].median):
            found[key], runs[key] = gain, run.pk
    by_workload: dict[tuple[str, str, str], dict[str, MeasuredGain]] = defaultdict(dict)
    for (name, on, workload_name, measure), gain in found.items():
        by_workload[name, on, workload_name][measure] = gain
    for (name, *_), gains in by_workload.items():
        telling = _telling({measure: gain.median for measure, gain in gains.items()})
        for measure, gain in gains.items():
            if measure not in BYTES or measure == telling:
                yield name, gain


def _telling(ratios: Mapping[str, float]) -> str | None:
    """Of what was counted on a workload, the bytes that the technique is about: of those its card counts, the ones it shrinks most.

    What a call takes at its peak, or the whole holds between calls, is mostly not the technique's; it tells where a card counts nothing.
    """
    counted = [measure for measure in COUNTED if measure in ratios]
    return (
        max(counted, key=lambda measure: ratios[measure]) if counted else next((m for m in WHOLE if m in ratios), None)
    )


def _is_used_today(card: dict[str, Any], rung: dict[str, Any]) -> bool:
    """Whether a rung is what somebody without the technique would run.

    Beside an approximate technique that is the whole computation: its other rungs may be rivals that lose quality too.
    """
    if rung.get("same_function") is False:
        return False
    return card.get("correctness") != "approximate" or rung.get("role") in ("eager", "compiled")


def _judged() -> Iterator[Held]:
    """Each claim with its newest decisive verdict on each device."""
    verdicts = (
        Verdict.objects.current()
        .decisive()
        .filter(ratio__gt=0)
        .select_related("claim__paper__technique", "run__device", "run__implementation")
        .prefetch_related("claim__paper__technique__labels")
        .defer("run__records", "run__log_tail")
        .order_by("id")
    )
    newest: dict[tuple[int, str], Held] = {}
    for verdict in verdicts:
        claim, technique = verdict.claim, getattr(verdict.claim.paper, "technique", None)
        stated = ClaimedGain(
            claim.metric, claim.form, claim.direction, claim.value, claim.value_max, claim.qualifier or None
        )
        factors = factor_of(stated)
        claimed = factors and (factors[0] or factors[2] or factors[1])
        if not claimed or claimed <= 1 or not verdict.ratio or technique is None or not technique.families:
            continue
        device = verdict.run.device.name if verdict.run.device else ""
        newest[claim.pk, device] = Held(technique.families[0], claimed, verdict.ratio, device, claim.paper.title)
    yield from newest.values()


def _named(card: dict[str, Any], field: str, name: str) -> dict[str, Any] | None:
    return next((row for row in card.get(field) or () if row.get("name") == name), None)


def _latest(baselines: list[Baseline]) -> tuple[Baseline, ...]:
    """One for each device, baseline and workload: the last one timed."""
    return tuple({(one.device, one.name, one.workload): one for one in baselines}.values())
