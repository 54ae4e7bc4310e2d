"""Reasons not to believe a child's times, from what the parent saw with its own clock and the kernel's accounts.

What is caught: times that do not fit the parent's clock; work outside of the timed stream; a rung of the ladder that
sleeps, that spends its time outside of torch's operators (on a CPU), or that is slower beside the technique than in a
process where the technique was never made. What is not: a rung that always does needless work in torch's operators,
or that spins on the host between GPU kernels. No clock tells such a rung from one that is slow by nature; the other
rungs of the ladder, above all the compiled and the library's, and the eyes of a reader do.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from runners.bench.collect import TECHNIQUE, Findings, Loop, Stretch
from runners.card_types import Card

# Calls in a row, timed by the parent's own clock, against the child's samples.
CLOCK_FACTOR = 2.5
CLOCK_SLACK_S = 0.005
HOST_FACTOR = 1.5
HOST_SLACK_MS = 0.3
# A thread that computes is on a core or waits for one; a call that does neither for this share of its time sleeps.
AWAKE_SHARE = 0.75
COVERED_SHARE = 0.5
OPERATOR_SHARE = 0.4
PYTHON_FACTOR = 4.0
PYTHON_SLACK_MS = 0.2
# How much slower a rung may be beside the technique than alone; other runs on the machine come and go between the two.
ALONE_FACTOR = 2.0
ALONE_SLACK_MS = {"cpu": 0.2, "cuda": 0.02}  # waking a worker thread on a busy machine takes as long
MOST_RUNGS_ALONE = 8

Subject = tuple[str, str]


def distrust(findings: Findings, card: Card) -> str:
    """Why the child's own times cannot be believed, or ""."""
    for (workload, rung), loop in findings.loops.items():
        reason = (
            _other_clock(findings, workload, rung, loop)
            or _outside_stream(findings, workload, rung, loop)
            or (_sleeping(findings, workload, rung) if card.scope != "processes" else "")
            or _outside_operators(findings, workload, rung)
        )
        if reason:
            return f"{workload}: {reason}"
    return ""


def _other_clock(findings: Findings, workload: str, rung: str, loop: Loop) -> str:
    slowdown = _slowdown(findings, (workload, TECHNIQUE), loop.technique_ms)
    # What the machine does to calls in a row is seen on the baseline too; only more than that is suspicious.
    usual = max(1.0, _slowdown(findings, (workload, rung), loop.baseline_ms))
    if slowdown <= CLOCK_FACTOR * usual:
        return ""
    return (
        f"by the parent's clock the technique's calls took {slowdown:.1f} times as long as the times reported, "
        f"the baseline's {usual:.1f} times"
    )


def _slowdown(findings: Findings, subject: Subject, reported_ms: Sequence[float]) -> float:
    """Fastest stretch of calls by the parent's clock over the time reported; 0 where there is none."""
    reported_s = statistics.median(reported_ms) / 1e3
    stretches = findings.back_to_back.get(subject, [])
    return min(((each.seconds - CLOCK_SLACK_S) / each.calls / reported_s for each in stretches), default=0.0)


def _outside_stream(findings: Findings, workload: str, rung: str, loop: Loop) -> str:
    technique, baseline = findings.extras.get((workload, TECHNIQUE)), findings.extras.get((workload, rung))
    if not technique or not baseline or findings.environment.get("device_kind") != "cuda":
        return ""
    own_ms = statistics.median(loop.technique_ms)
    # What launching costs is seen on the baseline's side; only more than that is suspicious.
    gap = statistics.median(technique["host_ms"]) - own_ms
    usual = max(0.0, statistics.median(baseline["host_ms"]) - statistics.median(loop.baseline_ms))
    if gap > usual + HOST_SLACK_MS + (HOST_FACTOR - 1) * own_ms:
        return f"{gap:.2f} ms of the technique's work lie outside of the timed stream"
    return ""


def _sleeping(findings: Findings, workload: str, rung: str) -> str:
    technique = _awake_share(findings.back_to_back.get((workload, TECHNIQUE), []))
    baseline = _awake_share(findings.back_to_back.get((workload, rung), []))
    # Waiting for a device can look like sleep, but then the technique waits as well.
    if technique is None or baseline is None or baseline >= AWAKE_SHARE * min(1.0, technique):
        return ""
    return f"the rung {rung!r} sleeps: it was at work in {baseline:.0%} of its time, the technique in {technique:.0%}"


def _awake_share(stretches: Sequence[Stretch]) -> float | None:
    """Most of its time that any stretch had a thread on a core or waiting for one; with several threads above 1."""
    known = [each.usage for each in stretches if each.usage and _covers(each)]
    return max(((each.run_s + each.queued_s) / each.at_s for each in known), default=None)


def _outside_operators(findings: Findings, workload: str, rung: str) -> str:
    technique = _operator_ms(findings, (workload, TECHNIQUE))
    baseline = _operator_ms(findings, (workload, rung))
    if technique is None or baseline is None:
        return ""
    inside, outside = baseline
    share = inside / (inside + outside)
    # Python's own part of a call is seen on the technique's side too; only more than that is suspicious.
    if share >= OPERATOR_SHARE or outside <= PYTHON_FACTOR * technique[1] + PYTHON_SLACK_MS:
        return ""
    return (
        f"the rung {rung!r} spends {share:.0%} of its time in torch's operators; "
        f"what it does in the other {outside:.2f} ms is no baseline"
    )


def _operator_ms(findings: Findings, subject: Subject) -> tuple[float, float] | None:
    """Inside and outside of operators, in the call that spent least outside: it was interrupted least."""
    return min(findings.extras.get(subject, {}).get("operator_ms", []), key=lambda each: each[1], default=None)


def rungs_to_time_alone(findings: Findings, compiled: Sequence[str]) -> dict[str, dict[str, float]]:
    """By workload and rung the median time beside the technique, for the rungs worth a second process.

    Compiled rungs are left out, which would be compiled again, and so are points of a sweep and all beyond the first
    few: one that is slowed down only there is not found.
    """
    wanted: dict[str, dict[str, float]] = {}
    for (workload, rung), loop in findings.loops.items():
        known = sum(len(rungs) for rungs in wanted.values())
        if rung not in compiled and "[" not in workload and known < MOST_RUNGS_ALONE:
            wanted.setdefault(workload, {})[rung] = statistics.median(loop.baseline_ms)
    return wanted


def distrust_beside_technique(findings: Findings, alone: Findings) -> str:
    """Which rung is slower beside the technique than in a process of its own, or ""."""
    slack_ms = ALONE_SLACK_MS["cuda" if findings.environment.get("device_kind") == "cuda" else "cpu"]
    for subject, reported_alone in alone.alone.items():
        workload, rung = subject
        beside = _cost(findings.back_to_back.get(subject, []))
        without = _cost(alone.back_to_back.get(subject, []))
        if not beside or not without:
            continue
        slower = beside / without
        # Slowed down within the timed pairs alone: seen in the times reported, on top of what the stretches show.
        beside_ms, alone_ms = _lower_quartile(findings.loops[subject].baseline_ms), _lower_quartile(reported_alone)
        reported = beside_ms / alone_ms / max(1.0, slower)
        is_slower = slower > ALONE_FACTOR and (beside - without) * 1e3 > slack_ms
        if is_slower or (reported > CLOCK_FACTOR and beside_ms - alone_ms > slack_ms):
            return (
                f"{workload}: the rung {rung!r} is {max(slower, reported):.1f} times as slow beside the technique as "
                "in a process where the technique was never made"
            )
    return ""


def _lower_quartile(samples: Sequence[float]) -> float:
    return sorted(samples)[len(samples) // 4]


def _cost(stretches: Sequence[Stretch]) -> float | None:
    """Middle seconds a call: on the cores where the kernel tells, which other runs hardly change, else passed."""
    costs = [
        each.seconds / each.calls * (each.usage.run_s / each.usage.at_s if each.usage else 1.0)
        for each in stretches
        if not each.usage or _covers(each)
    ]
    return statistics.median(costs) if costs else None


def _covers(stretch: Stretch) -> bool:
    """Whether the parent's two looks span the stretch; on a busy machine it may read both marks at once, afterwards."""
    return stretch.usage is not None and stretch.usage.at_s > COVERED_SHARE * stretch.seconds > 0
