"""The encoder that answers queries, opened as the service opens it, and the public peer that searches are compared with."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from papers.encoding.compiled import CompiledEncoder
from papers.encoding.encoders import CACHE, PACKAGED, Encoder, open_encoder
from recommender.adapter import adapter_for

NEAREST = 20


def served_encoder(*, reads_needs: bool = False) -> Encoder:
    """Compiled into the data folder of this installation, where the service keeps it too; says so where it cannot be.

    It reads papers, or needs as the service does.
    """
    data = Path(os.environ.get("DATA_DIR") or Path(__file__).parents[1] / "var")
    encoder = open_encoder(PACKAGED, data / CACHE, adapter_for(PACKAGED) if reads_needs else None)
    if not isinstance(encoder, CompiledEncoder):
        print("OpenVINO cannot be used here: these are the times of sentence-transformers.")
    return encoder


def peer_search(vectors: NDArray[np.float32]) -> Callable[[str], object]:
    """What sentence-transformers offers for the same weights and vectors: encode, then the nearest by cosine, one thread.

    It knows no words, records or filters, so it does less.
    """
    import torch
    from sentence_transformers import SentenceTransformer, util

    from papers.encoding.encoders import packaged_folder

    torch.set_num_threads(1)
    model = SentenceTransformer(str(packaged_folder()), device="cpu")
    corpus = torch.from_numpy(vectors)

    def search(text: str) -> object:
        asked = model.encode([text], convert_to_tensor=True, normalize_embeddings=True, show_progress_bar=False)
        return util.semantic_search(asked, corpus, top_k=NEAREST, score_function=util.dot_score)

    return search
