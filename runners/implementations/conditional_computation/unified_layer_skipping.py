"""Unified layer skipping: a speed-up is asked for, and as many layers are skipped, evenly spread, the same for all tokens.

Source: "Accelerating Inference in Large Language Models with a Unified Layer Skipping Strategy" (2024).

A call is one decoding step of `batch` sequences after `context` cached tokens: token ids (batch, 1) to logits (batch, vocab).
For a target of r times as fast (axis `target`, in percent), round(layers / r) of the layers run: the first, the last and others
at even distances between. The choice depends on nothing else, so all sequences of a batch and all tokens of a sequence agree:
the cache of a layer that runs has every token, and one that is skipped needs neither weights nor cache.

Rungs are the full model, the same number of layers at the bottom, and the paper's kind of baseline: early exit where each
sequence stops at a layer of its own. There a batch goes on until its last sequence stops, and a layer must hold keys and
values of sequences that stopped before it, since their later tokens may go deeper: they come from the state at the exit.

Bytes of a step at Llama-2-7B's shapes (405 MB of weights a layer in 16 bits, 268 MB of cache a layer for 16 sequences of 1,024
tokens): 16 layers read 6.5 GB of weights and 4.3 GB of cache, 2.2 ms on an H200 at 4.8 TB/s; a target of two halves that. The
output head, 0.26 GB, stays, so that a step is 1.95 times as fast at best (1.98 for all 32 layers). Of 16 sequences that
stop evenly in 1 .. 15 of 16 layers, 8 on average, the last stops at about 15: all weights are still read, half of the cache.
"""

from __future__ import annotations

import torch
from torch import Tensor

from runners.blocks.decoder import Decoder, Sizes, attention, decoder_weights
from runners.blocks.graphs import graphed
from runners.blocks.ladder import Subject, compiled, compiles
from runners.blocks.rand import Rand
from runners.blocks.skipping import SkippingStep, make_every_layer
from runners.blocks.small_lm import Loss, passages, trained

# Targets that training alternates between, in percent, so that the model knows to do without the layers.
TRAINED_TARGETS = (100, 150, 200)
TRAINING_STEPS = 60


def evenly_kept(layers: int, percent: int) -> list[int]:
    """The layers that run for a target of percent / 100 times as fast."""
    count = max(1, min(layers, round(100 * layers / percent)))
    if count == 1:
        return [layers - 1]
    return [round(index * (layers - 1) / (count - 1)) for index in range(count)]


def bottom_kept(layers: int, percent: int) -> list[int]:
    """As many layers, the first ones."""
    return list(range(len(evenly_kept(layers, percent))))


def next_token_loss_with_skips(sizes: Sizes) -> Loss:
    """Cross-entropy of the next token, with the layers of one of the targets; which one, follows from the batch."""

    def loss(weights: dict[str, Tensor], tokens: Tensor) -> Tensor:
        target = TRAINED_TARGETS[int(tokens.sum()) % len(TRAINED_TARGETS)]
        model = Decoder(sizes, weights)
        places = torch.arange(tokens.shape[1] - 1)
        hidden = model(model.embed(tokens[:, :-1]), places, layers=evenly_kept(sizes.layers, target))
        return torch.nn.functional.cross_entropy(model.logits(hidden).flatten(0, 1), tokens[:, 1:].flatten())

    return loss


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """A decoder, trained with skips on a small language or random, the context's tokens, and where each sequence exits.

    "exits" (batch,), from 1 to 2 * mean - 1 with the mean as many layers as the technique runs, is for early exit alone.
    """
    sizes, batch = Sizes.of(axes), axes["batch"]
    if axes["trained"]:
        model = trained(sizes, rand, TRAINING_STEPS, next_token_loss_with_skips(sizes))
        context = passages(sizes.vocab, batch, axes["context"], rand)
    else:
        model = decoder_weights(sizes, rand)
        context = rand.integers(sizes.vocab, batch, axes["context"])
    mean = len(evenly_kept(sizes.layers, axes["target"]))
    exits = 1 + rand.integers(2 * mean - 1, batch)
    return model | {"context": context, "exits": exits.clamp(max=sizes.layers)}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.integers(axes["vocab"], axes["batch"], 1),)


class EarlyExit(SkippingStep):
    """Each sequence stops at its own layer; deeper layers still get keys and values from its last state.

    Exits are given, so that deciding on them costs nothing here; a real model has to compute its confidence.
    """

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        # The deepest first: those that still run are the first rows, and no layer has to gather them.
        exits, self.order = weights["exits"].sort(descending=True)
        sorted_context = weights | {"context": weights["context"][self.order]}
        super().__init__(axes, sorted_context, range(axes["layers"]), range(axes["layers"]))
        self.running = [int((exits > layer).sum()) for layer in range(axes["layers"])]

    def __call__(self, tokens: Tensor) -> Tensor:
        model = self.model.decoder
        x = model.embed(tokens[self.order])
        rotary = model.rotary(self.position, x)
        for layer, count in enumerate(self.running):
            q, k, v = model.queries_keys_values(layer, x, rotary)
            keys, values = self.cache.layers[layer]
            keys[:, :, -1:], values[:, :, -1:] = k, v
            if count:
                attended = attention(q[:count], keys[:count], values[:count]).transpose(1, 2).flatten(2)
                running = x[:count] + attended @ model.weights["output"][layer]
                x = torch.cat([running + model.ffn_part(layer, running), x[count:]])
        logits = model.logits(x[:, -1])
        return torch.empty_like(logits).index_copy_(0, self.order, logits)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    kept = evenly_kept(axes["layers"], axes["target"])
    return SkippingStep(axes, weights, kept, kept)


def make_bottom(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    kept = bottom_kept(axes["layers"], axes["target"])
    return SkippingStep(axes, weights, kept, kept)


def make_early_exit(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return EarlyExit(axes, weights)


SUBJECTS = {
    "technique": graphed(make_technique),
    "paper": graphed(make_early_exit),
    "bottom": graphed(make_bottom),
    "eager": graphed(make_every_layer),
    "compiled": compiles(graphed(compiled(make_every_layer))),
}
