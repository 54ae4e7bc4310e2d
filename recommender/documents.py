"""What the recommender knows about a paper: plain frozen values, so that an index file and a test need no database."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ClaimedGain:
    """A figure that the paper states for itself; `value` is a factor, a percentage or an absolute figure by `form`."""

    metric: str
    form: str
    direction: str
    value: float
    value_max: float | None = None
    qualifier: str | None = None
    baseline: str | None = None
    hardware: str | None = None
    phase: str | None = None
    quote: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class MeasuredGain:
    """A ratio that a run of ours measured: baseline divided by technique, above 1 is better."""

    metric: str
    median: float
    low: float
    high: float
    scope: str = ""
    device: str = ""
    outcome: str = ""
    baseline: str = ""
    workload: str = ""


@dataclass(frozen=True, slots=True)
class ModelledEffect:
    """The factor (low to high) by which a technique shrinks one term of time or memory, as its card states it."""

    term: str
    resource: str
    low: float
    high: float
    stages: tuple[str, ...] = ()
    requires_training: str = "none"
    architectures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Needs:
    """What the reference implementation cannot do without."""

    triton: bool = False
    cuda_capability: str | None = None
    memory_gib: float | None = None


@dataclass(frozen=True, slots=True)
class Quality:
    """What is known of the price in quality: whether the same function is computed, the error that its card allows
    (relative), whether the paper says that nothing is lost, and the relative loss that it states."""

    exact: bool | None = None
    error_budget: float | None = None
    lossless: bool | None = None
    stated_loss: float | None = None

    @property
    def error(self) -> float | None:
        """The relative error to expect; None when nothing is known of it."""
        if self.exact:
            return 0.0
        if self.error_budget is not None:
            return self.error_budget
        if self.stated_loss is not None:
            return self.stated_loss
        return 0.0 if self.lossless else None


@dataclass(frozen=True, slots=True)
class Document:
    """One paper with its technique record; `text` is the abstract or our summary of it."""

    id: int
    title: str
    text: str = ""
    name: str = ""
    families: tuple[str, ...] = ()
    modality: tuple[str, ...] = ()
    stage: tuple[str, ...] = ()
    hardware: tuple[str, ...] = ()
    training_free: bool | None = None
    kind: str = ""
    gains: tuple[ClaimedGain, ...] = ()
    evidence: tuple[MeasuredGain, ...] = ()
    effects: tuple[ModelledEffect, ...] = ()
    needs: Needs | None = None
    implementation: str | None = None
    quality: Quality | None = None

    def to_json(self) -> dict[str, Any]:
        """Only what differs from the defaults, so that a million lines stay small."""
        found: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.default is not dataclasses.MISSING and value == field.default:
                continue
            found[field.name] = dataclasses.asdict(value) if isinstance(value, Needs | Quality) else _plain(value)
        return found

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Document:
        """Inverse of `to_json`. Raises ValueError that names the field when a row is not a document."""
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := set(row) - known:
            raise ValueError(f"document has unknown fields {sorted(unknown)}; known are {sorted(known)}")
        if not isinstance(row.get("id"), int) or not isinstance(row.get("title"), str):
            raise ValueError("a document needs 'id' (a whole number) and 'title' (text)")
        values: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in row.items()}
        values["gains"] = tuple(ClaimedGain(**gain) for gain in row.get("gains", ()))
        values["evidence"] = tuple(MeasuredGain(**gain) for gain in row.get("evidence", ()))
        values["effects"] = tuple(
            ModelledEffect(
                **{**effect, "stages": tuple(effect["stages"]), "architectures": tuple(effect["architectures"])}
            )
            for effect in row.get("effects", ())
        )
        values["needs"] = Needs(**row["needs"]) if row.get("needs") else None
        values["quality"] = Quality(**row["quality"]) if row.get("quality") else None
        return cls(**values)

    def embedded_text(self) -> str:
        """What the encoder reads; its hash decides whether a vector can be kept."""
        name = f" ({self.name})" if self.name and self.name.lower() not in self.title.lower() else ""
        return f"{self.title}{name}\n{self.text}".strip()


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [dataclasses.asdict(item) if dataclasses.is_dataclass(item) else item for item in value]  # type: ignore[arg-type]
    return value
