"""Decode attention of all layers of a model where few layers choose the cached tokens that the others read.

Source: "TidalDecode: Fast and Accurate LLM Decoding with Position Persistent Sparse Attention" (2024).

Shapes: keys and values (layers, batch, key heads, context, dim); a call is the attention of one new token in every layer: noise
(layers, batch, heads, dim) and topics (batch,), of which the queries are made; output (layers, batch, heads, dim).
    layers 0 and 1            full attention
    layer 2 and layers / 2    full attention, and the `kept` tokens with most of it are remembered for each key head
    all other layers          attention to the tokens remembered last: their keys and values are gathered
Tokens that matter in one layer matter in the next ones, so the choice need not be made anew.

Bytes: full attention reads 4 * batch * key heads * context * dim bytes a layer in 16 bits. Here four layers do, the others read `kept`
tokens (and write and read the gathered copy). Per-layer selection, the rung "selecting", reads all keys in all layers: half the bytes.
Llama-3-8B, 32 layers, 32,768 tokens, 1,024 kept: full 4.3 GB, 0.9 ms on an H200 at 4.8 TB/s; here 0.54 GB in four layers and 3 * 0.12 GB in
28, 0.19 ms. Each sparse layer is four kernels, which a CUDA graph on every rung holds: at 2 us each 0.22 ms for all, so expect 2 to 3 times
at this size and more with batch or context.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from runners.blocks.graphs import graphed
from runners.blocks.ladder import Subject, compiled, compiles
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand

FULL_LAYERS = 2
# Topics that tokens of the context may be about; a query is about one of them.
TOPICS = 8
NOISE = 0.7
EXCESS = 5.0


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """The cache, in which `needles` tokens are about each topic, the same tokens in every layer; directions of topics."""
    layers, batch, key_heads = axes["layers"], axes["batch"], axes["key_heads"]
    context, dim, needles = axes["context"], axes["dim"], axes["needles"]
    shape = (layers, batch, key_heads, context, dim)
    strength = math.sqrt((math.log(context / needles) + EXCESS) * math.sqrt(dim))
    directions = torch.nn.functional.normalize(rand.gaussian(layers, key_heads, TOPICS, dim).float(), dim=-1)
    directions = (directions * strength).to(rand.dtype)
    keys = rand.gaussian(*shape, scale=NOISE)
    for entry in range(batch):
        places = rand.permutation(context)[: TOPICS * needles].view(TOPICS, needles)
        keys[:, entry, :, places] += directions[:, :, :, None]
    return {"keys": keys, "values": rand.gaussian(*shape), "directions": directions}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    noise = rand.normal(axes["layers"], axes["batch"], axes["heads"], axes["dim"], scale=NOISE)
    return noise, rand.integers(TOPICS, axes["batch"])


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Keys and values of whole layers and of the kept tokens, once."""
    layers, context, rows = axes["layers"], axes["context"], axes["batch"] * axes["heads"] * axes["dim"]
    choosing = {min(FULL_LAYERS, layers - 1), max(FULL_LAYERS, layers // 2)}
    whole = len(choosing | set(range(min(FULL_LAYERS, layers))))
    tokens = whole * context + (layers - whole) * min(axes["kept"], context)
    elements = 2 * axes["batch"] * axes["key_heads"] * axes["dim"] * tokens + 2 * layers * rows
    return LeastWork({dtype: 4 * rows * tokens}, BYTES[dtype] * elements)


def attention_with_shares(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """q (batch, key heads, group, dim) over a cache: output and softmax shares (batch, key heads, group, tokens)."""
    shares = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
    return shares @ v, shares


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The same by torch's kernel; the heads of a group are rows of one query matrix, so that keys are read once."""
    return torch.nn.functional.scaled_dot_product_attention(q, k, v)


def most_attended(shares: Tensor, kept: int) -> Tensor:
    """The tokens with most attention over a group's heads: int64 (batch, key heads, kept)."""
    return shares.sum(dim=2).topk(min(kept, shares.shape[-1]), dim=-1, sorted=False).indices


def gathered(cache: Tensor, tokens: Tensor) -> Tensor:
    return cache.gather(2, tokens[..., None].expand(-1, -1, -1, cache.shape[-1]))


class Layers:
    """Attention of every layer in turn; `attend(layer, q, k, v)` differs. Queries are (batch, key heads, group, dim)."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self.keys, self.values, self.directions = weights["keys"], weights["values"], weights["directions"]

    def __call__(self, noise: Tensor, topics: Tensor) -> Tensor:
        key_heads = self.keys.shape[2]
        about = self.directions[:, :, topics].transpose(1, 2)  # (layers, batch, key heads, dim)
        queries = noise.unflatten(2, (key_heads, -1)) + about[:, :, :, None]
        return torch.stack(
            [self.attend(layer, *each) for layer, each in enumerate(zip(queries, self.keys, self.values, strict=True))]
        ).flatten(2, 3)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        raise NotImplementedError


class PositionPersistent(Layers):
    """Chooses tokens in two layers and lets the layers after them read these alone."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        super().__init__(weights)
        self.kept = axes["kept"]
        self.choosing = {min(FULL_LAYERS, axes["layers"] - 1), max(FULL_LAYERS, axes["layers"] // 2)}
        self.tokens = torch.empty(0, dtype=torch.int64, device=self.keys.device)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if layer in self.choosing:
            output, shares = attention_with_shares(q, k, v)
            self.tokens = most_attended(shares, self.kept)
            return output
        if layer < FULL_LAYERS:
            return attention(q, k, v)
        return attention(q, gathered(k, self.tokens), gathered(v, self.tokens))


class Selecting(Layers):
    """Chooses tokens in every layer, from all of its keys."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        super().__init__(weights)
        self.kept = axes["kept"]

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if layer < FULL_LAYERS:
            return attention(q, k, v)
        shares = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)
        tokens = most_attended(shares, self.kept)
        return attention(q, gathered(k, tokens), gathered(v, tokens))


class Full(Layers):
    def __init__(self, weights: dict[str, Tensor], attend: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__(weights)
        self._attend = attend

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return self._attend(q, k, v)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return PositionPersistent(axes, weights)


def make_selecting(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return Selecting(axes, weights)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return Full(weights, lambda q, k, v: attention_with_shares(q, k, v)[0])


def make_library(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return Full(weights, attention)


SUBJECTS = {
    "technique": graphed(make_technique),
    "selecting": graphed(make_selecting),
    "eager": graphed(make_eager),
    "library": graphed(make_library),
    "compiled": compiles(graphed(compiled(make_library))),
}
