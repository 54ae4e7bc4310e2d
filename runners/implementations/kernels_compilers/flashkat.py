"""Grouped rational activations whose coefficient gradients are summed on the chip before they reach memory.

Source: "FlashKAT: Understanding and Addressing Performance Bottlenecks in the Kolmogorov-Arnold Transformer" (2025).
The activation is that of group-rational KAN layers; all channels of a group share its coefficients:

    y = P(x) / Q(x)    P(x) = a_0 + a_1 x + ... + a_5 x^5    Q(x) = 1 + |b_1 x + ... + b_4 x^4|

Shapes: x and y (tokens, channels), a (groups, 6), b (groups, 4); group g owns channels/groups adjacent channels.
Gradients go to x, a and b. With s = sign(b_1 x + ...): da_i sums dy x^i / Q, db_j sums -dy s x^j P / Q^2, over all
tokens and the channels of the group.

What is slow in the kernel before (rung "paper"): each element adds its ten terms to its group's ten sums in memory by an
atomic operation of its own. With 8 groups that is ten additions for each element to only 80 addresses, one after the
other for each address. Here a program owns a tile of tokens and channels of one group, keeps the ten sums of its rows in
registers and hands over ten numbers for ROWS rows and COLUMNS channels; a second small sum over programs ends it.

KAT-B's MLP, 64 images of 197 tokens, 3,072 channels, bfloat16: 38.7 million elements. Forward moves two tensors of
77 MB, backward three: 387 MB or 0.08 ms on an H200 at 4.8 TB/s; some 60 operations for each element are 2.3 GFLOP, nothing. The older
backward issues 387 million atomic additions. Even at one a clock (1.8 GHz) for each of 80 addresses at the same time
they would take 2.7 ms, and addresses that share a slice of the cache wait for each other.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from runners.blocks.kernels import interpreted, require_triton, tl, triton
from runners.blocks.ladder import Subject, compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand

NUMERATOR, DENOMINATOR = 6, 4
TERMS = NUMERATOR + DENOMINATOR
COLUMNS = 128
ELEMENTS = 1024
# Programs that share the sums of coefficients: enough to fill a GPU several times, few enough to sum up at once.
PROGRAMS = 4096


@triton.jit
def _rational(x, a_row, b_row):
    """P, the inner sum of Q and Q = 1 + |inner| of elements x, all float32, by Horner's rule."""
    a0, a1, a2 = tl.load(a_row), tl.load(a_row + 1), tl.load(a_row + 2)
    a3, a4, a5 = tl.load(a_row + 3), tl.load(a_row + 4), tl.load(a_row + 5)
    b1, b2, b3, b4 = tl.load(b_row), tl.load(b_row + 1), tl.load(b_row + 2), tl.load(b_row + 3)
    p = a0 + x * (a1 + x * (a2 + x * (a3 + x * (a4 + x * a5.to(tl.float32)))))
    inner = x * (b1 + x * (b2 + x * (b3 + x * b4.to(tl.float32))))
    return p, inner, 1.0 + tl.abs(inner)


@triton.jit
def _slope(x, a_row, b_row, p, inner, q):
    """dy/dx, and the sign of the inner sum (0 where it is 0)."""
    # Widened before they are multiplied by their powers: 3 a_3 and 5 a_5 would be rounded once more in a short type.
    a1, a2, a3 = tl.load(a_row + 1), tl.load(a_row + 2), tl.load(a_row + 3).to(tl.float32)
    a4, a5 = tl.load(a_row + 4), tl.load(a_row + 5).to(tl.float32)
    b1, b2, b3, b4 = tl.load(b_row), tl.load(b_row + 1), tl.load(b_row + 2).to(tl.float32), tl.load(b_row + 3)
    p_slope = a1 + x * (2.0 * a2 + x * (3.0 * a3 + x * (4.0 * a4 + x * (5.0 * a5))))
    inner_slope = b1 + x * (2.0 * b2 + x * (3.0 * b3 + x * (4.0 * b4)))
    sign = tl.where(inner > 0, 1.0, tl.where(inner < 0, -1.0, 0.0))
    return (p_slope - sign * inner_slope * (p / q)) / q, sign


@triton.jit
def _group_tile(rows, tokens, channels, width, COLUMNS: tl.constexpr):
    """Offsets and mask of a tile of one group's channels, and the group; axis 1 of the grid counts tiles of channels."""
    tiles = (width + COLUMNS - 1) // COLUMNS
    group = tl.program_id(1) // tiles
    within = tl.program_id(1) % tiles * COLUMNS + tl.arange(0, COLUMNS)
    offsets = rows.to(tl.int64)[:, None] * channels + (group * width + within)[None, :]
    return offsets, (rows < tokens)[:, None] & (within < width)[None, :], group


@triton.jit
def _forward_kernel(X, A, B, Y, tokens, channels, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    offsets, inside, group = _group_tile(rows, tokens, channels, width, COLUMNS)
    x = tl.load(X + offsets, mask=inside, other=0.0).to(tl.float32)
    p, _, q = _rational(x, A + group * 6, B + group * 4)
    tl.store(Y + offsets, (p / q).to(Y.dtype.element_ty), mask=inside)


@triton.jit
def _backward_kernel(
    X, A, B, DY, DX, Sums, tokens, channels, width, rows_each, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """dx of rows_each rows, and this program's ten sums. Sums is float32 (10, tiles of channels, programs)."""
    first = tl.program_id(0) * rows_each
    da0, da1 = tl.zeros([ROWS, COLUMNS], tl.float32), tl.zeros([ROWS, COLUMNS], tl.float32)
    da2, da3 = tl.zeros([ROWS, COLUMNS], tl.float32), tl.zeros([ROWS, COLUMNS], tl.float32)
    da4, da5 = tl.zeros([ROWS, COLUMNS], tl.float32), tl.zeros([ROWS, COLUMNS], tl.float32)
    db1, db2 = tl.zeros([ROWS, COLUMNS], tl.float32), tl.zeros([ROWS, COLUMNS], tl.float32)
    db3, db4 = tl.zeros([ROWS, COLUMNS], tl.float32), tl.zeros([ROWS, COLUMNS], tl.float32)
    for start in range(first, tl.minimum(first + rows_each, tokens), ROWS):
        rows = start + tl.arange(0, ROWS)
        offsets, inside, group = _group_tile(rows, tokens, channels, width, COLUMNS)
        x = tl.load(X + offsets, mask=inside, other=0.0).to(tl.float32)
        dy = tl.load(DY + offsets, mask=inside, other=0.0).to(tl.float32)
        p, inner, q = _rational(x, A + group * 6, B + group * 4)
        slope, sign = _slope(x, A + group * 6, B + group * 4, p, inner, q)
        tl.store(DX + offsets, (dy * slope).to(DX.dtype.element_ty), mask=inside)
        term = dy / q
        da0 += term
        below = -term * sign * (p / q) * x
        db1 += below
        term *= x
        da1 += term
        below *= x
        db2 += below
        term *= x
        da2 += term
        below *= x
        db3 += below
        term *= x
        da3 += term
        below *= x
        db4 += below
        term *= x
        da4 += term
        da5 += term * x
    step = tl.num_programs(0) * tl.num_programs(1)
    sums = Sums + tl.program_id(1) * tl.num_programs(0) + tl.program_id(0)
    tl.store(sums, tl.sum(tl.sum(da0, 1), 0))
    tl.store(sums + step, tl.sum(tl.sum(da1, 1), 0))
    tl.store(sums + 2 * step, tl.sum(tl.sum(da2, 1), 0))
    tl.store(sums + 3 * step, tl.sum(tl.sum(da3, 1), 0))
    tl.store(sums + 4 * step, tl.sum(tl.sum(da4, 1), 0))
    tl.store(sums + 5 * step, tl.sum(tl.sum(da5, 1), 0))
    tl.store(sums + 6 * step, tl.sum(tl.sum(db1, 1), 0))
    tl.store(sums + 7 * step, tl.sum(tl.sum(db2, 1), 0))
    tl.store(sums + 8 * step, tl.sum(tl.sum(db3, 1), 0))
    tl.store(sums + 9 * step, tl.sum(tl.sum(db4, 1), 0))


@triton.jit
def _atomic_backward_kernel(X, A, B, DY, DX, DA, DB, count, channels, width, BLOCK: tl.constexpr):
    """The kernel before: each element adds its ten terms to DA and DB, float32 zeros, by atomic operations of its own."""
    places = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = places < count
    group = (places % channels) // width
    x = tl.load(X + places, mask=inside, other=0.0).to(tl.float32)
    dy = tl.load(DY + places, mask=inside, other=0.0).to(tl.float32)
    group = tl.where(inside, group, 0)
    p, inner, q = _rational(x, A + group * 6, B + group * 4)
    slope, sign = _slope(x, A + group * 6, B + group * 4, p, inner, q)
    tl.store(DX + places, (dy * slope).to(DX.dtype.element_ty), mask=inside)
    term = dy / q
    below = -term * sign * (p / q)
    for power in tl.static_range(6):
        tl.atomic_add(DA + group * 6 + power, term, mask=inside, sem="relaxed")
        term *= x
    for power in tl.static_range(4):
        below *= x
        tl.atomic_add(DB + group * 4 + power, below, mask=inside, sem="relaxed")


def _tile(width: int) -> dict[str, int]:
    """Tiles are small under the interpreter, so that small checks have several of them."""
    if interpreted():
        return {"ROWS": 8, "COLUMNS": min(8, triton.next_power_of_2(width))}
    columns = min(COLUMNS, triton.next_power_of_2(width))
    return {"ROWS": ELEMENTS // columns, "COLUMNS": columns}


class GroupRational(torch.autograd.Function):
    """apply(x, a, b, atomic) -> y; keeps its three inputs. Backward with or without an atomic addition per term."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, b: Tensor, atomic: bool) -> Tensor:
        groups = a.shape[0]
        if x.dim() != 2 or x.shape[1] % groups or a.shape[1] != NUMERATOR or b.shape != (groups, DENOMINATOR):
            raise ValueError(
                "x must be (tokens, channels) with channels a multiple of groups, a (groups, 6) and b (groups, 4); "
                f"got {tuple(x.shape)}, {tuple(a.shape)} and {tuple(b.shape)}"
            )
        x, a, b = x.contiguous(), a.contiguous(), b.contiguous()
        y = torch.empty_like(x)
        tokens, channels = x.shape
        width = channels // groups
        tile = _tile(width)
        grid = (triton.cdiv(tokens, tile["ROWS"]), groups * triton.cdiv(width, tile["COLUMNS"]))
        _forward_kernel[grid](x, a, b, y, tokens, channels, width, **tile)
        ctx.save_for_backward(x, a, b)
        ctx.backward_of = _backward_atomic if atomic else _backward
        return y

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, a, b = ctx.saved_tensors
        dx, da, db = ctx.backward_of(x, a, b, cotangents[0].contiguous())
        return dx, da.to(a.dtype), db.to(b.dtype), None


def _backward(x: Tensor, a: Tensor, b: Tensor, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    (tokens, channels), groups = x.shape, a.shape[0]
    width, dx = channels // groups, torch.empty_like(x)
    tile = _tile(width)
    tiles = groups * triton.cdiv(width, tile["COLUMNS"])
    blocks = triton.cdiv(tokens, tile["ROWS"])
    # Under the interpreter two programs for each tile of channels, so that small checks have more rows than fit one step.
    most = 2 if interpreted() else max(1, PROGRAMS // tiles)
    rows_each = triton.cdiv(blocks, min(blocks, most)) * tile["ROWS"]
    programs = triton.cdiv(tokens, rows_each)
    sums = torch.empty((TERMS, tiles, programs), dtype=torch.float32, device=x.device)
    _backward_kernel[programs, tiles](x, a, b, dy, dx, sums, tokens, channels, width, rows_each, **tile)
    totals = sums.view(TERMS, groups, -1).sum(-1).t()
    return dx, totals[:, :NUMERATOR], totals[:, NUMERATOR:]


def _backward_atomic(x: Tensor, a: Tensor, b: Tensor, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    dx = torch.empty_like(x)
    da = torch.zeros(a.shape, dtype=torch.float32, device=x.device)
    db = torch.zeros(b.shape, dtype=torch.float32, device=x.device)
    block = 32 if interpreted() else 512
    grid = (triton.cdiv(x.numel(), block),)
    _atomic_backward_kernel[grid](x, a, b, dy, dx, da, db, x.numel(), x.shape[1], x.shape[1] // a.shape[0], BLOCK=block)
    return dx, da, db


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """Activations and each group's coefficients, scattered around the identity: P = x, Q = 1."""
    groups = axes["groups"]
    a = rand.gaussian(groups, NUMERATOR, scale=0.2)
    a[:, 1] += 1
    return rand.normal(axes["tokens"], axes["channels"]), a, rand.gaussian(groups, DENOMINATOR, scale=0.3)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """About 20 operations an element forward and 40 backward, on plain cores; x, y and their gradients once."""
    elements = axes["tokens"] * axes["channels"]
    return LeastWork({"float32": elements * (60 if backward else 20)}, BYTES[dtype] * elements * (4 if backward else 2))


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    require_triton("FlashKAT")
    return lambda x, a, b: GroupRational.apply(x, a, b, False)


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    require_triton("KAT's activation")
    return lambda x, a, b: GroupRational.apply(x, a, b, True)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The definition; float32 inside for shorter types, as the kernels have it."""

    def activate(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
        wide = torch.float64 if x.dtype == torch.float64 else torch.float32
        z = x.to(wide).unflatten(1, (a.shape[0], -1))
        p, inner = torch.zeros_like(z), torch.zeros_like(z)
        for power in reversed(range(NUMERATOR)):
            p = p * z + a[:, power, None].to(wide)
        for power in reversed(range(DENOMINATOR)):
            inner = (inner + b[:, power, None].to(wide)) * z
        return (p / (1 + inner.abs())).flatten(1).to(x.dtype)

    return activate


SUBJECTS = {
    "technique": make_technique,
    "paper": make_paper,
    "eager": make_eager,
    "compiled": compiled(make_eager),
}
