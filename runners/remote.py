"""Agents: machines that reach the web alone. They take runs, keep them alive and hand them in as workers do, by asking.

An agent is known by its token. Its devices carry that token's number, and a run on one of them is its own for as long as
the row carries the lease that the agent made; everything else is the queue, the leases and the reaper of any worker.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError
from django.db.models import QuerySet
from django.utils import timezone

from papers.models import Device, DeviceKind, Run, RunState
from papers.services import FieldError, write_audit
from runners import services
from runners.bench import HARNESS_VERSION
from runners.bench.results import SessionResult
from runners.card_types import capability_numbers
from runners.devices import OF_AGENTS, register
from runners.handed_in import session_of
from runners.imports import digest_of
from runners.leases import Beat, beat, hand_back, take_run

MOST_DEVICES = 100  # of one owner, those that are gone included
NAMED = 20  # implementations that an answer names
LOOKED_AT = 500  # runs that wait, for each question
SILENT = "this lease is lost: the run ended, was given to another, or never was this token's; drop what you have of it"


class LeaseLost(Exception):
    """The run is not, or no longer, this agent's. The message is for the operator of the agent."""


@dataclass(frozen=True)
class Agent:
    """Who asks: the owner of the token, and the token's number."""

    owner: Any
    token: int

    @property
    def prefix(self) -> str:
        """How the uids of its owner's devices begin here; what follows is the agent's own name for the device."""
        return f"{OF_AGENTS}{self.owner.pk}/"

    def devices(self) -> QuerySet[Device]:
        return Device.objects.filter(uid__startswith=self.prefix, details__token=self.token)

    def own_name(self, device: Device | None) -> str:
        return device.uid.removeprefix(self.prefix) if device else ""


@dataclass(frozen=True)
class Offer:
    """What an agent got: a run, or none; and implementations that wait for a machine that has them as they are here."""

    run: Run | None = None
    other_versions: list[str] = field(default_factory=list)


# ── devices ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def register_devices(agent: Agent, name: str, harness: str, devices: Sequence[Mapping[str, Any]]) -> list[Device]:
    """The rows of a machine's devices, alive from now on. A device moves to another token of its owner while it is idle.

    Raises: FieldError where the harness is another one than here, the device is at work for another token, or there are
    too many.
    """
    if harness != HARNESS_VERSION:
        told = f"{harness!r} is not the version here, {HARNESS_VERSION!r}; bring the agent's checkout to this version"
        raise FieldError("harness_version", told)
    return [_register(agent, name, place, facts) for place, facts in enumerate(devices)]


def _register(agent: Agent, name: str, place: int, facts: Mapping[str, Any]) -> Device:
    uid = agent.prefix + facts["uid"]
    known = Device.objects.filter(uid=uid).first()
    if known is None:
        mine = Device.objects.filter(uid__startswith=agent.prefix).count()
        if mine >= MOST_DEVICES:
            raise FieldError(f"devices[{place}].uid", f"is new, and {MOST_DEVICES} are known already; keep uids stable")
    elif known.kind != facts["kind"]:
        raise FieldError(f"devices[{place}].kind", f"is not what this device was before, {known.kind}")
    elif known.details.get("token") != agent.token and _at_work(known):
        raise FieldError(f"devices[{place}].uid", "is at work for an agent with another token; end that one first")
    details = {"token": agent.token, "agent": name}
    device = register({**facts, "uid": uid, "details": details})
    if known is None or known.details.get("token") != agent.token:
        write_audit(agent.owner, "offer-device", device.name, device=device.pk, kind=device.kind, agent=name)
    return device


def _at_work(device: Device) -> bool:
    return Run.objects.filter(device=device, state=RunState.RUNNING).exists()


# ── taking ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def lease_oldest(agent: Agent, lease: str, uids: Sequence[str], versions: Mapping[str, Sequence[str]]) -> Offer:
    """The oldest run that waits for a device of this agent and for an implementation that it has as it is here.

    `lease` is the agent's own word, new for each run: asked again with it, because an answer was lost, it gets the same.
    `versions`: by implementation its card hash and code hash there. Raises: LeaseLost where a device is not this token's.
    """
    wanted = [agent.prefix + uid for uid in uids]
    devices = list(agent.devices().filter(uid__in=wanted))
    if not devices or len(devices) < len(set(wanted)):
        raise LeaseLost("a device is not registered with this token; register it again")
    now = timezone.now()
    Device.objects.filter(pk__in=[each.pk for each in devices]).update(last_seen_at=now)
    if Run.objects.expired(now).exists():  # no worker and no beat may be there to see it
        services.reap(now)
    mine = Run.objects.select_related("implementation", "device").filter(device__in=devices, state=RunState.RUNNING)
    if again := mine.filter(lease_token=lease).first():
        return Offer(again)
    busy = set(mine.values_list("device_id", flat=True))
    return _oldest_of([each for each in devices if each.pk not in busy], lease, versions)


def _oldest_of(free: list[Device], lease: str, versions: Mapping[str, Sequence[str]]) -> Offer:
    waiting = Run.objects.filter(state=RunState.QUEUED, device_kind__in={each.kind for each in free})
    others: dict[str, None] = {}
    for run in waiting.select_related("implementation").defer("records", "log_tail").order_by("id")[:LOOKED_AT]:
        made = run.implementation
        if made.retired_at or tuple(versions.get(made.name, ())) != (made.card_hash, made.code_hash):
            others[made.name] = None
            continue
        for device in free:
            if device.kind == run.device_kind and suits(device, made.card.get("needs") or {}):
                taken = take_run(run.pk, device, lease, seed=secrets.randbelow(2**31))
                if taken is not None:
                    return Offer(taken, list(others)[:NAMED])
    return Offer(None, list(others)[:NAMED])


def suits(device: Device, needs: Mapping[str, Any]) -> bool:
    """Whether the device has what a card needs, or no device that is alive has: then the harness says so, as a result."""
    if device.kind != DeviceKind.CUDA or _has(device, needs):
        return True
    return not any(_has(other, needs) for other in Device.objects.alive().filter(kind=device.kind))


def _has(device: Device, needs: Mapping[str, Any]) -> bool:
    memory, capability = needs.get("memory_gib"), str(needs.get("cuda_capability") or "")
    if memory and device.memory_bytes and device.memory_bytes < float(memory) * 2**30:
        return False
    known = bool(capability and device.capability)
    return not known or capability_numbers(device.capability) >= capability_numbers(capability)


# ── working ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def keep_alive(agent: Agent, run_id: int, lease: str, *, phase: str, progress: float, log_tail: str) -> Beat:
    """Another term for the lease, and whether the run is to stop. Raises: LeaseLost."""
    run = _held(agent, run_id, lease)
    answer = beat(run.pk, lease, phase=phase, progress=progress, log_tail=log_tail)
    if answer.lost:
        raise LeaseLost(SILENT)
    agent.devices().filter(runs=run).update(last_seen_at=timezone.now())
    return answer


def give_back(agent: Agent, run_id: int, lease: str) -> bool:
    """Let another take the run; False where it is to be stopped, and has to be handed in as such. Raises: LeaseLost."""
    run = _held(agent, run_id, lease)
    assert run.device is not None  # noqa: S101 - a run that is held has one
    if hand_back([run.pk], run.device, lease):
        write_audit(agent.owner, "give-back-run", run.implementation.name, run=run.pk)
        return True
    if not Run.objects.filter(pk=run.pk, state=RunState.RUNNING, lease_token=lease).exists():
        raise LeaseLost(SILENT)
    return False


def _held(agent: Agent, run_id: int, lease: str) -> Run:
    """The run, if it is on a device of this token and carries this lease, ended or not. Raises: LeaseLost."""
    runs = Run.objects.select_related("implementation", "device").filter(device__in=agent.devices())
    found = runs.filter(pk=run_id, lease_token=lease).first() if lease else None
    if found is None:
        raise LeaseLost(SILENT)
    return found


# ── ending ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def hand_in(
    agent: Agent, run_id: int, lease: str, *, records: Sequence[Any], skipped: Sequence[dict[str, str]], log_tail: str
) -> Run:
    """Store what the harness found, whole or not at all. The same once more changes nothing and is answered the same.

    Raises: LeaseLost; FieldError where something is not of this run, which is written down.
    """
    run = _held(agent, run_id, lease)
    digest = _digest(records)
    if run.state != RunState.RUNNING:
        return _same(run, run.import_digest == digest)
    try:
        result = session_of(run, records, skipped, log_tail)
        if other := Run.objects.filter(import_digest=digest).exclude(pk=run.pk).values_list("pk", flat=True).first():
            raise FieldError("records", f"are those of run {other}, which were handed in before")
    except FieldError as fault:
        write_audit(agent.owner, "refuse-result", run.implementation.name, run=run.pk, why=str(fault)[:400])
        raise
    if not _finish(run, result, digest):
        run = _held(agent, run_id, lease)
        return _same(run, run.import_digest == digest)
    write_audit(agent.owner, "hand-in-run", run.implementation.name, run=run.pk, device=run.device_id)
    services.ring_next(run.device_kind)
    run.refresh_from_db()
    return run


def _digest(records: Sequence[Any]) -> str:
    """What a session is known by; also of what is no record, which is refused afterwards."""
    try:
        return digest_of(records)
    except (TypeError, ValueError):
        return hashlib.sha256(json.dumps(records, sort_keys=True, default=str).encode()).hexdigest()


def _finish(run: Run, result: SessionResult, digest: str) -> bool:
    """Raises: FieldError where the very same records came for another run at the same moment."""
    try:
        return services.finish_run(run, result, digest)
    except IntegrityError:
        if Run.objects.filter(import_digest=digest).exclude(pk=run.pk).exists():
            raise FieldError("records", "were handed in for another run") from None
        raise


def give_up(agent: Agent, run_id: int, lease: str, reason: str, detail: str) -> Run:
    """End the run as failed, where the harness itself failed and there are no records. Raises: LeaseLost."""
    run = _held(agent, run_id, lease)
    if run.state == RunState.RUNNING and services.fail_run(run, reason, detail):
        write_audit(agent.owner, "hand-in-run", run.implementation.name, run=run.pk, failure=reason)
        services.ring_next(run.device_kind)
        run.refresh_from_db()
        return run
    run = _held(agent, run_id, lease)
    return _same(run, run.state == RunState.FAILED and (run.failure_reason, run.failure_detail) == (reason, detail))


def _same(run: Run, is_same: bool) -> Run:
    if not is_same:
        raise LeaseLost(f"run {run.pk} has ended already, as {run.state}, with something else than this")
    return run
