"""Block-sparse causal prefill whose blocks are chosen by a few pooled heads that stand for all.

Source: "ProxyAttn: Guided Sparse Attention via Representative Heads" (2025).

Shapes: q and the output (batch, heads, seq, dim), k and v (batch, key heads, seq, dim). One call:
    pool    the heads of each of `proxies` groups are averaged: q over its heads, k over its key heads
    score   attention of the proxies, token by token, summed over blocks of `block` queries by `block` keys
    budget  every head's own attention of the last block of queries, summed by blocks: how many of its largest blocks make up
            `mass` thousandths of it, as a share of all blocks, is this head's budget
    attend  each head reads, for each block of queries, the best blocks by its proxy's scores, as many as its budget; the own
            block and the first one always
Token-level scores find the block in which a single key matters, which pooled tokens would hide; the budgets keep sharp heads
cheap.

Operations, with dense causal attention = 2 * heads * seq^2 * dim: the proxies pass over their scores twice (denominators, then
sums), 2 * proxies * seq^2 * dim or 1/32 of dense for one proxy of 32 heads; the budgets 2 * heads * block * seq * dim, block / seq
of dense; the attention itself the density of the blocks.
Llama-3-8B at 65,536 tokens, one proxy: dense 35 TFLOP, 45 ms on an H200 at 790 TFLOP/s; proxies 1.4 ms; budgets 0.7 ms, for 32 * 128 rows
of 65,536 scores pass through memory, 3 GB in all; attention at a density of 8 % 3.6 ms. Lists and ranks are 32 * 512^2 numbers, a
few passes of 34 MB. Expect 7 times as fast as dense. Certain, whatever the density: one pass of the proxies, budgets
and
LEAST_BLOCKS a row, 1.0 TFLOP or 1.3 ms.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from runners.blocks.block_scores import block_mass, last_query_attention, row_lse
from runners.blocks.block_sparse import BlockLists, attend_to_blocks, block_lists
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand
from runners.blocks.sparse_inputs import dense_rungs, stripe_attention_inputs

# A row of few blocks keeps at least so many: a budget that is a share would leave short rows with one.
LEAST_BLOCKS = 4
SPREAD = 0.15


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """Heads that look at the same keys with different force, as the paper finds heads of language models to do."""
    names = ("batch", "heads", "key_heads", "seq", "dim", "stripes")
    return stripe_attention_inputs(rand, **{name: axes[name] for name in names}, spread=SPREAD)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """What is certain, for axes do not tell how many blocks make up `mass`: proxies, budgets, LEAST_BLOCKS a row."""
    seq, dim, heads = axes["seq"], axes["dim"], axes["batch"] * axes["heads"]
    kept = min((LEAST_BLOCKS - 1) * axes["block"], seq // 2)
    proxies = axes["batch"] * axes["proxies"] * seq**2
    products = dim * (proxies + heads * (2 * axes["block"] * seq + 4 * seq * kept))
    elements = 2 * seq * dim * (heads + axes["batch"] * axes["key_heads"])
    return LeastWork({dtype: products}, BYTES[dtype] * elements)


class ProxyAttention:
    """Chooses blocks anew in every call; `kernels` as in `attend_to_blocks`."""

    def __init__(self, axes: dict[str, int], *, kernels: bool | None = None) -> None:
        self.proxies, self.size, self.mass = axes["proxies"], axes["block"], axes["mass"] / 1000
        self.kernels = kernels
        if axes["key_heads"] % self.proxies:
            raise ValueError(f"proxies: {self.proxies} cannot share {axes['key_heads']} key heads evenly")

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attend_to_blocks(q, k, v, self.choose(q, k), kernels=self.kernels)[0]

    def choose(self, q: Tensor, k: Tensor) -> BlockLists:
        """The blocks that each head reads."""
        scores = self.proxy_scores(q, k)
        blocks, heads = scores.shape[-1], q.shape[1]
        place = torch.arange(blocks, device=q.device)
        ahead = place[None, :] > place[:, None]
        always = (place[None, :] == place[:, None]) | (place == 0)[None, :]
        scores = scores.masked_fill(ahead, -1.0).masked_fill(always, math.inf)
        rank = scores.argsort(dim=-1, descending=True).argsort(dim=-1)
        kept = (self.budgets(q, k)[..., None] * (place + 1)).ceil().clamp_min(LEAST_BLOCKS)
        chosen = rank.repeat_interleave(heads // self.proxies, dim=1) < kept[..., None]
        return block_lists(chosen, q.shape[2], self.size, causal=True)

    def proxy_scores(self, q: Tensor, k: Tensor) -> Tensor:
        """Attention of the pooled heads by blocks: (batch, proxies, blocks, blocks)."""
        pooled_q = q.unflatten(1, (self.proxies, -1)).mean(dim=2)
        pooled_k = k.unflatten(1, (self.proxies, -1)).mean(dim=2)
        lse = row_lse(pooled_q, pooled_k, causal=True, kernels=self.kernels)
        return block_mass(pooled_q, pooled_k, lse, self.size, causal=True, kernels=self.kernels)

    def budgets(self, q: Tensor, k: Tensor) -> Tensor:
        """Share of the blocks that holds `mass` of the attention of each head's last queries: (batch, heads)."""
        seq, shares = q.shape[2], last_query_attention(q, k, self.size)
        blocks = -(-seq // self.size)
        by_block = torch.nn.functional.pad(shares, (0, blocks * self.size - seq)).unflatten(-1, (blocks, -1)).sum(-1)
        reached = by_block.sort(dim=-1, descending=True).values.cumsum(-1) < self.mass
        return (reached.sum(-1) + 1).clamp_max(blocks) / blocks


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> ProxyAttention:
    return ProxyAttention(axes)


SUBJECTS = {
    "technique": make_technique,
    **dense_rungs(causal=True),
}
