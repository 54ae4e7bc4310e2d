"""What a session of the harness returns."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Mode = Literal["check", "run", "sweep"]
EventKind = Literal["phase", "progress", "found", "log", "tick"]

STATUSES = (
    "PASSED", "INCORRECT_SHAPE", "INCORRECT_NUMERICAL", "INCORRECT_DTYPE", "RUNTIME_ERROR", "COMPILE_ERROR", "TIMEOUT",
    "OUT_OF_MEMORY", "UNSUPPORTED", "REWARD_HACK", "INVALID_REFERENCE",
)  # fmt: skip
FAILURE_REASONS = (
    "crashed", "timed-out", "out-of-memory", "unsupported", "refused-device", "incorrect", "integrity", "compile-error",
    "cancelled", "lost",
)  # fmt: skip
OUTCOMES = ("confirmed", "below-claim", "no-gain", "slower", "inconclusive", "not-comparable", "rejected")


@dataclass(frozen=True)
class RunRequest:
    """What to run. Limits are for the child: wall seconds, GiB of resident memory, seconds of timing a pair.

    `time_cap_s` None means the device's default; `card_root` replaces runners/implementations;
    `compile_on_cpu` also times rungs made by `torch.compile` on a CPU, where compiling alone can take a minute.
    """

    card_name: str
    device: str = "cpu"
    mode: Mode = "run"
    seed: int | None = None
    wall_limit_s: float = 900.0
    memory_limit_gib: float | None = None
    time_cap_s: float | None = None
    workloads: tuple[str, ...] = ()
    card_root: Path | None = None
    compile_on_cpu: bool = False


@dataclass(frozen=True)
class Event:
    """Something to show while a session runs: "found" is what has just been found, "tick" only says that it still runs."""

    kind: EventKind
    phase: str
    fraction: float
    text: str


@dataclass(frozen=True)
class Failure:
    """Why a session failed: one of FAILURE_REASONS and a sentence."""

    reason: str
    detail: str


@dataclass(frozen=True)
class Measurement:
    """One figure of one subject on one workload, with raw samples.

    With a `baseline`, `ratio` is baseline ÷ subject (above 1 is better) and `band` the half-width of the A/A
    equivalence band around 1. Without one, only the subject's own figure is given.
    """

    workload: str
    subject: str
    baseline: str
    measure: str
    unit: str
    median: float
    low: float
    high: float
    samples: list[float] = field(repr=False)
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    pairs: int
    band: float | None
    scope: str
    cap_reached: bool
    device_kind: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Judgement:
    """The verdict on one claim; `reason` is a sentence for a page."""

    claim_key: str
    outcome: str
    ratio: float | None
    low: float | None
    high: float | None
    workload: str
    baseline: str
    reason: str
    hardware_note: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class SessionResult:
    """Everything a session found. `skipped` lists what was not timed: {"workload", "subject", "reason"}."""

    card_name: str
    mode: str
    status: str
    failure: Failure | None
    records: list[dict[str, Any]]
    measurements: list[Measurement]
    judgements: list[Judgement]
    skipped: list[dict[str, str]]
    environment: dict[str, Any]
    log_tail: str
    harness_version: str
    seed: int
    doubts: list[dict[str, str]] = field(default_factory=list)
    """Reasons to look twice that do not refuse the run: {"workload", "text"}."""
    sweeps: list[dict[str, Any]] = field(default_factory=list)
    """Tables over the swept axis, one for each rung, as `SweepTable.to_dict` gives them."""
    spent: dict[str, float] = field(default_factory=dict)
    """Seconds by part of the run; "all" is the whole, and what no part accounts for is the harness's own overhead."""
    processor: dict[str, float] = field(default_factory=dict)
    """Seconds on a core: "start" of Python and torch, "card" all after it. Empty where the child did not get so far."""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
