"""Where a need stands before any technique is applied: memory by part, least times, what binds, and whether it fits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from recommender.documents import ModelledEffect
from recommender.hardware.catalogue import Device
from recommender.hardware.memory import Memory, Workload, available, memory_of
from recommender.hardware.models import Model
from recommender.hardware.roofline import Roofline, roofline, time_shares
from recommender.need import Need

LEAST_PRESSURE = 0.3
LONG_PROMPT = 16_384
FEW_SEQUENCES = 4
MEMORY_TERMS = ("weights", "kv_cache", "activations", "gradients", "optimizer")


@dataclass(frozen=True)
class Situation:
    """Parts are None where the need names no model or no device that is known."""

    need: Need
    device: Device | None
    model: Model | None
    workload: Workload
    memory: Memory | None
    times: Roofline | None
    shares: dict[str, float]

    @property
    def available_gib(self) -> float | None:
        return available(self.device, self.need.gpus) if self.device else None

    @property
    def short_by_gib(self) -> float | None:
        """How much memory is missing; 0 when it fits, None when that is not known."""
        if self.memory is None or self.available_gib is None:
            return None
        return max(0.0, self.memory.total - self.available_gib)

    def memory_after(self, effects: list[ModelledEffect]) -> float | None:
        """GiB that remain when each effect shrinks its term by the cautious end of its range."""
        if self.memory is None:
            return None
        left = self.memory
        for effect in effects:
            if effect.resource != "memory":
                continue
            terms = MEMORY_TERMS if effect.term == "all" else (effect.term,)
            changes = {term: getattr(left, term) / effect.low for term in terms if term in MEMORY_TERMS}
            left = replace(left, **changes)
        return left.total

    def gain_of(self, effect: ModelledEffect) -> tuple[float, float] | None:
        """Factors (low, high) for the whole of the time or memory when one term shrinks (Amdahl's law).

        None when the situation does not say how large the term is.
        """
        share = self._share(effect)
        if share is None:
            return None
        return 1 / (1 - share + share / effect.low), 1 / (1 - share + share / effect.high)

    def _share(self, effect: ModelledEffect) -> float | None:
        if effect.resource == "time":
            return self.shares.get(effect.term)
        if self.memory is None or not self.memory.total:
            return None
        if effect.term == "all":
            return 1.0
        return getattr(self.memory, effect.term) / self.memory.total if effect.term in MEMORY_TERMS else None

    def to_json(self) -> dict[str, Any]:
        memory, times = self.memory, self.times
        parts = {term: _rounded(getattr(memory, term)) if memory else None for term in MEMORY_TERMS}
        costs = {
            name: getattr(times, name) if times else None for name in ("prefill", "decode_per_token", "training_step")
        }
        short = self.short_by_gib
        return {
            "gpu": self.device.name if self.device else self.need.gpu,
            "gpus": self.need.gpus,
            "model": self.model.name if self.model else self.need.model,
            "memory_gib": {
                **parts,
                "total": _rounded(memory.total) if memory else None,
                "available": _rounded(self.available_gib),
            },
            "time_ms": {name: _rounded(cost.ms) if cost else None for name, cost in costs.items()},
            "binds": times.binds if times else None,
            "fits": None if short is None else short == 0,
        }


def situation_of(need: Need) -> Situation:
    """What the catalogue's figures say about the need."""
    device, model = need.device(), need.shape()
    usual = Workload()
    workload = Workload(
        stage=need.stage or "inference",
        batch=need.batch,
        prompt=need.prompt or usual.prompt,
        new_tokens=need.new_tokens or usual.new_tokens,
        seq=need.seq or need.prompt or usual.seq,
    )
    if model is None:
        return Situation(need, device, None, workload, None, None, {})
    dtype = device.best_dtype() if device else "bf16"
    memory = memory_of(model, workload, dtype)
    if device is None:
        return Situation(need, None, model, workload, memory, None, {})
    times = roofline(model, workload, device, need.gpus)
    return Situation(need, device, model, workload, memory, times, time_shares(model, workload, device, need.gpus))


def pressing_concepts(situation: Situation) -> dict[str, float]:
    """What to look for when a need says where it runs but not how to improve it: glossary concepts with weights.

    Follows from the largest parts of the memory and of the time; empty where no model is known.
    """
    if situation.model is None or situation.memory is None:
        return {}
    rules = _training_pressures if situation.workload.trains else _inference_pressures
    return {
        concept: weight for concept, weight in rules(situation, situation.memory).items() if weight >= LEAST_PRESSURE
    }


def _inference_pressures(situation: Situation, memory: Memory) -> dict[str, float]:
    shares, work = situation.shares, situation.workload
    cache = max(memory.kv_cache / memory.total, shares.get("kv_cache", 0.0))
    weights = max(memory.weights / memory.total if situation.short_by_gib else 0.0, shares.get("weights", 0.0))
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
    return (
        found if situation.model and situation.model.is_decoder else {"method.quantization": 0.5, "method.pruning": 0.5}
    )


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


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
