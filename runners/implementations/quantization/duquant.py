"""4-bit weights and activations after rotations that are built from outliers, and a permutation that spreads them.

Source: "Rotation and Permutation for Advanced Outlier Management and Efficient Quantization of LLMs" (2024), section 3.

A layer y = x W^T, x (tokens, features), W (outputs, features), is computed as y = (x T) (W T^-T)^T, where T is made once from
calibration inputs:
    smoothing   each feature divided by sqrt(largest activation / largest weight)
    rotation    in blocks of `block` features. The block's largest feature is swapped to the front, an orthogonal matrix whose
                first row is constant spreads it evenly over the block, and it is swapped back; so often as `steps`, and
                the product with the smallest maximum is kept
    permutation features by falling maximum, dealt out to the blocks to and fro, so that every block gets as many outliers
    rotation    once more, within the new blocks
Then tokens are rounded to 15 levels with one scale for each token, weights with one for each output. What keeps 4 bits from
working without it: features that are large in all tokens stretch every token's scale; those that are huge in few tokens
("massive") make smoothing move their size into the weights.

Bytes and operations for 8,192 tokens of the Llama-3-8B MLP (4,096 to 14,336) on an H200: the product is 0.96 TFLOP, 1.22 ms
in 16 bits at 790 TFLOP/s and 0.61 ms in 8-bit integers, which hold the 4-bit ones (Hopper's units know no 4-bit integers).
Rotations are 17 GFLOP and four passes over 67 MB: 0.1 ms. With few tokens the layer takes as long as reading its weights:
117 MB, 24 us, in 16 bits, 29 MB, 6 us, in 4; but the transform starts three kernels more. Smoothing is folded into the first
rotation; permutation and second rotation are one kernel, which finds each token's largest value for the rounding.
"""

# Kernels are typed by what they are launched with.
# ruff: noqa: ANN001, ANN201, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from runners.blocks.kernels import require_triton, tl, triton
from runners.blocks.ladder import MakeSubject, compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.packed import (
    GROUP,
    NIBBLE_ZERO,
    Linear16,
    PackedProduct,
    Scratch,
    finish_scaled,
    load_tokens,
    load_words,
    pack_codes,
    split_range,
)
from runners.blocks.rand import Rand

LEVELS = 7
CALIBRATION_TOKENS = 128
NORMAL_SCALE, MASSIVE_VALUE = 20.0, 300.0
MASSIVE_EVERY = 64
TINY = 1e-12


def planted(axes: dict[str, int], rand: Rand, tokens: int) -> Tensor:
    """Activations with `normal` features that are large in all tokens and `massive` ones that are huge in every 64th.

    As in language models they are always the same features; here they are spread evenly. With few features or few tokens
    the outliers are most of the output, and what rounding does to all else hardly shows in its error.
    """
    features = axes["features"]
    activations = rand.normal(tokens, features)
    large = torch.arange(axes["normal"], device=rand.device) * features // axes["normal"]
    activations[:, large] *= NORMAL_SCALE
    huge = torch.arange(axes["massive"], device=rand.device) * features // axes["massive"] + 1
    activations[::MASSIVE_EVERY, huge] += MASSIVE_VALUE
    return activations


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """weight (outputs, features), and calibration inputs of the same kind as the activations."""
    weight = rand.gaussian(axes["outputs"], axes["features"], scale=axes["features"] ** -0.5)
    return {"weight": weight, "calibration": planted(axes, rand, CALIBRATION_TOKENS)}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (planted(axes, rand, axes["tokens"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Rotations as tokens come, the product in 8-bit integers, as Hopper has none of 4 bits; half a byte a weight."""
    tokens, features, outputs = axes["tokens"], axes["features"], axes["outputs"]
    products = 2 * tokens * features * outputs
    rotations, held = 4 * tokens * features * axes["block"], features * outputs // 2 + 4 * (features + outputs)
    moved = 2 * features * axes["block"] + tokens * (features + outputs)
    return LeastWork({"int8": products, dtype: rotations}, held + BYTES[dtype] * moved)


def spreading(count: int, generator: torch.Generator) -> Tensor:
    """A random orthogonal matrix (count, count) whose first row is constant."""
    towards = torch.full((count,), count**-0.5, dtype=torch.float64)
    towards[0] -= 1
    length = towards.square().sum()
    mirror = torch.eye(count, dtype=torch.float64) - (2 / length * towards[:, None] * towards if length > 0 else 0)
    mixed = torch.eye(count, dtype=torch.float64)
    if count > 1:
        gaussian = torch.randn(count - 1, count - 1, dtype=torch.float64, generator=generator)
        mixed[1:, 1:] = torch.linalg.qr(gaussian).Q
    return mixed @ mirror


def greedy_rotations(x: Tensor, block: int, steps: int) -> Tensor:
    """(blocks, block, block) float32, each the orthogonal matrix found for its block of x (tokens, features)."""
    generator = torch.Generator().manual_seed(block)
    x = x.unflatten(1, (-1, block)).transpose(0, 1)
    blocks = torch.arange(len(x), device=x.device)
    rotation = torch.eye(block, device=x.device).expand(len(x), -1, -1)
    best, smallest = rotation, x.abs().amax((1, 2))
    for _ in range(steps):
        largest = x.abs().amax(1).argmax(1)
        # Swapping places 0 and `largest` before and after is indexing rows and columns by that swap.
        swap = torch.arange(block, device=x.device).repeat(len(x), 1)
        swap[:, 0], swap[blocks, largest] = largest, torch.zeros_like(largest)
        spread = spreading(block, generator).to(x)
        step = spread[swap[:, :, None], swap[:, None, :]]
        x, rotation = x @ step, rotation @ step
        found = x.abs().amax((1, 2))
        best = torch.where((found < smallest)[:, None, None], rotation, best)
        smallest = torch.minimum(found, smallest)
    return best


def zigzag(largest: Tensor, block: int) -> Tensor:
    """Order of features (features,) in which blocks get the features of falling `largest` to and fro, one each a round."""
    rounds = largest.argsort(descending=True).view(block, -1).clone()
    rounds[1::2] = rounds[1::2].flip(1)
    return rounds.t().reshape(-1)


@dataclass
class Transform:
    """x -> ((x / smoothing) R1)[order] R2; rotations (blocks, block, block)."""

    smoothing: Tensor
    first: Tensor
    order: Tensor
    second: Tensor

    def of_weight(self, weight: Tensor) -> Tensor:
        """The weight whose product with transformed activations is the layer's output."""
        rotated = by_block(weight * self.smoothing, self.first)
        return by_block(rotated[:, self.order], self.second)


def by_block(x: Tensor, rotations: Tensor) -> Tensor:
    """Each block of features of x (tokens, features) times its matrix."""
    count, block, _ = rotations.shape
    rotated = torch.bmm(x.view(-1, count, block).transpose(0, 1), rotations)
    return rotated.transpose(0, 1).reshape(x.shape)


def calibrate(weight: Tensor, x: Tensor, block: int, steps: int, kind: str) -> Transform:
    """What `kind` knows: "plain" nothing, "smooth" smoothing, "random" a random rotation, "duquant" all of it. float32."""
    features = x.shape[1]
    if features % block:
        raise ValueError(f"features is {features}; it must be a multiple of block, {block}")
    none = torch.eye(block, device=x.device).expand(features // block, -1, -1)
    smoothing, first, second = torch.ones(features, device=x.device), none, none
    order = torch.arange(features, device=x.device)
    if kind in ("smooth", "duquant"):
        smoothing = (x.abs().amax(0).clamp_min(TINY) / weight.abs().amax(0).clamp_min(TINY)).sqrt()
    if kind == "random":
        generator = torch.Generator().manual_seed(block)
        first = torch.linalg.qr(torch.randn(none.shape, generator=generator)).Q.to(x.device)
    if kind == "duquant":
        first = greedy_rotations(x / smoothing, block, steps)
        x = by_block(x / smoothing, first)
        order = zigzag(x.abs().amax(0), block)
        second = greedy_rotations(x[:, order], block, steps)
    return Transform(smoothing, first, order, second)


def round_rows(values: Tensor) -> tuple[Tensor, Tensor]:
    """Codes -7 .. 7 of each row (as floats), and float scales (rows, 1)."""
    scales = values.abs().amax(1, keepdim=True).clamp_min(TINY) / LEVELS
    return (values / scales).round(), scales


class FourBitLinear:
    """activations (tokens, features) -> (tokens, outputs), both sides in 4 bits, after the transform of `kind`."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor], kind: str, *, kernels: bool) -> None:
        weight, self.kernels = weights["weight"], kernels
        if kernels:
            require_triton("DuQuant")
        found = calibrate(weight.float(), weights["calibration"].float(), axes["block"], axes["steps"], kind)
        codes, scales = round_rows(found.of_weight(weight.float()))
        self.outputs, self.features = codes.shape
        self.codes = pack_codes((codes + NIBBLE_ZERO).to(torch.uint8), 4, GROUP, torch.uint8)
        self.scales = scales.flatten()
        # Smoothing is a scale of the rows of the first rotation.
        self.first = (found.first / found.smoothing.view(*found.first.shape[:2], 1)).to(weight.dtype)
        self.second, self.order = found.second.to(weight.dtype).contiguous(), found.order.int()
        self.plain_codes = torch.empty(0) if kernels else codes
        self.scratch = Scratch(weight)

    def __call__(self, activations: Tensor) -> Tensor:
        rotated = by_block(activations.contiguous(), self.first)
        if not self.kernels:
            rotated = by_block(rotated[:, self.order], self.second)
            codes, scales = round_rows(rotated.float())
            return ((codes @ self.plain_codes.t()) * scales * self.scales).to(activations.dtype)
        codes, scales = rotate_and_round(rotated, self.order, self.second)
        out = activations.new_empty(len(activations), self.outputs)
        return product(codes, out, self.scratch, self.codes, self.scales, scales, features=self.features)

    def footprint(self) -> dict[str, int]:
        held = (self.codes, self.scales, self.first, self.second, self.order)
        return {"weights": sum(each.nbytes for each in held)}


def rotate_and_round(x: Tensor, order: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor]:
    """Permutation, second rotation and rounding of x (tokens, features): int8 codes, float32 scales (tokens,)."""
    count, block, _ = rotations.shape
    tokens, features = x.shape
    rotated, largest = torch.empty_like(x), x.new_empty(tokens, count, dtype=torch.float32)
    rotate_program[(triton.cdiv(tokens, 32), count)](
        x, order, rotations, rotated, largest, tokens, features, count,
        WIDTH=block, BLOCK=max(16, triton.next_power_of_2(block)), ROWS=32, num_warps=4,
    )  # fmt: skip
    scales = largest.amax(1).clamp_min(TINY) / LEVELS
    codes = torch.empty_like(x, dtype=torch.int8)
    round_program[(tokens, triton.cdiv(features, 2048))](rotated, scales, codes, features, COLUMNS=2048, num_warps=4)
    return codes, scales


@triton.jit
def rotate_program(
    X, Order, Rotations, Out, Largest, tokens, features, count,
    WIDTH: tl.constexpr, BLOCK: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """One block of features in ROWS tokens; its largest value goes to Largest (tokens, count)."""
    row, place = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS), tl.arange(0, BLOCK)
    block = tl.program_id(1)
    known, wanted = row < tokens, place < WIDTH
    inside = known[:, None] & wanted[None, :]
    column = tl.load(Order + block * WIDTH + place, mask=wanted, other=0)
    x = tl.load(X + row[:, None] * features + column[None, :], mask=inside, other=0.0)
    pointers = Rotations + block * WIDTH * WIDTH + place[:, None] * WIDTH + place[None, :]
    rotation = tl.load(pointers, mask=wanted[:, None] & wanted[None, :], other=0.0)
    # As it is stored, so that no code exceeds the levels.
    rotated = tl.dot(x, rotation, input_precision="ieee").to(Out.dtype.element_ty)
    tl.store(Out + row[:, None] * features + block * WIDTH + place[None, :], rotated, mask=inside)
    tl.store(Largest + row * count + block, tl.max(tl.abs(rotated.to(tl.float32)), 1), mask=known)


@triton.jit
def round_program(X, Scales, Codes, features, COLUMNS: tl.constexpr):
    """COLUMNS features of one token."""
    row = tl.program_id(0).to(tl.int64)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = column < features
    steps = tl.load(X + row * features + column, mask=inside, other=0.0).to(tl.float32) / tl.load(Scales + row)
    tl.store(Codes + row * features + column, tl.floor(steps + 0.5).to(tl.int8), mask=inside)


@triton.jit
def product_kernel(
    Tokens, Out, Partial, Counters, Codes, Scales, TokenScales, tokens, outputs, features,
    BLOCK_N: tl.constexpr, BLOCK_M: tl.constexpr, SPLITS: tl.constexpr,
):  # fmt: skip
    """int8 tokens times 4-bit codes: one sum of integers over all features, scaled by output and token at its end."""
    rows = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    columns = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    sums = tl.zeros([BLOCK_N, BLOCK_M], dtype=tl.int32)
    begin, end = split_range((features + 127) // 128, SPLITS)
    for block in range(begin, end):
        words = load_words(Codes, block, rows, outputs, 0, 64, 64)
        low, high = ((words & 15).to(tl.int8) - 8).to(tl.int8), ((words >> 4).to(tl.int8) - 8).to(tl.int8)
        tile = load_tokens(Tokens, columns, tokens, block * 128, features, 64)
        sums = tl.dot(low, tile.to(tl.int8), sums, out_dtype=tl.int32)
        tile = load_tokens(Tokens, columns, tokens, block * 128 + 64, features, 64)
        sums = tl.dot(high, tile.to(tl.int8), sums, out_dtype=tl.int32)
    finish_scaled(sums, Scales, TokenScales, Out, Partial, Counters, rows, columns, tokens, outputs, SPLITS)


product = PackedProduct(product_kernel)


def maker(kind: str) -> MakeSubject:
    def make(axes: dict[str, int], weights: dict[str, Tensor]) -> FourBitLinear:
        return FourBitLinear(axes, weights, kind, kernels=weights["weight"].is_cuda)

    return make


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Linear16:
    return Linear16(weights["weight"])


SUBJECTS = {
    "technique": maker("duquant"),
    "eager": make_eager,
    "compiled": compiled(make_eager),
    "plain": maker("plain"),
    "smooth": maker("smooth"),
    "random": maker("random"),
}
