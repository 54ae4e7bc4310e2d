"""New papers beside an index: a version that shares the large files of the one before it and adds small ones.

Mapped FAISS files cannot grow, so vectors of new papers lie in a file of their own that is compared one by one. Large files
are shared as hard links, which costs neither time nor room; tantivy never changes a file that it has written.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from papers.encoding.arrays import read_array
from papers.encoding.encoders import Encoder, read_by
from recommender import wording
from recommender.documents import Document
from recommender.facets import FacetIndex
from recommender.index_files import (
    Manifest,
    MissingIndex,
    describe_files,
    read_manifest,
    seen_through,
    text_hashes,
    write_documents,
)
from recommender.lexical import append_lexical
from recommender.relevance import read_document, record_words
from recommender.spelling import FILE as WORDS
from recommender.versions import current_version, new_version, one_writer

# Beyond this many a whole new version is quicker to search.
MOST_ADDED = 2_000
DELTA = "delta"
SHARED = (
    "documents.jsonl",
    "offsets.npy",
    "ids.npy",
    "vectors.npy",
    "vectors.faiss",
    "text_hashes.npy",
    WORDS,
    *wording.FILES,
)


class CannotAppend(Exception):
    """A whole new version is needed; the message says why."""


def append_index(folder: Path, documents: Iterable[Document], encoder: Encoder) -> Manifest:
    """Makes a version current that holds further documents, whose ids have to be above those that are there.

    Raises: CannotAppend where that does not hold, the index cannot be read, or too many were added; IndexBusy.
    """
    added = sorted(documents, key=lambda document: document.id)
    with one_writer(folder):
        old = current_version(folder)
        if old is None:
            raise CannotAppend("there is no index yet")
        try:
            manifest = read_manifest(old)
        except MissingIndex as fault:
            raise CannotAppend(str(fault)) from fault
        if (manifest.encoder, manifest.dimensions) != (encoder.name, encoder.dimensions):
            raise CannotAppend("another encoder built the index")
        if manifest.wording != seen_through(encoder):
            raise CannotAppend("its word pieces were seen through another lens")
        base, beside = read_array(old / "ids.npy"), delta_ids(old)
        largest = max((int(ids[-1]) for ids in (base, beside) if len(ids)), default=0)
        if added and added[0].id <= largest:
            raise CannotAppend(f"the id {added[0].id} is not above {largest}")
        if len(beside) + len(added) > MOST_ADDED:
            raise CannotAppend(f"more than {MOST_ADDED:,} papers lie beside the index")
        vectors, read = read_by(encoder, [row.embedded_text() for row in added])
        pieces = wording.kept_of(wording.lens_for(encoder.name), read)
        with new_version(folder) as version:
            _share(old, version)
            _write_delta(old, version, added, vectors)
            if manifest.wording:
                before = wording.Stored.read(old / DELTA)
                wording.write(version / DELTA, [*(before or ()), *pieces])
            concepts = [read_document(row) for row in added]
            facets = FacetIndex.read(old / "facets.npz", len(base) + len(beside))
            facets.with_more(added, concepts).write(version / "facets.npz")
            append_lexical(version / "lexical", ((row, record_words(row)) for row in added))
            known = {name: entry for name, entry in manifest.files.items() if name in SHARED}
            told = replace(
                manifest, count=len(base) + len(beside) + len(added), encoded=len(added),
                created=datetime.now(UTC).isoformat(timespec="seconds"), files=describe_files(version, known),
            )  # fmt: skip
            (version / "manifest.json").write_text(json.dumps(asdict(told), indent=1), encoding="utf-8")
    return told


def delta_ids(version: Path) -> NDArray[np.int64]:
    """Ids of the papers beside the index, ascending."""
    path = version / DELTA / "ids.npy"
    return read_array(path) if path.is_file() else np.empty(0, np.int64)


def _share(old: Path, version: Path) -> None:
    for name in SHARED:
        if (old / name).is_file():
            _link(old / name, version / name)
    (version / "lexical").mkdir()
    for path in (old / "lexical").iterdir():
        if path.is_file() and not path.name.endswith(".lock"):
            # The lists of files are written anew by tantivy; everything else stays as it is.
            (shutil.copy if path.suffix == ".json" else _link)(path, version / "lexical" / path.name)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy(source, target)


def _write_delta(old: Path, version: Path, added: list[Document], vectors: NDArray[np.float32]) -> None:
    """The papers beside the index until now, and after them the new ones."""
    before, folder = old / DELTA, version / DELTA
    folder.mkdir()
    concepts = [read_document(row) for row in added]
    arrays: dict[str, NDArray[Any]] = {
        "ids": np.asarray([row.id for row in added], np.int64),
        "vectors": vectors.reshape(len(added), -1).astype(np.float32),
        "text_hashes": text_hashes(added),
    }
    lines, offsets = b"", np.zeros(1, np.int64)
    if before.is_dir():
        arrays = {
            name: np.concatenate([read_array(before / f"{name}.npy"), rows])
            if len(rows)
            else read_array(before / f"{name}.npy")
            for name, rows in arrays.items()
        }
        lines, offsets = (before / "documents.jsonl").read_bytes(), read_array(before / "offsets.npy")
    for name, rows in arrays.items():
        np.save(folder / f"{name}.npy", rows)
    further = write_documents(folder / "documents.jsonl", added, concepts)
    (folder / "documents.jsonl").write_bytes(lines + (folder / "documents.jsonl").read_bytes())
    np.save(folder / "offsets.npy", np.concatenate([offsets, further[1:] + offsets[-1]]))
