"""What the child tells of its timing, in the messages that `runners.bench.collect` takes in."""

from __future__ import annotations

import time
import traceback

from runners.bench.child.channel import Channel
from runners.bench.child.checks import TECHNIQUE
from runners.bench.child.devices import Device
from runners.bench.child.subjects import Setting
from runners.bench.child.timing import Pairs, Prepared, Timer
from runners.card_types import Workload

_thread_time = time.thread_time


class Teller:
    """Sends samples of pairs, and what else was found of a subject."""

    def __init__(self, channel: Channel, setting: Setting, device: Device) -> None:
        self._channel, self._setting, self._device = channel, setting, device

    def pairs(self, kind: str, workload: Workload, rung: str, sampled: Pairs) -> None:
        self._channel.send(
            kind,
            workload=workload.name,
            axes=workload.axes,
            dtype=workload.dtype,
            pass_=workload.pass_,
            baseline=rung,
            technique_ms=sampled.technique_ms,
            baseline_ms=sampled.baseline_ms,
            spans=sampled.spans,
            cap_reached=sampled.cap_reached,
            band_floor=self._device.band_floor,
        )

    def extras(self, timer: Timer, workload: Workload, prepared: Prepared) -> None:
        host = timer.host_times(prepared)
        self._channel.send(
            "extras",
            workload=workload.name,
            subject=prepared.name,
            host_ms=[each.idle_ms for each in host],
            launch_ms=[each.returned_ms for each in host],
            operator_ms=timer.operator_times(prepared),
            peak_memory=timer.peak_memory(prepared),
            steady_memory=prepared.steady_memory,
            work=self._work(timer, prepared),
            footprint=timer.footprint(prepared),
        )

    def _work(self, timer: Timer, prepared: Prepared) -> dict[str, int]:
        """What a call does at least; nothing for a compiled rung, which counting would compile anew."""
        if prepared.name != TECHNIQUE and self._setting.is_compiled(prepared.name):
            return {}
        try:
            return timer.work(prepared)
        except Exception as error:  # counting is no part of the subject's duties
            traceback.print_exc()
            self._channel.send("note", workload="", text=f"the work of {prepared.name} was not counted: {error}"[:300])
            return {}

    def mark(self, workload: str, subject: str, edge: str, calls: int) -> None:
        """An edge of a stretch of calls, which the parent times by its own clock."""
        _thread_time()  # has the kernel settle this thread's account, which it else does every few milliseconds
        self._channel.send("mark", workload=workload, subject=subject, edge=edge, calls=calls)
