"""The web server's worker: its threads are not held by clients that send their request a byte at a time."""

import os
import socket
import threading
import time
from contextlib import suppress
from typing import Any

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

REQUEST_S = float(os.environ.get("WEB_REQUEST_S", "60"))
LOOK_S = 1.0


class ImpatientWorker(ThreadWorker):  # type: ignore[misc]
    """Stops reading from a connection whose request is not there after `WEB_REQUEST_S`; what is under way is still sent.

    gunicorn's own limit is on a silent connection only. Whoever sends something now and then would keep the thread.
    """

    def init_process(self) -> None:
        self._until: dict[Any, float] = {}
        threading.Thread(target=self._watch, name="slow-requests", daemon=True).start()
        super().init_process()

    def handle(self, conn: Any) -> Any:
        self._until[conn] = time.monotonic() + REQUEST_S
        try:
            return super().handle(conn)
        finally:
            self._until.pop(conn, None)

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_S)
            now = time.monotonic()
            for conn, until in list(self._until.items()):
                if now > until:
                    self._until.pop(conn, None)
                    # Wakes the thread that waits for more: it finds the request cut off.
                    with suppress(OSError):
                        conn.sock.shutdown(socket.SHUT_RD)
