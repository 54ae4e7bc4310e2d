"""How fast a snapshot of arXiv becomes papers, and in how much memory: `python -m benchmarks.source_speed [--lines N]`.

The snapshot is written here: lines with the keys and lengths of arXiv's own, no two alike. The ratio is to json.loads over the same
lines, which any reader has to pay. Times are processor time of this process, best of three rounds; memory is what Python holds
at its peak while it reads a tenth of the lines, and all of them.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

from benchmarks.extraction_speed import abstracts
from ingest.sources import ParsedPaper, open_papers

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def write_snapshot(path: Path, lines: int, seed: int = 7) -> None:
    """A snapshot of so many lines of about 1,700 bytes each."""
    rng = random.Random(seed)
    stock = abstracts(2000)
    with path.open("w", encoding="utf-8") as file:
        for number in range(lines):
            title, abstract = stock[number % len(stock)]
            year, month = rng.randrange(8, 26), rng.randrange(12)
            people = [
                [f"Author{rng.randrange(10**5)}", rng.choice("ABCDEFGH") + ".", ""] for _ in range(rng.randint(1, 8))
            ]
            record = {
                "id": f"{year:02}{month + 1:02}.{number % 10**5:05}",
                "submitter": people[0][0],
                "authors": ", ".join(f"{first} {last}" for last, first, _ in people),
                "title": f"{title}\n  Part {number}",
                "comments": rng.choice((None, "12 pages, 3 figures", f"Code: https://github.com/example/code{number}")),
                "journal-ref": None,
                "doi": rng.choice((None, f"10.1000/example.{number}")),
                "report-no": None,
                "categories": rng.choice(("cs.LG", "cs.CL cs.LG", "cs.CV eess.IV")),
                "license": "http://creativecommons.org/licenses/by/4.0/",
                "abstract": f"  {abstract}\n",
                "versions": [{"version": "v1", "created": f"Mon, 1 {MONTHS[month]} 20{year:02} 20:31:27 GMT"}],
                "update_date": "2026-01-01",
                "authors_parsed": people,
            }
            file.write(json.dumps(record) + "\n")


def read_papers(path: Path, most: int | None = None) -> int:
    papers = 0
    with path.open("rb") as file:
        for step in open_papers(file).steps:
            papers += isinstance(step.item, ParsedPaper)
            if papers == most:
                break
    return papers


def read_json(path: Path) -> int:
    with path.open("rb") as file:
        return sum(1 for line in file if json.loads(line))


def best_seconds(read: Callable[[Path], int], path: Path, rounds: int = 3) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        read(path)
        best = min(best, time.process_time() - start)
    return best


def peak_bytes(path: Path, most: int | None) -> int:
    tracemalloc.start()
    read_papers(path, most)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=200_000, help="lines of the snapshot")
    lines = parser.parse_args().lines
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "snapshot.json"
        write_snapshot(path, lines)
        assert read_papers(path) == lines
        ours, theirs = best_seconds(read_papers, path), best_seconds(read_json, path)
        size = path.stat().st_size
        part, whole = peak_bytes(path, lines // 10), peak_bytes(path, None)
    print(f"snapshot of {lines} lines, {size / 2**20:.0f} MiB")
    print(
        f"{lines / ours:.0f} papers/s of processor time, {size / 2**20 / ours:.0f} MiB/s; json.loads alone: {lines / theirs:.0f} lines/s"
    )
    print(f"ratio of json.loads alone to papers: {theirs / ours:.2f}")
    print(f"peak memory: {part / 2**20:.2f} MiB for a tenth, {whole / 2**20:.2f} MiB for all; ratio {whole / part:.2f}")


if __name__ == "__main__":
    main()
