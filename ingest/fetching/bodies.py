"""The bytes of an answer, unpacked piece by piece, so that a few bytes that unpack to gigabytes are stopped in time."""

import zlib
from collections.abc import Callable, Iterator

import httpx

from ingest.fetching.errors import FetchError, TryAgain

PIECE = 256 * 1024
_GZIP_OR_ZLIB = 47  # zlib's code for: look which of the two it is


def pieces(response: httpx.Response, address: str, max_bytes: int) -> Iterator[bytes]:
    """The body in pieces of at most PIECE bytes, unpacked.

    Raises: FetchError where it has more than max_bytes after unpacking, or is packed in another way than asked for;
    TryAgain where it is packed wrongly or ends too early.
    """
    too_long = FetchError(
        address, f"holds more than {in_words(max_bytes)}", "it is no page of papers, or the limit for it is too low"
    )
    packing = response.headers.get("content-encoding", "").strip().lower()
    declared = response.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise too_long
    if packing in {"", "identity"}:
        parts = response.iter_raw()
    elif packing in {"gzip", "x-gzip"}:
        parts = _unpacked(response.iter_raw(), address)
    else:
        raise FetchError(
            address, f"is packed with {packing!r}", "only gzip is understood; the host breaks the protocol"
        )
    total = 0
    for part in parts:
        total += len(part)
        if total > max_bytes:
            raise too_long
        yield part


def _unpacked(packed: Iterator[bytes], address: str) -> Iterator[bytes]:
    decoder = zlib.decompressobj(_GZIP_OR_ZLIB)
    began = False
    try:
        for chunk in packed:
            data = chunk
            while data:
                if decoder.eof:  # another member behind the end of the last
                    decoder = zlib.decompressobj(_GZIP_OR_ZLIB)
                began = True
                yield decoder.decompress(data, PIECE)
                data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
        yield decoder.flush()
    except zlib.error as fault:
        raise TryAgain(address, f"is packed wrongly ({fault})") from fault
    if began and not decoder.eof:
        raise TryAgain(address, "ends in the middle of its packed content")


def read_all(response: httpx.Response, address: str, max_bytes: int) -> bytes:
    return b"".join(pieces(response, address, max_bytes))


def in_words(size: int) -> str:
    for unit, factor in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= factor:
            return f"{size / factor:.4g} {unit}"
    return f"{size} bytes"


Check = Callable[[bytes], str | None]
"""Looks at a whole body; what is wrong with it, or None."""
