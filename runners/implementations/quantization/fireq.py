"""Feed-forward layers with 4-bit weights that become 8-bit floats on the chip; attention over 4-bit keys and values.

Source: "FireQ: Fast INT4-FP8 Kernel and RoPE-aware Quantization for LLM Inference Acceleration" (2025).

    weights   a sign and a magnitude of 0 .. 7 for each; a scale in e4m3 for each 128 of a row, in units of one float for the
              whole tensor, chosen so that the largest group's scale is e4m3's largest: small ones do not underflow
    channels  features whose weights are large are divided down, so that they do not coarsen the 127 others of their group,
              and the tokens multiplied: floating point bears spread that integers do not
    tokens    rounded to e4m3, each with a scale of its own
    rungs     "paper": the same with integers, 8 bits for tokens and a whole number as each group's scale, as QServe does it

The byte of e4m3 with sign s, exponent 0 and mantissa m is the subnormal number s * m * 2^-9, exactly. So a code becomes a
factor of the tensor cores by being put into its place: no table, no conversion and no multiplication. With two codes of a
byte stored as [s a][m b][s b][m a], 5 instructions serve 8 weights; integers with whole-numbered scales take 11. The price
is that each group's sum is scaled and added in float32, two operations for each 128 products.

Workloads with a `context` run attention instead (runners/blocks/rope_kv4.py): keys and values in 4 bits, queries in e4m3,
scales before and after the rotary embedding. There "paper" is QServe's way, one scale for each pair before it and 16-bit queries,
"library" all three in e4m3, and the technique expands its cache with PyTorch: what the answer loses is told, not a time.

Shapes of the layer: x (tokens, features), gate and up (hidden, features) stacked, down (features, hidden), result (tokens, features).

Why it should win: 4,096 tokens through a layer of Llama-2-7B (4096, 11008) are 1.11 TFLOP: 1.12 ms on an H200 at 990
TFLOP/s in 16 bits, 0.56 ms at 1,979 in 8 bits of either kind; tokens, what lies between the layers, and weights move 0.7
GB, 0.14 ms at 4.8 TB/s beside it. Against 8-bit integers it gains only by the expansion, and loses the groups' scaling;
against the library's 8-bit product it gains nothing there. With few tokens the weights' 135 million numbers bound: 69 MB or
14 us at 4.8 TB/s, against 28 us in 8 bits and 56 us in 16.

Planted: outliers in a few features of the tokens, and in one feature of every 64 of the weights. Without the second the
channels' scaling changes nothing and is not chosen. Hidden features with large weights have values as much smaller.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from runners.blocks.gated import gated, gated_by_library
from runners.blocks.kernels import require_triton, tl, triton
from runners.blocks.ladder import compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.packed import (
    GROUP,
    INTERPRETED,
    Linear16,
    PackedProduct,
    Scratch,
    filled_blocks,
    finish_scaled,
    load_tokens,
    load_words,
    pack_codes,
    split_range,
)
from runners.blocks.packed8 import (
    CLIPPING,
    LARGEST,
    DualGrainedLinear,
    best_candidates,
    dual_grained_product,
    least_error_divisors,
    quantize_tokens,
)
from runners.blocks.rand import Rand
from runners.blocks.rope_kv4 import (
    FourBitAttention,
    WideAttention,
    attention_weights,
    pair_scales,
    to_e4m3,
    two_stage_scales,
)
from runners.blocks.rounding import with_outliers

E4M3 = torch.float8_e4m3fn
LARGEST_MAGNITUDE = 7
# What a mantissa's step is worth in the subnormal numbers of e4m3.
STEPS_OF_ONE = 2.0**9
CALIBRATION_TOKENS = 64
FEATURES_OF_A_LARGE_WEIGHT = 64
LARGE_WEIGHT = 8.0
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)

Product = Callable[[Tensor, Tensor], Tensor]


class Linear(Protocol):
    def __call__(self, tokens: Tensor) -> Tensor: ...

    def footprint(self) -> dict[str, int]: ...


def is_attention(axes: dict[str, int]) -> bool:
    return "context" in axes


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """gate_up (2 * hidden, features), down (features, hidden), and tokens to calibrate with (64, features)."""
    if is_attention(axes):
        return attention_weights(axes, rand)
    features, hidden = axes["features"], axes["hidden"]

    def planted(outputs: int, inside: int) -> Tensor:
        weight = rand.gaussian(outputs, inside, scale=inside**-0.5)
        return with_large_features(weight, LARGE_WEIGHT)

    gate_up, down = planted(2 * hidden, features), planted(features, hidden)
    # Values of large weights are as much smaller: an answer that lives from a single unit hangs on the rounding of its gate.
    with_large_features(gate_up[hidden:].t(), 1 / LARGE_WEIGHT)
    calibration = with_outliers(rand.gaussian(CALIBRATION_TOKENS, features), axes["outliers"])
    return {"gate_up": gate_up, "down": down, "calibration": calibration}


def with_large_features(weight: Tensor, scale: float) -> Tensor:
    """One feature of every FEATURES_OF_A_LARGE_WEIGHT times `scale`, in place."""
    count = max(1, weight.shape[1] // FEATURES_OF_A_LARGE_WEIGHT)
    return with_outliers(weight, count, scale=scale, offset=1)


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor]:
    if is_attention(axes):
        return (rand.normal(axes["context"], axes["features"]),)
    return (with_outliers(rand.normal(axes["tokens"], axes["features"]), axes["outliers"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Products in e4m3; half a byte a weight and one for each 128. What lies between the layers can stay on chip."""
    if is_attention(axes):
        return LeastWork()
    tokens, features, weights = axes["tokens"], axes["features"], 3 * axes["features"] * axes["hidden"]
    held = weights * (1 / 2 + 1 / 128)
    return LeastWork({"float8": 2 * tokens * weights}, held + BYTES[dtype] * 2 * tokens * features)


def quantize_weight(weight: Tensor, importance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Whole numbers -7 .. 7 (rows, features) in float32, group scales e4m3 (rows, groups), the tensor's scale (1,).

    Of some shares of what a group's largest weight asks for, the scale of the least error, weighted by importance (features,).
    """
    grouped, weighing = filled_blocks(weight.float(), GROUP), filled_blocks(importance.float()[None], GROUP)
    wanted = grouped.abs().amax(dim=2) / LARGEST_MAGNITUDE
    unit = (wanted.amax() / LARGEST[E4M3]).clamp_min(torch.finfo(torch.float32).tiny)

    def numbers(scales: Tensor) -> Tensor:
        return (grouped / (scales * unit)[:, :, None]).round().clamp(-LARGEST_MAGNITUDE, LARGEST_MAGNITUDE)

    def error(scales: Tensor) -> Tensor:
        return ((numbers(scales) * (scales * unit)[:, :, None] - grouped).square() * weighing).sum(dim=2)

    # The smallest number of e4m3 instead of a scale that underflows; such a group is zeros or next to it.
    candidates = [(wanted / unit * share).to(E4M3).float().clamp_min(1 / STEPS_OF_ONE) for share in CLIPPING]
    scales = best_candidates(candidates, error)
    return numbers(scales).flatten(1)[:, : weight.shape[1]], scales.to(E4M3), unit.reshape(1)


def int4_fp8_product(tokens: Tensor, weight: Tensor) -> Tensor:
    """What the layer computes, in float32 and without packing."""
    numbers, scales, unit = quantize_weight(weight, tokens.square().mean(dim=0))
    steps = (scales.float() * unit).repeat_interleave(GROUP, dim=1)[:, : weight.shape[1]]
    token_scales = tokens.abs().amax(dim=1, keepdim=True).clamp_min(1e-30) / LARGEST[E4M3]
    return (tokens / token_scales).to(E4M3).float() * token_scales @ (numbers * steps).t()


def channel_divisors(weight: Tensor, calibration: Tensor, product: Product) -> Tensor:
    """(features,): by what tokens are divided and weights multiplied, from the largest weight of each feature."""
    largest = weight.float().abs().amax(dim=0)
    relative = (largest / largest.mean()).clamp_min(1e-3)
    return least_error_divisors([relative**-each for each in STRENGTHS], weight, calibration, product)


def pack_sign_magnitude(numbers: Tensor) -> Tensor:
    """Whole numbers -7 .. 7 (rows, features) as bytes (blocks, rows, 64): [s a][m b][s b][m a], a 64 features before b."""
    codes = numbers.abs().to(torch.uint8) | (numbers < 0).to(torch.uint8) << 3
    packed = pack_codes(codes, 4, GROUP, torch.uint8)
    return packed & 0x77 | (packed >> 4 & 0x08) | (packed << 4 & 0x80)


@triton.jit
def _fp8_numbers(words):
    """Bytes of two codes as two tiles of e4m3: number * 2^-9, by putting bits into their places, four bytes at once."""
    if not INTERPRETED:
        low, high = tl.inline_asm_elementwise(
            """{ .reg .b32 a, b;
            and.b32 $0, $2, 0x87878787;
            shl.b32 a, $2, 4; shr.u32 b, $2, 4; and.b32 b, b, 0x07070707;
            lop3.b32 $1, a, 0x80808080, b, 0xEA; }""",
            "=&r,=&r,r", [words], dtype=(tl.uint8, tl.uint8), is_pure=True, pack=4,
        )  # fmt: skip
    else:
        low, high = words & 0x87, ((words << 4) & 0x80) | ((words >> 4) & 0x07)
    return low.to(tl.float8e4nv, bitcast=True), high.to(tl.float8e4nv, bitcast=True)


@triton.jit
def _int4_fp8_kernel(
    Tokens, Out, Partial, Counters, Codes, GroupScales, Unit, TokenScales, tokens, outputs, features,
    BLOCK_N: tl.constexpr, BLOCK_M: tl.constexpr, SPLITS: tl.constexpr,
):  # fmt: skip
    """Each 128 features are summed by the tensor cores, whose 8-bit sums are short; groups are added up in float32."""
    rows = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    columns = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    sums = tl.zeros([BLOCK_N, BLOCK_M], dtype=tl.float32)
    begin, end = split_range((features + 127) // 128, SPLITS)
    for block in range(begin, end):
        words = load_words(Codes, block, rows, outputs, 0, 64, 64)
        scales = tl.load(GroupScales + block * outputs + rows, mask=rows < outputs, other=0.0).to(tl.float32)
        low, high = _fp8_numbers(words)
        tile = load_tokens(Tokens, columns, tokens, block * 128, features, 64)
        group = tl.dot(low, tile)
        tile = load_tokens(Tokens, columns, tokens, block * 128 + 64, features, 64)
        group = tl.dot(high, tile, group)
        sums += group * scales[:, None]
    sums *= tl.load(Unit) * 512.0  # numbers came as multiples of 2^-9
    finish_scaled(sums, None, TokenScales, Out, Partial, Counters, rows, columns, tokens, outputs, SPLITS)


_int4_fp8_product = PackedProduct(_int4_fp8_kernel)


class Int4Fp8Linear:
    """tokens (tokens, features) -> (tokens, outputs), in their dtype: 4-bit weights, tokens in 8-bit floating point."""

    def __init__(self, weight: Tensor, divisors: Tensor, importance: Tensor) -> None:
        require_triton("a product with packed weights")
        self.outputs, self.features = weight.shape
        self.divisors = divisors.float()
        numbers, scales, self.unit = quantize_weight(weight.float() * self.divisors, importance)
        self.codes = pack_sign_magnitude(numbers)
        self.scales = scales.t().contiguous()
        self.scratch = Scratch(weight)

    def __call__(self, tokens: Tensor) -> Tensor:
        codes, scales = quantize_tokens(tokens, E4M3, self.divisors)
        out = tokens.new_empty((tokens.shape[0], self.outputs))
        parameters = (self.codes, self.scales, self.unit, scales)
        return _int4_fp8_product(codes, out, self.scratch, *parameters, features=self.features)

    def footprint(self) -> dict[str, int]:
        return {"weights": sum(each.nbytes for each in (self.codes, self.scales, self.unit, self.divisors))}


class Fp8Linear:
    """Tokens and weights in e4m3 with a scale for each token and output, by the library's product where a GPU has it."""

    def __init__(self, weight: Tensor) -> None:
        require_triton("the rounding of tokens")
        self.ones = weight.new_ones(weight.shape[1], dtype=torch.float32)
        self.codes, self.scales = quantize_tokens(weight, E4M3, self.ones)

    def __call__(self, tokens: Tensor) -> Tensor:
        codes, scales = quantize_tokens(tokens, E4M3, self.ones)
        whole = all(size % 16 == 0 for size in self.codes.shape)
        if tokens.is_cuda and tokens.dtype == torch.bfloat16 and whole:
            return torch._scaled_mm(
                codes, self.codes.t(), scale_a=scales[:, None], scale_b=self.scales[None], out_dtype=torch.bfloat16
            )
        return (codes.float() @ self.codes.float().t() * (scales[:, None] * self.scales)).to(tokens.dtype)

    def footprint(self) -> dict[str, int]:
        return {"weights": self.codes.nbytes + self.scales.nbytes}


class FeedForward:
    """x (tokens, features) -> (tokens, features)."""

    def __init__(self, gate_up: Linear, down: Linear, middle: Callable[[Tensor, Tensor], Tensor] = gated) -> None:
        self.gate_up, self.down, self.middle = gate_up, down, middle

    def __call__(self, x: Tensor) -> Tensor:
        return self.down(self.middle(*self.gate_up(x).chunk(2, dim=1)))

    def footprint(self) -> dict[str, int]:
        return {"weights": self.gate_up.footprint()["weights"] + self.down.footprint()["weights"]}


def calibrated(
    weights: dict[str, Tensor], make: Callable[[Tensor, Tensor, Tensor], Linear], product: Product
) -> FeedForward:
    """Both layers made by make(weight, divisors, importance of features), their divisors found for `product`."""
    calibration = weights["calibration"].float()
    layers: list[Linear] = []
    for name in ("gate_up", "down"):
        divisors = channel_divisors(weights[name], calibration, product)
        layers.append(make(weights[name], divisors, (calibration / divisors).square().mean(dim=0)))
        if name == "gate_up":
            calibration = gated_by_library(*(calibration @ weights[name].float().t()).chunk(2, dim=1))
    gate_up, down = layers
    return FeedForward(gate_up, down)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> FeedForward | FourBitAttention:
    if is_attention(axes):
        return FourBitAttention(axes, weights, two_stage_scales, to_e4m3)
    return calibrated(weights, Int4Fp8Linear, int4_fp8_product)


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> FeedForward | FourBitAttention:
    if is_attention(axes):
        return FourBitAttention(axes, weights, pair_scales)
    return calibrated(weights, DualGrainedLinear, dual_grained_product)


def make_library(axes: dict[str, int], weights: dict[str, Tensor]) -> FeedForward | WideAttention:
    if is_attention(axes):
        return WideAttention(axes, weights, to_e4m3)
    return FeedForward(Fp8Linear(weights["gate_up"]), Fp8Linear(weights["down"]))


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> FeedForward | WideAttention:
    if is_attention(axes):
        return WideAttention(axes, weights)
    return FeedForward(Linear16(weights["gate_up"]), Linear16(weights["down"]), gated_by_library)


SUBJECTS = {
    "technique": make_technique,
    "paper": make_paper,
    "library": make_library,
    "eager": make_eager,
    "compiled": compiled(make_eager),
}
