"""Attention over an image along two axes of sparsity: inside windows, then across a dilated grid over the whole image.

Source: "MaxViT: Multi-Axis Vision Transformer" (2022), section 3.2.

For an image x (batch, size, size, channels) and windows of P x P, two layers follow one another, each
    x = x + W_out attention(norm(x)),   x = x + W_down gelu(W_up norm(x))
with softmax attention among P * P tokens and a learned bias for each relative position and head:
    block   the P x P pixels of one window: pixel (i, j) sees those with the same i // P and j // P
    grid    P x P pixels spread evenly over the image: those with the same i % (size / P) and j % (size / P)
After both, every pixel has seen every other where size <= P^2; larger images take another pair of layers. With N pixels and C channels the two cost 8 N P^2 C operations, attention
among all pixels in both layers 8 N^2 C: a factor of N / P^2.

The technique never sorts pixels into windows: one kernel finds the tokens of a window or of the grid by their addresses
in the projected image (N, 3 C), attends and writes the result in place of the pixel. Each of the two sorts (there and back)
that the definition takes would read and write the image once more, and the library's kernel wants its bias padded.

First stage for images of 896 x 896 (224 x 224 tokens of 128 channels, 4 heads), batch 8 in 16 bits: 401,408 tokens, x has
103 MB; a layer's attention kernel moves 4 times that, 0.09 ms on an H200 at 4.8 TB/s, and a layer with norms, projections
and MLP about 30 times: 0.65 ms, 1.3 ms for the two; their products, 0.34 TFLOP, take 0.43 ms. Full attention is 10.3
TFLOP a layer: 26 ms for two at 790 TFLOP/s,
and heads of 32 columns do not reach that.
"""

# Kernels are typed by what they are launched with.
# ruff: noqa: ANN001, ANN201, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear, scaled_dot_product_attention

from runners.blocks.counting import CountedSubject
from runners.blocks.kernels import require_triton, tl, triton
from runners.blocks.ladder import MakeSubject, compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand

LAYERS = ("block", "grid")
EXPANSION = 4
# One program holds the scores of a window's tokens with each other.
MOST_TOKENS = 256

Attend = Callable[[Tensor, Tensor, str], Tensor]
Windows = Callable[[Tensor, Tensor, str, int], Tensor]


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """Both layers' matrices (outputs, inputs), gains of norms, and bias (heads, (2 P - 1)^2) by relative position."""
    channels, window = axes["channels"], axes["window"]
    made: dict[str, Tensor] = {}
    for layer in LAYERS:
        shapes = {
            "qkv": (3 * channels, channels),
            "out": (channels, channels),
            "up": (EXPANSION * channels, channels),
            "down": (channels, EXPANSION * channels),
        }
        for name, (outputs, inputs) in shapes.items():
            made[f"{layer}.{name}"] = rand.gaussian(outputs, inputs, scale=inputs**-0.5)
        made[f"{layer}.norm_1"] = 1 + rand.gaussian(channels, scale=0.1)
        made[f"{layer}.norm_2"] = 1 + rand.gaussian(channels, scale=0.1)
        made[f"{layer}.bias"] = rand.gaussian(axes["heads"], (2 * window - 1) ** 2)
    return made


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.normal(axes["batch"], axes["size"], axes["size"], axes["channels"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Both layers' products; the image in and out once, for a layer of windows can stay on the chip."""
    pixels, channels = axes["batch"] * axes["size"] ** 2, axes["channels"]
    matrices = (4 + 2 * EXPANSION) * channels**2
    products = len(LAYERS) * pixels * (2 * matrices + 4 * axes["window"] ** 2 * channels)
    return LeastWork({dtype: products}, BYTES[dtype] * (2 * pixels * channels + len(LAYERS) * matrices))


def bias_of_pairs(table: Tensor, window: int) -> Tensor:
    """(heads, (2 P - 1)^2) to (heads, P^2, P^2): the entry of each pair's difference in row and column."""
    place = torch.arange(window, device=table.device)
    difference = place[:, None] - place[None, :] + window - 1
    index = difference[:, None, :, None] * (2 * window - 1) + difference[None, :, None, :]
    return table[:, index.reshape(window**2, window**2)]


def split_windows(image: Tensor, window: int, layer: str) -> Tensor:
    """(batch, size, size, columns) to (batch, sets, P^2, columns): the tokens that attend to each other."""
    batch, size, _, columns = image.shape
    count = size // window
    if layer == "block":
        parts = image.view(batch, count, window, count, window, columns).permute(0, 1, 3, 2, 4, 5)
    else:
        parts = image.view(batch, window, count, window, count, columns).permute(0, 2, 4, 1, 3, 5)
    return parts.reshape(batch, count * count, window * window, columns)


def join_windows(parts: Tensor, window: int, layer: str) -> Tensor:
    """The inverse of `split_windows`."""
    batch, sets, _, columns = parts.shape
    count = math.isqrt(sets)
    parts = parts.view(batch, count, count, window, window, columns)
    order = (0, 1, 3, 2, 4, 5) if layer == "block" else (0, 3, 1, 4, 2, 5)
    return parts.permute(order).reshape(batch, count * window, count * window, columns)


def by_head(qkv: Tensor, heads: int) -> tuple[Tensor, ...]:
    """(..., tokens, 3 C) to q, k, v (..., heads, tokens, C / heads)."""
    return qkv.unflatten(-1, (3, heads, -1)).movedim(-3, 0).transpose(-2, -3).unbind(0)


def plain_windows(qkv: Tensor, bias: Tensor, layer: str, window: int) -> Tensor:
    """Attention as defined, with the scores of each window in memory."""
    q, k, v = by_head(split_windows(qkv, window, layer), len(bias))
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + bias
    return join_windows((scores.softmax(dim=-1) @ v).transpose(-2, -3).flatten(-2), window, layer)


def library_windows(qkv: Tensor, bias: Tensor, layer: str, window: int) -> Tensor:
    """The same through the library's fused kernels."""
    parts = split_windows(qkv, window, layer)
    q, k, v = (each.flatten(0, 1) for each in by_head(parts, len(bias)))
    attended = scaled_dot_product_attention(q, k, v, attn_mask=bias)
    return join_windows(attended.transpose(-2, -3).flatten(-2).view(*parts.shape[:3], -1), window, layer)


def full_attention(qkv: Tensor, bias: Tensor, layer: str, window: int) -> Tensor:
    """Attention among all pixels, without a bias: what the two layers replace."""
    q, k, v = by_head(qkv.flatten(1, 2), len(bias))
    return scaled_dot_product_attention(q, k, v).transpose(-2, -3).flatten(-2).view(*qkv.shape[:3], -1)


def kernel_windows(qkv: Tensor, bias: Tensor, layer: str, window: int) -> Tensor:
    """The same as `plain_windows`, by the kernel."""
    if window**2 > MOST_TOKENS:
        raise ValueError(f"window is {window}; the kernel holds at most {MOST_TOKENS} tokens")
    batch, size, _, columns = qkv.shape
    heads, channels = len(bias), columns // 3
    out = qkv.new_empty(batch, size, size, channels)
    dim = channels // heads
    window_program[((size // window) ** 2, heads, batch)](
        qkv.contiguous(), bias.contiguous(), out, size, channels, dim**-0.5 * math.log2(math.e),
        GRID=layer == "grid", WINDOW=window, DIM=dim,
        BLOCK=max(16, triton.next_power_of_2(window**2)), BLOCK_D=max(16, triton.next_power_of_2(dim)),
        num_warps=4 if window <= 8 else 8,
    )  # fmt: skip
    return out


@triton.jit
def window_program(
    QKV, Bias, Out, size, channels, scale_log2,
    GRID: tl.constexpr, WINDOW: tl.constexpr, DIM: tl.constexpr, BLOCK: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """One set of WINDOW^2 tokens in one head. Their pixels are neighbours, or spread over the image with GRID."""
    count = size // WINDOW
    down, right = tl.program_id(0) // count, tl.program_id(0) % count
    head, entry = tl.program_id(1), tl.program_id(2).to(tl.int64)
    tokens, dims = tl.arange(0, BLOCK), tl.arange(0, BLOCK_D)
    present = tokens < WINDOW * WINDOW
    row, column = tokens // WINDOW, tokens % WINDOW
    if GRID:
        pixel = (row * count + down) * size + column * count + right
    else:
        pixel = (down * WINDOW + row) * size + right * WINDOW + column
    place = entry * size * size + pixel
    inside = present[:, None] & (dims < DIM)[None, :]
    pointers = QKV + place[:, None] * (3 * channels) + head * DIM + dims[None, :]
    q = tl.load(pointers, mask=inside, other=0.0)
    k = tl.load(pointers + channels, mask=inside, other=0.0)
    v = tl.load(pointers + 2 * channels, mask=inside, other=0.0)
    pairs = present[:, None] & present[None, :]
    table = Bias + head * WINDOW * WINDOW * WINDOW * WINDOW + tokens[:, None] * (WINDOW * WINDOW) + tokens[None, :]
    bias = tl.load(table, mask=pairs, other=0.0).to(tl.float32)
    scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale_log2 + bias * 1.4426950408889634
    scores = tl.where(present[None, :], scores, float("-inf"))
    shares = tl.math.exp2(scores - tl.max(scores, 1)[:, None])
    total = tl.sum(shares, 1)
    attended = tl.dot(shares.to(v.dtype), v, input_precision="ieee") / total[:, None]
    tl.store(
        Out + place[:, None] * channels + head * DIM + dims[None, :], attended.to(Out.dtype.element_ty), mask=inside
    )


def two_layers(x: Tensor, weights: dict[str, Tensor], biases: dict[str, Tensor], attend: Attend) -> Tensor:
    for layer in LAYERS:
        normed = layer_norm(x, x.shape[-1:], weights[f"{layer}.norm_1"])
        attended = attend(linear(normed, weights[f"{layer}.qkv"]), biases[layer], layer)
        x = x + linear(attended, weights[f"{layer}.out"])
        normed = layer_norm(x, x.shape[-1:], weights[f"{layer}.norm_2"])
        x = x + linear(gelu(linear(normed, weights[f"{layer}.up"])), weights[f"{layer}.down"])
    return x


def maker(attention: Windows) -> MakeSubject:
    """Subjects that differ in how a layer attends."""

    def make(axes: dict[str, int], weights: dict[str, Tensor]) -> CountedSubject:
        window = axes["window"]
        if axes["size"] % window:
            raise ValueError(f"size is {axes['size']}; it must be a multiple of window, {window}")
        biases = {layer: bias_of_pairs(weights[f"{layer}.bias"], window) for layer in LAYERS}

        def through(attention: Windows) -> Callable[[Tensor], Tensor]:
            def attend(qkv: Tensor, bias: Tensor, layer: str) -> Tensor:
                return attention(qkv, bias, layer, window)

            return lambda x: two_layers(x, weights, biases, attend)

        counted = through(plain_windows) if attention is kernel_windows else None
        return CountedSubject(through(attention), weights, counted_by=counted)

    return make


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> CountedSubject:
    kernels = weights["block.qkv"].is_cuda
    if kernels:
        require_triton("MaxViT")
    made: CountedSubject = maker(kernel_windows if kernels else library_windows)(axes, weights)  # type: ignore[assignment]
    return made


SUBJECTS = {
    "technique": make_technique,
    "eager": maker(plain_windows),
    "compiled": compiled(maker(plain_windows)),
    "library": maker(library_windows),
    "full": maker(full_attention),
}
