"""When a command ends before its sessions do: on a signal, or when the time that a device is lent for is over."""

from __future__ import annotations

import os
import time
from types import FrameType


class Stop:
    """Whether to stop: a session asks it, ends its child and gives what it has; a second signal ends at once."""

    def __init__(self, budget_s: float | None = None) -> None:
        """budget_s: seconds from now after which the answer is yes."""
        self.asked = False
        self._until = None if budget_s is None else time.monotonic() + budget_s

    def __call__(self) -> bool:
        return self.asked or self.is_late

    @property
    def is_late(self) -> bool:
        """Whether the budget is spent."""
        return self._until is not None and time.monotonic() >= self._until

    def ask(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        # A handler may interrupt a print: the file descriptor is safe to write to, the stream is not.
        os.write(2, b"\nstopping; what was measured is kept (once more: stop at once)\n")
