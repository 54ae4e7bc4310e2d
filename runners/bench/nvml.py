"""Samples a GPU's state through NVML from a thread of the parent, where its Python binding is installed.

NVML makes no CUDA context, so this may run in a worker. Nothing on the device is ever set.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterator
from types import ModuleType
from typing import Any

from runners.bench.clocks import Sample, during, notes, steady_pairs, summarized
from runners.bench.collect import Findings

PERIOD_S = 0.05
MOST_SAMPLES = 40_000  # more than half an hour

Read = Callable[[float], Sample]


class Sampler:
    """The samples taken so far; `why_none` says why there are none."""

    def __init__(self, read: Read | None, why_none: str = "", period_s: float = PERIOD_S) -> None:
        self.samples: list[Sample] = []
        self.why_none = why_none
        self._read, self._period_s = read, period_s
        self._stop = threading.Event()
        self._is_wanted = threading.Event()
        self._is_wanted.set()
        self._thread = threading.Thread(target=self._loop, name="nvml-sampler", daemon=True)

    def _loop(self) -> None:
        while self._read and len(self.samples) < MOST_SAMPLES and not self._stop.is_set():
            if not self._is_wanted.wait(self._period_s):
                continue
            try:
                self.samples.append(self._read(time.monotonic()))
            except Exception as error:  # a driver that goes away must not take the run with it
                self.why_none = f"sampling ended: {error}"
                return
            self._stop.wait(self._period_s)

    def pause(self, is_paused: bool = True) -> None:
        """Takes no samples until told to go on: asking a driver for many sessions that wait would disturb the one that does not."""
        if is_paused:
            self._is_wanted.clear()
        else:
            self._is_wanted.set()

    def __enter__(self) -> Sampler:
        if self._read:
            self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(2.0)


@contextlib.contextmanager
def sampling(device: str, visible: str = "") -> Iterator[Sampler]:
    """Samples while the body runs. `visible` is CUDA_VISIBLE_DEVICES, whose first entry is the GPU that runs use."""
    if device != "cuda":
        yield Sampler(None, "no GPU")
        return
    try:
        import pynvml  # type: ignore[import-not-found,unused-ignore]

        pynvml.nvmlInit()
    except Exception as error:
        yield Sampler(None, f"NVML cannot be asked: {error}")
        return
    try:
        sampler = Sampler(reader(pynvml, handle_of(pynvml, visible)))
    except Exception as error:
        sampler = Sampler(None, f"NVML does not show the device: {error}")
    try:
        with sampler:
            yield sampler
    finally:
        with contextlib.suppress(Exception):
            pynvml.nvmlShutdown()


def handle_of(nvml: ModuleType | Any, visible: str) -> Any:
    """NVML's handle of the first visible GPU, which may be named by index or by UUID."""
    first = visible.partition(",")[0].strip()
    if first.startswith(("GPU-", "MIG-")):
        return nvml.nvmlDeviceGetHandleByUUID(first)
    return nvml.nvmlDeviceGetHandleByIndex(int(first) if first.isdigit() else 0)


def reader(nvml: ModuleType | Any, handle: Any) -> Read:
    """A function that reads one sample; what the driver does not support stays None."""

    def ask(name: str, *arguments: Any) -> Any:
        try:
            return getattr(nvml, name)(handle, *arguments)
        except Exception:
            return None

    def read(at_s: float) -> Sample:
        power = ask("nvmlDeviceGetPowerUsage")
        processes = ask("nvmlDeviceGetComputeRunningProcesses") or []
        return Sample(
            at_s=at_s,
            sm_mhz=ask("nvmlDeviceGetClockInfo", getattr(nvml, "NVML_CLOCK_SM", 1)),
            memory_mhz=ask("nvmlDeviceGetClockInfo", getattr(nvml, "NVML_CLOCK_MEM", 2)),
            temperature_c=ask("nvmlDeviceGetTemperature", getattr(nvml, "NVML_TEMPERATURE_GPU", 0)),
            power_w=None if power is None else power / 1e3,
            throttle=ask("nvmlDeviceGetCurrentClocksThrottleReasons"),
            pids=tuple(int(each.pid) for each in processes),
        )

    return read


def reckon_with_device(findings: Findings, sampler: Sampler, own_pids: Collection[int]) -> None:
    """Leaves out pairs during which the clock drifted, and tells the device's state and whatever a reader must know."""
    for loops, is_control in ((findings.loops, False), (findings.controls, True)):
        for (workload, rung), loop in loops.items():
            kept = steady_pairs(sampler.samples, loop.spans)
            loop.keep(kept.indices)
            if kept.note:
                against = f"the control of {rung!r}" if is_control else f"against {rung!r}"
                findings.doubts.append({"workload": workload, "text": f"{against}: {kept.note}"})
    timed = [span for loop in (*findings.loops.values(), *findings.controls.values()) for span in loop.spans]
    facts = summarized(during(sampler.samples, timed), own_pids)
    if sampler.why_none:
        facts["not_sampled"] = sampler.why_none
    findings.environment["device_state"] = facts
    findings.doubts += [{"workload": "", "text": text} for text in notes(facts)]
