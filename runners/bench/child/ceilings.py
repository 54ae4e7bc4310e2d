"""What the device can do at best: matrix throughput by dtype, bandwidth of copies, and what a call costs at least."""

from __future__ import annotations

import statistics
import time
import traceback
from collections.abc import Callable, Collection, Iterator
from typing import Any

import torch
from torch import Tensor

from runners.bench.child.channel import Channel
from runners.bench.child.devices import Device, open_device
from runners.bench.child.environment import describe

CPU_THREADS = 2
MATRIX_SIZES = {"cpu": (256, 512, 1024), "cuda": (4096, 8192, 16384)}
COPY_BYTES = {"cpu": 2**27, "cuda": 2**31}
FLOAT8 = getattr(torch, "float8_e4m3fn", None)
REPEATS = 5
LONG_S = 0.2
CALLS = 2000

_clock = time.perf_counter
Row = tuple[str, float, str, str]


def run_ceilings(spec: dict[str, Any], channel: Channel, isolation: dict[str, str]) -> None:
    """Measures the device that `spec` names and sends a "ceiling" for each figure; what it cannot do is skipped."""
    try:
        if spec["device"] == "cpu":
            torch.set_num_threads(min(CPU_THREADS, torch.get_num_threads()))
        device = open_device(spec["device"])
    except RuntimeError as error:
        channel.send("failure", status="UNSUPPORTED", reason="unsupported", detail=str(error))
        return
    channel.send("environment", **describe(device, isolation))
    send_ceilings(device, channel, spec["dtypes"])
    channel.send("done")


def send_ceilings(device: Device, channel: Channel, dtypes: Collection[str] | None = None) -> None:
    """Sends a "ceiling" for each figure; with `dtypes` only products in those, in narrower ones, and bandwidths."""
    measures = [*_matrix_measures(device), ("copy", lambda: _copies(device)), ("call", lambda: _calls(device))]
    if dtypes is not None:
        wanted = ("copy", "int8", "float8", *dtypes)
        measures = [each for each in measures if any(name in each[0] for name in wanted)]
    for position, (name, measure) in enumerate(measures):
        channel.phase("ceilings", position / len(measures), name)
        try:
            for figure, value, unit, detail in measure():
                channel.send("ceiling", name=figure, value=value, unit=unit, detail=detail)
        except Exception as error:
            traceback.print_exc()
            channel.send("skipped", workload="ceilings", subject=name, reason=f"{type(error).__name__}: {error}"[:300])
    if device.kind == "cuda":
        torch.cuda.empty_cache()  # what follows finds the memory as it was


def _median_s(device: Device, call: Callable[[], Any]) -> float:
    """Median seconds of a call, warmed up; fewer repeats where one takes long."""
    call()
    samples: list[float] = []
    while len(samples) < REPEATS and (len(samples) < 2 or sum(samples) < 2 * LONG_S):
        samples.append(device.timed(call).ms / 1e3)
    return statistics.median(samples)


def _matrix_measures(device: Device) -> Iterator[tuple[str, Callable[[], Iterator[Row]]]]:
    for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        yield f"matrix product, {name}", lambda dtype=dtype: _float_product(device, dtype)  # type: ignore[misc]
    if device.kind == "cuda":
        yield "matrix product, float32 as TF32", lambda: _tf32_product(device)
        if FLOAT8 is not None:
            yield "matrix product, float8", lambda: _float8_product(device)
    yield "matrix product, int8", lambda: _int8_product(device)


def _float_product(device: Device, dtype: torch.dtype, label: str = "") -> Iterator[Row]:
    def operands(size: int) -> tuple[Tensor, Tensor]:
        made = torch.randn(2, size, size, device=device.kind, dtype=torch.float32).to(dtype)
        return made[0], made[1]

    name = label or str(dtype).removeprefix("torch.")
    yield from _best_product(device, f"matrix product, {name}", "TFLOP/s", operands, torch.mm)


def _tf32_product(device: Device) -> Iterator[Row]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield from _float_product(device, torch.float32, "float32 as TF32")
    finally:
        torch.set_float32_matmul_precision(before)


def _int8_product(device: Device) -> Iterator[Row]:
    def operands(size: int) -> tuple[Tensor, Tensor]:
        made = torch.randint(-128, 128, (2, size, size), device=device.kind, dtype=torch.int8)
        return made[0], made[1].t()

    yield from _best_product(device, "matrix product, int8", "TOP/s", operands, torch._int_mm)


def _float8_product(device: Device) -> Iterator[Row]:
    scale = torch.ones((), device=device.kind)

    def operands(size: int) -> tuple[Tensor, Tensor]:
        made = torch.randn(2, size, size, device=device.kind).to(FLOAT8)
        return made[0], made[1].t()

    def product(first: Tensor, second: Tensor) -> Tensor:
        return torch._scaled_mm(first, second, scale_a=scale, scale_b=scale, out_dtype=torch.bfloat16)

    yield from _best_product(device, "matrix product, float8", "TFLOP/s", operands, product)


def _best_product(
    device: Device,
    name: str,
    unit: str,
    operands: Callable[[int], tuple[Tensor, Tensor]],
    product: Callable[[Tensor, Tensor], Tensor],
) -> Iterator[Row]:
    """The best of several square sizes; larger ones are left out once a product takes long."""
    best = (0.0, 0)
    for size in MATRIX_SIZES[device.kind]:
        first, second = operands(size)
        seconds = _median_s(device, lambda a=first, b=second: product(a, b))  # type: ignore[misc]
        best = max(best, (2 * size**3 / seconds / 1e12, size))
        if seconds > LONG_S / 8:
            break
    yield name, best[0], unit, f"square, {best[1]}"


def _copies(device: Device) -> Iterator[Row]:
    size = COPY_BYTES[device.kind]
    source = torch.ones(size // 4, device=device.kind)
    target = torch.empty_like(source)
    mib = f"{size // 2**20} MiB"
    copied = _median_s(device, lambda: target.copy_(source))
    yield "copy", 2 * size / copied / 1e9, "GB/s", f"{mib} read and written"
    read = _median_s(device, source.sum)
    yield "read", size / read / 1e9, "GB/s", f"{mib} summed"
    written = _median_s(device, target.zero_)
    yield "write", size / written / 1e9, "GB/s", f"{mib} set to zero"
    if device.kind == "cuda":
        host = torch.ones(2**26, pin_memory=True)
        for name, call in (
            ("host to device", lambda: source[: 2**26].copy_(host, non_blocking=True)),
            ("device to host", lambda: host.copy_(source[: 2**26], non_blocking=True)),
        ):
            yield name, host.nbytes / _median_s(device, call) / 1e9, "GB/s", "256 MiB, pinned"


def _calls(device: Device) -> Iterator[Row]:
    """An operator on one element: alone with a wait after it, and in a row."""
    one = torch.ones(1, device=device.kind)
    out = torch.empty_like(one)
    for _ in range(CALLS // 10):
        torch.add(one, one, out=out)
    waits: list[float] = []
    for _ in range(CALLS // 10):
        device.synchronize()
        start = _clock()
        torch.add(one, one, out=out)
        device.synchronize()
        waits.append(_clock() - start)
    yield "call, alone", statistics.median(waits) * 1e6, "µs", "one element added, then waited for"
    start = _clock()
    for _ in range(CALLS):
        torch.add(one, one, out=out)
    device.synchronize()
    yield "call, in a row", (_clock() - start) / CALLS * 1e6, "µs", f"{CALLS} calls, then waited for"
