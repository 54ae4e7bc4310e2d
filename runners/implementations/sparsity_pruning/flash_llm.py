"""A linear layer with unstructured sparse weights: stored sparse, expanded on the chip to dense tiles, multiplied by tensor cores.

Source: "Flash-LLM: Enabling Cost-Effective and Highly-Efficient Large Generative Model Inference with Unstructured Sparsity" (2023).

    format      blocks of 64 features lead. For each row of a block: 64 bits that tell where its weights are (two words), and where its
                values begin (16 bits from the start of its 64 rows, whose place is a 32-bit number); values of a block
                lie together, row after row
    technique   of each tile the bits are read, each place counts the bits below its own, and takes the value that stands there
                or zero; the dense tile goes to the tensor cores ("load as sparse, compute as dense"). Few tokens: the features
                are split among programs
    rungs       "paper": sparse times dense on plain cores, a row of weights a program, longest rows first (Sputnik's scheme)
                "library": sparse rows through torch (cuSPARSE). "eager": zeros stored, cuBLAS

Shapes: tokens (tokens, features), weight (outputs, features), result (tokens, outputs).

Why it should win: with few tokens a layer costs what reading its weights costs. At 80 % zeros the format takes 16 * 0.2 + 1.26 = 4.5
bits a weight: of OPT-66B's 9216 to 36864 features 189 MB, 40 us at 4.8 TB/s, and dense 680 MB, 142 us. The products that zeros take
part in are free: at 16 tokens 11 GFLOP, 11 us at 990 TFLOP/s. What is not free is the expansion, twelve machine instructions
a weight (counted in code compiled for Hopper), whether it is zero or not: an H200 issues them for some 2.5 * 10^12 weights a second,
137 us for this layer. So there it should be no faster than the dense layer, and gain in memory only; on cards with less bandwidth
for their instructions (A100: 2.0 TB/s) it may win up to 2 times. With hundreds of
tokens the products bound and the dense layer wins. Sparse products on plain cores read 32 bits or more for each value and load
each token's value for each weight: they are bound by the caches.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

import math

import torch
from torch import Tensor

from runners.blocks.attention import TunedKernel
from runners.blocks.kernels import interpreted, require_triton, tl, triton
from runners.blocks.ladder import compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.packed import (
    Linear16,
    PackedProduct,
    Scratch,
    filled_blocks,
    finish,
    load_tokens,
    pack_codes,
    split_range,
)
from runners.blocks.rand import Rand

BLOCK = 64
WORD = 32
TILE_ROWS = 64
MOST_ROW_TOKENS = 64
# Inside kernels; the interpreter knows no machine instructions.
INTERPRETED: tl.constexpr = tl.constexpr(interpreted())


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """weight (outputs, features), normal, of which the smallest `sparsity` thousandths are zeros: pruning by magnitude."""
    outputs, features, share = axes["outputs"], axes["features"], axes["sparsity"] / 1000
    weight = rand.gaussian(outputs, features)
    # The size that this share of normal values lies under: no sorting of hundreds of millions of weights.
    size = math.sqrt(2) * torch.erfinv(torch.tensor(share, dtype=torch.float64)).item()
    kept = (1 - share) * features
    return {"weight": weight.masked_fill_(weight.abs() < size, 0.0).mul_(max(1.0, kept) ** -0.5)}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor]:
    return (rand.normal(axes["tokens"], axes["features"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Computed as dense; a bit for each place, 16 for each row of a block, 32 for 64 such rows, and the values."""
    tokens, features, outputs = axes["tokens"], axes["features"], axes["outputs"]
    products = 2 * tokens * features * outputs
    kept = 1 - axes["sparsity"] / 1000
    bits = 1 + 16 / BLOCK + 32 / (BLOCK * TILE_ROWS)
    moved = kept * features * outputs + tokens * (features + outputs)
    return LeastWork({dtype: products}, features * outputs * bits / 8 + BYTES[dtype] * moved)


@triton.jit
def _bits_set(words):
    if INTERPRETED:
        pairs = words - ((words >> 1) & 0x55555555)
        fours = (pairs & 0x33333333) + ((pairs >> 2) & 0x33333333)
        eights = (fours + (fours >> 4)) & 0x0F0F0F0F
        return (eights + (eights >> 8) + (eights >> 16) + (eights >> 24)) & 63
    else:
        return tl.inline_asm_elementwise("popc.b32 $0, $1;", "=r,r", [words], dtype=tl.int32, is_pure=True, pack=1)


@triton.jit
def _bit(octets, BIT: tl.constexpr):
    """One bit where it stands. In a machine instruction, or the compiler packs the bits of neighbours into words and out again."""
    if INTERPRETED:
        return octets & (1 << BIT)
    else:
        MASK: tl.constexpr = 1 << BIT
        return tl.inline_asm_elementwise(
            "and.b32 $0, $1, $2;", "=r,r,r", [octets, MASK], dtype=tl.int32, is_pure=True, pack=1
        )


@triton.jit
def _take(Bytes, octets, places, BIT: tl.constexpr, KIND: tl.constexpr, SIZE: tl.constexpr):
    """The value of one bit of each octet, or zero, and the place of the next value."""
    present = _bit(octets, BIT) != 0
    value = tl.load((Bytes + places).to(KIND), mask=present, other=0.0)
    return value, tl.where(present, places + SIZE, places)


@triton.jit
def _expand(Values, words, places):
    """A dense tile (rows, 32): at each bit of a row's word the next of the values from the row's place on, elsewhere zero.

    A thread takes eight features in turn: it counts bits once, then adds one by one, and has eight neighbours to store at
    once. A warp takes eight rows, whose values lie together in memory.
    """
    shifts = 8 * tl.arange(0, 4)[None, :]
    places = places[:, None] + _bits_set(words[:, None] & ((1 << shifts) - 1))
    octets = words[:, None] >> shifts
    KIND: tl.constexpr = Values.dtype
    SIZE: tl.constexpr = Values.dtype.element_ty.primitive_bitwidth // 8
    # Unsigned distances in bytes from one pointer: an address then takes one addition in 64 bits and no scaling.
    Bytes = Values.to(tl.pointer_type(tl.uint8))
    places = places.to(tl.uint32) * SIZE
    v0, places = _take(Bytes, octets, places, 0, KIND, SIZE)
    v1, places = _take(Bytes, octets, places, 1, KIND, SIZE)
    v2, places = _take(Bytes, octets, places, 2, KIND, SIZE)
    v3, places = _take(Bytes, octets, places, 3, KIND, SIZE)
    v4, places = _take(Bytes, octets, places, 4, KIND, SIZE)
    v5, places = _take(Bytes, octets, places, 5, KIND, SIZE)
    v6, places = _take(Bytes, octets, places, 6, KIND, SIZE)
    v7, places = _take(Bytes, octets, places, 7, KIND, SIZE)
    even = tl.join(tl.join(v0, v4), tl.join(v2, v6))
    odd = tl.join(tl.join(v1, v5), tl.join(v3, v7))
    return tl.reshape(tl.join(even, odd), [words.shape[0], 32])


@triton.jit
def _sparse_kernel(
    Tokens, Out, Partial, Counters, Values, Words, Places, Starts, tokens, outputs, features,
    BLOCK_N: tl.constexpr, BLOCK_M: tl.constexpr, SPLITS: tl.constexpr,
):  # fmt: skip
    """Words (2 * blocks, outputs), Places (blocks, outputs) from Starts (blocks, tiles of 64 rows), Values in their order."""
    rows = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    columns = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    inside = rows < outputs
    tiles = (outputs + 63) // 64
    sums = tl.zeros([BLOCK_N, BLOCK_M], dtype=tl.float32)
    begin, end = split_range((features + 63) // 64, SPLITS)
    for block in range(begin, end):
        lines = Words + (2 * block * outputs + rows)
        first_words = tl.load(lines, mask=inside, other=0)
        second_words = tl.load(lines + outputs, mask=inside, other=0)
        places = tl.load(Places + (block * outputs + rows), mask=inside, other=0).to(tl.int32)
        places += tl.load(Starts + block * tiles + rows // 64, mask=inside, other=0)
        # Both gathers before both products: as many loads as can be on their way while none can be awaited ahead.
        first = _expand(Values, first_words, places)
        second = _expand(Values, second_words, places + _bits_set(first_words))
        tile = load_tokens(Tokens, columns, tokens, block * 64, features, 32)
        sums = tl.dot(first, tile, sums, input_precision="ieee")
        tile = load_tokens(Tokens, columns, tokens, block * 64 + 32, features, 32)
        sums = tl.dot(second, tile, sums, input_precision="ieee")
    finish(sums, Out, Partial, Counters, rows, columns, tokens, outputs, SPLITS)


_sparse_product = PackedProduct(_sparse_kernel)


class SparseLinear:
    """A layer that keeps the weights that are not zero, their bits, and where they begin."""

    def __init__(self, weight: Tensor) -> None:
        require_triton("a product with sparse weights")
        self.outputs, self.features = weight.shape
        # Places are counted in 32 bits, and distances in bytes in 32 bits without a sign.
        if weight.numel() >= 2**31 or weight.nbytes >= 2**32:
            raise ValueError(f"{weight.numel()} weights are too many for 32-bit places; split the layer")
        blocks = filled_blocks(weight, BLOCK).transpose(0, 1)
        present = blocks != 0
        self.values = blocks[present]
        self.words = pack_codes(present.transpose(0, 1).flatten(1).to(torch.uint8), 1, WORD, torch.int32)[:, :, 0]
        counts = present.sum(dim=2, dtype=torch.int32)
        ends = counts.flatten().cumsum(0, dtype=torch.int32).view_as(counts)
        begins = ends - counts
        self.starts = begins[:, ::TILE_ROWS].contiguous()
        first = self.starts.repeat_interleave(TILE_ROWS, dim=1)[:, : self.outputs]
        self.places = (begins - first).to(torch.int16)
        self.scratch = Scratch(weight)

    def __call__(self, tokens: Tensor) -> Tensor:
        out = tokens.new_empty((tokens.shape[0], self.outputs))
        parameters = (self.values, self.words, self.places, self.starts)
        return _sparse_product(tokens.contiguous(), out, self.scratch, *parameters, features=self.features)

    def footprint(self) -> dict[str, int]:
        held = (self.values, self.words, self.places, self.starts)
        return {"weights": sum(each.nbytes for each in held), "parameters": self.values.numel()}


@triton.jit
def _row_kernel(
    Tokens, Out, Values, Columns, Begins, Order, tokens, outputs, BLOCK_M: tl.constexpr, BLOCK_Z: tl.constexpr
):  # fmt: skip
    """One row of weights times some tokens, without tensor cores. Tokens (features, tokens), Out (outputs, tokens)."""
    row = tl.load(Order + tl.program_id(0)).to(tl.int64)
    columns = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    begin, end = tl.load(Begins + row), tl.load(Begins + row + 1)
    sums = tl.zeros([BLOCK_Z, BLOCK_M], dtype=tl.float32)
    for first in range(begin, end, BLOCK_Z):
        places = first + tl.arange(0, BLOCK_Z)
        values = tl.load(Values + places, mask=places < end, other=0.0).to(tl.float32)
        features = tl.load(Columns + places, mask=places < end, other=0).to(tl.int64)
        pointers = Tokens + features[:, None] * tokens + columns[None, :]
        inside = (places < end)[:, None] & (columns < tokens)[None, :]
        sums += values[:, None] * tl.load(pointers, mask=inside, other=0.0).to(tl.float32)
    total = tl.sum(sums, 0).to(Out.dtype.element_ty)
    tl.store(Out + row * tokens + columns, total, mask=columns < tokens)


_row_product = TunedKernel(
    _row_kernel,
    [(16, 1, 2), (32, 1, 2), (32, 1, 4), (64, 1, 3), (64, 2, 3), (128, 4, 3)],
    ("tokens", "outputs"),
    {"BLOCK_Z": 64},
)


class RowLinear:
    """Sputnik's scheme: sparse rows on plain cores, each a program, the longest begun first."""

    def __init__(self, weight: Tensor) -> None:
        require_triton("a product with sparse rows")
        self.rows = _sparse_rows(weight)
        begins = self.rows.crow_indices()
        self.order = (begins[1:] - begins[:-1]).argsort(descending=True).int()

    def __call__(self, tokens: Tensor) -> Tensor:
        count, outputs = tokens.shape[0], self.rows.shape[0]
        out = tokens.new_empty((outputs, count))
        block = min(MOST_ROW_TOKENS, triton.next_power_of_2(count))
        parameters = (self.rows.values(), self.rows.col_indices(), self.rows.crow_indices(), self.order)
        grid = (outputs, triton.cdiv(count, block))
        _row_product(grid, tokens.t().contiguous(), out, *parameters, count, outputs, BLOCK_M=block)
        return out.t()

    def footprint(self) -> dict[str, int]:
        return {**_bytes_of_rows(self.rows), "weights": _bytes_of_rows(self.rows)["weights"] + self.order.nbytes}


class LibraryLinear:
    """torch's own product of sparse rows with a dense matrix."""

    def __init__(self, weight: Tensor) -> None:
        self.rows = _sparse_rows(weight)

    def __call__(self, tokens: Tensor) -> Tensor:
        product: Tensor = self.rows @ tokens.t()
        return product.t()

    def footprint(self) -> dict[str, int]:
        return _bytes_of_rows(self.rows)


def _sparse_rows(weight: Tensor) -> Tensor:
    """In torch's sparse rows with 32-bit indices."""
    rows = weight.to_sparse_csr()
    indices = rows.crow_indices().int(), rows.col_indices().int()
    return torch.sparse_csr_tensor(*indices, rows.values(), rows.shape, check_invariants=True)


def _bytes_of_rows(rows: Tensor) -> dict[str, int]:
    held = (rows.values(), rows.col_indices(), rows.crow_indices())
    return {"weights": sum(each.nbytes for each in held), "parameters": rows.values().numel()}


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> SparseLinear:
    return SparseLinear(weights["weight"])


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> RowLinear:
    return RowLinear(weights["weight"])


def make_library(axes: dict[str, int], weights: dict[str, Tensor]) -> LibraryLinear:
    return LibraryLinear(weights["weight"])


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Linear16:
    return Linear16(weights["weight"])


SUBJECTS = {
    "technique": make_technique,
    "paper": make_paper,
    "library": make_library,
    "eager": make_eager,
    "compiled": compiled(make_eager),
}
