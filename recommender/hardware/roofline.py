"""The least time that a workload can take on a device: its operations at the peak rate, or its bytes at full bandwidth.

After "Roofline: An Insightful Visual Performance Model for Multicore Architectures" (2009). Real programs reach half to
nine tenths of it. Several devices are taken as sharing the work evenly at no cost of communication.
"""

from __future__ import annotations

from dataclasses import dataclass

from recommender.hardware.catalogue import Device
from recommender.hardware.memory import ADAM_BYTES, BYTES, GIB, Workload, available, memory_of
from recommender.hardware.models import Model


@dataclass(frozen=True, slots=True)
class Cost:
    """Operations, bytes to and from memory, and milliseconds with what sets them."""

    flops: float
    bytes: float
    compute_ms: float
    bandwidth_ms: float

    @property
    def ms(self) -> float:
        return max(self.compute_ms, self.bandwidth_ms)

    @property
    def binds(self) -> str:
        return "compute" if self.compute_ms >= self.bandwidth_ms else "bandwidth"


@dataclass(frozen=True, slots=True)
class Roofline:
    """Lower bounds; a part that the workload does not have is None. `short_by_gib` is above 0 when it does not fit."""

    prefill: Cost | None
    decode_per_token: Cost | None
    training_step: Cost | None
    binds: str
    fits: bool
    short_by_gib: float


def attention_flops(model: Model, queries: float, keys: float) -> float:
    """Scores and weighted sum over all layers and heads: two products of 2 operations for each pair and channel."""
    return 4.0 * model.layers * model.heads * model.head_dim * queries * keys


def forward_flops(model: Model, sequences: int, tokens: int) -> float:
    """One pass over `sequences` of `tokens` each; a decoder looks only at earlier tokens, half of all pairs."""
    pairs = tokens / 2 if model.is_decoder else tokens
    return 2.0 * model.computed_parameters * sequences * tokens + sequences * attention_flops(model, tokens, pairs)


def touched_parameters(model: Model, tokens: int) -> float:
    """Weights that a step over `tokens` tokens reads: with experts, those that at least one token is sent to.

    Each token is taken to choose its experts evenly and on its own.
    """
    share = 1 - (1 - model.active_experts / model.experts) ** max(tokens, 1)
    experts = model.layers * model.experts * model.expert_parameters
    embeddings = model.vocab * model.hidden if not model.tied else 0
    return model.parameters - embeddings - experts * (1 - share)


def roofline(model: Model, workload: Workload, device: Device, count: int = 1, dtype: str | None = None) -> Roofline:
    """Lower bounds of the workload's times on `count` devices, in `dtype` (the device's usual one by default)."""
    dtype = dtype or device.best_dtype()
    rate = device.tflops.get(dtype) or max(device.tflops.values())

    def cost(flops: float, moved: float) -> Cost:
        return Cost(
            flops, moved, flops / (rate * 1e12 * count) * 1e3, moved / (device.bandwidth_gb_s * 1e9 * count) * 1e3
        )

    width = BYTES[dtype]
    memory = memory_of(model, workload, dtype)
    short = max(0.0, memory.total - available(device, count))
    if workload.trains:
        step = _training_step(model, workload, width)
        training = cost(*step)
        return Roofline(None, None, training, training.binds, short == 0, short)
    prompt_tokens = workload.batch * workload.prompt
    prefill = cost(
        forward_flops(model, workload.batch, workload.prompt),
        width * (touched_parameters(model, prompt_tokens) + model.kv_elements_per_token * prompt_tokens),
    )
    if not model.is_decoder:
        return Roofline(prefill, None, None, prefill.binds, short == 0, short)
    # The middle of the generation stands for all of its steps: the cache grows evenly.
    context = workload.prompt + workload.new_tokens / 2
    decode = cost(
        workload.batch * (2.0 * model.computed_parameters + attention_flops(model, 1, context)),
        width * (touched_parameters(model, workload.batch) + model.kv_elements_per_token * context * workload.batch),
    )
    longer = prefill if prefill.ms >= decode.ms * workload.new_tokens else decode
    return Roofline(prefill, decode, None, longer.binds, short == 0, short)


def _training_step(model: Model, workload: Workload, width: float) -> tuple[float, float]:
    """Operations (backward is twice forward) and bytes: weights read in both passes and written, gradients written and
    read, Adam's states read and written, activations written and read."""
    trained = model.parameters * workload.trained_share
    activations = memory_of(model, workload, "bf16").activations * GIB
    backward = 1 + workload.trained_share  # gradients of the inputs always, of the weights where they are trained
    flops = (1 + backward) * forward_flops(model, workload.batch, workload.seq)
    moved = 2 * model.parameters * width + trained * width + 2 * trained * width + 2 * trained * ADAM_BYTES
    return flops, moved + 2 * activations


def time_shares(model: Model, workload: Workload, device: Device, count: int = 1) -> dict[str, float]:
    """The part of the workload's least time that each term takes, 0 to 1.

    attention, linear and output-layer are shares of operations where those bind, and of the bytes that they move where
    bandwidth does; kv_cache and weights count only the time in which their bytes are what is waited for.
    """
    bounds = roofline(model, workload, device, count)
    parts: dict[str, float] = dict.fromkeys(("attention", "linear", "output-layer", "kv_cache", "weights"), 0.0)
    forward = bounds.prefill or bounds.training_step
    tokens = workload.seq if workload.trains else workload.prompt
    total = 0.0
    if forward:
        pairs = tokens / 2 if model.is_decoder else tokens
        attention = attention_flops(model, tokens, pairs) * workload.batch
        output = 2.0 * model.vocab * model.hidden * workload.batch * tokens
        everything = forward_flops(model, workload.batch, tokens)
        parts["attention"] += forward.ms * attention / everything
        parts["output-layer"] += forward.ms * output / everything
        parts["linear"] += forward.ms * (1 - (attention + output) / everything)
        total += forward.ms
    if decode := bounds.decode_per_token:
        _add_decode(parts, model, workload, decode, device)
        total += decode.ms * workload.new_tokens
    return {**{term: part / total for term, part in parts.items()}, "all": 1.0}


def _add_decode(parts: dict[str, float], model: Model, workload: Workload, decode: Cost, device: Device) -> None:
    spent = decode.ms * workload.new_tokens
    width = BYTES[device.best_dtype()]
    context = workload.prompt + workload.new_tokens / 2
    cache = model.kv_elements_per_token * context * workload.batch * width / decode.bytes
    output = model.vocab * model.hidden * width / decode.bytes
    parts["attention"] += spent * cache
    parts["output-layer"] += spent * output
    parts["linear"] += spent * (1 - cache - output)
    if decode.binds == "bandwidth":
        parts["kv_cache"] += spent * cache
        parts["weights"] += spent * (1 - cache)
