"""Exact attention in tiles that never leave the chip: softmax(q k^T / sqrt(dim)) v, full or causal, with gradients.

Source: "FlashAttention-2: Faster Attention with Better Parallelism and Work Partitioning" (2023), algorithms 1 and 2;
the rung "paper" is "FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness" (2022).

Shapes: q, k, v and the output are (batch, heads, seq, dim), dim at most 128; axis `causal` is 0 or 1.

Work and traffic, with n = batch * heads * seq (halve the operations where causal):
  * forward: 4 * n * seq * dim operations; four tensors of n * dim elements move;
  * backward: 14 * n * seq * dim operations here (10 if dq shared the tiles of dk and dv); twelve such tensors move;
  * eager attention writes and reads n * seq scores about four times forward, and more than that backward.
Batch 4, heads 16, seq 4096, dim 128, bfloat16, causal: 0.27 + 0.96 TFLOP forward and backward, 1.6 ms on an H200 at
790 TFLOP/s (0.27 + 0.69 and 1.2 ms with shared tiles); its traffic of 1.1 GB would take 0.2 ms at 4.8 TB/s. Tensor
cores bind; what matters is to feed them.

Forward alone, batch 2, heads 32, seq 8192, dim 128, causal, 1.1 TFLOP, took on an H200 2.2 ms in the best tile here (490
TFLOP/s), 3.2 ms in PyTorch's own FlashAttention-2 (340) and 1.7 ms in cuDNN (637), which is PyTorch's choice there and the
rung "library": it uses what Hopper added (asynchronous products of a whole warp group, the tensor memory accelerator,
warps that only load), and of which this algorithm knows nothing. Expect to lose to it by a fourth.

Why it should beat its first version:
  * one program for each (block of queries, head, batch) instead of one for each (head, batch): 2,048 programs instead
    of 64 at the sizes above, for 132 multiprocessors;
  * the output accumulator and the softmax statistics stay in registers for a whole row; the first version reads and
    writes them in memory for every block of keys;
  * the accumulator is divided by the row sum once at the end, not at every block, exponentials are base 2 with the
    scale folded into one fused multiply-add, and only tiles cut by the diagonal or the end of the sequence are masked.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917, E741
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from runners.blocks.attention import (
    LARGEST_BLOCK,
    LOG2_E,
    FirstFlashAttention,
    TunedKernel,
    check_attention_inputs,
    key_gradient_kernel,
    load_tile,
    row_delta,
    store_tile,
    tile_constants,
    visible,
)
from runners.blocks.kernels import require_triton, tl, triton
from runners.blocks.ladder import Subject, compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand

# In the order in which they are asked.
WITHOUT_CUDNN = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


@triton.jit
def _attend(
    acc, row_sum, row_max, q, k_base, v_base, queries, first, last, seq, scale_log2,
    CAUSAL: tl.constexpr, MASKED: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Folds the keys first..last into the unnormalised output of one block of queries (online softmax)."""
    columns = tl.arange(0, BLOCK_D)
    for start in range(first, last, BLOCK_N):
        keys = start + tl.arange(0, BLOCK_N)
        k = load_tile(k_base, keys, columns, seq, DIM, BLOCK_D, MASKED)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee")
        if MASKED:
            scores = tl.where(visible(queries, keys, seq, CAUSAL), scores, float("-inf"))
        new_max = tl.maximum(row_max, tl.max(scores, 1) * scale_log2)
        p = tl.math.exp2(scores * scale_log2 - new_max[:, None])
        shrink = tl.math.exp2(row_max - new_max)
        row_sum = row_sum * shrink + tl.sum(p, 1)
        v = load_tile(v_base, keys, columns, seq, DIM, BLOCK_D, MASKED)
        acc = tl.dot(p.to(v.dtype), v, acc * shrink[:, None], input_precision="ieee")
        row_max = new_max
    return acc, row_sum, row_max


@triton.jit
def _key_ranges(first_query, seq, CAUSAL: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    """(a, b): for this block of queries the keys 0..a need no mask and a..b do."""
    if CAUSAL:
        return first_query // BLOCK_N * BLOCK_N, tl.minimum(first_query + BLOCK_M, seq)
    else:
        return seq // BLOCK_N * BLOCK_N, seq


@triton.jit
def _query_block(seq, CAUSAL: tl.constexpr, BLOCK_M: tl.constexpr):
    """First query of this program: where causal, the blocks with most keys start first, so that none trails alone."""
    block = tl.program_id(0)
    if CAUSAL:
        block = tl.num_programs(0) - 1 - block
    return block * BLOCK_M


@triton.jit
def _forward_kernel(
    Q, K, V, O, Lse, seq, scale_log2,
    CAUSAL: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Output of one block of queries, and the base-2 logarithm of its softmax denominators for the backward pass."""
    first_query = _query_block(seq, CAUSAL, BLOCK_M)
    head = tl.program_id(1).to(tl.int64) * seq
    queries = first_query + tl.arange(0, BLOCK_M)
    columns = tl.arange(0, BLOCK_D)
    q = load_tile(Q + head * DIM, queries, columns, seq, DIM, BLOCK_D, True)
    acc = tl.zeros([BLOCK_M, BLOCK_D], dtype=tl.float32)
    row_sum = tl.zeros([BLOCK_M], dtype=tl.float32)
    row_max = tl.full([BLOCK_M], float("-inf"), dtype=tl.float32)
    unmasked, end = _key_ranges(first_query, seq, CAUSAL, BLOCK_M, BLOCK_N)
    acc, row_sum, row_max = _attend(
        acc, row_sum, row_max, q, K + head * DIM, V + head * DIM, queries, 0, unmasked, seq, scale_log2,
        CAUSAL, False, DIM, BLOCK_D, BLOCK_N)  # fmt: skip
    acc, row_sum, row_max = _attend(
        acc, row_sum, row_max, q, K + head * DIM, V + head * DIM, queries, unmasked, end, seq, scale_log2,
        CAUSAL, True, DIM, BLOCK_D, BLOCK_N)  # fmt: skip
    store_tile(O + head * DIM, acc / row_sum[:, None], queries, columns, seq, DIM)
    tl.store(Lse + head + queries, row_max + tl.math.log2(row_sum), mask=queries < seq)


@triton.jit
def _gather_query_gradients(
    dq, q, do, lse, delta, k_base, v_base, queries, first, last, seq, scale_log2,
    CAUSAL: tl.constexpr, MASKED: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Adds what the keys first..last contribute to dq of one block of queries."""
    columns = tl.arange(0, BLOCK_D)
    for start in range(first, last, BLOCK_N):
        keys = start + tl.arange(0, BLOCK_N)
        k = load_tile(k_base, keys, columns, seq, DIM, BLOCK_D, MASKED)
        v = load_tile(v_base, keys, columns, seq, DIM, BLOCK_D, MASKED)
        p = tl.math.exp2(tl.dot(q, tl.trans(k), input_precision="ieee") * scale_log2 - lse[:, None])
        if MASKED:
            p = tl.where(visible(queries, keys, seq, CAUSAL), p, 0.0)
        dp = tl.dot(do, tl.trans(v), input_precision="ieee")
        ds = (p * (dp - delta[:, None])).to(k.dtype)
        dq = tl.dot(ds, k, dq, input_precision="ieee")
    return dq


@triton.jit
def _query_gradient_kernel(
    Q, K, V, DO, Lse, Delta, DQ, seq, scale, scale_log2,
    CAUSAL: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """dq of one block of queries; computes the score tiles once more instead of adding to dq in memory atomically."""
    first_query = _query_block(seq, CAUSAL, BLOCK_M)
    head = tl.program_id(1).to(tl.int64) * seq
    queries = first_query + tl.arange(0, BLOCK_M)
    columns = tl.arange(0, BLOCK_D)
    q = load_tile(Q + head * DIM, queries, columns, seq, DIM, BLOCK_D, True)
    do = load_tile(DO + head * DIM, queries, columns, seq, DIM, BLOCK_D, True)
    lse = tl.load(Lse + head + queries, mask=queries < seq, other=0.0)
    delta = tl.load(Delta + head + queries, mask=queries < seq, other=0.0)
    dq = tl.zeros([BLOCK_M, BLOCK_D], dtype=tl.float32)
    unmasked, end = _key_ranges(first_query, seq, CAUSAL, BLOCK_M, BLOCK_N)
    dq = _gather_query_gradients(
        dq, q, do, lse, delta, K + head * DIM, V + head * DIM, queries, 0, unmasked, seq, scale_log2,
        CAUSAL, False, DIM, BLOCK_D, BLOCK_N)  # fmt: skip
    dq = _gather_query_gradients(
        dq, q, do, lse, delta, K + head * DIM, V + head * DIM, queries, unmasked, end, seq, scale_log2,
        CAUSAL, True, DIM, BLOCK_D, BLOCK_N)  # fmt: skip
    store_tile(DQ + head * DIM, dq * scale, queries, columns, seq, DIM)


# (queries, keys, warps, stages). Those that were best of nine on an H200, and one that suits a chip with less shared memory.
_forward = TunedKernel(
    _forward_kernel,
    [(128, 64, 8, 3), (128, 128, 8, 3), (64, 64, 4, 3), (128, 64, 4, 2)],
)
_key_gradient = TunedKernel(
    key_gradient_kernel,
    [(64, 64, 4, 2), (64, 128, 8, 2), (64, 128, 8, 1)],
)
_query_gradient = TunedKernel(
    _query_gradient_kernel,
    [(128, 64, 8, 3), (128, 128, 8, 2), (64, 64, 4, 2)],
)


class FlashAttention2(torch.autograd.Function):
    """apply(q, k, v, causal) -> (batch, heads, seq, dim); keeps q, k, v, the output and one float32 for each row."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
        check_attention_inputs(q, k, v)
        q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
        batch, heads, seq, dim = q.shape
        o = torch.empty_like(q)
        lse = torch.empty((batch, heads, seq), dtype=torch.float32, device=q.device)
        _forward(
            lambda meta: (triton.cdiv(seq, meta["BLOCK_M"]), batch * heads),
            q, k, v, o, lse, seq, LOG2_E / math.sqrt(dim), **tile_constants(dim, causal))  # fmt: skip
        ctx.save_for_backward(q, k, v, o, lse)
        ctx.causal = causal
        return o

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, o, lse = ctx.saved_tensors
        batch, heads, seq, dim = q.shape
        do = cotangents[0].contiguous()
        delta = row_delta(o, do)
        dq, dk, dv = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        scale = 1 / math.sqrt(dim)
        constants = tile_constants(dim, ctx.causal)
        _key_gradient(
            lambda meta: (triton.cdiv(seq, meta["BLOCK_N"]), batch * heads),
            q, k, v, do, lse, delta, None, dk, dv, seq, scale, scale * LOG2_E,
            EVEN=seq % LARGEST_BLOCK == 0, **constants)  # fmt: skip
        _query_gradient(
            lambda meta: (triton.cdiv(seq, meta["BLOCK_M"]), batch * heads),
            q, k, v, do, lse, delta, dq, seq, scale, scale * LOG2_E, **constants)  # fmt: skip
        return dq, dk, dv, None


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    shape = (axes["batch"], axes["heads"], axes["seq"], axes["dim"])
    return rand.normal(*shape), rand.normal(*shape), rand.normal(*shape)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Five products a backward pass where the kernels here take seven; each tensor once."""
    elements = axes["batch"] * axes["heads"] * axes["seq"] * axes["dim"]
    products = (14 if backward else 4) * elements * axes["seq"] // (2 if axes["causal"] else 1)
    return LeastWork({dtype: products}, BYTES[dtype] * elements * (8 if backward else 4))


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    require_triton("FlashAttention-2")
    causal = bool(axes["causal"])
    return lambda q, k, v: FlashAttention2.apply(q, k, v, causal)


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    require_triton("the first FlashAttention")
    causal = bool(axes["causal"])
    return lambda q, k, v: FirstFlashAttention.apply(q, k, v, causal)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The definition, with every score in memory."""
    causal = bool(axes["causal"])

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        if causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
            scores = scores.masked_fill(later, float("-inf"))
        return torch.softmax(scores, dim=-1) @ v

    return attend


def make_library(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    causal = bool(axes["causal"])
    return lambda q, k, v: torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)


def make_flash(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The library without cuDNN: its own FlashAttention-2, or what it has else where that does not run (in float32)."""
    attend = make_library(axes, weights)

    def attend_without_cudnn(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        with sdpa_kernel(WITHOUT_CUDNN, set_priority=True):
            output: Tensor = attend(q, k, v)
        return output

    return attend_without_cudnn


SUBJECTS = {
    "technique": make_technique,
    "paper": make_paper,
    "eager": make_eager,
    "compiled": compiled(make_eager),
    "library": make_library,
    "flash": make_flash,
}
