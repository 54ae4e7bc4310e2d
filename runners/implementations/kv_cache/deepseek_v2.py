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
  * technique: 0.15 GB of cache read twice (scores, then sums) and 0.07 GB of scores a few times, 0.3 GB of weights, and
    2 * batch * heads * context * (2 * rank + rope) = 37 GFLOP: 0.2 ms on an H200 at 4.8 TB/s (0.05 ms of arithmetic);
  * the same function with every head's keys and values cached reads 10.7 GB: 2.2 ms;
  * expanding keys and values from the latents at each step is 4.4 TFLOP (5.6 ms at 790 TFLOP/s) and 8.6 GB written.
Cached numbers per token and layer: rank + rope = 576, against 2 * 8 * 128 = 2,048 of the grouped-query attention of
DeepSeek 67B, which the paper compares with, and 2 * 128 * 128 = 32,768 of multi-head attention with as many heads.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import rms_norm, scaled_dot_product_attention

from runners.blocks.ladder import Subject, compiled
from runners.blocks.rand import Rand

ROPE_BASE = 10_000.0
NORM_EPSILON = 1e-6


def rotate(x: Tensor, position: int) -> Tensor:
    """Rotary embedding of x (..., dim), pairs (i, i + dim / 2), for a token at `position`; angles in float32 at least."""
    half = x.shape[-1] // 2
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    frequency = ROPE_BASE ** (-torch.arange(half, dtype=wide, device=x.device) / half)
    cosine, sine = (position * frequency).cos().to(x.dtype), (position * frequency).sin().to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cosine - second * sine, second * cosine + first * sine], dim=-1)


def norm(x: Tensor) -> Tensor:
    """Root-mean-square norm over the last axis, with a gain of one."""
    return rms_norm(x, x.shape[-1:], eps=NORM_EPSILON)


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """Projections and the cached context of both layers; the last place of each cache belongs to the token of the call.

    Names with "gqa" are of the grouped-query layer that stands for DeepSeek 67B, at the same hidden width; its heads
    are `nope` wide. Latents are as after their norm, keys as after rotation.
    """
    hidden, heads, rank, rope = axes["hidden"], axes["heads"], axes["rank"], axes["rope"]
    nope, value, query_rank = axes["nope"], axes["value"], axes["query_rank"]
    batch, context = axes["batch"], axes["context"]
    gqa_heads, gqa_groups = axes["gqa_heads"], axes["gqa_groups"]

    def projection(rows: int, columns: int) -> Tensor:
        return rand.gaussian(rows, columns, scale=rows**-0.5)

    return {
        "query_down": projection(hidden, query_rank),
        "query_up": projection(query_rank, heads * (nope + rope)),
        "latent_down": projection(hidden, rank + rope),
        "key_up": rand.gaussian(heads, nope, rank, scale=rank**-0.5),
        "value_up": rand.gaussian(heads, value, rank, scale=rank**-0.5),
        "output": projection(heads * value, hidden),
        "latents": rand.gaussian(batch, context, rank),
        "rope_keys": rand.gaussian(batch, context, rope),
        "gqa_query": projection(hidden, gqa_heads * nope),
        "gqa_key_value": projection(hidden, 2 * gqa_groups * nope),
        "gqa_output": projection(gqa_heads * nope, hidden),
        "gqa_keys": rand.gaussian(batch, gqa_groups, context, nope),
        "gqa_values": rand.gaussian(batch, gqa_groups, context, nope),
    }


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.normal(axes["batch"], axes["hidden"]),)


class Layer:
    """What every attention layer here can say about itself."""

    def __init__(self, weights: dict[str, Tensor], used: tuple[str, ...]) -> None:
        self.weights = {name: weights[name] for name in used}

    def cached(self) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def footprint(self) -> dict[str, int]:
        return {
            "kv_cache": sum(tensor.nbytes for tensor in self.cached()),
            "weights": sum(tensor.nbytes for tensor in self.weights.values()),
            "parameters": sum(tensor.numel() for tensor in self.weights.values()),
        }


class LatentLayer(Layer):
    """Projections that the forms of latent attention share; they differ in what they cache and how they attend."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        super().__init__(weights, ("query_down", "query_up", "latent_down", "key_up", "value_up", "output"))
        self.heads, self.rank, self.rope, self.nope = axes["heads"], axes["rank"], axes["rope"], axes["nope"]
        self.position = axes["context"] - 1
        self.scale = 1 / math.sqrt(self.nope + self.rope)

    def queries(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Plain (batch, heads, nope) and rotated (batch, heads, rope) queries of the new token."""
        up = norm(x @ self.weights["query_down"]) @ self.weights["query_up"]
        plain, rotated = up.view(x.shape[0], self.heads, -1).split([self.nope, self.rope], dim=-1)
        return plain, rotate(rotated, self.position)

    def latent(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised latent (batch, rank) and rotated key (batch, rope) of the new token."""
        down, rotary = (x @ self.weights["latent_down"]).split([self.rank, self.rope], dim=-1)
        return norm(down), rotate(rotary, self.position)

    def expand(self, latents: Tensor, name: str) -> Tensor:
        """Every head's keys or values of (batch, tokens, rank), as (batch, heads, columns, tokens)."""
        up = self.weights[name].flatten(0, 1)
        expanded = torch.bmm(up.expand(latents.shape[0], -1, -1), latents.transpose(1, 2))
        return expanded.unflatten(1, (self.heads, -1))

    def project(self, attended: Tensor) -> Tensor:
        """(batch, heads, value) to (batch, hidden)."""
        return attended.flatten(1) @ self.weights["output"]


class LatentCache(LatentLayer):
    """Caches (batch, context, rank + rope)."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        super().__init__(axes, weights)
        self.cache = torch.cat([weights["latents"], weights["rope_keys"]], dim=-1)

    def append(self, x: Tensor) -> None:
        self.cache[:, -1] = torch.cat(self.latent(x), dim=-1)

    def cached(self) -> tuple[Tensor, ...]:
        return (self.cache,)


class AbsorbedAttention(LatentCache):
    """Attends to the latents themselves: key and value projections are applied to the one query and the one result."""

    def __call__(self, x: Tensor) -> Tensor:
        self.append(x)
        plain, rotated = self.queries(x)
        # Heads lead, as the batch of the products (batch, nope) @ (nope, rank) and (batch, rank) @ (rank, value).
        absorbed = (plain.transpose(0, 1) @ self.weights["key_up"]).transpose(0, 1)
        query = torch.cat([absorbed, rotated], dim=-1) * self.scale
        shares = torch.softmax(query @ self.cache.transpose(1, 2), dim=-1)
        summed = shares @ self.cache[..., : self.rank]
        return self.project((summed.transpose(0, 1) @ self.weights["value_up"].transpose(1, 2)).transpose(0, 1))


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


class GroupedQueryAttention(Layer):
    """Grouped-query attention with its own cache of keys and values: another function, as DeepSeek 67B has it."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        super().__init__(weights, ("gqa_query", "gqa_key_value", "gqa_output"))
        self.groups, self.position = axes["gqa_groups"], axes["context"] - 1
        self.keys, self.values = weights["gqa_keys"].clone(), weights["gqa_values"].clone()

    def __call__(self, x: Tensor) -> Tensor:
        width = self.keys.shape[-1]
        key, value = (x @ self.weights["gqa_key_value"]).view(x.shape[0], 2, self.groups, width).unbind(1)
        self.keys[:, :, -1], self.values[:, :, -1] = rotate(key, self.position), value
        # The heads of a group read the same keys, like several query tokens of one head.
        query = rotate((x @ self.weights["gqa_query"]).view(x.shape[0], self.groups, -1, width), self.position)
        return scaled_dot_product_attention(query, self.keys, self.values).flatten(1) @ self.weights["gqa_output"]

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
    "technique": make_technique,
    "eager": make_eager,
    "compiled": compiled(make_eager),
    "library": make_library,
    "paper": make_paper,
}
