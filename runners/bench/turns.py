"""Who may use the device: sessions check side by side, and take their times one at a time with the device to themselves.

While any session checks, others may join it. A session that is ready to time waits until none checks any more; then all that wait
take their times, one after the other, before another check begins. To other processes on the machine, all sessions of one `Turns` are
one holder of the device's lock.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Hashable
from types import TracebackType

from runners.bench.process import DeviceLock, lock_of


class Turns:
    """Turns on one device for up to `side_by_side` sessions that check at a time. Use as a context manager."""

    def __init__(self, device: str, side_by_side: int = 1) -> None:
        self._device, self._most = device, side_by_side
        self._guard = threading.Lock()
        self._lock: DeviceLock | None = None
        self._is_ours = False
        self._checking: set[Hashable] = set()
        self._ready: set[Hashable] = set()
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

    def beside(self, session: Hashable) -> bool:
        """Whether `session` may now use the device beside others; ask again if not."""
        with self._guard:
            if session in self._checking:
                return True
            if self._timing == session:
                self._timing = None
            times_come_first = self._ready and not self._checking
            if self._timing is not None or times_come_first or len(self._checking) >= self._most or not self._locked():
                return False
            self._checking.add(session)
            return True

    def alone(self, session: Hashable) -> bool:
        """Whether `session` has the device to itself now; ask again if not. It gives up its place beside others."""
        with self._guard:
            self._checking.discard(session)
            if self._timing == session:
                return True
            self._ready.add(session)
            if self._timing is not None or self._checking or not self._locked():
                return False
            self._ready.discard(session)
            self._timing = session
            return True

    def leave(self, session: Hashable) -> None:
        """`session` no longer wants the device."""
        with self._guard:
            self._checking.discard(session)
            self._ready.discard(session)
            if self._timing == session:
                self._timing = None

    def known(self, processes: Collection[int]) -> set[int]:
        """Adds a session's processes; all that are known, which wait while one of them takes its times."""
        with self._guard:
            self._processes |= set(processes)
            return set(self._processes)

    def _locked(self) -> bool:
        if not self._is_ours and self._lock:
            self._is_ours = self._lock.acquire(0.0)
        return self._is_ours
