"""A linear layer in 8-bit integers beside the same layer in 8-bit floating point, on activations with tails of any weight.

Source: "FP8 versus INT8 for efficient deep learning inference" (2023).

Both sides scale each token and each output row by its largest magnitude and multiply 8-bit codes:
    int8    127 even steps to each side: the rounding error is the same for small and large values
    e4m3    4 bits of exponent, 3 of mantissa: the error is a share of the value, 2 to 3 % of it
so that which one errs less depends on how far the largest value of a row lies from most of them. For normal values even steps win
(the largest of 4,096 is 4 deviations: a step is 3 % of one); the heavier the tail, the more of the 127 steps lie where nothing is, and
floating point wins: with 4,096 features at a `tail` of about 75 (computed here in float32, not a measurement of a device). The paper finds that layers of trained networks mostly lie on the side of integers, and that floating point
costs more in silicon; the second cannot be measured here.

`tail` in percent sets how heavy the activations' tails are: normal values times exp(tail / 100 * normal). x is
(tokens, features), the weight (outputs, features), the result (tokens, outputs). For every call the layer also tells what each
format would have erred on just this input, in millionths of the exact result (`footprint`).

In time nothing separates the two on a GPU that has both: an H200 does 1,979 Tera-operations a second in either, twice what it does in 16 bits. For
8,192 tokens through 4096 to 14336 features both need 0.49 ms at that peak where 16 bits need 0.97; int8 writes and reads an int32 product besides,
0.9 GB or 0.2 ms at 4.8 TB/s, which floating point does not: its library kernel scales within the product.
"""

from __future__ import annotations

from collections.abc import Mapping

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
from runners.blocks.ladder import compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.packed import Linear16
from runners.blocks.packed8 import quantize_tokens
from runners.blocks.rand import Rand

E4M3_LARGEST = 448.0
# Bits of exponent of the formats with a sign that the paper compares; the rest of the 7 bits is mantissa.
EXPONENT_BITS: Mapping[str, int] = {"e2m5": 2, "e3m4": 3, "e4m3": 4, "e5m2": 5}
# Tokens that are looked at for the errors of formats: all of a small layer, some of a large one.
JUDGED_TOKENS = 64
MILLION = 1e6


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """weight: (outputs, features)."""
    return {"weight": rand.gaussian(axes["outputs"], axes["features"], scale=axes["features"] ** -0.5)}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor]:
    """Activations (tokens, features), heavier in the tails the larger `tail` is."""
    values = rand.normal(axes["tokens"], axes["features"])
    spread = rand.gaussian(axes["tokens"], axes["features"], scale=axes["tail"] / 100)
    return (values * spread.exp(),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """One integer product; codes of a byte and a scale for each output."""
    tokens, features, outputs = axes["tokens"], axes["features"], axes["outputs"]
    products = 2 * tokens * features * outputs
    held = features * outputs + 4 * outputs
    return LeastWork({"int8": products}, held + BYTES[dtype] * tokens * (features + outputs))


def row_scales(values: Tensor, largest: float) -> Tensor:
    """float32 (rows, 1): what a row is divided by, so that its largest magnitude becomes `largest`."""
    tiny = torch.finfo(torch.float32).tiny
    return values.float().abs().amax(dim=1, keepdim=True).clamp_min(tiny) / largest


def rounded(values: Tensor, exponent_bits: int) -> Tensor:
    """Each row rounded, in float32, to an 8-bit format of so many bits of exponent, scaled to reach its largest number.

    Subnormals are kept, and no code is given away to infinities: 2 ** exponent_bits binades, the last one whole.
    """
    mantissa = 7 - exponent_bits
    largest = 2.0 - 2.0**-mantissa
    scales = row_scales(values, largest)
    units = values.float() / scales
    lowest = 2 - 2**exponent_bits  # of normal numbers, counted from the binade of the largest
    exponent = torch.frexp(units).exponent.sub(1).clamp(min=lowest)
    step = torch.ldexp(torch.ones_like(units), exponent - mantissa)
    return (units / step).round() * step * scales


def errors_of_formats(values: Tensor, weight: Tensor) -> dict[str, int]:
    """Relative L2 error of the layer in each format, in millionths, on the first tokens."""
    some, exact_weight = values[:JUDGED_TOKENS].float(), weight.float()
    wanted = some @ exact_weight.t()
    codes, scales = quantize_rows(some)
    weight_codes, weight_scales = quantize_rows(exact_weight)
    found = {"int8": (codes.float() * scales[:, None]) @ (weight_codes.float() * weight_scales[:, None]).t()}
    for name, bits in EXPONENT_BITS.items():
        found[name] = rounded(some, bits) @ rounded(exact_weight, bits).t()
    return {
        f"error_{name}_ppm": round(float((result - wanted).norm() / wanted.norm()) * MILLION)
        for name, result in found.items()
    }


class Int8Linear:
    """activations (tokens, features) -> (tokens, outputs), in the dtype of the activations."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight
        self.outputs, self.features = weight.shape
        codes, self.scales = quantize_rows(weight)
        self.codes = padded(codes, codes_shape(self.outputs, self.features, weight.is_cuda))
        self._last: Tensor | None = None
        # The kernel takes features apart that are multiplied in 16 bits; here none is.
        self._none = torch.zeros(self.features, dtype=torch.bool, device=weight.device)

    def __call__(self, activations: Tensor) -> Tensor:
        self._last = activations[:JUDGED_TOKENS]
        if activations.is_cuda:
            codes, scales = quantize_rows_kernel(activations, self._none, self.codes.shape[1])
            apart = activations.new_empty((activations.shape[0], 0)), activations.new_empty((self.outputs, 0))
            return combine_kernel(int8_matmul(codes, self.codes), scales, self.scales, *apart)
        codes, scales = quantize_rows(activations)
        product = int8_matmul(padded(codes, (codes.shape[0], self.codes.shape[1])), self.codes)
        return (product[:, : self.outputs] * (scales[:, None] * self.scales)).to(activations.dtype)

    def footprint(self) -> dict[str, int]:
        told = {} if self._last is None else errors_of_formats(self._last, self._weight)
        return {"weights": self.codes.nbytes + self.scales.nbytes, **told}


class Fp8Linear:
    """The same in e4m3, by the library's product with a scale for each row and column where a GPU has it."""

    def __init__(self, weight: Tensor, *, kernels: bool) -> None:
        """kernels: tokens are rounded by one kernel, as those of the integers are; else by operators, for the compiler."""
        self.scales = row_scales(weight, E4M3_LARGEST)
        self.codes = (weight.float() / self.scales).to(torch.float8_e4m3fn)
        self._ones = weight.new_ones(weight.shape[1], dtype=torch.float32) if kernels else None

    def rounded(self, activations: Tensor) -> tuple[Tensor, Tensor]:
        """e4m3 codes of (tokens, features), and float32 scales (tokens, 1)."""
        if self._ones is not None:
            codes, scales = quantize_tokens(activations, torch.float8_e4m3fn, self._ones)
            return codes, scales[:, None]
        scales = row_scales(activations, E4M3_LARGEST)
        return (activations.float() / scales).to(torch.float8_e4m3fn), scales

    def __call__(self, activations: Tensor) -> Tensor:
        codes, scales = self.rounded(activations)
        if activations.is_cuda and activations.dtype == torch.bfloat16:
            return torch._scaled_mm(
                codes, self.codes.t(), scale_a=scales, scale_b=self.scales.t(), out_dtype=torch.bfloat16
            )
        product = codes.float() @ self.codes.float().t()
        return (product * (scales * self.scales.t())).to(activations.dtype)

    def footprint(self) -> dict[str, int]:
        return {"weights": self.codes.nbytes + self.scales.nbytes}


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Int8Linear:
    return Int8Linear(weights["weight"])


def make_fp8(axes: dict[str, int], weights: dict[str, Tensor]) -> Fp8Linear:
    return Fp8Linear(weights["weight"], kernels=weights["weight"].is_cuda)


def make_plain_fp8(axes: dict[str, int], weights: dict[str, Tensor]) -> Fp8Linear:
    return Fp8Linear(weights["weight"], kernels=False)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Linear16:
    return Linear16(weights["weight"])


SUBJECTS = {
    "technique": make_technique,
    "paper": make_fp8,
    "compiled_fp8": compiled(make_plain_fp8),
    "eager": make_eager,
    "compiled": compiled(make_eager),
}
