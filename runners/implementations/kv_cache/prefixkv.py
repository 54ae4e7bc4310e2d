"""Layers share one budget of cached tokens so that each keeps the same share of the attention that it gives.

Source: "PrefixKV: Adaptive Prefix KV Cache is What Vision Instruction-Following Models Need for Efficient Generation"
(2024).

In each layer the prompt's tokens are ordered by the attention that its last queries gave them, averaged over heads. A
layer that keeps the first n of that order, a prefix, keeps their cumulative share of attention. One threshold for all
layers decides: each keeps the shortest prefix that reaches it. Binary search finds the largest threshold whose prefixes
together fit into `percent` of layers * context tokens. Layers that look at few tokens keep few, and leave the rest to
those that look at many. Timed is one decoding step thereafter, hidden states (batch, 1, hidden) in and out.

Bytes of a step, layers like LLaVA-1.5-7B's (hidden 4096, 32 key heads of 128), batch 8, context 4,096, bfloat16: 0.40 GB of
weights and 0.54 GB of cache a layer; with 20 % of the tokens 0.11 GB. 0.51 against 0.94 GB: 0.11 against 0.20 ms a layer
on an H200 at 4.8 TB/s, 1.8 times. Equal prefixes in all layers move as many bytes; what the search buys is quality.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from runners.blocks.decoder import Sizes
from runners.blocks.graphs import graphed
from runners.blocks.kv_cache import (
    Pattern,
    attention_received,
    decoding_step,
    gather_tokens,
    hidden_inputs,
    make_full_cache,
    make_plain_cache,
    planted_context,
    planted_logits,
)
from runners.blocks.ladder import Subject, compiled, compiles
from runners.blocks.rand import Rand

# Halvings of the interval of thresholds: finer than any layer's cumulative shares in float32.
HALVINGS = 30
# Tokens that a narrow layer looks at, and by how much more of the budget than its even share a wide one does.
NARROW, WIDE = 2, 1.7


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """A decoder's and its planted context; a random half of the layers is wide, the others are narrow."""
    sizes, context = Sizes.of(axes), axes["context"]
    wide = set(rand.permutation(sizes.layers)[: sizes.layers // 2].tolist())
    even = context * axes["percent"] // 100

    def pattern(layer: int) -> Pattern:
        count = max(NARROW, int(WIDE * even)) if layer in wide else NARROW
        # Together they get 60 times e ** 0 for each token, whatever their number.
        return Pattern(heavy=math.log(60 * context / count), heavy_tokens=count)

    patterns = [pattern(layer) for layer in range(sizes.layers)]
    # With noise about as long as what is planted, every head of a layer looks at the tokens that its layer's pattern names.
    logits = planted_logits(patterns, axes["batch"], context, rand)
    return planted_context(sizes, logits, rand, key_noise=sizes.dim**-0.5)


inputs = hidden_inputs


def importance(weights: dict[str, Tensor]) -> Tensor:
    """The share of attention that each token got in each layer: (layers, batch, context)."""
    pairs = zip(weights["queries"], weights["keys"], strict=True)
    return torch.stack([attention_received(queries, keys).mean(1) for queries, keys in pairs])


def prefix_sizes(shares: Tensor, budget: int) -> list[int]:
    """Tokens that each layer keeps, `budget` at most together, one at least in each; shares (layers, batch, context)."""
    cumulative = shares.sort(dim=-1, descending=True).values.cumsum(-1).mean(1)
    context = cumulative.shape[1]

    def sizes(threshold: float) -> Tensor:
        return (1 + (cumulative < threshold).sum(-1)).clamp_max(context)

    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if int(sizes(middle).sum()) <= budget else (low, middle)
    return [int(each) for each in sizes(low)]


def keep_prefixes(axes: dict[str, int], weights: dict[str, Tensor], shares: Tensor, kept_tokens: list[int]) -> Subject:
    """A decoding step whose layers keep their `kept_tokens` most important tokens, in the order of the prompt."""

    def keep(layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        index = shares[layer].topk(kept_tokens[layer]).indices.sort().values[:, None]
        return gather_tokens(keys, index), gather_tokens(values, index)

    return decoding_step(axes, weights, keep)


def budget_of(axes: dict[str, int]) -> int:
    return axes["layers"] * max(1, axes["context"] * axes["percent"] // 100)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    shares = importance(weights)
    return keep_prefixes(axes, weights, shares, prefix_sizes(shares, budget_of(axes)))


def make_equal(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The same choice of tokens, but as many in each layer."""
    kept = [budget_of(axes) // axes["layers"]] * axes["layers"]
    return keep_prefixes(axes, weights, importance(weights), kept)


SUBJECTS = {
    "technique": graphed(make_technique),
    "eager": graphed(make_plain_cache),
    "library": graphed(make_full_cache),
    "paper": graphed(make_equal),
    "compiled": compiles(graphed(compiled(make_full_cache))),
}
