"""Helpers of the recommender's tests: an encoder without weights, and a small world of papers in our own words."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recommender.documents import Document
from recommender.index import Index, open_index, write_index


class HashingEncoder:
    """Bag of words by the hashing trick: equal words make near vectors, and nothing has to be loaded."""

    def __init__(self, name: str = "hashing", dimensions: int = 512) -> None:
        self.name = name
        self.dimensions = dimensions
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.encoded.extend(texts)
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()):
                digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
                vectors[row, int.from_bytes(digest[:4]) % self.dimensions] += 1 if digest[4] % 2 else -1
            if not vectors[row].any():
                vectors[row, 0] = 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


PAPERS = (
    Document(
        1, "SwiftAttend: Tiled Exact Attention", "A fused kernel keeps score tiles in on-chip memory and is quick.",
        name="SwiftAttend", families=("efficient-attention", "kernels-compilers"), modality=("language",),
        stage=("training", "inference"), training_free=True, kind="technique", hardware=("A100",),
        implementation="swift-attend",
    ),
    Document(
        2, "RoundWell: Post-Training Quantization with Learned Offsets",
        "Weights are rounded to four bits from a handful of calibration samples of a language model.",
        name="RoundWell", families=("quantization",), modality=("language",), stage=("inference",),
        training_free=True, kind="technique",
    ),
    Document(
        3, "TinyGate: Object Detection on Microcontrollers", "A detector of a few kilobytes for battery cameras.",
        name="TinyGate", families=("efficient-architecture", "edge-deployment"), modality=("vision",),
        stage=("inference",), training_free=False, kind="architecture", hardware=("MCU",),
    ),
    Document(
        4, "Rounding Weights: A Survey of Quantization", "We review how the weights of a language model are rounded.",
        families=("quantization",), modality=("language",), stage=("inference",), kind="survey",
    ),
    Document(
        5, "DraftMate: Speculative Decoding with a Small Draft Model",
        "A small draft model proposes tokens that the large language model verifies, with the same distribution.",
        name="DraftMate", families=("decoding-acceleration",), modality=("language",), stage=("inference",),
        training_free=False, kind="technique",
    ),
    Document(
        6, "Slow Waves in Shallow Water", "Nothing here is about making models cheaper.", kind="other",
    ),
)  # fmt: skip


@pytest.fixture
def encoder() -> HashingEncoder:
    return HashingEncoder()


@pytest.fixture
def papers() -> tuple[Document, ...]:
    return PAPERS


@pytest.fixture
def build(tmp_path: Path, encoder: HashingEncoder) -> Callable[..., Index]:
    """Writes an index of the given documents (default: the small world) and opens it."""

    def written(documents: Sequence[Document] = PAPERS) -> Index:
        write_index(tmp_path / "index", documents, encoder)
        return open_index(tmp_path / "index", encoder.name)

    return written
