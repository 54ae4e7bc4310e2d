"""What of a session's events a page shows while it runs: the phase, how far it is, and the last lines it printed."""

from __future__ import annotations

from runners.bench.results import Event

LOG_TAIL_CHARS = 16_000
PHASE_CHARS = 120


class Followed:
    """Takes in one event after another; what it holds is bounded, however much the child prints."""

    def __init__(self) -> None:
        self.phase, self.progress, self.log = "starting", 0.0, ""

    def note(self, event: Event) -> None:
        if event.kind == "log":
            self._say(event.text.rstrip("\n"))
        elif event.kind == "tick":
            if event.phase == "waiting":
                self.phase = f"waiting: {event.text}"[:PHASE_CHARS]
        else:
            self.phase, self.progress = event.phase[:PHASE_CHARS], min(max(event.fraction, 0.0), 1.0)
            if event.kind in ("phase", "found") and event.text:
                self._say(event.text)

    def _say(self, text: str) -> None:
        self.log = (self.log + text + "\n")[-LOG_TAIL_CHARS:]
