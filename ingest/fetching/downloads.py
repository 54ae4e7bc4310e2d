"""Large files: into a folder, gone on with where they broke off, complete or not there."""

import fcntl
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

from ingest.fetching.bodies import pieces
from ingest.fetching.client import Fetcher, Limits, Validators, validators_of
from ingest.fetching.errors import FetchError, TryAgain

_RANGE = re.compile(r"bytes (?:(?P<first>\d+)-\d+|\*)/(?P<total>\d+|\*)")


@dataclass(frozen=True)
class Download:
    """path: the whole file; None where the host has nothing newer than what was known."""

    address: str
    path: Path | None
    validators: Validators


class Place:
    """Where the file of an address lies: beside it, while it is not whole, its beginning and which version that is of."""

    def __init__(self, folder: Path, address: str) -> None:
        stem = hashlib.sha256(address.encode()).hexdigest()[:32]
        self.whole = folder / f"{stem}.whole"
        self.part = folder / f"{stem}.part"
        self._about = folder / f"{stem}.json"
        self.address = address

    def version(self) -> Validators:
        """Which version the beginning, or the whole file, is of. Without any it cannot be gone on with."""
        try:
            about = json.loads(self._about.read_text())
            return Validators(about["etag"], about["last_modified"])
        except (OSError, ValueError, KeyError, TypeError):
            return Validators()

    def note(self, version: Validators) -> None:
        about = {"address": self.address, "etag": version.etag, "last_modified": version.last_modified}
        self._about.write_text(json.dumps(about))

    def clear(self) -> None:
        for path in (self.whole, self.part, self._about):
            path.unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[IO[bytes]]:
        """The beginning, opened to be gone on with, by one process at a time."""
        self.part.parent.mkdir(parents=True, exist_ok=True)
        with self.part.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise FetchError(
                    self.address, "is being downloaded by another process", "wait for that one, or end it"
                ) from None
            yield file


def download(fetcher: Fetcher, address: str, folder: Path, limits: Limits, known: Validators | None = None) -> Download:
    """The file of an address, in `folder`. One that is there already, whole, is handed out without asking the host.

    known: the version that was read before; the host may answer that it has nothing newer.

    Raises: FetchError. A beginning stays, and the next call goes on behind it if the host still has that version.
    """
    place = Place(folder, address)
    if place.whole.exists():
        return Download(address, place.whole, place.version())
    try:
        with place.alone() as file:
            return fetcher.persist(address, lambda: _attempt(fetcher, place, file, limits, known))
    except OSError as fault:
        raise FetchError(
            address, f"cannot be stored in {folder}: {fault.strerror or fault}", "make room there"
        ) from fault


def _attempt(fetcher: Fetcher, place: Place, file: IO[bytes], limits: Limits, known: Validators | None) -> Download:
    have = file.seek(0, 2)
    version = place.version()
    headers = {"Accept-Encoding": "identity"}
    if have and (condition := _if_range(version)):
        headers |= {"Range": f"bytes={have}-", "If-Range": condition}
    elif known:
        headers |= known.as_conditions()
    with fetcher.answer(place.address, headers, limits) as response:
        if response.status_code == 304:
            place.clear()
            return Download(place.address, None, known or Validators())
        if response.status_code == 416:  # nothing is behind our last byte: we have it all, or it became shorter
            if _range_of(response).get("total") != str(have):
                file.truncate(0)
                raise TryAgain(place.address, "has become shorter since its download began")
            return _finish(place, version)
        have = _continued_from(response, place, have)
        file.truncate(have)
        if not have:
            version = validators_of(response)
            # What the host packs on its way cannot be entered in its middle.
            place.note(Validators() if response.headers.get("content-encoding") else version)
        for piece in pieces(response, place.address, limits.max_bytes - have):
            file.write(piece)
        file.flush()
        total = _range_of(response).get("total", "*")
        if total not in {"*", str(file.tell())}:
            raise TryAgain(place.address, f"ended after {file.tell()} of {total} bytes")
    return _finish(place, version)


def _finish(place: Place, version: Validators) -> Download:
    place.note(version)
    place.part.replace(place.whole)
    return Download(place.address, place.whole, version)


def _if_range(version: Validators) -> str:
    """A mark that names exactly one version; a weak tag does not."""
    return version.etag if version.etag and not version.etag.startswith("W/") else version.last_modified


def _continued_from(response: httpx.Response, place: Place, have: int) -> int:
    """Bytes of the beginning that stay: all of them where the host goes on behind them, else none."""
    if response.status_code != 206:
        return 0
    if _range_of(response).get("first") != str(have):
        place.part.open("wb").close()
        raise TryAgain(place.address, "answered with another part than the one asked for")
    return have


def _range_of(response: httpx.Response) -> dict[str, str]:
    found = _RANGE.fullmatch(response.headers.get("content-range", "").strip())
    return {name: value for name, value in found.groupdict().items() if value} if found else {}
