"""Samples of a call's time: on the wall, and of the processor, which other programs on the machine do not lengthen as much."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.synthetic_papers import percentile


class Timed:
    """Call it with what is to be timed; it keeps milliseconds."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.processor: list[float] = []

    def __call__(self, call: Callable[[], object]) -> None:
        wall, processor = time.perf_counter(), time.process_time()
        call()
        self.processor.append((time.process_time() - processor) * 1e3)
        self.wall.append((time.perf_counter() - wall) * 1e3)

    def at(self, share: float, skip: int = 0) -> float:
        """The percentile of the times on the wall, without the first `skip`."""
        return percentile(self.wall[skip:], share)

    def figures(self, skip: int = 0) -> dict[str, float]:
        return {
            f"{prefix}p{round(share * 100)}_ms": round(percentile(samples[skip:], share), 2)
            for prefix, samples in (("", self.wall), ("processor_", self.processor))
            for share in (0.5, 0.95)
        }
