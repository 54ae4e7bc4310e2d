"""The lease on a run: taking it, keeping it alive, giving it up. Workers and agents hold one alike, and it is the row's.

Whoever took a run writes only while the row carries the token of its lease; the reaper takes it from one that is silent.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from papers.models import Device, Run, RunState
from runners.bench.following import LOG_TAIL_CHARS, PHASE_CHARS, Followed
from runners.bench.results import Event


def take_run(run_id: int, device: Device, token: str = "", seed: int | None = None) -> Run | None:
    """Become the one worker of a queued run on a device that is free; None if either is not so.

    The run is of the card and code that are here now, whatever they were when it was asked for. `token` is made here
    where none is given; `seed` is kept with the run for one that must answer with it.
    """
    now = timezone.now()
    token = token or str(uuid.uuid4())
    try:
        with transaction.atomic():
            taken = Run.objects.filter(pk=run_id, state=RunState.QUEUED).update(
                state=RunState.RUNNING,
                device=device,
                lease_token=token,
                lease_until=now + timedelta(seconds=settings.RUN_LEASE_S),
                started_at=now,
                heartbeat_at=now,
                phase="starting",
                progress=0.0,
                log_tail="",
            )
            if not taken:
                return None
            run = Run.objects.select_related("implementation").get(pk=run_id)
            run.attempts += 1
            run.seed = seed
            run.card_hash, run.code_hash = run.implementation.card_hash, run.implementation.code_hash
            run.save(update_fields=["attempts", "seed", "card_hash", "code_hash"])
    except IntegrityError:  # the device runs something else; whoever ends that rings for this one
        return None
    return run


@dataclass(frozen=True)
class Beat:
    """What a heartbeat was answered: whether the lease is lost, and else whether the run is to stop."""

    lost: bool
    cancelled: bool


def beat(run_id: int, token: str, *, phase: str, progress: float, log_tail: str) -> Beat:
    """Keep a lease alive for another term, with what is to be shown meanwhile."""
    now = timezone.now()
    mine = Run.objects.filter(pk=run_id, lease_token=token, state=RunState.RUNNING)
    kept = mine.update(
        heartbeat_at=now,
        lease_until=now + timedelta(seconds=settings.RUN_LEASE_S),
        phase=phase[:PHASE_CHARS],
        progress=progress,
        log_tail=log_tail[-LOG_TAIL_CHARS:],
    )
    return Beat(lost=not kept, cancelled=bool(kept) and mine.filter(cancel_requested=True).exists())


class Lease:
    """What a worker holds while it works on a run; lost when the row no longer carries its token."""

    def __init__(self, run: Run) -> None:
        self.run_id, self.token = run.pk, run.lease_token
        self.lost = self.cancelled = False
        self._written_at: datetime | None = None
        self._followed = Followed()

    def note(self, event: Event) -> None:
        """Take in one event of the child; write to the database at most once a second."""
        seen = self._followed
        seen.note(event)
        now = timezone.now()
        if self._written_at is None or now - self._written_at >= timedelta(seconds=1):
            self._written_at = now
            answer = beat(self.run_id, self.token, phase=seen.phase, progress=seen.progress, log_tail=seen.log)
            self.lost, self.cancelled = answer.lost, answer.cancelled

    def should_stop(self) -> bool:
        return self.lost or self.cancelled


def hand_back(run_ids: list[int], device: Device, token: str | None = None) -> int:
    """Let others take the runs that a worker which has to stop still holds; it is no attempt that failed.

    The worker's lease loses its token with this, so its child is stopped and what it found is not stored. Nobody rings
    here, nor for a while: the worker that stops might still hear it. The reaper of a living one does later.
    """
    handed = 0
    for run_id in run_ids:
        held = Run.objects.filter(pk=run_id, device=device, state=RunState.RUNNING, cancel_requested=False)
        if token is not None:
            held = held.filter(lease_token=token)
        handed += held.update(
            state=RunState.QUEUED,
            lease_until=None,
            lease_token="",
            rung_at=timezone.now(),
            attempts=F("attempts") - 1,
            phase="waiting for another worker: the last one was stopped",
            progress=0.0,
        )
    return handed
