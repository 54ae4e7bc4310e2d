"""The regression watch: what was measured over time, since when a gain is gone, and what should be run again."""

import importlib.metadata
from collections.abc import Iterator
from typing import Any

from django.db import transaction
from django.utils import timezone

from papers.models import Device, DeviceKind, Implementation, Measurement, Regression, Run, RunState
from papers.services import write_audit
from runners.bench.watch import Past, is_due, no_longer_faster, versions_of
from runners.services import RunRefused, request_run

Key = tuple[str, str, str]
UNKNOWN_BAND = 0.02


def histories(implementation: Implementation) -> dict[Key, list[Past]]:
    """By device, workload and rung the technique's ratios in finished runs, oldest first; points of sweeps are left out."""
    found: dict[Key, list[Past]] = {}
    timed = (
        Measurement.objects.filter(
            run__implementation=implementation, run__state=RunState.FINISHED, subject="technique", measure="time",
            ratio__gt=0, ratio_low__gt=0, run__device__isnull=False,
        )
        .exclude(baseline="")
        .exclude(workload__contains="[")
        .select_related("run__device")
        .defer("samples", "run__records", "run__log_tail")
        .order_by("run__finished_at", "run_id")
    )  # fmt: skip
    for each in timed:
        run = each.run
        versions = versions_of(
            run.environment, harness=run.harness_version, card=run.card_hash[:12], code=run.code_hash[:12]
        )
        past = Past(
            run.pk, each.ratio or 1.0, each.ratio_low or 1.0, each.ratio_high or each.ratio or 1.0,
            UNKNOWN_BAND if each.band is None else each.band, versions,
        )  # fmt: skip
        device = str(run.device)
        found.setdefault((device, each.workload, each.baseline), []).append(past)
    return found


def mark_regressions(implementation: Implementation) -> dict[str, int]:
    """Write down which gains are gone, and the end of those that came back. Doing it again changes nothing."""
    counts = {"found": 0, "ended": 0}
    lost = {key: gone for key, past in histories(implementation).items() if (gone := no_longer_faster(past))}
    labels = {rung["name"]: rung.get("label") or rung["name"] for rung in implementation.card.get("baselines", [])}
    with transaction.atomic():
        for held in Regression.objects.current().filter(implementation=implementation):
            key = (held.device_name, held.workload, held.baseline)
            gone = lost.get(key)
            if gone and gone.run == held.since_run_id:
                del lost[key]
                continue
            Regression.objects.filter(pk=held.pk).update(ended_at=timezone.now())
            counts["ended"] += 1
        for (device, workload, rung), gone in lost.items():
            found = Regression.objects.create(
                implementation=implementation,
                since_run_id=gone.run,
                device_name=device,
                workload=workload,
                baseline=rung,
                ratio_before=gone.before,
                ratio_after=gone.after,
                changes={name: list(pair) for name, pair in gone.changes.items()},
                sentence=gone.sentence(labels.get(rung, rung))[:400],
            )
            write_audit(None, "mark-regression", implementation.name, sentence=found.sentence)
            counts["found"] += 1
    return counts


def watch() -> dict[str, int]:
    """Mark what changed in every history, and queue at most one run for each kind of device whose versions moved on."""
    counts = {"found": 0, "ended": 0, "queued": 0}
    for implementation in Implementation.objects.filter(retired_at=None):
        for name, number in mark_regressions(implementation).items():
            counts[name] += number
    for kind in DeviceKind.values:
        counts["queued"] += _queue_one(kind)
    return counts


def _queue_one(kind: str) -> int:
    """Queue the first implementation that is due on this kind of device, unless something is being run there anyway."""
    device = Device.objects.alive().filter(kind=kind).order_by("-last_seen_at").first()
    if device is None or Run.objects.open().filter(device_kind=kind).exists():
        return 0
    for implementation, changes in due(device):
        try:
            run = request_run(implementation, None, kind)
        except RunRefused:
            continue
        write_audit(None, "rerun", implementation.name, run=run.pk, changes={k: list(v) for k, v in changes.items()})
        return 1
    return 0


def due(device: Device) -> Iterator[tuple[Implementation, dict[str, tuple[str, str]]]]:
    """Implementations that ran on the device before and whose card, code, torch or driver has changed since.

    The newest run counts whatever became of it, so that one which fails is not tried for ever. Never run is not due:
    that is for a person to ask.
    """
    here = _versions_here(device)
    for implementation in Implementation.objects.filter(retired_at=None):
        last = (
            Run.objects.filter(implementation=implementation, device=device)
            .exclude(state=RunState.CANCELLED)
            .defer("records", "log_tail")
            .order_by("-id")
            .first()
        )
        if last is None:
            continue
        hashes = {"card": implementation.card_hash[:12], "code": implementation.code_hash[:12]}
        ran_with = versions_of(last.environment, card=last.card_hash[:12], code=last.code_hash[:12])
        if changes := is_due(ran_with, {**here, **hashes}):
            yield implementation, changes


def _versions_here(device: Device) -> dict[str, Any]:
    """Versions that a run on this machine would have, told without importing torch."""
    found = {"driver": device.driver}
    for package in ("torch", "triton"):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {name: value for name, value in found.items() if value}
