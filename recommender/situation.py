"""Where a need stands before any technique is applied: memory by part, times by part, what binds, and whether it fits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from recommender.hardware.catalogue import Device
from recommender.hardware.memory import Memory, available, memory_of
from recommender.hardware.models import Model, names_it
from recommender.hardware.timing import (
    IN_ONE_MACHINE,
    Cost,
    Efficiency,
    Machine,
    cost_of,
    costs_of,
    efficiency_of,
    scaled,
    shares_of,
    to_json,
    total_ms,
)
from recommender.hardware.work import Workload, passes
from recommender.need import Need

FEW_SEQUENCES = 4
MEMORY_TERMS = ("weights", "kv_cache", "activations", "gradients", "optimizer")
PASSES = ("prefill", "decode_per_token", "training_step")
# Which budget of the need is for which pass.
TIME_BUDGETS: Mapping[str, str] = {
    "first_token_ms": "prefill", "token_ms": "decode_per_token", "step_ms": "training_step",
}  # fmt: skip


@dataclass(frozen=True)
class Change:
    """What a technique does to one term of memory or of time: it shrinks it by a factor from low to high.

    `resource` is memory or time; `term` a part as work.py and memory.py name them, a pass ("decode"), a part within a pass
    ("prefill/attention"), "steps" of denoising, or "all". `middle` is the likely factor. A factor below 1 is a loss.
    """

    resource: str
    term: str
    low: float
    middle: float
    high: float

    def at(self, end: str) -> float:
        return {"low": self.low, "middle": self.middle, "high": self.high}[end]


@dataclass(frozen=True)
class Outcome:
    """Memory in GiB and milliseconds by pass once changes are made, at one end of their ranges."""

    memory: Memory | None
    ms: Mapping[str, float]
    request_ms: float | None

    @property
    def memory_gib(self) -> float | None:
        return self.memory.total if self.memory else None


@dataclass(frozen=True)
class Situation:
    """Parts are None or empty where the need names no model or no device that is known."""

    need: Need
    device: Device | None
    model: Model | None
    workload: Workload
    memory: Memory | None = None
    costs: tuple[Cost, ...] = ()
    shares: Mapping[str, float] | None = None
    sharing: str = "one"
    efficiency: Efficiency | None = None
    notes: tuple[str, ...] = ()

    @property
    def available_gib(self) -> float | None:
        """What the devices leave for a model, or the smaller budget that the need names."""
        there = available(self.device, self.need.gpus) if self.device else None
        asked = self.need.memory_gib
        return there if asked is None else asked if there is None else min(asked, there)

    @property
    def short_by_gib(self) -> float | None:
        """How much memory is missing; 0 when it fits, None when that is not known."""
        if self.memory is None or self.available_gib is None:
            return None
        return max(0.0, self.memory.total - self.available_gib)

    @property
    def request_ms(self) -> float | None:
        return total_ms(self.costs, self.workload) if self.costs else None

    @property
    def most_by_same_work(self) -> float:
        """How much quicker a request could be with the same operations and bytes, at the peaks of the device; 1 where unknown."""
        if not self.costs or not all(cost.compute_known for cost in self.costs):
            return 1.0 if not self.costs else math.inf
        times = {"decode_per_token": self.workload.new_tokens}
        now, best = (sum(part(cost) * times.get(cost.name, 1) for cost in self.costs) for part in (_ms, _best_ms))
        return max(1.0, now / best) if best else math.inf

    @property
    def binds(self) -> str | None:
        """What the longest pass waits for most."""
        cost = self.cost(self.longest or "")
        return cost.binds if cost else None

    @property
    def longest(self) -> str | None:
        """The pass that takes most of a request."""
        times = {"decode_per_token": self.workload.new_tokens}
        found = max(self.costs, key=lambda cost: cost.ms * times.get(cost.name, 1), default=None)
        return found.name if found else None

    @property
    def efficiency_used(self) -> Efficiency | None:
        """What is reckoned with: measured on the device, else stated for its class."""
        return efficiency_of(self.device, self.efficiency) if self.device else None

    def cost(self, name: str) -> Cost | None:
        return next((cost for cost in self.costs if cost.name == name), None)

    def share(self, change: Change) -> float | None:
        """The part of the whole that a change acts on, 0 to 1; None where the situation does not say."""
        if change.resource == "time":
            return self.shares.get("all" if change.term == "steps" else change.term) if self.shares else None
        if self.memory is None or not self.memory.total:
            return None
        return _part_of(self.memory, change.term) / self.memory.total

    def gain_of(self, change: Change) -> tuple[float, float, float] | None:
        """Factors (low, middle, high) for the whole of the time or memory when one term shrinks (Amdahl's law).

        None when the situation does not say how large the term is.
        """
        share = self.share(change)
        if share is None:
            return None
        return tuple(1 / (1 - share + share / change.at(end)) for end in ("low", "middle", "high"))  # type: ignore[return-value]

    def after(self, changes: Sequence[Change], end: str = "middle") -> Outcome:
        """Memory and times when the changes are made together, each at the given end of its range.

        Terms of time shrink in the work itself, so that what becomes short makes something else bind. Two changes of
        the same term do not multiply: the larger one counts.
        """
        factors = _factors(changes, end)
        memory = self._memory_after({term: by for (kind, term), by in factors.items() if kind == "memory"})
        found = {name: cost.ms for name, cost in self.moved(changes, end).items()}
        times = {"decode_per_token": self.workload.new_tokens}
        whole = sum(ms * times.get(name, 1) for name, ms in found.items()) if found else None
        return Outcome(memory, found, whole)

    def moved(self, changes: Sequence[Change], end: str = "middle") -> dict[str, Cost]:
        """The passes by name when the changes of time are made: fewer operations and bytes, or all of it quicker."""
        if self.model is None or self.device is None or self.efficiency_used is None:
            return {}
        factors = {term: by for (kind, term), by in _factors(changes, end).items() if kind == "time"}
        machine = Machine(self.device, self.need.gpus, self.efficiency_used, self.sharing)
        found = {}
        for one in passes(self.model, self.workload):
            name = _term_of(one.name)
            own = {term.removeprefix(f"{name}/"): by for term, by in factors.items() if term.startswith(f"{name}/")}
            cost = cost_of(scaled(one, {**factors, **own}), self.workload, machine, self.model)
            quicker = factors.get("all", 1.0) * factors.get("steps", 1.0) * factors.get(name, 1.0)
            found[one.name] = replace(cost, ms=cost.ms / quicker, low=cost.low / quicker, high=cost.high / quicker)
        return found

    def _memory_after(self, factors: Mapping[str, float]) -> Memory | None:
        left = self.memory
        if left is None:
            return None
        for term, factor in factors.items():
            if term == "all":
                left = replace(left, **{name: getattr(left, name) / factor for name in MEMORY_TERMS})
            elif term == "output-layer":
                left = replace(
                    left, activations=left.activations - left.logits * (1 - 1 / factor), logits=left.logits / factor
                )
            elif term in MEMORY_TERMS:
                left = replace(left, **{term: getattr(left, term) / factor})
        return left

    def over_budget(self, outcome: Outcome) -> dict[str, float]:
        """By field of the need, how many times too large the outcome is: only budgets that it misses."""
        found: dict[str, float] = {}
        there, needed = self.available_gib, outcome.memory_gib
        if there and needed is not None and needed > there:
            found["memory"] = needed / there
        for field, name in TIME_BUDGETS.items():
            budget, ms = getattr(self.need, field), outcome.ms.get(name)
            if budget and ms is not None and ms > budget:
                found[field] = ms / budget
        return found

    @property
    def has_budget(self) -> bool:
        """Whether there is anything to meet: a memory that is known, or a time that the need names."""
        if self.memory is not None and self.available_gib is not None:
            return True
        return bool(self.costs) and any(getattr(self.need, field) for field in TIME_BUDGETS)

    def to_json(self) -> dict[str, Any]:
        memory = self.memory
        parts = {term: _rounded(getattr(memory, term)) if memory else None for term in MEMORY_TERMS}
        costs = {name: self.cost(name) for name in PASSES}
        short = self.short_by_gib
        return {
            "gpu": self.device.name if self.device else self.need.gpu,
            "gpus": self.need.gpus,
            "model": self.model.name if self.model else self.need.model,
            "memory_gib": {
                **parts,
                "total": _rounded(memory.total) if memory else None,
                "available": _rounded(self.available_gib),
                "short_by": _rounded(short),
            },
            "time_ms": {name: _rounded(cost.ms) if cost else None for name, cost in costs.items()},
            "time_by_part": {name: to_json(cost) for name, cost in costs.items() if cost},
            "shares": {
                name: _rounded(share)
                for name, share in (self.shares or {}).items()
                if share >= 0.001 and "/" not in name
            },
            "binds": self.binds,
            "fits": None if short is None else short == 0,
            "workload": _workload_json(self.workload, self.model),
            "sharing": self.sharing,
            "efficiency": self._efficiency_json(),
            "notes": list(self.notes),
        }

    def _efficiency_json(self) -> dict[str, Any] | None:
        used = self.efficiency_used
        if used is None:
            return None
        return {"compute": used.compute, "memory": used.memory, "origin": used.origin}


def situation_of(need: Need, measured: Mapping[str, Efficiency] | None = None) -> Situation:
    """What the catalogue's figures say about the need; what was measured on a device (by name) wins over assumptions."""
    device, model = need.device(), need.shape()
    usual = Workload()
    dtype = need.dtype or (device.best_dtype() if device else "bf16")
    prompt = need.prompt or (model.tokens if model and model.tokens else usual.prompt)
    workload = Workload(
        stage=need.stage or "inference",
        batch=need.batch,
        prompt=prompt,
        new_tokens=need.new_tokens or usual.new_tokens,
        seq=need.seq or need.prompt or (model.tokens if model and model.tokens else usual.seq),
        dtype=dtype,
    )
    if model is None:
        return Situation(need, device, None, workload)
    memory = memory_of(model, workload)
    notes = tuple(_notes(need, device, model, workload, memory))
    if device is None:
        return Situation(need, None, model, workload, memory, notes=notes)
    used = (measured or {}).get(device.name)
    costs, sharing = costs_of(model, workload, device, need.gpus, used)
    return Situation(need, device, model, workload, memory, costs, shares_of(costs, workload), sharing, used, notes)


def _ms(cost: Cost) -> float:
    return cost.ms


def _best_ms(cost: Cost) -> float:
    return cost.best_ms


def _factors(changes: Sequence[Change], end: str) -> dict[tuple[str, str], float]:
    """By resource and term; of two changes of one term the larger."""
    found: dict[tuple[str, str], float] = {}
    for change in changes:
        key, factor = (change.resource, change.term), change.at(end)
        found[key] = max(found[key], factor) if key in found else factor
    return found


def _term_of(name: str) -> str:
    """A whole pass as a term: decode, prefill, training-step."""
    return name.removesuffix("_per_token").replace("_", "-")


def _notes(need: Need, device: Device | None, model: Model, work: Workload, memory: Memory) -> list[str]:
    """What was assumed, and what the reader should know of the setting."""
    found = []
    if need.model and not names_it(model, need.model):
        found.append(f"No model was named: “{need.model}” is reckoned as {model.name}.")
    if not work.trains and need.prompt is None and not model.tokens and model.is_decoder:
        found.append(f"No prompt length was given: {work.prompt:,} tokens assumed, and {work.new_tokens:,} new ones.")
    if work.trains and need.seq is None and need.prompt is None and not model.tokens:
        found.append(f"No sequence length was given: {work.seq:,} tokens assumed.")
    longest = work.seq if work.trains else work.prompt + (work.new_tokens if model.kind == "decoder" else 0)
    if model.context and longest > model.context and not model.tokens:
        found.append(
            f"{model.name} was trained for {model.context:,} tokens; {longest:,} need an extension of its context."
        )
    if device is None:
        return found
    if need.dtype is None and work.dtype == "fp32":
        found.append(f"{device.name} has no rate for 16 bits; weights in 32 bits are assumed.")
    if memory.total > available(device, need.gpus):
        found.append("It does not fit; the times are those of a device with enough memory.")
    if device.rate(work.computes_in) is None:
        found.append(f"No rate of arithmetic is published for {device.name}: times that wait for it are not counted.")
    elif work.dtype not in device.tflops and work.dtype == work.computes_in:
        known = ", ".join(device.tflops)
        found.append(f"No rate in {work.dtype} is published for {device.name}; that of {known} is reckoned with.")
    if device.note:
        found.append(f"{device.name}: {device.note}.")
    if need.gpus > IN_ONE_MACHINE:
        found.append(
            f"More than {IN_ONE_MACHINE} devices are taken to exchange over a network of 50 GB/s each way and device, which is assumed."
        )
    if model.kind == "diffusion" and not model.layers:
        found.append(f"Activations of {model.name} are not known and not counted.")
    if model.item:
        found.append(f"One pass is one {model.item}.")
    return found


def _part_of(memory: Memory, term: str) -> float:
    if term == "all":
        return memory.total
    if term == "output-layer":
        return memory.logits
    return float(getattr(memory, term)) if term in MEMORY_TERMS else 0.0


def _workload_json(work: Workload, model: Model | None) -> dict[str, Any]:
    lengths = {"seq": work.seq} if work.trains else {"prompt": work.prompt}
    if not work.trains and (model is None or model.is_decoder):
        lengths["new_tokens"] = work.new_tokens
    return {"stage": work.stage, "batch": work.batch, **lengths, "dtype": work.dtype}


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
