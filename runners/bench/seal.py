"""The seal on each line of the private pipe."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

KEY_BYTES = 32
_HEX_DIGITS = 64

# Bound before code under test is imported.
_new = hmac.new
_sha256 = hashlib.sha256


def make_seal(key: bytes) -> Callable[[bytes], bytes]:
    """A function that seals one line after another; each seal also depends on all lines before.

    It tells a line that code under test writes into the pipe from the harness's own. It is no wall: both live in one
    process, where whoever goes looking for the key will find it.
    """
    state = b""

    def seal(line: bytes) -> bytes:
        nonlocal state
        state = _new(key, state + line, _sha256).hexdigest().encode()
        return state

    return seal


def opened(line: bytes, seal: Callable[[bytes], bytes]) -> dict[str, Any]:
    """The message in a sealed line. Raises ValueError where the seal is not the one that `seal` expects next."""
    text, given = line[: -_HEX_DIGITS - 1], line[-_HEX_DIGITS:]
    if not hmac.compare_digest(given, seal(text)):
        raise ValueError("a line that the harness did not write")
    message = json.loads(text)
    if not isinstance(message, dict):
        raise ValueError("a message is not an object")
    return message
