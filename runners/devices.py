"""The device that this worker measures on: found without importing torch, registered, and kept alive by a heartbeat."""

import logging
import os
import platform
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import close_old_connections, transaction
from django.utils import timezone

from papers.models import Device, DeviceKind
from runners.bench.records import ceilings_problem
from runners.bench.session import measure_ceilings

logger = logging.getLogger(__name__)

HEARTBEAT_S = 10.0
GPU_QUERY = ("uuid", "name", "memory.total", "compute_cap", "driver_version")


class NoDevice(RuntimeError):
    """The device that the settings name is not on this machine."""


def own_device() -> Device:
    """The device of this worker, registered now.

    Raises: NoDevice where DEVICE=cuda and the driver shows no GPU.
    """
    return register(find_facts(settings.DEVICE))


def find_facts(kind: str) -> dict[str, Any]:
    """What this machine says of its device of that kind, as fields of Device."""
    if kind == DeviceKind.CUDA:
        return _gpu_facts()
    if kind == DeviceKind.CPU:
        return _cpu_facts()
    raise NoDevice(f"DEVICE={kind!r}: use one of {', '.join(DeviceKind.values)}")


def register(facts: dict[str, Any]) -> Device:
    """Stores what was found and that the device is alive; what was measured on it before stays."""
    known = Device.objects.filter(uid=facts["uid"]).values_list("details", flat=True).first() or {}
    details = {**known, **facts.get("details", {})}
    device, _ = Device.objects.update_or_create(
        uid=facts["uid"], defaults={**facts, "details": details, "last_seen_at": timezone.now()}
    )
    return device


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


def _host() -> str:
    return os.environ.get("DEVICE_HOST") or socket.gethostname()


def _cpu_facts() -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    info = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    name = model[1].strip() if model else platform.processor() or platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "uid": f"{_host()}/cpu",
        "kind": DeviceKind.CPU,
        "name": f"{name}, {cores} cores",
        "memory_bytes": memory,
        "details": {"cores": cores, "host": _host()},
    }


def _gpu_facts() -> dict[str, Any]:
    if shutil.which("nvidia-smi") is None:
        raise NoDevice("DEVICE=cuda, but nvidia-smi is not on the path; install the driver or set DEVICE=cpu")
    index = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0] or "0"
    query = ["nvidia-smi", f"--query-gpu={','.join(GPU_QUERY)}", "--format=csv,noheader,nounits", "-i", index]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    if answer.returncode:
        raise NoDevice(f"DEVICE=cuda, but the driver shows no GPU: {(answer.stdout or answer.stderr).strip()[:200]}")
    uuid, name, memory_mib, capability, driver = (part.strip() for part in answer.stdout.splitlines()[0].split(","))
    return {
        "uid": f"{_host()}/{uuid}",
        "kind": DeviceKind.CUDA,
        "name": name,
        "memory_bytes": int(float(memory_mib) * 2**20),
        "capability": capability,
        "driver": driver,
        "details": {"index": index, "host": _host()},
    }


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
