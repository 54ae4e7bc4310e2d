"""The client of the REST API: records as typed dictionaries, pages as iterators, problems as exceptions."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import httpx

from speedproof.errors import NotReachable, SpeedproofError, TooManyRequests, error_of

if TYPE_CHECKING:
    from speedproof import types

BASE = "/api/v1"
TRIES = 4
LONGEST_WAIT_S = 30.0
PAUSE_S = 0.5
AGAIN = (429, 502, 503, 504)
KINDS = ("papers", "techniques", "claims", "implementations", "devices", "runs", "verdicts", "review-items")
LARGEST_PAGE = 200

Params = Mapping[str, str | int | float | bool | Sequence[str] | None]


@dataclass(frozen=True)
class Event:
    """Something that happened to a run: `state`, `progress` or `log`."""

    id: str
    kind: str
    data: dict[str, Any]


class Client:
    """
    with Client("https://speedproof.example", token="sp_…") as client:
        for paper in client.records("papers", family="kv-cache"):
            print(paper["title"])

    Reading needs no token. What failed on its way, and what the server asks to send again, is sent again, except where
    that could do something twice.
    """

    def __init__(
        self,
        server: str,
        token: str | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        timeout_s: float = 60.0,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        """Raises: SpeedproofError where server is no address."""
        if not server.startswith(("http://", "https://")):
            raise SpeedproofError(f"server: {server!r} is no address; write it like https://speedproof.example")
        if token is not None and (not token.isascii() or not token.isprintable() or " " in token):
            raise SpeedproofError("token: holds characters that no token has; give it as it was shown")
        headers = {"Accept": "application/json", "User-Agent": "speedproof-client/1"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.Client(
            base_url=server.rstrip("/"), headers=headers, transport=transport, timeout=timeout_s, follow_redirects=True
        )
        self._wait = wait

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def search(self, words: str = "", **filters: Any) -> types.Search:
        """Ranked papers. filters: like, unlike, exact, limit, offset, and those of papers."""
        return cast("types.Search", self.get("/search", {"q": words or None, **filters}))

    def paper(self, name: str) -> types.Paper:
        """A paper by slug, or by arXiv id. Raises: NotFound."""
        return cast("types.Paper", self.get(f"/papers/{_part(self._slug(name))}"))

    def implementation(self, name: str) -> types.Implementation:
        return cast("types.Implementation", self.get(f"/implementations/{_part(name)}"))

    def measured(self, name: str) -> types.Measured:
        """What was measured of an implementation, by device."""
        return cast("types.Measured", self.get(f"/implementations/{_part(name)}/measured"))

    def compare(self, names: Sequence[str]) -> list[types.Compared]:
        return cast("list[types.Compared]", self.get("/compare", {"technique": [self._slug(one) for one in names]}))

    def run(self, run_id: int) -> types.Run:
        return cast("types.Run", self.get(f"/runs/{run_id}"))

    def records(self, kind: str, **filters: Any) -> Iterator[dict[str, Any]]:
        """All records of a kind (see KINDS), page by page as they are asked for. filters: as the API documents them."""
        if kind not in KINDS:
            raise SpeedproofError(f"kind: {kind!r} is not one of: {', '.join(KINDS)}")
        size = filters.pop("page_size", LARGEST_PAGE)
        page: int | None = 1
        while page:
            answer = self.get(f"/{kind}", {**filters, "page": page, "page_size": size})
            yield from answer["results"]
            page = page + 1 if answer["next"] else None

    def get(self, path: str, params: Params | None = None) -> Any:
        return self._answer("GET", path, params=_plain(params or {})).json()

    def _slug(self, name: str) -> str:
        """The name itself, or for an arXiv id, which has a dot or a slash as no slug has, the slug of its paper."""
        if "." not in name and "/" not in name:
            return name
        found = self.get("/papers", {"arxiv_id": name, "fields": "slug"})["results"]
        return str(found[0]["slug"]) if found else name

    # ── advice and work ─────────────────────────────────────────────────────────────────────────────────────────────
    def recommend(self, need: str, **given: Any) -> types.Recommendation:
        """Advice for a need in words; what is given by name wins over the words."""
        body = {"need": need, **{name: value for name, value in given.items() if value is not None}}
        return cast("types.Recommendation", self._answer("POST", "/recommendations", json=body, is_safe=True).json())

    def verify(self, implementation: str, device: str = "", mode: str = "run", key: str | None = None) -> types.Run:
        """Ask for a run. Sent again with the same key it is still one run."""
        body = {"implementation": implementation, "mode": mode, **({"device": device} if device else {})}
        headers = {"Idempotency-Key": key or uuid.uuid4().hex}
        return cast("types.Run", self._answer("POST", "/runs", json=body, headers=headers, is_safe=True).json())

    def cancel(self, run_id: int) -> types.Run:
        return cast("types.Run", self._answer("POST", f"/runs/{run_id}/cancel").json())

    def follow(self, run_id: int) -> Iterator[Event]:
        """The events of a run to its end, across streams that break off. Where none is free, the run is asked now and then."""
        last, misses = "", 0
        while True:
            ended = False
            try:
                for event in self._stream(run_id, last):
                    last, misses = event.id, 0
                    ended = event.kind == "state" and bool(event.data.get("is_final"))
                    yield event
            except (httpx.TransportError, TooManyRequests, _Busy):
                misses += 1
                if misses > TRIES * 10:
                    raise NotReachable(f"run {run_id} cannot be followed: the server does not answer") from None
                self._wait(min(PAUSE_S * 2**misses, 5.0))
            if ended:
                return
            if not last and self._is_over(run_id):
                return

    def _is_over(self, run_id: int) -> bool:
        return self.run(run_id)["state"] in ("finished", "failed", "cancelled")

    def _stream(self, run_id: int, last: str) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
        with self._http.stream("GET", f"{BASE}/runs/{run_id}/events", headers=headers) as answer:
            if answer.status_code == 503:
                raise _Busy
            if answer.status_code >= 400:
                raise error_of(answer.status_code, _json(answer.read()))
            yield from events_in(answer.iter_lines())

    # ── sending ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _answer(self, method: str, path: str, is_safe: bool | None = None, **sent: Any) -> httpx.Response:
        """is_safe: sending it again does nothing twice. Raises: ApiError, NotReachable."""
        again = method == "GET" if is_safe is None else is_safe
        for number in range(1, TRIES + 1):
            is_last = number == TRIES or not again
            try:
                answer = self._http.request(method, BASE + path, **sent)
            except httpx.TransportError as fault:
                if is_last:
                    raise NotReachable(f"{self._http.base_url} does not answer: {fault}") from None
                self._wait(PAUSE_S * 2**number)
                continue
            if answer.status_code in AGAIN and not is_last:
                self._wait(_pause(answer, number))
                continue
            if answer.status_code >= 400:
                raise error_of(answer.status_code, _json(answer.content))
            return answer
        raise AssertionError("the last try either answers or raises")


class _Busy(Exception):
    """No stream is free just now."""


def events_in(lines: Iterator[str]) -> Iterator[Event]:
    """Server-sent events; comments, unknown fields and broken data are passed over."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields['data']}\n{value}" if name == "data" and "data" in fields else value
            continue
        if "event" in fields and isinstance(data := _json(fields.get("data", "")), dict):
            yield Event(fields.get("id", ""), fields["event"], data)
        fields = {}


def _pause(answer: httpx.Response, number: int) -> float:
    told = answer.headers.get("Retry-After", "")
    return min(float(told), LONGEST_WAIT_S) if told.isdigit() else PAUSE_S * 2**number


def _plain(params: Params) -> dict[str, Any]:
    """Without what is None; truths as the API writes them."""
    told = {True: "true", False: "false"}
    return {n: told[v] if isinstance(v, bool) else v for n, v in params.items() if v is not None}


def _part(name: str) -> str:
    """A name as one part of a path."""
    from urllib.parse import quote

    return quote(name, safe="")


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
