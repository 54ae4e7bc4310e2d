"""What was measured, for pages of other apps: the essence, and where the rest of it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import template

from papers.models import Implementation, Measurement, Run
from papers.templatetags.figures import Scale, scale_of
from runners.measured import Measured, OnDevice, Workload, first_of, measured_of
from runners.sweep_picture import Picture, pareto, picture

register = template.Library()
LISTED_RUNS = 12


@dataclass(frozen=True)
class Glance:
    """What one device says of an implementation, at a glance. `scale` is shared by the bars of the ladder."""

    found: OnDevice
    work: Workload | None
    scale: Scale
    memory: Measurement | None
    crossovers: list[tuple[str, str]]
    picture: Picture | None
    pareto: Picture | None


@register.simple_tag
def measured_by_key(implementations: Sequence[Implementation]) -> dict[int, Measured]:
    return measured_of(list(implementations))


@register.filter
def glances(found: Measured | str) -> list[Glance]:
    """A glance at each device that timed something; GPUs alone, where there are any."""
    if not isinstance(found, Measured):
        return []
    timed = [one for one in found.devices if one.workloads or one.curves]
    return [_glance(one, found.implementation.card) for one in [each for each in timed if each.decides] or timed]


@register.filter
def newest_runs(found: Mapping[int, Measured]) -> list[Run]:
    """The last runs of all of them, whatever became of them."""
    runs = [run for one in found.values() for run in one.runs]
    return sorted(runs, key=lambda run: run.pk, reverse=True)[:LISTED_RUNS]


@register.filter
def others(found: Measured | str) -> list[OnDevice]:
    """Devices that `glances` leaves out: CPUs beside GPUs, and those where answers were checked and nothing timed."""
    if not isinstance(found, Measured):
        return []
    shown = [glance.found for glance in glances(found)]
    return [one for one in found.devices if one not in shown]


def _glance(one: OnDevice, card: Mapping[str, Any]) -> Glance:
    work = one.representative or (one.workloads[0] if one.workloads else None)
    ladder = [rung.figure for rung in work.ladder] if work else []
    return Glance(
        found=one,
        work=work,
        scale=scale_of(end for figure in ladder for end in (figure.ratio, figure.ratio_low, figure.ratio_high)),
        memory=first_of(work, "peak_memory", dict(card)) if work else None,
        crossovers=[(curve.label, curve.says(one.axis)) for curve in one.curves],
        picture=picture(one.curves),
        pareto=pareto(one.curves),
    )
