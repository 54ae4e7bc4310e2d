"""What the features of a paper say together: a small network's correction to their weighted sum.

A sum cannot say that words in common count for little in a paper of another modality, or that one paper stands out among many
alike. The correction is one more part of a score, so that a score can still be taken apart. `manage.py train_ranking` fits it.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from papers.encoding.arrays import read_arrays

STORED = Path(__file__).with_name("together.npz")
# A feature that all papers of a need share has no spread, and must not blow up.
LEAST_SPREAD = 0.01
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """`weights` of shape (inputs, outputs)."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True)
class Network:
    """Several nets of the same shape, whose mean is what counts; `centre` and `spread` of shape (inputs,) make inputs alike."""

    features: tuple[str, ...]
    centre: NDArray[np.float32]
    spread: NDArray[np.float32]
    nets: Sequence[Sequence[Layer]]

    def corrections(self, table: Numbers, sums: Numbers) -> Numbers:
        """What is added to the weighted `sums` (papers,) of a `table` (papers, features) in the order of `features`."""
        if not len(table):
            return np.zeros(0)
        states = (inputs(table, sums) - self.centre) / self.spread
        return np.asarray(np.mean([_through(net, states) for net in self.nets], axis=0), np.float64)


def inputs(table: Numbers, sums: Numbers) -> Numbers:
    """Of shape (papers, 2 * features + 2): the features, how far each is from its mean over the papers of this need, how far the
    sum is from the best one, and its place."""
    spread = table.std(axis=0) + LEAST_SPREAD
    place = np.argsort(np.argsort(-sums, kind="stable"), kind="stable")
    beside = np.stack([sums - sums.max(initial=-np.inf), np.log1p(place)], axis=1)
    return np.hstack([table, (table - table.mean(axis=0)) / spread, beside])


def _through(net: Sequence[Layer], states: Numbers) -> Numbers:
    for layer in net[:-1]:
        states = np.tanh(states @ layer.weights + layer.bias)
    return np.asarray((states @ net[-1].weights + net[-1].bias)[:, 0])


def save(network: Network, path: Path, about: Mapping[str, Any]) -> None:
    """In 16 bits, with what it was trained on."""
    arrays = {f"{at}.{number}.{part}": getattr(layer, part) for at, net in enumerate(network.nets)
              for number, layer in enumerate(net) for part in ("weights", "bias")}  # fmt: skip
    told = {"features": network.features, "nets": len(network.nets), "layers": len(network.nets[0]), **about}
    with path.open("wb") as file:
        np.savez_compressed(
            file, about=np.array(json.dumps(told)), centre=network.centre, spread=network.spread,
            **{name: array.astype(np.float16) for name, array in arrays.items()},
        )  # fmt: skip


def read(path: Path) -> Network:
    """Raises: OSError, ValueError for a file that holds none."""
    stored = read_arrays(path)
    about = json.loads(str(stored["about"]))

    def layer(at: int, number: int) -> Layer:
        weights, bias = (stored[f"{at}.{number}.{part}"].astype(np.float32) for part in ("weights", "bias"))
        return Layer(weights, bias)

    nets = [[layer(at, number) for number in range(about["layers"])] for at in range(about["nets"])]
    return Network(tuple(about["features"]), stored["centre"], stored["spread"], nets)


@functools.cache
def shipped() -> Network | None:
    """The network that ships, if one does."""
    return read(STORED) if STORED.is_file() else None
