"""How needs are read: low-rank changes to the encoder's weights, under which a need lies nearer to the papers that answer it.

Papers are read by the encoder as it is, so no index depends on what is here. Source: "LoRA: Low-Rank Adaptation of Large
Language Models" (2021); fitted by `recommender/adapting.py`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.arrays import read_arrays

STORED = Path(__file__).with_name("adapter.npz")
DOWN, UP = ".down", ".up"
Change = tuple[NDArray[np.float32], NDArray[np.float32]]


@dataclass(frozen=True)
class Adapter:
    """For each weight of shape (out, in) that is changed, by its module's name: `up` of shape (out, rank) and `down` of shape
    (rank, in), whose product is added to it. `encoder` is the one that it was fitted for."""

    encoder: str
    changes: Mapping[str, Change]
    trained_on: Mapping[str, Any]

    def added_to(self, module: str) -> NDArray[np.float32]:
        """What is added to the weight of a module that is changed, of the weight's shape."""
        up, down = self.changes[module]
        return np.asarray(up @ down, np.float32)


def save(adapter: Adapter, path: Path) -> None:
    """In 16 bits, which change no score by as much as a thousandth."""
    arrays: dict[str, NDArray[Any]] = {}
    for module, (up, down) in sorted(adapter.changes.items()):
        arrays[module + UP], arrays[module + DOWN] = up.astype(np.float16), down.astype(np.float16)
    about = {"encoder": adapter.encoder, "trained_on": dict(adapter.trained_on)}
    with path.open("wb") as file:
        np.savez_compressed(file, about=np.array(json.dumps(about, sort_keys=True)), **arrays)  # type: ignore[arg-type, unused-ignore]


def read(path: Path) -> Adapter:
    """Raises: OSError, ValueError for a file that holds none."""
    stored = read_arrays(path)
    about = json.loads(str(stored.pop("about")))
    modules = sorted(name.removesuffix(UP) for name in stored if name.endswith(UP))
    changes = {name: (stored[name + UP].astype(np.float32), stored[name + DOWN].astype(np.float32)) for name in modules}
    return Adapter(about["encoder"], changes, about["trained_on"])


@functools.cache
def shipped() -> Adapter:
    """The adapter that ships."""
    return read(STORED)


def adapter_for(encoder: str) -> Adapter | None:
    """The adapter of that encoder; None for one that none was fitted for, which reads needs as it reads papers."""
    return shipped() if STORED.is_file() and shipped().encoder == encoder else None
