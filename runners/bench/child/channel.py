"""The child's end of the private pipe: one JSON object a line."""

from __future__ import annotations

import json
import math
import os
import sys
from typing import Any

from runners.bench.seal import make_seal

# Bound before code under test is imported: what it later patches in these modules does not reach the harness.
_dumps = json.dumps
_write = os.write
_exit = os._exit


class Channel:
    """Writes messages to a file descriptor that is not inherited by processes that the child starts.

    Each line ends in a seal made with `key`, so that a line from anyone else is told from the harness's.
    """

    def __init__(self, fd: int, key: bytes) -> None:
        os.set_inheritable(fd, False)
        self._fd = fd
        self._seal = make_seal(key)
        self._answer = sys.stdin.readline

    def send(self, kind: str, **fields: Any) -> None:
        """Sends one message; floats that are not finite travel as null."""
        text = _dumps({"type": kind, **_finite(fields)}, allow_nan=False).encode()
        line = text + b" " + self._seal(text) + b"\n"
        while line:
            line = line[_write(self._fd, line) :]

    def ask(self, kind: str, **fields: Any) -> None:
        """Sends a message and waits until the parent grants it; ends this process where the parent is gone."""
        self.send(kind, **fields)
        if not self._answer():
            _exit(1)

    def phase(self, phase: str, fraction: float, text: str = "") -> None:
        self.send("phase", phase=phase, fraction=min(max(fraction, 0.0), 1.0), text=text)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value
