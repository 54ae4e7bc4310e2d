"""Decoding against keys and values of several layers that share one low-rank factor over the tokens.

Source: "xKV: Cross-Layer SVD for KV-Cache Compression" (2025).

After the prompt, the keys (before rotation) of `group` neighbouring layers stand side by side as one matrix Y (context,
group * width), width = kv_heads * dim, and so do the values. Its singular value decomposition is cut at `rank`:
    Y = C V^T    C = Y V (context, rank), cached once for all layers of the group; V^T (rank, group * width), for each
where V holds the leading right singular vectors, made for each sequence by itself. Layers whose keys differ, but whose
singular vectors over tokens agree, share C without loss; merging layers token by token needs the keys themselves alike.
A call is one decoding step of the attention of all layers: queries (layers, batch, heads, dim), rotated, in and attended
values of the same shape out. Old keys are formed as C V_l^T and rotated at each step; values are never formed, since
weights (C V_l^T) = (weights C) V_l^T.

Bytes, Llama-3.1-8B (width 1,024), 65,536 tokens, groups of four layers, rank 512, 16 bit: 4,096 a token and layer whole;
2 * 512 * 2 / 4 = 512 shared and 2 * 512 * 1,024 * 2 bytes of V a layer, 32 a token: 7.5 times less.
Time: forming keys takes 2 * 512 * 1,024 operations a token and layer, 1.3 ns on an H200 at 790 TFLOP/s, where reading the
whole cache takes 0.9 ns at 4.8 TB/s: a step gets slower unless only some tokens are formed. This buys memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize

from runners.blocks.decoder import attention, rotary_for, turn
from runners.blocks.formed_keys import scores_of_formed, weighted_sums
from runners.blocks.graphs import graphed
from runners.blocks.ladder import Subject, compiled, compiles
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand

# Queries are this much longer than keys, so that attention has preferences.
SHARPNESS = 2.0
# What each layer holds for itself, beside what its group shares, in keys of unit variance.
PRIVATE = 0.03
# Layer merging puts the shared direction here between two layers' own; it leaves the first half of the layers alone.
MERGED_AT = 0.6


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """ "keys", before rotation, and "values" (layers, batch, context, kv_heads * dim).

    In each group of layers they are products of one matrix over tokens, whose singular values fall by e every `spread`
    columns, with a random matrix of each layer's own: the layers' singular vectors agree, their keys do not.
    """
    layers, batch, context, width = axes["layers"], axes["batch"], axes["context"], axes["kv_heads"] * axes["dim"]
    latent = min(context, 8 * axes["spread"])
    falling = torch.exp(-torch.arange(latent, device=rand.device) / axes["spread"]).to(rand.dtype)

    def planted() -> Tensor:
        made = PRIVATE * rand.gaussian(layers, batch, context, width)
        for first in range(0, layers, axes["group"]):
            shared = rand.gaussian(batch, context, latent) * (falling / falling.norm())
            for layer in range(first, min(layers, first + axes["group"])):
                made[layer] += shared @ rand.gaussian(latent, width)
        return made

    return {"keys": planted(), "values": planted()}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.normal(axes["layers"], axes["batch"], axes["heads"], axes["dim"], scale=SHARPNESS),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Keys formed, values summed as shared features; each group's features and each layer's factors once."""
    layers, batch, context, heads, rank = (axes[name] for name in ("layers", "batch", "context", "heads", "rank"))
    inner, width, groups = heads * axes["dim"], axes["kv_heads"] * axes["dim"], -(-layers // axes["group"])
    products = 2 * layers * batch * (context * (rank * width + inner + heads * rank) + rank * inner)
    moved = 2 * batch * (rank * (groups * context + layers * width) + layers * inner)
    return LeastWork({dtype: products}, BYTES[dtype] * moved)


class LowRank:
    """Several (batch, tokens, width) as C V^T with one C: `parts` are C (batch, tokens, rank) and V^T of each."""

    def __init__(self, together: Sequence[Tensor], rank: int) -> None:
        matrix = torch.cat(list(together), dim=-1)
        wide = matrix.to(torch.float64 if matrix.dtype == torch.float64 else torch.float32)
        leading = torch.linalg.eigh(wide.transpose(1, 2) @ wide).eigenvectors[..., -rank:]
        self.shared = (wide @ leading).to(matrix.dtype)
        self.own = [
            each.contiguous() for each in leading.transpose(1, 2).to(matrix.dtype).split(together[0].shape[-1], dim=-1)
        ]

    def read(self, begin: int, end: int) -> Tensor:
        """What the tokens begin..end share."""
        return self.shared[:, begin:end]

    @property
    def nbytes(self) -> int:
        return self.shared.nbytes + sum(each.nbytes for each in self.own)


class Attention:
    """What every form shares: rotary angles of the context's tokens, and heads."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        self.axes, self.kv_heads = axes, axes["kv_heads"]
        positions = torch.arange(axes["context"], device=weights["keys"].device)
        self.rotary = rotary_for(positions, axes["dim"], weights["keys"])

    def by_head(self, tensor: Tensor) -> Tensor:
        """(batch, tokens, kv_heads * dim) to (batch, kv_heads, tokens, dim)."""
        return tensor.unflatten(-1, (self.kv_heads, -1)).transpose(1, 2)

    def __call__(self, queries: Tensor) -> Tensor:
        return torch.stack([self.attend(layer, query) for layer, query in enumerate(queries)])

    def attend(self, layer: int, query: Tensor) -> Tensor:
        """(batch, heads, dim) to the same."""
        raise NotImplementedError

    def footprint(self) -> dict[str, int]:
        return {"kv_cache": self.cache_bytes()}

    def cache_bytes(self) -> int:
        raise NotImplementedError


class SharedFactors(Attention):
    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor], group: int, rank: int) -> None:
        super().__init__(axes, weights)
        self.group = group
        self.keys, self.values = (
            [LowRank(weights[name][first : first + group].unbind(), rank) for first in range(0, axes["layers"], group)]
            for name in ("keys", "values")
        )

    def attend(self, layer: int, query: Tensor) -> Tensor:
        keys, values = self.keys[layer // self.group], self.values[layer // self.group]
        grouped = query.unflatten(1, (self.kv_heads, -1))
        scores = scores_of_formed(grouped, keys.read, keys.own[layer % self.group], self.rotary)
        shares = torch.softmax(scores / math.sqrt(query.shape[-1]), dim=-1)
        summed = weighted_sums(shares.flatten(1, 2), values.shared).unflatten(1, (self.kv_heads, -1))
        return (summed @ self.by_head(values.own[layer % self.group])).flatten(1, 2)

    def cache_bytes(self) -> int:
        return sum(each.nbytes for each in (*self.keys, *self.values))


class WholeCache(Attention):
    """Keys, rotated, and values of every layer as they are."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        super().__init__(axes, weights)
        self.keys = [turn(self.by_head(each), self.rotary).contiguous() for each in weights["keys"]]
        self.values = [self.by_head(each).contiguous() for each in weights["values"]]

    def attend(self, layer: int, query: Tensor) -> Tensor:
        return attention(query[:, :, None], self.keys[layer], self.values[layer]).squeeze(2)

    def cache_bytes(self) -> int:
        return sum(each.nbytes for each in (*self.keys, *self.values))


class PlainCache(WholeCache):
    """The same with attention as it is defined."""

    def attend(self, layer: int, query: Tensor) -> Tensor:
        grouped = query.unflatten(1, (self.kv_heads, -1))
        shares = torch.softmax(grouped @ self.keys[layer].transpose(-1, -2) / math.sqrt(query.shape[-1]), dim=-1)
        return (shares @ self.values[layer]).flatten(1, 2)


class MergedLayers(WholeCache):
    """Pairs of layers in the second half share the direction of each token's keys and values, not their lengths.

    As MiniCache merges: along the arc between the two directions. The tokens that it keeps apart are left out.
    """

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        super().__init__(axes, weights)
        self.first = axes["layers"] // 2
        self.lengths: dict[int, tuple[Tensor, Tensor]] = {}
        for layer in range(self.first, axes["layers"] - 1, 2):
            pairs = [merged(*cache[layer : layer + 2]) for cache in (self.keys, self.values)]
            for cache, (direction, _, _) in zip((self.keys, self.values), pairs, strict=True):
                cache[layer] = cache[layer + 1] = direction
            self.lengths[layer], self.lengths[layer + 1] = ((pairs[0][i], pairs[1][i]) for i in (1, 2))

    def attend(self, layer: int, query: Tensor) -> Tensor:
        if layer not in self.lengths:
            return super().attend(layer, query)
        longer, wider = self.lengths[layer]
        keys, values = self.keys[layer] * longer, self.values[layer] * wider
        return attention(query[:, :, None], keys, values).squeeze(2)

    def cache_bytes(self) -> int:
        held = {each.data_ptr(): each.nbytes for each in (*self.keys, *self.values)}
        return sum(held.values()) + sum(each.nbytes for pair in self.lengths.values() for each in pair)


def merged(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The direction between two (batch, heads, tokens, dim), and the lengths (batch, heads, tokens, 1) of both."""
    one, two = normalize(first, dim=-1), normalize(second, dim=-1)
    angle = torch.acos((one * two).sum(-1, keepdim=True).clamp(-0.999, 0.999))
    between = torch.sin((1 - MERGED_AT) * angle) * one + torch.sin(MERGED_AT * angle) * two
    return between / torch.sin(angle), first.norm(dim=-1, keepdim=True), second.norm(dim=-1, keepdim=True)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return SharedFactors(axes, weights, axes["group"], axes["rank"])


def make_layer_svd(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """Each layer's own factors, of as many numbers a token together."""
    return SharedFactors(axes, weights, 1, max(1, axes["rank"] // axes["group"]))


def make_merged(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return MergedLayers(axes, weights)


def make_library(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return WholeCache(axes, weights)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return PlainCache(axes, weights)


SUBJECTS = {
    "technique": graphed(make_technique),
    "eager": graphed(make_eager),
    "library": graphed(make_library),
    "compiled": compiles(graphed(compiled(make_library))),
    "paper": graphed(make_merged),
    "layer_svd": graphed(make_layer_svd),
}
