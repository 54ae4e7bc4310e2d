"""How much attention falls on each block of keys, token by token: what a choice of blocks can be made from.

    lse_i     = log2 sum_j 2^(s_ij)               the denominators of a softmax, with s the scaled scores in base 2
    mass_ab   = sum over queries i of block a and keys j of block b of 2^(s_ij - lse_i)

`row_lse` computes the first without touching values, `block_mass` the second from denominators that are known, in one
pass over the scores. Neither stores a score: 2 * seq^2 * dim operations a head each (half that where causal), which is half
of what attention itself takes. Queries are (batch, heads, seq, dim), keys (batch, key heads, seq, dim).
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

import math

import torch
from torch import Tensor

from runners.blocks.attention import LOG2_E, TunedKernel, load_tile, tile_constants, visible
from runners.blocks.block_sparse import check_grouped_inputs
from runners.blocks.kernels import require_triton, tl, triton

# Queries whose scores the PyTorch form holds at a time.
ROWS = 512


@triton.jit
def _fold_lse(
    row_sum, row_max, q, k_base, queries, first, last, seq, scale_log2,
    CAUSAL: tl.constexpr, MASKED: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Adds the keys first..last to the running sum of exponentials of one tile of queries."""
    columns = tl.arange(0, BLOCK_D)
    for start in range(first, last, BLOCK_N):
        keys = start + tl.arange(0, BLOCK_N)
        k = load_tile(k_base, keys, columns, seq, DIM, BLOCK_D, MASKED)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale_log2
        if MASKED:
            scores = tl.where(visible(queries, keys, seq, CAUSAL), scores, float("-inf"))
        new_max = tl.maximum(row_max, tl.max(scores, 1))
        row_sum = row_sum * tl.math.exp2(row_max - new_max) + tl.sum(tl.math.exp2(scores - new_max[:, None]), 1)
        row_max = new_max
    return row_sum, row_max


@triton.jit
def _row_lse_kernel(
    Q, K, Lse, seq, group, scale_log2,
    CAUSAL: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Denominators of one tile of queries."""
    tile = tl.program_id(0)
    if CAUSAL:
        tile = tl.num_programs(0) - 1 - tile  # later queries read more keys: they start first
    first_query = tile * BLOCK_M
    head = tl.program_id(1).to(tl.int64)
    queries = first_query + tl.arange(0, BLOCK_M)
    columns = tl.arange(0, BLOCK_D)
    q = load_tile(Q + head * seq * DIM, queries, columns, seq, DIM, BLOCK_D, True)
    k_base = K + head // group * seq * DIM
    row_sum = tl.zeros([BLOCK_M], dtype=tl.float32)
    row_max = tl.full([BLOCK_M], float("-inf"), dtype=tl.float32)
    unmasked, last = seq // BLOCK_N * BLOCK_N, seq
    if CAUSAL:
        unmasked, last = first_query // BLOCK_N * BLOCK_N, tl.minimum(first_query + BLOCK_M, seq)
    row_sum, row_max = _fold_lse(
        row_sum, row_max, q, k_base, queries, 0, unmasked, seq, scale_log2, CAUSAL, False, DIM, BLOCK_D, BLOCK_N)  # fmt: skip
    row_sum, row_max = _fold_lse(
        row_sum, row_max, q, k_base, queries, unmasked, last, seq, scale_log2, CAUSAL, True, DIM, BLOCK_D, BLOCK_N)  # fmt: skip
    tl.store(Lse + head * seq + queries, row_max + tl.math.log2(row_sum), mask=queries < seq)


@triton.jit
def _tile_mass(
    q, k_base, lse, queries, block, seq, scale_log2,
    CAUSAL: tl.constexpr, MASKED: tl.constexpr, SIZE: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    keys = block * SIZE + tl.arange(0, SIZE)
    k = load_tile(k_base, keys, tl.arange(0, BLOCK_D), seq, DIM, BLOCK_D, MASKED)
    shares = tl.math.exp2(tl.dot(q, tl.trans(k), input_precision="ieee") * scale_log2 - lse[:, None])
    if MASKED:
        shares = tl.where(visible(queries, keys, seq, CAUSAL), shares, 0.0)
    return tl.sum(tl.sum(shares, 1), 0)


@triton.jit
def _block_mass_kernel(
    Q, K, Lse, Mass, seq, blocks, group, scale_log2,
    CAUSAL: tl.constexpr, SIZE: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr,
):  # fmt: skip
    """One row of the mass: all key blocks for one block of queries. What lies ahead is left as it was: zero."""
    row = tl.program_id(0)
    if CAUSAL:
        row = tl.num_programs(0) - 1 - row
    head = tl.program_id(1).to(tl.int64)
    queries = row * SIZE + tl.arange(0, SIZE)
    q = load_tile(Q + head * seq * DIM, queries, tl.arange(0, BLOCK_D), seq, DIM, BLOCK_D, True)
    lse = tl.load(Lse + head * seq + queries, mask=queries < seq, other=float("inf"))  # no share for rows past the end
    k_base = K + head // group * seq * DIM
    mass_base = Mass + (head * blocks + row) * blocks
    last = blocks - 1
    if CAUSAL:
        last = row
    for block in range(0, last):
        mass = _tile_mass(q, k_base, lse, queries, block, seq, scale_log2, CAUSAL, False, SIZE, DIM, BLOCK_D)
        tl.store(mass_base + block, mass)
    mass = _tile_mass(q, k_base, lse, queries, last, seq, scale_log2, CAUSAL, True, SIZE, DIM, BLOCK_D)
    tl.store(mass_base + last, mass)


_row_lse = TunedKernel(_row_lse_kernel, [(128, 64, 8, 3), (128, 64, 4, 3), (128, 128, 8, 3), (64, 64, 4, 3)])


def row_lse(q: Tensor, k: Tensor, *, causal: bool, kernels: bool | None = None) -> Tensor:
    """Base-2 logarithm of the softmax denominators, (batch, heads, seq); float32 from the kernel."""
    batch, heads, seq, dim = q.shape
    scale_log2 = LOG2_E / math.sqrt(dim)
    if q.is_cuda if kernels is None else kernels:
        require_triton("the denominators of attention")
        check_grouped_inputs(q, k, k, 64)
        q, k = q.contiguous(), k.contiguous()
        lse = torch.empty((batch, heads, seq), dtype=torch.float32, device=q.device)
        _row_lse(
            lambda meta: (triton.cdiv(seq, meta["BLOCK_M"]), batch * heads),
            q, k, lse, seq, heads // k.shape[1], scale_log2, **tile_constants(dim, causal))  # fmt: skip
        return lse
    parts = [scores.logsumexp(-1) for _, scores in _score_rows(q, k, causal)]
    return torch.cat(parts, dim=-1) * LOG2_E


def block_mass(q: Tensor, k: Tensor, lse: Tensor, size: int, *, causal: bool, kernels: bool | None = None) -> Tensor:
    """Attention that each block of `size` keys gets from each block of queries: (batch, heads, blocks, blocks)."""
    batch, heads, seq, dim = q.shape
    blocks = triton.cdiv(seq, size)
    if q.is_cuda if kernels is None else kernels:
        require_triton("attention by blocks")
        check_grouped_inputs(q, k, k, size)
        q, k = q.contiguous(), k.contiguous()
        mass = torch.zeros((batch, heads, blocks, blocks), dtype=torch.float32, device=q.device)
        _block_mass_kernel[blocks, batch * heads](
            q, k, lse.contiguous(), mass, seq, blocks, heads // k.shape[1], LOG2_E / math.sqrt(dim),
            SIZE=size, num_warps=8 if size > 64 else 4, num_stages=3, **tile_constants(dim, causal))  # fmt: skip
        return mass
    fill = blocks * size - seq
    rows = []
    for queries, scores in _score_rows(q, k, causal):
        shares = torch.exp2(scores * LOG2_E - lse[..., queries, None])
        summed = (
            torch.nn.functional.pad(shares, (0, blocks * size - shares.shape[-1])).unflatten(-1, (-1, size)).sum(-1)
        )
        rows.append(summed)
    by_row = torch.nn.functional.pad(torch.cat(rows, dim=2), (0, 0, 0, fill))
    return by_row.unflatten(2, (-1, size)).sum(3)


def last_query_attention(q: Tensor, k: Tensor, count: int) -> Tensor:
    """Mean softmax of the last `count` queries over all keys, causal: float32 (batch, heads, seq).

    These few rows are held in memory: batch * heads * count * seq scores.
    """
    seq = q.shape[2]
    last = min(count, seq)
    queries = (q[:, :, seq - last :] / math.sqrt(q.shape[-1])).unflatten(1, (k.shape[1], -1)).flatten(2, 3)
    scores = (queries @ k.transpose(-1, -2)).unflatten(2, (-1, last)).flatten(1, 2)
    ahead = torch.ones(last, last, dtype=torch.bool, device=q.device).triu(1)
    scores[..., seq - last :].masked_fill_(ahead, -math.inf)
    return scores.softmax(-1, dtype=torch.float32).mean(dim=2)


def _score_rows(q: Tensor, k: Tensor, causal: bool):
    """Scaled scores of ROWS queries at a time, (batch, heads, rows, keys); keys end with the last query where causal."""
    seq, scale = q.shape[2], 1 / math.sqrt(q.shape[-1])
    k = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
    place = torch.arange(seq, device=q.device)
    for start in range(0, seq, ROWS):
        stop = min(seq, start + ROWS)
        keys = stop if causal else seq
        scores = q[:, :, start:stop] @ k[:, :, :keys].transpose(-1, -2) * scale
        if causal:
            scores = scores.masked_fill(place[:keys] > place[start:stop, None], float("-inf"))
        yield slice(start, stop), scores
