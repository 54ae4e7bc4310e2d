"""A host on 127.0.0.1 that answers as a test scripts it, and a clock on which nobody has to wait."""

import gzip
import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

START = 1_750_000_000.0  # a Sunday in June 2025


class FakeClock:
    """Time passes by sleeping, and where a host says so."""

    def __init__(self) -> None:
        self.at = START
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def now(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.pass_by(seconds)

    def pass_by(self, seconds: float) -> None:
        with self._lock:
            self.at += seconds


@dataclass
class Answer:
    """What the host sends. The body is sent whole, or in the way that one of the last fields says.

    cut_at: only so many bytes, though all are announced. each_byte: called before each byte. endless: the body again and
    again. reset: no answer, the connection is torn down.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None
    each_byte: Callable[[], None] | None = None
    endless: bool = False
    reset: bool = False
    takes_s: float = 0.0


@dataclass
class Seen:
    """A request, and when it began and ended on the clock of the test."""

    path: str
    headers: dict[str, str]
    began: float
    ended: float = 0.0

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}


class FakeHost:
    """`script` names for each path (with its query, else without) the answers in turn; the last one is given for ever."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.script: dict[str, list[Answer] | Callable[[Seen], Answer]] = {}
        self.seen: list[Seen] = []
        self.connections = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._server.handle_error = lambda *about: None  # clients that have had enough are what the tests are about
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.name}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def on(self, path: str, *answers: Answer) -> str:
        self.script[path] = list(answers)
        return self.url + path

    def answer_for(self, seen: Seen) -> Answer:
        found = self.script.get(seen.path) or self.script.get(urlsplit(seen.path).path)
        if found is None:
            return Answer(404)
        if callable(found):
            return found(seen)
        return found.pop(0) if len(found) > 1 else found[0]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                host.connections += 1
                super().setup()

            def do_GET(self) -> None:
                seen = Seen(self.path, {k.lower(): v for k, v in self.headers.items()}, host.clock.now())
                host.seen.append(seen)
                answer = host.answer_for(seen)
                host.clock.pass_by(answer.takes_s)
                seen.ended = host.clock.now()
                self.close_connection = not send(self.connection, answer)

            def log_message(self, *args: Any) -> None:
                pass

        return Handler


def send(connection: socket.socket, answer: Answer) -> bool:
    """Whether the connection may be used again."""
    if answer.reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        return False
    headers = dict(answer.headers)
    if not answer.endless and "Transfer-Encoding" not in headers:
        headers.setdefault("Content-Length", str(len(answer.body)))
    head = f"HTTP/1.1 {answer.status} Said\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n"
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else head and body wait for each other
        connection.sendall(head.encode())
        if answer.endless:
            while True:
                connection.sendall(answer.body)
        if answer.each_byte:
            for byte in answer.body:
                answer.each_byte()
                connection.sendall(bytes([byte]))
        else:
            connection.sendall(answer.body[: answer.cut_at])
    except OSError:  # the other side had enough
        return False
    return answer.cut_at is None


def packed(body: bytes) -> Answer:
    return Answer(body=gzip.compress(body), headers={"Content-Encoding": "gzip"})


def as_json(value: Any, **headers: str) -> Answer:
    return Answer(body=json.dumps(value).encode(), headers={"Content-Type": "application/json", **headers})


def with_ranges(body: bytes, etag: str, cut_at: int | None = None) -> Callable[[Seen], Answer]:
    """A file that can be entered in its middle, by whoever has that version; the first answer ends at cut_at."""
    cuts = [cut_at]

    def answer(seen: Seen) -> Answer:
        asked, cut = seen.headers.get("range"), cuts.pop() if cuts else None
        headers = {"ETag": etag, "Accept-Ranges": "bytes"}
        if seen.headers.get("if-none-match") == etag:
            return Answer(304, headers=headers)
        if asked and seen.headers.get("if-range") == etag:
            first = int(asked.removeprefix("bytes=").rstrip("-"))
            if first >= len(body):
                return Answer(416, headers={"Content-Range": f"bytes */{len(body)}"})
            headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
            return Answer(206, body[first:], headers)
        return Answer(200, body, headers, cut_at=cut)

    return answer
