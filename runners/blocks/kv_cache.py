"""Caches of keys and values, and synthetic contexts with the structure that compressing them exploits."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from runners.blocks.decoder import Decoder, Sizes, attention, decoder_weights, rotate
from runners.blocks.ladder import Subject
from runners.blocks.rand import Rand

# Initial tokens that attract attention whatever they say, and the latest tokens, which most heads look at.
SINKS = 4
RECENT = 32
# How much longer the constant part of planted queries is than the part that depends on the token.
BIAS_GAIN = 3.0
# Queries of the prompt's end that are kept, as methods that judge tokens by the attention they got look at them.
OBSERVED = 16


class KVCache:
    """Keys and values of every layer with room for `capacity` tokens, `length` of them filled; `attend` is a decoder's hook.

    `attend` writes the new tokens after the first `length` ones. It leaves `length` alone, since a step calls it once a
    layer: add the new tokens to it after the step, or lower it to forget tokens.
    """

    def __init__(self, sizes: Sizes, batch: int, capacity: int, like: Tensor) -> None:
        shape = (sizes.layers, batch, sizes.kv_heads, capacity, sizes.dim)
        self.keys, self.values = like.new_zeros(shape), like.new_zeros(shape)
        self.length = 0

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        end = self.length + k.shape[2]
        keys, values = self.keys[layer, :, :, :end], self.values[layer, :, :, :end]
        keys[:, :, self.length :], values[:, :, self.length :] = k, v
        return attention(q, keys, values)

    @property
    def nbytes(self) -> int:
        return self.keys.nbytes + self.values.nbytes


class StepCache:
    """What each layer kept of a context, and a last place for the token of the call; `attend` is a decoder's hook.

    Layers may keep different numbers of tokens. Each call overwrites the last place: every call is the same step.
    """

    def __init__(self, kept: Iterable[tuple[Tensor, Tensor]]) -> None:
        """kept: keys and values of each layer, (batch, kv_heads, tokens, dim), copied."""
        self.layers = [(pad(keys, (0, 0, 0, 1)), pad(values, (0, 0, 0, 1))) for keys, values in kept]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values = self.layers[layer]
        keys[:, :, -1:], values[:, :, -1:] = k, v
        return attention(q, keys, values)

    @property
    def nbytes(self) -> int:
        return sum(keys.nbytes + values.nbytes for keys, values in self.layers)


class PlainStepCache(StepCache):
    """The same with attention as it is defined, all scores in memory."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values = self.layers[layer]
        keys[:, :, -1:], values[:, :, -1:] = k, v
        grouped = q.view(q.shape[0], k.shape[1], -1, q.shape[-1])
        shares = torch.softmax(grouped @ keys.transpose(-1, -2) / math.sqrt(q.shape[-1]), dim=-1)
        return (shares @ values).view_as(q)


class DecodingStep:
    """A subject: hidden states (batch, 1, hidden) of the token at `position` through all layers against a cache."""

    def __init__(self, decoder: Decoder, cache: StepCache, position: int) -> None:
        self.decoder, self.cache = decoder, cache
        like = decoder.weights["qkv"]
        self.position = torch.tensor([position], device=like.device)

    def __call__(self, x: Tensor) -> Tensor:
        return self.decoder(x, self.position, self.cache.attend)

    def footprint(self) -> dict[str, int]:
        return self.decoder.footprint() | {"kv_cache": self.cache.nbytes}


Keep = Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]


def decoding_step(
    axes: dict[str, int], weights: dict[str, Tensor], keep: Keep | None = None, cache: type[StepCache] = StepCache
) -> DecodingStep:
    """One step after the context in `weights` (see `planted_context`), of which keep(layer, keys, values) is cached."""
    context = zip(weights["keys"], weights["values"], strict=True)
    kept = (keep(layer, k, v) if keep else (k, v) for layer, (k, v) in enumerate(context))
    return DecodingStep(Decoder(Sizes.of(axes), weights), cache(kept), axes["context"])


def make_full_cache(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The rung that caches everything: scaled_dot_product_attention over the whole context."""
    return decoding_step(axes, weights)


def make_plain_cache(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The rung that caches everything, with attention as it is defined."""
    return decoding_step(axes, weights, cache=PlainStepCache)


def first_and_latest(tensor: Tensor, first: int, latest: int) -> Tensor:
    """The first and the latest tokens of (batch, heads, tokens, dim); all of them where they meet."""
    tokens = tensor.shape[2]
    if tokens <= first + latest:
        return tensor
    return torch.cat([tensor[:, :, :first], tensor[:, :, tokens - latest :]], dim=2)


def hidden_inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """The new token's hidden states (batch, 1, hidden)."""
    return (rand.normal(axes["batch"], 1, axes["hidden"]),)


@dataclass(frozen=True)
class Pattern:
    """What a layer looks at, as logits that tokens of each kind get above all others."""

    sink: float = 0.0
    recent: float = 0.0
    heavy: float = 0.0
    heavy_tokens: int = 0


def planted_logits(patterns: Sequence[Pattern], batch: int, context: int, rand: Rand) -> Tensor:
    """Logits (layers, batch, context): sinks first, recent tokens last, heavy hitters anywhere, chosen for each layer."""
    logits = torch.zeros(len(patterns), batch, context, device=rand.device)
    for layer, pattern in enumerate(patterns):
        for row in logits[layer]:
            row[rand.permutation(context)[: pattern.heavy_tokens]] = pattern.heavy
        # A heavy hitter stays one where it is recent or first as well.
        logits[layer, :, max(0, context - RECENT) :].clamp_(min=pattern.recent)
        logits[layer, :, :SINKS].clamp_(min=pattern.sink)
    return logits


def planted_context(sizes: Sizes, logits: Tensor, rand: Rand, key_noise: float = 1.0) -> dict[str, Tensor]:
    """A decoder's weights and a context whose attention follows `logits` (layers, batch, context), plus noise.

    Beside a decoder's weights: "qkv_bias", which gives queries a constant part along one direction for each key head;
    "keys", "values" (layers, batch, kv_heads, context, dim): noise of deviation `key_noise` and one, but in the keys as much of that
    direction, rotated to where the new token stands, as the logit asks for; "queries" (layers, batch, heads, OBSERVED,
    dim): what the end of the prompt asked, at the same place.
    """
    layers, batch, context = logits.shape
    kv_heads, dim, group = sizes.kv_heads, sizes.dim, sizes.heads // sizes.kv_heads
    weights = decoder_weights(sizes, rand)
    directions = torch.nn.functional.normalize(rand.gaussian(layers, kv_heads, dim), dim=-1)
    constant = (BIAS_GAIN * math.sqrt(dim) * directions).repeat_interleave(group, dim=1)
    nothing = constant.new_zeros(layers, 2 * kv_heads * dim)
    weights["qkv_bias"] = torch.cat([constant.flatten(1), nothing], dim=1)
    turned = rotate(directions, context)
    keys, values = (rand.gaussian(layers, batch, kv_heads, context, dim, scale=scale) for scale in (key_noise, 1.0))
    for layer in range(layers):
        for head in range(kv_heads):
            # The noise keeps away from the direction, where it would count BIAS_GAIN times.
            shares = logits[layer].to(keys.dtype) / BIAS_GAIN - keys[layer, :, head] @ turned[layer, head]
            keys[layer, :, head] += shares[..., None] * turned[layer, head]
    queries = rand.gaussian(layers, batch, sizes.heads, OBSERVED, dim)
    queries += rotate(constant, context)[:, None, :, None]
    return weights | {"keys": keys, "values": values, "queries": queries}


def attention_received(queries: Tensor, keys: Tensor) -> Tensor:
    """The mean share of attention that each key head gave to each token: (batch, kv_heads, tokens), in float32 at least.

    queries (batch, heads, asked, dim), keys (batch, kv_heads, tokens, dim); every query sees every token.
    """
    grouped = queries.unflatten(1, (keys.shape[1], -1)).flatten(2, 3)
    scores = grouped @ keys.transpose(-1, -2) / math.sqrt(keys.shape[-1])
    wide = torch.float64 if keys.dtype == torch.float64 else torch.float32
    return torch.softmax(scores.to(wide), dim=-1).mean(dim=2)


def gather_tokens(tensor: Tensor, index: Tensor) -> Tensor:
    """Tokens of (batch, heads, tokens, dim) by index (batch, heads or 1, kept)."""
    whole = index.expand(*tensor.shape[:2], -1)[..., None].expand(-1, -1, -1, tensor.shape[-1])
    return tensor.gather(2, whole)
