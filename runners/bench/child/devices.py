"""The device a run uses: one interface, a CPU and a CUDA side. Everything specific to CUDA is in this file."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

# Bound here, before code under test is imported.
_clock_ns = time.perf_counter_ns
_SWEEP_BYTES = 8 * 2**20
# About 0.2 ms at the clocks of today's GPUs; `trust.HEAD_START_MS` allows for more.
HEAD_START_CYCLES = 400_000
_NAN_BLOCKS = tuple(2**power for power in range(9, 21))


@dataclass(frozen=True)
class Timed:
    """Milliseconds of one call and what it returned."""

    ms: float
    result: Any


@dataclass(frozen=True)
class HostTimed:
    """Milliseconds of one call on the host's clock: until it returned, and until the device was idle again."""

    returned_ms: float
    idle_ms: float


class Device(Protocol):
    """What timing and checks ask of a device."""

    kind: str
    warm_up_s: float
    band_floor: float
    time_cap_s: float
    max_pairs: int

    def synchronize(self) -> None: ...

    def timed(self, call: Callable[[], Any]) -> Timed:
        """One call from cold caches, all of its work included."""
        ...

    def host_timed(self, call: Callable[[], Any]) -> HostTimed:
        """One call on the host's clock, from an idle device until it is idle again."""
        ...

    def peak_memory(self, call: Callable[[], Any]) -> int | None:
        """Bytes above what was held before the call, or None where the device does not say."""
        ...

    def held_memory(self) -> int | None:
        """Bytes in tensors now, or None where the device does not say."""
        ...

    def facts(self) -> dict[str, Any]:
        """What identifies the device, and its state now."""
        ...


def open_device(name: str) -> Device:
    """The device called "cpu" or "cuda". Raises RuntimeError where it does not exist."""
    if name == "cpu":
        return CpuDevice()
    if not torch.cuda.is_available():
        raise RuntimeError("there is no CUDA device that torch can use")
    return CudaDevice()


def poison(shapes: Iterable[tuple[torch.Size, torch.dtype]], device: str) -> None:
    """Fills memory that the next allocations are likely to get with NaN, so that an unwritten output shows."""
    held: list[Tensor] = []
    for shape, dtype in shapes:
        if dtype.is_floating_point:
            held += [torch.full(shape, float("nan"), dtype=dtype, device=device) for _ in range(2)]
    held += [torch.full((size // 4,), float("nan"), device=device) for size in _NAN_BLOCKS]
    del held


class CpuDevice:
    kind = "cpu"
    warm_up_s = 0.05
    band_floor = 0.03
    time_cap_s = 6.0
    max_pairs = 300

    def __init__(self) -> None:
        self._sweep = torch.empty(_SWEEP_BYTES, dtype=torch.int8)

    def synchronize(self) -> None:
        pass

    def timed(self, call: Callable[[], Any]) -> Timed:
        # The same state before every call: second-level caches swept, and torch's worker threads just awake. Without
        # it the call that comes first in a pair pays for waking them, and the order decides the ratio.
        self._sweep.zero_()
        start = _clock_ns()
        result = call()
        return Timed((_clock_ns() - start) / 1e6, result)

    def host_timed(self, call: Callable[[], Any]) -> HostTimed:
        timed = self.timed(call)
        return HostTimed(timed.ms, timed.ms)

    def peak_memory(self, call: Callable[[], Any]) -> int | None:
        return None

    def held_memory(self) -> int | None:
        return None

    def facts(self) -> dict[str, Any]:
        load = round(os.getloadavg()[0], 2)
        return {
            "device_kind": "cpu",
            "device_name": _cpu_name(),
            "threads": torch.get_num_threads(),
            "load_average": load,
        }


class CudaDevice:
    kind = "cuda"
    warm_up_s = 0.5
    band_floor = 0.02
    time_cap_s = 20.0
    max_pairs = 1000

    def __init__(self) -> None:
        properties = torch.cuda.get_device_properties(0)
        self._properties = properties
        cache = int(getattr(properties, "L2_cache_size", 0) or 64 * 2**20)
        self._cache_bytes = cache
        self._flush = torch.empty(2 * cache, dtype=torch.int8, device="cuda")
        # Bound before code under test is imported.
        self._synchronize = torch.cuda.synchronize
        self._event = torch.cuda.Event
        self._elapsed = torch.cuda.Event.elapsed_time
        self._wait = getattr(torch.cuda, "_sleep", None)

    def synchronize(self) -> None:
        self._synchronize()

    def timed(self, call: Callable[[], Any]) -> Timed:
        start, end = self._event(enable_timing=True), self._event(enable_timing=True)
        self._synchronize()
        # Queued in front of the call: the first empties the L2 cache, the second keeps the device busy while the call is
        # launched, so that events measure the device and not the launch, which in Python takes longer than the flush.
        self._flush.zero_()
        if self._wait:
            self._wait(HEAD_START_CYCLES)
        start.record()
        result = call()
        end.record()
        self._synchronize()
        return Timed(float(self._elapsed(start, end)), result)

    def host_timed(self, call: Callable[[], Any]) -> HostTimed:
        self._flush.zero_()
        self._synchronize()
        start = _clock_ns()
        result = call()
        returned = _clock_ns()
        self._synchronize()
        idle = _clock_ns()
        del result
        return HostTimed((returned - start) / 1e6, (idle - start) / 1e6)

    def peak_memory(self, call: Callable[[], Any]) -> int | None:
        self._synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = call()
        self._synchronize()
        peak = torch.cuda.max_memory_allocated() - before
        del result
        return max(peak, 0)

    def held_memory(self) -> int | None:
        self._synchronize()
        return int(torch.cuda.memory_allocated())

    def facts(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "device_kind": "cuda",
            "device_name": self._properties.name,
            "cuda_capability": f"{self._properties.major}.{self._properties.minor}",
            "memory_gib": round(self._properties.total_memory / 2**30, 2),
            "multiprocessors": self._properties.multi_processor_count,
            "cache_bytes": self._cache_bytes,
            "cuda": torch.version.cuda,
        }
        for name, read in (
            ("clock_mhz", torch.cuda.clock_rate),
            ("temperature_c", torch.cuda.temperature),
            ("power_mw", torch.cuda.power_draw),
        ):
            # These need NVML's Python binding, which a bare machine may lack; the run is valid without them.
            with contextlib.suppress(Exception):
                found[name] = int(read())
        return found


def _cpu_name() -> str:
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as info:  # noqa: PTH123  a kernel file
        for line in info:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return "CPU"
