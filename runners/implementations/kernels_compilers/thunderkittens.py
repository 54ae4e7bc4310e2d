"""Attention's backward pass and causal linear attention as programs on tiles that stay on the chip.

Source: "ThunderKittens: Simple, Fast, and Adorable AI Kernels" (2024). Axis `linear` picks the kernel; q, k, v, o, do are
(batch, heads, seq, dim), dim at most 128.

linear = 0: backward of o = softmax(q k^T / sqrt(dim)) v, causal or not (axis `causal`). Given q, k, v, o, do and the
logarithm lse (batch, heads, seq) of the softmax's denominators, gives dq, dk, dv. One pass: a program owns a block of keys
and walks over queries, five matrix products for each tile; dq is summed in float32 in memory by atomic additions of
tiles. FlashAttention-2's kernels in this repository compute tiles of scores twice instead, seven products.
linear = 1: o_t = q_t S_t with S_t = S_(t-1) + k_t^T v_t. Given q, k, v (queries and keys after their feature map),
gives o. A program keeps S of one head (and a part of the columns of v) in float32 registers for the whole sequence and
takes a tile of tokens at a time: o = tril(q k^T) v + q S, then S += k^T v.

Why it should win, on an H200 (790 TFLOP/s reached, 4.8 TB/s):
  * backward, batch 4, 16 heads of 128, seq 4096, causal: 10 * seq^2 * dim / 2 operations a head, 0.69 TFLOP or 0.87 ms,
    against 0.96 with seven products; the atomic sums of dq move 2.1 GB for key blocks of 128, within the cache mostly.
    Library kernels do the same five products, so only better overlap of loads and products is left to gain by.
  * linear attention, batch 4, 16 heads of 128, seq 8192: 537 MB of q, k, v, o take 0.11 ms; products in tiles of 128
    are 0.07 TFLOP, 0.09 ms. The
    form that passes states between kernels in memory writes and reads a float32 state of 64 KB for each 128 tokens
    several times, which is twice the size of those tokens' q and k together, and launches a dozen kernels.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917, E741
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from runners.blocks.attention import (
    LARGEST_BLOCK,
    LOG2_E,
    TunedKernel,
    check_attention_inputs,
    key_gradient_kernel,
    load_tile,
    row_delta,
    tile_constants,
    tile_mask,
    visible,
)
from runners.blocks.kernels import require_triton, tl, triton
from runners.blocks.ladder import Subject, compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand

CHUNK = 128


@triton.jit
def _linear_kernel(
    Q, K, V, O, seq,
    CAUSAL: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """BLOCK_N columns of v of one head, BLOCK_M tokens at a time; the state never leaves the registers."""
    head = tl.program_id(1).to(tl.int64) * seq * DIM
    columns = tl.arange(0, BLOCK_D)
    own = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    state = tl.zeros([BLOCK_D, BLOCK_N], dtype=tl.float32)
    for start in range(0, seq, BLOCK_M):
        tokens = start + tl.arange(0, BLOCK_M)
        q = load_tile(Q + head, tokens, columns, seq, DIM, BLOCK_D, True)
        k = load_tile(K + head, tokens, columns, seq, DIM, BLOCK_D, True)
        inside = tile_mask(tokens, seq, own, DIM)
        v = tl.load(V + head + tokens[:, None] * DIM + own[None, :], mask=inside, other=0.0)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee")
        scores = tl.where(visible(tokens, tokens, seq, CAUSAL), scores, 0.0)
        o = tl.dot(scores.to(v.dtype), v, input_precision="ieee")
        o = tl.dot(q, state.to(q.dtype), o, input_precision="ieee")
        state = tl.dot(tl.trans(k), v, state, input_precision="ieee")
        tl.store(O + head + tokens[:, None] * DIM + own[None, :], o.to(O.dtype.element_ty), mask=inside)


_backward = TunedKernel(
    key_gradient_kernel,
    [(64, 128, 8, 2), (64, 128, 8, 1), (64, 64, 4, 2), (32, 128, 8, 2), (32, 64, 4, 3), (128, 64, 8, 1)],
    sums=("DQ",),
)
# (tokens, columns of v, warps, stages)
_linear = TunedKernel(
    _linear_kernel,
    [(64, 128, 8, 2), (64, 64, 4, 2), (64, 64, 4, 3), (128, 64, 8, 2), (64, 32, 4, 3), (32, 64, 4, 3)],
)


def attention_backward(
    q: Tensor, k: Tensor, v: Tensor, o: Tensor, do: Tensor, lse: Tensor, causal: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """dq, dk, dv in the dtype of q."""
    check_attention_inputs(q, k, v)
    q, k, v, o, do, lse = (each.contiguous() for each in (q, k, v, o, do, lse))
    batch, heads, seq, dim = q.shape
    delta = row_delta(o, do)
    dq = torch.zeros_like(q, dtype=torch.float32)
    dk, dv = torch.empty_like(k), torch.empty_like(v)
    scale = 1 / math.sqrt(dim)
    _backward(
        lambda meta: (triton.cdiv(seq, meta["BLOCK_N"]), batch * heads),
        q, k, v, do, lse * LOG2_E, delta, dq, dk, dv, seq, scale, scale * LOG2_E,
        EVEN=seq % LARGEST_BLOCK == 0, **tile_constants(dim, causal))  # fmt: skip
    return dq.mul_(scale).to(q.dtype), dk, dv


def linear_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal linear attention, one kernel."""
    check_attention_inputs(q, k, v)
    q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
    batch, heads, seq, dim = q.shape
    o = torch.empty_like(v)
    _linear(
        lambda meta: (triton.cdiv(dim, meta["BLOCK_N"]), batch * heads),
        q, k, v, o, seq, **tile_constants(dim, causal=True))  # fmt: skip
    return o


def later_keys(scores: Tensor) -> Tensor:
    """True where a key lies after its query, for the two last axes of scores; the last query sees every key."""
    queries, keys = scores.shape[-2:]
    return torch.ones(queries, keys, dtype=torch.bool, device=scores.device).triu(keys - queries + 1)


def softmax_statistics(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> tuple[Tensor, Tensor]:
    """o and lse as a forward pass leaves them, one batch entry at a time so that large inputs fit."""
    outputs, sums = [], []
    for one_q, one_k, one_v in zip(q.float(), k.float(), v.float(), strict=True):
        scores = one_q @ one_k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        if causal:
            scores.masked_fill_(later_keys(scores), float("-inf"))
        lse = scores.logsumexp(-1)
        outputs.append(scores.sub_(lse[..., None]).exp_() @ one_v)
        sums.append(lse)
    return torch.stack(outputs).to(q.dtype), torch.stack(sums)


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """q, k, v; for the backward pass also o and lse of its forward pass, and the cotangent do before lse."""
    shape = (axes["batch"], axes["heads"], axes["seq"], axes["dim"])
    q, k, v = rand.normal(*shape), rand.normal(*shape), rand.normal(*shape)
    if axes["linear"]:
        scale = axes["dim"] ** -0.5
        return q * scale, k, v
    o, lse = softmax_statistics(q, k, v, bool(axes["causal"]))
    return q, k, v, o, rand.gaussian(*shape), lse


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Five products, or q S and k^T v of each token whatever the tile; tensors of the size of q once."""
    elements = axes["batch"] * axes["heads"] * axes["seq"] * axes["dim"]
    if axes["linear"]:
        return LeastWork({dtype: 4 * elements * axes["dim"]}, BYTES[dtype] * 4 * elements)
    products = 10 * elements * axes["seq"] // (2 if axes["causal"] else 1)
    return LeastWork({dtype: products}, BYTES[dtype] * 8 * elements)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    require_triton("ThunderKittens")
    causal = bool(axes["causal"])
    if axes["linear"]:
        return linear_attention
    return lambda q, k, v, o, do, lse: attention_backward(q, k, v, o, do, lse, causal)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The definitions, with scores in memory."""
    causal = bool(axes["causal"])

    def backward(q: Tensor, k: Tensor, v: Tensor, o: Tensor, do: Tensor, lse: Tensor) -> tuple[Tensor, ...]:
        scale = 1 / math.sqrt(q.shape[-1])
        scores = q @ k.transpose(-1, -2) * scale
        if causal:
            scores = scores.masked_fill(later_keys(scores), float("-inf"))
        p = scores.softmax(-1)
        dp = do @ v.transpose(-1, -2)
        ds = p * (dp - (p * dp).sum(-1, keepdim=True)) * scale
        return ds @ k, ds.transpose(-1, -2) @ q, p.transpose(-1, -2) @ do

    def linear(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        # Blocks of queries, so that long sequences fit.
        rows = []
        for start in range(0, q.shape[2], 1024):
            part = q[:, :, start : start + 1024]
            end = start + part.shape[2]
            scores = part @ k[:, :, :end].transpose(-1, -2)
            rows.append(scores.masked_fill(later_keys(scores), 0.0) @ v[:, :, :end])
        return torch.cat(rows, 2)

    return linear if axes["linear"] else backward


def make_library(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """PyTorch's own backward of its fused attention; linear attention in chunks with their states in memory."""
    aten: Any = torch.ops.aten
    causal = bool(axes["causal"])

    def backward(q: Tensor, k: Tensor, v: Tensor, o: Tensor, do: Tensor, lse: Tensor) -> tuple[Tensor, ...]:
        if not q.is_cuda:
            return tuple(aten._scaled_dot_product_flash_attention_for_cpu_backward(do, q, k, v, o, lse, 0.0, causal))
        seq = q.shape[2]
        unused = torch.zeros(2, dtype=torch.uint64, device=q.device)
        return tuple(
            aten._scaled_dot_product_flash_attention_backward(
                do, q, k, v, o, lse, None, None, seq, seq, 0.0, causal, unused, unused[:0]
            )
        )

    def linear(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        seq, wide = q.shape[2], torch.float64 if q.dtype == torch.float64 else torch.float32
        q, k, v = (
            torch.nn.functional.pad(each, (0, 0, 0, -seq % CHUNK)).unflatten(2, (-1, CHUNK)) for each in (q, k, v)
        )
        updates = (k.transpose(-1, -2) @ v).to(wide)
        states = (updates.cumsum(2) - updates).to(q.dtype)
        scores = (q @ k.transpose(-1, -2)).tril()
        return (scores @ v + q @ states).flatten(2, 3)[:, :, :seq].contiguous()

    return linear if axes["linear"] else backward


SUBJECTS = {
    "technique": make_technique,
    "eager": make_eager,
    "compiled": compiled(make_eager),
    "library": make_library,
}
