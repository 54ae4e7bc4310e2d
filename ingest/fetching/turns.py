"""Whose turn it is to ask a host: one request at a time, and a pause between two, for all processes that share a store."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from ingest.fetching.clock import Clock
from ingest.fetching.errors import FetchError

LONGEST_HOLD_S = 300.0  # after this long others go ahead, since the holder may be dead


class TurnStore(Protocol):
    """Keeps for each host when it may be asked again, and who is asking now. All times are seconds since 1970."""

    def try_take(self, host: str, now: float, interval_s: float, hold_s: float, token: str) -> float:
        """0.0 where the turn was taken, else the seconds after which asking again may help."""
        ...

    def give_back(self, host: str, token: str) -> None: ...

    def postpone(self, host: str, until: float) -> None:
        """The host asked for quiet until then."""
        ...


@dataclass
class _Row:
    next_at: float = 0.0
    held_until: float = 0.0
    token: str = ""


class MemoryTurns:
    """Turns of one process alone."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}

    def try_take(self, host: str, now: float, interval_s: float, hold_s: float, token: str) -> float:
        row = self._rows.setdefault(host, _Row())
        if now < max(row.next_at, row.held_until):
            return max(row.next_at, row.held_until) - now
        self._rows[host] = _Row(now + interval_s, now + hold_s, token)
        return 0.0

    def give_back(self, host: str, token: str) -> None:
        row = self._rows.get(host)
        if row is not None and row.token == token:
            row.held_until = 0.0

    def postpone(self, host: str, until: float) -> None:
        row = self._rows.setdefault(host, _Row())
        row.next_at = max(row.next_at, until)


class Pace:
    """Waits for turns. intervals: seconds between the starts of two requests to a host, by the host's name or its end
    ("arxiv.org" is also export.arxiv.org, and all of them share one turn); other hosts have `interval_s`, each its own.
    """

    def __init__(
        self, store: TurnStore, clock: Clock, intervals: Mapping[str, float], interval_s: float, patience_s: float
    ) -> None:
        self._store, self._clock = store, clock
        self._intervals, self._interval_s, self._patience_s = intervals, interval_s, patience_s

    def key_of(self, host: str) -> str:
        ends = [end for end in self._intervals if host == end or host.endswith(f".{end}")]
        return max(ends, key=len, default=host)

    @contextmanager
    def turn(self, host: str, address: str, hold_s: float) -> Iterator[None]:
        """Be the only one who asks the host.

        Raises: FetchError where the turn does not come within `patience_s`.
        """
        key, token = self.key_of(host), str(uuid.uuid4())
        interval_s = self._intervals.get(key, self._interval_s)
        waited = 0.0
        while wait := self._store.try_take(key, self._clock.now(), interval_s, min(hold_s, LONGEST_HOLD_S), token):
            if waited + wait > self._patience_s:
                raise FetchError(
                    address,
                    f"{key} may not be asked for another {wait:.0f} s: it wants quiet, or another process is asking it",
                    "run this again then",
                )
            self._clock.sleep(wait)
            waited += wait
        try:
            yield
        finally:
            self._store.give_back(key, token)

    def postpone(self, host: str, seconds: float) -> None:
        self._store.postpone(self.key_of(host), self._clock.now() + seconds)
