"""Devices with the figures that bound what they can do."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recommender.hardware.naming import fold, longest_alias

SOURCE = Path(__file__).with_name("devices.toml")
GPU_CLASSES = frozenset({"datacentre", "workstation", "consumer"})
CLASSES = GPU_CLASSES | {"cpu", "embedded", "phone", "mcu", "tpu"}
DTYPES = ("fp32", "tf32", "fp16", "bf16", "fp8", "int8")
_PRODUCT = r"(?=(?:nvidia |amd )?(?:rtx|gtx|jetson|gpus?\b|[a-z]{1,4}[\s-]?\d))"
# "2x H100", "8 A100", "4 GPUs"; neither the 2 of "GPT-2 XL" nor that of "Llama 2".
_COUNT = re.compile(rf"(?<![\w.-])(\d{{1,5}})\s*(?:x|×|\*)\s*{_PRODUCT}|(?<![\w.-])(\d{{1,5}})\s+{_PRODUCT}")
_WORDS = {"one": 1, "single": 1, "two": 2, "dual": 2, "three": 3, "four": 4, "eight": 8, "sixteen": 16}


class CatalogueError(ValueError):
    """The data file is wrong; the message names the entry and the field."""


@dataclass(frozen=True, slots=True)
class Device:
    """`bandwidth_gb_s` is to its own memory; `tflops` is the dense peak by number format, absent where unsupported."""

    name: str
    device_class: str
    vendor: str
    memory_gib: float
    bandwidth_gb_s: float
    tflops: Mapping[str, float]
    aliases: tuple[str, ...]
    cuda_capability: str | None = None
    link_gb_s: float = 0.0
    note: str = ""

    @property
    def is_gpu(self) -> bool:
        return self.device_class in GPU_CLASSES

    def best_dtype(self) -> str:
        """The format that models are run in here by default."""
        return next(dtype for dtype in ("bf16", "fp16", "fp32", "int8") if dtype in self.tflops)


def read_devices(table: Mapping[str, Any]) -> dict[str, Device]:
    """Devices by name, of a parsed catalogue file. Raises CatalogueError."""
    found: dict[str, Device] = {}
    for row in table.get("device", ()):
        name = row.get("name", "(no name)")
        values = {**row, "device_class": row.get("class"), "aliases": tuple(row.get("aliases", ()))}
        values.pop("class", None)
        if values["device_class"] not in CLASSES:
            raise CatalogueError(f"device {name!r}: class {values['device_class']!r} must be one of {sorted(CLASSES)}")
        for field in ("memory_gib", "bandwidth_gb_s"):
            if not isinstance(row.get(field), int | float) or row[field] <= 0:
                raise CatalogueError(f"device {name!r}: {field} must be a number above 0, not {row.get(field)!r}")
        if not row.get("tflops") or (wrong := set(row["tflops"]) - set(DTYPES)):
            raise CatalogueError(
                f"device {name!r}: tflops must name some of {', '.join(DTYPES)}, not {wrong or 'none'}"
            )
        try:
            found[name] = Device(**values)
        except TypeError as error:
            raise CatalogueError(f"device {name!r}: {error}") from error
    return found


@functools.cache
def devices() -> dict[str, Device]:
    return read_devices(tomllib.loads(SOURCE.read_text(encoding="utf-8")))


@functools.cache
def _aliases() -> dict[str, str]:
    return {fold(alias): device.name for device in devices().values() for alias in (device.name, *device.aliases)}


def find_device(text: str) -> Device | None:
    """The device that the text names: "one RTX 4090", "2x H100", "A100 80GB". None when it names none that is known."""
    name = longest_alias(_COUNT.sub(" ", text.lower()), _aliases()) or longest_alias(text, _aliases())
    return devices()[name] if name else None


def count_devices(text: str) -> int | None:
    """How many devices the text speaks of: "2x H100", "8 A100", "four GPUs". None when it does not say."""
    lower = text.lower()
    if found := _COUNT.search(lower):
        return int(next(group for group in found.groups() if group)) or None
    spoken = re.search(rf"\b({'|'.join(_WORDS)})\s+(?:nvidia |amd )?(?:gpus?\b|[a-z]+\s?\d)", lower)
    return _WORDS[spoken[1]] if spoken else None
