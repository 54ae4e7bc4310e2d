"""A linear layer in 8-bit integers, with the few outlier features of its input multiplied in 16 bits.

Source: "LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale" (2022), section 3.

    weight, once     each output row is scaled by its largest magnitude and rounded to -127 .. 127
    input, each call a feature (column) with any magnitude of THRESHOLD or more is an outlier and leaves the 8-bit part;
                     each remaining row is scaled by its own largest magnitude and rounded
    product          int8 x int8 -> int32, times row scale times column scale, plus outliers (16-bit) times their weights,
                     which are expanded from the 8-bit ones

Weights: one byte per value and one float32 per output row, against two bytes: half, as soon as rows are long.

Why it should win, in bytes: with few tokens a layer is bound by reading its weights, which are half as many bytes. In operations:
with many tokens it is bound by the multiplication, and 8-bit integer units do twice the work of 16-bit ones. For
8192 tokens through a Llama-3-8B MLP matrix (4096 to 14336) on an H200: 0.96 TFLOP take 1.22 ms in bf16 at 790 TFLOP/s and about
0.61 ms in int8 at twice that; the int32 product, written and read once, and the output add 1.2 GB or 0.25 ms at 4.8 TB/s, finding
outliers and quantising rows 0.2 GB or 0.04 ms. Expect 0.9 ms. Two kernels keep it at that: one quantises rows with the outliers
left out, one takes the int32 product to the scaled sum, outliers included, without further passes over the output.
With few tokens the choice of the outliers costs more than the bytes save: its result must come to the host, as in the
paper's software, since it decides a shape (about 20 us, where reading 8-bit weights takes 12 us).
"""

from __future__ import annotations

import torch
from torch import Tensor

from runners.blocks.int8 import (
    codes_shape,
    combine_kernel,
    int8_matmul,
    padded,
    quantize_rows,
    quantize_rows_kernel,
)
from runners.blocks.kernels import require_triton
from runners.blocks.ladder import compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.packed import Linear16
from runners.blocks.rand import Rand

THRESHOLD = 6.0
OUTLIER_SCALE = 20.0


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """weight: (outputs, features)."""
    return {"weight": rand.gaussian(axes["outputs"], axes["features"], scale=axes["features"] ** -0.5)}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor]:
    """Activations (tokens, features) in which `outliers` features are large in every token.

    As the paper found in language models, it is always the same features; here they are spread evenly.
    """
    activations = rand.normal(axes["tokens"], axes["features"])
    large = torch.arange(axes["outliers"], device=rand.device) * axes["features"] // axes["outliers"]
    activations[:, large] *= OUTLIER_SCALE
    return (activations,)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Outlier features as they come, the others in integers; codes of a byte and a scale for each output."""
    tokens, features, outputs, outliers = axes["tokens"], axes["features"], axes["outputs"], axes["outliers"]
    products = {"int8": 2 * tokens * (features - outliers) * outputs, dtype: 2 * tokens * outliers * outputs}
    held = features * outputs + 4 * outputs
    return LeastWork(products, held + BYTES[dtype] * tokens * (features + outputs))


class Int8Linear:
    """activations (tokens, features) -> (tokens, outputs), in the dtype of the activations."""

    def __init__(self, weight: Tensor, *, kernels: bool | None = None) -> None:
        self.outputs, self.features = weight.shape
        self.kernels = weight.is_cuda if kernels is None else kernels
        if self.kernels:
            require_triton("LLM.int8()")
        codes, self.scales = quantize_rows(weight)
        self.codes = padded(codes, codes_shape(self.outputs, self.features, weight.is_cuda))

    def __call__(self, activations: Tensor) -> Tensor:
        magnitudes = torch.linalg.vector_norm(activations, float("inf"), dim=0)
        is_outlier = magnitudes >= THRESHOLD
        outliers = is_outlier.nonzero().squeeze(1)
        large = activations[:, outliers]
        large_weight = (self.codes[: self.outputs, outliers] * self.scales[:, None]).to(activations.dtype)
        if self.kernels:
            codes, scales = quantize_rows_kernel(activations, is_outlier, self.codes.shape[1])
            product = int8_matmul(codes, self.codes)
            return combine_kernel(product, scales, self.scales, large, large_weight)
        codes, scales = quantize_rows(activations.index_fill(1, outliers, 0.0))
        product = int8_matmul(padded(codes, (codes.shape[0], self.codes.shape[1])), self.codes)
        regular = product[:, : self.outputs] * (scales[:, None] * self.scales)
        return torch.addmm(regular, large.float(), large_weight.t().float()).to(activations.dtype)

    def footprint(self) -> dict[str, int]:
        return {"weights": self.codes.nbytes + self.scales.nbytes}


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Int8Linear:
    return Int8Linear(weights["weight"])


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Linear16:
    return Linear16(weights["weight"])


SUBJECTS = {"technique": make_technique, "eager": make_eager, "compiled": compiled(make_eager)}
