"""What one paper's title and abstract are turned into, and the words each field may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from papers.vocabulary import (
    FAMILY_LABELS,
    KIND_LABELS,
    METRIC_LABELS,
    MODALITY_LABELS,
    PHASE_LABELS,
    STAGE_LABELS,
    VERIFY_LABELS,
)

KINDS = tuple(KIND_LABELS)
FAMILIES = tuple(FAMILY_LABELS)
MODALITIES = tuple(MODALITY_LABELS)
STAGES = tuple(STAGE_LABELS)
METRICS = tuple(METRIC_LABELS)
PHASES = tuple(PHASE_LABELS)
VERIFY = tuple(VERIFY_LABELS)
FORMS = ("factor", "percent", "absolute")
DIRECTIONS = ("better", "worse", "none")


class ExtractedClaim(NamedTuple):
    """One quantified efficiency claim of a paper about its own contribution.

    `start` and `end` count characters of the abstract as given, so that `abstract[start:end] == quote` always
    holds. `value` is a factor (2 for "twice"), a percentage (30 for "30 %") or an amount in `unit`; `value_max` is
    the upper end of a range. `rule` names the grammar rule that read the number, `confidence` (0 to 1) says how far its
    claims held on labelled papers, `raw` is the number as written.

    `ratio` is the claim against its baseline, above 1 for a gain (`ratio_max` the upper end of a range), None where it states
    none. `base_value` is an amount in `base_unit` (s, byte, J, ...), see `claims.normalise`.
    """

    metric: str
    phase: str
    form: str
    direction: str
    value: float
    value_max: float | None
    unit: str
    qualifier: str | None
    baseline: str | None
    hardware: str | None
    quote: str
    start: int
    end: int
    rule: str
    confidence: float
    raw: str
    ratio: float | None = None
    ratio_max: float | None = None
    base_value: float | None = None
    base_unit: str = ""

    def to_json(self) -> dict[str, Any]:
        return self._asdict()


@dataclass(frozen=True, slots=True)
class QualityCost:
    """Quality lost or kept beside the gain. `lossless` is None where the abstract does not say."""

    value: float | None
    unit: str | None
    lossless: bool | None
    quote: str

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class TechniqueRecord:
    """Everything that extraction says about one paper.

    `reasons` maps a field's name to the words of the title or abstract that decided it, in order of weight; and before them to
    "the text as a whole" where an encoder's reading spoke louder.
    """

    title: str
    kind: str
    name: str | None
    families: tuple[str, ...]
    modality: tuple[str, ...]
    stage: tuple[str, ...]
    training_free: bool | None
    hardware: tuple[str, ...]
    code_urls: tuple[str, ...]
    claims: tuple[ExtractedClaim, ...]
    quality_cost: QualityCost | None
    verify: str
    mechanism: str | None
    reasons: dict[str, list[str]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The record as plain JSON types: lists for tuples, one object a claim."""
        return {
            "title": self.title,
            "kind": self.kind,
            "name": self.name,
            "families": list(self.families),
            "modality": list(self.modality),
            "stage": list(self.stage),
            "training_free": self.training_free,
            "hardware": list(self.hardware),
            "code_urls": list(self.code_urls),
            "claims": [claim.to_json() for claim in self.claims],
            "quality_cost": self.quality_cost.to_json() if self.quality_cost else None,
            "verify": self.verify,
            "mechanism": self.mechanism,
            "reasons": {key: list(words) for key, words in self.reasons.items()},
        }
