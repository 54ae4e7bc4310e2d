"""What a paper costs on its way into the database, encoding left out: milliseconds, and as a ratio to what encoding takes.

    python -m benchmarks.ingest_speed [--known 0 100000] [--count 500] [--rounds 7]

A round reads a file of made-up papers that are new (parsed, extracted, recorded), then the same file again. It is done among no
papers and among 100,000. Times are medians of the rounds: processor time of this process, which other work on the machine
hardly changes, and wall time, in which a database server works too. Runs in a SQLite database of its own, or, with
DATABASE_URL, in one that is made for it on that server.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import NamedTuple

from benchmarks.extraction_speed import BACKGROUND, DETAILS, ENDING, OPENINGS, PROPOSALS, RESULTS
from recommender.glossary import glossary

ENCODER_MS = 25.0  # a paper, with an exact CPU backend
TARGET_MS = 2.5  # the rest of reading a paper: a tenth of it
FILL_AT_ONCE = 2000

FORMS = (
    "{name}: {first} {joint} {second}",
    "{name}: {first} {joint} {second} {after} {third}",
    "{beginning} {first} {joint} {second}",
    "{beginning} {first} {after} {second}",
    "{first} {joint} {second} {after} {third}",
)
BEGINNINGS = ("Towards", "Efficient", "On", "Rethinking", "Fast", "Learning", "Accelerating", "A Survey of", "Scaling")
JOINTS = ("for", "with", "via", "through", "beyond", "without", "by", "under")
AFTERS = ("in", "for", "on", "at", "from", "as")
SYLLABLES = tuple(map("".join, product("bcdfghjklm", "aiou")))


class Cost(NamedTuple):
    """Of a paper: milliseconds of the processor and on the clock, and queries."""

    processor: float
    wall: float
    queries: float


def titles(seed: int) -> Iterator[str]:
    """Titles of the field's own phrases without end: some have a name of their own, many share beginnings and endings."""
    rng = random.Random(seed)
    phrases = [words.title() for concept in glossary().concepts.values() for words in concept.words]
    while True:
        first, second, third = rng.sample(phrases, 3)
        name = "".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))).title()
        joint, after, beginning = rng.choice(JOINTS), rng.choice(AFTERS), rng.choice(BEGINNINGS)
        parts = {"name": name, "beginning": beginning, "joint": joint, "after": after}
        yield rng.choice(FORMS).format(first=first, second=second, third=third, **parts)


def papers(count: int, seed: int) -> Iterator[dict[str, object]]:
    """Papers in the keys of our own format. As on real pages, a third of them give figures, and a third name their code."""
    rng = random.Random(seed)
    for number, title in zip(range(count), titles(seed), strict=False):
        sentences = [rng.choice(OPENINGS), *rng.sample(BACKGROUND, 3), rng.choice(PROPOSALS), *rng.sample(DETAILS, 4)]
        sentences += rng.sample(RESULTS, 2) if rng.random() < 1 / 3 else []
        sentences += [ENDING] if rng.random() < 1 / 3 else []
        figures = {"a": rng.randint(2, 9), "b": rng.randint(2, 30), "p": rng.randint(10, 90), "d": rng.randint(1, 9)}
        yield {
            "title": title,
            "abstract": " ".join(sentences).format(name=f"Zed{number}", **figures),
            "arxiv_id": f"{rng.randrange(10, 26):02}{rng.randrange(1, 13):02}.{rng.randrange(10**5):05}",
            "authors": [f"{rng.choice('ABCDEFGH')}. Author{rng.randrange(10**5)}" for _ in range(rng.randint(1, 8))],
            "year": rng.randrange(2010, 2026),
        }


def fill(count: int) -> None:
    """Bring the papers that are known to so many, with titles alone."""
    from papers.models import Paper

    known = set(Paper.objects.values_list("folded_title", flat=True))
    rows: list[Paper] = []
    for title in titles(seed=count):
        row = Paper(title=title, slug=f"known-{len(known)}", authors=["A. Author"], year=2010 + len(known) % 16)
        row.set_keys()
        if row.folded_title not in known:
            known.add(row.folded_title)
            rows.append(row)
        if len(known) >= count or len(rows) == FILL_AT_ONCE:
            Paper.objects.bulk_create(rows)
            rows = []
        if len(known) >= count:
            break


def read(path: Path) -> Cost:
    """What reading the file into the database costs."""
    from django.db import connection

    from ingest.services import ingest_file

    queries = 0

    def count_query(execute, sql, params, many, context):  # type: ignore[no-untyped-def]
        nonlocal queries
        queries += 1
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count_query):
        processor, wall = time.process_time(), time.perf_counter()
        report = ingest_file(path)
        processor, wall = time.process_time() - processor, time.perf_counter() - wall
    return Cost(processor * 1e3 / report.read, wall * 1e3 / report.read, queries / report.read)


def extract_only(path: Path) -> float:
    """Milliseconds of the processor a paper for what needs no database: reading the file and extraction."""
    from ingest.extraction import extract
    from ingest.services import FileReading
    from ingest.sources import ParsedPaper

    start, done = time.process_time(), 0
    for item in FileReading(path):
        if isinstance(item, ParsedPaper):
            extract(item.title, item.abstract).to_json()
            done += 1
    return (time.process_time() - start) * 1e3 / done


def measure(folder: Path, count: int, rounds: int, first_seed: int) -> tuple[list[Cost], list[Cost], list[float]]:
    new, known, pure = [], [], []
    for seed in range(first_seed, first_seed + rounds):
        path = folder / f"{seed}.jsonl"
        path.write_text("".join(json.dumps(paper) + "\n" for paper in papers(count, seed)))
        pure.append(extract_only(path))
        new.append(read(path))
        known.append(read(path))
        path.unlink()
    return new, known, pure


def say(name: str, costs: list[Cost], pure: float | None = None) -> None:
    processor, wall, queries = (statistics.median(values) for values in zip(*costs, strict=True))
    print(
        f"{name:34} {processor:9.2f} {wall:8.2f} {processor / TARGET_MS:9.2f} {processor / ENCODER_MS:10.2f} {queries:8.2f}"
        + (f"   of it {pure:.2f} ms reading and extraction" if pure is not None else "")
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--known", type=int, nargs="+", default=[0, 100_000], help="papers that are known, in rising order"
    )
    parser.add_argument("--count", type=int, default=500, help="papers of a round")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "DATA_DIR": folder,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "LOG_LEVEL": "ERROR",
            "READ_MEANING": "0",
        }
        import django

        django.setup()
        from django.db import connection

        if connection.vendor == "sqlite":
            connection.settings_dict["TEST"]["NAME"] = str(Path(folder) / "benchmark.sqlite3")
        before = connection.settings_dict["NAME"]
        connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
        try:
            run(Path(folder), options.known, options.count, options.rounds, connection.vendor)
        finally:
            connection.creation.destroy_test_db(before, verbosity=0)
    return 0


def run(folder: Path, known: list[int], count: int, rounds: int, vendor: str) -> None:
    print(
        f"{vendor}, medians of {rounds} rounds of {count} papers; target {TARGET_MS} ms, encoder {ENCODER_MS:.0f} ms a paper"
    )
    print(f"{'':34} {'ms (CPU)':>9} {'ms wall':>8} {'÷ target':>9} {'÷ encoder':>10} {'queries':>8}")
    for there in known:
        if there:
            fill(there)
        new, again, pure = measure(folder, count, rounds, first_seed=1 + there)
        say(f"new, among {there:,} papers", new, statistics.median(pure))
        say(f"known, among {there:,} papers", again)


if __name__ == "__main__":
    sys.exit(main())
