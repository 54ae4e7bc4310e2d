"""A sentence encoder compiled by OpenVINO: the vectors of sentence-transformers in a third of the time, without torch.

The compiled files are a cache in a folder that names the weights and the versions they were made with; lost or damaged
ones are made again. They are mapped into memory, so that the processes of a machine share them.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from papers.encoding.adapter import Adapter
from papers.encoding.pieces import Pieces
from papers.files import sha256_of

MODEL, HASHES = "encoder.xml", "hashes.json"
INPUTS = ("ids", "mask", "types")
PREFIX = "self.model."  # of the module that `papers/encoding/compiling.py` traces
FORMAT = 2
FEW_TEXTS, BATCH = 4, 16
COMPILED_WITH = ("openvino", "torch", "transformers", "sentence-transformers")
LONGEST_COMPILATION_S = 600


class CannotCompile(Exception):
    """The encoder cannot be compiled or opened by OpenVINO; the message says why."""


class CompiledEncoder:
    """Reads texts as the model's folder says and computes with the compiled files. Safe to share between threads."""

    def __init__(
        self, name: str, compiled: Path, model_folder: Path, adapter: Adapter | None = None, longest: int | None = None
    ) -> None:
        self.name = name
        self._openvino: Any = importlib.import_module("openvino")
        self._model = self._openvino.Core().read_model(str(compiled / MODEL))
        if adapter:
            self._adapt(adapter)
        self.dimensions = int(self._model.output(0).partial_shape[1].get_length())
        self._tokenizer: Any = importlib.import_module("tokenizers").Tokenizer.from_file(
            str(model_folder / "tokenizer.json")
        )
        settings = json.loads((model_folder / "sentence_bert_config.json").read_text(encoding="utf-8"))
        most = settings["max_seq_length"]
        self._tokenizer.enable_truncation(min(longest, most) if longest else most)
        self._tokenizer.enable_padding()
        self._lock, self._ready, self._own = threading.Lock(), dict[int, Any](), threading.local()

    def _adapt(self, adapter: Adapter) -> None:
        """Puts changed weights in the place of those that the files hold. Raises: CannotCompile where one is not found."""
        constants = {
            each.get_friendly_name(): each for each in self._model.get_ops() if each.get_type_name() == "Constant"
        }
        for module in adapter.changes:
            constant, change = constants.get(f"{PREFIX}{module}.weight"), adapter.added_to(module)
            if constant is None or tuple(constant.data.shape) != change.shape:
                raise CannotCompile(f"the compiled files hold no weight {module!r} that the adapter fits")
            changed = self._openvino.opset13.constant(constant.data + change, dtype=np.float32)
            constant.output(0).replace(changed.output(0))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self._run(texts, None)

    def read(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], list[Pieces]]:
        """Vectors, and the word pieces of each text without its begin and end marks."""
        pieces: list[Pieces | None] = [None] * len(texts)
        vectors = self._run(texts, pieces)
        return vectors, [one for one in pieces if one is not None]

    def _run(self, texts: Sequence[str], pieces: list[Pieces | None] | None) -> NDArray[np.float32]:
        # A second thread makes a single query slower on a busy machine; a batch takes all that may be used.
        request = self._request(1 if len(texts) <= FEW_TEXTS else _threads())
        rows = np.empty((len(texts), self.dimensions), np.float32)
        by_length = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        for start in range(0, len(texts), BATCH):
            batch = by_length[start : start + BATCH]
            read = self._tokenizer.encode_batch([texts[at] for at in batch])
            ids = np.array([one.ids for one in read], np.int64)
            mask = np.array([one.attention_mask for one in read], np.int64)
            found = request.infer(dict(zip(INPUTS, (ids, mask, np.zeros_like(ids)), strict=True)))
            rows[batch] = found[0]
            if pieces is not None:
                for row, at in enumerate(batch):
                    inside = slice(1, int(mask[row].sum()) - 1)
                    pieces[at] = Pieces(ids[row, inside], np.array(found[1][row, inside], np.float32))
        return rows

    def _request(self, threads: int) -> Any:
        """This thread's own request: one serves a single thread at a time."""
        requests = self._own.__dict__.setdefault("requests", {})
        if threads not in requests:
            requests[threads] = self._compiled(threads).create_infer_request()
        return requests[threads]

    def _compiled(self, threads: int) -> Any:
        with self._lock:
            if threads not in self._ready:
                # Where the processor has units for 16 bits, they would be used unless 32 are asked for.
                options = {
                    "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads,
                }  # fmt: skip
                self._ready[threads] = self._openvino.Core().compile_model(self._model, "CPU", options)
            return self._ready[threads]


def open_compiled(
    name: str,
    model_folder: Path,
    weights: str,
    cache: Path,
    adapter: Adapter | None = None,
    *,
    longest: int | None = None,
) -> CompiledEncoder:
    """The encoder of a model's folder whose weights have that sha256, compiled into `cache` where it is not yet.

    With an adapter the files are the same: their weights are changed in memory.
    Raises: CannotCompile, also where OpenVINO is not installed or cannot be loaded.
    """
    try:
        folder = cache / f"{name}-{_key(weights)}"
        with _one_at_a_time(cache):
            if not _is_whole(folder):
                _replace(folder, lambda aside: _compile_apart(model_folder, aside))
                _remove_others(cache, name, folder)
        return CompiledEncoder(name, folder, model_folder, adapter, longest)
    except CannotCompile:
        raise
    except Exception as error:  # a library that does not fit the machine fails in ways of its own
        raise CannotCompile(" ".join(f"{type(error).__name__}: {error}".split())[:300]) from error


def _key(weights: str) -> str:
    versions = [f"{package} {importlib.metadata.version(package)}" for package in COMPILED_WITH]
    return hashlib.sha256("\n".join([f"format {FORMAT}", weights, *versions]).encode()).hexdigest()[:16]


@contextmanager
def _one_at_a_time(cache: Path) -> Iterator[None]:
    """Processes that start together wait for the first one to compile."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _compile_apart(model_folder: Path, target: Path) -> None:
    """In a process of its own, which takes torch away with it."""
    command = [sys.executable, "-m", "papers.encoding.compiling", str(model_folder), str(target)]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=LONGEST_COMPILATION_S, check=False
    )  # fmt: skip
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise CannotCompile(f"compiling failed: {last[:300]}")


def _replace(folder: Path, make: Callable[[Path], None]) -> None:
    """Make the folder's files aside and put them in place whole."""
    aside = folder.with_name(f".{folder.name}-{os.getpid()}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        make(aside)
        hashes = {path.name: sha256_of(path) for path in sorted(aside.iterdir())}
        (aside / HASHES).write_text(json.dumps(hashes), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _is_whole(folder: Path) -> bool:
    try:
        hashes: dict[str, str] = json.loads((folder / HASHES).read_text(encoding="utf-8"))
        return MODEL in hashes and all(sha256_of(folder / name) == sha256 for name, sha256 in hashes.items())
    except (OSError, ValueError, TypeError, AttributeError):
        return False


def _remove_others(cache: Path, name: str, kept: Path) -> None:
    """What other versions of the libraries made; a process that has it open keeps it."""
    for other in cache.glob(f"{name}-*"):
        if other != kept:
            shutil.rmtree(other, ignore_errors=True)


def _threads() -> int:
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) else len(os.sched_getaffinity(0))
