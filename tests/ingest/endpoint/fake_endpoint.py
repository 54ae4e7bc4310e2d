"""An endpoint on a real socket that behaves, or misbehaves in the way that a test scripts."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-test-5e1f0c7a9b3d"
TITLE = "Foldcache: Folded Pages for Long Prompts"
ABSTRACT = (
    "Decoding with long prompts is bound by memory. We introduce Foldcache, a training-free scheme that folds the KV cache "
    "of large language models. On an A100 it decodes up to 2.3x faster than a plain cache and uses 40% less memory. "
    "Code: https://github.com/example/foldcache."
)


def claim(quote: str, value: float, form: str = "factor", **fields: Any) -> dict[str, Any]:
    """A claim as a model writes it."""
    defaults = {
        "quote": quote,
        "value": value,
        "value_max": None,
        "form": form,
        "unit": {"factor": "x", "percent": "%"}.get(form, ""),
        "metric": "speedup",
        "phase": "inference",
        "direction": "none" if form == "absolute" else "better",
        "qualifier": None,
        "baseline": None,
        "hardware": None,
    }
    return {**defaults, **fields}


SPEEDUP = claim("decodes up to 2.3x faster than a plain cache", 2.3, qualifier="up to", baseline="a plain cache")
MEMORY = claim("uses 40% less memory", 40, "percent", metric="memory")


def record(**fields: Any) -> dict[str, Any]:
    """A right answer about TITLE and ABSTRACT; a test sets what it is about."""
    evidence = {
        "kind": "a training-free scheme",
        "families": "folds the KV cache",
        "modality": "large language models",
        "stage": "Decoding",
        "training_free": "training-free",
    }
    right = {
        "kind": "technique",
        "name": "Foldcache",
        "families": ["kv-cache"],
        "modality": ["language"],
        "stage": ["inference"],
        "training_free": True,
        "evidence": evidence,
        "hardware": ["A100"],
        "code_urls": ["https://github.com/example/foldcache"],
        "claims": [SPEEDUP, MEMORY],
        "quality_cost": None,
        "verify": "kernel",
        "mechanism": "Folds the pages of a KV cache; measured against one that is not folded.",
    }
    return {**right, **fields}


def completion(content: Any, finish_reason: str = "stop", **message: Any) -> dict[str, Any]:
    """The body of a response whose model wrote `content`."""
    text = content if isinstance(content, str) or content is None else json.dumps(content)
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 900, "completion_tokens": 120, "total_tokens": 1020}
    return {"id": "c1", "object": "chat.completion", "choices": [choice], "usage": usage}


@dataclass
class Reply:
    """What the server sends: a JSON body, or raw bytes. `before` runs first, and may hold the answer back."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    before: Callable[[], Any] = lambda: None
    pieces: Iterator[bytes] | None = None


@dataclass
class Asked:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class FakeEndpoint:
    """Sends its `replies` one after the other, the last of them for ever; `asked` is what it was sent."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.replies: list[Reply] = [Reply(completion(record()))]
        self.leave = threading.Event()  # set at the end, so that nothing waits for a test that is over
        self._lock = threading.Lock()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                asked = Asked(self.path, dict(self.headers), json.loads(self.rfile.read(length)))
                with fake._lock:
                    fake.asked.append(asked)
                    reply = fake.replies.pop(0) if len(fake.replies) > 1 else fake.replies[0]
                fake._send(self, reply)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _send(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        reply.before()
        body = reply.raw if reply.raw is not None else json.dumps(reply.body).encode()
        try:
            handler.send_response(reply.status)
            headers = {"Content-Type": "application/json", **reply.headers}
            if reply.pieces is None:
                headers["Content-Length"] = str(len(body))
            else:
                headers["Connection"] = "close"
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.end_headers()
            for piece in reply.pieces if reply.pieces is not None else (body,):
                handler.wfile.write(piece)
                handler.wfile.flush()
        except OSError:
            pass  # the client has left
        if reply.pieces is not None:
            handler.close_connection = True

    def answer(self, *contents: Any) -> None:
        """Let the model write these, one after the other."""
        self.replies = [Reply(completion(content)) for content in contents]

    @contextmanager
    def running(self) -> Iterator[FakeEndpoint]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.leave.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()
