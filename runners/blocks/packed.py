"""Weights in a few bits a value, multiplied without being unpacked in memory: packing, and kernels that expand on the chip.

A weight is (outputs, features), row-major. Codes are packed along the features in blocks: a word of n codes holds those of
features j, j + 1/n of the block, j + 2/n, ..., so that the first code of each word of a tile is itself a tile of the weight
and no value moves between threads. Words are as wide as what codes expand to (16 bits for floating-point tokens, 8 for
8-bit ones), so that a register full of words becomes registers full of values. Blocks lead: (blocks, outputs, words),
and a tile of rows is one contiguous piece. Features are filled up with zeros to whole blocks.

In the kernels weights are the left operand (outputs by features) and tokens the right one: a matrix unit's tall side then
works on outputs however few the tokens are, and expanded weights stay in registers. A product with few tokens has too few
tiles for the chip, so that the features are split among programs; the last one of a tile to finish adds up.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN201, ANN202, PLR0917, SIM300
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from runners.blocks.attention import TunedKernel
from runners.blocks.kernels import interpreted, require_triton, tl, triton

GROUP = 128
NIBBLE_ZERO = 8
# Inside kernels; the interpreter knows no machine instructions.
INTERPRETED: tl.constexpr = tl.constexpr(interpreted())
MOST_SPLITS = 8
SKINNY_TOKENS = 64
LEAST_TILE = 32
KEY = ("tokens", "outputs", "features")
# (outputs, splits, warps, stages) for few tokens; (outputs, tokens, warps, stages) for many.
SKINNY = [
    (64, 1, 4, 4), (64, 2, 4, 4), (64, 4, 4, 4), (64, 8, 4, 4), (128, 1, 4, 3), (128, 2, 4, 3), (128, 4, 4, 3), (128, 8, 4, 3),
    (64, 2, 4, 6), (64, 4, 4, 6), (128, 4, 8, 4),
]  # fmt: skip
WIDE = [
    (128, 128, 8, 3), (128, 128, 8, 2), (128, 256, 8, 3), (128, 128, 4, 3), (128, 64, 4, 4), (64, 128, 4, 4), (64, 256, 8, 3),
]  # fmt: skip


def filled_blocks(values: Tensor, block: int) -> Tensor:
    """(rows, features) as (rows, blocks, block), filled up with zeros."""
    missing = -values.shape[1] % block
    return torch.nn.functional.pad(values, (0, missing)).unflatten(1, (-1, block))


def pack_codes(codes: Tensor, bits: int, block: int, word: torch.dtype = torch.int16) -> Tensor:
    """uint8 codes (rows, features) below 2**bits as words (blocks, rows, block * bits / bits of a word)."""
    width = torch.iinfo(word).bits
    parts = filled_blocks(codes, block).unflatten(2, (width // bits, -1))
    # A loop and not a sum over shifted parts, which would hold every part widened at once.
    packed = torch.zeros_like(parts[:, :, 0], dtype=torch.int32)
    for part, shift in enumerate(range(0, width, bits)):
        packed |= parts[:, :, part].int() << shift
    return packed.to(word).transpose(0, 1).contiguous()


def unpack_codes(packed: Tensor, bits: int, features: int) -> Tensor:
    """What `pack_codes` packed, as uint8 (rows, features)."""
    width = torch.iinfo(packed.dtype).bits
    parts = [(packed.int() >> shift & (1 << bits) - 1).to(torch.uint8) for shift in range(0, width, bits)]
    return torch.cat(parts, dim=2).transpose(0, 1).flatten(1)[:, :features].contiguous()


def quantize_groups(weight: Tensor, group: int = GROUP, levels: int = NIBBLE_ZERO - 1) -> tuple[Tensor, Tensor]:
    """Rounds each `group` of a row over 2 * levels + 1 even steps: uint8 codes with zero at 8, float32 scales (rows, groups)."""
    grouped = filled_blocks(weight.float(), group)
    scales = grouped.abs().amax(dim=2).clamp_min(torch.finfo(torch.float32).tiny) / levels
    codes = (grouped / scales[:, :, None]).round() + NIBBLE_ZERO
    return codes.to(torch.uint8).flatten(1)[:, : weight.shape[1]].contiguous(), scales


class Scratch:
    """What split products add up in. Counters are zero between calls: the last program of a tile sets its own back."""

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._tokens = self._outputs = 0
        self.partial, self.counters = torch.empty(0), torch.empty(0)

    def fit(self, tokens: int, outputs: int) -> Scratch:
        if (tokens, outputs) != (self._tokens, self._outputs):
            self._tokens, self._outputs = tokens, outputs
            splits = MOST_SPLITS if tokens <= SKINNY_TOKENS else 0
            self.partial = self._like.new_empty((splits, tokens, outputs), dtype=torch.float32)
            self.counters = self._like.new_zeros(triton.cdiv(outputs, LEAST_TILE), dtype=torch.int32)
        return self


class PackedProduct:
    """Launches of a kernel (Tokens, Out, Partial, Counters, *parameters, tokens, outputs, features) with the constants
    BLOCK_N (outputs), BLOCK_M (tokens) and SPLITS (of the features), tuned apart for few and for many tokens."""

    def __init__(self, kernel: Any) -> None:
        self._skinny = TunedKernel(kernel, SKINNY, KEY, {"BLOCK_N": LEAST_TILE, "SPLITS": 2})
        self._wide = TunedKernel(kernel, WIDE, KEY, {"BLOCK_N": 2 * LEAST_TILE, "BLOCK_M": 32})

    def __call__(self, tokens: Tensor, out: Tensor, scratch: Scratch, *parameters: Tensor, features: int) -> Tensor:
        """out (tokens, outputs); tokens (tokens, features) contiguous."""
        count, outputs = out.shape
        arguments = (tokens, out, *_buffers(scratch.fit(count, outputs)), *parameters, count, outputs, features)
        if count <= SKINNY_TOKENS:
            block = max(16, triton.next_power_of_2(count))
            self._skinny(_grid(count, outputs), *arguments, BLOCK_M=block)
        else:
            self._wide(_grid(count, outputs), *arguments, SPLITS=1)
        return out


def _buffers(scratch: Scratch) -> tuple[Tensor, Tensor]:
    return scratch.partial, scratch.counters


def _grid(tokens: int, outputs: int) -> Any:
    return lambda meta: (
        triton.cdiv(outputs, meta["BLOCK_N"]), triton.cdiv(tokens, meta["BLOCK_M"]), meta["SPLITS"]
    )  # fmt: skip


@triton.jit
def split_range(blocks, SPLITS: tl.constexpr):
    """(first, last) block of features of this program."""
    each = (blocks + SPLITS - 1) // SPLITS
    first = tl.program_id(2) * each
    return first, tl.minimum(first + each, blocks)


@triton.jit
def load_words(Packed, block, rows, outputs, first, COUNT: tl.constexpr, WORDS: tl.constexpr):
    """Words first .. first + COUNT of a block's rows, each of WORDS: (rows, COUNT)."""
    lines = Packed + (block * outputs + rows.to(tl.int64)) * WORDS
    return tl.load(lines[:, None] + first + tl.arange(0, COUNT)[None, :], mask=(rows < outputs)[:, None], other=0)


@triton.jit
def load_tokens(Tokens, columns, tokens, first, features, COUNT: tl.constexpr):
    """Features first .. first + COUNT of some tokens as the right operand: (COUNT, tokens)."""
    inside = first + tl.arange(0, COUNT)
    pointers = Tokens + columns[None, :].to(tl.int64) * features + inside[:, None]
    return tl.load(pointers, mask=(inside < features)[:, None] & (columns < tokens)[None, :], other=0.0)


@triton.jit
def nibble_values(words, DTYPE: tl.constexpr):
    """16-bit words of four codes 0 .. 15 as four tiles of the numbers -8 .. 7, exactly.

    In 16 bits a code becomes the low bits of a large number's mantissa (128 or 1024 and up), from which that number and 8 are
    subtracted, two values an instruction: the conversion of integers is slow, and at full bandwidth there is time for about
    three instructions a weight.
    """
    if DTYPE == tl.bfloat16 and not INTERPRETED:
        return tl.inline_asm_elementwise(
            """{ .reg .b32 one, minus, a, b, c, d;
            mov.b32 one, 0x3F803F80; mov.b32 minus, 0xC308C308;
            shr.u32 b, $4, 4; shr.u32 c, $4, 8; shr.u32 d, $4, 12;
            lop3.b32 a, $4, 0x000F000F, 0x43004300, 0xEA; lop3.b32 b, b, 0x000F000F, 0x43004300, 0xEA;
            lop3.b32 c, c, 0x000F000F, 0x43004300, 0xEA; lop3.b32 d, d, 0x000F000F, 0x43004300, 0xEA;
            fma.rn.bf16x2 $0, a, one, minus; fma.rn.bf16x2 $1, b, one, minus;
            fma.rn.bf16x2 $2, c, one, minus; fma.rn.bf16x2 $3, d, one, minus; }""",
            "=r,=r,=r,=r,r", [words], dtype=(tl.bfloat16, tl.bfloat16, tl.bfloat16, tl.bfloat16), is_pure=True, pack=2,
        )  # fmt: skip
    elif DTYPE == tl.float16 and not INTERPRETED:
        return tl.inline_asm_elementwise(
            """{ .reg .b32 minus, a, b, c, d;
            mov.b32 minus, 0xE408E408;
            shr.u32 b, $4, 4; shr.u32 c, $4, 8; shr.u32 d, $4, 12;
            lop3.b32 a, $4, 0x000F000F, 0x64006400, 0xEA; lop3.b32 b, b, 0x000F000F, 0x64006400, 0xEA;
            lop3.b32 c, c, 0x000F000F, 0x64006400, 0xEA; lop3.b32 d, d, 0x000F000F, 0x64006400, 0xEA;
            add.rn.f16x2 $0, a, minus; add.rn.f16x2 $1, b, minus;
            add.rn.f16x2 $2, c, minus; add.rn.f16x2 $3, d, minus; }""",
            "=r,=r,=r,=r,r", [words], dtype=(tl.float16, tl.float16, tl.float16, tl.float16), is_pure=True, pack=2,
        )  # fmt: skip
    else:
        wide = words.to(tl.int32)
        return (
            ((wide & 15) - 8).to(DTYPE), ((wide >> 4 & 15) - 8).to(DTYPE),
            ((wide >> 8 & 15) - 8).to(DTYPE), ((wide >> 12 & 15) - 8).to(DTYPE),
        )  # fmt: skip


@triton.jit
def finish(sums, Out, Partial, Counters, rows, columns, tokens, outputs, SPLITS: tl.constexpr):
    """Stores a tile (outputs, tokens) into Out (tokens, outputs), added up over the splits."""
    inside = (rows < outputs)[:, None] & (columns < tokens)[None, :]
    places = columns[None, :].to(tl.int64) * outputs + rows[:, None]
    if SPLITS == 1:
        tl.store(Out + places, sums.to(Out.dtype.element_ty), mask=inside)
    else:
        size = tokens * outputs
        tl.store(Partial + tl.program_id(2) * size + places, sums, mask=inside)
        # Every thread's part must be stored before the one that counts says so.
        tl.debug_barrier()
        counter = Counters + tl.program_id(0) * tl.num_programs(1) + tl.program_id(1)
        if tl.atomic_add(counter, 1, sem="acq_rel") == SPLITS - 1:
            total = tl.zeros_like(sums)
            for split in tl.static_range(SPLITS):
                # Past the first-level cache, which does not see what other multiprocessors stored.
                total += tl.load(Partial + split * size + places, mask=inside, other=0.0, cache_modifier=".cg")
            tl.store(Out + places, total.to(Out.dtype.element_ty), mask=inside)
            tl.store(counter, 0)


@triton.jit
def finish_scaled(
    sums, Scales, TokenScales, Out, Partial, Counters, rows, columns, tokens, outputs, SPLITS: tl.constexpr
):  # fmt: skip
    """`finish` of sums of any type times a float for each output and one for each token; None for either is one."""
    result = sums.to(tl.float32)
    if Scales is not None:
        result *= tl.load(Scales + rows, mask=rows < outputs, other=0.0)[:, None]
    if TokenScales is not None:
        result *= tl.load(TokenScales + columns, mask=columns < tokens, other=0.0)[None, :]
    finish(result, Out, Partial, Counters, rows, columns, tokens, outputs, SPLITS)


@triton.jit
def _int4_kernel(
    Tokens, Out, Partial, Counters, Codes, Scales, tokens, outputs, features,
    BLOCK_N: tl.constexpr, BLOCK_M: tl.constexpr, SPLITS: tl.constexpr,
):  # fmt: skip
    """4-bit codes with a scale for each 128 features, tokens in floating point."""
    rows = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    columns = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    sums = tl.zeros([BLOCK_N, BLOCK_M], dtype=tl.float32)
    begin, end = split_range((features + 127) // 128, SPLITS)
    for block in range(begin, end):
        words = load_words(Codes, block, rows, outputs, 0, 32, 32)
        scales = tl.load(Scales + block * outputs + rows, mask=rows < outputs, other=0.0).to(tl.float32)
        group = tl.zeros([BLOCK_N, BLOCK_M], dtype=tl.float32)
        first, second, third, fourth = nibble_values(words, Tokens.dtype.element_ty)
        place = block * 128
        tile = load_tokens(Tokens, columns, tokens, place, features, 32)
        group = tl.dot(first, tile, group, input_precision="ieee")
        tile = load_tokens(Tokens, columns, tokens, place + 32, features, 32)
        group = tl.dot(second, tile, group, input_precision="ieee")
        tile = load_tokens(Tokens, columns, tokens, place + 64, features, 32)
        group = tl.dot(third, tile, group, input_precision="ieee")
        tile = load_tokens(Tokens, columns, tokens, place + 96, features, 32)
        group = tl.dot(fourth, tile, group, input_precision="ieee")
        sums += group * scales[:, None]
    finish(sums, Out, Partial, Counters, rows, columns, tokens, outputs, SPLITS)


_int4_product = PackedProduct(_int4_kernel)


class Int4Linear:
    """A layer whose weight is 4-bit integers with a 16-bit scale for each 128 features; tokens stay as they are."""

    def __init__(self, weight: Tensor) -> None:
        require_triton("a product with packed weights")
        self.outputs, self.features = weight.shape
        codes, scales = quantize_groups(weight)
        self.codes = pack_codes(codes, 4, GROUP)
        self.scales = scales.t().to(torch.float16 if weight.dtype == torch.float16 else torch.bfloat16).contiguous()
        self.scratch = Scratch(weight)

    def __call__(self, tokens: Tensor) -> Tensor:
        out = tokens.new_empty((tokens.shape[0], self.outputs))
        return _int4_product(
            tokens.contiguous(), out, self.scratch, self.codes, self.scales, features=self.features
        )  # fmt: skip

    def footprint(self) -> dict[str, int]:
        return {"weights": self.codes.nbytes + self.scales.nbytes}


class Linear16:
    """The layer as it is stored: a dense weight in the dtype of the tokens."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    def __call__(self, tokens: Tensor) -> Tensor:
        return torch.nn.functional.linear(tokens, self.weight)

    def footprint(self) -> dict[str, int]:
        return {"weights": self.weight.nbytes}
