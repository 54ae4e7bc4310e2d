"""Files that are whole or not there, and what they are known by."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """The place to write a new file to; it takes the place of `path` when the block ends, and vanishes when the block raises.

    The file that was there stays whole until then.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")  # of two processes that write it, the last one wins whole
    try:
        yield aside
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """Write the lines, each with its end, and say how many; the file that was there stays whole until all are written.

    Raises: OSError where it cannot be written; then nothing is left behind.
    """
    count = 0
    with whole(path) as aside, aside.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(line + "\n")
            count += 1
    return count


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
