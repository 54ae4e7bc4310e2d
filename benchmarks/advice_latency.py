"""Advice for a need in words: p50 and p95 in ms and the ratio of p95 to its target.

python -m benchmarks.advice_latency [--papers 611] [--needs 100] [--json]
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path

from benchmarks.search_latency import RandomVectors
from benchmarks.synthetic_papers import NEEDS, papers, percentile
from recommender.advice import advise, read_need
from recommender.encoders import open_encoder
from recommender.index import open_index, write_index

TARGET_MS = 150.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--papers", type=int, default=611)
    parser.add_argument("--needs", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    encoder = open_encoder()
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        write_index(Path(folder), papers(args.papers), RandomVectors(encoder))
        index = open_index(Path(folder), encoder.name)
        samples = []
        for _ in range(args.needs + 5):
            text = f"{chance.choice(NEEDS)}, project {chance.randrange(10**6)}"
            start = time.perf_counter()
            advise(read_need(text), index, encoder).to_json()
            samples.append((time.perf_counter() - start) * 1e3)
    p50, p95 = percentile(samples[5:], 0.5), percentile(samples[5:], 0.95)
    figures = {
        "papers": args.papers, "p50_ms": round(p50, 2), "p95_ms": round(p95, 2), "target_ms": TARGET_MS,
        "ratio_to_target": round(p95 / TARGET_MS, 3),
    }  # fmt: skip
    print(json.dumps(figures) if args.json else "  ".join(f"{name} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
