"""Settings that make training fit without being a paper's technique: what those who train on one device turn on first.

They follow from the model's shape and the widths of numbers, so a plan that needs them says which, and is modelled.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from recommender.documents import Document
from recommender.hardware.models import Model
from recommender.situation import Change, Situation

# Four bits and a scale beside each group of weights.
BITS_OF_FROZEN = 4.5
# The forward pass is done once more, a third of the work of a step; kernels that were made for it lose less.
SLOWER_BY_RECOMPUTING = (0.70, 0.77, 0.85)


@dataclass(frozen=True)
class Setting:
    name: str
    changes: tuple[Change, ...]
    is_exact: bool


def settings_for(documents: Sequence[Document], situation: Situation) -> Iterator[tuple[Setting, ...]]:
    """Sets of settings to try with these techniques, the fewest and the exact ones first."""
    known = [
        one
        for one in (_recomputed(situation), _narrow_optimizer(documents), _narrow_frozen(documents, situation))
        if one is not None
    ]
    for size in range(1, len(known) + 1):
        yield from itertools.combinations(known, size)


def _recomputed(situation: Situation) -> Setting | None:
    """Only what enters each layer is kept, and one layer's insides at a time."""
    memory, model = situation.memory, situation.model
    if memory is None or model is None or not model.layers or not memory.activations:
        return None
    inside = _kept_of_a_layer(model)
    layers = model.layers + model.decoder_layers
    left = (layers * model.hidden + inside) / (layers * inside)
    factor = memory.activations / (memory.logits + (memory.activations - memory.logits) * left)
    low, middle, high = SLOWER_BY_RECOMPUTING
    return Setting(
        "activations computed again instead of kept",
        (Change("memory", "activations", factor, factor, factor), Change("time", "training-step", low, middle, high)),
        is_exact=True,
    )


def _kept_of_a_layer(model: Model) -> float:
    """Numbers kept for each token by a layer, as memory.py counts them."""
    attention = model.head_dim * (2 * model.heads + 2 * model.kv_heads)
    feed_forward = (3 if model.gated else 2) * model.ffn * (model.active_experts + model.shared_experts)
    return 4 * model.hidden + attention + feed_forward


def _narrow_optimizer(documents: Sequence[Document]) -> Setting | None:
    """Both moments in 8 bits beside a master copy of the weights: 6 bytes and not 12. Adapters have hardly any."""
    if _trains_adapters(documents):
        return None
    return Setting("optimizer states in 8 bits", (Change("memory", "optimizer", 1.8, 2.0, 2.0),), is_exact=False)


def _narrow_frozen(documents: Sequence[Document], situation: Situation) -> Setting | None:
    """Weights that are not trained may be held in fewer bits, as quantized adapters do."""
    held = 8 * situation.workload.weight_bytes
    if not _trains_adapters(documents) or held <= BITS_OF_FROZEN:
        return None
    factor = held / BITS_OF_FROZEN
    return Setting("frozen weights in 4 bits", (Change("memory", "weights", factor, factor, factor),), is_exact=False)


def _trains_adapters(documents: Sequence[Document]) -> bool:
    return any(document.families[:1] == ("peft",) for document in documents)
