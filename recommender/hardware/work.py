"""What one pass over a model has to do: operations and bytes by part, kernels to start, and what goes between devices.

Counted from the shape of the model (models.py), with attention that keeps no score matrix and an output layer that, when
prompts are read, is applied to the last token alone. Parts are named as cards name what they act on: linear, attention,
output-layer, elementwise (norms, activations, residuals), optimizer, conv.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from recommender.hardware.models import Model

# Four bits carry a 16-bit scale for each 32 numbers, as usual formats do.
BYTES: Mapping[str, float] = {
    "fp32": 4.0, "tf32": 4.0, "fp16": 2.0, "bf16": 2.0, "fp8": 1.0, "int8": 1.0, "int4": 0.5625, "fp4": 0.5625,
}  # fmt: skip
# Adam keeps two moments in 32 bits, and a master copy of the weights where they are not in 32 bits themselves.
MOMENT_BYTES, MASTER_BYTES = 8, 4
# Started for one layer and one pass: norms, projections, rotation, attention, feed-forward, residuals, after fusion.
KERNELS_A_LAYER, KERNELS_FOR_EXPERTS, KERNELS_OF_A_CONVNET = 10, 4, 100
# What the parts between matrix products read and write for a token in a layer, in multiples of the widths there.
HIDDEN_MOVED, FFN_MOVED = 12, 3
BACKWARD_ATTENTION = 2.5  # recomputes the scores: five products for the forward pass's two


@dataclass(frozen=True, slots=True)
class Workload:
    """What is done with the model. Inference: `prompt` and `new_tokens` for each of `batch`; training: `seq`.

    `dtype` is the format of the weights; int8 and int4 are of weights alone, computed with in 16 bits. `batch` counts
    over all devices together.
    """

    stage: str = "inference"
    batch: int = 1
    prompt: int = 2048
    new_tokens: int = 256
    seq: int = 2048
    trained_share: float = 1.0
    dtype: str = "bf16"

    @property
    def trains(self) -> bool:
        return self.stage in ("training", "fine-tuning")

    @property
    def computes_in(self) -> str:
        """The format of activations and, with 16-bit activations, of the products of weights in 8 and 4 bits."""
        return self.dtype if self.dtype in ("fp32", "tf32", "fp16", "bf16", "fp8") else "bf16"

    @property
    def activation_bytes(self) -> float:
        return 4.0 if self.dtype in ("fp32", "tf32") else 2.0

    @property
    def weight_bytes(self) -> float:
        return BYTES[self.dtype]


@dataclass(frozen=True, slots=True)
class Part:
    """Operations and bytes to and from memory. `weights` and `cache` are the bytes among them of weights and of keys
    and values."""

    term: str
    flops: float
    bytes: float
    weights: float = 0.0
    cache: float = 0.0


@dataclass(frozen=True, slots=True)
class Pass:
    """One forward pass over the prompt, one decoding step for the whole batch, or one training step."""

    name: str
    parts: tuple[Part, ...]
    kernels: int
    messages: int = 0
    message_bytes: float = 0.0

    @property
    def flops(self) -> float:
        return sum(part.flops for part in self.parts)

    @property
    def bytes(self) -> float:
        return sum(part.bytes for part in self.parts)


@functools.lru_cache(1024)
def passes(model: Model, work: Workload) -> tuple[Pass, ...]:
    """The passes of the workload: a training step, or reading the prompt and, for what makes tokens, one step of it."""
    if work.trains:
        return (training_step(model, work),)
    first = forward(model, work)
    return (first, decode_step(model, work)) if model.is_decoder else (first,)


def forward(model: Model, work: Workload) -> Pass:
    """The prompt of all sequences, or one item for each of the batch."""
    parts = _forward_parts(model, work, work.batch, input_tokens(model, work.prompt), work.batch)
    layers = model.layers + model.decoder_layers
    return Pass(
        "prefill",
        parts,
        _kernels(model),
        2 * layers,
        work.batch * input_tokens(model, work.prompt) * model.hidden * 2.0,
    )


def decode_step(model: Model, work: Workload) -> Pass:
    """One new token for each sequence, in the middle of the generation: the cache grows evenly."""
    batch, context = work.batch, work.prompt + work.new_tokens / 2
    wide, narrow = work.weight_bytes, work.activation_bytes
    layers = model.decoder_layers or model.layers
    read = touched_parameters(model, batch, model.step_parameters)
    output = model.output_parameters * wide
    cache = model.kv_elements(context) * narrow * batch
    moved = _moved_between(model, batch) * narrow
    parts = (
        Part("linear", 2.0 * model.step_parameters * batch, read * wide, weights=read * wide),
        Part("attention", decode_attention_flops(model, context) * batch, cache, cache=cache),
        Part("elementwise", 0.0, moved),
        Part("output-layer", 2.0 * model.output_parameters * batch, output, weights=output),
    )
    return Pass("decode_per_token", parts, _kernels(model), 2 * layers, batch * model.hidden * 2.0)


def training_step(model: Model, work: Workload) -> Pass:
    """Forward and backward over the batch and one step of the optimizer."""
    tokens, trained = input_tokens(model, work.seq), work.trained_share
    wide, passes_over = work.weight_bytes, 2 + trained  # gradients of inputs always, of weights where they are trained
    found = []
    for part in _forward_parts(model, work, work.batch, tokens, work.batch * tokens):
        if part.term == "attention":
            found.append(Part(part.term, part.flops * (1 + BACKWARD_ATTENTION), 3 * part.bytes))
        elif part.term == "output-layer":
            logits = 4.0 * model.vocab * work.batch * tokens
            found.append(Part(part.term, part.flops * passes_over, part.bytes * passes_over + 3 * logits))
        else:
            found.append(Part(part.term, part.flops * passes_over, part.bytes * passes_over))
    kept = MOMENT_BYTES + (0 if work.dtype == "fp32" else MASTER_BYTES)
    updated = model.parameters * trained * (2 * kept + 2 * wide)
    found.append(Part("optimizer", 12.0 * model.parameters * trained, updated))
    return Pass(
        "training_step", tuple(found), 3 * _kernels(model), 4 * model.layers, work.batch * tokens * model.hidden * 2.0
    )


def input_tokens(model: Model, asked: int) -> int:
    """Tokens of one sequence: what the model's input always has, where it is fixed."""
    return model.tokens or asked


def attention_flops(model: Model, queries: float, keys: float) -> float:
    """Scores and weighted sum over all layers and heads: two products of 2 operations for each pair and channel."""
    value = model.value_dim or model.head_dim
    return 2.0 * model.layers * model.heads * (model.head_dim + value) * queries * keys


def decode_attention_flops(model: Model, context: float) -> float:
    """Of one new token. Latent attention works on the latent itself, as its cache is read."""
    seen = model.attended(context)
    if model.kv_rank:
        return 2.0 * model.layers * model.heads * (2 * model.kv_rank + model.rope_dim) * seen
    layers = model.decoder_layers or model.layers
    return 4.0 * layers * model.heads * model.head_dim * seen


def forward_flops(model: Model, sequences: int, tokens: int) -> float:
    """One pass over `sequences` of `tokens` each, without the output layer."""
    if model.flops_per_item:
        return model.flops_per_item * sequences
    return 2.0 * model.prompt_parameters * sequences * tokens + sequences * _prompt_attention(model, tokens)


def touched_parameters(model: Model, tokens: float, met: float) -> float:
    """Weights of the layers that a step over `tokens` tokens reads, of which one token meets `met`.

    With experts, those that a token is sent to; each is taken to choose its experts evenly and on its own.
    """
    used = model.active_experts / model.experts
    reached = 1 - float((1 - used) ** max(tokens, 1))
    return met + model.routed_parameters * (reached - used)


def _prompt_attention(model: Model, tokens: float) -> float:
    """A decoder looks only at earlier tokens, half of all pairs; windows at fewer."""
    if not model.heads:
        return 0.0
    if model.kind != "decoder":
        return attention_flops(model, tokens, tokens)
    pairs = tokens / 2
    if model.window and tokens > model.window:
        windowed = model.window * (1 - model.window / (2 * tokens))
        pairs = (1 - model.windowed_share) * tokens / 2 + model.windowed_share * windowed
    return attention_flops(model, tokens, pairs)


def _forward_parts(model: Model, work: Workload, batch: int, tokens: int, output_tokens: int) -> tuple[Part, ...]:
    wide, narrow, rows = work.weight_bytes, work.activation_bytes, batch * tokens
    if model.kind == "convnet" or (model.kind == "diffusion" and not model.layers):
        weights = model.parameters * wide
        moved = 2 * model.activations_per_item * batch * narrow
        term = "conv" if model.kind == "convnet" else "linear"
        return (Part(term, model.flops_per_item * batch, weights + moved, weights=weights),)
    attention = batch * _prompt_attention(model, tokens)
    met = model.layer_parameters if work.trains else model.prompt_parameters
    linear = model.flops_per_item * batch - attention if model.flops_per_item else 2.0 * met * rows
    weights = touched_parameters(model, rows, met) * wide
    heads = model.layers * model.head_dim * (2 * model.heads + 2 * model.kv_heads)
    output = model.output_parameters * wide
    parts = [
        Part("linear", linear, weights, weights=weights),
        Part("attention", attention, rows * heads * narrow),
        Part("elementwise", 0.0, _moved_between(model, rows) * narrow),
    ]
    if model.output_parameters:
        parts.append(Part("output-layer", 2.0 * model.output_parameters * output_tokens, output, weights=output))
    return tuple(parts)


def _moved_between(model: Model, rows: float) -> float:
    """Numbers that go to memory and back between the matrix products."""
    used = model.active_experts + model.shared_experts if model.experts > 1 else 1
    return rows * (model.layers + model.decoder_layers) * (HIDDEN_MOVED * model.hidden + FFN_MOVED * model.ffn * used)


def _kernels(model: Model) -> int:
    if model.kind == "convnet" or not model.layers:
        return KERNELS_OF_A_CONVNET
    each = KERNELS_A_LAYER + (KERNELS_FOR_EXPERTS if model.experts > 1 else 0)
    return (model.layers + model.decoder_layers) * each
