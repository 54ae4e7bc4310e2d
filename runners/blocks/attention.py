"""Parts that attention kernels share: tiles of contiguous matrices, tuned launches, and the first FlashAttention.

The first FlashAttention is a baseline: the papers that follow it compare with it. Here it is the algorithm of
"FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness" (2022) in Triton: one program for each
head of each batch entry, keys in the outer loop, queries in the inner one, and the output with its softmax statistics
kept in memory and normalised at every step. Tensors are (batch, heads, seq, dim), dim at most 128.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN201, ANN202, PLR0917, E741
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from runners.blocks.kernels import TUNERS, has_triton, interpreted, tl, triton

MAX_DIM = 128
# Every tuned block divides this: a sequence that is a multiple of it has no ragged tile, whatever the tuner picks.
LARGEST_BLOCK = 128
LOG2_E = math.log2(math.e)
# The interpreter cannot tune; unequal blocks so that checks meet every case of overlap with the diagonal.
INTERPRETER_BLOCKS = {"BLOCK_M": 32, "BLOCK_N": 16}
WORTH_TUNING_BYTES = 32 * 2**20


class TunedKernel:
    """A kernel whose blocks are tuned once for each value of `key` (names of its arguments) where a GPU runs it.

    Such a kernel overwrites its outputs, so that the tuner's repeated launches leave them right; arguments that it adds
    to are named in `sums`: they must be zeros at the launch, and the tuner makes them so again.

    Two cases are not tuned, since compiling every tile would take far longer than what it is for. Small problems take the
    first tile that fits on the chip. Products in full float32 take the interpreter's blocks: without tensor cores a
    compiler unrolls a large tile into tens of thousands of instructions, which was seen to take half a minute a tile.
    """

    def __init__(
        self,
        kernel: Any,
        tiles: Sequence[tuple[int, ...]],
        key: tuple[str, ...] = ("seq", "DIM", "CAUSAL"),
        interpreter: dict[str, int] = INTERPRETER_BLOCKS,
        sums: tuple[str, ...] = (),
    ) -> None:
        """tiles: (blocks..., warps, pipeline stages) to choose from; `interpreter` names the blocks, and is used there."""
        self._kernel, self._blocks = kernel, interpreter
        self._tiles: list[dict[str, int]] = []
        if has_triton() and not interpreted():
            named = [(dict(zip(interpreter, each, strict=False)), each[-2], each[-1]) for each in tiles]
            self._tiles = [{**blocks, "num_warps": warps, "num_stages": stages} for blocks, warps, stages in named]
            configs = [triton.Config(blocks, num_warps=warps, num_stages=stages) for blocks, warps, stages in named]
            self._tuned = triton.autotune(configs=configs, key=list(key), reset_to_zero=list(sums))(kernel)
            TUNERS.append(self._tuned)

    def __call__(self, grid: Any, *arguments: Any, **constants: Any) -> None:
        tensors = [each for each in arguments if isinstance(each, Tensor)]
        if not self._tiles or tensors[0].dtype == torch.float32:
            self._kernel[grid](*arguments, **constants, **self._blocks)
        elif sum(each.nbytes for each in tensors) < WORTH_TUNING_BYTES:
            self._launch_first_that_fits(grid, arguments, constants)
        else:
            self._tuned[grid](*arguments, **constants)

    def _launch_first_that_fits(self, grid: Any, arguments: tuple[Any, ...], constants: dict[str, Any]) -> None:
        *others, last = self._tiles
        for tile in others:
            with contextlib.suppress(triton.OutOfResources):
                self._kernel[grid](*arguments, **constants, **tile)
                return
        self._kernel[grid](*arguments, **constants, **last)


def check_attention_inputs(q: Tensor, k: Tensor, v: Tensor) -> None:
    """Raises ValueError unless q, k and v have one shape (batch, heads, seq, dim) and one dtype that kernels take."""
    if q.dim() != 4 or not (q.shape == k.shape == v.shape):
        raise ValueError(f"q, k, v must share one shape (batch, heads, seq, dim); got {q.shape}, {k.shape}, {v.shape}")
    if q.shape[-1] > MAX_DIM:
        raise ValueError(f"dim is {q.shape[-1]}; these kernels hold at most {MAX_DIM} columns on chip")
    if q.dtype not in (torch.float16, torch.bfloat16, torch.float32) or not (q.dtype == k.dtype == v.dtype):
        raise ValueError(f"q, k, v must be float16, bfloat16 or float32 alike; got {q.dtype}, {k.dtype}, {v.dtype}")
    if interpreted() and q.dtype == torch.bfloat16:
        raise ValueError("Triton's interpreter multiplies bfloat16 tiles wrongly; check in float32 or float16 there")


def tile_constants(dim: int, causal: bool) -> dict[str, Any]:
    """The compile-time constants that every attention kernel takes; tensor cores want at least 16 columns."""
    return {"CAUSAL": causal, "DIM": dim, "BLOCK_D": max(16, triton.next_power_of_2(dim))}


@triton.jit
def tile_mask(rows, seq, columns, DIM: tl.constexpr):
    return (rows < seq)[:, None] & (columns < DIM)[None, :]


@triton.jit
def load_tile(base, rows, columns, seq, DIM: tl.constexpr, BLOCK_D: tl.constexpr, BOUND: tl.constexpr):
    """Rows of a contiguous (seq, DIM) matrix as (rows, BLOCK_D); zeros outside. BOUND: rows may lie past seq."""
    pointers = base + rows[:, None] * DIM + columns[None, :]
    if BOUND:
        return tl.load(pointers, mask=tile_mask(rows, seq, columns, DIM), other=0.0)
    elif DIM != BLOCK_D:
        return tl.load(pointers, mask=(columns < DIM)[None, :], other=0.0)
    else:
        return tl.load(pointers)


@triton.jit
def store_tile(base, tile, rows, columns, seq, DIM: tl.constexpr):
    pointers = base + rows[:, None] * DIM + columns[None, :]
    tl.store(pointers, tile.to(base.dtype.element_ty), mask=tile_mask(rows, seq, columns, DIM))


@triton.jit
def visible(queries, keys, seq, CAUSAL: tl.constexpr):
    """Which (query, key) pairs of a tile take part."""
    seen = (keys < seq)[None, :]
    if CAUSAL:
        seen = seen & (queries[:, None] >= keys[None, :])
    return seen


@triton.jit
def delta_kernel(O, DO, Delta, rows, DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr):
    """delta = sum(o * do) of each row: the part of the softmax's derivative that is common to a row."""
    lines = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = tl.arange(0, BLOCK_D)
    o = load_tile(O, lines, columns, rows, DIM, BLOCK_D, True).to(tl.float32)
    do = load_tile(DO, lines, columns, rows, DIM, BLOCK_D, True).to(tl.float32)
    tl.store(Delta + lines, tl.sum(o * do, 1), mask=lines < rows)


def row_delta(o: Tensor, do: Tensor) -> Tensor:
    """sum(o * do) over the last axis in float32, shape (batch, heads, seq)."""
    delta = torch.empty(o.shape[:-1], dtype=torch.float32, device=o.device)
    rows, dim = delta.numel(), o.shape[-1]
    block_d = tile_constants(dim, causal=False)["BLOCK_D"]
    delta_kernel[(triton.cdiv(rows, 64),)](o, do, delta, rows, DIM=dim, BLOCK_D=block_d, BLOCK_M=64)
    return delta


@triton.jit
def _gather_key_gradients(
    dk, dv, k, v, q_base, do_base, lse_base, delta_base, DQ, head, keys, first, last, seq, scale_log2,
    MASKED: tl.constexpr, EVEN: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr,
):  # fmt: skip
    """Adds what the queries first..last contribute to dk and dv of one block of keys; score tiles are transposed.

    Queries past seq load as zeros with a zero cotangent and add nothing; keys past seq fill rows that are not stored, and must not
    reach dq, whose unscaled sums are added to DQ in float32 unless it is None.
    """
    columns = tl.arange(0, BLOCK_D)
    for start in range(first, last, BLOCK_M):
        queries = start + tl.arange(0, BLOCK_M)
        q = load_tile(q_base, queries, columns, seq, DIM, BLOCK_D, not EVEN)
        do = load_tile(do_base, queries, columns, seq, DIM, BLOCK_D, not EVEN)
        if EVEN:
            lse = tl.load(lse_base + queries)
            delta = tl.load(delta_base + queries)
        else:
            lse = tl.load(lse_base + queries, mask=queries < seq, other=0.0)
            delta = tl.load(delta_base + queries, mask=queries < seq, other=0.0)
        p = tl.math.exp2(tl.dot(k, tl.trans(q), input_precision="ieee") * scale_log2 - lse[None, :])
        if MASKED:
            p = tl.where(queries[None, :] >= keys[:, None], p, 0.0)
        if DQ is not None and not EVEN:
            p = tl.where(keys[:, None] < seq, p, 0.0)
        dv = tl.dot(p.to(do.dtype), do, dv, input_precision="ieee")
        dp = tl.dot(v, tl.trans(do), input_precision="ieee")
        ds = (p * (dp - delta[None, :])).to(q.dtype)
        dk = tl.dot(ds, q, dk, input_precision="ieee")
        if DQ is not None:
            dq = tl.dot(tl.trans(ds), k, input_precision="ieee")
            places = DQ + head * DIM + queries[:, None] * DIM + columns[None, :]
            tl.atomic_add(places, dq, mask=tile_mask(queries, seq, columns, DIM), sem="relaxed")
    return dk, dv


@triton.jit
def key_gradient_kernel(
    Q, K, V, DO, Lse, Delta, DQ, DK, DV, seq, scale, scale_log2,
    CAUSAL: tl.constexpr, EVEN: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """dk and dv of one block of keys; where DQ (float32 zeros) is not None also what it adds to dq, not yet scaled.

    Lse is the base-2 logarithm of the softmax's denominators. EVEN: the sequence is a multiple of every block.
    """
    first_key = tl.program_id(0) * BLOCK_N
    head = tl.program_id(1).to(tl.int64) * seq
    keys = first_key + tl.arange(0, BLOCK_N)
    columns = tl.arange(0, BLOCK_D)
    k = load_tile(K + head * DIM, keys, columns, seq, DIM, BLOCK_D, True)
    v = load_tile(V + head * DIM, keys, columns, seq, DIM, BLOCK_D, True)
    dk = tl.zeros([BLOCK_N, BLOCK_D], dtype=tl.float32)
    dv = tl.zeros([BLOCK_N, BLOCK_D], dtype=tl.float32)
    below_diagonal = 0
    if CAUSAL:
        first = first_key // BLOCK_M * BLOCK_M
        below_diagonal = (first_key + BLOCK_N + BLOCK_M - 1) // BLOCK_M * BLOCK_M
        dk, dv = _gather_key_gradients(
            dk, dv, k, v, Q + head * DIM, DO + head * DIM, Lse + head, Delta + head, DQ, head, keys,
            first, tl.minimum(below_diagonal, seq), seq, scale_log2, True, EVEN, DIM, BLOCK_D, BLOCK_M)  # fmt: skip
    dk, dv = _gather_key_gradients(
        dk, dv, k, v, Q + head * DIM, DO + head * DIM, Lse + head, Delta + head, DQ, head, keys,
        below_diagonal, seq, seq, scale_log2, False, EVEN, DIM, BLOCK_D, BLOCK_M)  # fmt: skip
    store_tile(DK + head * DIM, dk * scale, keys, columns, seq, DIM)
    store_tile(DV + head * DIM, dv, keys, columns, seq, DIM)


@triton.jit
def _first_forward_kernel(
    Q, K, V, O, Acc, RowSum, RowMax, seq, scale_log2,
    CAUSAL: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Algorithm 1 of the first paper for one head. Acc is the float32 output in memory, normalised at every step."""
    head = tl.program_id(0).to(tl.int64) * seq
    columns = tl.arange(0, BLOCK_D)
    for first_key in range(0, seq, BLOCK_N):
        keys = first_key + tl.arange(0, BLOCK_N)
        k = load_tile(K + head * DIM, keys, columns, seq, DIM, BLOCK_D, True)
        v = load_tile(V + head * DIM, keys, columns, seq, DIM, BLOCK_D, True)
        first_query = 0
        if CAUSAL:
            first_query = first_key // BLOCK_M * BLOCK_M
        for start in range(first_query, seq, BLOCK_M):
            queries = start + tl.arange(0, BLOCK_M)
            begun = (queries < seq) & (first_key > 0)
            old_max = tl.load(RowMax + head + queries, mask=begun, other=float("-inf"))
            old_sum = tl.load(RowSum + head + queries, mask=begun, other=0.0)
            acc_pointers = Acc + head * DIM + queries[:, None] * DIM + columns[None, :]
            acc = tl.load(acc_pointers, mask=begun[:, None] & (columns < DIM)[None, :], other=0.0)
            q = load_tile(Q + head * DIM, queries, columns, seq, DIM, BLOCK_D, True)
            scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale_log2
            scores = tl.where(visible(queries, keys, seq, CAUSAL), scores, float("-inf"))
            new_max = tl.maximum(old_max, tl.max(scores, 1))
            p = tl.math.exp2(scores - new_max[:, None])
            shrunk_sum = tl.math.exp2(old_max - new_max) * old_sum
            new_sum = shrunk_sum + tl.sum(p, 1)
            step = tl.dot(p.to(v.dtype), v, input_precision="ieee")
            acc = (acc * shrunk_sum[:, None] + step) / new_sum[:, None]
            store_tile(Acc + head * DIM, acc, queries, columns, seq, DIM)
            tl.store(RowMax + head + queries, new_max, mask=queries < seq)
            tl.store(RowSum + head + queries, new_sum, mask=queries < seq)
            complete = first_key + BLOCK_N >= seq
            if CAUSAL:
                complete = first_key + BLOCK_N >= tl.minimum(start + BLOCK_M, seq)
            if complete:
                store_tile(O + head * DIM, acc, queries, columns, seq, DIM)
        # The next block of keys reads rows of Acc that other threads of this program wrote.
        tl.debug_barrier()


@triton.jit
def _first_backward_kernel(
    Q, K, V, DO, RowSum, RowMax, Delta, DQ, DK, DV, seq, scale, scale_log2,
    CAUSAL: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Algorithm 4 of the first paper for one head. DQ is float32 and is read and written for every block of keys."""
    head = tl.program_id(0).to(tl.int64) * seq
    columns = tl.arange(0, BLOCK_D)
    for first_key in range(0, seq, BLOCK_N):
        keys = first_key + tl.arange(0, BLOCK_N)
        k = load_tile(K + head * DIM, keys, columns, seq, DIM, BLOCK_D, True)
        v = load_tile(V + head * DIM, keys, columns, seq, DIM, BLOCK_D, True)
        dk = tl.zeros([BLOCK_N, BLOCK_D], dtype=tl.float32)
        dv = tl.zeros([BLOCK_N, BLOCK_D], dtype=tl.float32)
        first_query = 0
        if CAUSAL:
            first_query = first_key // BLOCK_M * BLOCK_M
        for start in range(first_query, seq, BLOCK_M):
            queries = start + tl.arange(0, BLOCK_M)
            inside = queries < seq
            q = load_tile(Q + head * DIM, queries, columns, seq, DIM, BLOCK_D, True)
            do = load_tile(DO + head * DIM, queries, columns, seq, DIM, BLOCK_D, True)
            row_max = tl.load(RowMax + head + queries, mask=inside, other=0.0)
            row_sum = tl.load(RowSum + head + queries, mask=inside, other=1.0)
            delta = tl.load(Delta + head + queries, mask=inside, other=0.0)
            scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale_log2
            p = tl.math.exp2(scores - row_max[:, None]) / row_sum[:, None]
            p = tl.where(visible(queries, keys, seq, CAUSAL), p, 0.0)
            dv = tl.dot(tl.trans(p.to(do.dtype)), do, dv, input_precision="ieee")
            dp = tl.dot(do, tl.trans(v), input_precision="ieee")
            ds = (p * (dp - delta[:, None])).to(q.dtype)
            dk = tl.dot(tl.trans(ds), q, dk, input_precision="ieee")
            begun = (inside & (first_key > 0))[:, None] & (columns < DIM)[None, :]
            dq = tl.load(DQ + head * DIM + queries[:, None] * DIM + columns[None, :], mask=begun, other=0.0)
            dq += tl.dot(ds, k, input_precision="ieee") * scale
            store_tile(DQ + head * DIM, dq, queries, columns, seq, DIM)
        store_tile(DK + head * DIM, dk * scale, keys, columns, seq, DIM)
        store_tile(DV + head * DIM, dv, keys, columns, seq, DIM)
        # The next block of keys reads rows of DQ that other threads of this program wrote.
        tl.debug_barrier()


_first_forward = TunedKernel(
    _first_forward_kernel,
    [(64, 64, 4, 2), (128, 64, 8, 2), (128, 128, 8, 1)],
)
_first_backward = TunedKernel(
    _first_backward_kernel,
    [(64, 64, 8, 2), (64, 64, 4, 1), (32, 64, 4, 2)],
)


class FirstFlashAttention(torch.autograd.Function):
    """Attention as the first FlashAttention computes it: apply(q, k, v, causal) -> (batch, heads, seq, dim)."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
        check_attention_inputs(q, k, v)
        q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
        batch, heads, seq, dim = q.shape
        o = torch.empty_like(q)
        acc = torch.empty_like(q, dtype=torch.float32)
        row_sum = torch.empty((batch, heads, seq), dtype=torch.float32, device=q.device)
        row_max = torch.empty_like(row_sum)
        scale_log2 = LOG2_E / math.sqrt(dim)
        _first_forward(
            (batch * heads,), q, k, v, o, acc, row_sum, row_max, seq, scale_log2, **tile_constants(dim, causal)
        )
        ctx.save_for_backward(q, k, v, o, row_sum, row_max)
        ctx.causal = causal
        return o

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        q, k, v, o, row_sum, row_max = ctx.saved_tensors
        batch, heads, seq, dim = q.shape
        do = cotangents[0].contiguous()
        delta = row_delta(o, do)
        dq = torch.empty_like(q, dtype=torch.float32)
        dk, dv = torch.empty_like(k), torch.empty_like(v)
        scale = 1 / math.sqrt(dim)
        _first_backward(
            (batch * heads,), q, k, v, do, row_sum, row_max, delta, dq, dk, dv, seq, scale, scale * LOG2_E,
            **tile_constants(dim, ctx.causal))  # fmt: skip
        return dq.to(q.dtype), dk, dv, None
