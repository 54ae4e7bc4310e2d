"""Whoever follows a session hears of it at least once a second, and may stop it."""

from __future__ import annotations

import time
from collections.abc import Callable

from runners.bench.results import Event

OnEvent = Callable[[Event], None]
ShouldStop = Callable[[], bool]

TICK_S = 1.0


class Watcher:
    """Calls the caller back, at least once a second."""

    def __init__(self, on_event: OnEvent, should_stop: ShouldStop) -> None:
        self._on_event, self._should_stop = on_event, should_stop
        self._last_tick = self._last_question = 0.0
        self._stopped = False
        self.phase, self.fraction = "start", 0.0

    def emit(self, event: Event) -> None:
        self._on_event(event)

    def move(self, phase: str, fraction: float, text: str) -> None:
        kind = "progress" if phase == self.phase else "phase"
        self.phase, self.fraction = phase, fraction
        self.emit(Event("progress" if kind == "progress" else "phase", phase, fraction, text))

    def tick(self, phase: str = "", text: str = "") -> None:
        if time.monotonic() - self._last_tick >= TICK_S / 2:
            self._last_tick = time.monotonic()
            self.emit(Event("tick", phase or self.phase, self.fraction, text))

    def stopped(self) -> bool:
        if not self._stopped and time.monotonic() - self._last_question >= TICK_S / 4:
            self._last_question = time.monotonic()
            self._stopped = bool(self._should_stop())
        return self._stopped
