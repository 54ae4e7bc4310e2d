"""Who may use the device: sessions check side by side, and take their times one at a time with the device to themselves.

While any session checks, others may join it as far as the device's memory goes. A session that is ready to time waits until none checks
any more; then all that wait take their times, the first that was ready first, before another check begins. To other processes on the
machine, all sessions of one `Turns` are one holder of the device's lock.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Hashable
from types import TracebackType
from typing import Any

from runners.bench.process import DeviceLock, lock_of

# Cards say what they need at most, in any of their shapes; seldom do several need it at once.
OVERCOMMIT = 1.5


class Turns:
    """Turns on one device for up to `side_by_side` sessions that check at a time. Use as a context manager."""

    def __init__(self, device: str, side_by_side: int = 1) -> None:
        self._device, self.side_by_side = device, side_by_side
        self._guard = threading.Lock()
        self._lock: DeviceLock | None = None
        self._is_ours = False
        self._checking: dict[Hashable, float] = {}
        self._ready: dict[Hashable, None] = {}
        self.memory_gib: float | None = None
        """What the device has, where that is known."""
        self.ceilings: tuple[dict[str, Any], ...] = ()
        """What the device was found to do at best, for all sessions; without them each measures that first."""
        self._is_open = True
        self._timing: Hashable | None = None
        self._processes: set[int] = set()

    def __enter__(self) -> Turns:
        self._lock = lock_of(self._device)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock:
            self._lock.release()
        self._lock, self._is_ours = None, False

    def open(self, is_open: bool = True) -> None:
        """Lets sessions begin to check, or has them wait."""
        with self._guard:
            self._is_open = is_open

    def beside(self, session: Hashable, needs_gib: float = 0.0) -> bool:
        """Whether `session` may now use the device, and so much of its memory, beside others; ask again if not."""
        with self._guard:
            if session in self._checking:
                return True
            if self._timing == session:
                self._timing = None
            times_come_first = self._ready and not self._checking
            is_full = len(self._checking) >= self.side_by_side or not self._has_room(needs_gib)
            must_wait = not self._is_open or self._timing is not None or times_come_first or is_full
            if must_wait or not self._locked():
                return False
            self._checking[session] = needs_gib
            return True

    def alone(self, session: Hashable) -> bool:
        """Whether `session` has the device to itself now; ask again if not. It gives up its place beside others."""
        with self._guard:
            self._checking.pop(session, None)
            if self._timing == session:
                return True
            self._ready.setdefault(session)
            is_first = next(iter(self._ready)) == session
            if self._timing is not None or self._checking or not is_first or not self._locked():
                return False
            del self._ready[session]
            self._timing = session
            return True

    def leave(self, session: Hashable) -> None:
        """`session` no longer wants the device."""
        with self._guard:
            self._checking.pop(session, None)
            self._ready.pop(session, None)
            if self._timing == session:
                self._timing = None

    def known(self, processes: Collection[int]) -> set[int]:
        """Adds a session's processes; all that are known, which wait while one of them takes its times."""
        with self._guard:
            self._processes |= set(processes)
            return set(self._processes)

    def _has_room(self, needs_gib: float) -> bool:
        if self.memory_gib is None or not self._checking:
            return True
        return sum(self._checking.values()) + needs_gib <= OVERCOMMIT * self.memory_gib

    def _locked(self) -> bool:
        if not self._is_ours and self._lock:
            self._is_ours = self._lock.acquire(0.0)
        return self._is_ours
