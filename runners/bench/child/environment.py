"""What a figure depends on besides the code: device, driver, versions, settings, isolation. No path of the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from runners.bench.child.devices import Device

PACKAGES = ("triton", "numpy", "cuda-python", "flash-attn", "xformers", "bitsandbytes")
VARIABLES = re.compile(
    r"^(OMP|MKL|KMP|GOMP|OPENBLAS|CUDA|CUBLAS|CUDNN|NVIDIA|NCCL|PYTORCH|TORCH|TORCHINDUCTOR|TRITON|MALLOC|LD_PRELOAD)"
)


def describe(device: Device, isolation: dict[str, str]) -> dict[str, Any]:
    """JSON-ready facts for the record."""
    return {
        **device.facts(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "torch": torch.__version__,
        "triton": _version("triton"),
        "triton_interpreter": os.environ.get("TRITON_INTERPRET") == "1",
        **isolation,
        "executable": os.path.basename(sys.executable),  # noqa: PTH119  the name alone, no path of this machine
        "driver": _driver(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "cores": _cores(),
        "settings": _settings(),
        "variables": {
            name: value
            for name, value in sorted(os.environ.items())
            if VARIABLES.match(name) and "/" not in value and len(value) < 100
        },
        "build": _build(),
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _driver() -> str:
    text = _read(Path("/proc/driver/nvidia/version"))
    found = re.search(r"\b(\d{3}\.\d+(\.\d+)?)\b", text)
    return found[1] if found else ""


def _cores() -> dict[str, Any]:
    """How many cores the process may use, by whom that is limited, and how their clock is governed."""
    quota = _read(Path("/sys/fs/cgroup/cpu.max")).split()
    facts: dict[str, Any] = {
        "usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "governor": _read(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")).strip(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
    }
    if len(quota) == 2 and quota[0].isdigit():
        facts["quota"] = round(int(quota[0]) / int(quota[1]), 2)
    return {name: value for name, value in facts.items() if value not in ("", None)}


def _settings() -> dict[str, Any]:
    readers: dict[str, Callable[[], Any]] = {
        "float32_matmul_precision": torch.get_float32_matmul_precision,
        "threads": torch.get_num_threads,
        "interop_threads": torch.get_num_interop_threads,
        "deterministic": torch.are_deterministic_algorithms_enabled,
        "cudnn_benchmark": lambda: torch.backends.cudnn.benchmark,
        "cudnn": torch.backends.cudnn.version,
        "mkldnn": torch.backends.mkldnn.is_available,
    }
    found = {}
    for name, reader in readers.items():
        try:
            value = reader()
        except (RuntimeError, AttributeError):
            continue  # a setting that this version or build of torch does not have
        if value is not None:
            found[name] = value
    return found


def _build() -> dict[str, str]:
    """What torch was built with, from its own description: the libraries, and the instructions that it found here."""
    text = torch.__config__.show()
    names = {"blas": r"BLAS_INFO=(\w+)", "cpu_capability": r"CPU capability usage: (\S+)", "compiler": r"(GCC [\d.]+)"}
    return {name: found[1] for name, pattern in names.items() if (found := re.search(pattern, text))}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
