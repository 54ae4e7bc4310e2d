"""Multi-head latent attention in a decoding step, and grouped-query attention to compare it with.

Axes: batch, context, hidden, heads, query_rank, rank, rope, nope, value; gqa_heads and gqa_groups, whose heads are `nope`
wide. x (batch, hidden) is the last of `context` tokens; the last place of each cache belongs to it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from runners.blocks.decoder import norm, rotate
from runners.blocks.rand import Rand


def projection(rand: Rand, rows: int, columns: int) -> Tensor:
    return rand.gaussian(rows, columns, scale=rows**-0.5)


def latent_weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """Projections of latent attention, and cached latents as after their norm and keys as after rotation."""
    hidden, heads, rank, rope = axes["hidden"], axes["heads"], axes["rank"], axes["rope"]
    nope, value, query_rank = axes["nope"], axes["value"], axes["query_rank"]
    batch, context = axes["batch"], axes["context"]
    return {
        "query_down": projection(rand, hidden, query_rank),
        "query_up": projection(rand, query_rank, heads * (nope + rope)),
        "latent_down": projection(rand, hidden, rank + rope),
        "key_up": rand.gaussian(heads, nope, rank, scale=rank**-0.5),
        "value_up": rand.gaussian(heads, value, rank, scale=rank**-0.5),
        "output": projection(rand, heads * value, hidden),
        "latents": rand.gaussian(batch, context, rank),
        "rope_keys": rand.gaussian(batch, context, rope),
    }


def grouped_query_weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """Projections and cache of grouped-query attention; names begin with "gqa"."""
    hidden, width, heads, groups = axes["hidden"], axes["nope"], axes["gqa_heads"], axes["gqa_groups"]
    batch, context = axes["batch"], axes["context"]
    return {
        "gqa_query": projection(rand, hidden, heads * width),
        "gqa_key_value": projection(rand, hidden, 2 * groups * width),
        "gqa_output": projection(rand, heads * width, hidden),
        "gqa_keys": rand.gaussian(batch, groups, context, width),
        "gqa_values": rand.gaussian(batch, groups, context, width),
    }


class Layer:
    """What every attention layer here can say about itself."""

    def __init__(self, weights: dict[str, Tensor], used: tuple[str, ...]) -> None:
        self.weights: dict[str, Any] = {name: weights[name] for name in used}

    def linear(self, x: Tensor, name: str) -> Tensor:
        """A projection by one of the weights; a layer that keeps them in another format has its own product."""
        return x @ self.weights[name]

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
        up = self.linear(norm(self.linear(x, "query_down")), "query_up")
        plain, rotated = up.view(x.shape[0], self.heads, -1).split([self.nope, self.rope], dim=-1)
        return plain, rotate(rotated, self.position)

    def latent(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised latent (batch, rank) and rotated key (batch, rope) of the new token."""
        down, rotary = self.linear(x, "latent_down").split([self.rank, self.rope], dim=-1)
        return norm(down), rotate(rotary, self.position)

    def expand(self, latents: Tensor, name: str) -> Tensor:
        """Every head's keys or values of (batch, tokens, rank), as (batch, heads, columns, tokens)."""
        up = self.weights[name].flatten(0, 1)
        expanded = torch.bmm(up.expand(latents.shape[0], -1, -1), latents.transpose(1, 2))
        return expanded.unflatten(1, (self.heads, -1))

    def project(self, attended: Tensor) -> Tensor:
        """(batch, heads, value) to (batch, hidden)."""
        return self.linear(attended.flatten(1), "output")


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


class GroupedQueryAttention(Layer):
    """Grouped-query attention with its own cache of keys and values, with its own projections."""

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
