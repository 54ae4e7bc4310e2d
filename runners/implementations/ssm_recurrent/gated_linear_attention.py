"""Linear attention with data-dependent gates, computed over chunks of the sequence as matrix products.

Per head, with a state S of (dim_k, dim_v), gates g in (0, 1) given by their logarithms, and scale 1 / sqrt(dim_k):
    S_t = diag(g_t) S_(t-1) + k_t^T v_t        o_t = scale * q_t S_t
Source: "Gated Linear Attention Transformers with Hardware-Efficient Training" (2023): chunk-wise form with secondary
chunking. Shapes: q, k, log_gate (batch, seq, heads, dim_k), v and the output (batch, seq, heads, dim_v); any seq.

How, with B_t the running sum of log gates inside a chunk of C tokens:
  * between chunks the state is carried once a chunk instead of once a token; its part of the output is (q exp(B)) S;
  * inside a chunk, score(i, j) = sum_d q_id k_jd exp(B_id - B_jd) for j <= i. exp(-B) alone overflows for strong gates.
    So each chunk is halved again and again: between the two halves of a piece both factors are taken relative to the
    middle, exp(B_i - B_mid) and exp(B_mid - B_j), neither above one, and the scores are one matrix product. What is
    left are the diagonal entries, q_i . k_i. No step needs the (C, C, dim_k) tensor of the log-space form.

Work per token and head: C * (dim_k + 2 * dim_v) operations inside the chunk (C * dim_v of it with zeros) and 4 *
dim_k * dim_v with the state,
whatever seq is; softmax attention takes 2 * seq * dim (causal), so for long sequences the chunk-wise form must win.
Batch 1, seq 16,384, 8 heads of 256 and C = 128 in bfloat16, forward and backward: 0.14 TFLOP (0.2 ms on an H200 at
790 TFLOP/s) where softmax attention of the same width takes 3.8 TFLOP (4.9 ms). But each of the log2(C) halvings moves
q, k and their decays several times through memory in plain PyTorch, some 20 GB in all: 4 ms at 4.8 TB/s. So this form is
bound by memory; a kernel that keeps the decays on chip, such as the paper's, would gain several times more.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, pad

from runners.blocks.ladder import Subject, compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand

# The paper divides the log gates by this, so that a state forgets over hundreds of tokens.
GATE_TEMPERATURE = 16.0
# Below this many rows a batched matrix product wastes more on a tensor core's tile than a plain sum does.
SMALLEST_PRODUCT = 4


def accumulator_dtype(dtype: torch.dtype) -> torch.dtype:
    """The precision of states and decays: float32 for shorter types."""
    return torch.float64 if dtype == torch.float64 else torch.float32


class ChunkStates(torch.autograd.Function):
    """States before each chunk: S_0 = 0, S_(n+1) = decay_n * S_n + update_n.

    apply(decay, update) with decay (batch, heads, chunks, dim_k) and update (batch, heads, chunks, dim_k, dim_v), both
    in the accumulator's dtype, gives (batch, heads, chunks, dim_k, dim_v). One fused operation a chunk in each
    direction; autograd through a loop would take five.
    """

    @staticmethod
    def forward(ctx: Any, decay: Tensor, update: Tensor) -> Tensor:
        states = torch.zeros_like(update)
        for n in range(1, update.shape[2]):
            torch.addcmul(update[:, :, n - 1], decay[:, :, n - 1, :, None], states[:, :, n - 1], out=states[:, :, n])
        ctx.save_for_backward(decay, states)
        return states

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, Tensor]:
        decay, states = ctx.saved_tensors
        wanted = cotangents[0]
        grad_update = torch.zeros_like(states)
        for n in range(states.shape[2] - 1, 0, -1):
            torch.addcmul(wanted[:, :, n], decay[:, :, n, :, None], grad_update[:, :, n], out=grad_update[:, :, n - 1])
        return (grad_update * states).sum(-1), grad_update


def scores_within_chunks(q: Tensor, k: Tensor, cumulated: Tensor) -> Tensor:
    """Lower-triangular scores sum_d q_id k_jd exp(B_id - B_jd), j <= i, of every chunk.

    q, k: (..., length, dim_k), length a power of two; cumulated: the same shape, sums B of log gates from the start of
    the chunk, token t's own gate included. Returns (..., length, length) in q's dtype, zero above the diagonal.
    """
    *lead, length, dim = q.shape
    scores = (q * k).sum(-1)[..., None, None]
    half = 1
    while half < length:
        pieces = (*lead, length // (2 * half), 2, half, dim)
        sums = cumulated.view(pieces)
        middle = sums[..., 0, -1:, :]
        late = q.view(pieces)[..., 1, :, :] * (sums[..., 1, :, :] - middle).exp().to(q.dtype)
        early = k.view(pieces)[..., 0, :, :] * (middle - sums[..., 0, :, :]).exp().to(k.dtype)
        if half < SMALLEST_PRODUCT:
            between = (late[..., :, None, :] * early[..., None, :, :]).sum(-1)
        else:
            between = late @ early.transpose(-1, -2)
        earlier, later = scores.view(*between.shape[:-2], 2, half, half).unbind(-3)
        scores = torch.cat([pad(earlier, (0, half)), torch.cat([between, later], dim=-1)], dim=-2)
        half *= 2
    return scores.squeeze(-3)


def chunkwise_attention(q: Tensor, k: Tensor, v: Tensor, log_gate: Tensor, chunk: int) -> Tensor:
    """Gated linear attention in chunks of `chunk` tokens, a power of two; shapes as in the module's docstring."""
    batch, seq, heads, dim_k = q.shape
    chunks = -(-seq // chunk)

    def by_chunk(tensor: Tensor) -> Tensor:
        """(batch, heads, chunks, chunk, dim), zeros after the end: such tokens add nothing and forget nothing."""
        padded = pad(tensor, (0, 0, 0, 0, 0, chunks * chunk - seq))
        return padded.view(batch, chunks, chunk, heads, -1).permute(0, 3, 1, 2, 4).contiguous()

    dtype, wide = q.dtype, accumulator_dtype(q.dtype)
    k, v = by_chunk(k), by_chunk(v)
    q = by_chunk(q) * (1 / math.sqrt(dim_k))
    cumulated = by_chunk(log_gate).to(wide).cumsum(-2)
    total = cumulated[..., -1:, :]
    update = (k * (total - cumulated).exp().to(dtype)).transpose(-1, -2) @ v
    states = ChunkStates.apply(total.squeeze(-2).exp(), update.to(wide))
    output = (q * cumulated.exp().to(dtype)) @ states.to(dtype) + scores_within_chunks(q, k, cumulated) @ v
    return output.permute(0, 2, 3, 1, 4).reshape(batch, chunks * chunk, heads, -1)[:, :seq]


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """q, k, v and log gates; the gates are sigmoids of the distribution under test, tempered as in the paper."""
    lead = (axes["batch"], axes["seq"], axes["heads"])
    q, k = rand.normal(*lead, axes["dim_k"]), rand.normal(*lead, axes["dim_k"])
    gate = logsigmoid(rand.normal(*lead, axes["dim_k"])) / GATE_TEMPERATURE
    return q, k, rand.normal(*lead, axes["dim_v"]), gate


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """The causal half of each chunk and the state, three times as much with gradients; each tensor once."""
    tokens, dim_k, dim_v = axes["batch"] * axes["seq"] * axes["heads"], axes["dim_k"], axes["dim_v"]
    products = tokens * (min(axes["chunk"], axes["seq"]) * (dim_k + dim_v) + 4 * dim_k * dim_v)
    moved = tokens * (3 * dim_k + 2 * dim_v)
    return LeastWork({dtype: (3 if backward else 1) * products}, BYTES[dtype] * (2 if backward else 1) * moved)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    chunk = axes["chunk"]
    if chunk < 1 or chunk & (chunk - 1):
        raise ValueError(f"chunk is {chunk}; the halving of chunks needs a power of two")
    return lambda q, k, v, log_gate: chunkwise_attention(q, k, v, log_gate, chunk)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The recurrence as it is defined, token by token, with the state in float32 for shorter types."""

    def recur(q: Tensor, k: Tensor, v: Tensor, log_gate: Tensor) -> Tensor:
        wide = accumulator_dtype(q.dtype)
        scale = 1 / math.sqrt(q.shape[-1])
        state = torch.zeros(*q.shape[:1], *q.shape[2:], v.shape[-1], dtype=wide, device=q.device)
        outputs = []
        by_token = (each.to(wide).unbind(1) for each in (q, k, v, log_gate.to(wide).exp()))
        for q_t, k_t, v_t, gate_t in zip(*by_token, strict=True):
            state = gate_t[..., None] * state + k_t[..., None] * v_t[..., None, :]
            outputs.append(scale * (q_t[..., None, :] @ state).squeeze(-2))
        return torch.stack(outputs, dim=1).to(q.dtype)

    return recur


def make_softmax_attention(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """Causal softmax attention of the same width in heads of `softmax_dim`, the gates unused: another function."""
    dim = axes["softmax_dim"]

    def attend(q: Tensor, k: Tensor, v: Tensor, log_gate: Tensor) -> Tensor:
        q_heads, k_heads, v_heads = (each.reshape(*each.shape[:2], -1, dim).transpose(1, 2) for each in (q, k, v))
        attended = torch.nn.functional.scaled_dot_product_attention(q_heads, k_heads, v_heads, is_causal=True)
        return attended.transpose(1, 2).reshape(v.shape)

    return attend


SUBJECTS = {
    "technique": make_technique,
    "eager": make_eager,
    "compiled": compiled(make_technique),
    "softmax_attention": make_softmax_attention,
}
