"""What a JSON file begins with: enough to tell formats apart without reading on."""

import io
import json
from dataclasses import dataclass
from functools import lru_cache

import ijson

HEAD_BYTES = 64 * 1024
_LINES_TO_TRY = 20  # a bad first line shall not hide what the lines behind it are


@dataclass(frozen=True, slots=True)
class JsonHead:
    """is_array: an array, else one object or objects on lines of their own. keys: of the first object, as far as it was seen.

    is_lines: that object is whole within one line.
    """

    is_array: bool
    keys: frozenset[str]
    is_lines: bool


def json_head(raw: bytes) -> JsonHead | None:
    """None where raw does not begin like a JSON array or object. Never raises."""
    return _look(raw[:HEAD_BYTES])


@lru_cache(maxsize=2)  # every JSON format asks about the same bytes
def _look(head: bytes) -> JsonHead | None:
    head = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if head.startswith(b"["):
        return JsonHead(True, _keys(head, depth=1), False)
    for line in head.split(b"\n", _LINES_TO_TRY)[:_LINES_TO_TRY]:
        if line.lstrip().startswith(b"{") and (keys := _keys(line, depth=0)) and _is_whole(line, head):
            return JsonHead(False, keys, True)
    return JsonHead(False, _keys(head, depth=0), False) if head.startswith(b"{") else None


def _keys(text: bytes, depth: int) -> frozenset[str]:
    """Keys of the first object; depth: of arrays around it."""
    keys: set[str] = set()
    level = 0
    try:
        # Small pieces, because what stands in one piece with a fault is not told.
        for event, value in ijson.basic_parse(io.BytesIO(text), buf_size=256, multiple_values=True):
            level += event.startswith("start_") - event.startswith("end_")
            if event == "map_key" and level == depth + 1:
                keys.add(value)
            elif level == depth and event == "end_map":
                break
    except (ijson.JSONError, ValueError):
        pass  # the head was cut, or is broken further on
    return frozenset(keys)


def _is_whole(line: bytes, head: bytes) -> bool:
    if line is head or len(line) == len(head):
        try:
            json.loads(line)
        except (ValueError, RecursionError):
            return len(head) > HEAD_BYTES // 2  # one line that goes on behind the head
        return True
    return line.rstrip().endswith(b"}")
