"""The encoder compiled by OpenVINO: the vectors of the original, a cache that mends itself, and a way out without it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from papers.encoding import compiled as compiled_module
from papers.encoding import encoders
from papers.encoding.compiled import MODEL, CannotCompile, CompiledEncoder, open_compiled
from papers.encoding.compiling import NotTheSame, check_same
from papers.encoding.encoders import (
    PACKAGED,
    PACKAGED_SHA256,
    SentenceTransformerEncoder,
    open_encoder,
    packaged_folder,
    read_by,
)

TEXTS = (
    "less memory for the cache of a long prompt",
    "",
    "ein Satz über Größe und 模型",
    "many words " * 400,
    "x",
    "y z",
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoders")
    assert isinstance(open_encoder(PACKAGED, folder), CompiledEncoder)
    return folder


def compiled_folder(cache: Path) -> Path:
    return next(path for path in cache.iterdir() if path.is_dir())


@pytest.fixture
def copied(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A cache of its own, and compiling replaced by a copy of what was really compiled, which counts."""
    there = compiled_folder(cache)
    found = {"cache": tmp_path / "encoders", "times": 0, "whole": there}

    def copy(model_folder: Path, target: Path) -> None:
        found["times"] += 1
        for name in (MODEL, MODEL.replace(".xml", ".bin")):
            shutil.copy(there / name, target / name)

    monkeypatch.setattr(compiled_module, "_compile_apart", copy)
    return found


def reopened(copied: dict[str, Any]) -> CompiledEncoder:
    return open_compiled(PACKAGED, packaged_folder(), PACKAGED_SHA256, copied["cache"])


def test_vectors_are_those_of_sentence_transformers_alone_and_in_a_batch(cache: Path) -> None:
    original, compiled = open_encoder(PACKAGED), open_encoder(PACKAGED, cache)
    assert isinstance(original, SentenceTransformerEncoder)
    wanted = original.encode(TEXTS)
    assert compiled.name == original.name
    assert np.abs(compiled.encode(TEXTS) - wanted).max() < 1e-4
    assert np.abs(np.concatenate([compiled.encode([text]) for text in TEXTS]) - wanted).max() < 1e-4
    assert compiled.encode([]).shape == (0, compiled.dimensions) == (0, 384)


def test_single_words_are_read_as_by_sentence_transformers_alone_and_in_a_batch(cache: Path) -> None:
    original, compiled = open_encoder(PACKAGED), open_encoder(PACKAGED, cache)
    vectors, wanted = read_by(original, TEXTS)
    assert np.abs(vectors - original.encode(TEXTS)).max() < 1e-6
    for found in (read_by(compiled, TEXTS)[1], [read_by(compiled, [text])[1][0] for text in TEXTS]):
        assert [one.ids.tolist() for one in found] == [one.ids.tolist() for one in wanted]
        assert max(np.abs(a.states - b.states).max(initial=0) for a, b in zip(found, wanted, strict=True)) < 1e-3
    assert len(wanted[1].ids) == 0
    assert len(wanted[3].ids) == 254, "what is longer than the encoder reads is cut, marks left out"


def test_opening_what_is_compiled_imports_no_torch(cache: Path, project_root: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from papers.encoding.encoders import open_encoder;"
        f"open_encoder(cache=Path({str(cache)!r})).encode(['a query']);"
        "print(sorted({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=project_root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_is_compiled_once_and_again_where_a_file_is_damaged_or_lost(copied: dict[str, Any]) -> None:
    reopened(copied)
    reopened(copied)
    assert copied["times"] == 1
    binary = compiled_folder(copied["cache"]) / MODEL.replace(".xml", ".bin")
    with binary.open("r+b") as file:
        file.seek(5_000_000)
        file.write(b"damage")
    wanted = reopened(copied).encode(["a query"])
    assert copied["times"] == 2
    (compiled_folder(copied["cache"]) / MODEL).unlink()
    assert np.array_equal(reopened(copied).encode(["a query"]), wanted)
    assert copied["times"] == 3


def test_what_other_versions_compiled_is_replaced(copied: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    reopened(copied)
    before = compiled_folder(copied["cache"])
    monkeypatch.setattr(compiled_module, "FORMAT", 0)
    reopened(copied)
    assert compiled_folder(copied["cache"]) != before
    assert not before.exists()


def test_one_encoder_serves_threads_at_once(cache: Path) -> None:
    encoder = open_encoder(PACKAGED, cache)
    texts = [f"question {number} about caches" for number in range(8)]
    wanted = [encoder.encode([text]) for text in texts]
    found: list[Any] = [None] * len(texts)

    def ask(at: int) -> None:
        for _ in range(5):
            found[at] = encoder.encode([texts[at]])

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(one, other) for one, other in zip(found, wanted, strict=True))


def test_without_openvino_the_library_answers_and_the_log_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(model_folder: Path, target: Path) -> None:
        raise CannotCompile("no such processor")

    monkeypatch.setattr(compiled_module, "_compile_apart", fails)
    opened: list[str] = []
    monkeypatch.setattr(encoders, "_open_by_library", lambda name, place, adapter, longest: opened.append(name))
    open_encoder(PACKAGED, tmp_path / "encoders")
    assert opened == [PACKAGED]
    assert "no such processor" in caplog.text
    assert not [path for path in (tmp_path / "encoders").iterdir() if path.is_dir()]


def test_vectors_that_are_off_are_refused() -> None:
    wanted = np.eye(3, dtype=np.float32)
    check_same(wanted, [wanted])
    with pytest.raises(NotTheSame, match=r"cosine 0\.0"):
        check_same(wanted, [wanted, np.roll(wanted, 1, axis=0)])
