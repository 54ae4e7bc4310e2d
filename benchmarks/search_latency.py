"""Search, query encoding included: p50 and p95 in ms, and the ratios of p95 to its target and to a peer's.

    python -m benchmarks.search_latency [--papers 611] [--queries 200] [--encode] [--json]

Vectors are random unless --encode is given, because encoding thousands of papers takes minutes; the time of a query
does not depend on what the vectors mean. Times are told on the wall and, because a shared machine takes turns, of the
processor. The peer is what sentence-transformers offers for the same weights (`util.semantic_search`); it knows no words and no records.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.query_encoder import peer_search, served_encoder
from benchmarks.synthetic_papers import NEEDS, papers
from benchmarks.timed import Timed
from papers.encoding.encoders import Encoder
from papers.encoding.pieces import Pieces
from recommender.index import Query, open_index, write_index

TARGET_MS = 20.0
# Of an abstract without the words that most papers have, each counted once.
PIECES = 104


class RandomVectors:
    """Stands in for an encoder while an index is built."""

    def __init__(self, encoder: Encoder) -> None:
        self.name, self.dimensions = encoder.name, encoder.dimensions
        self._chance = np.random.default_rng(0)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        vectors = self._chance.normal(size=(len(texts), self.dimensions)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def read(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], list[Pieces]]:
        """As many word pieces as an abstract has."""
        ids = self._chance.integers(2_000, 30_000, (len(texts), PIECES))
        states = self._chance.normal(size=(PIECES, self.dimensions)).astype(np.float32)
        return self.encode(texts), [Pieces(one, states) for one in ids]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--papers", type=int, default=611)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--encode", action="store_true", help="real vectors")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    encoder, reader = served_encoder(), served_encoder(reads_needs=True)
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        write_index(Path(folder), papers(args.papers), encoder if args.encode else RandomVectors(encoder))
        index = open_index(Path(folder), encoder.name)
        # Each query is new, so that no cache of any layer can answer it.
        texts = [f"{chance.choice(NEEDS)} {chance.randrange(10**6)}" for _ in range(args.queries + 10)]
        peer = peer_search(index.vectors_of(list(index.documents)))
        ours, encoding, theirs = Timed(), Timed(), Timed()
        for text in texts:  # in turn, so that all see the same machine
            ours(lambda text=text: index.search(Query(text, limit=20), reader))
            encoding(lambda text=text: reader.encode([text + "."]))
            theirs(lambda text=text: peer(text))
    figures = {
        "papers": args.papers, **ours.figures(10), "target_ms": TARGET_MS,
        "ratio_to_target": round(ours.at(0.95, 10) / TARGET_MS, 3), "encoding_p50_ms": round(encoding.at(0.5, 10), 2),
        "peer": "sentence-transformers, encode and semantic_search", "peer_p50_ms": round(theirs.at(0.5, 10), 2),
        "peer_p95_ms": round(theirs.at(0.95, 10), 2),
        "ratio_to_peer": round(ours.at(0.95, 10) / theirs.at(0.95, 10), 3),
    }  # fmt: skip
    print(json.dumps(figures) if args.json else "  ".join(f"{name} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main()
