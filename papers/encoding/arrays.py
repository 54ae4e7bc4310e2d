"""Arrays from .npy and .npz files, opened from several threads, and the digest of what they were fitted to.

CPython 3.11 counts how deep it is in a literal that it parses once for all threads, and numpy parses each file's header as a
literal: two threads that open files at the same moment can get "SystemError: AST constructor recursion depth mismatch".
"""

from __future__ import annotations

import hashlib
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
# The lock keeps our own readers apart; whoever else parses Python at that moment is waited out.
_ONE_READER = threading.Lock()
ATTEMPTS = 5


def read_array(path: Path, *, mapped: bool = False) -> NDArray[Any]:
    """The array of a .npy file, mapped read-only on demand. Raises: OSError, ValueError for a damaged file."""
    return _alone(lambda: np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False))


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of a .npz file by name. Raises: OSError, ValueError for a damaged file."""

    def read() -> dict[str, NDArray[Any]]:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}

    try:
        return _alone(read)
    except (zipfile.BadZipFile, zlib.error, EOFError) as fault:
        raise ValueError(f"{path.name} is damaged: {fault}") from None


def digest_of(texts: Iterable[str]) -> str:
    """By which one knows what arrays were fitted to."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _alone(read: Callable[[], T]) -> T:
    with _ONE_READER:
        for _ in range(ATTEMPTS - 1):
            try:
                return read()
            except SystemError:
                continue
        return read()
