"""The harness as the suspect: cheats that it must catch, truths that it must find, its own cost, the device's ceilings."""

from __future__ import annotations

import math
import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from runners.bench import HARNESS_VERSION, truths
from runners.bench.cheats.catalogue import CARD_NAME, CHEATS, Cheat
from runners.bench.progress import table
from runners.bench.results import Event, Failure, Measurement, RunRequest, SessionResult
from runners.bench.session import measure_ceilings, run_session
from runners.bench.statistics import beside_band

SELFTEST_SCHEMA = 1
ROUNDS = {"quick": 20, "full": 100}
ROUND_CAP_S = {"cpu": 0.4, "cuda": 1.0}
SHARE_ROUNDS = {"quick": 1, "full": 3}
SHARE_CAP_S = 4.0
SHARE_TOLERANCE = 0.03
FALSE_ALARM_SHARE = 0.05
SURELY = 0.01
CHEAT_CAP_S = 0.3
CHEATS_AT_ONCE = {"cpu": 2, "cuda": max(2, min(8, (os.cpu_count() or 2) // 2))}
OVERHEAD_GOAL = 0.05
HONEST = Cheat("none: the honest module", mode="run", status="PASSED", reason="")

OnEvent = Callable[[Event], None]


@dataclass(frozen=True)
class CheatOutcome:
    """What became of a cheat: whether it was caught, and in which words."""

    name: str
    caught: bool
    status: str
    reason: str
    detail: str


@dataclass(frozen=True)
class SameOutcome:
    """Rounds of equal subjects. A false alarm is a gain or a loss where there is none."""

    rounds: int
    no_gain: int
    false_alarms: int
    inconclusive: int
    bands: list[float]
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether so many false alarms could still come from the rate that is promised."""
        return not self.problem and chance_of_as_many(self.false_alarms, self.rounds, FALSE_ALARM_SHARE) >= SURELY


@dataclass(frozen=True)
class ShareOutcome:
    """A known ratio and what was measured."""

    rung: str
    truth: float
    ratio: float
    low: float
    high: float

    @property
    def deviation(self) -> float:
        return self.ratio / self.truth - 1

    @property
    def passed(self) -> bool:
        """The truth lies within the interval, or within the tolerance of it."""
        return self.low / (1 + SHARE_TOLERANCE) <= self.truth <= self.high * (1 + SHARE_TOLERANCE)


@dataclass
class SelfTest:
    """All that was found. `unsupported` tells why nothing could be."""

    device: str
    quick: bool
    environment: dict[str, Any] = field(default_factory=dict)
    cheats: list[CheatOutcome] = field(default_factory=list)
    same: SameOutcome | None = None
    shares: list[ShareOutcome] = field(default_factory=list)
    share_problem: str = ""
    overheads: list[dict[str, Any]] = field(default_factory=list)
    ceilings: list[dict[str, Any]] = field(default_factory=list)
    not_measured: list[str] = field(default_factory=list)
    unsupported: str = ""
    interrupted: bool = False

    @property
    def passed(self) -> bool:
        if self.interrupted:
            return False
        truths_hold = self.same is not None and self.same.passed and bool(self.shares) and not self.share_problem
        return truths_hold and all(each.passed for each in self.shares) and all(each.caught for each in self.cheats)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; `kind` tells it from the record of a result."""
        found = asdict(self)
        found["same"] = {**asdict(self.same), "passed": self.same.passed} if self.same else None
        found["shares"] = [{**asdict(each), "deviation": each.deviation, "passed": each.passed} for each in self.shares]
        return {
            "kind": "selftest",
            "schema": SELFTEST_SCHEMA,
            "harness_version": HARNESS_VERSION,
            "timestamp": datetime.now(UTC).isoformat(timespec="seconds"),
            "passed": self.passed,
            **found,
        }


def run_selftest(
    device: str, *, quick: bool, on_event: OnEvent, should_stop: Callable[[], bool] = lambda: False
) -> SelfTest:
    """Puts the harness to the test on `device`; the ceilings come first, as they also tell whether there is a device.

    When `should_stop` says so, what was found until then is given, marked as interrupted.
    """
    found = SelfTest(device, quick)
    try:
        _fill(found, on_event, should_stop)
    except _Stopped:
        found.interrupted = True
    return found


class _Stopped(Exception):
    """The user wants no more."""


def _fill(found: SelfTest, on_event: OnEvent, should_stop: Callable[[], bool]) -> None:
    device, quick = found.device, found.quick

    def go_on(event: Event) -> None:
        on_event(event)
        if should_stop():
            raise _Stopped

    ceilings, failure = measure_ceilings(device, go_on)
    found.environment, found.ceilings = ceilings.environment, ceilings.ceilings
    found.not_measured = [f"{each['subject']}: {each['reason']}" for each in ceilings.skipped]
    if failure is not None:
        found.unsupported = f"{failure.reason}: {failure.detail}"
        return
    tried = [HONEST, *CHEATS]
    try_cheats(tried, device, go_on, found.cheats)
    order = [cheat.name for cheat in tried]
    found.cheats.sort(key=lambda outcome: order.index(outcome.name))
    found.same, same_run = same_subjects(device, ROUNDS["quick" if quick else "full"], go_on)
    found.shares, shares_run = known_shares(device, SHARE_ROUNDS["quick" if quick else "full"], go_on)
    if shares_run.failure:
        found.share_problem = f"{shares_run.failure.reason}: {shares_run.failure.detail}"
    for name, run in (("equal subjects", same_run), ("known shares", shares_run)):
        if not run.failure:
            found.overheads.append({"run": name, **overhead(run.spent)})


def try_cheats(cheats: Sequence[Cheat], device: str, on_event: OnEvent, outcomes: list[CheatOutcome]) -> None:
    """Runs each cheat that this device can show, in sessions like any other; those that time nothing run side by side.

    Each outcome is appended when it is known, so that they are there even if `on_event` raises to stop it all.
    """
    chosen = [cheat for cheat in cheats if cheat.device in ("any", device)]
    stop = threading.Event()

    def attempt(cheat: Cheat) -> CheatOutcome:
        share = chosen.index(cheat) / len(chosen)
        on_event(Event("phase", "cheats", share, cheat.name))
        with tempfile.TemporaryDirectory(prefix="speedproof-cheat-") as folder:
            cheat.write(Path(folder), device)
            request = RunRequest(
                CARD_NAME, device=device, mode=cheat.mode, seed=7, card_root=Path(folder), time_cap_s=CHEAT_CAP_S
            )
            tick = Event("tick", "cheats", share, cheat.name)  # the session's own progress would only confuse
            result = run_session(request, lambda _: on_event(tick), stop.is_set)
        failure = result.failure or Failure("", "")
        honest = cheat is HONEST and result.failure is None
        doubts = [each["text"] for each in result.doubts]
        caught = honest or cheat.is_caught_by(result.status, result.failure, device, doubts)
        if result.failure is None and doubts and cheat is not HONEST:
            return CheatOutcome(cheat.name, caught, result.status, "doubted", "; ".join(doubts))
        return CheatOutcome(cheat.name, caught, result.status, failure.reason, failure.detail)

    with ThreadPoolExecutor(CHEATS_AT_ONCE[device]) as pool:
        try:
            for outcome in pool.map(attempt, [cheat for cheat in chosen if cheat.mode == "check"]):
                outcomes.append(outcome)
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    for cheat in chosen:
        if cheat.mode != "check":
            outcomes.append(attempt(cheat))


def same_subjects(device: str, rounds: int, on_event: OnEvent) -> tuple[SameOutcome, SessionResult]:
    """Equal subjects against each other, round after round in one session."""
    run = _known_work(device, ("same",), rounds, ROUND_CAP_S[device], on_event)
    if run.failure:
        problem = f"{run.failure.reason}: {run.failure.detail}"
        return SameOutcome(0, 0, 0, 0, [], problem), run
    timed = [each for each in run.measurements if each.measure == "time" and each.baseline]
    seen = [_seen(each) for each in timed]
    return (
        SameOutcome(
            len(seen), seen.count("no gain"), seen.count("false alarm"), seen.count("inconclusive"),
            [each.band or 0.0 for each in timed],
        ),
        run,
    )  # fmt: skip


def _seen(each: Measurement) -> str:
    place = beside_band(each.ratio_low or 0.0, each.ratio_high or math.inf, each.band or 0.0)
    return {"equal": "no gain", "unclear": "inconclusive"}.get(place, "false alarm")


def known_shares(device: str, rounds: int, on_event: OnEvent) -> tuple[list[ShareOutcome], SessionResult]:
    """Rungs that do a known multiple of the technique's work."""
    run = _known_work(device, ("same", *truths.KNOWN_RATIOS), rounds, SHARE_CAP_S, on_event)
    return [
        ShareOutcome(each.baseline, truths.KNOWN_RATIOS[each.baseline], each.ratio, each.ratio_low, each.ratio_high)
        for each in run.measurements
        if each.measure == "time"
        and each.baseline in truths.KNOWN_RATIOS
        and each.ratio
        and each.ratio_low
        and each.ratio_high
    ], run


def _known_work(device: str, rungs: tuple[str, ...], rounds: int, cap_s: float, on_event: OnEvent) -> SessionResult:
    with tempfile.TemporaryDirectory(prefix="speedproof-truth-") as folder:
        truths.write_card(Path(folder), device, rungs, rounds, heavy=len(rungs) > 1)
        request = RunRequest(
            truths.CARD_NAME, device=device, seed=11, card_root=Path(folder), time_cap_s=cap_s, wall_limit_s=1800
        )
        return run_session(request, on_event)


def overhead(spent: dict[str, float]) -> dict[str, float]:
    """Seconds by part of a session, and the shares of its start and of what no part accounts for: the harness's own.

    "start" is Python's, torch's and the device's; with "own" it makes up what is not spent on checks and times.
    """
    parts = {part: seconds for part, seconds in spent.items() if part != "all"}
    own = spent["all"] - sum(parts.values())
    start = parts.get("start", 0.0)
    return {
        **parts, "own": own, "all": spent["all"], "share": own / spent["all"], "start_share": start / spent["all"],
    }  # fmt: skip


def chance_of_as_many(events: int, rounds: int, share: float) -> float:
    """Probability of at least `events` in `rounds` independent trials of probability `share`."""
    return sum(math.comb(rounds, k) * share**k * (1 - share) ** (rounds - k) for k in range(events, rounds + 1))


def summary(found: SelfTest) -> str:
    """The self-test in words and tables."""
    device = found.environment.get("device_name") or found.device
    if found.interrupted:
        device += ", interrupted: what follows was found until then"
    if found.unsupported:
        return f"self-test on {device}: not possible here\n  {found.unsupported}"
    parts = [f"self-test on {device}: {'passed' if found.passed else 'FAILED'}"]
    rows = [[each.name, "yes" if each.caught else "NO", each.status, _short(each.detail, 90)] for each in found.cheats]
    parts.append(table(["cheat", "as it must", "status", "found out by"], rows))
    if found.same:
        same = found.same
        text = (
            f"equal subjects: {same.false_alarms} false alarms in {same.rounds} rounds "
            f"({same.no_gain} no gain, {same.inconclusive} inconclusive)"
        )
        if same.bands:
            text += f"; they counted as equal within ±{sorted(same.bands)[len(same.bands) // 2]:.1%} (median)"
        parts.append(text + (f"\n  {same.problem}" if same.problem else ""))
    rows = [
        [each.rung, f"{each.truth:g}×", f"{each.ratio:.3f}×", f"{each.low:.3f} to {each.high:.3f}",
         f"{each.deviation:+.1%}", "yes" if each.passed else "NO"]
        for each in found.shares
    ]  # fmt: skip
    parts.append(table(["known work", "truth", "measured", "95 % interval", "off by", "within 3 %"], rows))
    parts += [f"  {found.share_problem}"] if found.share_problem else []
    rows = [
        [each["run"], f"{each['all']:.1f} s", f"{each['share']:.1%}", f"{each['start_share']:.1%}"]
        for each in found.overheads
    ]
    parts.append(
        table(["session", "took", f"harness's own (goal {OVERHEAD_GOAL:.0%})", "start of Python, torch, device"], rows)
    )
    rows = [[each["name"], f"{each['value']:.4g} {each['unit']}", each["detail"]] for each in found.ceilings]
    parts.append(table(["this device", "at best", "measured on"], rows))
    return "\n\n".join(parts + [f"not measured: {each}" for each in found.not_measured])


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
