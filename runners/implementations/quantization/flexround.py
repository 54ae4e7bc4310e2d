"""Rounding learned by division: each weight has a divisor of its own, learned on the error of the layer's output.

Source: "FlexRound: Learnable Rounding based on Element-wise Division for Post-Training Quantization" (2023), section 3.

With one grid for the whole weight W (outputs, features), its step s, its zero and levels 0 .. 2^bits - 1:
    Q = s * (clamp(round(W / (s * S * r)) + zero) - zero)
where S (outputs, features) and r (outputs, 1) start as ones; s, S and r are learned by Adam, the rounding's derivative taken as
one. The derivative by a divisor is proportional to its weight, so that large weights move to other levels more easily.
Additive learned rounding (AdaRound: "Up or Down? Adaptive Rounding for Post-Training Quantization", 2020) is the baseline:
it keeps s and learns for each weight whether it goes up or down.

Both minimise the error of the layer's output for calibration inputs X, trace((W - Q) X^T X (W - Q)^T): with the Gram matrix
at hand a step does not depend on the number of inputs. A call takes X (tokens, features), learns, and gives the
quantized layer's output for X, (tokens, outputs). AdaRound settles late, by the pressure on its offsets: with a hundred steps it has
hardly begun, which the sweep over steps shows.

Cost for 4,096 by 4,096 weights in float32: a step takes two products of 0.14 TFLOP (one would do, error and gradient
being
the same), 5 ms at 55 TFLOP/s of an H200 without
tensor cores, and some 30 passes over 67 MB, 0.4 ms; 100 steps are 0.5 s. Both methods cost the same a step; what is
asked is which of them has the smaller error after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import linear

from runners.blocks.ladder import Subject
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand
from runners.blocks.rounding import UniformGrid, correlated_inputs, gptq, gram_matrix
from runners.blocks.training import minimise

# Found on 64 by 48 and 256 by 128 weights at 3 and 4 bits: the best rate of each method, and AdaRound's best pressure.
DIVISOR_RATE = 0.03
OFFSET_RATE, OFFSET_PRESSURE = 0.1, 0.1
# AdaRound's offsets are sigmoids stretched to reach 0 and 1, and are pressed there by an exponent that falls.
STRETCH = 0.1
FREE_SHARE, FIRST_EXPONENT, LAST_EXPONENT = 0.2, 20.0, 2.0

Objective = Callable[[Tensor], Tensor]


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """weight: (outputs, features)."""
    return {"weight": rand.gaussian(axes["outputs"], axes["features"], scale=axes["features"] ** -0.5)}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """Calibration inputs (tokens, features), correlated as inside a network."""
    return (correlated_inputs(rand, axes["tokens"], axes["features"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Half of the Gram matrix, whose mirror is the other; a product a step, error and gradient in one; the output."""
    tokens, features, outputs = axes["tokens"], axes["features"], axes["outputs"]
    products = tokens * features**2 + 2 * features * outputs * (axes["steps"] * features + tokens)
    moved = features * outputs + tokens * (features + outputs)
    return LeastWork({dtype: products}, BYTES[dtype] * moved)


def straight_through(values: Tensor) -> Tensor:
    """Rounded, with the derivative of no rounding."""
    return values + (values.round() - values).detach()


def flexround(weight: Tensor, error: Objective, grid: UniformGrid, steps: int) -> Tensor:
    """Q (outputs, features); its step differs from the grid's."""
    step = grid.step.clone().requires_grad_()
    divisors = torch.ones_like(weight).requires_grad_()
    by_output = torch.ones_like(weight[:, :1]).requires_grad_()

    def quantized() -> Tensor:
        levels = straight_through(weight / (step * divisors * by_output)) + grid.zero
        return (levels.clamp(0, grid.levels) - grid.zero) * step

    # The common step moves by as large a share of itself as a divisor does.
    rates = [(divisors, DIVISOR_RATE), (by_output, DIVISOR_RATE), (step, DIVISOR_RATE * grid.step.item())]
    minimise(rates, lambda done: error(quantized()), steps, rates_fall=True)
    return quantized().detach()


def adaround(weight: Tensor, error: Objective, grid: UniformGrid, steps: int) -> Tensor:
    """Q on the grid: each weight at one of the two levels next to it."""
    below = (weight / grid.step).floor()
    place = weight / grid.step - below
    offsets = (-torch.log((1 + 2 * STRETCH) / (place + STRETCH) - 1)).requires_grad_()

    def above() -> Tensor:
        return (torch.sigmoid(offsets) * (1 + 2 * STRETCH) - STRETCH).clamp(0, 1)

    def loss(done: float) -> Tensor:
        up = above()
        total = error(grid.at(below + up))
        if done < FREE_SHARE:
            return total
        turn = math.cos(math.pi * (done - FREE_SHARE) / (1 - FREE_SHARE))
        exponent = LAST_EXPONENT + (FIRST_EXPONENT - LAST_EXPONENT) * (1 + turn) / 2
        return total + OFFSET_PRESSURE * (1 - (2 * up - 1).abs().pow(exponent)).mean()

    minimise([(offsets, OFFSET_RATE)], loss, steps, rates_fall=False)
    return grid.at(below + (above() >= 0.5)).detach()


def learned(method: Callable[..., Tensor], axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """A subject that learns to round on its inputs and gives the layer's output for them."""
    weight = weights["weight"]
    wide = weight.to(torch.promote_types(weight.dtype, torch.float32))

    @torch.enable_grad()
    def call(inputs: Tensor) -> Tensor:
        inputs = inputs.detach()
        gram = gram_matrix(inputs)
        whole = ((wide @ gram) * wide).sum()

        def error(quantized: Tensor) -> Tensor:
            """The output's squared error as a share of the output."""
            lost = quantized - wide
            return ((lost @ gram) * lost).sum() / whole

        grid = UniformGrid.spanning(wide, axes["bits"], by_row=False)
        return linear(inputs, method(wide, error, grid, axes["steps"]).to(inputs.dtype))

    return call


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return learned(flexround, axes, weights)


def make_adaround(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return learned(adaround, axes, weights)


def make_gptq(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """GPTQ on the same grid: nothing is learned, the error is passed on from column to column."""
    wide = weights["weight"].to(torch.promote_types(weights["weight"].dtype, torch.float32))
    grid = UniformGrid.spanning(wide, axes["bits"], by_row=False)
    return lambda inputs: linear(inputs, gptq(wide, gram_matrix(inputs), grid).to(inputs.dtype))


def make_nearest(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    weight = weights["weight"]
    rounded = UniformGrid.spanning(weight, axes["bits"], by_row=False).round(weight)
    return lambda inputs: linear(inputs, rounded)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The layer as it is: what the others are compared with, and no work of theirs."""
    return lambda inputs: linear(inputs, weights["weight"])


SUBJECTS = {
    "technique": make_technique,
    "eager": make_eager,
    "nearest": make_nearest,
    "adaround": make_adaround,
    "gptq": make_gptq,
}
