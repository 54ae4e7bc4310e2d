"""A run as server-sent events: what changed in its row since the client last looked.

A stream holds a thread of the web server for as long as it is open, so few are open at once and none for long; a client
that comes back says by Last-Event-ID what it knows, to whichever process and after however long. The id is made of the
row alone (a digest of its state, a digest of its progress, and the end of the log that was sent), so nothing is kept.
"""

import json
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Self

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter
from rest_framework import status
from rest_framework.renderers import JSONRenderer

from api.errors import Problem
from papers.models import FINAL_STATES, Run

POLL_S = 0.5
HEARTBEAT_S = 15.0
RETRY_MS = 2000
RETRY_AFTER_S = 5
MARK = 256  # characters at the end of the log that was sent, by whose digest its place is found again
COLUMNS = ("state", "status", "phase", "progress", "failure_reason", "failure_detail", "cancel_requested", "log_tail")
LAST_EVENT = OpenApiParameter(
    "Last-Event-ID", str, OpenApiParameter.HEADER, description="The id of the last event that you have."
)


class Renderer(JSONRenderer):
    """So that a client may ask for events; what is no stream, such as a problem, is JSON."""

    media_type, format = "text/event-stream", "events"


@dataclass
class Seen:
    """What a client knows: digests of the state and of the progress, and of the end of the log."""

    state: str = ""
    progress: str = ""
    mark: str = ""

    @classmethod
    def read(cls, text: str) -> Self:
        """Of an id. One that is none knows nothing, and all is told again."""
        parts = text.split("-")
        return cls(*parts) if len(parts) == 3 else cls()

    def __str__(self) -> str:
        return f"{self.state}-{self.progress}-{self.mark}"


class _Slots:
    """How many streams this process has open, in all and for each client."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: Counter[str] = Counter()

    def take(self, client: str) -> None:
        """Raises: Problem while too many are open."""
        with self._lock:
            if self._open[client] >= settings.EVENT_STREAMS_PER_CLIENT:
                told = f"You have {self._open[client]} streams open here; close one, or poll the run instead."
                raise Problem(status.HTTP_429_TOO_MANY_REQUESTS, told, retry_after_s=RETRY_AFTER_S)
            if self._open.total() >= settings.EVENT_STREAMS:
                told = "All streams of this server are taken; poll the run instead, or come back."
                raise Problem(status.HTTP_503_SERVICE_UNAVAILABLE, told, retry_after_s=RETRY_AFTER_S)
            self._open[client] += 1

    def give_back(self, client: str) -> None:
        with self._lock:
            self._open[client] -= 1
            self._open += Counter()  # forgets those that have none

    @property
    def taken(self) -> int:
        return self._open.total()


slots = _Slots()


class EventStream:
    """The events of one run as bytes, until its end, the end of the stream's time, or the client's."""

    def __init__(
        self,
        run_id: int,
        seen: Seen,
        client: str,
        wait: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client, self._wait = client, wait
        self._is_open = True
        self._events = self._all(run_id, seen, clock)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        return next(self._events)

    def close(self) -> None:
        """Django calls it however the answer ends, also where nobody ever asked for the first event."""
        if self._is_open:
            self._is_open = False
            self._events.close()
            slots.give_back(self.client)

    def _all(self, run_id: int, seen: Seen, clock: Callable[[], float]) -> Generator[bytes, None, None]:
        started = said = clock()
        yield f"retry: {RETRY_MS}\n\n".encode()
        while clock() - started < settings.EVENT_STREAM_S:
            row = Run.objects.filter(pk=run_id).values(*COLUMNS).first()
            if row is None:
                return
            events, seen = news_of(row, seen)
            for one in events:
                yield one
                said = clock()
            if row["state"] in FINAL_STATES:
                return
            if clock() - said >= HEARTBEAT_S:
                yield b": still here\n\n"
                said = clock()
            self._wait(POLL_S)


def open_stream(run_id: int, last_id: str, client: str) -> EventStream | None:
    """None where the run has ended and the client knows all of it. Raises: Problem while too many are open."""
    row = Run.objects.filter(pk=run_id).values(*COLUMNS).first()
    seen = Seen.read(last_id)
    if row is not None and row["state"] in FINAL_STATES and not news_of(row, seen)[0]:
        return None
    slots.take(client)
    return EventStream(run_id, seen, client)


def news_of(row: dict[str, Any], seen: Seen) -> tuple[list[bytes], Seen]:
    """The events that bring a client from what it has seen to what the row says. The state comes last: it may be the end."""
    events: list[bytes] = []
    now = Seen(seen.state, seen.progress, seen.mark)
    text, is_whole = _new_log(row["log_tail"], seen.mark)
    if text:
        now.mark = _mark(row["log_tail"])
        events.append(_event("log", {"text": text, "from_start": is_whole}, now))
    progress = {"phase": row["phase"], "progress": round(row["progress"], 4)}
    if (digest := _digest(progress)) != seen.progress:
        now.progress = digest
        events.append(_event("progress", progress, now))
    state = {name: row[name] for name in ("state", "status", "failure_reason", "failure_detail", "cancel_requested")}
    if (digest := _digest(state)) != seen.state:
        now.state = digest
        events.append(_event("state", state | {"is_final": row["state"] in FINAL_STATES}, now))
    return events, now


def _new_log(log: str, mark: str) -> tuple[str, bool]:
    """What follows the place that the mark names; all of it, from its start, where that place is gone."""
    if mark:
        places = [len(log), *(i + 1 for i in range(len(log) - 1, -1, -1) if log[i] == "\n")]
        for place in places:
            if place and _mark(log[:place]) == mark:
                return log[place:], False
    return log, True


def _mark(log: str) -> str:
    return f"{zlib.crc32(log[-MARK:].encode()):08x}"


def _digest(values: dict[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(values, sort_keys=True).encode()):08x}"


def _event(name: str, values: dict[str, Any], seen: Seen) -> bytes:
    return f"id: {seen}\nevent: {name}\ndata: {json.dumps(values, ensure_ascii=False)}\n\n".encode()
