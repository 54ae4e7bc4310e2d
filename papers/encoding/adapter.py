"""Low-rank changes to an encoder's weights, by which it reads for one purpose.

Source: "LoRA: Low-Rank Adaptation of Large Language Models" (2021). Fitted with `papers/encoding/low_rank.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from papers.encoding.arrays import read_arrays

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


def save(adapter: Adapter, path: Path, beside: Mapping[str, NDArray[Any]] | None = None) -> None:
    """In 16 bits, which change no score by as much as a thousandth. `beside`: arrays that are kept with it as they are."""
    arrays: dict[str, NDArray[Any]] = dict(beside or {})
    for module, (up, down) in sorted(adapter.changes.items()):
        arrays[module + DOWN], arrays[module + UP] = down.astype(np.float16), up.astype(np.float16)
    about = {"encoder": adapter.encoder, "trained_on": dict(adapter.trained_on)}
    with path.open("wb") as file:
        np.savez_compressed(file, about=np.array(json.dumps(about, sort_keys=True)), **arrays)  # type: ignore[arg-type, unused-ignore]


def read(path: Path) -> Adapter:
    """Raises: OSError, ValueError for a file that holds none."""
    return read_with(path)[0]


def read_with(path: Path) -> tuple[Adapter, dict[str, NDArray[Any]]]:
    """An adapter and the arrays that were saved beside it. Raises: OSError, ValueError for a file that holds none."""
    stored = read_arrays(path)
    if "about" not in stored:
        raise ValueError(f"{path.name} holds no adapter")
    about = json.loads(str(stored.pop("about")))
    modules = sorted(name.removesuffix(UP) for name in stored if name.endswith(UP))
    changes = {
        name: (stored.pop(name + UP).astype(np.float32), stored.pop(name + DOWN).astype(np.float32)) for name in modules
    }
    return Adapter(about["encoder"], changes, about["trained_on"]), stored
