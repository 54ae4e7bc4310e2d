"""What one call must do at least, as a module may declare it: the floor that the roofline sets under its time.

torch counts operations of its own operators only, and cannot know that a weight must be read; a kernel's author can.
A module declares it as

    def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork

for the technique in the workload of these axes: `dtype` as the card names it, `backward` where gradients are timed as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

COUNTED = "declared_"
COUNTED_BYTES = f"{COUNTED}bytes"
BYTES: Mapping[str, int] = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2, "float8": 1, "int8": 1}


@dataclass(frozen=True)
class LeastWork:
    """Operations (a multiplication and an addition are two) by the format of the units that do them, as BYTES names
    formats, and bytes that must come from memory or go there: each input, weight and output once."""

    operations: Mapping[str, float] = field(default_factory=dict)
    bytes_moved: float = 0.0

    def counts(self) -> dict[str, int]:
        """By the names under which the harness keeps them."""
        return {
            COUNTED_BYTES: int(self.bytes_moved),
            **{f"{COUNTED}{name}": int(n) for name, n in self.operations.items()},
        }

    def __post_init__(self) -> None:
        if unknown := set(self.operations) - set(BYTES):
            raise ValueError(f"operations: {sorted(unknown)} are no formats; known are {sorted(BYTES)}")
        if min([self.bytes_moved, *self.operations.values()]) < 0:
            raise ValueError("operations and bytes are counted from 0")
