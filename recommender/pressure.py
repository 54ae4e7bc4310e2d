"""What to look for when a need says where it runs but not how to improve it: from the largest parts of its memory and time."""

from __future__ import annotations

from recommender.changes import MUCH_QUICKER
from recommender.hardware.memory import Memory
from recommender.situation import FEW_SEQUENCES, Situation

LEAST_PRESSURE = 0.3
TIGHT = 0.7
LONG_PROMPT = 16_384


def pressing_concepts(situation: Situation) -> dict[str, float]:
    """What to look for when a need says where it runs but not how to improve it: glossary concepts with weights.

    Follows from the largest parts of the memory and of the time; empty where no model is known.
    """
    if situation.model is None or situation.memory is None:
        return {}
    if situation.workload.trains:
        found = _training_pressures(situation, situation.memory)
    elif situation.model.is_decoder:
        found = _inference_pressures(situation, situation.memory)
    else:
        found = _one_pass_pressures(situation, situation.model.kind)
    return {concept: weight for concept, weight in found.items() if weight >= LEAST_PRESSURE}


def _inference_pressures(situation: Situation, memory: Memory) -> dict[str, float]:
    shares, work = situation.shares or {}, situation.workload
    cache = max(memory.kv_cache / memory.total, shares.get("kv_cache", 0.0))
    tight = situation.available_gib is not None and memory.total > TIGHT * situation.available_gib
    weights = max(
        memory.weights / memory.total if tight else 0.0, shares.get("weights", 0.0), _narrow_arithmetic(situation)
    )
    few = 1.0 if work.batch <= FEW_SEQUENCES else 0.0
    long = 1.0 if work.prompt >= LONG_PROMPT else 0.0
    found = {
        "method.quantization": weights,
        "method.weight-only": weights,
        "method.speculative-decoding": few * shares.get("weights", 0.0),
        "method.kv-cache": min(1.0, 2 * cache + 0.5 * long),
        "method.kv-eviction": min(1.0, 2 * cache + 0.5 * long),
        "method.sparse-attention": min(1.0, 2 * shares.get("attention", 0.0)),
        "method.exact-attention-kernel": min(1.0, 2 * shares.get("attention", 0.0)),
        "method.long-context": 0.7 * long,
        "method.serving": 0.8 * (1 - few),
        "method.batching": 0.8 * (1 - few),
    }
    return found


def _narrow_arithmetic(situation: Situation) -> float:
    """The share of the time that products of matrices take, where the device computes them much quicker in 8 bits."""
    device, shares = situation.device, situation.shares or {}
    if device is None or not (wide := device.tflops.get(device.best_dtype())):
        return 0.0
    quick = max(device.tflops.get("fp8", 0.0), device.tflops.get("int8", 0.0)) >= MUCH_QUICKER * wide
    return max(0.0, shares.get("linear", 0.0) - shares.get("weights", 0.0)) if quick else 0.0


def _one_pass_pressures(situation: Situation, kind: str) -> dict[str, float]:
    """Of a model that makes no tokens: an image, a text or a denoising step is one pass, which arithmetic binds."""
    shares = situation.shares or {}
    attention, moved = shares.get("attention", 0.0), shares.get("elementwise", 0.0)
    found = {
        "method.quantization": max(0.4, _narrow_arithmetic(situation)),
        "method.pruning": 0.4,
        "method.sparse-attention": min(1.0, 1.5 * attention),
        "method.exact-attention-kernel": min(1.0, 1.5 * attention),
        "method.kernels": min(1.0, 1.5 * moved),
        "method.compilers": min(1.0, 1.5 * moved),
    }
    if kind == "diffusion":
        steps = {"method.diffusion-caching": 0.8, "method.diffusion-acceleration": 0.8, "method.token-reduction": 0.4}
        few = {} if situation.need.training in ("none", "calibration") else {"method.few-step": 0.8}
        return {**found, **steps, **few, "method.pruning": 0.0}
    if kind == "convnet":
        return found | {"method.structured-pruning": 0.5}
    return found | {"method.token-reduction": 0.8}


def _training_pressures(situation: Situation, memory: Memory) -> dict[str, float]:
    states = (memory.optimizer + memory.gradients) / memory.total
    tight = 1.0 if situation.short_by_gib else 0.5
    tuning = 1.0 if situation.workload.stage == "fine-tuning" else 0.0
    return {
        "method.optimizer-memory": tight * states,
        "method.gradient-projection": tight * states,
        "method.activation-memory": tight * memory.activations / memory.total,
        "method.offloading": tight if situation.short_by_gib else 0.0,
        "method.peft": tuning,
        "method.lora": tuning,
        "method.cheap-pretraining": 0.5 * (1 - tuning),
        "method.distributed-training": 0.7 if situation.need.gpus > 1 else 0.0,
    }
