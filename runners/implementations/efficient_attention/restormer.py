"""A Restormer block: attention between channels instead of pixels, and a gated feed-forward, both with 3x3 depthwise filters.

Source: "Restormer: Efficient Transformer for High-Resolution Image Restoration" (2021), sections 3.1 and 3.2.

For an image x (batch, channels, height, width) with N pixels and heads of D = channels / heads channels:
    q, k, v = depthwise3x3(W_qkv norm(x))            norm over the channels of each pixel
    A_h     = softmax(temperature_h * (q_h / |q_h|) (k_h / |k_h|)^T)    D x D, lengths and products taken over the pixels
    y       = x + W_out [A_h v_h]_h
    a, b    = depthwise3x3(W_in norm(y))
    output  = y + W_down (gelu(a) * b)
The attention costs 4 N channels D operations; between pixels it costs 4 N^2 channels: a factor of N / D.

What the technique does beyond the definition: lengths and products of q and k come from one pass over both (the lengths
scale the small D x D matrix afterwards); A is multiplied into W_out, so that attention and output projection are one
product with v, which adds to x as it is written; depthwise filter and gate are one kernel.

Level 1 of the paper's net (48 channels, one head) on 512 x 512 pixels in 16 bits, batch 1: x has 25 MB. Attention moves
about 18 times that (norm 2, projection 4, filter 6, products of q and k 2, result 3), the feed-forward about 28 times
(norm 2, projection 6.3, filter and gate 8, down 4.6): 1.1 GB, 0.23 ms on an H200 at 4.8 TB/s; its arithmetic, 17 GFLOP,
takes less (0.02 ms; x in and out alone 0.01 ms). Attention between these 262,144 pixels is 13 TFLOP: 17 ms at 790
TFLOP/s.
"""

# Kernels are typed by what they are launched with.
# ruff: noqa: ANN001, ANN201, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from runners.blocks.counting import CountedSubject
from runners.blocks.kernels import require_triton, tl, triton
from runners.blocks.ladder import compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand

NORM_EPSILON = 1e-5
LENGTH_EPSILON = 1e-12
EXPANSION = 2.66
# Programs that share the pixels of one head: enough to fill a large GPU, few enough that their sums stay small.
GRAM_PROGRAMS = 256
PIXELS_OF_A_TILE = 128

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """1x1 filters are matrices (outputs, inputs), depthwise ones (channels, 1, 3, 3); norms have gain and bias."""
    channels, hidden = axes["channels"], int(axes["channels"] * EXPANSION)

    def matrix(outputs: int, inputs: int) -> Tensor:
        return rand.gaussian(outputs, inputs, scale=inputs**-0.5)

    return {
        "norm_1": 1 + rand.gaussian(channels, scale=0.1),
        "bias_1": rand.gaussian(channels, scale=0.1),
        "qkv": matrix(3 * channels, channels),
        "qkv_filter": rand.gaussian(3 * channels, 1, 3, 3, scale=1 / 3),
        # Products of unit vectors over many pixels are small: a trained temperature makes them tell channels apart.
        "temperature": 4 + rand.uniform(axes["heads"], 1, 1),
        "out": matrix(channels, channels),
        "norm_2": 1 + rand.gaussian(channels, scale=0.1),
        "bias_2": rand.gaussian(channels, scale=0.1),
        "up": matrix(2 * hidden, channels),
        "up_filter": rand.gaussian(2 * hidden, 1, 3, 3, scale=1 / 3),
        "down": matrix(channels, hidden),
    }


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.normal(axes["batch"], axes["channels"], axes["size"], axes["size"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Products with their two depthwise filters; the image in and out once."""
    pixels, channels = axes["batch"] * axes["size"] ** 2, axes["channels"]
    hidden = int(channels * EXPANSION)
    matrices = 4 * channels**2 + 3 * channels * hidden
    filters = 9 * (3 * channels + 2 * hidden)
    products = 2 * pixels * (matrices + filters + channels**2 // axes["heads"])
    return LeastWork({dtype: products}, BYTES[dtype] * (2 * pixels * channels + matrices + filters))


def channel_norm(x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    """Layer norm over the channels of each pixel."""
    by_pixel = functional.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2], gain, bias, NORM_EPSILON)
    return by_pixel.permute(0, 3, 1, 2)


def pointwise(x: Tensor, matrix: Tensor) -> Tensor:
    return functional.conv2d(x, matrix[:, :, None, None])


def depthwise(x: Tensor, filters: Tensor) -> Tensor:
    return functional.conv2d(x, filters, padding=1, groups=x.shape[1])


def block(x: Tensor, weights: dict[str, Tensor], attend: Attend) -> Tensor:
    """The block as defined, with `attend` from q, k, v (batch, channels, height, width) to the attended v."""
    q, k, v = depthwise(
        pointwise(channel_norm(x, weights["norm_1"], weights["bias_1"]), weights["qkv"]), weights["qkv_filter"]
    ).chunk(3, dim=1)
    y = x + pointwise(attend(q, k, v), weights["out"])
    wide = pointwise(channel_norm(y, weights["norm_2"], weights["bias_2"]), weights["up"])
    first, second = depthwise(wide, weights["up_filter"]).chunk(2, dim=1)
    return y + pointwise(functional.gelu(first) * second, weights["down"])


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> CountedSubject:
    """Attention between channels, written as the paper defines it."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (each.flatten(2).unflatten(1, (axes["heads"], -1)) for each in (q, k, v))
        q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
        shares = (q @ k.transpose(-1, -2) * weights["temperature"]).softmax(dim=-1)
        return (shares @ v).reshape(len(v), -1, axes["size"], axes["size"])

    return CountedSubject(lambda x: block(x, weights, attend), weights)


def make_spatial(axes: dict[str, int], weights: dict[str, Tensor]) -> CountedSubject:
    """The same block with attention between pixels, the heads' channels as their width: what the paper replaces."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        heads = (each.flatten(2).unflatten(1, (axes["heads"], -1)).transpose(-1, -2) for each in (q, k, v))
        q, k, v = (each.contiguous() for each in heads)
        attended = functional.scaled_dot_product_attention(q, k, v)
        return attended.transpose(-1, -2).reshape(len(v), -1, axes["size"], axes["size"])

    return CountedSubject(lambda x: block(x, weights, attend), weights)


def project(matrix: Tensor, x: Tensor) -> Tensor:
    """A 1x1 filter of a contiguous image as one product; a contiguous image again."""
    return torch.bmm(matrix.expand(len(x), -1, -1), x.flatten(2)).unflatten(2, x.shape[2:])


class ChannelAttentionBlock:
    """The block in few passes; `kernels` are Triton's, without them the same steps are taken in PyTorch."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor], *, kernels: bool) -> None:
        if kernels:
            require_triton("Restormer")
        self.heads, self.weights, self.kernels = axes["heads"], weights, kernels
        self.wide = torch.promote_types(weights["out"].dtype, torch.float32)
        # (heads, channels, D): the columns of W_out that belong to each head.
        self.out_by_head = weights["out"].to(self.wide).unflatten(1, (self.heads, -1)).transpose(0, 1)

    def __call__(self, x: Tensor) -> Tensor:
        weights, shape = self.weights, x.shape
        x = x.contiguous()
        projected = project(weights["qkv"], self.norm(x, weights["norm_1"], weights["bias_1"]))
        qkv = self.filter(projected, weights["qkv_filter"]).flatten(2)
        q, k, v = qkv.chunk(3, dim=1)
        y = torch.baddbmm(x.flatten(2), self.mixing(q, k), v).view(shape)
        wide = project(weights["up"], self.norm(y, weights["norm_2"], weights["bias_2"]))
        gated = self.filter(wide, weights["up_filter"], gate=True)
        return torch.baddbmm(y.flatten(2), weights["down"].expand(len(x), -1, -1), gated.flatten(2)).view(shape)

    def mixing(self, q: Tensor, k: Tensor) -> Tensor:
        """(batch, channels, channels): attention between channels and the output projection in one matrix."""
        products, q_squares, k_squares = self.gram(q, k)
        lengths = (each.sqrt().clamp_min(LENGTH_EPSILON) for each in (q_squares, k_squares))
        q_length, k_length = lengths
        cosines = products / (q_length[..., :, None] * k_length[..., None, :])
        shares = (cosines * self.weights["temperature"].to(self.wide)).softmax(dim=-1)
        mixed = self.out_by_head @ shares
        return mixed.transpose(1, 2).flatten(2).to(q.dtype)

    def gram(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Products (batch, heads, D, D) of q's channels with k's, and each channel's sum of squares, in float32."""
        q, k = (each.unflatten(1, (self.heads, -1)) for each in (q, k))
        if self.kernels:
            return gram_kernel(q, k)
        q, k = q.to(self.wide), k.to(self.wide)
        return q @ k.transpose(-1, -2), q.square().sum(-1), k.square().sum(-1)

    def norm(self, x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
        return channel_norm_kernel(x, gain, bias) if self.kernels else channel_norm(x, gain, bias).contiguous()

    def filter(self, x: Tensor, filters: Tensor, *, gate: bool = False) -> Tensor:
        if self.kernels:
            return depthwise_kernel(x, filters, gate=gate)
        filtered = depthwise(x, filters)
        if not gate:
            return filtered
        first, second = filtered.chunk(2, dim=1)
        return functional.gelu(first) * second


def channel_norm_kernel(x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    """`channel_norm` of a contiguous x in one pass."""
    batch, channels, pixels = x.shape[0], x.shape[1], x.shape[2:].numel()
    out = torch.empty_like(x)
    block_channels = triton.next_power_of_2(channels)
    block_pixels = max(16, min(PIXELS_OF_A_TILE, 16384 // block_channels))
    norm_program[(triton.cdiv(pixels, block_pixels), batch)](
        x, gain, bias, out, channels, pixels, NORM_EPSILON, BLOCK_C=block_channels, BLOCK_P=block_pixels, num_warps=8
    )
    return out


@triton.jit
def norm_program(X, Gain, Bias, Out, channels, pixels, epsilon, BLOCK_C: tl.constexpr, BLOCK_P: tl.constexpr):
    """One program takes all channels of BLOCK_P pixels."""
    columns = tl.program_id(0) * BLOCK_P + tl.arange(0, BLOCK_P)
    rows = tl.arange(0, BLOCK_C)
    offsets = tl.program_id(1).to(tl.int64) * channels * pixels + rows[:, None].to(tl.int64) * pixels + columns[None, :]
    inside = (rows < channels)[:, None] & (columns < pixels)[None, :]
    x = tl.load(X + offsets, mask=inside, other=0.0).to(tl.float32)
    centred = tl.where(inside, x - (tl.sum(x, 0) / channels)[None, :], 0.0)
    scale = tl.rsqrt(tl.sum(centred * centred, 0) / channels + epsilon)
    gain = tl.load(Gain + rows, mask=rows < channels, other=0.0).to(tl.float32)
    bias = tl.load(Bias + rows, mask=rows < channels, other=0.0).to(tl.float32)
    normed = centred * scale[None, :] * gain[:, None] + bias[:, None]
    tl.store(Out + offsets, normed.to(Out.dtype.element_ty), mask=inside)


def depthwise_kernel(x: Tensor, filters: Tensor, *, gate: bool) -> Tensor:
    """3x3 depthwise filter of a contiguous x; with `gate`, gelu of the first half of the channels times the second."""
    batch, channels, height, width = x.shape
    channels_out = channels // 2 if gate else channels
    out = x.new_empty(batch, channels_out, height, width)
    tile = 1024
    depthwise_program[(triton.cdiv(height * width, tile), channels_out, batch)](
        x, filters, out, channels_out, height, width, GATE=gate, BLOCK=tile, num_warps=4
    )
    return out


@triton.jit
def filtered_tile(X, Filters, rows, columns, height, width, BLOCK: tl.constexpr):
    """3x3 filter at the given pixels of one channel, whose image X points to; zeros beyond the border."""
    total = tl.zeros([BLOCK], dtype=tl.float32)
    for tap in tl.static_range(9):
        row, column = rows + (tap // 3 - 1), columns + (tap % 3 - 1)
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        value = tl.load(X + row * width + column, mask=inside, other=0.0).to(tl.float32)
        total += value * tl.load(Filters + tap).to(tl.float32)
    return total


@triton.jit
def depthwise_program(X, Filters, Out, channels_out, height, width, GATE: tl.constexpr, BLOCK: tl.constexpr):
    """One program takes BLOCK pixels of one channel of the output; their neighbours come from the cache."""
    channel, entry = tl.program_id(1), tl.program_id(2).to(tl.int64)
    pixels = height * width
    places = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    rows, columns = places // width, places % width
    of_entry = channels_out * 2 if GATE else channels_out
    image = X + (entry * of_entry + channel) * pixels
    value = filtered_tile(image, Filters + channel * 9, rows, columns, height, width, BLOCK)
    if GATE:
        second = image + channels_out.to(tl.int64) * pixels
        other = filtered_tile(second, Filters + (channel + channels_out) * 9, rows, columns, height, width, BLOCK)
        value = 0.5 * value * (1.0 + tl.erf(value * 0.7071067811865476)) * other
    out = Out + (entry * channels_out + channel) * pixels + places
    tl.store(out, value.to(Out.dtype.element_ty), mask=places < pixels)


def gram_kernel(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sums over pixels of q and k (batch, heads, D, pixels): q k^T, q^2, k^2 in float32, in one pass over both.

    The pixels are shared among programs, whose sums are added at the end: always in the same order.
    """
    batch, heads, width, pixels = q.shape
    tiles = triton.cdiv(pixels, PIXELS_OF_A_TILE)
    tiles_each = triton.cdiv(tiles, max(1, GRAM_PROGRAMS // (batch * heads)))
    shares = triton.cdiv(tiles, tiles_each)
    sums = q.new_empty(batch, heads, shares, width + 2, width, dtype=torch.float32)
    block = max(16, triton.next_power_of_2(width))
    gram_program[(shares, heads, batch)](
        q, k, sums, q.stride(0), width, pixels, tiles_each, BLOCK_D=block, BLOCK_P=PIXELS_OF_A_TILE, num_warps=4
    )
    total = sums.sum(2)
    return total[:, :, :width], total[:, :, width], total[:, :, width + 1]


@triton.jit
def gram_program(Q, K, Sums, stride, width, pixels, tiles_each, BLOCK_D: tl.constexpr, BLOCK_P: tl.constexpr):
    """One share of the pixels of one head. Sums: (batch, heads, shares, width + 2, width), squares in the last rows."""
    share, head, entry = tl.program_id(0), tl.program_id(1).to(tl.int64), tl.program_id(2).to(tl.int64)
    channels = tl.arange(0, BLOCK_D)
    lines = entry * stride + (head * width + channels)[:, None] * pixels
    present = channels < width
    products = tl.zeros([BLOCK_D, BLOCK_D], dtype=tl.float32)
    q_squares = tl.zeros([BLOCK_D], dtype=tl.float32)
    k_squares = tl.zeros([BLOCK_D], dtype=tl.float32)
    for tile in range(share * tiles_each, (share + 1) * tiles_each):
        places = tile * BLOCK_P + tl.arange(0, BLOCK_P)
        inside = present[:, None] & (places < pixels)[None, :]
        q = tl.load(Q + lines + places[None, :], mask=inside, other=0.0)
        k = tl.load(K + lines + places[None, :], mask=inside, other=0.0)
        products = tl.dot(q, tl.trans(k), products, input_precision="ieee")
        q_squares += tl.sum(q.to(tl.float32) * q.to(tl.float32), 1)
        k_squares += tl.sum(k.to(tl.float32) * k.to(tl.float32), 1)
    heads, shares = tl.num_programs(1), tl.num_programs(0)
    place = ((entry * heads + head) * shares + share) * (width + 2) * width
    both = present[:, None] & present[None, :]
    tl.store(Sums + place + channels[:, None] * width + channels[None, :], products, mask=both)
    tl.store(Sums + place + width * width + channels, q_squares, mask=present)
    tl.store(Sums + place + width * width + width + channels, k_squares, mask=present)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> CountedSubject:
    run = ChannelAttentionBlock(axes, weights, kernels=weights["out"].is_cuda)
    plain = ChannelAttentionBlock(axes, weights, kernels=False)
    return CountedSubject(run, weights, counted_by=plain)


SUBJECTS: dict[str, Any] = {
    "technique": make_technique,
    "eager": make_eager,
    "compiled": compiled(make_eager),
    "spatial": make_spatial,
}
