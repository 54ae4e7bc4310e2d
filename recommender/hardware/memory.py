"""How much memory a model takes, by what it is for, in GiB (2^30 bytes) over all devices together.

weights      parameters x bytes of a number
kv_cache     2 x layers x kv heads x head size x bytes x tokens x batch
activations  inference: the widest moment of one layer in the prefill, with attention that keeps no score matrix
             training: what each layer keeps for the backward pass, in the manner of "Reducing Activation Recomputation
             in Large Transformer Models" (2022) without the score matrix and the dropout masks, plus the logits and
             their gradient in 32 bits
gradients    trained parameters x bytes of a number
optimizer    trained parameters x 12 bytes: master copy and two moments of Adam in 32 bits ("ZeRO: Memory Optimizations
             Toward Training Trillion Parameter Models", 2020)
"""

from __future__ import annotations

from dataclasses import dataclass

from recommender.hardware.catalogue import Device
from recommender.hardware.models import Model

GIB = 2**30
BYTES = {"fp32": 4.0, "tf32": 4.0, "fp16": 2.0, "bf16": 2.0, "fp8": 1.0, "int8": 1.0}
ADAM_BYTES = 12
# Driver, runtime, workspaces and fragmentation take their share; a model that needs all of the memory does not run.
USABLE = 0.92


@dataclass(frozen=True, slots=True)
class Workload:
    """What is done with the model. Inference: `prompt` and `new_tokens` for each of `batch`; training: `seq`."""

    stage: str = "inference"
    batch: int = 1
    prompt: int = 2048
    new_tokens: int = 256
    seq: int = 2048
    trained_share: float = 1.0

    @property
    def trains(self) -> bool:
        return self.stage in ("training", "fine-tuning")


@dataclass(frozen=True, slots=True)
class Memory:
    """GiB by what it is for."""

    weights: float = 0.0
    kv_cache: float = 0.0
    activations: float = 0.0
    gradients: float = 0.0
    optimizer: float = 0.0

    @property
    def total(self) -> float:
        return self.weights + self.kv_cache + self.activations + self.gradients + self.optimizer


def memory_of(model: Model, workload: Workload, dtype: str = "bf16") -> Memory:
    """The memory of a workload whose numbers are held in `dtype`; Adam's states are always in 32 bits."""
    width = BYTES[dtype]
    weights = model.parameters * width
    if workload.trains:
        trained = model.parameters * workload.trained_share
        kept = _kept_activations(model, workload.batch * workload.seq, width)
        return Memory(weights / GIB, 0.0, kept / GIB, trained * width / GIB, trained * ADAM_BYTES / GIB)
    tokens = workload.batch * (workload.prompt + workload.new_tokens)
    return Memory(
        weights / GIB,
        model.kv_elements_per_token * tokens * width / GIB,
        _widest_activations(model, workload.batch * workload.prompt, workload.batch, width) / GIB,
    )


def available(device: Device, count: int = 1) -> float:
    """GiB that a model can use on `count` such devices."""
    return device.memory_gib * count * USABLE


def _widest_activations(model: Model, tokens: int, sequences: int, width: float) -> float:
    """Bytes: residual and normed input beside either the heads' queries, keys and values or the feed-forward's rows."""
    attention = model.head_dim * (2 * model.heads + 2 * model.kv_heads)
    feed_forward = (2 if model.gated else 1) * model.ffn * model.active_experts
    return tokens * (2 * model.hidden + max(attention, feed_forward)) * width + sequences * model.vocab * 4


def _kept_activations(model: Model, tokens: int, width: float) -> float:
    """Bytes: inputs of both norms and both blocks, queries, keys, values and heads' outputs, feed-forward rows."""
    attention = model.head_dim * (2 * model.heads + 2 * model.kv_heads)
    feed_forward = (3 if model.gated else 2) * model.ffn * model.active_experts
    layer = 4 * model.hidden + attention + feed_forward
    return tokens * (model.layers * layer * width + model.vocab * 4 * 2)
