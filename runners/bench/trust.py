"""Reasons not to believe a child's times, from what the parent saw with its own clock and the kernel's accounts.

On a CPU other programs share the cores with the run, and what they do to it looks like some of these lies. There such a
reason is a doubt, which is recorded beside the figures and refuses nothing; on a GPU, which a run has for itself, it
refuses the run.

What is caught: times that do not fit the parent's clock; work outside of the timed stream; a rung of the ladder that
sleeps, that spends its time outside of torch's operators (on a CPU), or that is slower beside the technique than in a
process where the technique was never made. What is not: a rung that always does needless work in torch's operators,
or that spins on the host between GPU kernels. No clock tells such a rung from one that is slow by nature; the other
rungs of the ladder, above all the compiled and the library's, and the eyes of a reader do.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runners.bench.collect import TECHNIQUE, Findings, Loop, Stretch
from runners.card_types import Card

# Calls in a row, timed by the parent's own clock, against the child's samples.
CLOCK_FACTOR = 2.5
BLATANT_FACTOR = 25.0  # between two clocks no load on a machine explains so much
CLOCK_SLACK_S = 0.005
HOST_FACTOR = 1.5
# Before each timed call the GPU is kept busy for about so long, in which launches on the host go unseen by its events. A
# call that takes the host longer than its events say by more than this does not tell the truth.
HEAD_START_MS = 0.5
HOST_SLACK_MS = 0.3
# A thread that computes is on a core or waits for one; a call that does neither for this share of its time sleeps.
AWAKE_SHARE = 0.75
COVERED_SHARE = 0.5
LATE_SHARE = 0.2
OPERATOR_SHARE = 0.4
PYTHON_FACTOR = 4.0
PYTHON_SLACK_MS = 0.2
# How much slower a rung may be beside the technique than alone; other runs on the machine come and go between the two.
ALONE_FACTOR = 2.0
ALONE_SLACK_MS = {"cpu": 0.2, "cuda": 0.02}  # waking a worker thread on a busy machine takes as long
MOST_RUNGS_ALONE = 8

Subject = tuple[str, str]


@dataclass(frozen=True)
class Doubt:
    """A reason not to believe the times of a workload. One that `refuses` ends the run, another is only recorded."""

    workload: str
    text: str
    refuses: bool


def doubts_about(findings: Findings, card: Card) -> list[Doubt]:
    """Every reason not to believe the child's own times."""
    on_gpu = findings.environment.get("device_kind") == "cuda"
    found = []
    for (workload, rung), loop in findings.loops.items():
        for text, is_blatant in _reasons(findings, card, workload, rung, loop):
            found.append(Doubt(workload, text, refuses=on_gpu or is_blatant))
    return found


def _reasons(findings: Findings, card: Card, workload: str, rung: str, loop: Loop) -> Iterator[tuple[str, bool]]:
    """Each reason, and whether no load on the machine can explain it."""
    slowdown = _other_clock(findings, workload, rung, loop)
    if slowdown > CLOCK_FACTOR:
        text = f"by the parent's clock the technique's calls took {slowdown:.1f} times as long as the times reported"
        yield text, slowdown > BLATANT_FACTOR
    others = [_outside_stream(findings, workload, rung, loop), _outside_operators(findings, workload, rung)]
    if card.scope != "processes":
        others.append(_sleeping(findings, workload, rung, loop))
    for text in filter(None, others):
        yield text, False


def _other_clock(findings: Findings, workload: str, rung: str, loop: Loop) -> float:
    """How many times longer the technique's calls took by the parent's clock, beyond what the baseline shows too."""
    slowdown = _slowdown(findings, (workload, TECHNIQUE), loop.technique_ms)
    # What the machine does to calls in a row is seen on the baseline too; only more than that is suspicious.
    return slowdown / max(1.0, _slowdown(findings, (workload, rung), loop.baseline_ms))


def _slowdown(findings: Findings, subject: Subject, reported_ms: Sequence[float]) -> float:
    """Fastest stretch of calls by the parent's clock over the time reported; 0 where there is none."""
    reported_s = _explained_ms(findings, subject, reported_ms) / 1e3
    stretches = findings.back_to_back.get(subject, [])
    return min(((each.seconds - CLOCK_SLACK_S) / each.calls / reported_s for each in stretches), default=0.0)


def _explained_ms(findings: Findings, subject: Subject, reported_ms: Sequence[float]) -> float:
    """What a call may take by another clock: the time reported, or on a GPU that of launching where that is longer."""
    reported = float(statistics.median(reported_ms))
    launches = findings.extras.get(subject, {}).get("launch_ms", [])
    if not launches or findings.environment.get("device_kind") != "cuda":
        return reported
    return max(reported, min(float(statistics.median(launches)), reported + HEAD_START_MS))


def _outside_stream(findings: Findings, workload: str, rung: str, loop: Loop) -> str:
    technique, baseline = findings.extras.get((workload, TECHNIQUE)), findings.extras.get((workload, rung))
    if not technique or not baseline or findings.environment.get("device_kind") != "cuda":
        return ""
    own_ms = _explained_ms(findings, (workload, TECHNIQUE), loop.technique_ms)
    # What a wait for the device costs is seen on the baseline's side; only more than that is suspicious.
    gap = statistics.median(technique["host_ms"]) - own_ms
    baseline_ms = _explained_ms(findings, (workload, rung), loop.baseline_ms)
    usual = max(0.0, statistics.median(baseline["host_ms"]) - baseline_ms)
    if gap > usual + HOST_SLACK_MS + (HOST_FACTOR - 1) * own_ms:
        return f"{gap:.2f} ms of the technique's work lie outside of the timed stream"
    return ""


def _sleeping(findings: Findings, workload: str, rung: str, loop: Loop) -> str:
    technique = _awake_share(findings.back_to_back.get((workload, TECHNIQUE), []))
    baseline = _awake_share(_timely(findings.back_to_back.get((workload, rung), []), loop.baseline_ms))
    # Waiting for a device can look like sleep, but then the technique waits as well.
    if technique is None or baseline is None or baseline >= AWAKE_SHARE * min(1.0, technique):
        return ""
    return f"the rung {rung!r} sleeps: it was at work in {baseline:.0%} of its time, the technique in {technique:.0%}"


def _awake_share(stretches: Sequence[Stretch]) -> float | None:
    """Most of its time that any stretch had a thread on a core or waiting for one; with several threads above 1."""
    known = [each.usage for each in stretches if each.usage and _covers(each)]
    return max(((each.run_s + each.queued_s) / each.at_s for each in known), default=None)


def _timely(stretches: Sequence[Stretch], reported_ms: Sequence[float]) -> list[Stretch]:
    """Without those that passed in less than a fifth of the time reported for their calls: the parent read their beginning too
    late, or the calls found all in a cache. Either way they do not show a rung that sleeps."""
    least_s = LATE_SHARE * statistics.median(reported_ms) / 1e3
    return [each for each in stretches if each.seconds > least_s * each.calls]


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


def doubts_beside_technique(findings: Findings, alone: Findings) -> list[Doubt]:
    """Which rungs are slower beside the technique than in a process of their own."""
    found = []
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
            text = (
                f"the rung {rung!r} is {max(slower, reported):.1f} times as slow beside the technique as "
                "in a process where the technique was never made"
            )
            found.append(Doubt(workload, text, refuses=findings.environment.get("device_kind") == "cuda"))
    return found


def _lower_quartile(samples: Sequence[float]) -> float:
    return sorted(samples)[len(samples) // 4]


def _cost(stretches: Sequence[Stretch]) -> float | None:
    """Middle seconds a call: on the cores where the kernel tells, which other runs hardly change, else passed.

    The kernel counts in steps that can be longer than a short stretch, and forgets threads that end: where it says
    nothing above zero of any stretch, the time that passed is all there is.
    """
    on_cores = [
        each.seconds / each.calls * each.usage.run_s / each.usage.at_s
        for each in stretches
        if each.usage and _covers(each) and each.usage.run_s > 0
    ]
    costs = on_cores or [each.seconds / each.calls for each in stretches]
    return statistics.median(costs) if costs else None


def _covers(stretch: Stretch) -> bool:
    """Whether the parent's two looks span the stretch; on a busy machine it may read both marks at once, afterwards."""
    return stretch.usage is not None and stretch.usage.at_s > COVERED_SHARE * stretch.seconds > 0
