"""The connections themselves. Names are resolved here and the IP address that is connected to is the one that was checked,
so that a name which means something else a moment later (DNS rebinding) gains nothing. Every read ends at the deadline, also
where a server sends a byte now and then.
"""

import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import httpcore
import httpx

from ingest.fetching.errors import FetchError, Refused, TryAgain
from ingest.fetching.rules import Rules

# What httpcore raises; its errors have no common ancestor.
NETWORK_ERRORS = (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError)

Resolve = Callable[[str, int], list[str]]


class ForbiddenPeer(Exception):
    """The name stands for an IP address that may not be asked."""


class DeadlinePassed(Exception):
    """The wall limit of a fetch is used up."""


def resolve(host: str, port: int) -> list[str]:
    """IP addresses of a name, in the order in which the system would try them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class GuardedBackend(httpcore.NetworkBackend):
    """Connects to checked IP addresses only. `deadline`: time of `monotonic` at which whatever goes on ends."""

    def __init__(self, rules: Rules, monotonic: Callable[[], float], resolve: Resolve = resolve) -> None:
        self._rules, self._monotonic, self._resolve = rules, monotonic, resolve
        self._inner = httpcore.SyncBackend()
        self.deadline: float | None = None

    def left(self, timeout: float | None) -> float | None:
        """The time-out, cut to what is left until the deadline."""
        if self.deadline is None:
            return timeout
        remaining = self.deadline - self._monotonic()
        if remaining <= 0:
            raise DeadlinePassed
        return remaining if timeout is None else min(timeout, remaining)

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            addresses = self._resolve(host, port)
        except OSError as fault:
            raise httpcore.ConnectError(f"the name {host} cannot be resolved ({fault.strerror or fault})") from fault
        refusals = {ip: why for ip in addresses if (why := self._rules.why_not_ip(ip))}
        failure: Exception = ForbiddenPeer("; ".join(refusals.values()) or f"{host} has no address")
        for ip in addresses:
            if ip in refusals:
                continue
            try:
                return GuardedStream(
                    self._inner.connect_tcp(ip, port, self.left(timeout), local_address, socket_options), self
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as fault:
                failure = fault
        raise failure


class GuardedStream(httpcore.NetworkStream):
    """A connection whose reads and writes end at the backend's deadline."""

    def __init__(self, inner: httpcore.NetworkStream, backend: GuardedBackend) -> None:
        self._inner, self._backend = inner, backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._backend.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._backend.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._inner.start_tls(ssl_context, server_hostname, self._backend.left(timeout))
        return GuardedStream(secured, self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


@cache
def _certificates() -> ssl.SSLContext:
    """Reading them takes a tenth of a second."""
    return httpx.create_ssl_context(trust_env=False)


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        self._stream.close()


class GuardedTransport(httpx.BaseTransport):
    """httpx over httpcore's pool with the guarded backend. httpx's own transport takes no backend, and it reads proxies from
    the environment, behind which no address could be checked.
    """

    def __init__(self, backend: GuardedBackend) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=_certificates(),
            max_connections=8,
            max_keepalive_connections=4,
            keepalive_expiry=30.0,
            network_backend=backend,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        answer = self._pool.handle_request(
            httpcore.Request(
                request.method,
                httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer.stream), extensions=answer.extensions
        )

    def close(self) -> None:
        self._pool.close()


@contextmanager
def told_as_fetch_errors(address: str, backend: GuardedBackend, wall_s: float, read_s: float) -> Iterator[None]:
    """Whatever goes wrong on the way, as a FetchError about `address`."""
    slow = FetchError(
        address,
        f"was not answered in full within {wall_s:g} s",
        "ask for less, or raise FETCH_WALL_S if the host is slow",
    )
    try:
        yield
    except ForbiddenPeer as fault:
        raise Refused(address, str(fault), "only public addresses are fetched from") from None
    except DeadlinePassed:
        raise slow from None
    except httpcore.TimeoutException as fault:
        try:
            backend.left(None)
        except DeadlinePassed:
            raise slow from None
        if isinstance(fault, httpcore.ConnectTimeout):
            raise TryAgain(address, "took too long to accept a connection") from fault
        raise TryAgain(address, f"was silent for {read_s:g} s") from fault
    except httpcore.ConnectError as fault:
        raise TryAgain(address, f"cannot be reached: {_words(fault)}", "check the network, then try again") from fault
    except NETWORK_ERRORS as fault:
        raise TryAgain(address, f"the connection broke: {_words(fault)}") from fault


def _words(fault: Exception) -> str:
    return " ".join(str(fault).split())[:200] or type(fault).__name__
