"""Layers with dense attention keep more tokens, and what is evicted is merged into similar kept tokens where there are any.

Source: "D2O: Dynamic Discriminative Operations for Efficient Generative Inference of Large Language Models" (2024).

After a prompt, with the attention that its last queries gave to each token:
  1. between layers: a layer whose attention varies little between tokens is dense and must not lose many. Of a budget of
     `percent` of layers * context tokens, each layer gets a part in proportion to softmax(-variance), the variances
     divided by their mean;
  2. between tokens: each key head keeps its `recent` latest tokens and those that got most attention;
  3. compensation: an evicted token finds the kept one whose key has the highest cosine similarity to its own. Above a
     threshold, the mean of these highest similarities, it is merged into it, keys and values alike: a kept token becomes
     (e * own + sum of exp(similarity) * merged) / (e + sum of exp(similarity)). Below, it is dropped.
Timed is one decoding step thereafter, hidden states (batch, 1, hidden) in and out.

Bytes of a step, layers like Llama-2-7B's (hidden 4096, 32 key heads of 128), batch 32, context 4,096, bfloat16: 0.40 GB of
weights and 2.15 GB of cache a layer, 0.43 GB with 20 % of the tokens: 0.83 against 2.55 GB, 0.17 against 0.53 ms on an
H200 at 4.8 TB/s, 3 times. Plain eviction moves as many bytes; merging costs once and changes what they say.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

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

# Heavy tokens come in families: their keys differ by this share of noise, their values by that one.
FAMILY, KEY_NOISE, VALUE_NOISE = 4, 0.1, 0.7
# Heavy tokens of narrow layers, and of wide ones as a multiple of their even share of the budget.
NARROW, WIDE = 4, 2.5
# Evicted tokens whose similarities are in memory at once.
AT_ONCE = 1024


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """A decoder's and its planted context: a random half of the layers looks at many tokens, in families of four."""
    sizes, context, batch = Sizes.of(axes), axes["context"], axes["batch"]
    wide = set(rand.permutation(sizes.layers)[: sizes.layers // 2].tolist())
    many = FAMILY * max(1, int(WIDE * context * axes["percent"] / 100 / FAMILY))
    counts = [many if layer in wide else NARROW for layer in range(sizes.layers)]
    patterns = [Pattern(heavy=math.log(60 * context / count), heavy_tokens=count) for count in counts]
    logits = planted_logits(patterns, batch, context, rand)
    # Noise about as long as what is planted: tokens that matter are then more like each other than like the rest.
    key_noise = sizes.dim**-0.5
    made = planted_context(sizes, logits, rand, key_noise)
    for layer, count in enumerate(counts):
        for b in range(batch):
            members = logits[layer, b].topk(count).indices
            first = members[: count // FAMILY].repeat(FAMILY)
            for name, noise in (("keys", KEY_NOISE * key_noise), ("values", VALUE_NOISE)):
                like = made[name][layer, b][:, first]
                made[name][layer, b][:, members[: len(first)]] = like + rand.gaussian(*like.shape, scale=noise)
    return made


inputs = hidden_inputs


def layer_sizes(received: Tensor, budget: int, least: int) -> list[int]:
    """Tokens that each layer keeps, about `budget` together; received (layers, ..., tokens) is attention by token."""
    variance = received.var(-1).flatten(1).mean(1)
    parts = torch.softmax(-variance / variance.mean(), dim=0)
    return [min(received.shape[-1], max(least, int(budget * part))) for part in parts.tolist()]


def choose(received: Tensor, count: int, recent: int) -> tuple[Tensor, Tensor]:
    """Indices of kept and of evicted tokens, each in order; received (batch, kv_heads, tokens)."""
    ranked = received.clone()
    ranked[..., max(0, received.shape[-1] - recent) :] = float("inf")
    order = ranked.sort(dim=-1, descending=True).indices
    kept, evicted = order[..., :count], order[..., count:]
    return kept.sort().values, evicted.sort().values


def compensate(keys: Tensor, values: Tensor, kept: Tensor, evicted: Tensor) -> tuple[Tensor, Tensor]:
    """Kept keys and values with similar evicted ones merged into them; (batch, kv_heads, tokens, dim)."""
    kept_keys, kept_values = gather_tokens(keys, kept), gather_tokens(values, kept)
    if not evicted.shape[-1]:
        return kept_keys, kept_values
    directions = normalize(kept_keys, dim=-1).transpose(-1, -2)
    blocks = [
        (normalize(gather_tokens(keys, block), dim=-1) @ directions).max(dim=-1)
        for block in evicted.split(AT_ONCE, dim=-1)
    ]
    similarity, nearest = (torch.cat(each, dim=-1) for each in zip(*blocks, strict=True))
    threshold = similarity.mean(dim=-1, keepdim=True)
    weight = similarity.exp().masked_fill(similarity <= threshold, 0.0)
    total = weight.new_full(kept.shape, math.e).scatter_add(-1, nearest, weight)[..., None]

    def merge(own: Tensor, source: Tensor) -> Tensor:
        given = weight[..., None] * gather_tokens(source, evicted)
        places = nearest[..., None].expand_as(given)
        return (math.e * own).scatter_add(2, places, given) / total

    return merge(kept_keys, keys), merge(kept_values, values)


def evicting_step(axes: dict[str, int], weights: dict[str, Tensor], *, dynamic: bool, merging: bool) -> Subject:
    pairs = zip(weights["queries"], weights["keys"], strict=True)
    received = torch.stack([attention_received(queries, keys) for queries, keys in pairs])
    least = min(axes["context"], axes["recent"] + 1)
    even = max(least, axes["context"] * axes["percent"] // 100)
    counts = layer_sizes(received, even * axes["layers"], least) if dynamic else [even] * axes["layers"]

    def keep(layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        kept, evicted = choose(received[layer], counts[layer], axes["recent"])
        if merging:
            return compensate(keys, values, kept, evicted)
        return gather_tokens(keys, kept), gather_tokens(values, kept)

    return decoding_step(axes, weights, keep)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return evicting_step(axes, weights, dynamic=True, merging=True)


def make_evicting(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """Heavy hitters and recent tokens, as many in each layer, nothing merged: as H2O does."""
    return evicting_step(axes, weights, dynamic=False, merging=False)


SUBJECTS = {
    "technique": graphed(make_technique),
    "eager": graphed(make_plain_cache),
    "paper": graphed(make_full_cache),
    "compiled": compiles(graphed(compiled(make_full_cache))),
    "evicting": graphed(make_evicting),
}
