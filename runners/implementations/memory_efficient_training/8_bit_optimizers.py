# ruff: noqa: N999  the file is named as the card is, and the paper's name begins with a digit
"""Adam that keeps both moments in 8 bits: block-wise scales, a dynamic code book, one fused step.

Source: "8-bit Optimizers via Block-wise Quantization" (2021). The code book and the codec stand in runners/blocks/quantization.py,
the rule and its kernel (`Adam8bit`) in runners/blocks/optimizers.py, since GaLore uses them as well.

State: two bytes per value and two float32 scales per block of 2048, against two float32 moments: 2.004 bytes instead of 8.

Why it should win: an optimizer step does little arithmetic and is bound by memory. With float32 parameters a step of fused 32-bit Adam
moves 28 bytes per value (gradient read; parameter and two moments read and written), this one 16.008. On an H200 (4.8 TB/s) the
58.7 million values of a Llama-3-8B MLP matrix cost at least 0.34 ms and 0.20 ms. The codec must not eat that up: a search for the
nearest of 256 entries would cost eight dependent look-ups per moment, so the kernel computes codes arithmetically, about 120
instructions per value for the whole step (counted in the machine code for sm_90), which at the H200's issue rate take
0.25 ms. The step should therefore be bound by instructions, about 1.3 times faster than the fused library step, several times
faster than the step written operation by operation, and never slower for reasons of memory.

On a CPU the same subject runs the same computation in PyTorch through float32 tensors, which moves more bytes than 32-bit Adam does:
its time there is real but says nothing about the kernel, and it is expected to be slower.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from runners.blocks.ladder import compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.optimizers import Adam, Adam8bit, OptimizerSubject, TorchAdamSubject
from runners.blocks.rand import Rand


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """One parameter (rows, cols) at zero, so that the result of the steps is the update itself."""
    return {"parameter": torch.zeros(axes["rows"], axes["cols"], dtype=rand.dtype, device=rand.device)}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor]:
    """The gradient of one step, (rows, cols)."""
    return (rand.normal(axes["rows"], axes["cols"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Some 12 operations of Adam; gradient, parameter in and out, two codes in and out, and their blocks' scales."""
    values = axes["rows"] * axes["cols"]
    return LeastWork({"float32": 12 * values}, values * (3 * BYTES[dtype] + 4 + 16 / 2048))


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> OptimizerSubject:
    return OptimizerSubject([weights["parameter"]], lambda _, like: Adam8bit(like))


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> OptimizerSubject:
    return OptimizerSubject([weights["parameter"]], lambda _, like: Adam(like))


def make_torch_adam(axes: dict[str, int], weights: dict[str, Tensor], *, fused: bool) -> TorchAdamSubject:
    return TorchAdamSubject([weights["parameter"]], fused=fused, foreach=False)


SUBJECTS = {
    "technique": make_technique,
    "paper": partial(make_torch_adam, fused=False),
    "eager": make_eager,
    "library": partial(make_torch_adam, fused=True),
    "compiled": compiled(make_eager),
}
