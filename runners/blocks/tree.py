"""Guess and verify: a tree of candidate tokens, its attention mask, and its verification in one forward pass.

A tree is rooted at the last token that is known but not yet in the cache. Its other nodes are guesses of what follows.
One pass of the decoder over all nodes, in which each node sees the committed tokens and its own ancestors, gives what the
model would choose after each of them. Starting at the root, as long as a child holds the token that was chosen, that
child is accepted; after the last one the choice itself is one more token. Every token is thus the model's own choice given
the tokens before it, which is why decoding in this way changes nothing, be the choice the likeliest token or a sample: the
guesses decide only how many choices one pass makes.

Sizes are those of `decoder`; one sequence at a time, as in the papers on speculative decoding.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from runners.blocks.decoder import Decoder, Sizes
from runners.blocks.graphs import recorded

# Masks are read in pieces of this many keys by fused attention.
CAPACITY_STEP = 64

Mode = Literal["eager", "graph", "compiled"]


class Tree:
    """Nodes 0 .. n - 1 with `parents[0] == -1` and each parent before its children."""

    def __init__(self, parents: Sequence[int], device: torch.device | str = "cpu") -> None:
        if not parents or parents[0] != -1 or any(not 0 <= parent < at for at, parent in enumerate(parents[1:], 1)):
            raise ValueError(f"parents {list(parents)[:8]} ...: the first must be -1, the others earlier nodes")
        depths = [0] * len(parents)
        for node, parent in enumerate(parents[1:], 1):
            depths[node] = depths[parent] + 1
        self.parents, self.depth_of, self.depth = list(parents), depths, max(depths)
        self.depths = torch.tensor(depths, device=device)
        self._parents_or_root = torch.tensor([0, *parents[1:]], device=device)
        self.ancestors = self._reachable() > 0
        """(n, n): row i holds node i itself and those above it."""

    def _reachable(self) -> Tensor:
        """Squaring "itself or its parent" doubles how far up a row sees."""
        seen = torch.eye(len(self), device=self.depths.device)
        seen.scatter_(1, self._parents_or_root[:, None], 1.0)
        for _ in range(self.depth.bit_length()):
            seen = (seen @ seen).clamp_(max=1.0)
        return seen

    def __len__(self) -> int:
        return len(self.parents)

    def path(self, node: int) -> list[int]:
        """Nodes from the root to `node`."""
        found = [node]
        while self.parents[found[-1]] >= 0:
            found.append(self.parents[found[-1]])
        return found[::-1]

    def deepest_accepted(self, tokens: Tensor, chosen: Tensor) -> Tensor:
        """The deepest node whose whole path the model would have chosen; tokens and choices (n,). Stays on the device."""
        agrees = tokens == chosen[self._parents_or_root]
        agrees[0] = True
        accepted = ~(self.ancestors & ~agrees).any(1)
        return torch.where(accepted, self.depths, -1).argmax()


def likeliest_nodes(accuracy: list[list[float]], nodes: int) -> list[tuple[int, int, int]]:
    """(parent, depth, rank) of `nodes` nodes, the root first, chosen one by one for the likeliest accepted path.

    accuracy[depth - 1][rank] is how often that guess is right; a path is right as often as the product along it.
    """
    found = [(-1, 0, 0)]
    offers: list[tuple[float, int, int, int, float]] = []

    def offer(parent: int, depth: int, rank: int, chance: float) -> None:
        if depth <= len(accuracy) and rank < len(accuracy[depth - 1]):
            heapq.heappush(offers, (-chance * accuracy[depth - 1][rank], parent, depth, rank, chance))

    offer(0, 1, 0, 1.0)
    while offers and len(found) < nodes:
        negative, parent, depth, rank, chance = heapq.heappop(offers)
        found.append((parent, depth, rank))
        offer(parent, depth, rank + 1, chance)
        offer(len(found) - 1, depth + 1, 0, -negative)
    return found


class SlotCache:
    """Keys and values (layers, 1, kv_heads, capacity, dim) that are written and seen as `slots` and `mask` say.

    Both are tensors, so that a pass has one shape whatever the length and can be recorded as a CUDA graph.
    """

    def __init__(self, sizes: Sizes, capacity: int, like: Tensor) -> None:
        self.capacity = -(-capacity // CAPACITY_STEP) * CAPACITY_STEP
        shape = (sizes.layers, 1, sizes.kv_heads, self.capacity, sizes.dim)
        self.keys, self.values = like.new_zeros(shape), like.new_zeros(shape)
        self.slots = torch.empty(0, dtype=torch.long, device=like.device)
        self.mask = torch.empty(0, self.capacity, dtype=torch.bool, device=like.device)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values = self.keys[layer], self.values[layer]
        keys.index_copy_(2, self.slots, k)
        values.index_copy_(2, self.slots, v)
        # The heads of a group read the same keys, like several query tokens of one head.
        group = q.shape[1] // k.shape[1]
        folded = q.unflatten(1, (k.shape[1], group)).flatten(2, 3)
        attended = scaled_dot_product_attention(folded, keys, values, attn_mask=self.mask.repeat(group, 1))
        return attended.unflatten(2, (group, -1)).flatten(1, 2)

    def move(self, source: list[int], target: int) -> None:
        """Copies the tokens at slots `source` to those from `target` on; slots that lie in place are left alone."""
        if source != list(range(target, target + len(source))):
            index = torch.tensor(source, device=self.keys.device)
            for each in (self.keys, self.values):
                each[..., target : target + len(source), :] = each[..., index, :]

    @property
    def nbytes(self) -> int:
        return self.keys.nbytes + self.values.nbytes


class Pass:
    """The decoder over `count` new tokens; in mode "graph" recorded once and replayed where there is a GPU.

    Calls hand out the same buffers again: use what they give before the next call.
    """

    def __init__(self, model: Decoder, cache: SlotCache, count: int, mode: Mode) -> None:
        self.model, self.cache = model, cache
        device = cache.keys.device
        self.tokens = torch.zeros(1, count, dtype=torch.long, device=device)
        self.positions = torch.arange(count, device=device)
        self.slots = torch.arange(count, device=device)
        self.mask = torch.zeros(count, cache.capacity, dtype=torch.bool, device=device)
        self.mask[:, :count] = True
        self._run: Callable[[], tuple[Tensor, Tensor]] = self._forward
        if mode == "compiled":
            self._run = torch.compile(self._forward, dynamic=False)
        elif mode == "graph" and device.type == "cuda":
            self._run = recorded(self._forward)

    def _forward(self) -> tuple[Tensor, Tensor]:
        self.cache.slots, self.cache.mask = self.slots, self.mask
        hidden = self.model(self.model.embed(self.tokens), self.positions, self.cache.attend)[0]
        return self.model.logits(hidden), hidden

    def __call__(self, tokens: Tensor, length: int, tree: Tree) -> tuple[Tensor, Tensor]:
        """Logits (n, vocab) and hidden states (n, hidden) of the tree's nodes after `length` committed tokens."""
        count = len(tree)
        self.tokens[0].copy_(tokens)
        torch.add(tree.depths, length, out=self.positions)
        torch.arange(length, length + count, out=self.slots)
        self.mask[:, :length] = True
        self.mask[:, length + count :] = False
        self.mask[:, length : length + count] = tree.ancestors
        return self._run()
