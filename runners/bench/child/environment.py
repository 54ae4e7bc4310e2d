"""What a figure depends on besides the code: device, driver, versions, isolation."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from typing import Any

import torch

from runners.bench.child.devices import Device


def describe(device: Device, network: str) -> dict[str, Any]:
    """JSON-ready facts for the record."""
    return {
        **device.facts(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "torch": torch.__version__,
        "triton": _version("triton"),
        "triton_interpreter": os.environ.get("TRITON_INTERPRET") == "1",
        "network": network,
        "executable": os.path.basename(sys.executable),  # noqa: PTH119  the name alone, no path of this machine
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
