"""One run in the child: checks, then timing, each finding sent as it is made."""

from __future__ import annotations

import gc
import math
import os
import random
import statistics
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from runners.bench.child.ceilings import send_ceilings
from runners.bench.child.channel import Channel
from runners.bench.child.checks import TECHNIQUE, Checker, Trial
from runners.bench.child.devices import Device, open_device
from runners.bench.child.environment import describe
from runners.bench.child.integrity import Watch
from runners.bench.child.subjects import (
    DTYPES,
    HarnessError,
    ReferenceTooLargeError,
    Setting,
    classify,
    load_module,
)
from runners.bench.child.telling import Teller
from runners.bench.child.timing import Pairs, Prepared, SlowCallError, Timer
from runners.bench.statistics import paired_ratios
from runners.bench.verdicts import sweep_point
from runners.blocks.kernels import has_triton, tune_anew
from runners.blocks.rand import DISTRIBUTIONS
from runners.card_types import Workload, capability_numbers
from runners.cards import load_card

CPU_THREADS = 2
WARM_UP_SHARE = 0.25
CONTROL = "control"
CROSS_CHECK_STRETCHES = 4
COARSE_ROUNDINGS = 16
COARSE_BUDGETS = 2.0
SINGLE_CALLS = 30
SINGLE_CAP_S = 1.0
SINGLE_CAPS = 2.0  # and no longer than this many times what a pair of subjects is timed for
SLOWEST_CAPS = 4.0  # a rung whose call takes longer than this many caps is left out: four pairs of it took a minute

_clock = time.perf_counter


def run(spec: dict[str, Any], channel: Channel, isolation: dict[str, str]) -> None:
    """Runs the card as `spec` says and sends "done", or a typed "failure"."""
    started_s = processor_s()
    try:
        if spec["device"] == "cpu":
            torch.set_num_threads(min(CPU_THREADS, torch.get_num_threads()))
        Session(spec, channel, isolation).run()
    except HarnessError as error:
        channel.send("failure", status=error.status, reason=error.reason, detail=error.detail)
    except ReferenceTooLargeError as error:
        channel.send("failure", status="OUT_OF_MEMORY", reason="out-of-memory", detail=str(error))
    except Exception as error:
        traceback.print_exc()
        status, reason = classify(error)
        channel.send("failure", status=status, reason=reason, detail=f"{type(error).__name__}: {error}"[:2000])
    else:
        channel.send("processor", start_s=started_s, card_s=processor_s() - started_s)
        channel.send("done")


def processor_s() -> float:
    """Seconds that this process and those it waited for have been on a core."""
    return sum(os.times()[:4])


class Session:
    """The phases of one run."""

    def __init__(self, spec: dict[str, Any], channel: Channel, isolation: dict[str, str]) -> None:
        self._spec, self._channel = spec, channel
        self._seed: int = spec["seed"]
        self._spent: dict[str, float] = {}
        self._share_timed = 0.0
        try:
            self._device: Device = open_device(spec["device"])
        except RuntimeError as error:
            if classify(error)[1] == "out-of-memory":
                raise
            raise HarnessError("UNSUPPORTED", "unsupported", str(error)) from error
        environment = describe(self._device, isolation)
        channel.send("environment", **environment)
        self._card = load_card(Path(spec["card_path"]))
        self._refuse_unmet_needs(environment)
        if self._device.kind == "cuda" and spec["mode"] in ("run", "sweep") and not spec.get("knows_ceilings"):
            self._take_turn(alone=True)
            with self._on("ceilings"):  # before code under test is there to spoil them
                send_ceilings(self._device, channel, {each.dtype for each in self._card.workloads if each.is_timed})
            self._take_turn(alone=False)
        self._watch = Watch()
        with self._on("set-up"):
            self._setting = Setting(self._card, load_module(self._card), spec["device"])
        self._watch.verify("when the module was imported")
        compiled = [rung.name for rung in self._card.baselines if self._setting.is_compiled(rung.name)]
        channel.send("compiled", rungs=compiled)
        self._checker = Checker(self._setting, channel, self._watch)
        self._teller = Teller(channel, self._setting, self._device)

    def _refuse_unmet_needs(self, environment: dict[str, Any]) -> None:
        needs = self._card.needs
        if needs.triton and not has_triton():
            raise HarnessError("UNSUPPORTED", "unsupported", "the technique needs Triton, which is not installed")
        if self._device.kind != "cuda":
            return
        if capability_numbers(environment["cuda_capability"]) < capability_numbers(needs.cuda_capability):
            detail = (
                f"CUDA capability {needs.cuda_capability} is needed, the device has {environment['cuda_capability']}"
            )
            raise HarnessError("UNSUPPORTED", "refused-device", detail)
        if needs.memory_gib and environment["memory_gib"] < needs.memory_gib:
            detail = f"{needs.memory_gib:g} GiB are needed, the device has {environment['memory_gib']:g}"
            raise HarnessError("UNSUPPORTED", "refused-device", detail)

    def run(self) -> None:
        if self._spec["mode"] == "alone":
            self._time_alone()
            return
        with self._on("check"):
            self._checker.check_all(self._seed)
        if self._spec["mode"] != "check":
            self._time_all()
        elif self._spec["workloads"]:
            with self._on("check"):
                for workload in self._timed_workloads():
                    self._check_at_size(workload, self._rungs(workload))
        self._channel.send("spent", seconds=self._spent)

    @contextmanager
    def _on(self, part: str) -> Iterator[None]:
        """Counts the time within towards a part of the run; everything else is the harness's own overhead."""
        start = _clock()
        try:
            yield
        finally:
            self._spent[part] = self._spent.get(part, 0.0) + _clock() - start

    def _take_turn(self, *, alone: bool) -> None:
        """Waits until this process has the device, to itself or beside others that check; leaves them its free memory."""
        if self._device.kind == "cuda":
            gc.collect()
            torch.cuda.empty_cache()
        with self._on("waiting"):
            self._channel.ask("turn", alone=alone)
        if alone and self._spec.get("side_by_side"):
            tune_anew()

    def _time_alone(self) -> None:
        """Times rungs in a process where the technique was never made: it cannot have slowed them down here."""
        asked: dict[str, dict[str, float]] = self._spec["alone"]
        if self._spec.get("side_by_side"):
            tune_anew()
        cap_s = min(SINGLE_CAP_S, SINGLE_CAPS * (self._spec["time_cap_s"] or SINGLE_CAP_S))
        for workload in self._card.workloads:
            chooser = random.Random(f"{self._seed}/{workload.name}")
            if workload.name not in asked:
                continue
            timer = Timer(self._setting, self._device, workload, chooser.randrange(2**40))
            for rung in asked[workload.name]:
                self._channel.phase("time", 0.95, f"{workload.name}: {rung} alone")
                prepared = self._prepare(timer, workload, rung, cap_s)
                if prepared is None:
                    continue
                samples = timer.singles(prepared, SINGLE_CALLS, cap_s)
                self._channel.send("alone", workload=workload.name, subject=rung, samples=samples)
                for _ in range(CROSS_CHECK_STRETCHES):
                    # By its time here: beside the technique it may have taken so long that too few calls follow.
                    timer.back_to_back(
                        prepared, statistics.median(samples), partial(self._teller.mark, workload.name, rung)
                    )

    def _time_all(self) -> None:
        workloads = self._timed_workloads()
        loops = sum(len(self._rungs(each, report=False)) + 1 for each in workloads) or 1
        cap_s = self._spec["time_cap_s"] or min(self._device.time_cap_s, self._spec["timing_budget_s"] / loops)
        for position, workload in enumerate(workloads):
            self._share_timed = position / len(workloads)
            if position:
                self._take_turn(alone=False)
            self._time_or_skip(workload, cap_s)
            if "torch._dynamo" in sys.modules:
                torch.compiler.reset()  # a shape of the next workload must not find the compiler's memory of this one

    def _time_or_skip(self, workload: Workload, cap_s: float) -> None:
        """Times a workload; a point of a sweep that does not fit into memory ends that point, not the sweep."""
        try:
            self._time_workload(workload, cap_s)
        except Exception as error:
            if self._spec["mode"] != "sweep" or classify(error)[1] != "out-of-memory":
                raise
            self._skip(workload.name, TECHNIQUE, "out of memory at this size")
        # Out of the handler, whose traceback would keep the tensors of the failed call alive.
        if self._device.kind == "cuda":
            torch.cuda.empty_cache()

    def _timed_workloads(self) -> list[Workload]:
        wanted = set(self._spec["workloads"])
        chosen = []
        for workload in self._card.workloads:
            if not workload.is_timed or (wanted and workload.name not in wanted):
                continue
            if workload.device == "cuda" and self._device.kind == "cpu":
                self._skip(workload.name, TECHNIQUE, "this workload is for a GPU, and there is none")
            elif self._device.kind == "cpu" and not self._card.needs.cpu_timing:
                self._skip(workload.name, TECHNIQUE, "a time taken on a CPU means nothing for this technique")
            else:
                chosen.append(workload)
        sweep = self._card.sweep
        if self._spec["mode"] != "sweep":
            return chosen
        if sweep is None:
            raise HarnessError("UNSUPPORTED", "unsupported", "the card declares no [sweep]")
        bases = [each for each in chosen if each.name == sweep.workload]
        return [
            replace(
                base,
                name=sweep_point(base.name, sweep.axis, value),
                axes={**base.axes, sweep.axis: value},
                representative=False,
            )
            for base in bases
            for value in sweep.values
        ]

    def _skip(self, workload: str, subject: str, reason: str) -> None:
        self._channel.send("skipped", workload=workload, subject=subject, reason=reason)

    def _rungs(self, workload: Workload, *, report: bool = True) -> list[str]:
        """Rungs of the ladder that can be timed here."""
        chosen = []
        for rung in self._card.baselines:
            reason = ""
            if self._device.kind == "cpu" and not rung.cpu_timing:
                reason = "a time taken on a CPU means nothing for this rung"
            elif (
                self._device.kind == "cpu" and self._setting.is_compiled(rung.name) and not self._spec["compile_on_cpu"]
            ):
                reason = "compiling for a CPU takes longer than the run; ask for it with --compile-on-cpu"
            if not reason:
                chosen.append(rung.name)
            elif report:
                self._skip(workload.name, rung.name, reason)
        return chosen

    def _time_workload(self, workload: Workload, cap_s: float) -> None:
        with self._on("check"):
            rungs = self._check_at_size(workload, self._rungs(workload))
        if not rungs:
            self._skip(workload.name, TECHNIQUE, "no rung of the ladder can be timed here")
            return
        self._take_turn(alone=True)
        self._channel.phase("time", self._share_timed, workload.name)
        chooser = random.Random(f"{self._seed}/{workload.name}")
        timer = Timer(self._setting, self._device, workload, chooser.randrange(2**40))
        technique = self._prepare(timer, workload, TECHNIQUE, cap_s)
        if technique is None:
            return
        controlled = False
        for rung in rungs:
            baseline = self._prepare(timer, workload, rung, cap_s)
            if baseline is None:
                continue
            if not controlled:
                self._control(timer, workload, baseline, cap_s)
                controlled = True
            limits = timer.spot_limits(self._checker.distances(workload.name, rung))
            with self._on("timing"):
                sampled = timer.pairs(technique, baseline, cap_s, limits, partial(self._show, workload.name, rung))
            self._refuse_drifting_answers(workload, sampled)
            self._teller.pairs("pairs", workload, rung, sampled)
            with self._on("timing"):
                self._teller.extras(timer, workload, baseline)
                self._cross_check(timer, workload, technique, baseline, sampled)
            self._watch.verify(f"while {workload.name} was timed")
        with self._on("timing"):
            self._teller.extras(timer, workload, technique)

    def _check_at_size(self, workload: Workload, rungs: Sequence[str]) -> list[str]:
        """Checks the subjects in the very shape that is timed; a rung that is wrong there is not timed."""
        chooser = random.Random(f"{self._seed}/{workload.name}/size")
        group = [Trial(workload, chooser.randrange(2**40), each) for each in DISTRIBUTIONS]
        self._channel.phase("check", 0.9, f"{workload.name} at its size")
        same = self._card.check.same_precision
        alike = {rung.name for rung in self._card.baselines if rung.same_function}
        others = [rung for rung in rungs if rung not in alike]
        rungs, ladder = [rung for rung in rungs if rung not in others], rungs
        too_large = ""
        try:
            wrong = self._checker.check_workload(group, list(dict.fromkeys([same, *rungs])))
        except ReferenceTooLargeError as error:
            wrong = {}
            too_large = str(error)
        if too_large:
            if self._device.kind == "cuda":
                torch.cuda.empty_cache()
            if not self._agrees_with_a_rung(workload, rungs):
                self._skip(workload.name, TECHNIQUE, f"nothing to check it against at this size: {too_large}")
                return []
            text = f"{too_large}; at this size the technique was compared with a rung instead"
            self._channel.send("note", workload=workload.name, text=text)
        faults = {rung: fault for rung in others if (fault := self._checker.check_other_function(group[0], rung))}
        wrong |= faults
        for name, detail in wrong.items():
            self._skip(workload.name, name, f"this rung is wrong at this size: {detail}")
        return [rung for rung in ladder if rung not in wrong]

    def _agrees_with_a_rung(self, workload: Workload, rungs: Sequence[str]) -> bool:
        """A coarse check for shapes without a reference. False if no rung ran; HarnessError if the answers differ."""
        check = self._card.check
        known = {rung: self._checker.distances(workload.name, rung) for rung in (check.same_precision, *rungs)}
        nearest = min((max(distances) for distances in known.values() if distances), default=None)
        limit = COARSE_ROUNDINGS * torch.finfo(DTYPES[workload.dtype]).eps
        if self._card.correctness == "approximate":
            limit = (
                max(limit, COARSE_BUDGETS * check.budget) if check.budget and check.quality == "relative_l2" else 1.0
            )
        if nearest is not None and nearest > limit:
            detail = f"{workload.name}: the technique differs by {nearest:.3g} from the nearest rung"
            raise HarnessError("INCORRECT_NUMERICAL", "incorrect", detail)
        return nearest is not None

    def _prepare(self, timer: Timer, workload: Workload, name: str, cap_s: float) -> Prepared | None:
        """Sets a subject up and warms it up. A rung that fails is skipped with the reason; the technique may not fail."""
        try:
            with self._on("set-up"):
                prepared = timer.prepare(name)
            with self._on("warm-up"):
                slowest_s = math.inf if name == TECHNIQUE else SLOWEST_CAPS * cap_s
                calls = timer.warm_up(prepared, WARM_UP_SHARE * cap_s, slowest_s)
        except SlowCallError as error:
            self._skip(workload.name, name, str(error))
            return None
        except Exception as error:
            if name == TECHNIQUE:
                raise
            traceback.print_exc()
            self._skip(workload.name, name, f"this rung failed ({classify(error)[1]}): {error}"[:500])
            return None
        self._channel.send(
            "setup",
            workload=workload.name,
            subject=name,
            setup_ms=prepared.setup_ms,
            first_call_ms=prepared.first_call_ms,
            warm_up_calls=calls,
        )
        return prepared

    def _control(self, timer: Timer, workload: Workload, baseline: Prepared, cap_s: float) -> None:
        """The baseline against a second copy of itself: whatever ratio comes out is noise."""
        self._channel.phase("time", 0.5, f"{workload.name}: control")
        with self._on("set-up"):
            twin = timer.prepare(baseline.name)
        with self._on("warm-up"):
            timer.warm_up(twin, WARM_UP_SHARE * cap_s)
        with self._on("timing"):
            sampled = timer.pairs(twin, baseline, cap_s)
        self._teller.pairs(CONTROL, workload, baseline.name, sampled)

    def _refuse_drifting_answers(self, workload: Workload, pairs: Pairs) -> None:
        if pairs.spots >= 3 and pairs.spots_off > pairs.spots / 2:
            detail = (
                f"{workload.name}: in {pairs.spots_off} of {pairs.spots} timed calls that were looked at the answer "
                "differed from the baseline's, though it was right when checked"
            )
            raise HarnessError("REWARD_HACK", "integrity", detail)

    def _cross_check(
        self, timer: Timer, workload: Workload, technique: Prepared, baseline: Prepared, pairs: Pairs
    ) -> None:
        """Lets the parent time both sides by its own clock, in short stretches that alternate."""
        for _ in range(CROSS_CHECK_STRETCHES):
            for prepared, samples in ((technique, pairs.technique_ms), (baseline, pairs.baseline_ms)):
                mark = partial(self._teller.mark, workload.name, prepared.name)
                timer.back_to_back(prepared, statistics.median(samples), mark)

    def _show(self, workload: str, rung: str, pairs: Pairs) -> None:
        """Samples as they come, before any guard has judged them."""
        ratio = statistics.median(paired_ratios(pairs.baseline_ms, pairs.technique_ms))
        text = f"{workload} against {rung}: {len(pairs.spans)} pairs so far, raw median {ratio:.3f}×"
        self._channel.phase("time", self._share_timed, text)
