"""How much memory a model takes, by what it is for, in GiB (2^30 bytes) over all devices together.

weights      parameters x bytes of a number
kv_cache     what the model keeps of a token (models.py) x 2 bytes x tokens x batch
activations  inference: the widest moment of one layer in the prefill, with attention that keeps no score matrix and
             prompts that are read 8,192 tokens at a time, as serving engines do
             training: what each layer keeps for the backward pass, in the manner of "Reducing Activation Recomputation
             in Large Transformer Models" (2022) without the score matrix and the dropout masks, plus the logits and
             their gradient in 32 bits
gradients    trained parameters x bytes of a number
optimizer    trained parameters x 12 bytes: master copy and two moments of Adam in 32 bits ("ZeRO: Memory Optimizations
             Toward Training Trillion Parameter Models", 2020); 8 where the weights are in 32 bits themselves
"""

from __future__ import annotations

from dataclasses import dataclass

from recommender.hardware.catalogue import Device
from recommender.hardware.models import Model
from recommender.hardware.work import MASTER_BYTES, MOMENT_BYTES, Workload, input_tokens

GIB = 2**30
READ_AT_ONCE = 8_192


@dataclass(frozen=True, slots=True)
class Memory:
    """GiB by what it is for. `logits` is the part of the activations that the output layer makes."""

    weights: float = 0.0
    kv_cache: float = 0.0
    activations: float = 0.0
    gradients: float = 0.0
    optimizer: float = 0.0
    logits: float = 0.0

    @property
    def total(self) -> float:
        return self.weights + self.kv_cache + self.activations + self.gradients + self.optimizer


def memory_of(model: Model, work: Workload) -> Memory:
    """The memory of a workload whose weights are held in its dtype; Adam's states are always in 32 bits."""
    wide, narrow = work.weight_bytes, work.activation_bytes
    weights = model.parameters * wide
    if work.trains:
        trained = model.parameters * work.trained_share
        rows = work.batch * input_tokens(model, work.seq)
        logits = 8.0 * rows * model.vocab if model.is_decoder else 0.0
        kept = _kept_activations(model, work.batch, rows, narrow) + logits
        states = MOMENT_BYTES + (0 if work.dtype == "fp32" else MASTER_BYTES)
        return Memory(
            weights / GIB, 0.0, kept / GIB, trained * max(wide, narrow) / GIB, trained * states / GIB, logits / GIB
        )
    rows = work.batch * input_tokens(model, work.prompt)
    logits = 4.0 * work.batch * model.vocab if model.is_decoder else 0.0
    cache = model.kv_elements(work.prompt + work.new_tokens) * work.batch * narrow if model.is_decoder else 0.0
    at_once = min(rows, READ_AT_ONCE) if model.is_decoder else rows
    widest = _widest_activations(model, work.batch, at_once, narrow) + logits
    return Memory(weights / GIB, cache / GIB, widest / GIB, logits=logits / GIB)


def available(device: Device, count: int = 1) -> float:
    """GiB that a model can use on `count` such devices."""
    return device.memory_gib * count * device.usable_share


def _widest_activations(model: Model, batch: int, rows: int, width: float) -> float:
    """Bytes: residual and normed input beside either the heads' queries, keys and values or the feed-forward's rows.

    Of a convnet all outputs are counted, which is an upper bound; of a U-Net nothing is known.
    """
    if not model.layers:
        return model.activations_per_item * batch * width
    attention = model.head_dim * (2 * model.heads + 2 * model.kv_heads)
    used = model.active_experts + model.shared_experts
    feed_forward = (2 if model.gated else 1) * model.ffn * used
    return rows * (2 * model.hidden + max(attention, feed_forward)) * width


def _kept_activations(model: Model, batch: int, rows: int, width: float) -> float:
    """Bytes: inputs of both norms and both blocks, queries, keys, values and heads' outputs, feed-forward rows.

    Of a convnet each output twice: as computed and as normed.
    """
    if not model.layers:
        return 2 * model.activations_per_item * batch * width
    attention = model.head_dim * (2 * model.heads + 2 * model.kv_heads)
    used = model.active_experts + model.shared_experts
    feed_forward = (3 if model.gated else 2) * model.ffn * used
    return rows * (model.layers + model.decoder_layers) * (4 * model.hidden + attention + feed_forward) * width
