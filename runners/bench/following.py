"""What of a session's events a page shows while it runs: the phase, how far it is, and the last lines it printed."""

from __future__ import annotations

from runners.bench.results import Event

LOG_TAIL_CHARS = 16_000
PHASE_CHARS = 120


class Followed:
    """Takes in one event after another; what it holds is bounded, however much the child prints."""

    def __init__(self) -> None:
        self.phase, self.progress = "starting", 0.0
        self._said, self._passing = "", ""

    @property
    def log(self) -> str:
        """All that was said, and below it what is going on just now, such as samples as they come."""
        return (self._said + self._passing)[-LOG_TAIL_CHARS:]

    def note(self, event: Event) -> None:
        if event.kind == "log":
            self._say(event.text.rstrip("\n"))
        elif event.kind == "tick":
            if event.phase == "waiting":
                self.phase = f"waiting: {event.text}"[:PHASE_CHARS]
        else:
            self.phase, self.progress = event.phase[:PHASE_CHARS], min(max(event.fraction, 0.0), 1.0)
            if event.kind == "progress":
                self._passing = f"{event.text}\n" if event.text else ""
            elif event.text:
                self._say(event.text)

    def _say(self, text: str) -> None:
        self._passing = ""
        self._said = (self._said + text + "\n")[-LOG_TAIL_CHARS:]
