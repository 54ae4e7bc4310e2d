"""A residual block of a convolutional network in one kernel: what its layers hand to each other stays on the chip.

Source: "On the Efficiency of Convolutional Neural Networks" (2024): block fusion and its ConvFirst block. Shapes: x and the output
(batch, height, width, channels), channels last; channels a power of two and a multiple of 16.

    z = grouped 3 x 3 convolution of x, groups of 8 channels, with bias
    y = x + W2 relu(W1 z + b1) + b2        W1 (expanded, channels), W2 (channels, expanded)

A program owns a tile of pixels and all channels. Two groups are one product of 16 by 16 for each of nine taps on tensor
cores (half of that matrix is zero); z goes, rounded, into the first pointwise layer, whose output exists for a few
channels at a time before the second one takes it. x is read (its neighbours come from the cache), y is written; weights
are the same for all programs and stay in the cache.

128 images of 56 by 56, 128 channels, expanded to 512, bfloat16: x and y are 103 MB each, 0.04 ms on an H200 at 4.8 TB/s; the
products are 0.105 TFLOP pointwise and 0.015 for the padded convolution (half of it is needed), 0.15 ms at 790
TFLOP/s. Layer by layer, z is
written and read and the expanded activation of 411 MB is written by the first, read and written by the activation and
read by the second pointwise layer: 2.1 GB, 0.43 ms.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d, gelu, layer_norm, linear, relu

from runners.blocks.attention import TunedKernel
from runners.blocks.kernels import interpreted, require_triton, tl, triton
from runners.blocks.ladder import Subject, compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand

GROUP, SLICE, TAPS, PAPER_KERNEL = 8, 16, 9, 7


@triton.jit
def _block_kernel(
    X, Taps, Bias, W1, B1, W2, B2, Y, pixels, height, width, EXPANDED,
    CHANNELS: tl.constexpr, SLICES: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """BLOCK_M pixels, BLOCK_N expanded channels at a time. Taps (9, SLICES, 16, 16), W1 (EXPANDED, CHANNELS), W2 its turn."""
    own = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    channels = tl.arange(0, CHANNELS)
    slices, within = tl.arange(0, SLICES), tl.arange(0, 16)
    row, column = own // width % height, own % width
    sliced = slices[:, None, None] * 16 + within[None, None, :]
    taps = slices[:, None, None] * 256 + within[None, :, None] * 16 + within[None, None, :]
    z = tl.zeros([SLICES, BLOCK_M, 16], dtype=tl.float32)
    for tap in range(9):
        down, right = tap // 3 - 1, tap % 3 - 1
        seen = (own < pixels) & (row + down >= 0) & (row + down < height)
        seen = seen & (column + right >= 0) & (column + right < width)
        places = (own + down * width + right)[None, :, None] * CHANNELS + sliced
        x = tl.load(X + places, mask=seen[None, :, None], other=0.0)
        z = tl.dot(x, tl.load(Taps + tap * SLICES * 256 + taps), z, input_precision="ieee")
    z = tl.reshape(tl.permute(z, (1, 0, 2)), (BLOCK_M, CHANNELS))
    z = (z + tl.load(Bias + channels).to(tl.float32)[None, :]).to(X.dtype.element_ty)
    total = tl.zeros([BLOCK_M, CHANNELS], dtype=tl.float32)
    for start in range(0, EXPANDED, BLOCK_N):
        expanded = start + tl.arange(0, BLOCK_N)
        exists = expanded < EXPANDED
        w1 = tl.load(W1 + expanded[None, :] * CHANNELS + channels[:, None], mask=exists[None, :], other=0.0)
        hidden = tl.dot(z, w1, input_precision="ieee")
        hidden += tl.load(B1 + expanded, mask=exists, other=0.0).to(tl.float32)[None, :]
        hidden = tl.maximum(hidden, 0.0).to(X.dtype.element_ty)
        w2 = tl.load(W2 + expanded[:, None] * CHANNELS + channels[None, :], mask=exists[:, None], other=0.0)
        total = tl.dot(hidden, w2, total, input_precision="ieee")
    places = own[:, None] * CHANNELS + channels[None, :]
    inside = (own < pixels)[:, None]
    total += tl.load(B2 + channels).to(tl.float32)[None, :]
    total += tl.load(X + places, mask=inside, other=0.0).to(tl.float32)
    tl.store(Y + places, total.to(Y.dtype.element_ty), mask=inside)


_block = TunedKernel(
    _block_kernel,
    [(64, 64, 4, 2), (64, 64, 8, 2), (128, 64, 8, 2), (128, 32, 8, 2), (64, 32, 4, 3), (32, 64, 4, 2)],
    key=("pixels", "EXPANDED", "CHANNELS"),
    interpreter={"BLOCK_M": 32, "BLOCK_N": 16},
)


class FusedBlock:
    """subject(x) -> y, one launch."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self._channels, self._expanded = weights["w2"].shape
        if self._channels % SLICE or self._channels & (self._channels - 1):
            raise ValueError(f"channels is {self._channels}; the kernel takes powers of two from {SLICE} on")
        self._taps = sliced_taps(weights["taps"])
        self._w2 = weights["w2"].t().contiguous()
        self._rest = {name: weights[name] for name in ("bias", "w1", "b1", "b2")}

    def __call__(self, x: Tensor) -> Tensor:
        if interpreted() and x.dtype == torch.bfloat16:
            raise ValueError(
                "Triton's interpreter multiplies bfloat16 tiles wrongly; check in float32 or float16 there"
            )
        x = x.contiguous()
        y = torch.empty_like(x)
        pixels = x.shape[0] * x.shape[1] * x.shape[2]
        bias, w1, b1, b2 = self._rest.values()
        _block(
            lambda meta: (triton.cdiv(pixels, meta["BLOCK_M"]),),
            x, self._taps, bias, w1, b1, self._w2, b2, y, pixels, x.shape[1], x.shape[2], self._expanded,
            CHANNELS=self._channels, SLICES=self._channels // SLICE)  # fmt: skip
        return y


def sliced_taps(taps: Tensor) -> Tensor:
    """(channels, 8, 3, 3) as (9, channels / 16, 16, 16): inputs by outputs of two groups at a time, zero between them."""
    channels = taps.shape[0]
    pairs = taps.flatten(2).view(channels // SLICE, 2, GROUP, GROUP, TAPS)  # slice, group, output, input, tap
    found = taps.new_zeros(TAPS, channels // SLICE, 2, GROUP, 2, GROUP)  # tap, slice, group, input, group, output
    for group in range(2):
        found[:, :, group, :, group] = pairs[:, group].permute(3, 0, 2, 1)
    return found.view(TAPS, channels // SLICE, SLICE, SLICE)


def convolve(x: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
    """A grouped convolution of the same size on channels-last x."""
    groups, side = taps.shape[0] // taps.shape[1], taps.shape[-1]
    return conv2d(x.permute(0, 3, 1, 2), taps, bias, padding=side // 2, groups=groups).permute(0, 2, 3, 1)


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """The block's weights, and the depthwise taps of the block that the paper compares with."""
    channels, expanded = axes["channels"], axes["expanded"]
    return {
        "taps": rand.gaussian(channels, GROUP, 3, 3, scale=(GROUP * TAPS) ** -0.5),
        "bias": rand.gaussian(channels, scale=0.1),
        "w1": rand.gaussian(expanded, channels, scale=channels**-0.5),
        "b1": rand.gaussian(expanded, scale=0.1),
        "w2": rand.gaussian(channels, expanded, scale=expanded**-0.5),
        "b2": rand.gaussian(channels, scale=0.1),
        "paper_taps": rand.gaussian(channels, 1, PAPER_KERNEL, PAPER_KERNEL, scale=1 / PAPER_KERNEL),
    }


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.normal(axes["batch"], axes["height"], axes["width"], axes["channels"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Without the half of the grouped convolution's matrices that is zero."""
    pixels = axes["batch"] * axes["height"] * axes["width"]
    channels, expanded = axes["channels"], axes["expanded"]
    parameters = channels * (GROUP * TAPS + 2 * expanded)
    return LeastWork({dtype: 2 * pixels * parameters}, BYTES[dtype] * (2 * pixels * channels + parameters))


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    require_triton("block fusion")
    return FusedBlock(weights)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The same block layer by layer: cuDNN's grouped convolution, channels last, and cuBLAS."""
    taps = weights["taps"].contiguous(memory_format=torch.channels_last)

    def block(x: Tensor) -> Tensor:
        hidden = relu(linear(convolve(x, taps, weights["bias"]), weights["w1"], weights["b1"]))
        return x + linear(hidden, weights["w2"], weights["b2"])

    return block


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """A ConvNeXt block of the same width layer by layer: depthwise 7 x 7, LayerNorm, GELU. Another function."""
    taps = weights["paper_taps"].contiguous(memory_format=torch.channels_last)

    def block(x: Tensor) -> Tensor:
        z = convolve(x, taps, weights["bias"])
        hidden = gelu(linear(layer_norm(z, z.shape[-1:]), weights["w1"], weights["b1"]))
        return x + linear(hidden, weights["w2"], weights["b2"])

    return block


SUBJECTS = {
    "technique": make_technique,
    "eager": make_eager,
    "compiled": compiled(make_eager),
    "paper": make_paper,
}
