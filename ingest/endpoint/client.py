"""Asks the endpoint about one paper: one request, repeated where that may help, and a typed error where it does not.

The only module here that speaks to the network. The key leaves it in one header and in nothing else.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_random_exponential,
)

from .answer import content_of, object_in
from .config import EndpointConfig, wrong_settings
from .errors import EndpointError, Fault
from .prompt import build_messages
from .schema import RECORD_SCHEMA, SCHEMA_NAME
from .usage import Usage, tokens_of

MOST_ATTEMPTS: Final = 4
MOST_BYTES: Final = 4 * 2**20
LONGEST_WAIT_S: Final = 120.0
_BACK_OFF: Final = wait_random_exponential(multiplier=1, max=30)
_SHORTEST_SECRET: Final = 8
"""Keys such as "none" or "EMPTY", which local servers are given, are words and no secrets."""


class Answer(NamedTuple):
    """The JSON object as the model wrote it, unchecked, and what it cost."""

    record: dict[str, Any]
    usage: Usage


class _TryAgain(Exception):
    """A fault that may pass; `wait_s` is the pause that the server asked for."""

    def __init__(self, error: EndpointError, wait_s: float | None = None) -> None:
        super().__init__(error.message)
        self.error, self.wait_s = error, wait_s


class EndpointClient:
    """Safe to share between threads. `stop` ends pauses and retries early, for a run that is being interrupted."""

    def __init__(self, config: EndpointConfig, stop: threading.Event | None = None) -> None:
        """Raises: EndpointError where the endpoint is off or a setting is wrong."""
        if not config.is_on:
            raise EndpointError(Fault.NOT_CONFIGURED, "ENDPOINT_URL is empty: no endpoint is set", stops_all=True)
        if wrong := wrong_settings(config):
            told = f"{wrong[0].setting} {wrong[0].problem}. {wrong[0].hint}"
            raise EndpointError(Fault.NOT_CONFIGURED, told, stops_all=True)
        self._config, self._stop = config, stop or threading.Event()
        self._tokens_field, self._sends_temperature = "max_tokens", True
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "speedproof"}
        if config.api_key:
            headers["Authorization"] = f"Bearer {config.api_key}"
        # A redirect would carry abstract and key to an address that nobody set.
        self._http = httpx.Client(headers=headers, timeout=config.timeout_s, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def read(self, title: str, abstract: str, attempts: int = MOST_ATTEMPTS) -> Answer:
        """The record that the model gives for one paper, with at most `attempts` requests. Raises: EndpointError."""
        sent = 0

        def once() -> Any:
            nonlocal sent
            sent += 1
            return self._ask(title, abstract)

        retrying = Retrying(
            retry=retry_if_exception_type(_TryAgain),
            stop=stop_after_attempt(attempts),
            wait=_pause,
            sleep=self._rest,
            reraise=True,
        )
        try:
            body = retrying(once)
        except _TryAgain as fault:
            fault.error.usage = Usage(sent)
            raise fault.error from None
        except EndpointError as fault:
            fault.usage = Usage(sent)
            raise
        usage = tokens_of(body).plus(Usage(sent))
        try:
            return Answer(object_in(self._hidden(content_of(body))), usage)
        except EndpointError as fault:
            fault.usage = usage
            raise

    def _rest(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise EndpointError(Fault.UNAVAILABLE, "the run was interrupted between two attempts", stops_all=True)

    def _ask(self, title: str, abstract: str) -> Any:
        """One request; the decoded body of a response that went well."""
        deadline = time.monotonic() + self._config.timeout_s
        # Written here and not by the library, whose UTF-8 cannot hold what some pages have: half a surrogate pair.
        content = json.dumps(self._question(title, abstract))
        try:
            with self._http.stream("POST", self._config.completions_url, content=content) as response:
                body = _read_body(response, deadline)
        except httpx.TimeoutException:
            raise _TryAgain(self._timed_out()) from None
        except _TooSlow:
            raise _TryAgain(self._timed_out()) from None
        except httpx.TransportError as fault:
            told = self._hidden(str(fault)) or type(fault).__name__
            error = EndpointError(Fault.UNAVAILABLE, f"the endpoint at {self._place} did not answer: {told}")
            raise _TryAgain(error) from None
        except httpx.HTTPError as fault:
            told = f"the answer of {self._place} cannot be read: {type(fault).__name__}"
            raise EndpointError(Fault.MALFORMED, told) from None
        if response.status_code != 200:
            raise self._fault_of(response, body)
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            told = "the endpoint answered with a stream although none was asked for"
            raise EndpointError(Fault.MALFORMED, told, stops_all=True)
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            told = f"{self._place} answered with something that is not JSON: {self._snippet(body)}"
            raise EndpointError(Fault.MALFORMED, told) from None

    def _question(self, title: str, abstract: str) -> dict[str, Any]:
        form = self._config.response_format
        asked: dict[str, Any] = {
            "model": self._config.model,
            "messages": build_messages(title, abstract, with_schema=form != "json_schema"),
            self._tokens_field: self._config.max_tokens,
            "stream": False,
        }
        if self._sends_temperature:
            asked["temperature"] = 0
        if form == "json_schema":
            schema = {"name": SCHEMA_NAME, "strict": True, "schema": RECORD_SCHEMA}
            asked["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif form == "json_object":
            asked["response_format"] = {"type": "json_object"}
        return asked

    @property
    def _place(self) -> str:
        return self._config.completions_url

    def _timed_out(self) -> EndpointError:
        told = f"the endpoint at {self._place} gave no answer within {self._config.timeout_s:g} s (ENDPOINT_TIMEOUT_S)"
        return EndpointError(Fault.TIMED_OUT, told)

    def _fault_of(self, response: httpx.Response, body: bytes) -> Exception:
        """What a status other than 200 means: to be raised, and tried again where it is a _TryAgain."""
        status, said = response.status_code, self._snippet(body)
        if status == 429 or status >= 500 or status in {408, 425}:
            return self._later(response, said)
        if 300 <= status < 400:
            # Only the host is told: an address may carry a secret.
            host = urlsplit(response.headers.get("location", "")).hostname or "an address of its own"
            told = f"{self._place} sends on to {host} ({status}), which is not followed; set ENDPOINT_URL to where the endpoint is"
            return EndpointError(Fault.REFUSED, self._hidden(told), stops_all=True)
        if status in {401, 403}:
            told = f"the endpoint refused the key ({status}), see ENDPOINT_API_KEY: {said}"
            return EndpointError(Fault.REFUSED, told, stops_all=True)
        if status == 404:
            told = f"nothing is at {self._place}, or it has no model {self._config.model!r} (404), see ENDPOINT_URL and ENDPOINT_MODEL: {said}"
            return EndpointError(Fault.REFUSED, told, stops_all=True)
        if status == 400 and self._speaks_otherwise(said):
            return _TryAgain(EndpointError(Fault.REFUSED, f"the endpoint refused the request (400): {said}"), 0.0)
        format_is_refused = "response_format" in said or "json_schema" in said
        hint = "; ENDPOINT_RESPONSE_FORMAT has other forms" if format_is_refused else ""
        told = f"the endpoint refused the request ({status}){hint}: {said}"
        # A text that is too long is one paper's fault; a form that is not known is every paper's.
        return EndpointError(Fault.REFUSED, told, stops_all=format_is_refused or status not in {400, 413, 422})

    def _later(self, response: httpx.Response, said: str) -> Exception:
        status, wait_s = response.status_code, _retry_after(response.headers)
        limited = status == 429
        what = "is over its own limit" if limited else "has a fault"
        wait = "" if wait_s is None else f", and asks to wait {wait_s:.0f} s"
        fault = Fault.OVER_LIMIT if limited else Fault.UNAVAILABLE
        error = EndpointError(fault, f"the endpoint {what} ({status}){wait}: {said}", stops_all=limited)
        return error if wait_s is not None and wait_s > LONGEST_WAIT_S else _TryAgain(error, wait_s)

    def _speaks_otherwise(self, said: str) -> bool:
        """Newer models name the limit of tokens otherwise and let nobody set a temperature; learnt once from the refusal."""
        if "max_completion_tokens" in said and self._tokens_field == "max_tokens":
            self._tokens_field = "max_completion_tokens"
            return True
        if "temperature" in said and self._sends_temperature:
            self._sends_temperature = False
            return True
        return False

    def _hidden(self, text: str) -> str:
        key = self._config.api_key
        return text.replace(key, "[key]") if len(key) >= _SHORTEST_SECRET else text

    def _snippet(self, body: bytes) -> str:
        """What the server said, on one line, without the key and short enough for a log."""
        text = self._hidden(body[:20_000].decode(errors="replace"))
        try:
            said = json.loads(text)
            error = said.get("error", said.get("message", text)) if isinstance(said, dict) else text
            text = str(error.get("message", error) if isinstance(error, dict) else error)
        except (ValueError, RecursionError):
            pass
        plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return plain[:300] or "(nothing said)"


class _TooSlow(Exception):
    """Bytes came, but not all of them in time."""


def _read_body(response: httpx.Response, deadline: float) -> bytes:
    """The body, bounded in size and in time: a server that drips would hold a plain time-out off for ever."""
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > MOST_BYTES:
            raise EndpointError(Fault.MALFORMED, f"the answer is longer than {MOST_BYTES // 2**20} MiB")
        if time.monotonic() > deadline:
            raise _TooSlow
    return bytes(body)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that "Retry-After" asks for, given as a number or a date; None where it says nothing sensible."""
    text = headers.get("retry-after", "").strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            then = parsedate_to_datetime(text)
        except ValueError:
            return None
        seconds = (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return max(0.0, seconds) if seconds < 10**9 else None


def _pause(state: RetryCallState) -> float:
    """Seconds before the next attempt: what the server asked for, else a random pause that doubles."""
    fault = state.outcome.exception() if state.outcome else None
    asked = fault.wait_s if isinstance(fault, _TryAgain) else None
    return asked if asked is not None else _BACK_OFF(state)
