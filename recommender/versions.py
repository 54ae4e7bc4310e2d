"""A folder of immutable versions with a pointer to the current one, so that readers never see half an index."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

POINTER = "CURRENT"
# The version before the current one stays for readers that had just read the old pointer.
KEPT_VERSIONS = 2


class IndexBusy(Exception):
    """Another process is writing this index."""


def current_version(folder: Path) -> Path | None:
    """The folder that the pointer names; None when there is no pointer."""
    try:
        name = (folder / POINTER).read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return folder / name if name and "/" not in name else None


@contextmanager
def one_writer(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, which the system drops when the process dies. Raises IndexBusy when it is taken."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise IndexBusy(
                f"another process is writing the index in {folder.name!r}; try again when it is done"
            ) from error
        yield


@contextmanager
def new_version(folder: Path) -> Iterator[Path]:
    """A fresh folder to fill; it becomes current when the block ends, and is removed when the block raises."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    version = folder / f"v{stamp}-{secrets.token_hex(3)}"
    version.mkdir(parents=True)
    try:
        yield version
    except BaseException:
        shutil.rmtree(version, ignore_errors=True)
        raise
    pointer = folder / f".{POINTER}-{secrets.token_hex(4)}"
    with pointer.open("w", encoding="ascii") as file:
        file.write(version.name)
        file.flush()
        os.fsync(file.fileno())
    pointer.replace(folder / POINTER)
    for old in sorted(folder.glob("v*-*"))[:-KEPT_VERSIONS]:
        if old != version:
            shutil.rmtree(old, ignore_errors=True)
