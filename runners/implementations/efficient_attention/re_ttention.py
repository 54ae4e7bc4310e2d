"""Ultra-sparse attention for diffusion transformers that keeps dense attention's softmax scale from an earlier step.

Source: "Re-ttention: Ultra Sparse Visual Generation via Attention Statistical Reshape" (2025).

Shapes: q, k, v and the output (batch, heads, seq, dim), not causal. Every query reads the first `text` tokens and a window of blocks,
`window` on either side of its own. A softmax over so few keys is too large: its denominator lacks all other keys.
    a dense step, once in a while   full output and denominators, and the same for the sparse attention:
                                    ratio = sparse denominator / full one, residual = full output - ratio * sparse output
    the steps between               output = ratio * sparse output + residual, with this step's queries, keys and values
Ratio and residual change slowly over denoising steps. A call is one step between; the dense step is done in set-up on the weights'
queries, keys and values, which the call's inputs change. The rung "unshaped" is the sparse attention alone.

Work: density * 4 * heads * seq^2 * dim operations; the residual costs one tensor read, the output one more pass.
CogVideoX-5B, 17,776 tokens, 48 heads of 64: dense 3.9 TFLOP for each of two guided samples, 4.9 ms on an H200 at 790 TFLOP/s; at 9 of 278
blocks 0.16 ms, with q, k, v, output and residual 0.55 GB and 0.11 ms at 4.8 TB/s, twice that as the correction is a pass of its own. The
changes added to queries, keys and values, in every rung, cost as much again.
"""

from __future__ import annotations

import torch
from torch import Tensor

from runners.blocks.block_scores import row_lse
from runners.blocks.block_sparse import BlockLists, attend_to_blocks, block_lists
from runners.blocks.ladder import Subject
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand
from runners.blocks.sparse_inputs import dense_rungs, library_attention, stripe_attention_inputs

# How far queries, keys and values of a step lie from those of the dense step.
DRIFT = 0.15


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """Queries, keys and values of the last dense step; `stripes` heavy keys lie anywhere, most of them outside of windows."""
    names = ("batch", "heads", "seq", "dim", "stripes")
    sizes = {name: axes[name] for name in names}
    q, k, v = stripe_attention_inputs(rand, **sizes, key_heads=axes["heads"], spread=0.15)
    return {"dense_q": q, "dense_k": k, "dense_v": v}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """What this step adds to queries, keys and values of the dense step."""
    shape = (axes["batch"], axes["heads"], axes["seq"], axes["dim"])
    return rand.normal(*shape, scale=DRIFT), rand.normal(*shape, scale=DRIFT), rand.normal(*shape, scale=DRIFT)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Whole blocks of text, and the window; changes, the dense step's q, k, v, residual, output, and the ratios."""
    rows = axes["batch"] * axes["heads"] * axes["seq"]
    blocks, window, text = -(-axes["seq"] // axes["block"]), axes["window"], axes["text"] // axes["block"]
    near = sum(max(0, min(blocks, at + window + 1) - max(text, at - window)) for at in range(blocks))
    products = 4 * rows * axes["dim"] * axes["seq"] * (near + blocks * text) / blocks**2
    return LeastWork({dtype: products}, BYTES[dtype] * rows * (8 * axes["dim"] + 1))


def window_lists(axes: dict[str, int], like: Tensor) -> BlockLists:
    """Text blocks and the window's for every block of queries."""
    blocks = -(-axes["seq"] // axes["block"])
    place = torch.arange(blocks, device=like.device)
    near = (place[:, None] - place[None, :]).abs() <= axes["window"]
    text = (place * axes["block"] < axes["text"])[None, :]
    chosen = (near | text).expand(axes["batch"], axes["heads"], blocks, blocks)
    return block_lists(chosen, axes["seq"], axes["block"], causal=False)


class Unshaped:
    """Sparse attention as it is; `kernels` as in `attend_to_blocks`."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor], *, kernels: bool | None = None) -> None:
        self.q, self.k, self.v = weights["dense_q"], weights["dense_k"], weights["dense_v"]
        self.kernels = kernels
        self.lists = window_lists(axes, self.q)

    def sparse(self, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return attend_to_blocks(q, k, v, self.lists, kernels=self.kernels)

    def __call__(self, q_change: Tensor, k_change: Tensor, v_change: Tensor) -> Tensor:
        return self.sparse(self.q + q_change, self.k + k_change, self.v + v_change)[0]


class Reshaped(Unshaped):
    """Sparse attention with the ratio and the residual of the dense step."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor], *, kernels: bool | None = None) -> None:
        super().__init__(axes, weights, kernels=kernels)
        few, few_lse = self.sparse(self.q, self.k, self.v)
        full_lse = row_lse(self.q, self.k, causal=False, kernels=kernels)
        self.ratio = torch.exp2(few_lse - full_lse)[..., None].to(self.q.dtype)
        self.residual = library_attention(causal=False)(self.q, self.k, self.v) - self.ratio * few

    def __call__(self, q_change: Tensor, k_change: Tensor, v_change: Tensor) -> Tensor:
        few = super().__call__(q_change, k_change, v_change)
        return torch.addcmul(self.residual, self.ratio, few)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Reshaped:
    return Reshaped(axes, weights)


def make_unshaped(axes: dict[str, int], weights: dict[str, Tensor]) -> Unshaped:
    return Unshaped(axes, weights)


def _changed(attend: Subject, weights: dict[str, Tensor]) -> Subject:
    dense = [weights[name] for name in ("dense_q", "dense_k", "dense_v")]
    return lambda *changes: attend(*(then + change for then, change in zip(dense, changes, strict=True)))


SUBJECTS = {
    "technique": make_technique,
    "unshaped": make_unshaped,
    **dense_rungs(causal=False, given=_changed),
}
