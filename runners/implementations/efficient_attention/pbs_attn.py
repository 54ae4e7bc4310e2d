"""Block-sparse causal prefill after keys have been put in order of importance within segments.

Source: "Sparser Block-Sparse Attention via Token Permutation" (2025), PBS-Attn.

Shapes: q and the output (batch, heads, seq, dim), k and v (batch, key heads, seq, dim). One call:
    permute   the last `block` queries' attention says how much each key matters to a key head; within each segment of `segment` keys
              those that matter stand first, keys and values alike. Softmax attention does not depend on the order of its keys, and
              keys stay in their segment, so causality is one of segments; the segment of the queries is masked by original places
    choose    mean queries of a block against mean keys of a block, softmax over the blocks of earlier segments; the largest that
              make up `mass` thousandths are kept, with the block of the first key and the queries' whole segment
    attend    block-sparse attention over the permuted keys
Scattered heavy keys, one in each of many blocks, come to lie in the first block of their segment: a quarter of the blocks then
holds them where a segment has four, and the means of blocks tell heavy blocks from light ones.

Operations, with dense causal attention = 2 * heads * seq^2 * dim: importance 2 * heads * block * seq * dim; means (seq / block)^2 each
head; own segments 4 * heads * seq * segment * dim; the rest the density. Traffic: k and v once more.
Llama-3-8B at 65,536 tokens: dense 35 TFLOP, 45 ms on an H200 at 790 TFLOP/s. Importance passes 3 GB of scores through memory, 0.7 ms,
the copy of keys and values 1 GB, 0.2 ms; at a density of 20 % attention takes 9 ms. Expect 4 times as fast as dense.
Certain,
whatever the density: importance and the visible halves of own segments, 0.6 TFLOP or 0.8 ms.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from runners.blocks.block_scores import last_query_attention
from runners.blocks.block_sparse import BlockLists, attend_to_blocks, block_lists
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand
from runners.blocks.sparse_inputs import dense_rungs, stripe_attention_inputs


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """Heavy keys scattered one here, one there: what makes unpermuted blocks dense."""
    names = ("batch", "heads", "key_heads", "seq", "dim", "stripes")
    return stripe_attention_inputs(rand, **{name: axes[name] for name in names})


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """What is certain, for axes do not tell how many blocks make up `mass`: importance, means, half of own segments."""
    seq, dim, heads = axes["seq"], axes["dim"], axes["batch"] * axes["heads"]
    own, means = 2 * seq * min(seq, axes["segment"]), (seq // axes["block"]) ** 2
    products = heads * dim * (2 * axes["block"] * seq + own + means)
    elements = 2 * seq * dim * (heads + axes["batch"] * axes["key_heads"])
    return LeastWork({dtype: products}, BYTES[dtype] * elements)


class PermutedBlockSparse:
    """`permute` false leaves keys in their order, for the comparison; `kernels` as in `attend_to_blocks`."""

    def __init__(self, axes: dict[str, int], *, permute: bool = True, kernels: bool | None = None) -> None:
        self.size, self.segment, self.mass = axes["block"], axes["segment"], axes["mass"] / 1000
        self.permute, self.kernels = permute, kernels
        if self.segment % self.size:
            raise ValueError(f"segment: {self.segment} is no multiple of the block of {self.size}")

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        places = self.order(q, k)
        index = places[..., None].expand_as(k)
        k, v = k.gather(2, index), v.gather(2, index)
        lists = self.choose(q, k, places)
        return attend_to_blocks(q, k, v, lists, places.int(), kernels=self.kernels)[0]

    def order(self, q: Tensor, k: Tensor) -> Tensor:
        """int64 (batch, key heads, seq): which key stands in each place."""
        batch, key_heads, seq, _ = k.shape
        if not self.permute:
            return torch.arange(seq, device=k.device).expand(batch, key_heads, seq)
        matters = last_query_attention(q, k, self.size).unflatten(1, (key_heads, -1)).mean(dim=2)
        fill = -seq % self.segment
        # What fills the last segment up must stay last.
        padded = torch.nn.functional.pad(matters, (0, fill), value=-1.0).unflatten(-1, (-1, self.segment))
        local = padded.argsort(dim=-1, descending=True, stable=True)
        starts = torch.arange(0, seq, self.segment, device=k.device)[:, None]
        return (local + starts).flatten(2)[..., :seq].contiguous()

    def choose(self, q: Tensor, k: Tensor, places: Tensor) -> BlockLists:
        """Blocks of the permuted keys that each head reads."""
        group, blocks = q.shape[1] // k.shape[1], -(-q.shape[2] // self.size)
        q_mean, k_mean = self.means(q), self.means(k).repeat_interleave(group, dim=1)
        piece = torch.arange(blocks, device=q.device) // (self.segment // self.size)
        earlier = piece[None, :] < piece[:, None]
        scores = (q_mean @ k_mean.transpose(-1, -2) / math.sqrt(q.shape[-1])).masked_fill(~earlier, -math.inf)
        # Queries of the first segment have no earlier one: their shares are no numbers and choose nothing.
        shares, rank = scores.softmax(-1).nan_to_num(0.0).sort(dim=-1, descending=True)
        needed = (shares.cumsum(-1) - shares < self.mass) & (shares > 0)
        chosen = torch.zeros_like(needed).scatter(-1, rank, needed) & earlier
        first = (
            torch.nn.functional.pad(places == 0, (0, -places.shape[-1] % self.size)).unflatten(-1, (blocks, -1)).any(-1)
        )
        chosen = chosen | first.repeat_interleave(group, dim=1)[:, :, None] | (piece[None, :] == piece[:, None])
        return block_lists(chosen, q.shape[2], self.size, causal=True, segment=self.segment)

    def means(self, tokens: Tensor) -> Tensor:
        """Mean over each block of (batch, heads, seq, dim), in float32; the last block over the tokens it has."""
        seq = tokens.shape[2]
        padded = torch.nn.functional.pad(tokens, (0, 0, 0, -seq % self.size)).unflatten(2, (-1, self.size))
        sums = padded.sum(dim=3, dtype=torch.float32)
        held = torch.arange(self.size, seq + self.size, self.size, device=tokens.device)[: sums.shape[2]]
        return sums / (self.size - (held - seq).clamp_min(0))[:, None]


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> PermutedBlockSparse:
    return PermutedBlockSparse(axes)


def make_unpermuted(axes: dict[str, int], weights: dict[str, Tensor]) -> PermutedBlockSparse:
    return PermutedBlockSparse(axes, permute=False)


SUBJECTS = {
    "technique": make_technique,
    "unpermuted": make_unpermuted,
    **dense_rungs(causal=True),
}
