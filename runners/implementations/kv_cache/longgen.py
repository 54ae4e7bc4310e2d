"""A decoder whose middle third of layers attends to everything and whose other layers see sinks and a window only.

Source: "A Little Goes a Long Way: Efficient Long Context Training and Inference with Partial Contexts" (2024), LongGen.

A call takes `new_tokens` token ids (batch, new_tokens) after `context` cached ones and gives the last one's logits
(batch, vocab). With context = 0 it is a prefill, which also fills the cache; with new_tokens = 1 it is a decoding step.
The outer layers attend to the first `sink` and the latest `window` tokens: at prefill by a kernel that skips all other
tiles, and for decoding they cache nothing else.

Layers shaped like Llama-2-7B's (hidden 4096, 32 heads of 128, no grouping), 131,072 tokens, bfloat16, batch 1, for each
full layer and its two sparse ones (sink 1,024, window 8,192, so 7 % of the tokens):
  * cache: 2.1 GB for each full layer, 0.15 GB for each sparse one: 62 % less than three full layers hold;
  * decoding reads that cache and 0.4 GB of weights a layer: 3.6 GB against 7.7 GB, 0.76 against 1.6 ms on an H200;
  * prefill: 141 TFLOP of causal attention a full layer, 19 a sparse one, and 53 of projections in each: 338 against
    582 TFLOP, 0.43 against 0.74 s at 790 TFLOP/s. What is left grows with the square of the prompt in a third of the
    layers only, so the gain tends to three.
"""

from __future__ import annotations

import torch
from torch import Tensor

from runners.blocks.decoder import Decoder, Sizes, attention, decoder_weights
from runners.blocks.graphs import graphed
from runners.blocks.kv_cache import StepCache, first_and_latest
from runners.blocks.ladder import Subject, compiled, compiles
from runners.blocks.rand import Rand
from runners.blocks.window_attention import masked_window_attention, window_attention, window_mask


def is_decoding(axes: dict[str, int]) -> bool:
    """Whether a call is a step so short that launching its kernels from Python would count; it is recorded as a graph."""
    return axes["context"] > 0


def full_layers(layers: int) -> range:
    """The middle third, one layer at least."""
    count = max(1, layers // 3)
    first = (layers - count) // 2
    return range(first, first + count)


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """A decoder's, and "keys", "values" (layers, batch, kv_heads, context, dim) of the context."""
    sizes = Sizes.of(axes)
    shape = (sizes.layers, axes["batch"], sizes.kv_heads, axes["context"], sizes.dim)
    return decoder_weights(sizes, rand) | {"keys": rand.gaussian(*shape), "values": rand.gaussian(*shape)}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.integers(axes["vocab"], axes["batch"], axes["new_tokens"]),)


class Model:
    """What the forms share: either a prefill that keeps what decoding will need, or a decoding step."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        if axes["context"] and axes["new_tokens"] > 1:
            raise ValueError("new_tokens is above one with a context: a call is a prefill or a decoding step")
        self.sizes, self.context = Sizes.of(axes), axes["context"]
        self.sink, self.window = axes["sink"], axes["window"]
        self.decoder = Decoder(self.sizes, weights)
        self.full = full_layers(self.sizes.layers)
        self.prefilled: dict[int, tuple[Tensor, Tensor]] = {}
        # The new token is part of its own window.
        pairs = enumerate(zip(weights["keys"], weights["values"], strict=True))
        self.cache = StepCache((self.kept(layer, k, 1), self.kept(layer, v, 1)) for layer, (k, v) in pairs)

    def __call__(self, tokens: Tensor) -> Tensor:
        positions = torch.arange(self.context, self.context + tokens.shape[1], device=tokens.device)
        attend = self.decode if self.context else self.prefill
        x = self.decoder(self.decoder.embed(tokens), positions, attend)
        return self.decoder.logits(x[:, -1])

    def kept(self, layer: int, tensor: Tensor, new: int = 0) -> Tensor:
        """What `layer` still needs of all tokens' keys or values when `new` tokens are to follow."""
        raise NotImplementedError

    def prefill(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        self.prefilled[layer] = self.kept(layer, k).contiguous(), self.kept(layer, v).contiguous()
        return self.attention_among(layer, q, k, v)

    def attention_among(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        raise NotImplementedError

    def decode(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return self.cache.attend(layer, q, k, v)

    def footprint(self) -> dict[str, int]:
        prefilled = sum(k.nbytes + v.nbytes for k, v in self.prefilled.values())
        return self.decoder.footprint() | {"kv_cache": self.cache.nbytes if self.context else prefilled}


class PartialContexts(Model):
    def kept(self, layer: int, tensor: Tensor, new: int = 0) -> Tensor:
        return tensor if layer in self.full else first_and_latest(tensor, self.sink, self.window - new)

    def attention_among(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if layer in self.full:
            return attention(q, k, v)
        return window_attention(q, k, v, self.sink, self.window)


class MaskedContexts(Model):
    """The same function by definition: everything is cached and computed, and a mask hides it from the outer layers."""

    def kept(self, layer: int, tensor: Tensor, new: int = 0) -> Tensor:
        return tensor

    def attention_among(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if layer in self.full:
            return attention(q, k, v)
        return masked_window_attention(q, k, v, self.sink, self.window)

    def decode(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys, values = self.cache.layers[layer]
        keys[:, :, -1:], values[:, :, -1:] = k, v
        positions = torch.arange(keys.shape[2], device=q.device)
        mask = window_mask(positions[-1:], positions, self.sink, self.window)
        return attention(q, keys, values, mask=None if layer in self.full else mask)


class FullContexts(Model):
    """Every layer attends to everything: what LongGen is compared with, another function."""

    def kept(self, layer: int, tensor: Tensor, new: int = 0) -> Tensor:
        return tensor

    def attention_among(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attention(q, k, v)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return PartialContexts(axes, weights)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return MaskedContexts(axes, weights)


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return FullContexts(axes, weights)


SUBJECTS = {
    "technique": graphed(make_technique, is_decoding),
    "eager": graphed(make_eager, is_decoding),
    "paper": graphed(make_paper, is_decoding),
    "compiled": compiles(graphed(compiled(make_paper), is_decoding)),
}
