"""What a machine says of the device that it measures on, without torch and without Django."""

from __future__ import annotations

import os
import platform
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

KINDS = ("cpu", "cuda")
GPU_QUERY = ("uuid", "name", "memory.total", "compute_cap", "driver_version")


class NoDevice(RuntimeError):
    """The device that is asked for is not on this machine."""


def find_facts(kind: str) -> dict[str, Any]:
    """What this machine says of its device of that kind: uid, kind, name, memory_bytes, capability, driver, details.

    Raises: NoDevice where the kind is unknown, or is cuda and the driver shows no GPU.
    """
    if kind == "cuda":
        return _gpu_facts()
    if kind == "cpu":
        return _cpu_facts()
    raise NoDevice(f"DEVICE={kind!r}: use one of {', '.join(KINDS)}")


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
        "kind": "cpu",
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
        "kind": "cuda",
        "name": name,
        "memory_bytes": int(float(memory_mib) * 2**20),
        "capability": capability,
        "driver": driver,
        "details": {"index": index, "host": _host()},
    }
