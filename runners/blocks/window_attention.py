"""Causal attention that sees the first `sink` and the latest `window` tokens only, as one kernel that skips the rest.

q (batch, heads, seq, dim), k and v (batch, kv_heads, seq, dim): query i sees key j where j <= i and (j < sink or
i - j < window). The forward kernel is FlashAttention-2's with other ranges of keys: a block of queries reads the tiles
that hold sinks and those of its window; only tiles that a border cuts are masked.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN201, ANN202, PLR0917, E741
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

import math

import torch
from torch import Tensor

from runners.blocks.attention import LOG2_E, TunedKernel, check_attention_inputs, load_tile, store_tile, tile_constants
from runners.blocks.decoder import attention
from runners.blocks.kernels import require_triton, tl, triton

# Queries that the masked form takes at once: a mask of all queries by all keys need not fit into memory.
QUERIES_AT_ONCE = 1024


def window_mask(queries: Tensor, keys: Tensor, sink: int, window: int) -> Tensor:
    """Which of the keys at positions (n,) the queries at positions (m,) see: boolean (m, n)."""
    distance = queries[:, None] - keys[None, :]
    return (distance >= 0) & ((keys < sink)[None, :] | (distance < window))


def masked_window_attention(q: Tensor, k: Tensor, v: Tensor, sink: int, window: int) -> Tensor:
    """The definition: all scores are computed and a mask hides those that do not count. Any dtype."""
    positions = torch.arange(q.shape[2], device=q.device)
    blocks = zip(q.split(QUERIES_AT_ONCE, dim=2), positions.split(QUERIES_AT_ONCE), strict=True)
    rows = [attention(each, k, v, mask=window_mask(at, positions, sink, window)) for each, at in blocks]
    return torch.cat(rows, dim=2)


@triton.jit
def _fold(
    acc, row_sum, row_max, q, k_base, v_base, queries, first, last, seq, sink, window, scale_log2,
    MASKED: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Folds the keys first..last into the unnormalised output of one block of queries (online softmax)."""
    columns = tl.arange(0, BLOCK_D)
    for start in range(first, last, BLOCK_N):
        keys = start + tl.arange(0, BLOCK_N)
        k = load_tile(k_base, keys, columns, seq, DIM, BLOCK_D, MASKED)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale_log2
        if MASKED:
            distance = queries[:, None] - keys[None, :]
            seen = (distance >= 0) & ((keys < sink)[None, :] | (distance < window)) & (keys < seq)[None, :]
            scores = tl.where(seen, scores, float("-inf"))
        new_max = tl.maximum(row_max, tl.max(scores, 1))
        shift = new_max
        if MASKED:
            # A row that has seen nothing yet: zero instead of infinity minus infinity.
            shift = tl.where(new_max == float("-inf"), 0.0, new_max)
        p = tl.math.exp2(scores - shift[:, None])
        shrink = tl.math.exp2(row_max - shift)
        row_sum = row_sum * shrink + tl.sum(p, 1)
        v = load_tile(v_base, keys, columns, seq, DIM, BLOCK_D, MASKED)
        acc = tl.dot(p.to(v.dtype), v, acc * shrink[:, None], input_precision="ieee")
        row_max = new_max
    return acc, row_sum, row_max


@triton.jit
def window_kernel(
    Q, K, V, O, seq, group, sink, window, scale_log2,
    CAUSAL: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """One block of queries of one head; key heads serve `group` query heads each. CAUSAL is always true."""
    first_query = tl.program_id(0) * BLOCK_M
    head = tl.program_id(1).to(tl.int64)
    q_base, kv_base = head * seq * DIM, head // group * seq * DIM
    queries = first_query + tl.arange(0, BLOCK_M)
    columns = tl.arange(0, BLOCK_D)
    q = load_tile(Q + q_base, queries, columns, seq, DIM, BLOCK_D, True)
    acc = tl.zeros([BLOCK_M, BLOCK_D], dtype=tl.float32)
    row_sum = tl.zeros([BLOCK_M], dtype=tl.float32)
    row_max = tl.full([BLOCK_M], float("-inf"), dtype=tl.float32)
    end = tl.minimum(first_query + BLOCK_M, seq)
    # Tiles with sinks; then the window: cut on its left by the last query, whole, cut on its right by the diagonal.
    sinks_end = tl.minimum((sink + BLOCK_N - 1) // BLOCK_N * BLOCK_N, (end + BLOCK_N - 1) // BLOCK_N * BLOCK_N)
    left = tl.maximum(tl.maximum(first_query - window + 1, 0) // BLOCK_N * BLOCK_N, sinks_end)
    diagonal = tl.maximum(first_query // BLOCK_N * BLOCK_N, left)
    whole = (tl.maximum(first_query + BLOCK_M - window, 0) + BLOCK_N - 1) // BLOCK_N * BLOCK_N
    whole = tl.minimum(tl.maximum(whole, left), diagonal)
    acc, row_sum, row_max = _fold(
        acc, row_sum, row_max, q, K + kv_base, V + kv_base, queries, 0, sinks_end, seq, sink, window, scale_log2,
        True, DIM, BLOCK_D, BLOCK_N)  # fmt: skip
    acc, row_sum, row_max = _fold(
        acc, row_sum, row_max, q, K + kv_base, V + kv_base, queries, left, whole, seq, sink, window, scale_log2,
        True, DIM, BLOCK_D, BLOCK_N)  # fmt: skip
    acc, row_sum, row_max = _fold(
        acc, row_sum, row_max, q, K + kv_base, V + kv_base, queries, whole, diagonal, seq, sink, window, scale_log2,
        False, DIM, BLOCK_D, BLOCK_N)  # fmt: skip
    acc, row_sum, row_max = _fold(
        acc, row_sum, row_max, q, K + kv_base, V + kv_base, queries, diagonal, end, seq, sink, window, scale_log2,
        True, DIM, BLOCK_D, BLOCK_N)  # fmt: skip
    store_tile(O + q_base, acc / row_sum[:, None], queries, columns, seq, DIM)


_window = TunedKernel(window_kernel, [(128, 64, 8, 3), (128, 128, 8, 2), (128, 64, 4, 3), (64, 64, 4, 3)])


def window_attention(q: Tensor, k: Tensor, v: Tensor, sink: int, window: int) -> Tensor:
    """The kernel; float16, bfloat16 or float32, forward only. Shapes as in the module's docstring."""
    require_triton("attention over a window")
    check_attention_inputs(q, q, q)
    check_attention_inputs(k, k, v)
    if sink < 0 or window < 1 or q.shape[1] % k.shape[1] or q.shape[2] != k.shape[2]:
        raise ValueError(f"sink {sink}, window {window}, q {tuple(q.shape)} and k {tuple(k.shape)} do not go together")
    q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
    output = torch.empty_like(q)
    batch, heads, seq, dim = q.shape

    def grid(meta: dict[str, int]) -> tuple[int, int]:
        return triton.cdiv(seq, meta["BLOCK_M"]), batch * heads

    scale_log2 = LOG2_E / math.sqrt(dim)
    _window(grid, q, k, v, output, seq, heads // k.shape[1], sink, window, scale_log2, **tile_constants(dim, True))
    return output
