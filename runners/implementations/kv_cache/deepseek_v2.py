"""One decoding step of multi-head latent attention, which caches one low-rank latent and one rotary key per token.

Source: "DeepSeek-V2: A Strong, Economical, and Efficient Mixture-of-Experts Language Model" (2024), section 2.1.

For a token with hidden state x (batch, hidden), the last of `context` tokens:
    queries   q = norm(x Wqa) Wqb, per head a plain part of `nope` and a rotated part of `rope` columns
    latent    c = norm(x Wkv), `rank` columns, and one rotated key r = rope(x Wkr) for all heads: c and r are cached
    keys      k_h = c Wuk_h, values v_h = c Wuv_h for each head h
    scores    (q_plain . k_h + q_rotated . r) / sqrt(nope + rope); softmax over the context; output projection Wo
The technique never forms keys or values: q_plain . (c Wuk_h) = (q_plain Wuk_h^T) . c, and the weighted sum of values is
the weighted sum of latents times Wuv_h. All heads then read the same rank + rope columns, as with a single key head.

Bytes and operations at DeepSeek-V2's shapes (hidden 5120, 128 heads, rank 512, rope 64), batch 16, context 8,192, 16 bit:
  * technique: 0.15 GB of cache read twice (scores, then sums; once would do) and 0.07 GB of scores a few times, 0.3
    GB of weights, and
    2 * batch * heads * context * (2 * rank + rope) = 37 GFLOP: 0.2 ms on an H200 at 4.8 TB/s (0.05 ms of arithmetic);
  * the same function with every head's keys and values cached reads 10.7 GB: 2.2 ms;
  * expanding keys and values from the latents at each step is 4.4 TFLOP (5.6 ms at 790 TFLOP/s) and 8.6 GB written.
Cached numbers per token and layer: rank + rope = 576, against 2 * 8 * 128 = 2,048 of the grouped-query attention of
DeepSeek 67B, which the paper compares with, and 2 * 128 * 128 = 32,768 of multi-head attention with as many heads.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from runners.blocks.graphs import graphed
from runners.blocks.ladder import Subject, compiled, compiles
from runners.blocks.latent_attention import (
    AbsorbedAttention,
    GroupedQueryAttention,
    LatentCache,
    LatentLayer,
    grouped_query_weights,
    latent_weights,
)
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """Of the latent layer and, by names with "gqa", of the grouped-query layer that stands for DeepSeek 67B."""
    return latent_weights(axes, rand) | grouped_query_weights(axes, rand)


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.normal(axes["batch"], axes["hidden"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Absorbed: products with weights and latents; weights and cache once."""
    batch, hidden, heads, rank, rope = axes["batch"], axes["hidden"], axes["heads"], axes["rank"], axes["rope"]
    weights = axes["query_rank"] * (hidden + heads * (axes["nope"] + rope))
    weights += hidden * (rank + rope + heads * axes["value"]) + heads * rank * (axes["nope"] + axes["value"])
    products = 2 * batch * (weights + heads * axes["context"] * (2 * rank + rope))
    moved = weights + batch * (axes["context"] * (rank + rope) + 2 * hidden)
    return LeastWork({dtype: products}, BYTES[dtype] * moved)


class ExpandingAttention(LatentCache):
    """Caches the latents and expands every head's keys and values from them at each step, as the definition reads."""

    def __call__(self, x: Tensor) -> Tensor:
        self.append(x)
        plain, rotated = self.queries(x)
        latents, rotary = self.cache.split([self.rank, self.rope], dim=-1)
        scores = (plain[:, :, None] @ self.expand(latents, "key_up")).squeeze(2) + rotated @ rotary.transpose(1, 2)
        shares = torch.softmax(scores * self.scale, dim=-1)
        attended = shares[:, :, None] @ self.expand(latents, "value_up").transpose(2, 3)
        return self.project(attended.squeeze(2))


class FullCacheAttention(LatentLayer):
    """The same function with every head's keys (nope + rope) and values in the cache: (batch, heads, context, columns)."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        super().__init__(axes, weights)
        batch, context, like = axes["batch"], axes["context"], weights["latents"]
        self.keys = like.new_empty(batch, self.heads, context, self.nope + self.rope)
        self.values = like.new_empty(batch, self.heads, context, axes["value"])
        self._store(slice(None), like, weights["rope_keys"])

    def _store(self, places: slice, latents: Tensor, rotary: Tensor) -> None:
        self.keys[:, :, places, : self.nope] = self.expand(latents, "key_up").transpose(2, 3)
        self.keys[:, :, places, self.nope :] = rotary[:, None]
        self.values[:, :, places] = self.expand(latents, "value_up").transpose(2, 3)

    def __call__(self, x: Tensor) -> Tensor:
        latent, rotary = self.latent(x)
        self._store(slice(-1, None), latent[:, None], rotary[:, None])
        query = torch.cat(self.queries(x), dim=-1)[:, :, None]
        attended = scaled_dot_product_attention(query, self.keys, self.values, scale=self.scale)
        return self.project(attended.squeeze(2))

    def cached(self) -> tuple[Tensor, ...]:
        return self.keys, self.values


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return AbsorbedAttention(axes, weights)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return ExpandingAttention(axes, weights)


def make_library(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return FullCacheAttention(axes, weights)


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return GroupedQueryAttention(axes, weights)


SUBJECTS = {
    "technique": graphed(make_technique),
    "eager": graphed(make_eager),
    "compiled": compiles(graphed(compiled(make_eager))),
    "library": graphed(make_library),
    "paper": graphed(make_paper),
}
