"""A linear layer with 4-bit weights and 8-bit tokens, whose groups of weights are scaled by whole numbers.

Source: "Dual Grained Quantization: Efficient Fine-Grained Quantization for LLM" (2023).

    weights   a 4-bit code for each, a whole number 1 .. 15 for each 128 of them (fine), a float for each output (coarse);
              code times whole number is an 8-bit integer, so that the product is one of integers over all features
    scales    searched in two phases: the best float scale of each group, then, for each output, the best unit of which
              the groups' scales become multiples
    tokens    features whose largest value in calibration lies over a percentile of all features' are divided down towards
              it, and their weights multiplied; then each token is rounded to 8 bits with a scale of its own
    rungs     "paper": the same weights' width with 16-bit tokens and a 16-bit scale for each group

Shapes: tokens (tokens, features), weight (outputs, features), result (tokens, outputs).

Why it should win: with many tokens arithmetic bounds, and 8-bit integers go at twice the rate of 16-bit floats: 2,048
tokens through 4096 to 14336 features are 0.24 TFLOP, 0.24 ms on an H200 at its peak of 990 TFLOP/s and 0.12 ms at 1,979.
Tokens, result and weights are 17, 59 and 30 MB, 0.02 ms at 4.8 TB/s, and hide behind that. A float scale for each group
would take every group's sum out of the tensor cores; whole-numbered ones are multiplied into the codes on the way there,
four weights at once (1.4 instructions a weight, shared by all tokens of a tile). With few tokens both formats read about 30
MB, 6.3 us at 4.8 TB/s, against 24.5 us for 16 bits; 8-bit tokens then save nothing but pay for their rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from runners.blocks.ladder import compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.packed import Int4Linear, Linear16
from runners.blocks.packed8 import DualGrainedLinear, dual_grained_product, least_error_divisors
from runners.blocks.rand import Rand
from runners.blocks.rounding import with_outliers

CALIBRATION_TOKENS = 64
# Of 1,000 features the ten with the largest values may be outliers.
PERCENTILE = 0.99
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """weight (outputs, features), and tokens to calibrate with (64, features)."""
    features = axes["features"]
    return {
        "weight": rand.gaussian(axes["outputs"], features, scale=features**-0.5),
        "calibration": with_outliers(rand.gaussian(CALIBRATION_TOKENS, features), axes["outliers"]),
    }


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor]:
    return (with_outliers(rand.normal(axes["tokens"], axes["features"]), axes["outliers"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Integers throughout; half a byte a weight, and a whole number for each 128."""
    tokens, features, outputs = axes["tokens"], axes["features"], axes["outputs"]
    products = 2 * tokens * features * outputs
    held = features * outputs * (1 / 2 + 1 / 128) + 4 * (features + outputs)
    return LeastWork({"int8": products}, held + BYTES[dtype] * tokens * (features + outputs))


def clipping_divisors(calibration: Tensor) -> Tensor:
    """(features,) at least 1: how far each feature's largest value lies over the percentile of all of them."""
    largest = calibration.float().abs().amax(dim=0)
    return (largest / torch.quantile(largest, PERCENTILE)).clamp_min(1.0)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> DualGrainedLinear:
    calibration = weights["calibration"].float()
    over = clipping_divisors(calibration)
    candidates = [over**strength for strength in STRENGTHS]
    divisors = least_error_divisors(candidates, weights["weight"], calibration, dual_grained_product)
    return DualGrainedLinear(weights["weight"], divisors, (calibration / divisors).square().mean(dim=0))


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> Int4Linear:
    return Int4Linear(weights["weight"])


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Linear16:
    return Linear16(weights["weight"])


SUBJECTS = {
    "technique": make_technique,
    "paper": make_paper,
    "eager": make_eager,
    "compiled": compiled(make_eager),
}
