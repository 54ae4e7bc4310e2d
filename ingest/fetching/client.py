"""The one client of all outgoing fetches: listed hosts, limits, retries, conditional requests and a pace for each host.

Knows no settings and no database: what varies and what is kept between runs is handed in.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Self, TypeVar

import httpx
import tenacity

from ingest.fetching import network
from ingest.fetching.bodies import Check, read_all
from ingest.fetching.clock import Clock, SystemClock
from ingest.fetching.errors import FetchError, TryAgain
from ingest.fetching.rules import Rules
from ingest.fetching.turns import MemoryTurns, Pace, TurnStore

T = TypeVar("T")

_REDIRECTS = {301, 302, 303, 307, 308}
_TRANSIENT = {408, 425, 429, 500, 502, 503, 504}
_MEANING = {
    400: ("does not understand the request", "check the address and what is asked for"),
    401: ("wants a sign-in", "only public pages are fetched"),
    403: ("does not let us read it", "only public pages are fetched; if it is one, wait some hours, the host may have had enough"),
    404: ("is not there", "check the address or id"),
    410: ("is gone for good", "take it off your list"),
    429: ("is asked too often", "try again later"),
}  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """Seconds and bytes of one fetch, attempts and redirects of it.

    read_s: the longest silence. wall_s: from connecting to the last byte of an attempt. max_bytes: after unpacking.
    max_wait_s: the longest pause that a host may ask for before we give up; also the longest wait for its turn.
    """

    connect_s: float = 10.0
    read_s: float = 90.0
    wall_s: float = 180.0
    max_bytes: int = 64 * 2**20
    attempts: int = 5
    max_wait_s: float = 300.0
    redirects: int = 5


@dataclass(frozen=True)
class Validators:
    """By what a host recognises the version of an address that we have."""

    etag: str = ""
    last_modified: str = ""

    def as_conditions(self) -> dict[str, str]:
        pairs = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in pairs.items() if value}


@dataclass(frozen=True)
class Fetched:
    """address: as asked for. body: b"" where the host has nothing newer than what `known` names (status 304)."""

    address: str
    status: int
    body: bytes
    validators: Validators

    @property
    def is_unchanged(self) -> bool:
        return self.status == 304


class Fetcher:
    """One thread at a time. Close it, or use it as a context."""

    def __init__(
        self,
        rules: Rules,
        *,
        user_agent: str,
        limits: Limits | None = None,
        turns: TurnStore | None = None,
        intervals: Mapping[str, float] | None = None,
        interval_s: float = 1.0,
        clock: Clock | None = None,
        resolve: network.Resolve = network.resolve,
    ) -> None:
        self.limits = limits or Limits()
        self._rules, self._clock = rules, clock or SystemClock()
        self._pace = Pace(
            turns or MemoryTurns(), self._clock, intervals or {}, interval_s, patience_s=self.limits.max_wait_s
        )
        self._backend = network.GuardedBackend(rules, self._clock.monotonic, resolve)
        self._http = httpx.Client(
            transport=network.GuardedTransport(self._backend),
            headers={"User-Agent": user_agent, "Accept": "*/*", "Accept-Encoding": "gzip"},
            timeout=httpx.Timeout(self.limits.read_s, connect=self.limits.connect_s),
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(self, address: str, known: Validators | None = None, check: Check = lambda body: None) -> Fetched:
        """The body of an address, held in memory. `check` looks at it; what it finds wrong is a reason to try again.

        Raises: FetchError; its subclass Refused where our own rules forbid the address.
        """

        def attempt() -> Fetched:
            with self.answer(address, known.as_conditions() if known else {}) as response:
                if response.status_code == 304:
                    return Fetched(address, 304, b"", known or Validators())
                body = read_all(response, address, self.limits.max_bytes)
            if wrong := check(body):
                kind = response.headers.get("content-type", "no type named").split(";")[0]
                raise TryAgain(address, f"{wrong} ({kind}, {len(body)} bytes)", status=response.status_code)
            return Fetched(address, response.status_code, body, validators_of(response))

        return self.persist(address, attempt)

    def persist(self, address: str, attempt: Callable[[], T]) -> T:
        """Call `attempt` until it gives something, fails for good, or failed `limits.attempts` times.

        Between two attempts is the pause that the host asked for, or one that grows from a second to a minute.
        """
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.limits.attempts),
            wait=_wait,
            retry=tenacity.retry_if_exception(self._is_worth_another_try),
            sleep=self._clock.sleep,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except TryAgain as fault:
            tries = retrying.statistics.get("attempt_number", 1)
            told = f"{fault.problem} (tried {tries} times)" if tries > 1 else fault.problem
            raise FetchError(address, told, fault.remedy, status=fault.status) from fault

    def _is_worth_another_try(self, fault: BaseException) -> bool:
        return isinstance(fault, TryAgain) and (fault.retry_after_s or 0.0) <= self.limits.max_wait_s

    @contextmanager
    def answer(
        self, address: str, headers: Mapping[str, str], limits: Limits | None = None
    ) -> Iterator[httpx.Response]:
        """One attempt: the answer behind all redirects, its body still unread. Status 2xx, 304 or 416; all else is an error.

        Every hop is checked against the rules, waits for its host's turn and has a deadline of its own.
        """
        limits = limits or self.limits
        at = address
        for _ in range(limits.redirects + 1):
            with self._hop(at, headers, limits) as response:
                if response.status_code not in _REDIRECTS:
                    self._refuse_failures(address, response)
                    yield response
                    return
                at = self._next_hop(address, at, response)
        raise FetchError(address, f"leads on more than {limits.redirects} times", "look at it in a browser")

    @contextmanager
    def _hop(self, address: str, headers: Mapping[str, str], limits: Limits) -> Iterator[httpx.Response]:
        url = self._rules.check(address)
        with self._turn(url, address, limits):
            self._backend.deadline = self._clock.monotonic() + limits.wall_s
            try:
                with (
                    network.told_as_fetch_errors(address, self._backend, limits.wall_s, limits.read_s),
                    self._http.stream("GET", url, headers=dict(headers)) as response,
                ):
                    yield response
            finally:
                self._backend.deadline = None

    def _turn(self, url: httpx.URL, address: str, limits: Limits) -> AbstractContextManager[None]:
        return self._pace.turn(url.host, address, limits.wall_s)

    def _next_hop(self, address: str, at: str, response: httpx.Response) -> str:
        target = response.headers.get("location", "")
        try:
            following = response.url.join(target)
        except (httpx.InvalidURL, ValueError):
            following = response.url
        if not target or following == response.url:
            raise FetchError(address, f"leads from {at} to nowhere", "look at it in a browser")
        if response.url.scheme == "https" and following.scheme == "http":
            raise FetchError(address, f"leads from https to {following}", "ask for an address that stays with https")
        return str(following)

    def _refuse_failures(self, address: str, response: httpx.Response) -> None:
        status = response.status_code
        if 200 <= status < 300 or status in {304, 416}:
            return
        problem, remedy = _MEANING.get(status, ("failed on the host's side", "try again later"))
        told = f"{problem} (status {status})"
        if status not in _TRANSIENT:
            raise FetchError(address, told, remedy, status=status)
        pause = self._retry_after(response)
        if pause is not None:
            self._pace.postpone(response.url.host, pause)
            if pause > self.limits.max_wait_s:
                back = datetime.fromtimestamp(self._clock.now() + pause, UTC)
                told, remedy = f"{told}, and wants quiet", f"run this again after {back:%Y-%m-%d %H:%M} UTC"
        raise TryAgain(address, told, remedy, status=status, retry_after_s=pause)

    def _retry_after(self, response: httpx.Response) -> float | None:
        """Seconds that the host wants us to stay away, named as such or as a date; None where it names none."""
        text = response.headers.get("retry-after", "").strip()
        if text.isdecimal() and len(text) < 10:
            return float(text)
        try:
            when = parsedate_to_datetime(text)
        except (TypeError, ValueError):
            return None
        return max((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - self._clock.now(), 0.0)


_growing = tenacity.wait_exponential_jitter(initial=1.0, max=60.0, jitter=1.0)


def _wait(state: tenacity.RetryCallState) -> float:
    fault = state.outcome.exception() if state.outcome else None
    asked = fault.retry_after_s if isinstance(fault, TryAgain) else None
    return _growing(state) if asked is None else asked


def validators_of(response: httpx.Response) -> Validators:
    return Validators(response.headers.get("etag", "")[:300], response.headers.get("last-modified", "")[:100])
