"""Devices with the figures that bound what they can do, in devices/*.toml.

memory_gib      what the driver reports, or the nominal size
bandwidth_gb_s  to its own memory, in 1e9 bytes a second
tflops          dense peak in 1e12 operations a second by number format, tensor cores with 32-bit accumulation where there
                are any. A format that is missing is not supported in hardware, or its rate is not published. Rates with
                2:4 sparsity are never written down; `sparsity` among the features says that they are twice the dense ones.
link_gb_s       to other devices of its kind, both directions together; absent where it has none
source          where the figures are from; `note` what was assumed, where they stand for a kind of machine
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recommender.hardware.naming import fold, longest_alias

SOURCES = Path(__file__).with_name("devices")
GPU_CLASSES = frozenset({"datacentre", "workstation", "consumer"})
CLASSES = GPU_CLASSES | {"cpu", "embedded", "phone", "mcu", "tpu"}
DTYPES = ("fp32", "tf32", "fp16", "bf16", "fp8", "int8", "int4", "fp4")
FEATURES = ("sparsity",)
# Driver, runtime, workspaces and fragmentation take their share; what shares its memory with a system leaves less.
USABLE: Mapping[str, float] = {"phone": 0.5, "embedded": 0.8, "cpu": 0.85, "mcu": 0.9}
USABLE_OF_A_GPU, USABLE_UNIFIED = 0.92, 0.75
# Words that join a product's number to another: "RTX 3090 with 24 GB" speaks of no 3090 devices.
_NO_PRODUCT = r"(?!(?:gen|with|and|or|for|at|to|in|on|of|by|per|from|has|gb|gib)\b)"
_PRODUCT = _NO_PRODUCT + r"(?=(?:nvidia |amd )?(?:rtx|gtx|jetson|gpus?\b|[a-z]{1,4}[\s-]?\d))"
# "2x H100", "8 A100", "4 GPUs"; neither the 2 of "GPT-2 XL" nor that of "Llama 2".
_COUNT = re.compile(
    rf"(?<![\w.-])(\d{{1,5}})\s*(?:x|×|\*)\s*{_PRODUCT}|(?<![\w.-])(?<!rtx )(?<!gtx )(\d{{1,5}})\s+{_PRODUCT}"
)
_WORDS = {"one": 1, "single": 1, "two": 2, "dual": 2, "three": 3, "four": 4, "eight": 8, "sixteen": 16}


class CatalogueError(ValueError):
    """The data file is wrong; the message names the entry and the field."""


@dataclass(frozen=True, slots=True)
class Device:
    """One row of the catalogue; units as the module's docstring says."""

    name: str
    device_class: str
    vendor: str
    memory_gib: float
    bandwidth_gb_s: float
    tflops: Mapping[str, float]
    aliases: tuple[str, ...]
    cuda_capability: str | None = None
    link_gb_s: float = 0.0
    power_w: float | None = None
    features: tuple[str, ...] = ()
    note: str = ""
    source: str = ""

    @property
    def is_gpu(self) -> bool:
        return self.device_class in GPU_CLASSES

    @property
    def capability(self) -> tuple[int, ...]:
        """(major, minor) of the CUDA capability; () for a device without CUDA."""
        return tuple(int(part) for part in self.cuda_capability.split(".")) if self.cuda_capability else ()

    @property
    def usable_share(self) -> float:
        """The part of its memory that a model can have."""
        if self.vendor == "Apple" and self.device_class == "workstation":
            return USABLE_UNIFIED
        return USABLE.get(self.device_class, USABLE_OF_A_GPU)

    @property
    def runs_flash_attention(self) -> bool:
        """Whether the CUDA kernels of FlashAttention-2 run on it."""
        return self.capability >= (8, 0)

    @property
    def runs_sparse(self) -> bool:
        """Whether its tensor cores skip the zeros of a 2:4 pattern."""
        return "sparsity" in self.features

    def best_dtype(self) -> str:
        """The format that models are held in here by default; fp16 where the maker publishes no such rate."""
        return next((dtype for dtype in ("bf16", "fp16", "fp32") if dtype in self.tflops), "fp16")

    def rate(self, dtype: str) -> float | None:
        """Operations a second in that format, in 1e12. One that is missing runs in the nearest wider one that is not."""
        order = {
            "fp4": ("fp4", "fp8", "bf16", "fp16", "fp32"), "int4": ("bf16", "fp16", "fp32", "int8"),
            "fp8": ("fp8", "bf16", "fp16", "fp32"), "int8": ("int8", "bf16", "fp16", "fp32"),
            "tf32": ("tf32", "fp32"), "fp32": ("fp32", "tf32"),
        }.get(dtype, (dtype, "bf16", "fp16", "fp32", "int8"))  # fmt: skip
        return next((self.tflops[one] for one in order if one in self.tflops), None)


def read_devices(table: Mapping[str, Any]) -> dict[str, Device]:
    """Devices by name, of a parsed catalogue file. Raises CatalogueError."""
    found: dict[str, Device] = {}
    for row in table.get("device", ()):
        name = row.get("name", "(no name)")
        values = {
            **row,
            "device_class": row.get("class"),
            "aliases": tuple(row.get("aliases", ())),
            "features": tuple(row.get("features", ())),
        }
        values.pop("class", None)
        if values["device_class"] not in CLASSES:
            raise CatalogueError(f"device {name!r}: class {values['device_class']!r} must be one of {sorted(CLASSES)}")
        for field in ("memory_gib", "bandwidth_gb_s"):
            if not isinstance(row.get(field), int | float) or row[field] <= 0:
                raise CatalogueError(f"device {name!r}: {field} must be a number above 0, not {row.get(field)!r}")
        if wrong := set(row.get("tflops") or {}) - set(DTYPES):
            raise CatalogueError(f"device {name!r}: tflops must name some of {', '.join(DTYPES)}, not {wrong}")
        if wrong := set(values["features"]) - set(FEATURES):
            raise CatalogueError(f"device {name!r}: features must be some of {', '.join(FEATURES)}, not {wrong}")
        if not row.get("source"):
            raise CatalogueError(f"device {name!r}: source must say where the figures are from")
        try:
            found[name] = Device(**values)
        except TypeError as error:
            raise CatalogueError(f"device {name!r}: {error}") from error
    return found


@functools.cache
def devices() -> dict[str, Device]:
    found: dict[str, Device] = {}
    for path in sorted(SOURCES.glob("*.toml")):
        found |= read_devices(tomllib.loads(path.read_text(encoding="utf-8")))
    return found


@functools.cache
def _aliases() -> dict[str, str]:
    return {fold(alias): device.name for device in devices().values() for alias in (device.name, *device.aliases)}


@functools.lru_cache(4096)
def find_device(text: str) -> Device | None:
    """The device that the text names: "one RTX 4090", "2x H100", "A100 80GB". None when it names none that is known."""
    name = longest_alias(text, _aliases()) or longest_alias(_COUNT.sub(" ", text.lower()), _aliases())
    return devices()[name] if name else None


def devices_named(text: str) -> list[str]:
    """The names of all devices that the text names, each by its longest alias."""
    words = f" {fold(_COUNT.sub(' ', text.lower()))} "
    found: dict[str, str] = {}
    for alias in sorted(_aliases(), key=lambda alias: (-len(alias), alias)):
        if f" {alias} " in words:
            words = words.replace(f" {alias} ", "  ")
            found.setdefault(_aliases()[alias], alias)
    return list(found)


def count_devices(text: str) -> int | None:
    """How many devices the text speaks of: "2x H100", "8 A100", "four GPUs". None when it does not say."""
    lower = text.lower()
    if found := _COUNT.search(lower):
        return int(next(group for group in found.groups() if group)) or None
    spoken = re.search(rf"\b({'|'.join(_WORDS)})\s+(?:nvidia |amd )?(?:gpus?\b|[a-z]+\s?\d)", lower)
    return _WORDS[spoken[1]] if spoken else None
