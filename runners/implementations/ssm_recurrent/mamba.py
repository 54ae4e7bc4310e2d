"""Mamba's selective scan in one kernel, forward and backward, and its decoding step with a state of fixed size.

Source: "Mamba: Linear-Time Sequence Modeling with Selective State Spaces" (2023), section 3. For each channel, with a
state h of `state` numbers and D_t = softplus(delta_t):

    h_t = exp(D_t A) h_(t-1) + D_t B_t x_t        y_t = C_t . h_t + skip * x_t

Shapes: x, delta and y (batch, channels, seq), A (channels, state) negative, B and C (batch, state, seq), skip (channels,).
Gradients go to all six inputs. Axis `decode`: 1 takes one token (seq is 1) after a state that set-up has filled, and
gives y and the next state.

How: a program owns a few channels of one batch entry and goes over chunks of the sequence; within a chunk the recurrence
is an associative scan over pairs (decay, input), and the states of the chunk exist in registers only. Kept for the
backward pass is the state at the start of each chunk; the rest is computed again, as in the paper.

Batch 8, seq 2,048, 4,096 channels (Mamba-1.4B), state 16, bfloat16, forward: x, delta and y move 0.4 GB, 0.08 ms on an H200
at 4.8 TB/s; states in memory, as plain PyTorch keeps them, would be 4.3 GB each time they are touched. 1.07 G exponentials
at 16 a clock and multiprocessor take 0.3 ms: they bind. Attention grows with the square of the sequence, this does not.
Decoding: attention reads keys and values of the whole context, the step reads and writes 64 bytes of state a channel.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention, softplus

from runners.blocks.kernels import require_triton
from runners.blocks.ladder import Subject, compiles
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand
from runners.blocks.scan import SelectiveScan, selective_step

HEAD_DIM = 64


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """For decoding: the state after the context, and the keys and values that attention would have kept of it."""
    if not axes["decode"]:
        return {}
    batch, channels, width = axes["batch"], axes["channels"], head_dim(axes["channels"])
    cache = (2, batch, channels // 2 // width, axes["context"], width)
    return {"state": rand.gaussian(batch, channels, axes["state"]).float(), "cache": rand.gaussian(*cache)}


def head_dim(channels: int) -> int:
    """Attention in a model of the same width has half as many channels as the scan, in heads of 64 where that fits."""
    half = channels // 2
    return HEAD_DIM if half % HEAD_DIM == 0 else half


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """x, delta, A, B, C, skip. Steps lie around 0.01 and decays are -1 to -state, as the paper starts them."""
    batch, channels, state, seq = axes["batch"], axes["channels"], axes["state"], axes["seq"]
    a = -torch.arange(1, state + 1, device=rand.device) * (1 + 0.1 * rand.uniform(channels, state))
    return (
        rand.normal(batch, channels, seq),
        rand.normal(batch, channels, seq) - 4,
        a.to(rand.dtype),
        rand.normal(batch, state, seq),
        rand.normal(batch, state, seq),
        rand.gaussian(channels),
    )


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """6 plain operations a number of the state forward, 14 backward; a decoding step moves its state, float32."""
    elements, state = axes["batch"] * axes["channels"] * axes["seq"], axes["state"]
    shared = 2 * axes["batch"] * state * axes["seq"] + axes["channels"] * (state + 1)
    moved = BYTES[dtype] * (2 if backward else 1) * (3 * elements + shared)
    held = 8 * elements * state if axes["decode"] else 0
    return LeastWork({"float32": elements * state * (20 if backward else 6)}, moved + held)


class Step:
    """A decoding step of the technique: reads its state, writes the next one to new memory."""

    def __init__(self, state: Tensor) -> None:
        self._state = state

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        x, delta, a, b, c, skip = inputs
        return selective_step(x, delta, a, b, c, skip, self._state)

    def footprint(self) -> dict[str, int]:
        return {"kv_cache": self._state.nbytes}


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    require_triton("Mamba")
    if axes["decode"]:
        return Step(weights["state"])
    scan: Subject = SelectiveScan.apply
    return scan


Advance = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


def advance(h: Tensor, step: Tensor, x: Tensor, decays: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:  # noqa: PLR0917
    """One token: the next state (batch, channels, state), and what C reads of it (batch, channels)."""
    h = torch.exp(step[..., None] * decays) * h + (step * x)[..., None] * b[:, None]
    return h, (h * c[:, None]).sum(-1)


def recurrence(  # noqa: PLR0917  the six inputs of every subject
    x: Tensor,
    delta: Tensor,
    a: Tensor,
    b: Tensor,
    c: Tensor,
    skip: Tensor,
    *,
    state: Tensor | None = None,
    once: Advance = advance,
) -> tuple[Tensor, Tensor]:
    """The definition, token by token, in float32 for shorter types: y and the last state."""
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    step, source, decays = softplus(delta.to(wide)), x.to(wide), a.to(wide)
    h = torch.zeros(*x.shape[:2], a.shape[1], dtype=wide, device=x.device) if state is None else state
    rows = []
    for t in range(x.shape[2]):
        h, row = once(h, step[:, :, t], source[:, :, t], decays, b[:, :, t].to(wide), c[:, :, t].to(wide))
        rows.append(row)
    y = torch.stack(rows, 2) + skip.to(wide)[:, None] * source
    return y.to(x.dtype), h


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    if axes["decode"]:
        return lambda *inputs: recurrence(*inputs, state=weights["state"])
    return lambda *inputs: recurrence(*inputs)[0]


def make_compiled(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The recurrence with a token's step compiled; all of them at once would be thousands of operations."""
    once, state = torch.compile(advance, dynamic=False), weights.get("state")
    if axes["decode"]:
        return lambda *inputs: recurrence(*inputs, state=state, once=once)
    return lambda *inputs: recurrence(*inputs, once=once)[0]


class Attention:
    """Causal softmax attention of a model as wide, its channels taken from x and delta: another function."""

    def __init__(self, channels: int, cache: Tensor | None) -> None:
        self._dim, self._cache = head_dim(channels), cache

    def __call__(self, *inputs: Tensor) -> Tensor:
        x, delta = inputs[:2]
        half = x.shape[1] // 2

        def by_head(rows: Tensor) -> Tensor:
            return rows.unflatten(1, (-1, self._dim)).transpose(2, 3)

        q, k, v = by_head(x[:, :half]), by_head(x[:, half:]), by_head(delta[:, :half])
        if self._cache is None:
            return scaled_dot_product_attention(q, k, v, is_causal=True)
        self._cache[0, :, :, -1:], self._cache[1, :, :, -1:] = k, v
        return scaled_dot_product_attention(q, self._cache[0], self._cache[1])

    def footprint(self) -> dict[str, int]:
        return {"kv_cache": 0 if self._cache is None else self._cache.nbytes}


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    cache = weights.get("cache")
    return Attention(axes["channels"], None if cache is None else cache.clone())


SUBJECTS = {
    "technique": make_technique,
    "eager": make_eager,
    "compiled": compiles(make_compiled),
    "paper": make_paper,
}
