"""Writing a version of the index, and the manifest that says what is in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from papers.encoding.arrays import read_array
from papers.encoding.encoders import Encoder, read_by
from papers.files import sha256_of
from recommender import wording
from recommender.documents import Document
from recommender.facets import FacetIndex
from recommender.lexical import write_lexical
from recommender.relevance import read_document, record_words
from recommender.spelling import FILE as WORDS
from recommender.spelling import write_words
from recommender.vectors import write_vectors
from recommender.versions import current_version, new_version, one_writer

SCHEMA = 2
ENCODED_AT_ONCE = 256
# Larger files are checked by size alone, or opening a large index would take seconds.
HASHED_UP_TO = 64 * 2**20


class MissingIndex(Exception):
    """There is no index that can be read; the message says why."""


class StaleIndex(Exception):
    """The index does not belong to the encoder in use."""


@dataclass(frozen=True)
class Manifest:
    """What a version holds. `files` maps each file to its size in bytes and sha256; `encoded` counts new vectors."""

    schema: int
    encoder: str
    dimensions: int
    count: int
    encoded: int
    probes: int
    created: str
    files: dict[str, tuple[int, str]]
    wording: str = ""
    """The hash of the lens that the word pieces were seen through; blank where none are kept."""


def write_index(
    folder: Path,
    documents: Iterable[Document],
    encoder: Encoder,
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Writes a new version of the index and makes it current; vectors of unchanged texts are taken from the last one.

    `progress` is called with (texts encoded, texts to encode). Readers of the old version keep it.
    Raises: IndexBusy when another process writes; ValueError when two documents share an id.
    """
    rows = sorted(documents, key=lambda document: document.id)
    for left, right in pairwise(rows):
        if left.id == right.id:
            raise ValueError(f"two documents have the id {left.id}: {left.title!r} and {right.title!r}")
    with one_writer(folder):
        hashes = text_hashes(rows)
        vectors, pieces, encoded = _vectors(folder, rows, hashes, encoder, progress)
        with new_version(folder) as version:
            ids = np.asarray([row.id for row in rows], np.int64)
            np.save(version / "ids.npy", ids)
            np.save(version / "vectors.npy", vectors)
            np.save(version / "text_hashes.npy", hashes)
            if pieces is not None:
                wording.write(version, pieces)
            concepts = [read_document(row) for row in rows]
            np.save(version / "offsets.npy", write_documents(version / "documents.jsonl", rows, concepts))
            FacetIndex.of(rows, concepts).write(version / "facets.npz")
            probes = write_vectors(version / "vectors.faiss", ids, vectors)
            write_lexical(version / "lexical", ((row, record_words(row)) for row in rows))
            write_words(version / WORDS, rows)
            manifest = Manifest(
                SCHEMA, encoder.name, encoder.dimensions, len(rows), encoded, probes,
                datetime.now(UTC).isoformat(timespec="seconds"), describe_files(version),
                seen_through(encoder) if pieces is not None else "",
            )  # fmt: skip
            (version / "manifest.json").write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")
    return manifest


def read_manifest(version: Path) -> Manifest:
    """The manifest, after its files were checked. Raises MissingIndex that names the damaged file."""
    try:
        row = json.loads((version / "manifest.json").read_text(encoding="utf-8"))
        manifest = Manifest(**row)
    except (OSError, ValueError, TypeError) as error:
        raise MissingIndex(f"manifest.json is missing or damaged ({error})") from error
    if manifest.schema != SCHEMA:
        raise MissingIndex(f"it has format {manifest.schema}, this program reads format {SCHEMA}")
    for name, (size, sha256) in manifest.files.items():
        path = version / name
        if not path.is_file():
            raise MissingIndex(f"{name} is missing")
        if path.stat().st_size != size or (size <= HASHED_UP_TO and sha256_of(path) != sha256):
            raise MissingIndex(f"{name} is damaged")
    return manifest


def peek(folder: Path) -> Manifest | None:
    """What the current version says of itself, its files unchecked; None where there is none to read."""
    version = current_version(folder)
    try:
        return Manifest(**json.loads((version / "manifest.json").read_text(encoding="utf-8"))) if version else None
    except (OSError, ValueError, TypeError):
        return None


def text_hashes(rows: list[Document]) -> NDArray[np.uint8]:
    digests = b"".join(hashlib.sha256(row.embedded_text().encode()).digest() for row in rows)
    return np.frombuffer(digests, np.uint8).reshape(len(rows), 32)


def seen_through(encoder: Encoder) -> str:
    """The hash of the encoder's lens; blank where none was fitted for it, or it tells no word pieces."""
    lens = wording.lens_for(encoder.name)
    return lens.sha256 if lens and hasattr(encoder, "read") else ""


def _vectors(
    folder: Path,
    rows: list[Document],
    hashes: NDArray[np.uint8],
    encoder: Encoder,
    progress: Callable[[int, int], None] | None,
) -> tuple[NDArray[np.float32], list[wording.Kept] | None, int]:
    """Vectors, the word pieces that are kept of each text (None without a lens), and how many texts were encoded."""
    lens = wording.lens_for(encoder.name) if seen_through(encoder) else None
    known = _known(folder, encoder)
    vectors = np.zeros((len(rows), encoder.dimensions), np.float32)
    pieces: list[wording.Kept] = [np.zeros((0, wording.WIDTH), np.int8)] * len(rows)
    new = []
    for position, digest in enumerate(hashes):
        if (kept := known.get(digest.tobytes())) is None:
            new.append(position)
        else:
            vectors[position] = kept[0]
            if kept[1] is not None:
                pieces[position] = kept[1]
    # The encoder pads each batch to its longest text, so texts of like length go together.
    new.sort(key=lambda position: len(rows[position].text))
    for start in range(0, len(new), ENCODED_AT_ONCE):
        batch = new[start : start + ENCODED_AT_ONCE]
        vectors[batch], read = read_by(encoder, [rows[position].embedded_text() for position in batch])
        for position, one in zip(batch, wording.kept_of(lens, read), strict=False):
            pieces[position] = one
        if progress:
            progress(start + len(batch), len(new))
    return vectors, pieces if lens else None, len(new)


def _known(folder: Path, encoder: Encoder) -> dict[bytes, tuple[NDArray[np.float32], wording.Kept | None]]:
    """Vectors and pieces of the current version by text hash; none when it is damaged, or another encoder or lens made it."""
    version = current_version(folder)
    if version is None:
        return {}
    try:
        manifest = read_manifest(version)
        if (manifest.encoder, manifest.dimensions) != (encoder.name, encoder.dimensions):
            return {}
        if manifest.wording != seen_through(encoder):
            return {}
        known: dict[bytes, tuple[NDArray[np.float32], wording.Kept | None]] = {}
        for part in (version, version / "delta"):
            if part.is_dir():
                hashes = read_array(part / "text_hashes.npy")
                vectors = read_array(part / "vectors.npy", mapped=True)
                pieces = wording.Stored.read(part) or [None] * len(hashes)
                known |= {
                    digest.tobytes(): (vector, one) for digest, vector, one in zip(hashes, vectors, pieces, strict=True)
                }
    except (MissingIndex, OSError, ValueError):
        return {}
    return known


def write_documents(path: Path, rows: list[Document], concepts: list[dict[str, float]]) -> NDArray[np.int64]:
    offsets = [0]
    with path.open("wb") as file:
        for row, strengths in zip(rows, concepts, strict=True):
            value = {"document": row.to_json(), "concepts": strengths}
            line = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            offsets.append(offsets[-1] + file.write(line))
    return np.asarray(offsets, np.int64)


def describe_files(version: Path, known: dict[str, tuple[int, str]] | None = None) -> dict[str, tuple[int, str]]:
    """Size and hash of each file; those that are known are not read again."""
    files = sorted(path for path in version.rglob("*") if path.is_file() and not path.name.startswith("."))
    names = {path.relative_to(version).as_posix(): path for path in files}
    return {name: (known or {}).get(name) or (path.stat().st_size, sha256_of(path)) for name, path in names.items()}
