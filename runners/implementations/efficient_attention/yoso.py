"""Attention as sums over hash buckets: a key counts for a query as often as random hyperplanes do not part them.

Source: "You Only Sample (Almost) Once: Linear Cost Self-Attention Via Bernoulli Sampling" (2021).

With q_i and k_j of unit length, a hash of `bits` random hyperplanes puts both into one bucket with the probability
    w_ij = (1 - arccos(q_i . k_j) / pi) ** bits,
a weight that rises with q_i . k_j as the exponential of softmax attention does. The attention meant is y_i = sum_j w_ij v_j,
scaled to unit length. It is never formed: of each of `hashes` hashes one table holds the sum of the values in each bucket,
and a query reads its bucket in every table. The mean over hashes is an unbiased estimate, whose error falls as 1 / sqrt(hashes).
q, k, v and the result are (batch, heads, seq, dim), not causal.

How, without a matrix of seq x seq and without atomic additions:
  * codes: one product with the hyperplanes, whose signs are packed into a number of `bits` bits;
  * tables: a program for each head and hash keeps its table of (2 ** bits, dim) on the chip; a block of keys is turned
    into a one-hot matrix in registers, and one-hot^T @ v adds up the buckets on the tensor cores. The same bits every time;
  * reading: a query sums the rows of its buckets. A head's tables (hashes * 2 ** bits rows) stay in the L2 cache.

Work per head: 2 * seq * 2 ** bits * dim * hashes operations, linear in seq, where softmax attention takes 4 * seq ** 2 * dim. With
32 hashes of 8 bits they are equal at seq = 4,096, so it can win only beyond. For 12 heads of 64 and seq = 16,384 in bfloat16:
0.21 TFLOP, 0.26 ms on an H200 at 790 TFLOP/s, where attention takes 0.82 TFLOP, 1.04 ms (the sums themselves are
0.8 G additions, the codes 0.013 TFLOP: one-hot products are how this comes by them); reading 32 rows of 128 bytes a
query, 0.8 GB
from the L2 cache, comes to about 0.2 ms more. The memory beside inputs and result is that of codes and tables, 25 MB here,
where scores that are stored take 6.4 GB.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize, scaled_dot_product_attention

from runners.blocks.kernels import require_triton, tl, triton
from runners.blocks.ladder import Subject, compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand

MAX_BITS, MAX_DIM = 8, 128
CODE_ROWS, KEY_ROWS, QUERY_ROWS = 64, 64, 32
SMALLEST_DOT = 16
"""Tensor cores want at least so many columns; hyperplanes beyond `bits` are zero and give no bit."""


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """planes (hashes, dim, 16): normals of the hyperplanes; those beyond `bits` are zero."""
    planes = rand.gaussian(axes["hashes"], axes["dim"], SMALLEST_DOT)
    planes[:, :, axes["bits"] :] = 0
    return {"planes": planes}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens of `topics`: queries and keys of one topic point nearly the same way, and its values are alike.

    Such are the weights of trained attention: few keys matter to a query, and what they say agrees. Where all keys
    matter alike and values have no common part, an estimate from samples is mostly noise.
    """
    batch, heads, seq, dim, topics = (axes[name] for name in ("batch", "heads", "seq", "dim", "topics"))
    centres = normalize(rand.gaussian(batch, heads, topics, dim), dim=-1)
    meanings = rand.gaussian(batch, heads, topics, dim)

    def topic_of_tokens() -> Tensor:
        return rand.integers(topics, batch, 1, seq, 1).expand(-1, heads, -1, dim)

    def near(topic: Tensor) -> Tensor:
        noise = rand.normal(batch, heads, seq, dim, scale=0.4 / math.sqrt(dim))
        return normalize(centres.gather(2, topic) + noise, dim=-1)

    queried, kept = topic_of_tokens(), topic_of_tokens()
    values = meanings.gather(2, kept) + rand.normal(batch, heads, seq, dim, scale=0.5)
    return near(queried), near(kept), values


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Codes of queries and keys, an addition of each value to each table and of each bucket that is read."""
    elements = axes["batch"] * axes["heads"] * axes["seq"] * axes["dim"]
    operations = elements * axes["hashes"] * (4 * axes["bits"] + 2)
    return LeastWork({dtype: operations}, BYTES[dtype] * 4 * elements)


# ── the technique ───────────────────────────────────────────────────────────────────────────────────────────────────
@triton.jit
def _code_kernel(
    Tokens, Planes, Codes, rows, hashes,
    BITS: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr, PLANES: tl.constexpr, BLOCK_M: tl.constexpr,
):  # fmt: skip
    """Codes (hashes, rows): on which side of each hyperplane of a hash a token lies, a bit a plane."""
    at = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    columns, planes = tl.arange(0, BLOCK_D), tl.arange(0, PLANES)
    mask = (at < rows)[:, None] & (columns < DIM)[None, :]
    tokens = tl.load(Tokens + at[:, None] * DIM + columns[None, :], mask=mask, other=0.0)
    worth = tl.where(planes < BITS, 1 << planes, 0)
    for hash in range(hashes):
        base = Planes + hash * DIM * PLANES
        normals = tl.load(base + columns[:, None] * PLANES + planes[None, :], mask=(columns < DIM)[:, None], other=0.0)
        sides = tl.dot(tokens, normals, input_precision="ieee")
        code = tl.sum(tl.where(sides > 0, worth[None, :], 0), 1)
        tl.store(Codes + hash * rows + at, code.to(tl.uint8), mask=at < rows)


@triton.jit
def _table_kernel(
    Values, Codes, Tables, rows, seq, hashes,
    BUCKETS: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Tables (heads, hashes, BUCKETS, DIM): the sum of the values of the keys in each bucket, in the values' type."""
    head, hash = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    columns, buckets = tl.arange(0, BLOCK_D), tl.arange(0, BUCKETS)
    sums = tl.zeros([BUCKETS, BLOCK_D], dtype=tl.float32)
    for start in range(0, seq, BLOCK_N):
        keys = start + tl.arange(0, BLOCK_N)
        codes = tl.load(Codes + hash * rows + head * seq + keys, mask=keys < seq, other=0).to(tl.int32)
        mask = (keys < seq)[:, None] & (columns < DIM)[None, :]
        values = tl.load(Values + (head * seq + keys)[:, None] * DIM + columns[None, :], mask=mask, other=0.0)
        # A key beyond the end falls into bucket 0 with a value of zero.
        chosen = (codes[None, :] == buckets[:, None]).to(values.dtype)
        sums = tl.dot(chosen, values, sums, input_precision="ieee")
    place = Tables + ((head * hashes + hash) * BUCKETS + buckets)[:, None] * DIM + columns[None, :]
    tl.store(place, sums.to(Tables.dtype.element_ty), mask=(columns < DIM)[None, :])


@triton.jit
def _read_kernel(
    Tables, Codes, Out, rows, seq, hashes,
    BUCKETS: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr,
):  # fmt: skip
    """The sum over hashes of the row of each query's bucket, scaled to unit length."""
    head = tl.program_id(1).to(tl.int64)
    queries = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = tl.arange(0, BLOCK_D)
    mask = (queries < seq)[:, None] & (columns < DIM)[None, :]
    sums = tl.zeros([BLOCK_M, BLOCK_D], dtype=tl.float32)
    for hash in range(hashes):
        codes = tl.load(Codes + hash * rows + head * seq + queries, mask=queries < seq, other=0)
        row = (head * hashes + hash) * BUCKETS + codes.to(tl.int64)
        sums += tl.load(Tables + row[:, None] * DIM + columns[None, :], mask=mask, other=0.0).to(tl.float32)
    length = tl.sqrt(tl.sum(sums * sums, 1))
    sums = sums / tl.maximum(length, 1e-12)[:, None]
    tl.store(Out + (head * seq + queries)[:, None] * DIM + columns[None, :], sums, mask=mask)


class BernoulliAttention:
    """q, k of unit length and v, (batch, heads, seq, dim) -> the same shape, rows of unit length."""

    def __init__(self, planes: Tensor, bits: int) -> None:
        require_triton("YOSO")
        if not 1 <= bits <= MAX_BITS:
            raise ValueError(f"bits is {bits}; a code is one byte, so use 1 to {MAX_BITS}")
        if planes.shape[1] > MAX_DIM:
            raise ValueError(f"dim is {planes.shape[1]}; a table of at most {MAX_DIM} columns fits on the chip")
        self._planes, self._bits = planes.contiguous(), bits
        self._constants = {
            "DIM": planes.shape[1],
            "BLOCK_D": max(SMALLEST_DOT, triton.next_power_of_2(planes.shape[1])),
        }
        self._buckets = max(SMALLEST_DOT, 2**bits)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        batch, heads, seq, dim = v.shape
        hashes, rows, constants = len(self._planes), batch * heads * seq, self._constants
        planes = self._planes.to(q.dtype)
        codes = torch.empty((2, hashes, rows), dtype=torch.uint8, device=q.device)
        for tokens, found in zip((q.contiguous(), k.contiguous()), codes, strict=True):
            _code_kernel[(triton.cdiv(rows, CODE_ROWS),)](
                tokens, planes, found, rows, hashes,
                BITS=self._bits, PLANES=SMALLEST_DOT, BLOCK_M=CODE_ROWS, **constants,
            )  # fmt: skip
        tables = v.new_empty((batch * heads, hashes, self._buckets, dim))
        _table_kernel[(batch * heads, hashes)](
            v.contiguous(), codes[1], tables, rows, seq, hashes,
            BUCKETS=self._buckets, BLOCK_N=KEY_ROWS, num_warps=8, **constants,
        )  # fmt: skip
        out = torch.empty_like(v, memory_format=torch.contiguous_format)
        _read_kernel[(triton.cdiv(seq, QUERY_ROWS), batch * heads)](
            tables, codes[0], out, rows, seq, hashes, BUCKETS=self._buckets, BLOCK_M=QUERY_ROWS, **constants
        )
        return out


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> BernoulliAttention:
    return BernoulliAttention(weights["planes"], axes["bits"])


# ── the ladder ──────────────────────────────────────────────────────────────────────────────────────────────────────
def make_expectation(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """What the hashes estimate, computed pair by pair; the cosine is kept off 1, where the arc cosine has no slope."""
    bits = axes["bits"]

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        cosine = (q @ k.transpose(-1, -2)).clamp(-1 + 1e-6, 1 - 1e-6)
        return normalize((1 - torch.acos(cosine) / math.pi) ** bits @ v, dim=-1)

    return attend


def make_softmax(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The attention that it stands in for, with the scale that trained models have: q and k of length dim ** 0.25."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return scaled_dot_product_attention(q, k, v, scale=math.sqrt(q.shape[-1]))

    return attend


def make_plain_softmax(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """Softmax attention that stores every score: the paper's standard attention."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return torch.softmax(q @ k.transpose(-1, -2) * math.sqrt(q.shape[-1]), dim=-1) @ v

    return attend


SUBJECTS = {
    "technique": make_technique,
    "paper": make_plain_softmax,
    "eager": make_expectation,
    "compiled": compiled(make_expectation),
    "library": make_softmax,
}
