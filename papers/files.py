"""Files that commands write."""

from collections.abc import Iterable
from pathlib import Path


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """Write the lines, each with its end, and say how many; the file that was there stays whole until all are written.

    Raises: OSError where it cannot be written; then nothing is left behind.
    """
    aside = path.with_name(path.name + ".part")
    count = 0
    try:
        with aside.open("w", encoding="utf-8") as file:
            for line in lines:
                file.write(line + "\n")
                count += 1
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    return count
