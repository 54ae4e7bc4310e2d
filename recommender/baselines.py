"""What timed baselines teach about a device: how far the model is from them, and what shares of the peaks they reach.

Only baselines whose work follows from their axes are used: one linear layer, fused attention, a fused Adam step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from recommender.hardware.catalogue import Device
from recommender.hardware.timing import Efficiency, efficiency_of
from recommender.hardware.work import BYTES, Part
from recommender.knowledge import Baseline

# Whole models reach these shares of what one large product and one large copy do: fitted to published measurements.
OF_A_PRODUCT, OF_A_COPY = 0.8, 0.75
FORMATS: Mapping[str, str] = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}
# The dtype names of the self-test's products, by format.
_PRODUCTS: Mapping[str, str] = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32", "int8": "int8"}


@dataclass(frozen=True, slots=True)
class Timed:
    """One baseline as it was timed: the rung's role, the workload's axes, dtype and pass, and milliseconds."""

    device: str
    implementation: str
    role: str
    workload: str
    axes: Mapping[str, int]
    dtype: str
    has_backward: bool
    ms: float


def work_of(timed: Timed) -> Part | None:
    """Operations and bytes of the baseline; None where they do not follow from its axes."""
    axes, width = timed.axes, BYTES.get(FORMATS.get(timed.dtype, ""), 0.0)
    names, forward = set(axes), not timed.has_backward
    if not width:
        return None
    if {"tokens", "features", "outputs"} <= names and forward and timed.role in ("eager", "compiled", "library"):
        rows, inside, outside = axes["tokens"], axes["features"], axes["outputs"]
        return Part(
            "linear", 2.0 * rows * inside * outside, width * (rows * inside + inside * outside + rows * outside)
        )
    if {"batch", "heads", "seq", "dim", "causal"} <= names and timed.role == "library":
        rows = axes["batch"] * axes["heads"] * axes["seq"] * axes["dim"]
        products = 4.0 * rows * axes["seq"] / (2 if axes["causal"] else 1)
        return Part("attention", products * (1 if forward else 3.5), 4 * width * rows * (1 if forward else 3))
    if names == {"rows", "cols"} and timed.role == "library" and "optimizer" in timed.implementation:
        # Weights, gradients and two moments are read, all but the gradients written, in 32 bits.
        return Part("optimizer", 12.0 * axes["rows"] * axes["cols"], 7 * 4.0 * axes["rows"] * axes["cols"])
    return None


def judge(timed: Timed, device: Device) -> Baseline | None:
    """The baseline beside what the stated efficiency expects; None where its work is not known, or the device has no rate
    for its format: what is emulated is no measure of it."""
    part, rate = work_of(timed), device.tflops.get(FORMATS.get(timed.dtype, ""))
    if part is None or rate is None or timed.ms <= 0:
        return None
    stated = efficiency_of(device)
    reached = stated.attention if part.term == "attention" else stated.compute
    ms = 1e3 * max(part.flops / (rate * 1e12 * reached), part.bytes / (device.bandwidth_gb_s * 1e9 * stated.memory))
    return Baseline(
        device.name, f"{timed.implementation}, {timed.role}", timed.workload, timed.ms, ms + stated.kernel_us / 1e3
    )


def reached(timed: Sequence[Timed], device: Device, ceilings: Sequence[Mapping[str, Any]] = ()) -> Efficiency | None:
    """What the device reaches by the self-test's ceilings, else by its quickest timed baselines; None without either."""
    stated = efficiency_of(device)
    found: dict[str, float] = {}
    for one in timed:
        part, rate = work_of(one), device.tflops.get(FORMATS.get(one.dtype, ""))
        if part is None or rate is None or one.ms <= 0:
            continue
        of_rate = part.flops / (rate * 1e9 * one.ms)
        of_bandwidth = part.bytes / (device.bandwidth_gb_s * 1e6 * one.ms)
        ridge = rate * 1e12 / (device.bandwidth_gb_s * 1e9)
        if part.flops / part.bytes < ridge:
            field, share = "memory", of_bandwidth * OF_A_COPY
        elif part.term == "attention":
            field, share = "attention", of_rate
        else:
            field, share = "compute", of_rate * OF_A_PRODUCT
        found[field] = max(found.get(field, 0.0), min(share, 1.0))
    found |= _of_ceilings(ceilings, device)
    if not found:
        return None
    origin = "measured by the self-test" if ceilings else "measured on timed baselines"
    return replace(stated, **found, origin=f"{origin}: {', '.join(sorted(found))}")  # type: ignore[arg-type]


def _of_ceilings(ceilings: Sequence[Mapping[str, Any]], device: Device) -> dict[str, float]:
    """Shares from rows {"name", "value", "unit"}: "matrix product, bfloat16" in TFLOP/s, "copy" in GB/s."""
    found: dict[str, float] = {}
    product = _PRODUCTS.get(device.best_dtype(), "")
    rate = device.rate(device.best_dtype())
    for row in ceilings:
        name, value = str(row.get("name", "")), row.get("value")
        if not isinstance(value, int | float) or value <= 0:
            continue
        if rate and name == f"matrix product, {product}":
            found["compute"] = min(1.0, value / rate * OF_A_PRODUCT)
        if name == "copy" and row.get("unit") == "GB/s":
            found["memory"] = min(1.0, value / device.bandwidth_gb_s * OF_A_COPY)
    return found
