"""Attention over keys and values in 4 bits, with scales before and after the rotary embedding, and 8-bit queries.

Source: "FireQ: Fast INT4-FP8 Kernel and RoPE-aware Quantization for LLM Inference Acceleration" (2025), its attention layers.

A token's key has one scale for a head, so a channel that is large in all tokens leaves few of the 15 levels to the others. Dividing
keys by a scale for each channel and multiplying queries by it changes no product. But a rotation mixes channels i and i + dim/2:
    before    the two of a pair share a scale, from the larger of them. It then commutes with the rotation, and is part of the
              two projections' weights: it costs nothing in a call
    after     a pair that turns slowly keeps its outlier in one channel, and what the pair shares is wrong for the other. Rotated
              channels that stay large or become small are scaled once more: keys as they are stored, queries as they are used
Queries are rounded to e4m3 with a scale for each, and bear the spread that the keys lose.

Shapes: x (context, features), of which the last `queries` tokens ask; result (queries, heads * dim). Half as many bytes as 8-bit
keys and values would take, a quarter of 16-bit ones, and two bytes for a scale of each key and value.

Planted: a few channels of the keys whose weights are LARGE_KEY times as large, half of them in the pairs that turn fastest, the
others in the slowest. Queries are as much smaller there, so that attention does not live from those channels alone, and in both
channels of a fast pair, which get to see each other's keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from runners.blocks.decoder import attention, rotate
from runners.blocks.rand import Rand

E4M3 = torch.float8_e4m3fn
LARGEST_E4M3, LARGEST_CODE = 448.0, 7
CALIBRATION_TOKENS = 64
LARGE_KEY = 16.0
# From how many times the mean of a head's channels on, up or down, a rotated channel gets a scale of its own.
OUTLYING = 1.5
TINY = 1e-12

Rounding = Callable[[Tensor], Tensor]
FindScales = Callable[[Tensor, Tensor, int], "KeyScales"]


def attention_weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """query (heads * dim, features), key and value (kv_heads * dim, features), and tokens to calibrate with."""
    features, dim = axes["features"], axes["dim"]

    def projection(heads: int, scale: float = 1.0) -> Tensor:
        return rand.gaussian(heads, dim, features, scale=scale * features**-0.5)

    # Logits a few units wide, so that attention chooses.
    query, key, value = projection(axes["heads"], 1.5), projection(axes["kv_heads"]), projection(axes["kv_heads"])
    fast = torch.arange(axes["outliers"] - axes["outliers"] // 2, device=rand.device)
    slow = dim - 1 - torch.arange(axes["outliers"] // 2, device=rand.device)
    key[:, torch.cat([fast, slow])] *= LARGE_KEY
    query[:, torch.cat([fast, fast + dim // 2, slow])] /= LARGE_KEY
    made = {"query": query, "key": key, "value": value}
    calibration = rand.gaussian(CALIBRATION_TOKENS, features)
    return {name: tensor.flatten(0, 1) for name, tensor in made.items()} | {"calibration": calibration}


def rotated_heads(x: Tensor, weight: Tensor, dim: int, first: int = 0) -> Tensor:
    """(heads, tokens, dim): what the weight projects x (tokens, features) to, rotated; the first token stands at `first`."""
    positions = torch.arange(first, first + x.shape[0], device=x.device)
    return rotate((x @ weight.t()).unflatten(1, (-1, dim)).transpose(0, 1), positions)


@dataclass
class KeyScales:
    """By what keys are divided and queries multiplied, (kv_heads, dim) each: before, and after the rotation."""

    before: Tensor
    after: Tensor


def no_scales(weight: Tensor, calibration: Tensor, dim: int) -> KeyScales:
    ones = torch.ones(weight.shape[0] // dim, dim, device=weight.device)
    return KeyScales(ones, ones)


def pair_scales(weight: Tensor, calibration: Tensor, dim: int) -> KeyScales:
    """The larger of each pair's largest keys on the calibration's tokens, for both; the mean over a head is 1."""
    keys = (calibration @ weight.t()).unflatten(1, (-1, dim)).abs().amax(0)
    shared = torch.maximum(*keys.chunk(2, dim=1)).repeat(1, 2).clamp_min(TINY)
    return KeyScales(shared / shared.mean(dim=1, keepdim=True), torch.ones_like(shared))


def two_stage_scales(weight: Tensor, calibration: Tensor, dim: int) -> KeyScales:
    """`pair_scales`, and for rotated channels that are still off by OUTLYING a scale of their own."""
    before = pair_scales(weight, calibration, dim).before
    largest = rotated_heads(calibration, weight / before.reshape(-1, 1), dim).abs().amax(1).clamp_min(TINY)
    relative = largest / largest.mean(dim=1, keepdim=True)
    outlying = (relative > OUTLYING) | (relative < 1 / OUTLYING)
    return KeyScales(before, torch.where(outlying, relative, torch.ones_like(relative)))


def to_e4m3(values: Tensor) -> Tensor:
    """Each row of the last axis to 8-bit floating point with a scale of its own, and back, float32."""
    scales = values.float().abs().amax(-1, keepdim=True).clamp_min(TINY) / LARGEST_E4M3
    return (values.float() / scales).to(E4M3).float() * scales


class FourBitRows:
    """values (heads, tokens, dim) as whole numbers -7 .. 7, two in a byte, and a 16-bit scale for each row."""

    def __init__(self, values: Tensor) -> None:
        exact = values.float()
        scales = exact.abs().amax(-1, keepdim=True).clamp_min(TINY) / LARGEST_CODE
        self.scales = scales.to(torch.bfloat16)
        codes = (exact / self.scales.float()).round().clamp(-LARGEST_CODE, LARGEST_CODE)
        low, high = (codes + 8).to(torch.uint8).chunk(2, dim=-1)
        self.codes = low | high << 4

    def expanded(self) -> Tensor:
        """What they stand for, in float32."""
        codes = torch.cat([self.codes & 15, self.codes >> 4], dim=-1)
        return (codes.float() - 8) * self.scales.float()

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + self.scales.nbytes


class FourBitAttention:
    """x (context, features) -> (queries, heads * dim), keys and values kept in 4 bits.

    `find_scales` (key weight, calibration, dim) decides what evens the keys out; `round_queries` may round what asks.
    """

    def __init__(
        self,
        axes: dict[str, int],
        weights: dict[str, Tensor],
        find_scales: FindScales,
        round_queries: Rounding = torch.Tensor.float,
    ) -> None:
        self.dim, self.queries, self.round_queries = axes["dim"], axes["queries"], round_queries
        found = find_scales(weights["key"].float(), weights["calibration"].float(), self.dim)
        groups = axes["heads"] // axes["kv_heads"]
        self.after = found.after
        self.after_of_queries = found.after.repeat_interleave(groups, dim=0)
        before_of_queries = found.before.repeat_interleave(groups, dim=0).reshape(-1, 1)
        self.query = (weights["query"].float() * before_of_queries).to(weights["query"].dtype)
        self.key = (weights["key"].float() / found.before.reshape(-1, 1)).to(weights["key"].dtype)
        self.value = weights["value"]
        self.kept: tuple[FourBitRows, ...] = ()

    def __call__(self, x: Tensor) -> Tensor:
        first = x.shape[0] - self.queries
        keys = FourBitRows(rotated_heads(x, self.key, self.dim) / self.after[:, None])
        values = FourBitRows((x @ self.value.t()).unflatten(1, (-1, self.dim)).transpose(0, 1))
        self.kept = keys, values
        queries = rotated_heads(x[first:], self.query, self.dim, first) * self.after_of_queries[:, None]
        return joined(self.round_queries(queries), keys.expanded(), values.expanded()).to(x.dtype)

    def footprint(self) -> dict[str, int]:
        return {"kv_cache": sum(each.nbytes for each in self.kept)}


class WideAttention:
    """The same with keys, values and queries as they are, or each rounded by `keep`."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor], keep: Rounding | None = None) -> None:
        self.dim, self.queries, self.keep = axes["dim"], axes["queries"], keep
        self.query, self.key, self.value = (weights[name] for name in ("query", "key", "value"))

    def __call__(self, x: Tensor) -> Tensor:
        first = x.shape[0] - self.queries
        keys = rotated_heads(x, self.key, self.dim)
        values = (x @ self.value.t()).unflatten(1, (-1, self.dim)).transpose(0, 1)
        parts = rotated_heads(x[first:], self.query, self.dim, first), keys, values
        return joined(*parts if self.keep is None else map(self.keep, parts)).to(x.dtype)


def joined(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Causal attention of (heads, tokens, dim), as (queries, heads * dim)."""
    return attention(queries[None], keys[None], values[None])[0].transpose(0, 1).flatten(1)
