"""Decoding steps of models whose layers, or parts of layers, are left out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from runners.blocks.decoder import Decoder, Rotary, Sizes, attention
from runners.blocks.kv_cache import StepCache

ATTENTION_WEIGHTS = ("qkv", "output", "attention_norm")
FFN_WEIGHTS = ("gate_up", "down", "ffn_norm")
OUTER_WEIGHTS = ("embedding", "head", "final_norm")
PREFILL_TOKENS = 8192


class PartialDecoder:
    """A decoder of which only some attentions and some feed-forward networks run; it keeps the weights of those alone."""

    def __init__(
        self, sizes: Sizes, weights: dict[str, Tensor], attentions: Sequence[int], networks: Sequence[int]
    ) -> None:
        self.attentions, self.networks = list(attentions), list(networks)
        own = {name: weights[name] for name in OUTER_WEIGHTS}
        for names, kept in ((ATTENTION_WEIGHTS, self.attentions), (FFN_WEIGHTS, self.networks)):
            whole = kept == list(range(sizes.layers))
            own |= {name: weights[name] if whole else weights[name][kept] for name in names}
        self.decoder = Decoder(sizes, own)

    def parts(self) -> list[tuple[bool, int]]:
        """(whether it is attention, its place among the kept ones) in the order in which they run."""
        kept = [(layer, False, place) for place, layer in enumerate(self.attentions)]
        kept += [(layer, True, place) for place, layer in enumerate(self.networks)]
        return [(not is_network, place) for _, is_network, place in sorted(kept)]

    def __call__(self, x: Tensor, positions: Tensor, attend: Recorder | StepCache) -> Tensor:
        rotary: Rotary = self.decoder.rotary(positions, x)
        for is_attention, place in self.parts():
            if is_attention:
                x = x + self.decoder.attention_part(place, x, rotary, attend.attend)
            else:
                x = x + self.decoder.ffn_part(place, x)
        return x


class Recorder:
    """A hook for attention that keeps all keys and values that it is shown."""

    def __init__(self) -> None:
        self.kept: list[tuple[Tensor, Tensor]] = []

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        self.kept.append((k, v))
        return attention(q, k, v)


class SkippingStep:
    """A subject: token ids (batch, 1) after the context in `weights`, to logits (batch, vocab).

    The context (batch, tokens) has gone through the same parts at set-up, and only they have a cache.
    """

    def __init__(
        self,
        axes: dict[str, int],
        weights: dict[str, Tensor],
        attentions: Sequence[int],
        networks: Sequence[int],
        cache: type[StepCache] = StepCache,
    ) -> None:
        self.model = PartialDecoder(Sizes.of(axes), weights, attentions, networks)
        context = weights["context"]
        self.position = torch.tensor([context.shape[1]], device=context.device)
        self.cache = cache(self._contents(context))

    def _contents(self, context: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of the kept attentions; a few sequences at a time, since wide layers need room for each token."""
        places = torch.arange(context.shape[1], device=context.device)
        recorders = []
        with torch.no_grad():
            for rows in context.split(max(1, PREFILL_TOKENS // context.shape[1])):
                recorders.append(Recorder())
                self.model(self.model.decoder.embed(rows), places, recorders[-1])
        by_layer = zip(*(each.kept for each in recorders), strict=True)
        return [(torch.cat([k for k, _ in several]), torch.cat([v for _, v in several])) for several in by_layer]

    def __call__(self, tokens: Tensor) -> Tensor:
        x = self.model(self.model.decoder.embed(tokens), self.position, self.cache)
        return self.model.decoder.logits(x[:, -1])

    def footprint(self) -> dict[str, int]:
        """Of what runs: a model that switches between choices of layers keeps the others besides."""
        return self.model.decoder.footprint() | {"kv_cache": self.cache.nbytes}


def make_every_layer(axes: dict[str, int], weights: dict[str, Tensor]) -> SkippingStep:
    """The rung that leaves nothing out."""
    return SkippingStep(axes, weights, range(axes["layers"]), range(axes["layers"]))
