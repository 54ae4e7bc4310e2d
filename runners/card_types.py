"""What a card holds, as frozen dataclasses whose attributes are named as the keys of the TOML file."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from runners.sources import sources_of

RUNNERS = Path(__file__).resolve().parent


def capability_numbers(text: str) -> tuple[int, ...]:
    """A CUDA capability such as "9.0" as numbers, to be compared; () where it is not known."""
    return tuple(int(part) for part in text.split(".") if part.isdigit())


@dataclass(frozen=True)
class Needs:
    """What the technique's subject needs. `memory_gib` is for the largest timed workload."""

    triton: bool
    cuda_capability: str
    memory_gib: float | None
    cpu_timing: bool


@dataclass(frozen=True)
class Check:
    """How a right answer is recognised.

    `multiples` and `fixed` bound the odd shape that the harness derives: an axis in `multiples` is changed in steps of
    that number, an axis in `fixed` not at all.
    """

    reference: str
    same_precision: str
    error_factor: float
    gradients: tuple[int, ...]
    steps: int
    quality: str
    budget: float | None
    multiples: dict[str, int]
    fixed: tuple[str, ...]


@dataclass(frozen=True)
class Baseline:
    """One rung of the ladder; `name` is its key in the module's SUBJECTS.

    A rung without `same_function` is what the paper compares with though it computes something else (softmax attention
    for linear attention): its answers are not compared, its time and memory are.
    """

    name: str
    label: str
    role: str
    cpu_timing: bool
    same_function: bool


@dataclass(frozen=True)
class Workload:
    """One shape, dtype and pass; `device` is "cuda" or "any"."""

    name: str
    use: str
    device: str
    representative: bool
    axes: dict[str, int]
    dtype: str
    pass_: str

    @property
    def has_backward(self) -> bool:
        return self.pass_.endswith("backward")

    @property
    def is_checked(self) -> bool:
        return self.use in ("check", "both")

    @property
    def is_timed(self) -> bool:
        return self.use in ("time", "both")


@dataclass(frozen=True)
class Sweep:
    """One axis of a timed workload and the values it takes."""

    workload: str
    axis: str
    values: tuple[int, ...]


@dataclass(frozen=True)
class Claim:
    """One quantified statement of the paper and the workload, rung and measure that judge it."""

    key: str
    statement: str
    metric: str
    phase: str
    form: str
    direction: str
    value: float
    value_max: float | None
    unit: str
    qualifier: str
    baseline: str
    baseline_text: str
    measure: str
    workload: str
    scope: str
    hardware: str


@dataclass(frozen=True)
class Effect:
    """For the advice: the factor by which one term of time or memory shrinks, and where that holds."""

    term: str
    resource: str
    low: float
    high: float
    stages: tuple[str, ...]
    requires_training: str
    architectures: tuple[str, ...]


@dataclass(frozen=True)
class Card:
    """A validated card. `path` is the TOML file; the module lies beside it."""

    path: Path
    schema: int
    name: str
    title: str
    arxiv: str
    year: int
    kind: str
    short_name: str
    families: tuple[str, ...]
    modality: tuple[str, ...]
    stage: tuple[str, ...]
    training_free: bool | None
    summary: str
    simplified: str
    missing_baselines: str
    scope: str
    correctness: str
    needs: Needs
    check: Check
    baselines: tuple[Baseline, ...]
    workloads: tuple[Workload, ...]
    sweep: Sweep | None
    claims: tuple[Claim, ...]
    effect: Effect | None

    @property
    def module_path(self) -> Path:
        return self.path.with_suffix(".py")

    @property
    def module_name(self) -> str:
        """Dotted name for a module below runners/, the bare stem for one elsewhere."""
        try:
            relative = self.module_path.resolve().relative_to(RUNNERS.parent)
        except ValueError:
            return self.module_path.stem
        return ".".join(relative.with_suffix("").parts)

    @cached_property
    def card_hash(self) -> str:
        """sha256 of the card file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    @cached_property
    def code_hash(self) -> str:
        """sha256 over the module and what it imports of the project: a change elsewhere leaves its results current."""
        digest = hashlib.sha256()
        for source in sources_of(self.module_path):
            digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
        return digest.hexdigest()

    def baseline(self, name: str) -> Baseline | None:
        return next((rung for rung in self.baselines if rung.name == name), None)

    def workload(self, name: str) -> Workload | None:
        return next((workload for workload in self.workloads if workload.name == name), None)

    def representative(self, device: str) -> Workload | None:
        """The workload that stands for the card on "cuda" or "cpu"; CUDA falls back on the one for any device."""
        timed = [workload for workload in self.workloads if workload.is_timed and workload.representative]
        wanted = ("cuda", "any") if device == "cuda" else ("any",)
        return next((workload for kind in wanted for workload in timed if workload.device == kind), None)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the keys of the TOML file plus `path`, `module` and the two hashes."""
        plain: dict[str, Any] = asdict(self)
        plain["path"] = self.path.name
        plain["module"] = self.module_name
        plain["card_hash"], plain["code_hash"] = self.card_hash, self.code_hash
        for workload in plain["workloads"]:
            workload["pass"] = workload.pop("pass_")
        return {key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()}
