"""The same answer for a known number of passes: the technique makes two, the rungs one to four, so ratios are known."""

from collections.abc import Callable

import torch

from runners.blocks.rand import Rand

PRODUCTS_A_PASS = 4
TECHNIQUE_PASSES = 2
PASSES = {"technique": TECHNIQUE_PASSES, "same": TECHNIQUE_PASSES, "half": 1, "half_more": 3, "double": 4}


def weights(axes: dict[str, int], rand: Rand) -> dict[str, torch.Tensor]:
    return {"matrix": rand.gaussian(axes["dim"], axes["dim"], scale=axes["dim"] ** -0.5)}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[torch.Tensor, ...]:
    return (rand.normal(axes["rows"], axes["dim"]),)


class Work:
    """Chains of matrix products, so heavy that a call's fixed costs vanish beside them."""

    def __init__(self, matrix: torch.Tensor, passes: int) -> None:
        self.matrix, self.passes = matrix, passes

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(self.passes):
            answer = x
            for _ in range(PRODUCTS_A_PASS):
                answer = answer @ self.matrix
        return answer


def _make(passes: int) -> Callable[[dict[str, int], dict[str, torch.Tensor]], Work]:
    return lambda axes, weights: Work(weights["matrix"], passes)


SUBJECTS = {name: _make(passes) for name, passes in PASSES.items()}
