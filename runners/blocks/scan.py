"""Mamba's selective scan as fused kernels: forward, backward by computing states again, and one decoding step.

For each channel, with D_t = softplus(delta_t): h_t = exp(D_t A) h_(t-1) + D_t B_t x_t and y_t = C_t . h_t + skip * x_t.
Source: "Mamba: Linear-Time Sequence Modeling with Selective State Spaces" (2023). Shapes: x, delta and y (batch, channels, seq),
A (channels, state), B and C (batch, state, seq), skip (channels,).
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from runners.blocks.kernels import interpreted, tl, triton


@triton.jit
def _follow(decay, value, next_decay, next_value):
    """First one step h -> decay h + value, then the next."""
    return decay * next_decay, next_decay * value + next_value


@triton.jit
def _softplus(x):
    """log(1 + exp(x)), right also where exp(x) is small: log(u) / (u - 1) mends the rounding of u = 1 + exp(x)."""
    e = tl.exp(tl.minimum(x, 30.0))
    u = 1.0 + e
    small = tl.where(u == 1.0, e, e * (tl.log(u) / tl.where(u == 1.0, 1.0, u - 1.0)))
    return tl.where(x > 30.0, x, small)


@triton.jit
def _steps(Delta, row, tokens, inside):
    """Step sizes of a tile, 0 outside: such a token neither decays nor adds."""
    delta = tl.load(Delta + row[:, None] + tokens[None, :], mask=inside, other=0.0).to(tl.float32)
    return tl.where(inside, _softplus(delta), 0.0), delta


@triton.jit
def _forward_kernel(
    X, Delta, A, B, C, Skip, Y, Starts, channels, seq,
    STATE: tl.constexpr, BLOCK_C: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Starts is float32 (batch, chunks, state, channels): the state before each chunk."""
    batch = tl.program_id(1).to(tl.int64)
    own = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    exists = own < channels
    row = (batch * channels + own) * seq
    last = tl.arange(0, CHUNK)[None, :] == CHUNK - 1
    numbers = tl.arange(0, STATE)[None, :]
    states = tl.zeros([BLOCK_C, STATE], tl.float32)
    skip = tl.load(Skip + own, mask=exists, other=0.0).to(tl.float32)
    chunks = (seq + CHUNK - 1) // CHUNK
    for chunk in range(0, chunks):
        tokens = chunk * CHUNK + tl.arange(0, CHUNK)
        within = tokens < seq
        inside = exists[:, None] & within[None, :]
        x = tl.load(X + row[:, None] + tokens[None, :], mask=inside, other=0.0).to(tl.float32)
        step, _ = _steps(Delta, row, tokens, inside)
        y = x * skip[:, None]
        for n in range(0, STATE):
            before = tl.sum(tl.where(numbers == n, states, 0.0), 1)
            tl.store(Starts + ((batch * chunks + chunk) * STATE + n) * channels + own, before, mask=exists)
            a = tl.load(A + own * STATE + n, mask=exists, other=0.0).to(tl.float32)
            b = tl.load(B + (batch * STATE + n) * seq + tokens, mask=within, other=0.0).to(tl.float32)
            c = tl.load(C + (batch * STATE + n) * seq + tokens, mask=within, other=0.0).to(tl.float32)
            decay, value = tl.associative_scan((tl.exp(step * a[:, None]), step * x * b[None, :]), 1, _follow)
            h = value + decay * before[:, None]
            y += h * c[None, :]
            after = tl.sum(tl.where(last, h, 0.0), 1)
            states = tl.where(numbers == n, after[:, None], states)
        tl.store(Y + row[:, None] + tokens[None, :], y.to(Y.dtype.element_ty), mask=inside)


@triton.jit
def _backward_kernel(
    X, Delta, A, B, C, Skip, DY, Starts, DX, DDelta, DA, DB, DC, DSkip, channels, seq,
    STATE: tl.constexpr, BLOCK_C: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    """Chunks from the last to the first. DA (batch, channels, state) and DSkip (batch, channels) are summed over batch
    later, DB and DC (blocks of channels, batch, state, seq) over blocks; all float32."""
    batch = tl.program_id(1).to(tl.int64)
    own = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    exists = own < channels
    row = (batch * channels + own) * seq
    first = tl.arange(0, CHUNK)[None, :] == 0
    numbers = tl.arange(0, STATE)[None, :]
    carried = tl.zeros([BLOCK_C, STATE], tl.float32)
    da = tl.zeros([BLOCK_C, STATE], tl.float32)
    dskip = tl.zeros([BLOCK_C], tl.float32)
    skip = tl.load(Skip + own, mask=exists, other=0.0).to(tl.float32)
    chunks = (seq + CHUNK - 1) // CHUNK
    shared = (tl.program_id(0).to(tl.int64) * tl.num_programs(1) + batch) * STATE
    for back in range(0, chunks):
        chunk = chunks - 1 - back
        tokens = chunk * CHUNK + tl.arange(0, CHUNK)
        within = tokens < seq
        inside = exists[:, None] & within[None, :]
        x = tl.load(X + row[:, None] + tokens[None, :], mask=inside, other=0.0).to(tl.float32)
        dy = tl.load(DY + row[:, None] + tokens[None, :], mask=inside, other=0.0).to(tl.float32)
        step, delta = _steps(Delta, row, tokens, inside)
        # The chunk shifted by one token: states before each token, and decays after it.
        earlier = inside & (tokens > chunk * CHUNK)[None, :]
        x_earlier = tl.load(X + row[:, None] + tokens[None, :] - 1, mask=earlier, other=0.0).to(tl.float32)
        step_earlier, _ = _steps(Delta, row, tokens - 1, earlier)
        step_later, _ = _steps(Delta, row, tokens + 1, exists[:, None] & (tokens + 1 < seq)[None, :])
        dx = dy * skip[:, None]
        dskip += tl.sum(dy * x, 1)
        dstep = tl.zeros([BLOCK_C, CHUNK], tl.float32)
        for n in range(0, STATE):
            start = tl.load(Starts + ((batch * chunks + chunk) * STATE + n) * channels + own, mask=exists, other=0.0)
            a = tl.load(A + own * STATE + n, mask=exists, other=0.0).to(tl.float32)
            line = (batch * STATE + n) * seq
            b = tl.load(B + line + tokens, mask=within, other=0.0).to(tl.float32)
            c = tl.load(C + line + tokens, mask=within, other=0.0).to(tl.float32)
            b_earlier = tl.load(B + line + tokens - 1, mask=within & (tokens > chunk * CHUNK), other=0.0).to(tl.float32)
            decay, value = tl.associative_scan(
                (tl.exp(step_earlier * a[:, None]), step_earlier * x_earlier * b_earlier[None, :]), 1, _follow
            )
            decayed = (value + decay * start[:, None]) * tl.exp(step * a[:, None])
            h = decayed + step * x * b[None, :]
            decay, value = tl.associative_scan(
                (tl.exp(step_later * a[:, None]), dy * c[None, :]), 1, _follow, reverse=True
            )
            later = tl.sum(tl.where(numbers == n, carried, 0.0), 1)
            dh = value + decay * later[:, None]
            at_first = tl.sum(tl.where(first, dh, 0.0), 1)
            carried = tl.where(numbers == n, at_first[:, None], carried)
            dx += dh * step * b[None, :]
            dstep += dh * (x * b[None, :] + a[:, None] * decayed)
            da += tl.where(numbers == n, tl.sum(dh * step * decayed, 1)[:, None], 0.0)
            tl.store(DB + (shared + n) * seq + tokens, tl.sum(dh * step * x, 0), mask=within)
            tl.store(DC + (shared + n) * seq + tokens, tl.sum(dy * h, 0), mask=within)
        tl.store(DX + row[:, None] + tokens[None, :], dx.to(DX.dtype.element_ty), mask=inside)
        ddelta = dstep / (1.0 + tl.exp(-delta))
        tl.store(DDelta + row[:, None] + tokens[None, :], ddelta.to(DDelta.dtype.element_ty), mask=inside)
    tl.store(DA + (batch * channels + own)[:, None] * STATE + numbers, da, mask=exists[:, None])
    tl.store(DSkip + batch * channels + own, dskip, mask=exists)


@triton.jit
def _step_kernel(X, Delta, A, B, C, Skip, State, Y, Next, channels, STATE: tl.constexpr, BLOCK_C: tl.constexpr):
    """One token: State and Next are float32 (batch, channels, state)."""
    batch = tl.program_id(1).to(tl.int64)
    own = tl.program_id(0) * BLOCK_C + tl.arange(0, BLOCK_C)
    exists = own < channels
    numbers = tl.arange(0, STATE)
    both = exists[:, None]
    x = tl.load(X + batch * channels + own, mask=exists, other=0.0).to(tl.float32)
    step = _softplus(tl.load(Delta + batch * channels + own, mask=exists, other=0.0).to(tl.float32))
    a = tl.load(A + own[:, None] * STATE + numbers[None, :], mask=both, other=0.0).to(tl.float32)
    b = tl.load(B + batch * STATE + numbers).to(tl.float32)
    c = tl.load(C + batch * STATE + numbers).to(tl.float32)
    places = (batch * channels + own)[:, None] * STATE + numbers[None, :]
    h = tl.load(State + places, mask=both, other=0.0) * tl.exp(step[:, None] * a) + (step * x)[:, None] * b[None, :]
    tl.store(Next + places, h, mask=both)
    y = tl.sum(h * c[None, :], 1) + x * tl.load(Skip + own, mask=exists, other=0.0).to(tl.float32)
    tl.store(Y + batch * channels + own, y.to(Y.dtype.element_ty), mask=exists)


def tile() -> dict[str, int]:
    """Channels and tokens of a tile: a warp covers a channel with eight tokens a lane, and registers suffice for it."""
    return {"BLOCK_C": 2, "CHUNK": 8} if interpreted() else {"BLOCK_C": 4, "CHUNK": 256}


class SelectiveScan(torch.autograd.Function):
    """apply(x, delta, a, b, c, skip) -> y; keeps its inputs and one float32 state for each chunk."""

    @staticmethod
    def forward(ctx: Any, *inputs: Tensor) -> Tensor:
        x, delta, a, b, c, skip = (each.contiguous() for each in inputs)
        batch, channels, seq = x.shape
        state, sizes = a.shape[1], tile()
        if state & (state - 1):
            raise ValueError(f"state is {state}; the kernels take powers of two")
        y = torch.empty_like(x)
        chunks = triton.cdiv(seq, sizes["CHUNK"])
        starts = torch.empty((batch, chunks, state, channels), dtype=torch.float32, device=x.device)
        _forward_kernel[triton.cdiv(channels, sizes["BLOCK_C"]), batch](
            x, delta, a, b, c, skip, y, starts, channels, seq, STATE=state, **sizes
        )
        ctx.save_for_backward(x, delta, a, b, c, skip, starts)
        return y

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, ...]:
        x, delta, a, b, c, skip, starts = ctx.saved_tensors
        (batch, channels, seq), state, sizes = x.shape, a.shape[1], tile()
        blocks = triton.cdiv(channels, sizes["BLOCK_C"])
        dx, ddelta = torch.empty_like(x), torch.empty_like(delta)
        da = torch.empty((batch, channels, state), dtype=torch.float32, device=x.device)
        dskip = torch.empty((batch, channels), dtype=torch.float32, device=x.device)
        db, dc = (torch.empty((blocks, *b.shape), dtype=torch.float32, device=x.device) for _ in range(2))
        _backward_kernel[blocks, batch](
            x, delta, a, b, c, skip, cotangents[0].contiguous(), starts, dx, ddelta, da, db, dc, dskip,
            channels, seq, STATE=state, **sizes)  # fmt: skip
        return (
            dx,
            ddelta,
            da.sum(0).to(a.dtype),
            db.sum(0).to(b.dtype),
            dc.sum(0).to(c.dtype),
            dskip.sum(0).to(skip.dtype),
        )


def selective_step(
    x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, skip: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """One token after `state`, float32 (batch, channels, state): y and the next state; seq is 1 in x, delta, b and c."""
    batch, channels, _ = x.shape
    y, after = torch.empty_like(x), torch.empty_like(state)
    block = tile()["BLOCK_C"] if interpreted() else 64
    _step_kernel[triton.cdiv(channels, block), batch](
        x.contiguous(), delta.contiguous(), a.contiguous(), b.contiguous(), c.contiguous(), skip.contiguous(), state,
        y, after, channels, STATE=a.shape[1], BLOCK_C=block)  # fmt: skip
    return y, after
