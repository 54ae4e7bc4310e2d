"""Search among many vectors: p50 and p95 in ms, recall@10 against exact search, and ratios to their targets and to peers.

    python -m benchmarks.vector_search [--vectors 1000000] [--queries 200] [--hnsw] [--json]

Peers: FAISS over all vectors, which is exact, and with --hnsw (its graph takes minutes to build) HNSW32 at the first setting that reaches
the wanted recall; each on one thread, with the same queries.

The vectors are mixtures of made-up topics with noise, of the encoder's width, written and opened as the index does it.
Encoding the query and searching words are not in these figures; search_latency has both.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.timed import Timed
from recommender.vectors import VectorIndex, faiss, write_vectors

Rows = NDArray[np.float32]

DIMENSIONS, TOPICS, AT_ONCE = 384, 600, 50_000
TARGET_MS, TARGET_RECALL, NEAREST = 30.0, 0.95, 10
SPREAD = 0.5


def vectors(count: int, chance: np.random.Generator, topics: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit vectors, each between three topics, with noise of half their length."""
    found = np.empty((count, DIMENSIONS), np.float32)
    for start in range(0, count, AT_ONCE):
        size = min(AT_ONCE, count - start)
        shares = chance.dirichlet((1.0, 0.6, 0.3), size).astype(np.float32)
        mixed = np.einsum("nk,nkd->nd", shares, topics[chance.integers(len(topics), size=(size, 3))])
        mixed += SPREAD / np.sqrt(DIMENSIONS) * chance.standard_normal((size, DIMENSIONS), np.float32)
        found[start : start + size] = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    return found


def measured(search: Callable[[Rows], Iterable[int]], queries: Rows, exact: NDArray[np.int64]) -> tuple[Timed, float]:
    """Times of one query after the other, and the share of the exact neighbours that were found."""
    times, hits = Timed(), 0
    for query, right in zip(queries, exact, strict=True):
        found: list[Iterable[int]] = []
        times(lambda query=query, found=found: found.append(search(query)))
        hits += len({int(i) for i in found[0]} & {int(i) for i in right})
    return times, hits / exact.size


def by_exact(rows: Rows, queries: Rows, exact: NDArray[np.int64]) -> tuple[str, Timed, float]:
    flat = faiss.IndexFlatIP(DIMENSIONS)
    flat.add(rows)
    return "FAISS IndexFlatIP", *measured(lambda query: flat.search(query[None], NEAREST)[1][0], queries, exact)


def hnsw(wanted: bool, rows: Rows, queries: Rows, exact: NDArray[np.int64]) -> dict[str, tuple[str, Timed, float]]:
    if not wanted:
        return {}
    graph = faiss.IndexHNSWFlat(DIMENSIONS, 32, faiss.METRIC_INNER_PRODUCT)
    graph.add(rows)
    for breadth in (32, 64, 128, 192, 256, 512):
        graph.hnsw.efSearch = breadth
        times, recall = measured(lambda query: graph.search(query[None], NEAREST)[1][0], queries, exact)
        if recall >= TARGET_RECALL:
            break
    return {"hnsw": (f"FAISS HNSW32, efSearch {breadth}", times, recall)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--hnsw", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    chance = np.random.default_rng(0)
    topics = chance.standard_normal((TOPICS, DIMENSIONS), np.float32)
    topics /= np.linalg.norm(topics, axis=1, keepdims=True)
    rows, queries = vectors(args.vectors, chance, topics), vectors(args.queries, chance, topics)
    exact = np.concatenate([np.argsort(-(part @ rows.T), axis=1)[:, :NEAREST] for part in np.array_split(queries, 20)])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.faiss"
        start = time.perf_counter()
        probes = write_vectors(path, np.arange(args.vectors, dtype=np.int64), rows)
        built = time.perf_counter() - start
        index = VectorIndex(path, probes)
        times, recall = measured(lambda query: index.search(query, NEAREST), queries, exact)
        size = path.stat().st_size
    p95 = times.at(0.95)
    figures: dict[str, Any] = {
        "vectors": args.vectors, **times.figures(), "target_ms": TARGET_MS, "ratio_to_target": round(p95 / TARGET_MS, 4),
        "recall_at_10": round(recall, 4), "recall_to_target": round(recall / TARGET_RECALL, 3), "probes": probes,
        "build_s": round(built, 1), "disk_mb": round(size / 1e6),
    }  # fmt: skip
    for name, (peer, theirs, found) in {
        "exact": by_exact(rows, queries, exact),
        **hnsw(args.hnsw, rows, queries, exact),
    }.items():
        figures |= {
            f"{name}_peer": peer, f"{name}_p95_ms": round(theirs.at(0.95), 3), f"{name}_recall": round(found, 4),
            f"ratio_to_{name}": round(p95 / theirs.at(0.95), 4),
        }  # fmt: skip
    print(json.dumps(figures) if args.json else "  ".join(f"{name} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
