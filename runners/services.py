"""Runs: asking for one, working on one, ending one. The rows are the truth; messages only wake a worker up."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, cast

from celery import current_app
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from papers.models import (
    FINAL_STATES,
    Claim,
    Device,
    DeviceKind,
    Implementation,
    Measurement,
    Paper,
    Run,
    RunMode,
    RunState,
    Verdict,
)
from papers.roles import REQUEST_RUNS, is_operator, may
from papers.services import Actor, SeenPaper, record_paper, store_card_claims, store_record, write_audit
from runners.bench.following import LOG_TAIL_CHARS
from runners.bench.results import Mode, RunRequest, SessionResult
from runners.bench.session import run_session
from runners.cards import Card, all_cards
from runners.devices import only_agents_offer
from runners.leases import Lease, take_run
from runners.quotas import quotas_of

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 2  # a worker that was lost is replaced once; a card that kills workers shall not kill them all
RING_AGAIN_AFTER = timedelta(seconds=15)
CARD_FIELDS = ("kind", "name", "families", "modality", "stage", "training_free")


class RunRefused(Exception):
    """A run that cannot be asked for now; the message is for the person who asked."""


# ── cards ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def sync_cards() -> dict[str, int]:
    """Make papers, claims and implementations say what the cards say; doing it again changes nothing."""
    cards = all_cards()
    counts = {"cards": len(cards), "changed": 0, "retired": 0}
    with transaction.atomic():
        for card in cards.values():
            counts["changed"] += _store_card(card)
        gone = Implementation.objects.filter(retired_at=None).exclude(name__in=list(cards))
        counts["retired"] = gone.update(retired_at=timezone.now())
    return counts


def _store_card(card: Card) -> bool:
    known = Implementation.objects.filter(name=card.name).first()
    hashes = (card.card_hash, card.code_hash)
    if known and not known.retired_at and (known.card_hash, known.code_hash) == hashes:
        return False
    paper, _ = record_paper(SeenPaper(title=card.title, summary=card.summary, arxiv_id=card.arxiv, year=card.year))
    record = {
        "kind": card.kind,
        "name": card.short_name,
        "families": card.families,
        "modality": card.modality,
        "stage": card.stage,
        "training_free": card.training_free,
    }
    version = paper.technique.extractor_version if hasattr(paper, "technique") else "card"
    store_record(paper, record, version, edited=CARD_FIELDS)
    store_card_claims(paper, card.name, card.to_dict()["claims"])
    Implementation.objects.update_or_create(
        name=card.name,
        defaults={
            "paper": paper,
            "card": card.to_dict(),
            "card_hash": card.card_hash,
            "code_hash": card.code_hash,
            "retired_at": None,
        },
    )
    Paper.objects.filter(pk=paper.pk).update(updated_at=timezone.now())
    return True


# ── asking ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def best_device_kind() -> str:
    """A GPU where a worker offers one, else the CPU."""
    gpu = Device.objects.alive().filter(kind=DeviceKind.CUDA).exists()
    return DeviceKind.CUDA if gpu else DeviceKind.CPU


def request_run(
    implementation: Implementation, requester: Actor, device_kind: str = "", mode: str = RunMode.RUN
) -> Run:
    """Queue a verification and wake a worker. Asking twice for what still waits or runs gives the same run.

    Raises: RunRefused where the implementation is retired, no worker offers that kind, its card names nothing to sweep,
    or a quota is used up (told with when it frees).
    """
    if implementation.retired_at:
        raise RunRefused(f"{implementation.name} is retired: its card is no longer part of this installation.")
    kind = device_kind or best_device_kind()
    if kind not in DeviceKind.values:
        raise RunRefused(f"device: {kind!r} is not a kind of device; use one of {', '.join(DeviceKind.values)}.")
    if mode not in RunMode.values:
        raise RunRefused(f"mode: {mode!r} is not a way to run; use one of {', '.join(RunMode.values)}.")
    if mode == RunMode.SWEEP and not implementation.card.get("sweep"):
        raise RunRefused(f"mode: the card of {implementation.name} names no axis to sweep; use run.")
    with transaction.atomic():
        if requester is not None:  # two requests at once shall not both take the last place
            get_user_model().objects.select_for_update().filter(pk__in=[requester.pk]).first()
        mine = Run.objects.open().filter(requester_id=getattr(requester, "pk", None))
        if same := mine.filter(
            implementation=implementation, device_kind=kind, mode=mode, cancel_requested=False
        ).first():
            return same
        if requester is not None:
            for quota in quotas_of(requester, (kind,)):
                if quota.is_full:
                    raise RunRefused(quota.refusal())
        run = Run.objects.create(
            implementation=implementation,
            requester_id=getattr(requester, "pk", None),
            device_kind=kind,
            mode=mode,
            card_hash=implementation.card_hash,
            code_hash=implementation.code_hash,
        )
        write_audit(requester, "request-run", implementation.name, run=run.pk, device=kind, mode=mode)
        transaction.on_commit(lambda: ring(run.pk, kind))
    return run


def cancel_run(run: Run, actor: Actor) -> bool:
    """End a run that waits at once, ask a running one to stop. False if it had ended already."""
    now = timezone.now()
    with transaction.atomic():
        waiting = Run.objects.filter(pk=run.pk, state=RunState.QUEUED).update(
            state=RunState.CANCELLED, finished_at=now, cancel_requested=True, phase=""
        )
        asked = waiting or Run.objects.filter(pk=run.pk, state=RunState.RUNNING).update(cancel_requested=True)
        if asked:
            write_audit(actor, "cancel-run", str(run.pk))
    return bool(asked)


def may_cancel(run: Run, user: Any) -> bool:
    """Whoever asked for it, and operators."""
    own = run.requester_id == user.pk and may(user, REQUEST_RUNS)
    return bool(user.is_authenticated and not run.is_final and (is_operator(user) or own))


def queue_for(kind: str) -> str:
    return f"runs-{kind}" if kind != DeviceKind.CUDA else str(settings.GPU_QUEUES[0])


def ring(run_id: int, kind: str) -> None:
    """Wake a worker. A broker that is away costs nothing but time: the reaper rings again.

    Where only agents offer that kind of device nobody would ever take the message; they come and ask by themselves.
    """
    Run.objects.filter(pk=run_id).update(rung_at=timezone.now())
    if only_agents_offer(kind):
        return
    try:
        current_app.send_task("runners.execute_run", args=[run_id], queue=queue_for(kind), expires=120, retry=False)
    except Exception as fault:  # every transport raises its own kind; the run stays queued whatever it was
        logger.warning("run %s stays queued, the broker did not answer: %s", run_id, fault)


# ── working ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def execute_run(run_id: int, device: Device, session: Callable[..., SessionResult] = run_session) -> None:
    """Do one run, if it still waits and the device is free, and then wake a worker for the next."""
    run = take_run(run_id, device)
    if run is None:
        return
    lease = Lease(run)
    request = RunRequest(
        card_name=run.implementation.name,
        device=device.kind,
        mode=cast(Mode, run.mode),
        wall_limit_s=settings.RUN_WALL_LIMIT_S,
    )
    try:
        result = session(request, lease.note, lease.should_stop)
        finish_run(run, result)
    except Exception as fault:
        logger.exception("run %s: the harness itself failed", run_id)
        fail_run(
            run, "harness-fault", f"The harness failed: {type(fault).__name__}. The operator's log has the details."
        )
        raise
    finally:
        ring_next(device.kind)


def finish_run(run: Run, result: SessionResult, digest: str | None = None) -> bool:
    """Store a session's outcome, all of it or nothing. False if the run was given to another worker meanwhile.

    `digest` is what the records are known by, where they came from another machine and must not come twice.
    """
    failure = result.failure
    state = RunState.FAILED if failure else RunState.FINISHED
    if failure and failure.reason == "cancelled":
        state = RunState.CANCELLED
    elif failure and failure.reason in {"incorrect", "unsupported"}:
        state = RunState.FINISHED  # the run did its work: what it found is the result
    with transaction.atomic():
        mine = Run.objects.filter(pk=run.pk, lease_token=run.lease_token, state=RunState.RUNNING)
        ended = mine.update(
            state=state,
            status=result.status,
            finished_at=timezone.now(),
            lease_until=None,
            phase="",
            progress=1.0,
            failure_reason=failure.reason if failure else "",
            failure_detail=failure.detail if failure else "",
            log_tail=result.log_tail[-LOG_TAIL_CHARS:],
            environment=result.environment,
            records=result.records,
            skipped=result.skipped,
            harness_version=result.harness_version,
            seed=result.seed,
            import_digest=digest,
        )
        if not ended:
            return False
        if state == RunState.FINISHED:
            _store_findings(run, result)
    return True


def _store_findings(run: Run, result: SessionResult) -> None:
    Measurement.objects.bulk_create(
        Measurement(
            run=run,
            workload=m.workload,
            subject=m.subject,
            baseline=m.baseline,
            measure=m.measure,
            unit=m.unit,
            scope=m.scope,
            median=m.median,
            low=m.low,
            high=m.high,
            samples=list(m.samples),
            ratio=m.ratio,
            ratio_low=m.ratio_low,
            ratio_high=m.ratio_high,
            pairs=m.pairs,
            band=m.band,
            cap_reached=m.cap_reached,
        )
        for m in result.measurements
    )
    keys = {f"{run.implementation.name}/{j.claim_key}": j for j in result.judgements}
    claims = {c.card_key: c for c in Claim.objects.filter(card_key__in=list(keys))}
    Verdict.objects.bulk_create(
        Verdict(
            claim=claims[key],
            run=run,
            outcome=j.outcome,
            ratio=j.ratio,
            low=j.low,
            high=j.high,
            workload=j.workload or "",
            baseline=j.baseline or "",
            reason=j.reason,
            hardware_note=j.hardware_note or "",
        )
        for key, j in keys.items()
        if key in claims
    )


def fail_run(run: Run, reason: str, detail: str) -> bool:
    """End a running run as failed, if this worker still holds it."""
    return bool(
        Run.objects.filter(pk=run.pk, lease_token=run.lease_token, state=RunState.RUNNING).update(
            state=RunState.FAILED,
            finished_at=timezone.now(),
            lease_until=None,
            failure_reason=reason,
            failure_detail=detail,
        )
    )


def ring_next(kind: str) -> None:
    """Wake a worker for the run of this kind that has waited longest."""
    waiting = Run.objects.filter(state=RunState.QUEUED, device_kind=kind).order_by("id").values_list("pk", flat=True)
    if (next_id := waiting.first()) is not None:
        ring(next_id, kind)


# ── reaping ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def reap(now: datetime | None = None) -> dict[str, int]:
    """Give runs of lost workers to others, end those that lost too many, and ring again for messages that were lost."""
    now = now or timezone.now()
    counts = {"requeued": 0, "failed": 0, "rung": 0}
    for run in Run.objects.expired(now):
        held = Run.objects.filter(pk=run.pk, state=RunState.RUNNING, lease_token=run.lease_token, lease_until__lt=now)
        if run.cancel_requested:
            held.update(state=RunState.CANCELLED, finished_at=now, lease_until=None, lease_token="")
        elif run.attempts >= MAX_ATTEMPTS:
            counts["failed"] += held.update(
                state=RunState.FAILED,
                finished_at=now,
                lease_until=None,
                lease_token="",
                failure_reason="lost",
                failure_detail=f"The worker was lost {run.attempts} times while it ran this; it was not tried again.",
            )
        else:
            counts["requeued"] += held.update(
                state=RunState.QUEUED,
                lease_until=None,
                lease_token="",
                rung_at=None,
                phase="waiting for another worker: the last one was lost",
                progress=0.0,
            )
    silent = Q(rung_at=None) | Q(rung_at__lt=now - RING_AGAIN_AFTER)
    for kind in DeviceKind.values:
        # One doorbell for each kind is enough: whoever ends a run rings for the next one.
        first = Run.objects.filter(silent, state=RunState.QUEUED, device_kind=kind).order_by("id").first()
        if first is not None:
            ring(first.pk, kind)
            counts["rung"] += 1
    return counts


def runs_are_final(run_ids: list[int]) -> bool:
    return not Run.objects.filter(pk__in=run_ids).exclude(state__in=FINAL_STATES).exists()
