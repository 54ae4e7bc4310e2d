"""A decoder whose layers went through torch.compile in two pieces, before and after attention.

A call of many passes (tokens one after another, groups of a batch) would be unrolled into thousands of operations if it were
compiled as a whole. Here each piece takes its layer's matrices as arguments: it is compiled once for each shape and serves all
layers and passes, while attention stays the caller's hook with its own cache.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import silu

from runners.blocks.decoder import Attend, Decoder, Rotary, Sizes, norm, turn


def before_attention(  # noqa: PLR0917  by position, as the compiler wants it
    x: Tensor, gain: Tensor, qkv: Tensor, rotary: Rotary, heads: int, kv_heads: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values (batch, heads, tokens, dim) of x (batch, tokens, hidden); the first two rotated."""
    by_head = (norm(x, gain) @ qkv).unflatten(-1, (heads + 2 * kv_heads, -1)).transpose(1, 2)
    q, k, v = by_head.split([heads, kv_heads, kv_heads], dim=1)
    return turn(q, rotary), turn(k, rotary), v


def after_attention(  # noqa: PLR0917  by position, as the compiler wants it
    x: Tensor, attended: Tensor, output: Tensor, gain: Tensor, gate_up: Tensor, down: Tensor
) -> Tensor:
    """x with what attention gave (batch, heads, tokens, dim), projected, and the feed-forward network added."""
    x = x + attended.transpose(1, 2).flatten(2) @ output
    gate, up = (norm(x, gain) @ gate_up).chunk(2, dim=-1)
    return x + (silu(gate) * up) @ down


class CompiledDecoder(Decoder):
    """The same layers; for weights without a bias. `linear` of subclasses is not asked."""

    def __init__(self, sizes: Sizes, weights: dict[str, Tensor]) -> None:
        super().__init__(sizes, weights)
        if "qkv_bias" in self.weights:
            raise ValueError("qkv_bias is given, but compiled layers have none; use Decoder")
        self._before = torch.compile(before_attention, dynamic=False)
        self._after = torch.compile(after_attention, dynamic=False)

    def block(self, layer: int, x: Tensor, rotary: Rotary, attend: Attend) -> Tensor:
        own = {name: self.weights[name][layer] for name in self.weights if self.weights[name].dim() > 1}
        q, k, v = self._before(x, own["attention_norm"], own["qkv"], rotary, self.sizes.heads, self.sizes.kv_heads)
        attended = attend(layer, q, k, v)
        return self._after(x, attended, own["output"], own["ffn_norm"], own["gate_up"], own["down"])
