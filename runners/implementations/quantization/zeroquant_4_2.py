"""A linear layer with weights in 6-bit floating point, stored as a plane of 4 bits and a plane of 2.

Source: "ZeroQuant(4+2): Redefining LLMs Quantization with a New FP6-Centric Strategy for Diverse Generative Tasks" (2023).

    format    sign, 3 bits of exponent, 2 of mantissa: 0, +-1/16 .. +-28 (subnormals below 1/4); one scale for each output
    storage   sign and exponent in the plane of 4 bits, the mantissa in that of 2: no code crosses a word, both planes are read
              as whole words, 0.75 bytes a weight
    product   on the chip a code's fields move to their places in a 16-bit number, whose exponent is off by 12 (subnormals
              stay right); the factor 2**12 goes into the output's scale, so that no weight is multiplied
    rungs     "paper": 4-bit integers with a scale for each 128 weights, the other way to small weights; "eager": 16 bits

Tokens are (tokens, features), the weight (outputs, features), the result (tokens, outputs).

Why it should win, in bytes: with few tokens a layer takes the time of reading its weight. 4096 to 14336 features (the
MLP of Llama-3-8B) are 117 MB in 16 bits, 44 MB in 6 and 30 MB in 4.25: 24.5, 9.2 and 6.3 us on an H200 at 4.8 TB/s. So the
4-bit format may be up to 1.45 times as fast; it rounds about twice as coarsely (about 11 % of a normal weight against 5 %).
Moving the fields takes about three instructions a weight, two weights at once, which just fits into those 9.2 us. From
some hundred tokens on arithmetic bounds and 16-bit weights are as fast.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

import torch
from torch import Tensor

from runners.blocks.kernels import require_triton, tl, triton
from runners.blocks.ladder import compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.packed import (
    INTERPRETED,
    Int4Linear,
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

BLOCK = 256
LARGEST = 28.0
EXPONENT_SHIFT = 2.0**12


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """weight: (outputs, features)."""
    return {"weight": rand.gaussian(axes["outputs"], axes["features"], scale=axes["features"] ** -0.5)}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor]:
    return (rand.normal(axes["tokens"], axes["features"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Three quarters of a byte a weight, and a scale for each output."""
    tokens, features, outputs = axes["tokens"], axes["features"], axes["outputs"]
    products = 2 * tokens * features * outputs
    held = features * outputs * 3 / 4 + 4 * outputs
    return LeastWork({dtype: products}, held + BYTES[dtype] * tokens * (features + outputs))


def round_to_fp6(values: Tensor) -> Tensor:
    """float32 values, at most 28 in size, as uint8 codes 0bSEEEMM of the nearest 6-bit number (ties to even)."""
    size = values.abs().clamp(max=LARGEST)
    exponent = torch.frexp(size.clamp_min(0.25)).exponent - 1
    # In units of its binade's step a number is 4 .. 7 (0 .. 3 where subnormal); 8 carries into the next binade.
    steps = torch.ldexp(size, 2 - exponent).round().to(torch.int32)
    magnitude = (exponent + 2) * 4 + steps
    return (magnitude | torch.signbit(values).int() << 5).to(torch.uint8)


def fp6_values(codes: Tensor) -> Tensor:
    """The float32 numbers that 6-bit codes stand for."""
    field, mantissa = (codes >> 2 & 7).int(), (codes & 3).float()
    size = torch.where(field == 0, mantissa / 16, torch.ldexp(1 + mantissa / 4, field - 3))
    return torch.where(codes >> 5 == 1, -size, size)


@triton.jit
def _four_tiles(nibbles, crumbs, SHIFT: tl.constexpr):
    """The values of four of the eight codes that one word of mantissas belongs to, as float16 over 2**12.

    `nibbles` holds their signs and exponents; their mantissas stand at bits SHIFT, SHIFT + 4, ... of `crumbs`.
    """
    if not INTERPRETED:
        return tl.inline_asm_elementwise(
            """{ .reg .b32 m, s, e, f;
            shr.u32 m, $5, $6;
            shl.b32 s, $4, 12; shl.b32 e, $4, 10; shl.b32 f, m, 8; and.b32 s, s, 0x80008000;
            lop3.b32 s, e, 0x1C001C00, s, 0xEA; lop3.b32 $0, f, 0x03000300, s, 0xEA;
            shl.b32 s, $4, 8; shl.b32 e, $4, 6; shl.b32 f, m, 4; and.b32 s, s, 0x80008000;
            lop3.b32 s, e, 0x1C001C00, s, 0xEA; lop3.b32 $1, f, 0x03000300, s, 0xEA;
            shl.b32 s, $4, 4; shl.b32 e, $4, 2; and.b32 s, s, 0x80008000;
            lop3.b32 s, e, 0x1C001C00, s, 0xEA; lop3.b32 $2, m, 0x03000300, s, 0xEA;
            shr.u32 e, $4, 2; shr.u32 f, m, 4; and.b32 s, $4, 0x80008000;
            lop3.b32 s, e, 0x1C001C00, s, 0xEA; lop3.b32 $3, f, 0x03000300, s, 0xEA; }""",
            # Outputs must not share registers with inputs: the first is written before the last input is read.
            "=&r,=&r,=&r,=&r,r,r,r,r", [nibbles, crumbs, SHIFT],
            dtype=(tl.float16, tl.float16, tl.float16, tl.float16), is_pure=True, pack=2,
        )  # fmt: skip
    else:
        n, m = nibbles.to(tl.int32), crumbs.to(tl.int32) >> SHIFT
        return (
            _number(n << 12, n << 10, m << 8), _number(n << 8, n << 6, m << 4),
            _number(n << 4, n << 2, m), _number(n, n >> 2, m >> 4),
        )  # fmt: skip


@triton.jit
def _number(sign, exponent, mantissa):
    bits = (sign & 0x8000) | (exponent & 0x1C00) | (mantissa & 0x0300)
    return bits.to(tl.int16).to(tl.float16, bitcast=True)


@triton.jit
def _fp6_kernel(
    Tokens, Out, Partial, Counters, Nibbles, Crumbs, Scales, tokens, outputs, features,
    BLOCK_N: tl.constexpr, BLOCK_M: tl.constexpr, SPLITS: tl.constexpr,
):  # fmt: skip
    """Part c of a block of 256 features, 32 of them, has its nibbles in tile c % 2 of words and its crumbs at bit 2 * c."""
    rows = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    columns = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    sums = tl.zeros([BLOCK_N, BLOCK_M], dtype=tl.float32)
    begin, end = split_range((features + 255) // 256, SPLITS)
    for block in range(begin, end):
        crumbs = load_words(Crumbs, block, rows, outputs, 0, 32, 32)
        for half in tl.static_range(2):
            nibbles = load_words(Nibbles, block, rows, outputs, half * 32, 32, 64)
            first, second, third, fourth = _four_tiles(nibbles, crumbs, 2 * half)
            place = block * 256 + half * 32
            tile = load_tokens(Tokens, columns, tokens, place, features, 32)
            sums = tl.dot(first.to(tile.dtype), tile, sums, input_precision="ieee")
            tile = load_tokens(Tokens, columns, tokens, place + 64, features, 32)
            sums = tl.dot(second.to(tile.dtype), tile, sums, input_precision="ieee")
            tile = load_tokens(Tokens, columns, tokens, place + 128, features, 32)
            sums = tl.dot(third.to(tile.dtype), tile, sums, input_precision="ieee")
            tile = load_tokens(Tokens, columns, tokens, place + 192, features, 32)
            sums = tl.dot(fourth.to(tile.dtype), tile, sums, input_precision="ieee")
    finish_scaled(sums, Scales, None, Out, Partial, Counters, rows, columns, tokens, outputs, SPLITS)


_fp6_product = PackedProduct(_fp6_kernel)


class Fp6Linear:
    """tokens (tokens, features) -> (tokens, outputs), in the dtype of the tokens."""

    def __init__(self, weight: Tensor) -> None:
        require_triton("ZeroQuant(4+2)")
        self.outputs, self.features = weight.shape
        exact = weight.float()
        scales = exact.abs().amax(dim=1).clamp_min(torch.finfo(torch.float32).tiny) / LARGEST
        codes = round_to_fp6(exact / scales[:, None])
        self.nibbles = pack_codes(codes >> 2, 4, BLOCK)
        self.crumbs = pack_codes(codes & 3, 2, BLOCK)
        self.scales = scales * EXPONENT_SHIFT
        self.scratch = Scratch(weight)

    def __call__(self, tokens: Tensor) -> Tensor:
        out = tokens.new_empty((tokens.shape[0], self.outputs))
        planes = (self.nibbles, self.crumbs, self.scales)
        return _fp6_product(tokens.contiguous(), out, self.scratch, *planes, features=self.features)

    def footprint(self) -> dict[str, int]:
        return {"weights": self.nibbles.nbytes + self.crumbs.nbytes + self.scales.nbytes}


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Fp6Linear:
    return Fp6Linear(weights["weight"])


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> Int4Linear:
    return Int4Linear(weights["weight"])


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Linear16:
    return Linear16(weights["weight"])


SUBJECTS = {
    "technique": make_technique,
    "paper": make_paper,
    "eager": make_eager,
    "compiled": compiled(make_eager),
}
