"""Prefill among the tokens that matter in each layer, whose cache then gets more bits than that of the others.

Source: "ZipVL: Efficient Large Vision-Language Models with Dynamic Token Sparsification and KV Cache Compression" (2024).

A call is the prompt x (batch, context, hidden) through all layers of a decoder, and then the next token (batch, 1, hidden) against
the cache; out come the hidden states of the prompt's last `text` tokens and of the next one. In each layer:
    probe     the latest queries and some spread over the prompt (`probes` in all) show how much attention each token gets
    ratio     the fewest tokens that get `mass` thousandths of it: how many matter differs from layer to layer
    choose    so many tokens, by the attention they get from each probe that can see them (the sum alone would favour early ones)
    attend    causal attention of the chosen tokens among themselves; the others pass the layer by their residual
    compress  keys and values of chosen tokens in 4 bits, of the others in 2: keys by channel, values by token after their channels
              were made alike

Operations of one layer like Qwen2-7B's (LongVA's language model) at 131,072 tokens: linear 61 TFLOP, full attention 123 TFLOP, or 77
and 156 ms on an H200 at 790 TFLOP/s. With the share r of tokens attention takes r^2 of that, 10 ms at a quarter and nothing at one in 64;
128 probes are 0.12 TFLOP but leave 0.5 G scores, some 5 GB of traffic, 1 ms; gathering and packing the same again. So
233 / (77 + 5 + 3) = 2.7 times on average over both kinds of layer, and 3.0 at most, as linear layers stay. The cache shrinks from
16 bits a number to 2.2 in sharp layers and 2.6 in spread ones, scales counted.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from runners.blocks.decoder import Decoder, Sizes, attention, decoder_weights
from runners.blocks.kv_cache import BIAS_GAIN, KVCache, gather_tokens
from runners.blocks.ladder import Subject, compiled
from runners.blocks.packed import pack_codes, unpack_codes
from runners.blocks.rand import Rand
from runners.blocks.sparse_inputs import plain_attention

HIGH_BITS, LOW_BITS = 4, 2
# Qwen2's; the slowest pair of channels turns by less than a fifth of a radian in 131,072 tokens.
ROPE_BASE = 1e6
# Layers look for tokens of two kinds in turn: one token in so many is of it, and bears a mark in a feature of its own.
ONE_IN = (64, 4)
# Logit of marked tokens above that at which they get half of the attention; a hundredth is left for all others.
EXCESS = 5.0
# Lengths of the mark and of what marked tokens say, where other features have length one.
MARK, MESSAGE = 4.0, 4.0


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """A decoder whose queries look for marked tokens (by a bias, as Qwen2's have) and which keeps what they say.

    Attention writes as much into the residual stream as a token holds: an output without it is far off.
    """
    sizes = Sizes.of(axes)
    made = decoder_weights(sizes, rand)
    made["output"] *= math.sqrt(2 * sizes.layers)
    made["attention_norm"][:, : len(ONE_IN)] = 1.0
    inner, kv = sizes.heads * sizes.dim, sizes.kv_heads * sizes.dim
    channel = sizes.dim // 2 - 1  # of the pair that rotary embedding turns least
    bias = made["qkv"].new_zeros(sizes.layers, inner + 2 * kv)
    bias[:, channel : inner : sizes.dim] = BIAS_GAIN * math.sqrt(sizes.dim)
    made["qkv"][:, : len(ONE_IN)] = 0.0
    made["qkv"][:, :, inner + channel : inner + kv : sizes.dim] = 0.0
    for layer in range(sizes.layers):
        kind = layer % len(ONE_IN)
        logit = math.log(ONE_IN[kind]) + EXCESS
        marked = MARK * math.sqrt(sizes.hidden / (1 + MARK**2 + MESSAGE**2))  # the mark after the norm
        made["qkv"][layer, kind, inner + channel : inner + kv : sizes.dim] = logit / BIAS_GAIN / marked
    return made | {"qkv_bias": bias}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """The prompt, in which marked tokens lie anywhere and all say the same, and the next token."""
    batch, context, hidden = axes["batch"], axes["context"], axes["hidden"]
    x = rand.normal(batch, context, hidden)
    for kind, one_in in enumerate(ONE_IN):
        message = rand.normal(batch, hidden, scale=MESSAGE)
        for entry in range(batch):
            marked = rand.permutation(context)[: math.ceil(context / one_in)]
            x[entry, marked] += message[entry]
            x[entry, marked, kind] += MARK * math.sqrt(hidden)
    return x, rand.normal(batch, 1, hidden)


def probe_places(context: int, probes: int, device: torch.device) -> Tensor:
    """Half of the probes are the latest queries, the others lie evenly over all before; ascending."""
    latest = min(context, max(1, probes // 2))
    spread = min(probes - latest, context - latest)
    before = torch.arange(spread, device=device) * (context - latest) // max(1, spread)
    return torch.cat([before, torch.arange(context - latest, context, device=device)])


def attention_by_probes(q: Tensor, k: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Attention that each token gets from the queries at `places`, mean over heads: their sum, and the mean over those that
    can see the token (zero where none can). Both (batch, context), float32 at least."""
    wide = torch.float64 if q.dtype == torch.float64 else torch.float32
    position = torch.arange(k.shape[2], device=k.device)
    ahead = position > places[:, None]
    queries = (q[:, :, places] / math.sqrt(q.shape[-1])).unflatten(1, (k.shape[1], -1))
    total = torch.zeros(k.shape[0], k.shape[2], dtype=wide, device=k.device)
    for head in range(k.shape[1]):  # the scores of all heads at once would be large
        scores = queries[:, head].flatten(1, 2) @ k[:, head].transpose(-1, -2)
        scores = scores.unflatten(1, (-1, len(places))).masked_fill_(ahead, -math.inf)
        total += scores.softmax(-1, dtype=wide).sum((1, 2))
    total /= q.shape[1]
    return total, total / (~ahead).sum(0).clamp_min(1)


def important_tokens(q: Tensor, k: Tensor, probes: int, text: int, mass: float) -> tuple[Tensor, Tensor]:
    """Places of the tokens that matter and of the others, each ascending: int64 (batch, n) and (batch, context - n).

    The last `text` tokens always matter. The entry of a batch that needs most decides n.
    """
    context = k.shape[2]
    total, each = attention_by_probes(q, k, probe_places(context, probes, k.device))
    reached = total.sort(dim=-1, descending=True).values.cumsum(-1) < mass * total.sum(-1, keepdim=True)
    count = min(context, max(text, int(reached.sum(-1).max()) + 1))
    each[:, context - text :] = math.inf
    order = each.argsort(dim=-1, descending=True, stable=True)
    return order[:, :count].sort(dim=-1).values, order[:, count:].sort(dim=-1).values


class Codes:
    """A tensor (batch, heads, tokens, dim) in few bits between the least and the largest value along `axis`."""

    def __init__(self, values: Tensor, bits: int, axis: int) -> None:
        self.shape, self.bits, self.dtype = values.shape, bits, values.dtype
        low, high = values.amin(axis, keepdim=True), values.amax(axis, keepdim=True)
        self.low = low
        self.step = ((high - low) / (2**bits - 1)).clamp_min(torch.finfo(values.dtype).tiny)
        codes = ((values - low) / self.step).round().clamp_(0, 2**bits - 1).to(torch.uint8)
        self.packed = pack_codes(codes.flatten(0, 2), bits, self.shape[-1], torch.uint8)

    def values(self) -> Tensor:
        codes = unpack_codes(self.packed, self.bits, self.shape[-1]).view(self.shape)
        return torch.addcmul(self.low, codes.to(self.dtype), self.step)

    @property
    def nbytes(self) -> int:
        return self.packed.nbytes + self.low.nbytes + self.step.nbytes


class CompressedTokens:
    """Keys and values of some tokens of one layer: keys quantised by channel, values by token."""

    def __init__(self, keys: Tensor, values: Tensor, bits: int) -> None:
        self.channels = values.abs().amax(2, keepdim=True).clamp_min(torch.finfo(values.dtype).tiny).sqrt()
        self.keys, self.scaled_values = Codes(keys, bits, axis=2), Codes(values / self.channels, bits, axis=3)

    def read(self) -> tuple[Tensor, Tensor]:
        return self.keys.values(), self.scaled_values.values() * self.channels

    @property
    def nbytes(self) -> int:
        return self.channels.nbytes + self.keys.nbytes + self.scaled_values.nbytes


class PromptAndStep:
    """The prompt through all layers, then one token; `prefill` and `step` are a decoder's hooks."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        self.decoder = Decoder(Sizes.of(axes), weights, ROPE_BASE)
        self.text = axes["text"]

    def __call__(self, x: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
        context = x.shape[1]
        places = torch.arange(context + 1, device=x.device)
        told = self.decoder(x, places[:context], self.prefill)[:, context - self.text :]
        return told, self.decoder(new, places[context:], self.step)

    def prefill(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        raise NotImplementedError

    def step(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        raise NotImplementedError

    def cached_bytes(self) -> int:
        raise NotImplementedError

    def footprint(self) -> dict[str, int]:
        return self.decoder.footprint() | {"kv_cache": self.cached_bytes()}


class ZipVL(PromptAndStep):
    """What each layer chose and cached stays until the next call."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        super().__init__(axes, weights)
        self.probes, self.mass = axes["probes"], axes["mass"] / 1000
        self.chosen: list[Tensor] = []
        self.cache: list[list[CompressedTokens]] = []

    def __call__(self, x: Tensor, new: Tensor) -> tuple[Tensor, Tensor]:
        self.chosen, self.cache = [], []
        return super().__call__(x, new)

    def prefill(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        important, others = important_tokens(q, k, self.probes, self.text, self.mass)
        places = important[:, None]
        few_q, few_k, few_v = (gather_tokens(each, places) for each in (q, k, v))
        output = torch.zeros_like(q)
        output.scatter_(2, places[..., None].expand(few_q.shape), attention(few_q, few_k, few_v))
        kept = [CompressedTokens(few_k, few_v, HIGH_BITS)]
        if others.shape[1]:
            rest = others[:, None]
            kept.append(CompressedTokens(gather_tokens(k, rest), gather_tokens(v, rest), LOW_BITS))
        self.chosen.append(important)
        self.cache.append(kept)
        return output

    def step(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values = zip(*(part.read() for part in self.cache[layer]), (k, v), strict=True)
        return attention(q, torch.cat(keys, dim=2), torch.cat(values, dim=2))

    def cached_bytes(self) -> int:
        return sum(part.nbytes for layer in self.cache for part in layer)


class FullCache(PromptAndStep):
    """The same with full attention and every token cached in the dtype of the model."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        super().__init__(axes, weights)
        self.cache = KVCache(self.decoder.sizes, axes["batch"], axes["context"] + 1, weights["qkv"])

    def prefill(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        self.cache.length = 0
        return self.cache.attend(layer, q, k, v)

    def step(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        self.cache.length = self.cache.keys.shape[3] - 1
        return self.cache.attend(layer, q, k, v)

    def cached_bytes(self) -> int:
        return self.cache.nbytes


class PlainCache(FullCache):
    """With attention in the prompt as it is defined, scores in memory."""

    def prefill(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        context = k.shape[2]
        self.cache.keys[layer, :, :, :context], self.cache.values[layer, :, :, :context] = k, v
        return plain_attention(causal=True)(q, k, v)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> ZipVL:
    return ZipVL(axes, weights)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return PlainCache(axes, weights)


def make_library(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return FullCache(axes, weights)


SUBJECTS = {
    "technique": make_technique,
    "eager": make_eager,
    "library": make_library,
    "compiled": compiled(make_library),
}
