"""Block-sparse attention for video diffusion: blocks are searched exactly, with cached denominators, once in many steps.

Source: "Training-free and Adaptive Sparse Attention for Efficient Long Video Generation" (2025), AdaSpa.

Shapes: q, k, v and the output (batch, heads, seq, dim), not causal; seq are the patches of a whole video. Of `period` denoising steps
    step 0        dense attention, which also leaves the logarithm of each query's softmax denominator
    then once     the search: with denominators known, one pass over the scores gives the exact attention of every block of keys from
                  every block of queries; no score is stored. Each head keeps, for each block of queries, its best blocks, as many as
                  `density` thousandths of them. Heads whose blocks catch less of the attention than others (recall) get half as much
                  again, and as many heads that catch most get half less: the sum stays
    other steps   block-sparse attention over the same lists: patterns differ by input, layer and head but hardly by step
A call is one step on its own inputs; what step 0 found, it finds in set-up from the weights' queries and keys, which the inputs of the
call are noisy copies of. The rung "searching" searches in every call, as methods without the invariance must.

Operations: dense 4 * heads * seq^2 * dim; a step here `density` of that; the search half of dense.
HunyuanVideo at 110,592 tokens, 24 heads of 128: 150 TFLOP dense, 0.19 s on an H200 at 790 TFLOP/s; 20 % of the blocks 0.04 s. Expect
nearly 5 times for a step, and 4 on average over a period of 25 (one dense, one search).
"""

from __future__ import annotations

import torch
from torch import Tensor

from runners.blocks.block_scores import block_mass, row_lse
from runners.blocks.block_sparse import BlockLists, attend_to_blocks, block_lists
from runners.blocks.ladder import Subject
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand
from runners.blocks.sparse_inputs import dense_rungs, stripe_attention_inputs

# How far queries and keys of a later step lie from those of the step that was searched, of a norm of about 1 a column.
DRIFT = 0.3
SPREAD = 0.15


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """Queries and keys of an earlier denoising step, when dense attention and the search were done."""
    names = ("batch", "heads", "seq", "dim", "stripes")
    q, k, _ = stripe_attention_inputs(
        rand, **{name: axes[name] for name in names}, key_heads=axes["heads"], width=48.0, spread=SPREAD
    )
    return {"earlier_q": q, "earlier_k": k}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """What this step adds to the earlier queries and keys, and its values."""
    shape = (axes["batch"], axes["heads"], axes["seq"], axes["dim"])
    return rand.normal(*shape, scale=DRIFT), rand.normal(*shape, scale=DRIFT), rand.normal(*shape)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """The blocks of one step; the earlier step's queries and keys are read besides what changed."""
    elements = axes["batch"] * axes["heads"] * axes["seq"] * axes["dim"]
    return LeastWork({dtype: 4 * elements * axes["seq"] * axes["density"] / 1000}, BYTES[dtype] * 6 * elements)


class AdaptiveBlocks:
    """Attention with lists that were searched at an earlier step; `kernels` as in `attend_to_blocks`."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor], *, kernels: bool | None = None) -> None:
        self.size, self.density, self.kernels = axes["block"], axes["density"] / 1000, kernels
        self.q, self.k = weights["earlier_q"], weights["earlier_k"]
        lse = row_lse(self.q, self.k, causal=False, kernels=kernels)
        self.lists = self.search(self.q, self.k, lse)

    def __call__(self, q_change: Tensor, k_change: Tensor, v: Tensor) -> Tensor:
        return attend_to_blocks(self.q + q_change, self.k + k_change, v, self.lists, kernels=self.kernels)[0]

    def search(self, q: Tensor, k: Tensor, lse: Tensor) -> BlockLists:
        """The best blocks by their exact attention under the denominators `lse`."""
        mass = block_mass(q, k, lse, self.size, causal=False, kernels=self.kernels)
        blocks = mass.shape[-1]
        ordered, order = mass.sort(dim=-1, descending=True)
        kept = self.kept_blocks(ordered)
        chosen = torch.zeros_like(mass, dtype=torch.bool)
        place = torch.arange(blocks, device=mass.device)
        chosen.scatter_(-1, order, (place < kept[:, :, None, None]).expand_as(order))
        return block_lists(chosen, q.shape[2], self.size, causal=False)

    def kept_blocks(self, ordered: Tensor) -> Tensor:
        """Blocks for each query block of a head (batch, heads), from masses that descend along the last axis."""
        heads, blocks = ordered.shape[1], ordered.shape[3]
        base = max(1, round(self.density * blocks))
        recall = ordered[..., :base].sum((-1, -2)) / ordered.sum((-1, -2))
        place = recall.argsort(dim=-1).argsort(dim=-1)
        quarter = heads // 4
        more, less = place < quarter, place >= heads - quarter
        change = base // 2
        return (base + change * (more.int() - less.int())).clamp(1, blocks)


class Searching(AdaptiveBlocks):
    """Denominators and blocks anew in each call."""

    def __call__(self, q_change: Tensor, k_change: Tensor, v: Tensor) -> Tensor:
        q, k = self.q + q_change, self.k + k_change
        lists = self.search(q, k, row_lse(q, k, causal=False, kernels=self.kernels))
        return attend_to_blocks(q, k, v, lists, kernels=self.kernels)[0]


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> AdaptiveBlocks:
    return AdaptiveBlocks(axes, weights)


def make_searching(axes: dict[str, int], weights: dict[str, Tensor]) -> Searching:
    return Searching(axes, weights)


def _changed(attend: Subject, weights: dict[str, Tensor]) -> Subject:
    return lambda q_change, k_change, v: attend(weights["earlier_q"] + q_change, weights["earlier_k"] + k_change, v)


SUBJECTS = {
    "technique": make_technique,
    "searching": make_searching,
    **dense_rungs(causal=False, given=_changed),
}
