"""How long a run will wait: from how long the same took before, and how many workers of its kind are there."""

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from django.utils import timezone

from papers.models import Device, DeviceKind, Run, RunState, heavy_fields

REMEMBERED = 400  # finished runs that are looked back on

Kind = tuple[int, str, str]
"""What has a usual duration: an implementation, a kind of device, a mode."""


@dataclass(frozen=True)
class Wait:
    """ahead: open runs of the kind that were asked for earlier. wait_s, takes_s: expected seconds; None where unknown."""

    run: Run
    ahead: int
    workers: int
    wait_s: float | None
    takes_s: float | None

    @property
    def sentence(self) -> str:
        if not self.workers:
            return f"no {_worker_of(self.run.device_kind)} is alive: it waits until one starts"
        if self.wait_s is None:
            return "the wait is unknown: something ahead of it has never finished here before"
        return ""


def _worker_of(kind: str) -> str:
    return "GPU worker" if kind == DeviceKind.CUDA else "CPU worker"


def queue(now: datetime | None = None) -> list[Wait]:
    """Every open run, those that run first, then those that wait in their order. Three queries however many there are."""
    now = now or timezone.now()
    found = Run.objects.open().select_related("implementation__paper", "device", "requester").defer(*heavy_fields())
    runs = sorted(found, key=lambda run: (run.state != RunState.RUNNING, run.pk))
    return expected(runs, usual_durations(runs), _workers(), now) if runs else []


def wait_of(run: Run) -> Wait | None:
    """What `queue` says of one run that waits."""
    return next((each for each in queue() if each.run.pk == run.pk), None)


def usual_durations(runs: Iterable[Run]) -> dict[Kind, float]:
    """Median seconds that the like of each run took, of those that finished."""
    done = (
        Run.objects.filter(
            state=RunState.FINISHED, started_at__isnull=False, finished_at__isnull=False,
            implementation__in={run.implementation_id for run in runs},
        )
        .order_by("-pk")
        .values_list("implementation", "device_kind", "mode", "started_at", "finished_at")[:REMEMBERED]
    )  # fmt: skip
    seconds: dict[Kind, list[float]] = defaultdict(list)
    for implementation, device_kind, mode, started, finished in done:
        assert started and finished  # noqa: S101, PT018 - only those with both were asked for
        seconds[implementation, device_kind, mode].append((finished - started).total_seconds())
    return {kind: median(each) for kind, each in seconds.items()}


def _workers() -> dict[str, int]:
    alive: dict[str, int] = defaultdict(int)
    for kind in Device.objects.alive().order_by().values_list("kind", flat=True):
        alive[kind] += 1
    return alive


def expected(runs: Sequence[Run], usual: dict[Kind, float], workers: dict[str, int], now: datetime) -> list[Wait]:
    """Each device takes the run that has waited longest. What never finished before lasts for ever, until it has."""
    found: dict[int, Wait] = {}
    for kind in DeviceKind.values:
        mine = [run for run in runs if run.device_kind == kind]
        running = [run for run in mine if run.state == RunState.RUNNING]
        slots = [_left(run, usual, now) for run in running]
        slots += [0.0] * (max(workers.get(kind, 0), len(running)) - len(running))
        heapq.heapify(slots)
        for ahead, run in enumerate(sorted(mine, key=lambda each: (each.state != RunState.RUNNING, each.pk))):
            takes = usual.get(_kind(run))
            wait: float | None = 0.0
            if run.state == RunState.QUEUED:
                free = heapq.heappop(slots) if slots else math.inf
                heapq.heappush(slots, free + (math.inf if takes is None else takes))
                wait = None if math.isinf(free) else free
            found[run.pk] = Wait(run, ahead, workers.get(kind, 0), wait, takes)
    return [found[run.pk] for run in runs]


def _left(run: Run, usual: dict[Kind, float], now: datetime) -> float:
    takes = usual.get(_kind(run))
    if takes is None or run.started_at is None:
        return math.inf
    return max(0.0, takes - (now - run.started_at).total_seconds())


def _kind(run: Run) -> Kind:
    return run.implementation_id, run.device_kind, run.mode
