"""A long prompt is read by the first layers only; the tokens that its last one looks at go through the whole model.

Source: "Discovering the Gems in Early Layers: Accelerating Long-Context LLMs with 1000x Input Token Reduction" (2024),
GemFilter.

A call takes a prompt's token ids (batch, prompt) and gives the logits of its last token (batch, vocab):
  1. filter: layers 1 .. filter - 1 run on the whole prompt, and of layer `filter` the keys and the last query;
  2. tokens are scored by the last query's products with their keys, summed over heads and averaged over POOL neighbours;
     the `kept` best stay, in order, the last one always;
  3. the whole model runs on those alone, at positions 0 .. kept - 1, and fills the cache that decoding will use.
Choosing is done for each batch entry by itself.

Work, for ten layers shaped like Llama-3-8B's (hidden 4096, 32 heads of 128, 8 key heads, ffn 14336), 131,072 tokens: a
layer takes 57 TFLOP of projections and 141 of causal attention, 1.98 PFLOP in all, 2.5 s on an H200 at 790 TFLOP/s. A
filter at layer 4 of 10 (the paper's is 13 of 32) runs three of them: 0.6 PFLOP, 3.3 times less, and the 1,024 kept tokens
add 0.4 %. Eviction after the prompt, as in SnapKV, does all of that work and saves only at decoding.
Cache: 1,024 tokens instead of 131,072, and while the prompt is read no keys and values of it are kept at all.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d

from runners.blocks.decoder import Decoder, Sizes, causal_attend, decoder_weights
from runners.blocks.kv_cache import KVCache, attention_received, gather_tokens
from runners.blocks.ladder import Subject, compiled
from runners.blocks.rand import Rand

ROPE_BASE = 500_000.0
# Neighbours whose scores are averaged, so that a chosen word keeps what stands around it.
POOL = 5
# Token ids with a meaning here: the question, which every prompt ends with, and those that hold its answer.
QUESTION, ANSWERS = 0, 16
OBSERVED = 32


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """A decoder whose every layer lets the question find the answers, whatever lies between.

    The embeddings of the question and of the answers hold a direction each. All query projections map the first one, all
    key projections the second one, to the slowest rotary pair, by as much as gives the answers a logit that outweighs
    all other tokens of the prompt together.
    """
    sizes = Sizes.of(axes)
    made = decoder_weights(sizes, rand)
    asks, answers = torch.linalg.qr(rand.gaussian(sizes.hidden, 2).float())[0].T.to(rand.dtype)
    made["embedding"][QUESTION] += math.sqrt(sizes.hidden) * asks
    made["embedding"][1 : ANSWERS + 1] += math.sqrt(sizes.hidden) * answers
    # After the norm a direction has a length of sqrt(hidden / 2).
    logit = math.log(axes["prompt"]) + 3
    gain = math.sqrt(2 * logit * math.sqrt(sizes.dim) / sizes.hidden)
    for head in range(sizes.heads + sizes.kv_heads):
        column = head * sizes.dim + sizes.dim // 2 - 1
        made["qkv"][:, :, column] = gain * (asks if head < sizes.heads else answers)
    return made


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """Prompts of random tokens with answers at random places and the question at the end."""
    batch, prompt = axes["batch"], axes["prompt"]
    tokens = rand.integers(axes["vocab"] - ANSWERS - 1, batch, prompt) + ANSWERS + 1
    count = min(ANSWERS, (prompt - 1) // 2)
    for row in tokens:
        row[rand.permutation(prompt - 1)[:count]] = torch.arange(1, count + 1, device=tokens.device)
    tokens[:, -1] = QUESTION
    return (tokens,)


class Reader:
    """Reads a prompt with all layers on all tokens and caches it all."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        self.axes, self.sizes = axes, Sizes.of(axes)
        self.decoder = Decoder(self.sizes, weights, ROPE_BASE)
        self.cached = 0

    def __call__(self, tokens: Tensor) -> Tensor:
        return self.read(tokens)[0]

    def read(self, tokens: Tensor) -> tuple[Tensor, KVCache]:
        """The last token's logits and the filled cache."""
        x = self.decoder.embed(tokens)
        cache = KVCache(self.sizes, tokens.shape[0], tokens.shape[1], x)
        x = self.decoder(x, self.positions(tokens), cache.attend)
        self.cached = cache.nbytes
        return self.decoder.logits(x[:, -1]), cache

    def positions(self, tokens: Tensor) -> Tensor:
        return torch.arange(tokens.shape[1], device=tokens.device)

    def footprint(self) -> dict[str, int]:
        return self.decoder.footprint() | {"kv_cache": self.cached}


class GemFilter(Reader):
    def __call__(self, tokens: Tensor) -> Tensor:
        return self.read(tokens.gather(1, self.chosen(tokens)))[0]

    def chosen(self, tokens: Tensor) -> Tensor:
        """Places (batch, kept) of the tokens that stay, in order."""
        last_layer = self.axes["filter"] - 1
        positions = self.positions(tokens)
        x = self.decoder(self.decoder.embed(tokens), positions, causal_attend, range(last_layer))
        q, k, _ = self.decoder.queries_keys_values(last_layer, x, self.decoder.rotary(positions, x))
        # Summed over the heads of a group, a query's scores are the sum's scores: one product a key head.
        query = q[:, :, -1:].unflatten(1, (self.sizes.kv_heads, -1)).sum(2)
        scores = (query @ k.transpose(-1, -2)).sum(1)
        scores = avg_pool1d(scores, POOL, stride=1, padding=POOL // 2, count_include_pad=False).squeeze(1)
        scores[:, -1] = float("inf")
        return scores.topk(min(self.axes["kept"], tokens.shape[1])).indices.sort().values


class SnapKV(Reader):
    """Reads the whole prompt and then evicts: each key head keeps what the last OBSERVED queries attend to."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        super().__init__(axes, weights)
        self.kept: list[tuple[Tensor, Tensor]] = []

    def __call__(self, tokens: Tensor) -> Tensor:
        self.kept = []
        x = self.decoder(self.decoder.embed(tokens), self.positions(tokens), self.attend)
        self.cached = sum(keys.nbytes + values.nbytes for keys, values in self.kept)
        return self.decoder.logits(x[:, -1])

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        received = attention_received(q[:, :, -OBSERVED:], k)
        pooled = avg_pool1d(received, POOL, stride=1, padding=POOL // 2, count_include_pad=False)
        pooled[:, :, -OBSERVED:] = float("inf")
        index = pooled.topk(min(self.axes["kept"], k.shape[2])).indices.sort().values
        self.kept.append((gather_tokens(k, index), gather_tokens(v, index)))
        return causal_attend(layer, q, k, v)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    if not 1 <= axes["filter"] <= axes["layers"]:
        raise ValueError(f"filter is {axes['filter']}; it counts layers from 1 to {axes['layers']}")
    return GemFilter(axes, weights)


def make_full(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return Reader(axes, weights)


def make_snapkv(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return SnapKV(axes, weights)


def make_truncated(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """Reads only as many of the prompt's latest tokens as the technique keeps."""
    reader = Reader(axes, weights)
    return lambda tokens: reader(tokens[:, -axes["kept"] :])


SUBJECTS = {
    "technique": make_technique,
    "eager": make_full,
    "snapkv": make_snapkv,
    "truncated": make_truncated,
    "compiled": compiled(make_full),
}
