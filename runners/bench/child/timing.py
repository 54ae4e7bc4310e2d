"""Fair timing: interleaved pairs in random order, fresh inputs for every pair, and a control of the baseline with itself."""

from __future__ import annotations

import math
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from runners.bench.child import compare
from runners.bench.child.checks import TECHNIQUE
from runners.bench.child.devices import Device, HostTimed
from runners.bench.child.subjects import (
    DTYPES,
    HarnessError,
    Setting,
    as_outputs,
    cotangents_for,
    differentiable,
    with_gradients,
)
from runners.bench.child.work import flop_counter
from runners.bench.statistics import order_statistic_interval, paired_ratios
from runners.blocks.least_work import LeastWork
from runners.blocks.rand import DISTRIBUTIONS
from runners.card_types import Workload

WARM_UP_CALLS = 10
LEAST_PAIRS = 10
WIDTH_GOAL = 0.01
POOL_SIZE = 4
KEPT_PAIRS = 2
LARGE_INPUT_BYTES = 2**29
SPOT_SHARE = 0.1
LEAST_SPOTS = 3
SPOT_SLACK = 3.0
BACK_TO_BACK_S = 0.04
BACK_TO_BACK_LIMIT_S = 0.2
BACK_TO_BACK_CALLS = 10_000
HOST_CALLS = 5
LOOK_S = 10e-6
SHOWN_EVERY_S = 0.5

_clock = time.perf_counter
_monotonic = time.monotonic


class SlowCallError(Exception):
    """A call takes so long that no time can be taken within the cap."""

    def __init__(self, took_s: float) -> None:
        super().__init__(f"a call takes {took_s:.3g} s: too long for the cap on timing; give more with --time-cap")


@dataclass
class Prepared:
    """A subject that has been set up and called once, with what that cost."""

    name: str
    subject: Callable[..., Any]
    setup_ms: float
    first_call_ms: float
    steady_memory: int | None
    """Bytes that it holds between calls, or None where the device does not say."""


@dataclass
class Pairs:
    """Raw samples of one technique and one rung, in the order in which they were taken."""

    technique_ms: list[float] = field(default_factory=list)
    baseline_ms: list[float] = field(default_factory=list)
    spans: list[tuple[float, float]] = field(default_factory=list)
    """Begin and end of each pair by time.monotonic(), which the parent's samples of the device share."""
    cap_reached: bool = False
    spots: int = 0
    spots_off: int = 0


class OperatorClock(TorchDispatchMode):
    """Adds up the host time of every operator that is called within it."""

    def __init__(self) -> None:
        super().__init__()
        self.spent_s = 0.0
        self.operators = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        start = _clock()
        result = func(*args, **(kwargs or {}))
        self.spent_s += _clock() - start
        self.operators += 1
        return result


class InputPool:
    """Inputs for one pair after another: new values where they are quick to make, else a rotation that is renewed."""

    def __init__(self, setting: Setting, workload: Workload, seed: int) -> None:
        self._setting, self._workload = setting, workload
        self._chooser = random.Random(seed)
        self._held: deque[tuple[Tensor, ...]] = deque(maxlen=POOL_SIZE)
        start = _clock()
        self._renew()
        self._cost_s = _clock() - start
        held = sum(tensor.nbytes for tensor in self._held[0])
        # Copies for every slot and call would not fit beside a workload that fills the device.
        self.size = POOL_SIZE if held < LARGE_INPUT_BYTES else 2
        self._held = deque(self._held, maxlen=self.size)

    def _renew(self) -> None:
        distribution = self._chooser.choice(DISTRIBUTIONS)
        self._held.append(self._setting.inputs(self._workload, self._chooser.randrange(2**40), distribution))

    def draw(self, pair_s: float) -> tuple[Tensor, ...]:
        """Inputs for the next pair; `pair_s` is what a pair takes, against which making inputs is weighed."""
        if len(self._held) < self.size or self._chooser.random() < min(1.0, 2 * pair_s / max(self._cost_s, 1e-9)):
            self._renew()
            return self._held[-1]
        return self._chooser.choice(list(self._held))


class Timer:
    """Times subjects on one workload."""

    def __init__(self, setting: Setting, device: Device, workload: Workload, seed: int) -> None:
        self._setting, self._device, self._workload = setting, device, workload
        self._indices = setting.card.check.gradients if workload.has_backward else ()
        if workload.has_backward and not self._indices:
            detail = f"{workload.name} times forward+backward, but [check] gradients names no inputs"
            raise HarnessError("INVALID_REFERENCE", "incorrect", detail)
        # A training step does its own backward pass; elsewhere a graph that nobody uses would only cost time.
        self._needs_graph = bool(self._indices) or setting.card.scope == "training-step"
        self._seed = seed
        self._weights = setting.weights(workload, seed)
        self._pool = InputPool(setting, workload, seed + 1)
        self._chooser = random.Random(seed + 2)
        self._cotangents: dict[tuple[torch.Size, ...], Any] = {}
        self._recent: deque[Any] = deque(maxlen=KEPT_PAIRS if self._pool.size == POOL_SIZE else 1)
        self._comparable = setting.card.check.steps == 1

    def prepare(self, name: str) -> Prepared:
        """Sets a subject up and calls it once, both on the clock: compilation falls into the first call."""
        inputs = self._pool.draw(0.0)
        before = self._held_memory()
        start = _clock()
        subject = self._setting.make(name, self._workload, self._weights)
        self._device.synchronize()
        setup_ms = (_clock() - start) * 1e3
        call: Callable[[], Any] | None = self._call(subject, inputs)
        self._device.synchronize()
        start = _clock()
        call()  # type: ignore[misc]
        self._device.synchronize()
        first_call_ms = (_clock() - start) * 1e3
        call = None  # frees the arguments, so that only what the subject keeps is left
        after = self._held_memory()
        steady = None if before is None or after is None else max(0, after - before)
        return Prepared(name, subject, setup_ms, first_call_ms, steady)

    def _held_memory(self) -> int | None:
        """Bytes in tensors, without the cotangents that this timer keeps for all subjects."""
        held = self._device.held_memory()
        kept = sum(tensor.nbytes for several in self._cotangents.values() for tensor in several)
        return None if held is None else held - kept

    def warm_up(self, prepared: Prepared, budget_s: float, longest_s: float = math.inf) -> int:
        """At least ten calls and the device's time floor, unless `budget_s` ends first; gives the number of calls.

        Raises SlowCallError where the first takes longer than `longest_s`.
        """
        start, calls = _clock(), 0
        while calls < WARM_UP_CALLS or _clock() - start < self._device.warm_up_s:
            self._call(prepared.subject, self._pool.draw(0.0))()
            self._device.synchronize()
            calls += 1
            if calls == 1 and (took_s := _clock() - start) > longest_s:
                raise SlowCallError(took_s)
            if calls >= 2 and _clock() - start > budget_s:
                break
        return calls

    def pairs(
        self,
        technique: Prepared,
        baseline: Prepared,
        cap_s: float,
        spot_limits: Sequence[float] = (),
        watched: Callable[[Pairs], None] = lambda pairs: None,
    ) -> Pairs:
        """Interleaved pairs until the ratio's interval is narrow enough or `cap_s` has passed.

        `watched` sees the pairs so far, now and then and never within a pair.
        """
        pairs, start, pair_s, order = Pairs(), _clock(), 0.0, (0, 1)
        shown = start
        while True:
            count = len(pairs.technique_ms)
            # Orders come as AB BA or BA AB, so that a drift over two pairs cancels.
            order = (self._chooser.choice([(0, 1), (1, 0)])) if count % 2 == 0 else (order[1], order[0])
            inputs = self._pool.draw(pair_s)
            calls = [self._call(technique.subject, inputs), self._call(baseline.subject, inputs)]
            results: list[Any] = [None, None]
            began = _monotonic()
            for side in order:
                timed = self._device.timed(calls[side])
                results[side] = timed.result
                (pairs.technique_ms, pairs.baseline_ms)[side].append(timed.ms)
            pairs.spans.append((began, _monotonic()))
            pair_s = (pairs.technique_ms[-1] + pairs.baseline_ms[-1]) / 1e3
            if spot_limits and (count < LEAST_SPOTS or self._chooser.random() < SPOT_SHARE):
                pairs.spots += 1
                pairs.spots_off += not _near(results[0], results[1], spot_limits)
            self._recent.append((calls, results))
            count += 1
            if _clock() - shown > SHOWN_EVERY_S:
                watched(pairs)
                shown = _clock()
            if count >= LEAST_PAIRS and count % 2 == 0 and self._narrow(pairs):
                break
            if (_clock() - start > cap_s and count >= 4) or count >= self._device.max_pairs:
                pairs.cap_reached = True
                break
        self._recent.clear()
        return pairs

    def _narrow(self, pairs: Pairs) -> bool:
        return order_statistic_interval(paired_ratios(pairs.baseline_ms, pairs.technique_ms)).half_width < WIDTH_GOAL

    def singles(self, prepared: Prepared, count: int, cap_s: float) -> list[float]:
        """Times of a subject that is alone, each call from the same state as in a pair."""
        samples: list[float] = []
        start = _clock()
        while len(samples) < count and (len(samples) < 2 or _clock() - start < cap_s):
            samples.append(self._device.timed(self._call(prepared.subject, self._pool.draw(0.0))).ms)
        return samples

    def operator_times(self, prepared: Prepared) -> list[tuple[float, float]]:
        """For a few calls, milliseconds within torch's operators and outside; only a CPU works them off in the call.

        Looking at an operator costs time outside as well, for which an allowance is taken off.
        """
        if self._device.kind != "cpu":
            return []
        found = []
        for _ in range(HOST_CALLS):
            call = self._call(prepared.subject, self._pool.draw(0.0))
            with OperatorClock() as clock:
                start = _clock()
                call()
                whole_s = _clock() - start
            outside_s = whole_s - clock.spent_s - LOOK_S * clock.operators
            found.append((clock.spent_s * 1e3, max(0.0, outside_s) * 1e3))
        return found

    def back_to_back(self, prepared: Prepared, expected_ms: float, mark: Callable[[str, int], None]) -> None:
        """Calls in a row between two marks, for whoever reads the marks to time with a clock of their own."""
        wanted = max(2, min(BACK_TO_BACK_CALLS, int(BACK_TO_BACK_S * 1e3 / max(expected_ms, 1e-3))))
        call = self._call(prepared.subject, self._pool.draw(0.0))
        self._device.synchronize()
        count, start = 0, _clock()
        mark("begin", 0)
        while count < 2 or (count < wanted and _clock() - start < BACK_TO_BACK_LIMIT_S):
            result = call()
            count += 1
        self._device.synchronize()
        float(as_outputs(result)[0].detach().flatten()[:1].double().sum())
        mark("end", count)

    def host_times(self, prepared: Prepared) -> list[HostTimed]:
        """A few calls on the host's clock with full synchronisation, which no side stream escapes."""
        return [self._device.host_timed(self._call(prepared.subject, self._pool.draw(0.0))) for _ in range(HOST_CALLS)]

    def peak_memory(self, prepared: Prepared) -> int | None:
        call = self._call(prepared.subject, self._pool.draw(0.0))
        return self._device.peak_memory(call)

    def work(self, prepared: Prepared) -> dict[str, int]:
        """Of one call: operations that torch counts, bytes of inputs and outputs, and those it cannot do without.

        A kernel of its own is not counted, so the operations are a lower bound. A technique that is approximate, or
        whose module names `reads_all_inputs = False`, may leave inputs unread; its outputs it must write.
        """
        inputs = self._pool.draw(0.0)
        call, counter = self._call(prepared.subject, inputs), flop_counter()
        with counter:
            outputs = as_outputs(call())
        read, written = sum(each.nbytes for each in inputs), sum(each.nbytes for each in outputs)
        exact = self._setting.card.correctness == "exact"
        declared = self._declared() if prepared.name == TECHNIQUE else {}
        reads_all = exact and getattr(self._setting.module, "reads_all_inputs", True)
        return {
            "flops_counted": int(counter.get_total_flops()),
            "bytes_ideal": read + written,
            "bytes_least": written + (read if reads_all else 0),
            **declared,
        }

    def _declared(self) -> dict[str, int]:
        """What the module says that a call of its technique must do at least, where it says so."""
        declare: Callable[..., LeastWork] | None = getattr(self._setting.module, "least_work", None)
        if declare is None:
            return {}
        return declare(dict(self._workload.axes), self._workload.dtype, self._workload.has_backward).counts()

    def spot_limits(self, distances: Sequence[float]) -> list[float]:
        """How far the two may differ in a timed call, from how far they differed when they were checked.

        Empty for subjects that keep state: their answers depend on how often each was called.
        """
        epsilon = torch.finfo(DTYPES[self._workload.dtype]).eps
        return [SPOT_SLACK * distance + 4 * epsilon for distance in distances] if self._comparable else []

    def footprint(self, prepared: Prepared) -> dict[str, int]:
        counted = getattr(prepared.subject, "footprint", None)
        return {str(key): int(value) for key, value in counted().items()} if counted else {}

    def _call(self, subject: Callable[..., Any], inputs: Sequence[Tensor]) -> Callable[[], Any]:
        """A call on fresh clones, which lie at addresses that the last pairs did not use."""
        arguments = with_gradients(inputs, self._indices)
        if not self._needs_graph:

            def forward() -> Any:
                with torch.no_grad():
                    return subject(*arguments)

            return forward
        if not self._indices:
            return lambda: subject(*arguments)
        wanted = [arguments[index] for index in self._indices]

        def forward_and_backward() -> Any:
            outputs = as_outputs(subject(*arguments))
            # A rung that computes another function may answer in another shape.
            shapes = tuple(each.shape for each in outputs)
            if shapes not in self._cotangents:
                self._cotangents[shapes] = cotangents_for(outputs, self._seed, DTYPES[self._workload.dtype])
            heads, cotangents = differentiable(outputs), self._cotangents[shapes]
            gradients = torch.autograd.grad(heads, wanted, cotangents, allow_unused=True)
            return (*outputs, *(gradient for gradient in gradients if gradient is not None))

        return forward_and_backward


def _near(first: Any, second: Any, limits: Sequence[float]) -> bool:
    pairs = zip(as_outputs(first), as_outputs(second), limits, strict=False)
    return all(compare.figures(found, wanted).relative_l2 <= limit for found, wanted, limit in pairs)
