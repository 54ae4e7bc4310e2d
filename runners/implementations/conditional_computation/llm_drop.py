"""LLM-Drop: whole attention layers, and feed-forward networks, are left out where what they put in is nearly what comes
out.

Source: "What Matters in Transformers? Not All Attention is Needed" (2024), sections 3 and 4.

A call is one decoding step of `batch` sequences after `context` cached tokens: token ids (batch, 1) to logits (batch, vocab).
On a calibration text the importance of each part, attention or feed-forward network with the norm before it and the
residual connection around it, is
    1 - mean over tokens of cosine(x, x + part(x))
and the `drop_attention` and `drop_ffn` least important ones go, weights and cache included. With `joint` = 1 both kinds are
ranked in one list and drop_attention + drop_ffn parts go, whichever they are.

Why it should win: a dropped attention layer reads neither its weights nor its cache. At Llama-2-70B's shapes (hidden 8192,
64 heads on 8 key heads, ffn 28672, 16 bits) attention has 0.30 GB of weights a layer and 8 KB of cache a token, the network
1.41 GB. An H200 at 4.8 TB/s takes 0.36 ms for a layer of one short sequence, and 0.41 ms for one of 32 sequences of 2,048
tokens with their 0.27 GB of cache; products of 32 rows, 55 GFLOP, take 0.07 ms at 790 TFLOP/s beside it. Half of the
attention gone, the bytes of a step shrink by 9 % for one short sequence; with 32 sequences of 2,048 tokens by 14 %: 1.17
times as fast. The 1.48 times that the paper measured need 0.57 million cached tokens at these bytes, or kernels that take
far longer for attention than its bytes do, as plain attention with copied key heads does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from runners.blocks.decoder import Decoder, Sizes, causal_attend, decoder_weights
from runners.blocks.graphs import graphed
from runners.blocks.kv_cache import PlainStepCache
from runners.blocks.ladder import Subject, compiled, compiles
from runners.blocks.rand import Rand
from runners.blocks.skipping import SkippingStep, make_every_layer

CALIBRATION_TOKENS = 64
# What a redundant part adds, beside what the others add, to the residual stream.
REDUNDANT = 0.05


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """A random decoder in which as many attention layers and networks as the axes name hardly add anything, as is found
    in trained models; which ones is left to chance. "context" (batch, context) and "calibration" (1, tokens) are token ids.
    """
    sizes = Sizes.of(axes)
    model = decoder_weights(sizes, rand)
    for name, count in (("output", axes["drop_attention"]), ("down", axes["drop_ffn"])):
        model[name][rand.permutation(sizes.layers)[:count]] *= REDUNDANT
    return model | {
        "context": rand.integers(sizes.vocab, axes["batch"], axes["context"]),
        "calibration": rand.integers(sizes.vocab, 1, CALIBRATION_TOKENS),
    }


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.integers(axes["vocab"], axes["batch"], 1),)


def importances(model: Decoder, tokens: Tensor) -> tuple[list[float], list[float]]:
    """Of each layer's attention and of each layer's network, from one pass over tokens (batch, length)."""

    def importance(x: Tensor, added: Tensor) -> float:
        return 1 - torch.cosine_similarity(x.double(), (x + added).double(), dim=-1).mean().item()

    attentions, networks = [], []
    with torch.no_grad():
        x = model.embed(tokens)
        rotary = model.rotary(torch.arange(tokens.shape[1], device=tokens.device), x)
        for layer in range(model.sizes.layers):
            added = model.attention_part(layer, x, rotary, causal_attend)
            attentions.append(importance(x, added))
            x = x + added
            added = model.ffn_part(layer, x)
            networks.append(importance(x, added))
            x = x + added
    return attentions, networks


def kept_parts(
    attentions: list[float], networks: list[float], drop_attention: int, drop_ffn: int, *, joint: bool
) -> tuple[list[int], list[int]]:
    """The layers whose attention and those whose network stay."""
    ranked = sorted((value, True, layer) for layer, value in enumerate(attentions))
    others = sorted((value, False, layer) for layer, value in enumerate(networks))
    if joint:
        dropped = sorted(ranked + others)[: drop_attention + drop_ffn]
    else:
        dropped = ranked[:drop_attention] + others[:drop_ffn]
    gone = {(is_attention, layer) for _, is_attention, layer in dropped}
    layers = range(len(attentions))
    return [layer for layer in layers if (True, layer) not in gone], [
        layer for layer in layers if (False, layer) not in gone
    ]


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    scores = importances(Decoder(Sizes.of(axes), weights), weights["calibration"])
    kept = kept_parts(*scores, axes["drop_attention"], axes["drop_ffn"], joint=bool(axes["joint"]))
    return SkippingStep(axes, weights, *kept)


def make_plain_attention(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """All layers, with the scores of attention in memory."""
    return SkippingStep(axes, weights, range(axes["layers"]), range(axes["layers"]), PlainStepCache)


SUBJECTS = {
    "technique": graphed(make_technique),
    "paper": graphed(make_every_layer),
    "eager": graphed(make_plain_attention),
    "compiled": compiles(graphed(compiled(make_every_layer))),
}
