"""Search, query encoding included: p50 and p95 in ms and the ratio of p95 to its target.

    python -m benchmarks.search_latency [--papers 611] [--queries 200] [--encode] [--json]

Vectors are random unless --encode is given, because encoding thousands of papers takes minutes; the time of a query
does not depend on what the vectors mean.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.synthetic_papers import NEEDS, papers, percentile
from recommender.encoders import Encoder, open_encoder
from recommender.index import Query, open_index, write_index

TARGET_MS = 20.0


class RandomVectors:
    """Stands in for an encoder while an index is built."""

    def __init__(self, encoder: Encoder) -> None:
        self.name, self.dimensions = encoder.name, encoder.dimensions
        self._chance = np.random.default_rng(0)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = self._chance.normal(size=(len(texts), self.dimensions)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--papers", type=int, default=611)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--encode", action="store_true", help="real vectors")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    encoder = open_encoder()
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        write_index(Path(folder), papers(args.papers), encoder if args.encode else RandomVectors(encoder))
        index = open_index(Path(folder), encoder.name)
        # Each query is new, so that no cache of any layer can answer it.
        texts = [f"{chance.choice(NEEDS)} {chance.randrange(10**6)}" for _ in range(args.queries + 10)]
        samples, encoding = [], []
        for text in texts:
            start = time.perf_counter()
            encoder.encode([text])
            encoding.append((time.perf_counter() - start) * 1e3)
            start = time.perf_counter()
            index.search(Query(text, limit=20), encoder)
            samples.append((time.perf_counter() - start) * 1e3)
    p50, p95 = percentile(samples[10:], 0.5), percentile(samples[10:], 0.95)
    figures = {
        "papers": args.papers, "p50_ms": round(p50, 2), "p95_ms": round(p95, 2), "target_ms": TARGET_MS,
        "ratio_to_target": round(p95 / TARGET_MS, 3), "encoding_p50_ms": round(percentile(encoding[10:], 0.5), 2),
    }  # fmt: skip
    print(json.dumps(figures) if args.json else "  ".join(f"{name} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
