"""One session: spawn the child, watch it, end it, and turn what it sent into a result."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from runners.bench import HARNESS_VERSION
from runners.bench.collect import Findings, measurements, median_ratios
from runners.bench.nvml import reckon_with_device, sampling
from runners.bench.process import Child, available_memory_bytes
from runners.bench.records import build_records
from runners.bench.results import Event, Failure, Measurement, RunRequest, SessionResult
from runners.bench.roofline import doubts_of_speed
from runners.bench.sweeps import sweep_tables
from runners.bench.trust import Doubt, doubts_about, doubts_beside_technique, rungs_to_time_alone
from runners.bench.turns import Turns
from runners.bench.verdicts import judge
from runners.bench.watcher import OnEvent, ShouldStop, Watcher
from runners.card_types import Card
from runners.cards import find_card

POLL_S = 0.2
TURN_POLL_S = 0.05
MEMORY_POLL_S = 1.0
OPINIONS = 2  # a machine that was busier in one of two processes must not cost a run its result, nor doubt it
TIMING_BUDGET_S = {"cpu": 18.0, "cuda": 480.0}
DEFAULT_MEMORY_SHARE = 0.8
PARTIAL = ("cancelled", "timed-out")
NOT_BEGUN = ("cancelled", "while waiting for the device")
STATUS_OF_REASON = {
    "crashed": "RUNTIME_ERROR", "timed-out": "TIMEOUT", "out-of-memory": "OUT_OF_MEMORY", "unsupported": "UNSUPPORTED",
    "refused-device": "UNSUPPORTED", "incorrect": "INCORRECT_NUMERICAL", "integrity": "REWARD_HACK",
    "compile-error": "COMPILE_ERROR", "cancelled": "RUNTIME_ERROR", "lost": "RUNTIME_ERROR",
}  # fmt: skip


def run_session(
    request: RunRequest, on_event: OnEvent, should_stop: ShouldStop = lambda: False, turns: Turns | None = None
) -> SessionResult:
    """Runs one card in a child process of its own.

    `on_event` hears every event and at least one tick a second; `should_stop` is asked as often. With `turns`, sessions in
    other threads check beside this one; without, it has the device to itself. What the child does never raises, only
    CardError for a card that cannot be used. The child's process group is dead on return.
    """
    card = find_card(request.card_name, request.card_root)
    seed = secrets.randbelow(2**31) if request.seed is None else request.seed
    if request.device not in ("cpu", "cuda"):
        detail = f"device {request.device!r} is unknown; use cpu or cuda"
        return _result(card, request, seed, Findings(), failure=Failure("refused-device", detail))
    watcher = Watcher(on_event, should_stop)
    unknown = sorted(set(request.workloads) - {workload.name for workload in card.workloads if workload.is_timed})
    if unknown:
        failure = Failure("unsupported", f"{card.name} times no workload called {', '.join(unknown)}")
        return _result(card, request, seed, Findings(), failure=failure)
    with ExitStack() as stack:
        children = _Children(_spec(card, request, seed), stack)
        place = stack.enter_context(_place(turns, request.device, card.needs.memory_gib or 0.0))
        if request.mode != "check":
            children.make(request.mode)
            if not _granted(place.beside, watcher):
                return _result(card, request, seed, Findings(), failure=Failure(*NOT_BEGUN))
        return _watched(card, request, seed, watcher, children, place)


class _Place:
    """A session's place among those that take turns."""

    def __init__(self, turns: Turns, needs_gib: float = 0.0) -> None:
        self.turns, self._needs_gib = turns, needs_gib
        self.when_alone: Callable[[bool], None] = lambda alone: None
        """Told when the session has the device to itself, and when not any more."""

    def beside(self) -> bool:
        if not self.turns.beside(self, self._needs_gib):
            return False
        self.when_alone(False)
        return True

    def alone(self) -> bool:
        if not self.turns.alone(self):
            return False
        self.when_alone(True)
        return True


@contextmanager
def _place(turns: Turns | None, device: str, needs_gib: float = 0.0) -> Iterator[_Place]:
    """A place among the sessions of `turns`, else one on the device with nobody beside it."""
    with ExitStack() as stack:
        place = _Place(turns or stack.enter_context(Turns(device)), needs_gib)
        try:
            yield place
        finally:
            place.turns.leave(place)


def _granted(ask: ShouldStop, watcher: Watcher) -> bool:
    """Whether `ask` said yes; False where the run was stopped while it waited."""
    while not ask():
        watcher.tick("waiting", "another run holds the device")
        if watcher.stopped():
            return False
        time.sleep(TURN_POLL_S)
    return True


class _Children:
    """The processes of a session: one that runs the card, and one that later times the rungs without the technique."""

    def __init__(self, spec: dict[str, Any], stack: ExitStack) -> None:
        self.spec = spec
        self._stack = stack
        self.told_late: dict[str, Any] = {}
        """What is settled only after a child was made."""
        self._made: dict[str, Child] = {}

    def make(self, mode: str) -> None:
        """Has a child import torch, which takes the host alone, while another run has the device."""
        if self.spec["device"] == "cuda" and mode not in self._made:
            self._made[mode] = self._stack.enter_context(self._child(mode))

    @contextmanager
    def started(self, mode: str, **more: Any) -> Iterator[Child]:
        """A child that has begun; it is dead when the block ends."""
        with self._made.pop(mode, None) or self._child(mode) as child:
            child.begin(**self.told_late, **more)
            yield child

    def _child(self, mode: str) -> Child:
        return Child({**self.spec, "mode": mode}, device=self.spec["device"])


@dataclass
class _Limits:
    """What a session's children may hold and when they must have ended, by time.monotonic(): waiting does not count."""

    memory_bytes: int
    wall_s: float
    until: float


def _spec(card: Card, request: RunRequest, seed: int) -> dict[str, Any]:
    """What a child is told before it begins."""
    limit = int((request.memory_limit_gib or 0) * 2**30) or int(available_memory_bytes() * DEFAULT_MEMORY_SHARE)
    return {
        "card_path": str(card.path.resolve()),
        "device": request.device,
        "mode": request.mode,
        "seed": seed,
        "time_cap_s": request.time_cap_s,
        "timing_budget_s": TIMING_BUDGET_S[request.device],
        "workloads": list(request.workloads),
        "memory_limit_bytes": limit or None,
        "compile_on_cpu": request.compile_on_cpu,
    }


def _watched(  # noqa: PLR0917
    card: Card, request: RunRequest, seed: int, watcher: Watcher, children: _Children, place: _Place
) -> SessionResult:
    turns = place.turns
    findings = Findings(ceilings=list(turns.ceilings))
    children.told_late = {"knows_ceilings": bool(turns.ceilings), "side_by_side": turns.side_by_side > 1}
    began = time.monotonic()
    limits = _Limits(children.spec["memory_limit_bytes"] or 0, request.wall_limit_s, began + request.wall_limit_s)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    with sampling(request.device, visible) as sampler, children.started(request.mode) as child:

        def watch(alone: bool) -> None:
            sampler.pause(not alone)
            if alone and request.mode == "run":
                children.make("alone")

        place.when_alone = watch
        if turns.side_by_side > 1:
            sampler.pause()
        ended = _follow(child, limits, findings, watcher, place)
        place.when_alone = lambda alone: None
        log, own_pids = child.log_tail(), {os.getpid(), *place.turns.known(child.seen_pids)}
    if request.device == "cuda":
        reckon_with_device(findings, sampler, own_pids)
    guarded = time.monotonic()
    if ended is None:
        ended = _guarded(card, children, limits, findings, watcher, place)
    elif ended.reason in PARTIAL:
        # What was measured until then is kept, unless it cannot be believed.
        ended = _refusal(doubts_about(findings, card), findings) or ended
    guarded_s = time.monotonic() - guarded
    result = _result(card, request, seed, findings, failure=ended, log=log)
    spent = {
        **findings.spent,
        "start": max(0.0, findings.started_s - began),
        "guard": guarded_s,
        "all": time.monotonic() - began,
    }
    return replace(result, spent=spent)


def measure_ceilings(  # noqa: PLR0917
    device: str,
    on_event: OnEvent,
    should_stop: ShouldStop = lambda: False,
    wall_limit_s: float = 300.0,
    dtypes: Sequence[str] | None = None,
    turns: Turns | None = None,
) -> tuple[Findings, Failure | None]:
    """What the device can do at best, measured in a child process; the findings hold `ceilings` and `environment`.

    With `dtypes`, products in those and in narrower ones, and bandwidths, are all that is measured.
    """
    limit = int(available_memory_bytes() * DEFAULT_MEMORY_SHARE)
    findings, watcher = Findings(), Watcher(on_event, should_stop)
    with _place(turns, device) as place:
        if not _granted(place.alone, watcher):
            return findings, Failure(*NOT_BEGUN)
        limits = _Limits(limit, wall_limit_s, time.monotonic() + wall_limit_s)
        wanted = None if dtypes is None else list(dtypes)
        spec = {"mode": "ceilings", "device": device, "memory_limit_bytes": limit or None, "dtypes": wanted}
        with Child(spec, device=device) as child:
            child.begin()
            return findings, _follow(child, limits, findings, watcher, place)


def _guarded(  # noqa: PLR0917
    card: Card, children: _Children, limits: _Limits, findings: Findings, watcher: Watcher, place: _Place
) -> Failure | None:
    """Looks for reasons not to believe the times: the failure of one that refuses the run, the others as doubts."""
    doubts = [*doubts_about(findings, card), *doubts_of_speed(findings, card, median_ratios(findings))]
    # Another doubt does not spare the second process: one that load explains would hide what only that process finds.
    if not any(each.refuses for each in doubts):
        ended, more = _beside_technique(children, limits, findings, watcher, place)
        if ended:
            return ended
        doubts += more
    return _refusal(doubts, findings)


def _refusal(doubts: Sequence[Doubt], findings: Findings) -> Failure | None:
    """The failure of a doubt that refuses the run; else keeps all of them beside the figures."""
    refusing = next((each for each in doubts if each.refuses), None)
    if refusing:
        return Failure("integrity", f"{refusing.workload}: {refusing.text}")
    findings.doubts += [{"workload": each.workload, "text": each.text} for each in doubts]
    return None


def _beside_technique(
    children: _Children, limits: _Limits, findings: Findings, watcher: Watcher, place: _Place
) -> tuple[Failure | None, list[Doubt]]:
    """Times the rungs again in a process without the technique: why the run was stopped meanwhile, and doubts."""
    wanted = rungs_to_time_alone(findings, findings.compiled)
    doubts: list[Doubt] = []
    if not wanted or children.spec["mode"] != "run":
        return None, doubts
    if not _granted(place.alone, watcher):
        return Failure(*NOT_BEGUN), doubts
    for _ in range(OPINIONS):
        ended, doubts = _alone(children, wanted, limits, findings, watcher, place)
        if ended or not doubts:
            return ended, []
    return None, doubts


def _alone(  # noqa: PLR0917
    children: _Children,
    wanted: dict[str, dict[str, float]],
    limits: _Limits,
    findings: Findings,
    watcher: Watcher,
    place: _Place,
) -> tuple[Failure | None, list[Doubt]]:
    alone = Findings()
    with children.started("alone", alone=wanted) as child:
        ended = _follow(child, limits, alone, watcher, place)
    if ended and ended.reason in ("cancelled", "timed-out", "integrity"):
        return ended, []
    if ended or {(workload, rung) for workload in wanted for rung in wanted[workload]} - alone.alone.keys():
        told = f"{ended.reason}: {ended.detail}" if ended else "; ".join(each["reason"] for each in alone.skipped)
        text = f"a rung that was timed beside the technique fails in a process without it ({told})"
        return None, [Doubt(next(iter(wanted)), text, refuses=children.spec["device"] == "cuda")]
    return None, doubts_beside_technique(findings, alone)


def _follow(child: Child, limits: _Limits, findings: Findings, watcher: Watcher, place: _Place) -> Failure | None:
    """Reads the child until it ends or must be ended, and grants it the device when it asks for its turn."""
    place.turns.known({child.pid})
    asks: ShouldStop | None = None
    looked_s = weighed_s = time.monotonic()
    while True:
        try:
            for stream, data in child.read(TURN_POLL_S if asks else POLL_S):
                if stream == "closed":
                    return _ending(child, findings)
                if stream == "log":
                    watcher.emit(Event("log", watcher.phase, watcher.fraction, data.decode("utf-8", "replace")))
                else:
                    asks = _take(child, data, findings, watcher, place) or asks
        except ValueError as error:
            return Failure("integrity", f"the private pipe carried nonsense: {error}")
        before_s, looked_s = looked_s, time.monotonic()
        if asks:
            limits.until += looked_s - before_s
        if asks and asks():
            asks = None
            child.grant()
        watcher.tick(*(("waiting", "another run holds the device") if asks else ()))
        if watcher.stopped():
            return Failure("cancelled", "stopped on request")
        if time.monotonic() > limits.until:
            return Failure("timed-out", f"the run took longer than its limit of {limits.wall_s:g} s")
        if looked_s - weighed_s >= MEMORY_POLL_S:
            weighed_s = looked_s
            # Looks through all processes: done more often, by many sessions, it would keep the parent from reading in time.
            if limits.memory_bytes and child.resident_bytes() > limits.memory_bytes:
                held = f"the run held more than its limit of {limits.memory_bytes / 2**30:.1f} GiB"
                return Failure("out-of-memory", held)


def _take(child: Child, line: bytes, findings: Findings, watcher: Watcher, place: _Place) -> ShouldStop | None:
    """Takes a message in; the question to ask of the turns where the child wants one."""
    arrived = time.monotonic()
    message = child.message(line)
    if message.get("type") == "turn":
        return place.alone if message.get("alone") else place.beside
    if message.get("type") == "phase":
        watcher.move(str(message["phase"]), float(message["fraction"]), str(message["text"]))
    else:
        findings.add(message, arrived, child.usage() if message.get("type") == "mark" else None)
        if said := findings.said(message):
            watcher.emit(Event("found", watcher.phase, watcher.fraction, said))
    return None


def _ending(child: Child, findings: Findings) -> Failure | None:
    status = child.wait(2.0)
    if findings.failure is not None:
        return findings.failure[1]
    if status == 0 and findings.done:
        return None
    if status is None:
        return Failure("lost", "the child closed its pipes but did not end")
    if status < 0:
        return Failure("crashed", f"the child was ended by signal {-status}")
    return Failure("crashed", f"the child ended with status {status} before it was done")


def _result(
    card: Card, request: RunRequest, seed: int, findings: Findings, *, failure: Failure | None = None, log: str = ""
) -> SessionResult:
    status = "PASSED"
    if failure is not None:
        told = findings.failure
        status = told[0] if told and told[1] == failure else STATUS_OF_REASON.get(failure.reason, "RUNTIME_ERROR")
    environment = {"device_kind": request.device, "device_name": "", **findings.environment}
    keeps_figures = failure is None or failure.reason in PARTIAL
    measured: list[Measurement] = measurements(findings, card, seed) if keeps_figures else []
    judgements = [judge(claim, card, measured, environment, status) for claim in card.claims]
    records = build_records(
        card=card,
        request=request,
        seed=seed,
        status=status,
        failure=failure,
        findings=findings,
        measurements=measured,
        judgements=judgements,
        environment=environment,
        log=log,
        timestamp=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    return SessionResult(
        card_name=card.name,
        mode=request.mode,
        status=status,
        failure=failure,
        records=records,
        measurements=measured,
        judgements=judgements,
        skipped=findings.skipped,
        doubts=findings.doubts,
        sweeps=[each.to_dict() for each in sweep_tables(findings, card, measured)],
        environment=environment,
        log_tail=log,
        harness_version=HARNESS_VERSION,
        seed=seed,
        processor=findings.processor,
    )
