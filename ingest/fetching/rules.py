"""Where we may ask at all: scheme, host and port of an address, and the IP address that its name stands for."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import httpx

from ingest.fetching.errors import Refused

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_ADDRESS = 2000
_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True)
class Rules:
    """hosts: names that may be asked, each with ":port" where the port is not that of http or https.

    allow_private: also ask machines of the own network; for tests and for mirrors inside a firm.
    """

    hosts: frozenset[str]
    allow_private: bool = False
    _entries: frozenset[tuple[str, int | None]] = field(init=False, repr=False)

    def __init__(self, hosts: Iterable[str], allow_private: bool = False) -> None:
        object.__setattr__(self, "hosts", frozenset(host.strip().lower() for host in hosts if host.strip()))
        object.__setattr__(self, "allow_private", allow_private)
        object.__setattr__(self, "_entries", frozenset(_entry(host) for host in self.hosts))

    def check(self, address: str) -> httpx.URL:
        """The address, parsed; without what stands behind "#".

        Raises: Refused, which says what is wrong with it.
        """
        if len(address) > MAX_ADDRESS:
            raise Refused(f"{address[:80]}…", f"has {len(address)} characters", f"at most {MAX_ADDRESS} are an address")
        try:
            url = httpx.URL(address)
        except (httpx.InvalidURL, ValueError) as fault:
            raise Refused(address, f"is no address ({fault})", "write it like https://host/path") from None
        if url.scheme not in _PORTS:
            raise Refused(address, f"has the scheme {url.scheme!r}", "only http and https are fetched")
        if url.userinfo:
            raise Refused(
                str(url.copy_with(userinfo=b"")),
                "carries a user name or password",
                "leave out what stands before the @",
            )
        port = None if url.port == _PORTS[url.scheme] else url.port
        if (url.host, port) not in self._entries:
            raise Refused(address, *self._why_not(url.host, port))
        return url.copy_with(fragment=None)

    def _why_not(self, host: str, port: int | None) -> tuple[str, str]:
        if (host, None) in self._entries:
            return f"names the port {port}", f"{host} is asked on its usual ports alone"
        where = f"{host}:{port}" if port else host
        return (
            f"{where} is not on the list of hosts",
            f"an operator can add it to FETCH_HOSTS ({', '.join(sorted(self.hosts))})",
        )

    def why_not_ip(self, text: str) -> str | None:
        """Why no connection may be made to that IP address, or None where one may."""
        if self.allow_private:
            return None
        ip = _innermost(ipaddress.ip_address(text))
        if not ip.is_global or ip.is_multicast or ip.is_reserved:
            return f"{text} is an address of the own machine or network"
        return None


def _entry(host: str) -> tuple[str, int | None]:
    name, colon, port = host.rpartition(":")
    if colon and port.isdigit() and not name.endswith(":"):
        return name.strip("[]"), int(port)
    return host.strip("[]"), None


def _innermost(ip: IPAddress) -> IPAddress:
    """The IPv4 address that an IPv6 address stands for, where it is only a wrapping of one."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else ip)
    return ip
