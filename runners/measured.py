"""What was measured of an implementation, put together for a reader: the ladder, the sweep, doubts, and what got worse.

Of each device the newest finished run counts, of the code that is here where there is one. Nothing is computed anew but
the crossover of a sweep, whose points are in the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, OuterRef

from papers.models import DeviceKind, Implementation, Measurement, Regression, Run, RunMode, RunState, heavy_fields
from runners.bench.collect import TECHNIQUE
from runners.bench.statistics import beside_band
from runners.bench.sweeps import HIGHER_IS_BETTER, Crossover, Point, crossover, marked
from runners.bench.verdicts import sweep_point

ROLE_QUESTIONS = {
    "paper": "Does it reproduce the paper?",
    "eager": "Faster than plain PyTorch?",
    "compiled": "Faster than what torch.compile makes of it?",
    "library": "Still worth it beside today’s best kernel?",
}


@dataclass(frozen=True)
class Rung:
    """One rung of the ladder beside the technique on one workload."""

    name: str
    label: str
    role: str
    question: str
    figure: Measurement
    same_function: bool = True

    @property
    def answer(self) -> str:
        """Where the ratio's interval lies beside the band of equal subjects."""
        low, high, band = self.figure.ratio_low, self.figure.ratio_high, self.figure.band or 0.0
        return "unknown" if low is None or high is None else beside_band(low, high, band)


@dataclass
class Workload:
    """All that one run found on one workload."""

    name: str
    representative: bool
    axes: dict[str, int]
    dtype: str
    device: str = "any"
    ladder: list[Rung] = field(default_factory=list)
    others: list[Measurement] = field(default_factory=list)
    """Memory and counts: measures other than time."""
    error: dict[str, Any] = field(default_factory=dict)
    roofline: dict[str, Any] = field(default_factory=dict)
    """`floor_ms` that the device allows for the work its module declares, what sets it (`bound`), and the `share` reached."""


@dataclass
class Curve:
    """A sweep against one rung."""

    rung: str
    label: str
    points: list[Point]
    crossover: Crossover

    def says(self, axis: str) -> str:
        return self.crossover.sentence(axis.replace("_", " "))


@dataclass
class OnDevice:
    """What the newest runs on one device found. `doubts` are reasons for care that refused nothing."""

    device: str
    kind: str
    run: Run
    workloads: list[Workload] = field(default_factory=list)
    sweep_run: Run | None = None
    axis: str = ""
    quality: str = ""
    curves: list[Curve] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    @property
    def decides(self) -> bool:
        return self.kind == DeviceKind.CUDA

    @property
    def quality_axis(self) -> str:
        """What the error of a sweep is called, turned so that less is better."""
        name = self.quality.replace("_", " ")
        return f"1 - {name}" if self.quality in HIGHER_IS_BETTER else name

    @property
    def representative(self) -> Workload | None:
        """The workload that stands for the technique here: of several, on a GPU the one that only a GPU can hold."""
        mine = [one for one in self.workloads if one.representative]
        return max(mine, key=lambda one: self.decides and one.device == "cuda", default=None)

    @property
    def loses_to(self) -> list[Rung]:
        """Rungs that beat the technique on the representative workload: what a reader must not miss."""
        ladder = self.representative.ladder if self.representative else []
        return [rung for rung in ladder if rung.answer == "worse"]


@dataclass
class Measured:
    """`runs` are all that there were, whatever became of them, the newest first."""

    implementation: Implementation
    devices: list[OnDevice]
    regressions: list[Regression]
    runs: list[Run] = field(default_factory=list)


def measured(implementation: Implementation) -> Measured:
    """Figures by device, GPUs first."""
    return measured_of([implementation])[implementation.pk]


def measured_of(implementations: Sequence[Implementation]) -> dict[int, Measured]:
    """What was measured of each, by its key; the same number of queries for one and for many."""
    runs = _runs_of(implementations)
    chosen = {one.pk: _newest_runs(runs[one.pk]) for one in implementations}
    counted = [
        run.pk
        for devices in chosen.values()
        for by_mode in devices.values()
        for mode, run in by_mode.items()
        if mode != RunMode.CHECK
    ]
    records = dict(Run.objects.filter(pk__in=counted).values_list("pk", "records")) if counted else {}
    figures: dict[int, list[Measurement]] = {}
    for figure in Measurement.objects.filter(run__in=counted, subject=TECHNIQUE).defer("samples"):
        figures.setdefault(figure.run_id, []).append(figure)
    regressions = _regressions(run for one in implementations for run in runs[one.pk])
    found = {}
    for one in implementations:
        devices = [
            _on_device(one.card, *key, by_mode, records_of=records, figures_of=figures)
            for key, by_mode in chosen[one.pk].items()
        ]
        devices.sort(key=lambda each: (each.kind != DeviceKind.CUDA, each.device))
        mine = [each for each in regressions if each.implementation_id == one.pk]
        found[one.pk] = Measured(one, devices, mine, runs[one.pk])
    return found


def _runs_of(implementations: Sequence[Implementation]) -> dict[int, list[Run]]:
    """All runs of each, the newest first."""
    gone = Regression.objects.current().filter(implementation=OuterRef("implementation"))
    found = (
        Run.objects.filter(implementation__in=implementations)
        .select_related("device")
        .defer(*heavy_fields())
        .annotate(is_regressed=Exists(gone))
    )
    by_implementation: dict[int, list[Run]] = {one.pk: [] for one in implementations}
    for run in found:
        by_implementation[run.implementation_id].append(run)
    for one in implementations:
        for run in by_implementation[one.pk]:
            run.implementation = one
    return by_implementation


def _regressions(runs: Iterable[Run]) -> list[Regression]:
    """Asked for where a run of the implementation says that there is one, which is rare."""
    regressed = {run.implementation_id for run in runs if run.is_regressed}  # type: ignore[attr-defined]
    if not regressed:
        return []
    lost = Regression.objects.current().filter(implementation__in=regressed).select_related("since_run")
    return list(lost.defer("since_run__records", "since_run__log_tail"))


def _newest_runs(runs: Iterable[Run]) -> dict[tuple[str, str], dict[str, Run]]:
    """By device and mode, the newest run that passed; one of the code that is here comes before newer ones of older."""
    chosen: dict[tuple[str, str], dict[str, Run]] = {}
    for run in sorted(runs, key=lambda one: (one.is_current, one.pk)):
        if run.device is None or run.state != RunState.FINISHED or run.status != "PASSED":
            continue
        chosen.setdefault((run.device.name, run.device_kind), {})[run.mode] = run
    return chosen


def _on_device(
    card: dict[str, Any],
    name: str,
    kind: str,
    runs: dict[str, Run],
    *,
    records_of: Mapping[int, list[dict[str, Any]]],
    figures_of: Mapping[int, list[Measurement]],
) -> OnDevice:
    timed, swept = runs.get(RunMode.RUN), runs.get(RunMode.SWEEP)
    first = timed or swept or runs[RunMode.CHECK]
    found = OnDevice(name, kind, first, sweep_run=swept)
    records = [record for run in (timed, swept) if run for record in records_of.get(run.pk, [])]
    found.doubts = list(dict.fromkeys(text for record in records for text in record.get("doubts", [])))
    errors = _errors(records)
    if timed:
        found.workloads = _workloads(card, figures_of.get(timed.pk, []), errors)
        limits = _rooflines(records)
        for workload in found.workloads:
            workload.roofline = limits.get(workload.name, {})
    if swept and card.get("sweep"):
        found.axis, found.quality = card["sweep"]["axis"], card["check"].get("quality") or "relative_l2"
        found.curves = _curves(card, figures_of.get(swept.pk, []), errors)
    return found


def _errors(records: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Error figures of the technique by workload."""
    return {
        record["workload"].get("name", ""): record["error"][TECHNIQUE]
        for record in records
        if record.get("error", {}).get(TECHNIQUE)
    }


def _rooflines(records: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the device allows at best, by workload, where the records tell."""
    return {
        record["workload"].get("name", ""): found
        for record in records
        if (found := (record.get("evaluation", {}).get("performance") or {}).get("roofline"))
    }


def _workloads(card: dict[str, Any], figures: list[Measurement], errors: dict[str, Any]) -> list[Workload]:
    rungs = {rung["name"]: rung for rung in card.get("baselines", [])}
    found = {}
    for workload in card.get("workloads", []):
        one = Workload(
            workload["name"], bool(workload.get("representative")), workload.get("axes", {}), workload.get("dtype", ""),
            device=workload.get("device", "any"), error=errors.get(workload["name"], {}),
        )  # fmt: skip
        for figure in figures:
            if figure.workload != one.name:
                continue
            if figure.measure == "time" and figure.baseline in rungs and figure.ratio:
                one.ladder.append(_rung(rungs[figure.baseline], figure))
            elif figure.measure != "time" and (figure.ratio or not figure.baseline):
                one.others.append(figure)
        if one.ladder or one.others:
            one.ladder.sort(key=lambda rung: list(rungs).index(rung.name))
            found[one.name] = one
    return sorted(found.values(), key=lambda one: not one.representative)


def _rung(rung: dict[str, Any], figure: Measurement) -> Rung:
    role = rung.get("role", "")
    return Rung(
        rung["name"], rung.get("label", rung["name"]), role, ROLE_QUESTIONS.get(role, ""), figure,
        bool(rung.get("same_function", True)),
    )  # fmt: skip


def _curves(card: dict[str, Any], figures: list[Measurement], errors: dict[str, Any]) -> list[Curve]:
    sweep, check = card["sweep"], card["check"]
    labels = {rung["name"]: rung.get("label", rung["name"]) for rung in card.get("baselines", [])}
    values = {sweep_point(sweep["workload"], sweep["axis"], value): value for value in sweep["values"]}
    by_rung: dict[str, list[Point]] = {}
    for figure in figures:
        if figure.measure == "time" and figure.workload in values and figure.ratio and figure.ratio_low:
            quality = _quality(check, card, errors.get(figure.workload, {}))
            loss = quality if quality is None or check.get("quality") not in HIGHER_IS_BETTER else 1 - quality
            high = figure.ratio_high or figure.ratio
            point = Point(
                values[figure.workload], figure.ratio, figure.ratio_low, high, figure.band or 0.0, loss, quality
            )
            by_rung.setdefault(figure.baseline, []).append(point)
    return [
        Curve(rung, labels[rung], marked(by_rung[rung]), crossover(by_rung[rung]))
        for rung in labels
        if len(by_rung.get(rung, [])) > 1
    ]


def _quality(check: dict[str, Any], card: dict[str, Any], error: dict[str, Any]) -> float | None:
    found = error.get("quality") if card.get("correctness") == "approximate" else error.get("relative_l2")
    return float(found) if isinstance(found, (int, float)) else None


def first_of(work: Workload, measure: str, card: dict[str, Any]) -> Measurement | None:
    """A measure beside the first rung of the ladder, the paper's own before plain code: never beside the one that flatters most."""
    order = {rung["name"]: list(ROLE_QUESTIONS).index(rung["role"]) for rung in card.get("baselines", [])}
    mine = [figure for figure in work.others if figure.measure == measure]
    return min(mine, key=lambda figure: order.get(figure.baseline, len(order)), default=None)
