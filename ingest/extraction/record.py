"""What one paper's title and abstract are turned into, and the words each field may take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

KIND_LABELS = {
    "technique": "Technique",
    "architecture": "Architecture or model",
    "system": "System",
    "hardware": "Hardware",
    "survey": "Survey",
    "benchmark": "Benchmark",
    "dataset": "Dataset",
    "analysis": "Empirical study",
    "theory": "Theory",
    "application": "Application",
    "other": "Other",
}
FAMILY_LABELS = {
    "quantization": "Quantization",
    "sparsity-pruning": "Sparsity and pruning",
    "distillation": "Distillation",
    "low-rank": "Low-rank and factorised weights",
    "peft": "Parameter-efficient fine-tuning",
    "efficient-attention": "Efficient attention",
    "kv-cache": "KV cache",
    "ssm-recurrent": "State-space and recurrent models",
    "mixture-of-experts": "Mixture of experts",
    "conditional-computation": "Conditional computation",
    "token-reduction": "Token reduction",
    "decoding-acceleration": "Decoding acceleration",
    "kernels-compilers": "Kernels and compilers",
    "distributed-training": "Distributed training",
    "memory-efficient-training": "Memory-efficient training",
    "training-efficiency": "Training efficiency",
    "efficient-architecture": "Efficient architecture",
    "nas": "Neural architecture search",
    "weight-sharing": "Weight sharing",
    "retrieval-efficiency": "Retrieval efficiency",
    "diffusion-acceleration": "Diffusion acceleration",
    "serving-systems": "Serving systems",
    "data-efficiency": "Data efficiency",
    "edge-deployment": "Edge deployment",
    "hardware-accelerators": "Hardware accelerators",
}
MODALITY_LABELS = {
    "language": "Language",
    "vision": "Vision",
    "video": "Video",
    "speech-audio": "Speech and audio",
    "multimodal": "Multimodal",
    "3d": "3D",
    "graph": "Graphs",
    "tabular": "Tabular",
    "recsys": "Recommendation",
    "robotics-rl": "Robotics and reinforcement learning",
    "science": "Science",
    "code": "Code",
    "general": "General",
}
STAGE_LABELS = {
    "training": "Training",
    "fine-tuning": "Fine-tuning",
    "inference": "Inference",
    "search": "Architecture search",
    "data": "Data",
}
METRIC_LABELS = {
    "latency": "Latency",
    "throughput": "Throughput",
    "speedup": "Speedup",
    "memory": "Memory",
    "params": "Parameters",
    "model_size": "Model size",
    "flops": "Computation",
    "energy": "Energy",
    "communication": "Communication",
    "training_time": "Training time",
    "training_cost": "Training cost",
    "data_samples": "Training data",
    "storage": "Storage",
    "compression": "Compression",
    "bandwidth": "Bandwidth",
    "other_efficiency": "Other efficiency",
}
PHASE_LABELS = {
    "inference": "Inference",
    "training": "Training",
    "fine-tuning": "Fine-tuning",
    "search": "Search",
    "other": "Other",
}
VERIFY_LABELS = {
    "kernel": "A kernel on one device",
    "random-model": "A model with random weights",
    "small-training": "A small training run",
    "needs-weights": "Published weights",
    "multi-device": "Several devices",
    "other-hardware": "Hardware other than CPU or GPU",
    "none": "Nothing to reproduce",
}
KINDS = tuple(KIND_LABELS)
FAMILIES = tuple(FAMILY_LABELS)
MODALITIES = tuple(MODALITY_LABELS)
STAGES = tuple(STAGE_LABELS)
METRICS = tuple(METRIC_LABELS)
PHASES = tuple(PHASE_LABELS)
VERIFY = tuple(VERIFY_LABELS)
FORMS = ("factor", "percent", "absolute")
DIRECTIONS = ("better", "worse", "none")


@dataclass(frozen=True, slots=True)
class ExtractedClaim:
    """One quantified efficiency claim of a paper about its own contribution.

    `start` and `end` count characters of the abstract as given, so that `abstract[start:end] == quote` always
    holds. `value` is a factor (2 for "twice"), a percentage (30 for "30 %") or an amount in `unit`; `value_max` is
    the upper end of a range. `rule` names the grammar rule that read the number.
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

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


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

    `reasons` maps a field's name to the words of the title or abstract that decided it, in order of weight.
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
