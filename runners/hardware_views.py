"""Pages of devices: what each can do at most, and what was measured on it, the largest gain first."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.text import slugify
from django.views.decorators.http import require_safe

from papers.models import Device, DeviceKind, Implementation, Measurement, Outcome, Run, RunState, Verdict
from runners.bench.collect import TECHNIQUE

RANKED_AGAINST = ("library", "compiled", "eager", "paper")
"""Roles of rungs: a gain is ranked against today's best that was measured."""
LISTED_RUNS = 20


@dataclass
class Hardware:
    """Devices of one name: what a reader takes for one kind of hardware."""

    name: str
    kind: str
    devices: list[Device] = field(default_factory=list)
    runs: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)

    @property
    def slug(self) -> str:
        return slugify(self.name) or f"device-{self.devices[0].pk}"

    @property
    def is_gpu(self) -> bool:
        return self.kind == DeviceKind.CUDA

    @property
    def is_alive(self) -> bool:
        return any(device.is_alive for device in self.devices)

    @property
    def newest(self) -> Device:
        """The one whose ceilings are shown: measured ones before others, then the last that was seen."""
        return max(
            self.devices, key=lambda one: (bool(one.details.get("ceilings")), one.last_seen_at is not None, one.pk)
        )


@dataclass(frozen=True)
class Gain:
    """The technique's gain over the best rung that was measured, on its representative workload."""

    implementation: Implementation
    figure: Measurement
    rung: str
    role: str


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    return render(request, "runners/hardware.html", {"all": hardware()})


@require_safe
def one(request: HttpRequest, slug: str) -> HttpResponse:
    found = next((each for each in hardware() if each.slug == slug), None)
    if found is None:
        raise Http404("No device of that name was seen.")
    ids = [device.pk for device in found.devices]
    runs = Run.objects.for_lists().filter(device__in=ids).defer("records", "log_tail")
    context = {
        "hardware": found,
        "device": found.newest,
        "ceilings": found.newest.details.get("ceilings") or [],
        "ceilings_of": found.newest.details.get("ceilings_of") or {},
        "gains": gains_on(ids),
        "verdicts": [(value, found.outcomes.get(value, 0)) for value in Outcome.values if found.outcomes.get(value)],
        "runs": runs[:LISTED_RUNS],
    }
    return render(request, "runners/device.html", context)


def hardware() -> list[Hardware]:
    """All that was seen, GPUs first, then by name."""
    found: dict[tuple[str, str], Hardware] = {}
    for device in Device.objects.all():
        key = (device.kind, device.name)
        found.setdefault(key, Hardware(device.name, device.kind)).devices.append(device)
    finished = Run.objects.filter(state=RunState.FINISHED, device__isnull=False).order_by()
    for kind, name in finished.values_list("device__kind", "device__name"):
        found[kind, name].runs += 1
    verdicts = Verdict.objects.current().filter(run__device__isnull=False).order_by()
    for kind, name, outcome in verdicts.values_list("run__device__kind", "run__device__name", "outcome"):
        outcomes = found[kind, name].outcomes
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    return sorted(found.values(), key=lambda each: (not each.is_gpu, each.name.casefold()))


def gains_on(devices: list[int]) -> list[Gain]:
    """By implementation the newest run's gain on the representative workload, the largest first."""
    runs = (
        Run.objects.filter(
            device__in=devices, state=RunState.FINISHED, status="PASSED", implementation__retired_at=None
        )
        .select_related("implementation__paper")
        .defer("records", "log_tail", "environment")
        .order_by("pk")
    )
    newest: dict[int, Run] = {}
    for run in sorted(runs, key=lambda each: (each.mode == "run", each.is_current, each.pk)):
        newest[run.implementation_id] = run
    figures: dict[int, list[Measurement]] = defaultdict(list)
    measured = Measurement.objects.filter(
        run__in=[run.pk for run in newest.values()], subject=TECHNIQUE, measure="time", ratio__gt=0
    )
    for figure in measured.exclude(baseline="").defer("samples"):
        figures[figure.run_id].append(figure)
    gains = [gain for run in newest.values() if (gain := _gain(run.implementation, figures[run.pk]))]
    return sorted(gains, key=lambda gain: -(gain.figure.ratio or 0.0))


def _gain(implementation: Implementation, figures: list[Measurement]) -> Gain | None:
    card: dict[str, Any] = implementation.card
    rungs = {rung["name"]: rung for rung in card.get("baselines", []) if rung.get("same_function", True)}
    representative = {one["name"] for one in card.get("workloads", []) if one.get("representative")}
    for role in RANKED_AGAINST:
        here = [
            figure for figure in figures
            if figure.workload in representative and rungs.get(figure.baseline, {}).get("role") == role
        ]  # fmt: skip
        if here:
            least = min(here, key=lambda figure: figure.ratio or 0.0)
            return Gain(implementation, least, rungs[least.baseline]["label"], role)
    return None
