"""Weights rounded by coordinate descent on the error of the layer's output, column after column, many times over.

Source: "QuantEase: Optimization-based Quantization for Language Models" (2023), section 3.

For a weight W (outputs, features) and calibration inputs X (tokens, features) with H = X^T X, one grid of 2^bits levels for
each row, Q minimises trace((W - Q) H (W - Q)^T). With all other columns fixed, column j would best be
    z_j = Q_j + (W - Q) H_j / H_jj        and on the grid its rounding, which is exact: the error is a parabola in each entry
A pass visits all columns; Q starts as W itself. No inverse and no decomposition is needed. Each third pass leaves its
entries unrounded, which lets the descent leave a poor solution; the last pass rounds. After rounding, z hears of it by a
rank-one update, for whole blocks of columns by a matrix product.

A call takes the calibration inputs, quantizes, and gives the quantized layer's output for them, (tokens, outputs).

Cost for 4,096 by 4,096 weights in float32: H from 8,192 tokens 0.27 TFLOP (half of it is a mirror), the output 0.27;
each pass 0.14 TFLOP, for 24 passes 3.3 TFLOP,
60 ms at 55 TFLOP/s of an H200 without tensor cores; GPTQ takes half a pass and three decompositions of a 4,096 x 4,096
matrix. Visiting 128 columns is a chain of 128 steps on the chip, about 0.1 ms, 32 times a pass. So QuantEase must take
several times as long as GPTQ here: what it offers is that no matrix must be inverted, and that it can improve any solution.
Which of the two has the smaller error depends on the inputs: with these, nearly of low rank, it is QuantEase for narrow
layers and GPTQ from a few hundred features on; passes that start from GPTQ's weights are better than both.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import linear

from runners.blocks.ladder import Subject
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand
from runners.blocks.rounding import UniformGrid, correlated_inputs, gptq, gram_matrix, sweep

UNROUNDED_EVERY = 3

Quantize = Callable[[Tensor, Tensor, UniformGrid], Tensor]


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """weight: (outputs, features)."""
    return {"weight": rand.gaussian(axes["outputs"], axes["features"], scale=axes["features"] ** -0.5)}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """Calibration inputs (tokens, features), correlated as inside a network."""
    return (correlated_inputs(rand, axes["tokens"], axes["features"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Half of the Gram matrix, whose mirror is the other; passes, of the last what lies ahead; the output."""
    tokens, features, outputs = axes["tokens"], axes["features"], axes["outputs"]
    passes = (2 * axes["passes"] - 1) * features**2 * outputs
    products = tokens * features**2 + passes + 2 * tokens * features * outputs
    moved = features * outputs + tokens * (features + outputs)
    return LeastWork({dtype: products}, BYTES[dtype] * moved)


def quantease(weight: Tensor, gram: Tensor, grid: UniformGrid, passes: int, *, start: Tensor | None = None) -> Tensor:
    """Q on the grid after so many passes over the columns of weight (outputs, features), from `start` or W itself."""
    # A feature that is always zero changes nothing: its column is rounded and nothing is passed on.
    diagonal = gram.diagonal().clamp_min(torch.finfo(gram.dtype).tiny)
    passed_on = (gram / diagonal).fill_diagonal_(0)
    quantized = weight if start is None else start
    z = weight.clone() if start is None else start + (weight - start) @ gram / diagonal
    for index in range(1, passes + 1):
        rounds = index == passes or index % UNROUNDED_EVERY != 0
        quantized = sweep(z, passed_on, grid, before=quantized, rounds=rounds)
    return quantized


def calibrated(quantize: Quantize, axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """A subject that quantizes on its inputs and gives the layer's output for them."""
    weight = weights["weight"]
    wide = weight.to(torch.promote_types(weight.dtype, torch.float32))

    def call(inputs: Tensor) -> Tensor:
        grid = UniformGrid.spanning(wide, axes["bits"])
        return linear(inputs, quantize(wide, gram_matrix(inputs), grid).to(inputs.dtype))

    return call


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    passes = axes["passes"]
    if passes < 1:
        raise ValueError(f"passes is {passes}; at least one pass must round the weights")
    return calibrated(lambda weight, gram, grid: quantease(weight, gram, grid, passes), axes, weights)


def make_gptq_start(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """As many passes, but starting from GPTQ's weights."""

    def quantize(weight: Tensor, gram: Tensor, grid: UniformGrid) -> Tensor:
        return quantease(weight, gram, grid, axes["passes"], start=gptq(weight, gram, grid))

    return calibrated(quantize, axes, weights)


def make_nearest(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """Each weight to its nearest level; the inputs are not looked at."""
    weight = weights["weight"]
    grid = UniformGrid.spanning(weight, axes["bits"])
    return lambda inputs: linear(inputs, grid.round(weight))


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The layer as it is: what the others are compared with, and no work of theirs."""
    return lambda inputs: linear(inputs, weights["weight"])


def make_gptq(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return calibrated(gptq, axes, weights)


SUBJECTS = {
    "technique": make_technique,
    "eager": make_eager,
    "nearest": make_nearest,
    "gptq": make_gptq,
    "gptq_start": make_gptq_start,
}
