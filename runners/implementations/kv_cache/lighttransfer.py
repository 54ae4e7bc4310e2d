"""Decoding with streaming attention in the layers whose attention stays with the first and the latest tokens anyway.

Source: "LightTransfer: Your Long-Context LLM is Secretly a Hybrid Model with Effortless Adaptation" (2024), the form that
needs no training.

A layer's lazy ratio is the share of attention that the prompt's last queries give to the first `sink` and the latest
`window` tokens, averaged over queries and heads. As the prompt passes through the layers, a priority queue keeps whole
caches for the layers with the lowest ratios; when it holds more than it may, the laziest one leaves it and is cut down
to those tokens. So no more than layers - lazy + 1 whole caches ever exist. Timed is one decoding step thereafter, hidden
states (batch, 1, hidden) in and out; finding the layers is set-up, as it happens once a prompt.

Bytes that a step reads, for layers like Llama-3-8B's (hidden 4096, 8 key heads of 128), batch 8, context 32,768, bfloat16:
0.44 GB of weights and 1.07 GB of cache a layer, or 0.034 GB where the layer is lazy (4 + 1,024 tokens). With half of the
layers lazy 1.96 GB against 3.02 GB for two layers: 0.41 against 0.63 ms on an H200 at 4.8 TB/s, 1.5 times. At the same
batch two is the limit, however long the context; more throughput than that comes from a larger batch in the freed memory.
"""

from __future__ import annotations

import heapq
import math

from torch import Tensor

from runners.blocks.decoder import Sizes
from runners.blocks.graphs import graphed
from runners.blocks.kv_cache import (
    Pattern,
    attention_received,
    decoding_step,
    first_and_latest,
    hidden_inputs,
    make_full_cache,
    make_plain_cache,
    planted_context,
    planted_logits,
)
from runners.blocks.ladder import Subject, compiled, compiles
from runners.blocks.rand import Rand


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """A decoder's and its planted context; which `lazy` layers are lazy is chosen at random.

    Lazy layers look at sinks and recent tokens, the others at tokens anywhere as well. Logits are relative to that of all
    other tokens together.
    """
    sizes, others = Sizes.of(axes), math.log(axes["context"])
    lazy_pattern = Pattern(sink=others + 2.5, recent=others - 2)
    busy_pattern = Pattern(sink=others, recent=others - 2, heavy=others + 2, heavy_tokens=12)
    lazy = set(rand.permutation(sizes.layers)[: axes["lazy"]].tolist())
    patterns = [lazy_pattern if layer in lazy else busy_pattern for layer in range(sizes.layers)]
    return planted_context(sizes, planted_logits(patterns, axes["batch"], axes["context"], rand), rand)


inputs = hidden_inputs


def lazy_ratio(queries: Tensor, keys: Tensor, sink: int, window: int) -> float:
    """The share of attention on the first `sink` and the latest `window` tokens."""
    received = attention_received(queries, keys)
    return first_and_latest(received[..., None], sink, window).sum(2).mean().item()


def lazy_layers(queries: Tensor, keys: Tensor, lazy: int, sink: int, window: int) -> set[int]:
    """The `lazy` laziest of the layers, found in one pass from the first layer to the last."""
    found: set[int] = set()
    whole: list[tuple[float, int]] = []  # a heap: the laziest first
    for layer, pair in enumerate(zip(queries, keys, strict=True)):
        heapq.heappush(whole, (-lazy_ratio(*pair, sink, window), layer))
        if len(whole) > len(keys) - lazy:
            found.add(heapq.heappop(whole)[1])
    return found


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    sink, latest = axes["sink"], axes["window"] - 1  # the new token is part of its own window
    lazy = lazy_layers(weights["queries"], weights["keys"], axes["lazy"], sink, latest)

    def keep(layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        if layer not in lazy:
            return keys, values
        return first_and_latest(keys, sink, latest), first_and_latest(values, sink, latest)

    return decoding_step(axes, weights, keep)


def make_streaming(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """Streaming attention in every layer, whatever it looks at."""
    return make_technique(axes | {"lazy": axes["layers"]}, weights)


SUBJECTS = {
    "technique": graphed(make_technique),
    "eager": graphed(make_plain_cache),
    "paper": graphed(make_full_cache),
    "streaming": graphed(make_streaming),
    "compiled": compiles(graphed(compiled(make_full_cache))),
}
