"""A layer without a matrix product: pieces of a token pick rows from tables by their signs, and the rows are added up.

Source: "MemoryFormer: Minimize Transformer Computation by Removing Fully-Connected Layers" (2024), section 3.1.

A token x (features,) is cut into K = features / bits pieces z_k. The signs of a piece name a row of its table T_k
(2^bits, outputs), and the piece's size says how sure those signs are:
    y = sum_k p(z_k) T_k[signs of z_k]        p(z) = prod_i 1 / (1 + exp(-2 |z_i| / t))
p is the softmax, over all sign patterns s, of <z, s> / t at the pattern that was picked; through it the layer can be trained.

Operations: 2 features outputs / bits a token, 1 / bits of a dense layer's. Bytes: each token reads K rows of its own,
2 features outputs / bits bytes in 16 bits, and hardly two tokens share one, where a dense layer reads its
2 features outputs bytes once for all tokens. So with up to `bits` tokens the tables need less traffic, and with many
tokens they lose, because a matrix unit reuses what it reads and a table cannot. 4,096 to 4,096 features with 8 bits on
an H200 at 4.8 TB/s and 790 TFLOP/s: one token 4.2 MB (1 us, so that starting a kernel is what counts) against 34 MB
(7 us); 8 tokens 34 MB on both sides; 2,048 tokens pick every row eight times: 8.6 GB where each reads its own (1.8
ms), 1.1 GB (0.2 ms)
if a row were read once for all, against 69 GFLOP (0.09 ms). The tables take 2^bits /
bits = 32 times the bytes of the dense weight.

One kernel takes signs, sizes, rows and their sum; rows go from memory to registers once. With few tokens the pieces are
shared among programs so that the whole chip reads.
"""

# Kernels are typed by what they are launched with.
# ruff: noqa: ANN001, ANN201, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, linear, softplus

from runners.blocks.counting import CountedSubject
from runners.blocks.kernels import require_triton, tl, triton
from runners.blocks.ladder import compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand

TEMPERATURE = 1.0
# The definition holds the picked rows of so many tokens at once.
TOKENS_AT_ONCE = 64
PIECES_OF_A_TILE, COLUMNS_OF_A_TILE = 16, 256
ENOUGH_PROGRAMS = 512


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """tables (pieces, 2^bits, outputs), and dense (outputs, features) of the layer that they stand for."""
    features, outputs, bits = axes["features"], axes["outputs"], axes["bits"]
    if features % bits:
        raise ValueError(f"features is {features}; it must be a multiple of bits, {bits}")
    pieces = features // bits
    return {
        "tables": rand.gaussian(pieces, 2**bits, outputs, scale=pieces**-0.5),
        "dense": rand.gaussian(outputs, features, scale=features**-0.5),
    }


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.normal(axes["tokens"], axes["features"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Sums in float32; each row that some token picks once, where all rows are as likely."""
    tokens, features, outputs, rows = axes["tokens"], axes["features"], axes["outputs"], 2 ** axes["bits"]
    pieces = features // axes["bits"]
    picked = pieces * rows * (1 - (1 - 1 / rows) ** tokens)
    moved = picked * outputs + tokens * (features + outputs)
    return LeastWork({"float32": 2 * tokens * pieces * outputs}, BYTES[dtype] * moved)


def hashed(x: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Rows picked by the signs, int64 (tokens, pieces), bit i for a positive value i; and p, in float32 at least."""
    parts = x.unflatten(1, (-1, bits))
    row = ((parts > 0).long() << torch.arange(bits, device=x.device)).sum(-1)
    wide = parts.to(torch.promote_types(x.dtype, torch.float32))
    return row, (-softplus(wide.abs() * (-2 / TEMPERATURE)).sum(-1)).exp()


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> CountedSubject:
    """Rows picked, weighted and added up, a few tokens at a time."""
    tables = weights["tables"]
    pieces = torch.arange(len(tables), device=tables.device)

    def some(x: Tensor) -> Tensor:
        row, share = hashed(x, axes["bits"])
        return (share.to(x.dtype)[:, None] @ tables[pieces, row]).squeeze(1)

    return CountedSubject(lambda x: torch.cat([some(part) for part in x.split(TOKENS_AT_ONCE)]), (tables,))


def make_library(axes: dict[str, int], weights: dict[str, Tensor]) -> CountedSubject:
    """The library's kernel for sums of rows."""
    tables = weights["tables"]
    first_row = torch.arange(len(tables), device=tables.device) * tables.shape[1]
    flat = tables.flatten(0, 1)

    def add_rows(x: Tensor) -> Tensor:
        row, share = hashed(x, axes["bits"])
        return embedding_bag(row + first_row, flat, mode="sum", per_sample_weights=share.to(x.dtype))

    return CountedSubject(add_rows, (tables,), counted_by=make_eager(axes, weights).run)


def make_dense(axes: dict[str, int], weights: dict[str, Tensor]) -> CountedSubject:
    """The fully-connected layer that is removed; another function."""
    return CountedSubject(lambda x: linear(x, weights["dense"]), (weights["dense"],))


def sum_of_rows(x: Tensor, tables: Tensor) -> Tensor:
    """x (tokens, features) to (tokens, outputs), by the kernel."""
    pieces, rows, outputs = tables.shape
    tokens, bits = x.shape[0], rows.bit_length() - 1
    tiles = triton.cdiv(outputs, COLUMNS_OF_A_TILE)
    steps = triton.cdiv(pieces, PIECES_OF_A_TILE)
    steps_each = triton.cdiv(steps, min(steps, max(1, ENOUGH_PROGRAMS // (tokens * tiles))))
    splits = triton.cdiv(steps, steps_each)
    sums = x.new_empty(splits, tokens, outputs, dtype=x.dtype if splits == 1 else torch.float32)
    rows_program[(tokens, tiles, splits)](
        x.contiguous(), tables, sums, tokens, pieces, outputs, steps_each, -2.0 / TEMPERATURE,
        BITS=bits, BITS_BLOCK=triton.next_power_of_2(bits),
        PIECES=PIECES_OF_A_TILE, COLUMNS=COLUMNS_OF_A_TILE, num_warps=4,
    )  # fmt: skip
    return sums[0] if splits == 1 else sums.sum(0).to(x.dtype)


@triton.jit
def rows_program(
    X, Tables, Sums, tokens, pieces, outputs, steps_each, slope,
    BITS: tl.constexpr, BITS_BLOCK: tl.constexpr, PIECES: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """COLUMNS outputs of one token over one share of its pieces. Sums: (shares, tokens, outputs)."""
    token, share = tl.program_id(0).to(tl.int64), tl.program_id(2)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    wanted = columns < outputs
    bit = tl.arange(0, BITS_BLOCK)
    total = tl.zeros([PIECES, COLUMNS], dtype=tl.float32)
    for step in range(share * steps_each, (share + 1) * steps_each):
        piece = step * PIECES + tl.arange(0, PIECES)
        present = piece < pieces
        inside = present[:, None] & (bit < BITS)[None, :]
        values = tl.load(X + token * pieces * BITS + piece[:, None] * BITS + bit[None, :], mask=inside, other=0.0)
        values = values.to(tl.float32)
        picked = tl.sum(tl.where(values > 0, 1 << bit[None, :], 0), 1)
        unsure = tl.where(inside, tl.log(1.0 + tl.exp(tl.abs(values) * slope)), 0.0)
        weight = tl.exp(-tl.sum(unsure, 1))
        rows = (piece.to(tl.int64) * (1 << BITS) + picked) * outputs
        pointers = Tables + rows[:, None] + columns[None, :]
        row = tl.load(pointers, mask=present[:, None] & wanted[None, :], other=0.0)
        total += weight[:, None] * row.to(tl.float32)
    out = Sums + (share * tokens + token) * outputs + columns
    tl.store(out, tl.sum(total, 0).to(Sums.dtype.element_ty), mask=wanted)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> CountedSubject:
    tables = weights["tables"]
    if not tables.is_cuda:
        return make_library(axes, weights)
    require_triton("MemoryFormer")
    return CountedSubject(lambda x: sum_of_rows(x, tables), (tables,), counted_by=make_eager(axes, weights).run)


SUBJECTS = {
    "technique": make_technique,
    "eager": make_eager,
    "compiled": compiled(make_eager),
    "library": make_library,
    "dense": make_dense,
}
