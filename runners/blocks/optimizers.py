"""Adam in the forms that implementations compare, and the shell that makes a subject of them.

A *rule* holds the state for one parameter and turns a gradient into a direction; the parameter then moves by
-LEARNING_RATE * direction. Adam is "Adam: A Method for Stochastic Optimization" (2014), algorithm 1, with bias
correction. Its direction does not depend on the parameter, so cards start parameters at zero: what a subject returns
is then the sum of its updates, in which an error shows, and not a large weight in which it drowns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from runners.blocks.kernels import require_triton, tl, triton
from runners.blocks.quantization import BLOCK, LEAST_UNSIGNED, BlockwiseTensor, decode, encode

LEARNING_RATE = 1e-3
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class Rule(Protocol):
    def apply_(self, parameter: Tensor, gradient: Tensor) -> None:
        """Takes one step: changes `parameter` in place, leaves `gradient` alone."""

    def direction(self, gradient: Tensor) -> Tensor:
        """Takes one step, but hands back the direction instead of moving a parameter."""

    def tensors(self) -> Sequence[Tensor]:
        """Everything that must be kept until the next step."""


class Adam:
    """Plain Adam, one PyTorch operation after the other; both moments have the dtype of the gradient's parameter."""

    def __init__(self, like: Tensor) -> None:
        self.first = torch.zeros_like(like)
        self.second = torch.zeros_like(like)
        # A tensor, since torch.compile would compile again for each new number; float64, since 1 - 0.999**1 cancels.
        self.steps = torch.zeros((), dtype=torch.float64, device=like.device)

    def direction(self, gradient: Tensor) -> Tensor:
        self.steps += 1
        self.first.lerp_(gradient, 1 - BETA1)
        self.second.mul_(BETA2).addcmul_(gradient, gradient, value=1 - BETA2)
        first = self.first / (1 - BETA1**self.steps)
        second = self.second / (1 - BETA2**self.steps)
        return first / (second.sqrt() + EPSILON)

    def apply_(self, parameter: Tensor, gradient: Tensor) -> None:
        parameter.sub_(LEARNING_RATE * self.direction(gradient))

    def tensors(self) -> tuple[Tensor, ...]:
        return self.first, self.second, self.steps


class FusedAdam:
    """Adam whose direction takes one pass: one Triton kernel on a GPU (`kernel`), plain operations elsewhere.

    Per value it reads gradient and moments once and writes moments and direction once; the operations of `Adam` read
    and write each of them several times.
    """

    def __init__(self, like: Tensor, *, kernel: bool | None = None) -> None:
        self.kernel = like.is_cuda if kernel is None else kernel
        if self.kernel:
            require_triton("fused Adam")
        self.plain = Adam(like)
        self.step = 0

    def direction(self, gradient: Tensor) -> Tensor:
        if not self.kernel:
            return self.plain.direction(gradient)
        self.step += 1
        direction = torch.empty_like(gradient, memory_format=torch.contiguous_format)
        grid = (triton.cdiv(gradient.numel(), BLOCK),)
        adam_kernel[grid](
            direction,
            gradient.contiguous(),
            self.plain.first,
            self.plain.second,
            gradient.numel(),
            *bias_corrections(self.step),
            BETA1=BETA1,
            BETA2=BETA2,
            EPSILON=EPSILON,
            BLOCK=BLOCK,
            num_warps=8,
        )
        return direction

    def apply_(self, parameter: Tensor, gradient: Tensor) -> None:
        parameter.add_(self.direction(gradient), alpha=-LEARNING_RATE)

    def tensors(self) -> tuple[Tensor, ...]:
        return self.plain.tensors()


class Adam8bit:
    """Adam whose moments are stored block-wise in 8 bits, and are 32-bit numbers only while a step uses them.

    With `kernel` (the default on a GPU) one Triton program loads a block of codes, expands, updates and requantises it
    in registers and moves the parameter in the same pass. Without, PyTorch does the same through float32 tensors.
    """

    def __init__(self, like: Tensor, *, kernel: bool | None = None) -> None:
        self.kernel = like.is_cuda if kernel is None else kernel
        if self.kernel:
            require_triton("8-bit Adam")
        self.first = BlockwiseTensor.zeros(like.numel(), signed=True, device=like.device)
        self.second = BlockwiseTensor.zeros(like.numel(), signed=False, device=like.device)
        self.step = 0

    def direction(self, gradient: Tensor) -> Tensor:
        self.step += 1
        if self.kernel:
            direction = torch.empty_like(gradient, memory_format=torch.contiguous_format)
            self._launch(direction, gradient, moves_parameter=False)
            return direction
        flat = gradient.reshape(-1).float()
        first = self.first.load().lerp_(flat, 1 - BETA1)
        second = self.second.load().mul_(BETA2).addcmul_(flat, flat, value=1 - BETA2)
        self.first.store(first)
        self.second.store(second)
        first_correction, second_correction = bias_corrections(self.step)
        first.mul_(first_correction)
        return first.div_(second.mul_(second_correction).sqrt_().add_(EPSILON)).view_as(gradient).to(gradient.dtype)

    def apply_(self, parameter: Tensor, gradient: Tensor) -> None:
        if self.kernel and parameter.is_contiguous():
            self.step += 1
            self._launch(parameter, gradient, moves_parameter=True)
        else:
            parameter.add_(self.direction(gradient), alpha=-LEARNING_RATE)

    def _launch(self, out: Tensor, gradient: Tensor, *, moves_parameter: bool) -> None:
        adam_8bit_kernel[(self.first.scales.numel(),)](
            out,
            gradient.contiguous(),
            *self.first.tensors(),
            *self.second.tensors(),
            gradient.numel(),
            *bias_corrections(self.step),
            LEARNING_RATE=LEARNING_RATE,
            BETA1=BETA1,
            BETA2=BETA2,
            EPSILON=EPSILON,
            MOVES_PARAMETER=moves_parameter,
            LEAST=LEAST_UNSIGNED,
            BLOCK=BLOCK,
            num_warps=8,
        )

    def tensors(self) -> tuple[Tensor, ...]:
        return *self.first.tensors(), *self.second.tensors()


def bias_corrections(step: int) -> tuple[float, float]:
    """The factors that undo the moments' start at zero at the `step`-th step, counted from 1."""
    return 1 / (1 - BETA1**step), 1 / (1 - BETA2**step)


class OptimizerSubject:
    """A subject that owns a copy of its parameters; each call takes one gradient for each of them and steps once.

    `make_rule(index, parameter)` makes the rule of one parameter.
    Returns the live parameters, a tensor or a tuple of tensors: what a later call changes, an earlier result shows.
    """

    def __init__(self, parameters: Sequence[Tensor], make_rule: Callable[[int, Tensor], Rule]) -> None:
        self.parameters = tuple(parameter.clone() for parameter in parameters)
        self.rules = [make_rule(index, parameter) for index, parameter in enumerate(self.parameters)]

    def __call__(self, *gradients: Tensor) -> Tensor | tuple[Tensor, ...]:
        for parameter, rule, gradient in zip(self.parameters, self.rules, gradients, strict=True):
            rule.apply_(parameter, gradient)
        return self.parameters if len(self.parameters) > 1 else self.parameters[0]

    def footprint(self) -> dict[str, int]:
        return {"optimizer_state": bytes_of(tensor for rule in self.rules for tensor in rule.tensors())}


class TorchAdamSubject:
    """The same, by torch.optim.Adam; `options` go to it (fused, foreach)."""

    def __init__(self, parameters: Sequence[Tensor], **options: bool) -> None:
        self.parameters = tuple(parameter.clone().requires_grad_() for parameter in parameters)
        self.optimizer = torch.optim.Adam(
            self.parameters, lr=LEARNING_RATE, betas=(BETA1, BETA2), eps=EPSILON, **options
        )

    def __call__(self, *gradients: Tensor) -> Tensor | tuple[Tensor, ...]:
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient.detach()
        self.optimizer.step()
        moved = tuple(parameter.detach() for parameter in self.parameters)
        return moved if len(moved) > 1 else moved[0]

    def footprint(self) -> dict[str, int]:
        states = self.optimizer.state.values()
        return {"optimizer_state": bytes_of(value for state in states for value in state.values())}


def bytes_of(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


@triton.jit
def adam_kernel(  # noqa: PLR0917  launched by position, as Triton kernels are
    direction_ptr: tl.tensor,
    gradient_ptr: tl.tensor,
    first_ptr: tl.tensor,
    second_ptr: tl.tensor,
    size: tl.tensor,
    first_correction: tl.tensor,
    second_correction: tl.tensor,
    BETA1: tl.constexpr,
    BETA2: tl.constexpr,
    EPSILON: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    offsets = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = offsets < size
    gradient = tl.load(gradient_ptr + offsets, mask=inside, other=0.0).to(tl.float32)
    first = tl.load(first_ptr + offsets, mask=inside, other=0.0).to(tl.float32)
    second = tl.load(second_ptr + offsets, mask=inside, other=0.0).to(tl.float32)
    first = BETA1 * first + (1.0 - BETA1) * gradient
    second = BETA2 * second + (1.0 - BETA2) * gradient * gradient
    direction = first * first_correction / (tl.sqrt(second * second_correction) + EPSILON)
    tl.store(first_ptr + offsets, first, mask=inside)
    tl.store(second_ptr + offsets, second, mask=inside)
    tl.store(direction_ptr + offsets, direction, mask=inside)


@triton.jit
def adam_8bit_kernel(  # noqa: PLR0917  launched by position, as Triton kernels are
    out_ptr: tl.tensor,
    gradient_ptr: tl.tensor,
    first_codes_ptr: tl.tensor,
    first_scales_ptr: tl.tensor,
    second_codes_ptr: tl.tensor,
    second_scales_ptr: tl.tensor,
    size: tl.tensor,
    first_correction: tl.tensor,
    second_correction: tl.tensor,
    LEARNING_RATE: tl.constexpr,
    BETA1: tl.constexpr,
    BETA2: tl.constexpr,
    EPSILON: tl.constexpr,
    MOVES_PARAMETER: tl.constexpr,
    LEAST: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """One program a block. `out` is the parameter (moved in place) or, without MOVES_PARAMETER, takes the direction."""
    block = tl.program_id(0)
    offsets = block.to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = offsets < size
    gradient = tl.load(gradient_ptr + offsets, mask=inside, other=0.0).to(tl.float32)
    first = decode(tl.load(first_codes_ptr + offsets, mask=inside, other=127), True)
    second = decode(tl.load(second_codes_ptr + offsets, mask=inside, other=0), False)
    first = BETA1 * (first * tl.load(first_scales_ptr + block)) + (1.0 - BETA1) * gradient
    second = BETA2 * (second * tl.load(second_scales_ptr + block)) + (1.0 - BETA2) * gradient * gradient

    # rsqrt(x) ** 2 is 1 / x in two instructions; a division takes nine.
    inverse_root = tl.rsqrt(tl.sqrt(second * second_correction) + EPSILON)
    direction = first * first_correction * (inverse_root * inverse_root)
    if MOVES_PARAMETER:
        parameter = tl.load(out_ptr + offsets, mask=inside, other=0.0).to(tl.float32)
        tl.store(out_ptr + offsets, parameter - LEARNING_RATE * direction, mask=inside)
    else:
        tl.store(out_ptr + offsets, direction, mask=inside)

    first_scale = tl.max(tl.abs(first), axis=0)
    second_scale = tl.max(second, axis=0)
    tl.store(first_scales_ptr + block, first_scale)
    tl.store(second_scales_ptr + block, second_scale)
    smallest: tl.constexpr = 1.1754943508222875e-38  # of the normal numbers: a block of zeros must not divide by zero
    first_root = tl.rsqrt(tl.maximum(first_scale, smallest))
    second_root = tl.rsqrt(tl.maximum(second_scale, smallest))
    tl.store(first_codes_ptr + offsets, encode(first * (first_root * first_root), True), mask=inside)
    second_unit = tl.maximum(second * (second_root * second_root), LEAST)
    tl.store(second_codes_ptr + offsets, encode(second_unit, False), mask=inside)
