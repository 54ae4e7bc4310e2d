"""The device that this worker measures on: found without importing torch, registered, and kept alive by a heartbeat."""

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import close_old_connections, transaction
from django.utils import timezone

from papers.models import Device, DeviceKind
from runners.bench.records import ceilings_problem
from runners.bench.session import measure_ceilings
from runners.facts import NoDevice, find_facts

logger = logging.getLogger(__name__)

HEARTBEAT_S = 10.0
OF_AGENTS = "agent:"
"""How the uid of a device begins that an agent offers; no worker's does, since a host's name holds no colon."""


def own_device() -> Device:
    """The device of this worker, registered now.

    Raises: NoDevice where DEVICE=cuda and the driver shows no GPU.
    """
    return register(find_facts(settings.DEVICE))


def register(facts: dict[str, Any]) -> Device:
    """Stores what was found and that the device is alive; what was measured on it before stays."""
    known = Device.objects.filter(uid=facts["uid"]).values_list("details", flat=True).first() or {}
    details = {**known, **facts.get("details", {})}
    device, _ = Device.objects.update_or_create(
        uid=facts["uid"], defaults={**facts, "details": details, "last_seen_at": timezone.now()}
    )
    return device


def only_agents_offer(kind: str) -> bool:
    """Whether devices of that kind are alive, and all of them are of agents, which hear no message of the broker."""
    alive = Device.objects.alive().filter(kind=kind)
    return alive.exists() and not alive.exclude(uid__startswith=OF_AGENTS).exists()


def store_ceilings(device: Device, rows: Sequence[Mapping[str, Any]], environment: Mapping[str, Any]) -> None:
    """Keeps what the device can do, rows of name, value and unit, with the versions that they were measured with.

    Raises: ValueError that names the row which is not one.
    """
    if problem := ceilings_problem(list(rows)):
        raise ValueError(problem)
    with transaction.atomic():
        held = Device.objects.select_for_update().get(pk=device.pk)
        versions = {key: environment[key] for key in ("torch", "cuda", "driver") if environment.get(key)}
        held.details = {**held.details, "ceilings": [dict(row) for row in rows], "ceilings_of": versions}
        held.save(update_fields=["details"])
    device.details = held.details


def measure_ceilings_once(device: Device) -> bool:
    """Measures what a GPU can do, unless that is known; False where nothing was measured.

    A CPU's are left to the self-test: measuring would keep a small machine busy, and no advice is drawn from them.
    """
    if device.kind != DeviceKind.CUDA or device.details.get("ceilings"):
        return False
    findings, failure = measure_ceilings(device.kind, lambda event: None)
    if failure is not None:
        logger.warning("what %s can do was not measured: %s: %s", device, failure.reason, failure.detail)
        return False
    store_ceilings(device, findings.ceilings, findings.environment)
    return True


def start_heartbeat() -> threading.Thread:
    """Register this worker's device now and then, and reap: with no beat process, any worker finds the lost runs."""
    thread = threading.Thread(target=_beat, name="device-heartbeat", daemon=True)
    thread.start()
    return thread


def _beat() -> None:
    from runners.services import reap

    pause = threading.Event()
    while True:
        try:
            close_old_connections()
            own_device()
            reap()
        except NoDevice as fault:
            logger.error("%s", fault)
        except Exception:  # the heart must not stop for a database that is away for a minute
            logger.exception("heartbeat failed; it goes on")
        pause.wait(HEARTBEAT_S)
