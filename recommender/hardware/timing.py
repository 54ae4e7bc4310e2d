"""From work to time: each part takes as long as its operations or its bytes, whichever is longer, at what the device
really reaches; starting kernels and exchanging between devices come on top.

After "Roofline: An Insightful Visual Performance Model for Multicore Architectures" (2009), with the peaks multiplied by
an efficiency (efficiency.toml, or measured on the device) and an interval that held published measurements
(published.toml).
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recommender.hardware.catalogue import Device
from recommender.hardware.models import Model
from recommender.hardware.work import Part, Pass, Workload, passes

SOURCE = Path(__file__).with_name("efficiency.toml")
FAST_LINK_GB_S = 200.0
# Cards of one machine; beyond that many, what they exchange also goes over the network: each card has its adapter, and
# the cards of a machine carry a share each.
IN_ONE_MACHINE, NETWORK_GB_S = 8, 100.0
PARTS = ("compute", "memory", "launch", "link")


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Shares of the peaks that programs reach, and what starting costs. `origin` says from where, for a reader.

    attention is the share of the rate of arithmetic that attention reaches, unpack the share of the bandwidth that is
    left when weights in so many bits are unpacked on the way. `ranges` bound measured ÷ expected time by pass: nine of
    ten published measurements lie between them.
    """

    compute: float
    attention: float
    memory: float
    unpack: Mapping[str, float]
    link: float
    kernel_us: float
    message_us: float
    ranges: Mapping[str, tuple[float, float]]
    origin: str


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of one pass by what is waited for. `ms` is expected, `low` to `high` the interval, `best_ms` the
    bound of the device's peaks. `compute_known` is False where the maker publishes no rate."""

    name: str
    flops: float
    bytes: float
    compute_ms: float
    memory_ms: float
    launch_ms: float
    link_ms: float
    ms: float
    low: float
    high: float
    best_ms: float
    binds: str
    compute_known: bool
    parts: tuple[tuple[Part, float, float], ...]

    @property
    def intensity(self) -> float:
        """Operations for each byte moved."""
        return self.flops / self.bytes if self.bytes else 0.0


@dataclass(frozen=True, slots=True)
class Machine:
    """`count` equal devices that share a workload in one of two ways: "tensor" splits each layer, "layers" deals the
    layers out, "data" deals out the sequences of a training batch and shards what is kept."""

    device: Device
    count: int
    efficiency: Efficiency
    sharing: str = "one"


@functools.cache
def efficiencies() -> dict[str, Efficiency]:
    """By class of device, as efficiency.toml states them."""
    table = tomllib.loads(SOURCE.read_text(encoding="utf-8"))
    ranges = {name: (row["low"], row["high"]) for name, row in table["range"].items()}
    return {
        name: Efficiency(
            row["compute"],
            row["attention"],
            row["memory"],
            row["unpack"],
            row["link"],
            row["kernel_us"],
            row["message_us"],
            ranges,
            row["origin"],
        )
        for name, row in table["efficiency"].items()
    }


def efficiency_of(device: Device, measured: Efficiency | None = None) -> Efficiency:
    """What was measured on the device, else what is stated for its class."""
    if measured:
        return measured
    stated = efficiencies()
    if device.device_class == "datacentre" and device.capability >= (9, 0):
        return stated["hopper"]
    if device.vendor == "Apple" and device.device_class == "workstation":
        return stated["unified"]
    return stated.get(device.device_class, stated["other"])


def costs_of(
    model: Model,
    work: Workload,
    device: Device,
    count: int = 1,
    measured: Efficiency | None = None,
) -> tuple[tuple[Cost, ...], str]:
    """The passes of a workload with their times, and the quickest way for several devices to share it."""
    efficiency = efficiency_of(device, measured)
    done = passes(model, work)
    if count == 1:
        ways = ["one"]
    elif work.trains:
        ways = ["data"] if work.batch >= count else ["tensor"]
    else:
        ways = ["tensor", "layers"] if device.link_gb_s else ["layers"]
    timed = {
        way: tuple(cost_of(one, work, Machine(device, count, efficiency, way), model) for one in done) for way in ways
    }
    best = min(timed, key=lambda way: total_ms(timed[way], work))
    return timed[best], best


def total_ms(costs: tuple[Cost, ...], work: Workload) -> float:
    """Of a whole request or step: the prompt, then each new token."""
    return sum(cost.ms * (work.new_tokens if cost.name == "decode_per_token" else 1) for cost in costs)


def cost_of(one: Pass, work: Workload, machine: Machine, model: Model) -> Cost:
    """The time of a pass on a machine."""
    device, efficiency = machine.device, machine.efficiency
    split = 1 if machine.sharing == "layers" else machine.count
    rate = device.rate(work.computes_in)
    bandwidth = device.bandwidth_gb_s * 1e9 * split
    timed = []
    packed = efficiency.unpack.get(work.dtype, 1.0)
    for part in one.parts:
        reached = efficiency.attention if part.term == "attention" else efficiency.compute
        compute = part.flops / (rate * 1e12 * split * reached) * 1e3 if rate else 0.0
        moved = part.bytes - part.weights + part.weights / packed
        timed.append((part, compute, moved / (bandwidth * efficiency.memory) * 1e3))
    launch = one.kernels * efficiency.kernel_us / 1e3
    link = _link_ms(one, work, machine, model)
    kernels = sum(max(compute, memory) for _, compute, memory in timed)
    # A sharded training step fetches weights while it computes; what is exchanged between layers is waited for.
    ms = max(kernels, link) + launch if machine.sharing == "data" else kernels + launch + link
    compute_ms = sum(compute for _, compute, memory in timed if compute >= memory)
    memory_ms = sum(memory for _, compute, memory in timed if compute < memory)
    waits = {"compute": compute_ms, "memory": memory_ms, "launch": launch, "link": link}
    low, high = efficiency.ranges[one.name]
    best = max(one.flops / (rate * 1e12 * split) * 1e3 if rate else 0.0, one.bytes / bandwidth * 1e3)
    return Cost(
        one.name, one.flops, one.bytes, compute_ms, memory_ms, launch, link, ms, max(best, ms * low),
        max(best, ms * high), best, max(waits, key=lambda name: waits[name]), rate is not None, tuple(timed),
    )  # fmt: skip


def _link_ms(one: Pass, work: Workload, machine: Machine, model: Model) -> float:
    """Milliseconds in which devices exchange: sums of activations, shards of weights and gradients, or nothing."""
    if machine.count == 1:
        return 0.0
    rate = machine.device.link_gb_s / 2 * 1e9  # the catalogue counts both directions
    if machine.count > IN_ONE_MACHINE:
        rate = min(rate, IN_ONE_MACHINE * NETWORK_GB_S / 2 * 1e9)
    rate *= machine.efficiency.link
    around = (machine.count - 1) / machine.count
    if machine.sharing == "layers":
        return 0.0 if not rate else machine.count * one.message_bytes / rate * 1e3
    if not rate:
        return 0.0
    if machine.sharing == "data":
        fetched = (2 + work.trained_share) * model.parameters * work.weight_bytes * around
        return fetched / rate * 1e3
    delay = (
        one.messages * machine.efficiency.message_us / 1e3 * (1 if machine.device.link_gb_s >= FAST_LINK_GB_S else 3)
    )
    return delay + one.messages * 2 * around * one.message_bytes / rate * 1e3


def shares_of(costs: tuple[Cost, ...], work: Workload) -> dict[str, float]:
    """The share of the whole time that each part takes, 0 to 1, by the names of parts, and of four kinds of waiting.

    weights and kv_cache count the time in which their bytes are what is waited for; decode, prefill and
    training-step whole passes, and "decode/attention" a part of one; launch and link as they are.
    """
    whole = total_ms(costs, work)
    found: dict[str, float] = {}

    def add(name: str, ms: float) -> None:
        found[name] = found.get(name, 0.0) + ms / whole

    for cost in costs:
        times = work.new_tokens if cost.name == "decode_per_token" else 1
        name = cost.name.removesuffix("_per_token").replace("_", "-")
        add(name, cost.ms * times)
        add("launch", cost.launch_ms * times)
        add("link", cost.link_ms * times)
        for part, compute, memory in cost.parts:
            add(part.term, max(compute, memory) * times)
            add(f"{name}/{part.term}", max(compute, memory) * times)
            if memory > compute and part.bytes:
                add("weights", memory * times * part.weights / part.bytes)
                add("kv_cache", memory * times * part.cache / part.bytes)
    return {**found, "all": 1.0}


def scaled(one: Pass, changes: Mapping[str, float]) -> Pass:
    """The pass when parts take so many times less of operations and bytes, by term; "weights" and "kv_cache" shrink
    their bytes alone, "launch" the kernels, "link" what is exchanged."""
    parts = []
    for part in one.parts:
        factor = changes.get(part.term, 1.0)
        weights, cache = part.weights / changes.get("weights", 1.0), part.cache / changes.get("kv_cache", 1.0)
        left = part.bytes - part.weights - part.cache + weights + cache
        parts.append(Part(part.term, part.flops / factor, left / factor, weights / factor, cache / factor))
    return replace(
        one, parts=tuple(parts), kernels=round(one.kernels / changes.get("launch", 1.0)),
        message_bytes=one.message_bytes / changes.get("link", 1.0),
    )  # fmt: skip


def to_json(cost: Cost) -> dict[str, Any]:
    """What is waited for, for an answer; four significant digits."""
    names = ("compute_ms", "memory_ms", "launch_ms", "link_ms", "ms", "low", "high", "best_ms")
    return {name: float(f"{getattr(cost, name):.4g}") for name in names} | {"binds": cost.binds}
