"""The word pieces of a text as an encoder read them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pieces:
    """The word pieces of a text as the encoder read them, begin and end marks left out: numbers in its vocabulary of shape
    (n,), and the encoder's last states of shape (n, dimensions)."""

    ids: NDArray[np.int64]
    states: NDArray[np.float32]
