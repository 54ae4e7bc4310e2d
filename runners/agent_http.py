"""How an agent speaks to its server: JSON over HTTPS with a token, and a patience for networks. Standard library only."""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import logging
import random
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

logger = logging.getLogger("speedproof.agent")

LONGEST_ANSWER = 1_000_000
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
TEMPORARY = (408, 425, 429)
NAMED_CHARS = 400


class Usage(ValueError):
    """The address or the token cannot be used as it is given. The message names which and what would be right."""


class NotReached(Exception):
    """No answer, or none that can be used: worth asking again. `after_s` is what the server asked for, if it did."""

    def __init__(self, told: str, after_s: float = 0.0) -> None:
        super().__init__(told)
        self.after_s = after_s


class Refused(Exception):
    """The server understood and will not do it; asking again changes nothing."""

    def __init__(self, status: int, told: str) -> None:
        super().__init__(told)
        self.status = status

    @property
    def is_lost(self) -> bool:
        return self.status == 409

    @property
    def is_of_token(self) -> bool:
        return self.status in (401, 403)


def checked_address(address: str) -> str:
    """The address without a slash at its end. Raises: Usage unless it is HTTPS, or HTTP on this very machine."""
    parts = urlsplit(address.strip())
    try:
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise Usage(f"server: {address!r} is no address ({error}); such as https://speedproof.example.org") from None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise Usage(f"server: {address!r} is no address; such as https://speedproof.example.org")
    if parts.username or parts.password:
        raise Usage("server: holds a name or a password; the token goes into a file or SPEEDPROOF_TOKEN")
    if parts.scheme == "http" and not is_loopback(host):
        raise Usage(f"server: http://{host} would show the token to everybody on the way; use https")
    return address.strip().rstrip("/")


def is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token to wherever it leads."""

    def redirect_request(self, *_: Any) -> None:
        return None


class Server:
    """The agent's part of the API. The token is in the header of each request, and nowhere else."""

    def __init__(self, address: str, token: str, *, timeout_s: float = 30.0) -> None:
        self._root = f"{checked_address(address)}/api/v1/agent/"
        self._token, self._timeout_s = token, timeout_s
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context()))
        if is_loopback(urlsplit(self._root).hostname or ""):
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """One try. Raises: NotReached, Refused."""
        request = urllib.request.Request(  # noqa: S310 - the address is checked when it is given
            self._root + path,
            data=json.dumps(body, allow_nan=False).encode(),
            headers={
                "Content-Type": "application/json",
                "Accept": "application/json",
                "User-Agent": "speedproof-agent",
                "Authorization": f"Bearer {self._token}",
            },
        )
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                return _object(_read(answer))
        except urllib.error.HTTPError as error:
            with error:
                raise _fault(error) from None
        except (OSError, http.client.HTTPException) as error:
            raise NotReached(f"{type(error).__name__}: {str(error)[:NAMED_CHARS]}") from None

    def ask(
        self, path: str, body: dict[str, Any], stop: threading.Event, patience_s: float | None = None
    ) -> dict[str, Any]:
        """Asks until there is an answer; the same body may arrive more than once.

        Raises: Refused; NotReached after `patience_s` seconds of trying (None: never), or once `stop` is set.
        """
        began = time.monotonic()
        for wait in waits():
            try:
                return self.post(path, body)
            except NotReached as error:
                told = error
            pause = min(max(wait, told.after_s), 5 * LONGEST_WAIT_S)
            spent = time.monotonic() - began
            if stop.is_set() or (patience_s is not None and spent + pause > patience_s):
                raise told
            logger.warning("%s: %s; asking again in %.0f s", path, told, pause)
            if stop.wait(pause):
                raise told
        raise AssertionError("waits never end")


def waits() -> Iterator[float]:
    """Seconds before each further try: doubled up to a minute, and scattered, so that agents do not come all at once."""
    longest = FIRST_WAIT_S
    while True:
        yield longest * random.uniform(0.5, 1.0)
        longest = min(2 * longest, LONGEST_WAIT_S)


def _read(answer: Any) -> bytes:
    found: bytes = answer.read(LONGEST_ANSWER + 1)
    if len(found) > LONGEST_ANSWER:
        raise NotReached(f"the answer has more than {LONGEST_ANSWER} bytes; is this the right address?")
    told = answer.headers.get("Content-Length")
    if told is not None and told.isdigit() and len(found) < int(told):
        raise NotReached(f"the answer broke off after {len(found)} of {told} bytes")
    return found


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise NotReached(f"the answer is no JSON object but {text[:60]!r}; is this the right address?")
    return found


def _fault(error: urllib.error.HTTPError) -> Exception:
    """What an error status means: worth another try, or a refusal with the server's own words."""
    told = f"{error.code} {error.reason}"
    if 300 <= error.code < 400:
        where = error.headers.get("Location", "")
        return Refused(error.code, f"{told}: leads to {where[:NAMED_CHARS]!r}; give the address that it leads to")
    with contextlib.suppress(Exception):
        told = str(_object(_read(error))["detail"])[:NAMED_CHARS]
    if error.code in TEMPORARY or error.code >= 500:
        after = error.headers.get("Retry-After") or ""
        return NotReached(told, float(after) if after.isdigit() else 0.0)
    return Refused(error.code, told)
