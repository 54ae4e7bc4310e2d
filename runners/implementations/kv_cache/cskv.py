"""One decoding step against few channels of the keys and values of old tokens and all channels of recent ones.

Source: "CSKV: Training-Efficient Channel Shrinking for KV Cache in Long-Context Scenarios" (2024).

A layer's key projection W (hidden, kv_heads * dim) is replaced by A (hidden, rank) and B (rank, kv_heads * dim), and so
is its value projection. The factors minimise the layer's own reconstruction loss |X W - X A B|^2 on calibration states X:
with V the `rank` leading right singular vectors of X W, A = W V and B = V^T.
Cache: X A of all tokens (batch, tokens, rank), of keys before rotation, in `bits` bits each; and whole keys and values
(batch, kv_heads, window, dim) of the `window` latest tokens. For a token with hidden state x (batch, hidden):
    old keys   rotated (X A_k) B_k, formed anew at each step, since rotation stands between B_k and the query
    values     the weighted sum of X A_v, times B_v once for each head: old values are never formed
With bits = 4 the features are quantised symmetrically, one scale for each channel of GROUP tokens, two to a byte.

Bytes a token, Llama-3-8B (8 key heads of 128, 16 bit): 4,096 whole; with rank 204, 816, 20 %; in 4 bits 217, 5.3 %.
Time: forming old keys takes 2 * rank * 1024 operations a token, 0.5 ns on an H200 at 790 TFLOP/s, where reading the whole
cache takes 0.9 ns at 4.8 TB/s. In plain PyTorch the formed keys also pass through the second-level cache, a share of the tokens at
a time, some six times 2,048 bytes a token. So a step is slower than with the whole cache: this buys memory, and time
only with a kernel of its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from runners.blocks.decoder import attention, rotary_for, rotate
from runners.blocks.formed_keys import STEP, scores_of_formed, weighted_sums
from runners.blocks.graphs import graphed
from runners.blocks.ladder import Subject, compiled, compiles
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand

CALIBRATION = 1024
# Tokens that share one scale in each channel.
GROUP = STEP
LARGEST = 7
# Queries are this much longer than keys, so that attention has preferences.
SHARPNESS = 2.0


def hidden_states(axes: dict[str, int], rand: Rand, basis: Tensor, *shape: int) -> Tensor:
    """(*shape, hidden) of unit variance whose singular values fall by e every `spread` directions of the basis."""
    weight = torch.exp(-torch.arange(basis.shape[0], device=rand.device) / axes["spread"]).to(rand.dtype)
    return (rand.gaussian(*shape, basis.shape[0]) * (weight / weight.norm())) @ basis


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """A layer's projections, hidden states of its context and, of the same kind, for calibration."""
    hidden, inner, narrow = axes["hidden"], axes["heads"] * axes["dim"], axes["kv_heads"] * axes["dim"]
    basis = rand.gaussian(min(hidden, 8 * axes["spread"]), hidden)
    return {
        "query": rand.gaussian(hidden, inner, scale=SHARPNESS * hidden**-0.5),
        "key": rand.gaussian(hidden, narrow, scale=hidden**-0.5),
        "value": rand.gaussian(hidden, narrow, scale=hidden**-0.5),
        "output": rand.gaussian(inner, hidden, scale=inner**-0.5),
        "context": hidden_states(axes, rand, basis, axes["batch"], axes["context"]),
        "calibration": hidden_states(axes, rand, basis, CALIBRATION),
    }


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.normal(axes["batch"], axes["hidden"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Old keys formed, old values summed as features; features in their bits, whole recent tokens, and weights once."""
    batch, hidden, heads, rank = axes["batch"], axes["hidden"], axes["heads"], axes["rank"]
    inner, narrow, window = heads * axes["dim"], axes["kv_heads"] * axes["dim"], min(axes["window"], axes["context"])
    old, projections = axes["context"] - window, 2 * hidden * (inner + narrow)
    formed = old * (rank * narrow + inner + heads * rank) + rank * inner
    products = 2 * batch * (projections + formed + 2 * (window + 1) * inner)
    features = 2 * batch * old * rank * (axes["bits"] / 8 if axes["bits"] == 4 else BYTES[dtype])
    moved = projections + 2 * rank * narrow + 2 * batch * ((window + 1) * narrow + hidden)
    return LeastWork({dtype: products}, features + BYTES[dtype] * moved)


Factors = tuple[Tensor, Tensor]


def fitted_factors(projection: Tensor, calibration: Tensor, rank: int) -> Factors:
    """A and B of least squared error in what the projection makes of the calibration states."""
    wide = torch.float64 if projection.dtype == torch.float64 else torch.float32
    produced = calibration.to(wide) @ projection.to(wide)
    leading = torch.linalg.eigh(produced.T @ produced).eigenvectors[:, -rank:]
    return (projection.to(wide) @ leading).to(projection.dtype), leading.T.contiguous().to(projection.dtype)


def weight_factors(projection: Tensor, calibration: Tensor, rank: int) -> Factors:
    """A and B of least squared error in the projection itself, whatever it is applied to."""
    identity = torch.eye(projection.shape[0], dtype=projection.dtype, device=projection.device)
    return fitted_factors(projection, identity, rank)


class Features:
    """(batch, tokens, rank) as they are, or in four bits."""

    def __init__(self, features: Tensor, bits: int) -> None:
        if bits not in (4, 16):
            raise ValueError(f"bits is {bits}; features are kept as they are (16) or in 4 bits")
        self.tokens, self.dtype = features.shape[1], features.dtype
        self.parts: tuple[Tensor, ...] = (features,)
        if bits == 4:
            grouped = pad(features, (0, 0, 0, -self.tokens % GROUP)).unflatten(1, (-1, GROUP))
            scale = (grouped.abs().amax(2, keepdim=True) / LARGEST).clamp_min(torch.finfo(torch.float16).tiny)
            codes = (grouped / scale).round().to(torch.int8) + LARGEST + 1
            first, second = codes.to(torch.uint8).chunk(2, dim=2)
            self.parts = first + 16 * second, scale

    def read(self, begin: int, end: int) -> Tensor:
        """The tokens begin..end; `begin` is a multiple of GROUP."""
        if len(self.parts) == 1:
            return self.parts[0][:, begin:end]
        groups = slice(begin // GROUP, -(-end // GROUP))
        packed, scale = (part[:, groups] for part in self.parts)
        codes = torch.cat([packed & 15, packed >> 4], dim=2).to(self.dtype) - (LARGEST + 1)
        return (codes * scale).flatten(1, 2)[:, : end - begin]

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in self.parts)


class Layer:
    """Projections, and the whole keys and values of the `whole` latest tokens with a last place for the new one."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor], whole: int) -> None:
        self.heads, self.kv_heads, self.dim = axes["heads"], axes["kv_heads"], axes["dim"]
        self.weights = {name: weights[name] for name in ("query", "key", "value", "output")}
        self.position, self.old = axes["context"], axes["context"] - whole
        recent = weights["context"][:, self.old :]
        places = torch.arange(self.old, self.position, device=recent.device)
        self.keys = pad(rotate(self.by_head(recent @ weights["key"]), places), (0, 0, 0, 1))
        self.values = pad(self.by_head(recent @ weights["value"]), (0, 0, 0, 1))

    def by_head(self, projected: Tensor) -> Tensor:
        """(batch, tokens, heads * dim) to (batch, heads, tokens, dim)."""
        return projected.unflatten(-1, (-1, self.dim)).transpose(1, 2)

    def __call__(self, x: Tensor) -> Tensor:
        x = x[:, None]
        self.keys[:, :, -1:] = rotate(self.by_head(x @ self.weights["key"]), self.position)
        self.values[:, :, -1:] = self.by_head(x @ self.weights["value"])
        query = rotate(self.by_head(x @ self.weights["query"]), self.position)
        return self.attend(query).flatten(1) @ self.weights["output"]

    def attend(self, query: Tensor) -> Tensor:
        """(batch, heads, 1, dim) to the same."""
        return attention(query, self.keys, self.values)

    def cache_bytes(self) -> int:
        return self.keys.nbytes + self.values.nbytes

    def footprint(self) -> dict[str, int]:
        return {
            "kv_cache": self.cache_bytes(),
            "weights": sum(each.nbytes for each in self.weights.values()),
            "parameters": sum(each.numel() for each in self.weights.values()),
        }


class PlainLayer(Layer):
    """The whole cache, attention as it is defined."""

    def attend(self, query: Tensor) -> Tensor:
        grouped = query.unflatten(1, (self.kv_heads, -1)).squeeze(3)
        shares = torch.softmax(grouped @ self.keys.transpose(-1, -2) / math.sqrt(self.dim), dim=-1)
        return (shares @ self.values).reshape(query.shape)


class ShrunkLayer(Layer):
    """Few channels of all tokens beside the whole recent ones."""

    def __init__(
        self, axes: dict[str, int], weights: dict[str, Tensor], factors: Callable[[Tensor, Tensor, int], Factors]
    ) -> None:
        super().__init__(axes, weights, min(axes["window"], axes["context"]))
        pairs = {name: factors(weights[name], weights["calibration"], axes["rank"]) for name in ("key", "value")}
        context = weights["context"]
        self.few = {name: Features(context @ down, axes["bits"]) for name, (down, _) in pairs.items()}
        self.weights |= {
            f"{name}_{side}": each for name, pair in pairs.items() for side, each in zip("ab", pair, strict=True)
        }
        places = torch.arange(self.old, device=context.device)
        self.rotary = rotary_for(places, self.dim, context)

    def attend(self, query: Tensor) -> Tensor:
        grouped = query.unflatten(1, (self.kv_heads, -1)).squeeze(3)
        old_scores = scores_of_formed(grouped, self.few["key"].read, self.weights["key_b"], self.rotary)
        scores = torch.cat([old_scores, grouped @ self.keys.transpose(-1, -2)], dim=-1)
        old, recent = torch.softmax(scores / math.sqrt(self.dim), dim=-1).split([self.old, self.keys.shape[2]], dim=-1)
        summed = weighted_sums(old.flatten(1, 2), self.few["value"].read(0, self.old))
        up = self.weights["value_b"].unflatten(1, (self.kv_heads, self.dim)).transpose(0, 1)
        return (summed.unflatten(1, (self.kv_heads, -1)) @ up + recent @ self.values).reshape(query.shape)

    def cache_bytes(self) -> int:
        return super().cache_bytes() + sum(each.nbytes for each in self.few.values())


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return ShrunkLayer(axes, weights, fitted_factors)


def make_weight_svd(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return ShrunkLayer(axes, weights, weight_factors)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return PlainLayer(axes, weights, axes["context"])


def make_full(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return Layer(axes, weights, axes["context"])


SUBJECTS = {
    "technique": graphed(make_technique),
    "eager": graphed(make_eager),
    "paper": graphed(make_full),
    "compiled": compiles(graphed(compiled(make_full))),
    "weight_svd": graphed(make_weight_svd),
}
