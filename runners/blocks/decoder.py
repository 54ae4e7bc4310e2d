"""A decoder like Llama's with random weights: RMS norm, rotary positions, grouped-query attention, gated feed-forward.

Axes (all sizes are a workload's): layers, hidden, heads, kv_heads, dim, ffn and, where tokens go in or out, vocab.
Weights are stacked over layers, so that `weights["qkv"][layer]` is a view:
    qkv (layers, hidden, (heads + 2 * kv_heads) * dim)    output (layers, heads * dim, hidden)
    gate_up (layers, hidden, 2 * ffn)                     down (layers, ffn, hidden)
    attention_norm, ffn_norm (layers, hidden)             final_norm (hidden)
    embedding (vocab, hidden)                             head (hidden, vocab)
    qkv_bias (layers, as many columns as qkv)             only where given, as in Qwen2

Attention is a hook, `attend(layer, q, k, v)`, with q (batch, heads, tokens, dim) and k, v (batch, kv_heads, tokens, dim)
of the new tokens, after rotation; it returns (batch, heads, tokens, dim). A cache is such a hook (`kv_cache.KVCache`), and
so is what replaces attention in some layers. A technique that skips, reorders or replaces parts of layers calls
`block`, `attention_part` and `ffn_part` itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn.functional import rms_norm, scaled_dot_product_attention, silu

from runners.blocks.rand import Rand

ROPE_BASE = 10_000.0
NORM_EPSILON = 1e-6

NAMES = (
    "qkv", "qkv_bias", "output", "gate_up", "down", "attention_norm", "ffn_norm", "final_norm", "embedding", "head",
)  # fmt: skip

Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]
Rotary = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Sizes:
    """The sizes of a decoder; vocab is 0 where neither embedding nor output head are wanted."""

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    dim: int
    ffn: int
    vocab: int = 0

    @classmethod
    def of(cls, axes: dict[str, int]) -> Sizes:
        """From a workload's axes, which may hold others as well."""
        return cls(**{each.name: axes[each.name] for each in fields(cls) if each.name in axes})


def decoder_weights(sizes: Sizes, rand: Rand) -> dict[str, Tensor]:
    """Random weights that keep the residual stream near unit variance at any depth."""
    layers, hidden, inner = sizes.layers, sizes.hidden, sizes.heads * sizes.dim
    into_residual = 1 / math.sqrt(2 * layers)

    def projection(rows: int, columns: int, scale: float = 1.0) -> Tensor:
        return rand.gaussian(layers, rows, columns, scale=scale / math.sqrt(rows))

    def gain(*shape: int) -> Tensor:
        return 1 + rand.gaussian(*shape, scale=0.1)

    weights = {
        "qkv": projection(hidden, inner + 2 * sizes.kv_heads * sizes.dim),
        "output": projection(inner, hidden, into_residual),
        "gate_up": projection(hidden, 2 * sizes.ffn),
        "down": projection(sizes.ffn, hidden, into_residual),
        "attention_norm": gain(layers, hidden),
        "ffn_norm": gain(layers, hidden),
        "final_norm": gain(hidden),
    }
    if sizes.vocab:
        weights["embedding"] = rand.gaussian(sizes.vocab, hidden)
        weights["head"] = rand.gaussian(hidden, sizes.vocab, scale=hidden**-0.5)
    return weights


def norm(x: Tensor, gain: Tensor | None = None) -> Tensor:
    """Root-mean-square norm over the last axis."""
    return rms_norm(x, x.shape[-1:], gain, eps=NORM_EPSILON)


def rotary_for(positions: Tensor | int, dim: int, like: Tensor, base: float = ROPE_BASE) -> Rotary:
    """Cosines and sines (..., dim / 2) of positions (...) in `like`'s dtype; the angles are float32 at least."""
    wide = torch.float64 if like.dtype == torch.float64 else torch.float32
    frequency = base ** (-torch.arange(dim // 2, dtype=wide, device=like.device) / (dim // 2))
    angle = positions[..., None] * frequency if isinstance(positions, Tensor) else positions * frequency
    return angle.cos().to(like.dtype), angle.sin().to(like.dtype)


def turn(x: Tensor, rotary: Rotary) -> Tensor:
    """x (..., dim) with its pairs (i, i + dim / 2) turned by the angles that `rotary_for` gave."""
    cosine, sine = rotary
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


def rotate(x: Tensor, positions: Tensor | int, base: float = ROPE_BASE) -> Tensor:
    """Rotary embedding of x (..., dim) at positions that broadcast with x's axes but the last."""
    return turn(x, rotary_for(positions, x.shape[-1], x, base))


def attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = True, mask: Tensor | None = None) -> Tensor:
    """Grouped-query softmax attention: q (batch, heads, m, dim) over k, v (batch, kv_heads, n, dim), heads in order of groups.

    Causal with m < n: the last query stands at the last key, as in decoding against a cache. A boolean mask (True takes
    part) replaces that.
    """
    grouped = q.shape[1] != k.shape[1]
    queries, keys = q.shape[2], k.shape[2]
    if queries == 1 and mask is None:
        # The heads of a group read the same keys, like several query tokens of one head.
        folded = q.view(q.shape[0], k.shape[1], -1, q.shape[-1])
        return scaled_dot_product_attention(folded, k, v).reshape(q.shape[:-1] + v.shape[-1:])
    if mask is None and causal and queries != keys:
        mask = torch.ones(queries, keys, dtype=torch.bool, device=q.device).tril(keys - queries)
    is_causal = causal and mask is None
    return scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=is_causal, enable_gqa=grouped)


def causal_attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The hook that keeps no cache: causal attention among the tokens given."""
    return attention(q, k, v)


class Decoder:
    """The layers over given weights; holds no state of a sequence."""

    def __init__(self, sizes: Sizes, weights: dict[str, Tensor], rope_base: float = ROPE_BASE) -> None:
        """`weights` may hold others as well."""
        self.sizes, self.rope_base = sizes, rope_base
        self.weights = {name: weights[name] for name in NAMES if name in weights}

    def __call__(
        self, x: Tensor, positions: Tensor, attend: Attend = causal_attend, layers: Iterable[int] | None = None
    ) -> Tensor:
        """Hidden states after `layers` (default: all) of x (batch, tokens, hidden); positions (tokens,)."""
        rotary = self.rotary(positions, x)
        for layer in range(self.sizes.layers) if layers is None else layers:
            x = self.block(layer, x, rotary, attend)
        return x

    def embed(self, tokens: Tensor) -> Tensor:
        """(batch, tokens) to (batch, tokens, hidden)."""
        return self.weights["embedding"][tokens]

    def logits(self, x: Tensor) -> Tensor:
        """(..., hidden) to (..., vocab)."""
        return norm(x, self.weights["final_norm"]) @ self.weights["head"]

    def rotary(self, positions: Tensor, like: Tensor) -> Rotary:
        return rotary_for(positions, self.sizes.dim, like, self.rope_base)

    def block(self, layer: int, x: Tensor, rotary: Rotary, attend: Attend) -> Tensor:
        x = x + self.attention_part(layer, x, rotary, attend)
        return x + self.ffn_part(layer, x)

    def linear(self, name: str, layer: int, x: Tensor) -> Tensor:
        """x (..., rows) times the matrix `name` of a layer; what adapts or replaces matrices overrides this."""
        return x @ self.weights[name][layer]

    def attention_part(self, layer: int, x: Tensor, rotary: Rotary, attend: Attend) -> Tensor:
        """What attention adds to the residual stream."""
        attended = attend(layer, *self.queries_keys_values(layer, x, rotary))
        return self.linear("output", layer, attended.transpose(1, 2).flatten(2))

    def ffn_part(self, layer: int, x: Tensor) -> Tensor:
        """What the gated feed-forward network adds to the residual stream."""
        gate, up = self.linear("gate_up", layer, norm(x, self.weights["ffn_norm"][layer])).chunk(2, dim=-1)
        return self.linear("down", layer, silu(gate) * up)

    def queries_keys_values(self, layer: int, x: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (batch, heads, tokens, dim), keys and values (batch, kv_heads, tokens, dim); the first two rotated."""
        sizes = self.sizes
        projected = self.linear("qkv", layer, norm(x, self.weights["attention_norm"][layer]))
        if "qkv_bias" in self.weights:
            projected = projected + self.weights["qkv_bias"][layer]
        by_head = projected.unflatten(-1, (-1, sizes.dim)).transpose(1, 2)
        q, k, v = by_head.split([sizes.heads, sizes.kv_heads, sizes.kv_heads], dim=1)
        return turn(q, rotary), turn(k, rotary), v

    def footprint(self) -> dict[str, int]:
        """Bytes and numbers of all weights."""
        return {
            "weights": sum(each.nbytes for each in self.weights.values()),
            "parameters": sum(each.numel() for each in self.weights.values()),
        }
