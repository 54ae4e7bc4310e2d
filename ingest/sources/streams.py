"""Reading formats of any length in constant memory: gzip, lines of JSON, and the items of one long JSON array.

Whatever is wrong with one item becomes a Problem, and reading goes on where that is possible.
"""

import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO, TypeAlias, cast

import ijson
from ijson.common import ObjectBuilder

from ingest.sources.base import Cursor, Item, ParseError, Problem, Step

MAX_ITEM_BYTES = 2 * 1024 * 1024  # ten times the longest entry of arXiv's snapshot, which names thousands of authors
START = Cursor()

# None: there is nothing to say of the object, and nothing is wrong with it.
ReadItem: TypeAlias = Callable[[Mapping[str, Any], int | None], Item | None]

_CHUNK = 64 * 1024
_DEEPEST = 64
_GZIP = b"\x1f\x8b"


class _Unpacked(io.RawIOBase):
    """The content of a gzip file. Where the file is damaged or cut, it ends there, and `damage` says so."""

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        self._rewind()

    def _rewind(self) -> None:
        # A new reader each time: one that met a fault goes on wrongly.
        self._packed.seek(0)
        self._file = gzip.GzipFile(fileobj=self._packed, mode="rb")
        self._at = 0
        self.damage: str | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.damage:
            return 0
        try:
            data = self._file.read1(len(buffer))
        except EOFError:
            self.damage = "the gzip file ends in its middle: what comes behind is missing"
            return 0
        except (OSError, zlib.error) as error:
            self.damage = f"the gzip file is damaged: {error}"
            return 0
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("a packed file is sought from its beginning only")
        if offset < self._at:
            self._rewind()
        skipped = memoryview(bytearray(_CHUNK))
        while self._at < offset and self.readinto(skipped[: offset - self._at]):
            pass
        return self._at

    def tell(self) -> int:
        return self._at


def unpacked(file: BinaryIO) -> BinaryIO:
    """The file itself, or the content of a gzip file. `file` can be sought; it is left at its beginning."""
    file.seek(0)
    magic = file.read(len(_GZIP))
    file.seek(0)
    return cast(BinaryIO, io.BufferedReader(_Unpacked(file), _CHUNK)) if magic == _GZIP else file


def damage_of(file: BinaryIO) -> str | None:
    """Why an unpacked file ended before its end, if it did."""
    return getattr(getattr(file, "raw", None), "damage", None)


def stream_lines(file: BinaryIO, start: Cursor, read: ReadItem) -> Iterator[Step]:
    """A step for each line that has something to say. `read` gets the line's object and its number."""
    line = start.line
    for raw, offset in _bounded_lines(file, start.offset):
        line += 1
        if raw is None:
            item: Item | None = Problem(
                line, f"the line has more than {MAX_ITEM_BYTES} bytes: expected one paper a line"
            )
        elif not raw.strip():
            continue
        else:
            item = _read_line(raw, line, read)
        if item is not None:
            yield Step(item, Cursor(offset, line))
    if damage := damage_of(file):
        yield Step(Problem(line or None, damage), Cursor(_offset_of(file), line))


def _bounded_lines(file: BinaryIO, offset: int) -> Iterator[tuple[bytes | None, int]]:
    """Lines with the offset behind each; None for one that is too long to hold."""
    if offset:
        file.seek(offset)
    while raw := file.readline(MAX_ITEM_BYTES + 1):
        offset += len(raw)
        if len(raw) <= MAX_ITEM_BYTES:
            yield raw, offset
            continue
        while raw and not raw.endswith(b"\n"):
            raw = file.readline(_CHUNK)
            offset += len(raw)
        yield None, offset


def _offset_of(file: BinaryIO) -> int:
    try:
        return file.tell()
    except OSError:
        return 0


def _read_line(raw: bytes, line: int, read: ReadItem) -> Item | None:
    try:
        value = json.loads(raw.decode("utf-8-sig" if line == 1 else "utf-8"))
    except UnicodeDecodeError:
        return Problem(line, "the line is not text in UTF-8")
    except json.JSONDecodeError as error:
        cut = "" if raw.endswith(b"\n") else ", and the file ends in it"
        return Problem(line, f"not JSON: {error.msg.removesuffix(' at')} at character {error.pos + 1} of the line{cut}")
    except RecursionError:
        return Problem(line, "the JSON is nested too deeply")
    except ValueError as error:  # an integer of thousands of digits
        return Problem(line, f"not JSON that can be read: {error}")
    if not isinstance(value, Mapping):
        return Problem(line, f"expected a JSON object, found {type(value).__name__}")
    return read(value, line)


class _Guard:
    """A file as ijson reads it, which refuses to feed one item more than MAX_ITEM_BYTES."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._begun = False
        self.fed = 0

    def read(self, size: int = -1) -> bytes:
        if self.fed > MAX_ITEM_BYTES:
            raise ParseError(f"it has more than {MAX_ITEM_BYTES} bytes")
        data = self._file.read(min(size, _CHUNK) if size > 0 else size)
        if not self._begun:
            data = data.removeprefix(b"\xef\xbb\xbf").lstrip() or data
            if data.strip() and not data.startswith(b"["):
                raise ParseError('expected a JSON array, which begins with "["', 1)
            self._begun = bool(data.strip())
        self.fed += len(data)
        return data


def stream_array(file: BinaryIO, start: Cursor, read: ReadItem) -> Iterator[Step]:
    """A step for each item of the array that has something to say; where it is cut or broken, a Problem comes last.

    Raises ParseError if the file is no array at all.
    """
    guard, number = _Guard(file), 0
    try:
        for value in _values(guard):
            number, guard.fed = number + 1, 0
            if number > start.line and (item := _read_item(value, read)) is not None:
                yield Step(_named(item, number), Cursor(0, number))
        reason = damage_of(file)
    except ParseError as error:
        if error.line is not None:
            raise
        reason = error.reason
    except ijson.IncompleteJSONError:
        reason = damage_of(file) or "the array ends in its middle: what comes behind is missing"
    except (ijson.JSONError, UnicodeDecodeError, ValueError) as error:
        reason = f"the JSON cannot be read from here on: {' '.join(str(error).split())[:120]}"
    if reason:
        yield Step(Problem(None, f"behind entry {number}: {reason}"), Cursor(0, number))


def _values(guard: _Guard) -> Iterator[Any]:
    """The values in the array. `ijson.items` would do, but it spells out the path to each value, and a hostile file makes
    that path as long as itself."""
    depth, builder = 0, ObjectBuilder()
    for event, value in ijson.basic_parse(guard, use_float=True, buf_size=_CHUNK):
        opens, closes = event.startswith("start_"), event.startswith("end_")
        depth += opens - closes
        if depth > _DEEPEST:
            raise ParseError("it is nested too deeply")
        if depth == opens:  # the array itself begins or ends
            continue
        builder.event(event, value)
        if depth == 1:
            yield builder.value
            builder = ObjectBuilder()


def _read_item(value: object, read: ReadItem) -> Item | None:
    if not isinstance(value, Mapping):
        return Problem(None, f"expected a JSON object, found {type(value).__name__}")
    return read(value, None)


def _named(item: Item, number: int) -> Item:
    """An array has no lines to count, so a problem says which entry it means."""
    return Problem(None, f"entry {number}: {item.reason}") if isinstance(item, Problem) else item
