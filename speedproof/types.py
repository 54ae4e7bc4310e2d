"""Records of the API as typed dictionaries. Written by `manage.py write_schema`; change serializers, not this file."""

from typing import Any, Literal, NotRequired, TypedDict

Answer = TypedDict(
    "Answer",
    {
        "id": "int",
        "title": "str",
        "name": "str | None",
        "score": "float",
        "score_parts": "dict[str, float]",
        "gain": "Gain | None",
        "projected": "Gain | None",
        "error": "float | None",
        "reasons": "list[str]",
        "evidence": "list[dict[str, Any]]",
        "implementation": "str | None",
    },
)

AnswerEnum = Literal["better", "worse", "equal", "unclear", "unknown"]

Author = TypedDict(
    "Author",
    {
        "name": "str",
        "hidden": "bool",
    },
)

Beat = TypedDict(
    "Beat",
    {
        "cancelled": "bool",
    },
)

BlankEnum = Literal[""]

Ceiling = TypedDict(
    "Ceiling",
    {
        "name": "str",
        "value": "float",
        "unit": "str",
        "detail": "str",
    },
)

Change = TypedDict(
    "Change",
    {
        "kind": "ChangeKindEnum",
        "id": "int",
        "change": "ChangeChangeEnum",
        "at": "str",
        "record": "dict[str, Any] | None",
    },
)

ChangeChangeEnum = Literal["created", "updated", "withdrawn", "merged", "deleted"]

ChangeKindEnum = Literal["paper", "technique", "claim", "implementation", "run", "verdict"]

ChangePage = TypedDict(
    "ChangePage",
    {
        "changes": "list[Change]",
        "next": "str",
        "more": "bool",
    },
)

Claim = TypedDict(
    "Claim",
    {
        "id": "int",
        "paper": "str",
        "card_key": "NotRequired[str | None]",
        "statement": "NotRequired[str]",
        "figure": "str",
        "metric": "str",
        "phase": "NotRequired[PhaseEnum]",
        "form": "FormEnum",
        "direction": "DirectionEnum",
        "value": "float",
        "value_max": "NotRequired[float | None]",
        "unit": "NotRequired[str]",
        "qualifier": "NotRequired[str]",
        "baseline": "NotRequired[str]",
        "hardware": "NotRequired[str]",
        "scope": "NotRequired[str]",
        "quote": "NotRequired[str]",
        "start": "NotRequired[int | None]",
        "end": "NotRequired[int | None]",
        "rule": "NotRequired[str]",
        "review": "NotRequired[ReviewEnum]",
        "raw": "NotRequired[str]",
        "confidence": "NotRequired[float | None]",
        "ratio": "NotRequired[float | None]",
        "base_value": "NotRequired[float | None]",
        "base_unit": "NotRequired[str]",
        "corrected_fields": "NotRequired[Any]",
        "reviewed_at": "NotRequired[str | None]",
    },
)

ClaimAddRequest = TypedDict(
    "ClaimAddRequest",
    {
        "metric": "NotRequired[MetricEnum]",
        "phase": "NotRequired[PhaseEnum]",
        "form": "NotRequired[FormEnum]",
        "direction": "NotRequired[DirectionEnum]",
        "value": "NotRequired[float]",
        "value_max": "NotRequired[float | None]",
        "unit": "NotRequired[str]",
        "qualifier": "NotRequired[QualifierEnum | BlankEnum]",
        "baseline": "NotRequired[str]",
        "hardware": "NotRequired[str]",
        "quote": "NotRequired[str]",
        "paper": "str",
        "note": "NotRequired[str]",
    },
)

ClaimReviewDecisionEnum = Literal["accept", "correct", "reject"]

ClaimShown = TypedDict(
    "ClaimShown",
    {
        "figure": "str",
        "metric": "str",
        "quote": "str",
    },
)

CodeLink = TypedDict(
    "CodeLink",
    {
        "url": "str",
        "original": "NotRequired[str]",
        "kind": "NotRequired[str]",
        "official": "NotRequired[bool | None]",
        "framework": "NotRequired[str]",
        "said_by": "list[str]",
    },
)

Compared = TypedDict(
    "Compared",
    {
        "slug": "str",
        "title": "str",
        "year": "int | None",
        "technique": "Technique",
        "claims": "list[JudgedClaim]",
        "measured": "list[Measured]",
    },
)

Counts = TypedDict(
    "Counts",
    {
        "read": "int",
        "new": "int",
        "updated": "int",
        "duplicate": "int",
        "unmatched": "int",
        "refused": "int",
    },
)

Coverage = TypedDict(
    "Coverage",
    {
        "all": "Tally",
        "waves": "list[Tally]",
        "families": "list[Tally]",
        "systems": "list[System]",
    },
)

Crossover = TypedDict(
    "Crossover",
    {
        "kind": "CrossoverKindEnum",
        "at": "float | None",
        "low": "float | None",
        "high": "float | None",
    },
)

CrossoverKindEnum = Literal["crosses", "always", "never", "mixed"]

Curve = TypedDict(
    "Curve",
    {
        "rung": "str",
        "label": "str",
        "says": "str",
        "crossover": "Crossover",
        "points": "list[SweepPoint]",
    },
)

DecisionDecisionEnum = Literal["accept", "correct", "reject", "take", "merge", "distinct"]

DecisionRequest = TypedDict(
    "DecisionRequest",
    {
        "decision": "DecisionDecisionEnum",
        "fields": "NotRequired[dict[str, Any]]",
        "keep": "NotRequired[str]",
        "note": "NotRequired[str]",
    },
)

Device = TypedDict(
    "Device",
    {
        "id": "int",
        "kind": "DeviceKindEnum",
        "name": "str",
        "memory_bytes": "NotRequired[int | None]",
        "capability": "NotRequired[str]",
        "driver": "NotRequired[str]",
        "last_seen_at": "NotRequired[str | None]",
        "alive": "bool",
    },
)

DeviceKindEnum = Literal["cpu", "cuda"]

DirectionEnum = Literal["better", "worse", "none"]

DtypeEnum = Literal["fp32", "fp16", "bf16", "fp8", "int8", "int4", "fp4"]

Efficiency = TypedDict(
    "Efficiency",
    {
        "compute": "float",
        "memory": "float",
        "origin": "str",
    },
)

EntryShown = TypedDict(
    "EntryShown",
    {
        "title": "str",
        "line": "int | None",
        "change": "EntryShownChangeEnum",
        "slug": "str",
        "changes": "list[str]",
        "claims": "list[ClaimShown]",
    },
)

EntryShownChangeEnum = Literal["new", "updated"]

Excluded = TypedDict(
    "Excluded",
    {
        "title": "str",
        "reason": "str",
        "constraint": "str",
    },
)

Export = TypedDict(
    "Export",
    {
        "name": "str",
        "made_at": "str",
        "schema": "int",
        "texts": "bool",
        "changes_cursor": "str",
        "manifest_url": "str",
        "sums_url": "str",
        "tables": "list[ExportTable]",
        "files": "list[ExportFile]",
    },
)

ExportFile = TypedDict(
    "ExportFile",
    {
        "path": "str",
        "url": "str",
        "table": "str",
        "format": "str",
        "rows": "int",
        "bytes": "int",
        "sha256": "str",
    },
)

ExportList = TypedDict(
    "ExportList",
    {
        "licence": "Licence",
        "schema": "int",
        "exports": "list[Export]",
    },
)

ExportTable = TypedDict(
    "ExportTable",
    {
        "name": "str",
        "about": "str",
        "rows": "int",
    },
)

Facet = TypedDict(
    "Facet",
    {
        "name": "str",
        "title": "str",
        "single": "bool",
        "options": "list[Option]",
    },
)

FamiliesEnum = Literal["quantization", "sparsity-pruning", "distillation", "low-rank", "peft", "efficient-attention", "kv-cache", "ssm-recurrent", "mixture-of-experts", "conditional-computation", "token-reduction", "decoding-acceleration", "kernels-compilers", "distributed-training", "memory-efficient-training", "training-efficiency", "efficient-architecture", "nas", "weight-sharing", "retrieval-efficiency", "diffusion-acceleration", "serving-systems", "data-efficiency", "edge-deployment", "hardware-accelerators"]

Family = TypedDict(
    "Family",
    {
        "name": "str",
        "title": "str",
        "what": "str",
        "gains": "str",
        "watch": "str",
        "techniques": "int",
        "runnable": "int",
        "claims": "int",
        "metrics": "dict[str, int]",
        "outcomes": "dict[str, int]",
        "measured": "int",
        "median_share": "float | None",
    },
)

FamilyOutcome = TypedDict(
    "FamilyOutcome",
    {
        "family": "str",
        "outcome": "str",
        "claims": "int",
    },
)

FamilyOutcomes = TypedDict(
    "FamilyOutcomes",
    {
        "rows": "list[FamilyOutcome]",
    },
)

FaultReasonEnum = Literal["harness-fault"]

FaultRequest = TypedDict(
    "FaultRequest",
    {
        "reason": "FaultReasonEnum",
        "detail": "str",
    },
)

FormEnum = Literal["factor", "percent", "absolute"]

Gain = TypedDict(
    "Gain",
    {
        "metric": "str",
        "median": "float | None",
        "low": "float | None",
        "high": "float | None",
        "source": "SourceEnum",
        "scope": "str | None",
        "device": "str | None",
        "basis": "str",
        "part": "str | None",
        "share": "float | None",
        "phase": "str | None",
    },
)

GainOnDevice = TypedDict(
    "GainOnDevice",
    {
        "implementation": "str",
        "title": "str",
        "rung": "str",
        "role": "str",
        "figure": "Measurement",
    },
)

GivenBack = TypedDict(
    "GivenBack",
    {
        "given_back": "bool",
    },
)

HandInRequest = TypedDict(
    "HandInRequest",
    {
        "text": "NotRequired[str]",
        "target": "NotRequired[str]",
        "file": "NotRequired[str]",
        "dry_run": "NotRequired[bool]",
    },
)

Hardware = TypedDict(
    "Hardware",
    {
        "slug": "str",
        "name": "str",
        "kind": "DeviceKindEnum",
        "alive": "bool",
        "runs": "int",
        "outcomes": "dict[str, int]",
    },
)

HardwareDetail = TypedDict(
    "HardwareDetail",
    {
        "slug": "str",
        "name": "str",
        "kind": "DeviceKindEnum",
        "alive": "bool",
        "runs": "int",
        "outcomes": "dict[str, int]",
        "devices": "list[Device]",
        "ceilings": "list[Ceiling]",
        "ceilings_of": "dict[str, str]",
        "gains": "list[GainOnDevice]",
        "newest_runs": "list[RunList]",
    },
)

HeartbeatRequest = TypedDict(
    "HeartbeatRequest",
    {
        "lease": "str",
        "phase": "str",
        "progress": "float",
        "log": "str",
    },
)

HeldRequest = TypedDict(
    "HeldRequest",
    {
        "lease": "str",
    },
)

Hit = TypedDict(
    "Hit",
    {
        "paper": "PaperList",
        "score": "float",
        "parts": "dict[str, float]",
        "snippet": "str",
    },
)

HubDailyPaper = TypedDict(
    "HubDailyPaper",
    {
        "paper": "HubPaper",
        "publishedAt": "str | None",
        "title": "str",
        "summary": "str",
        "numComments": "int",
    },
)

HubPaper = TypedDict(
    "HubPaper",
    {
        "id": "str",
        "authors": "list[Author]",
        "publishedAt": "str | None",
        "title": "str",
        "summary": "str",
        "upvotes": "int",
        "githubRepo": "NotRequired[str]",
        "projectPage": "NotRequired[str]",
    },
)

Implementation = TypedDict(
    "Implementation",
    {
        "url": "str",
        "name": "str",
        "paper": "str",
        "title": "str",
        "card": "Any",
        "card_hash": "str",
        "code_hash": "str",
        "updated_at": "str",
        "retired_at": "NotRequired[str | None]",
    },
)

JudgedClaim = TypedDict(
    "JudgedClaim",
    {
        "id": "int",
        "paper": "str",
        "card_key": "NotRequired[str | None]",
        "statement": "NotRequired[str]",
        "figure": "str",
        "metric": "str",
        "phase": "NotRequired[PhaseEnum]",
        "form": "FormEnum",
        "direction": "DirectionEnum",
        "value": "float",
        "value_max": "NotRequired[float | None]",
        "unit": "NotRequired[str]",
        "qualifier": "NotRequired[str]",
        "baseline": "NotRequired[str]",
        "hardware": "NotRequired[str]",
        "scope": "NotRequired[str]",
        "quote": "NotRequired[str]",
        "start": "NotRequired[int | None]",
        "end": "NotRequired[int | None]",
        "rule": "NotRequired[str]",
        "review": "NotRequired[ReviewEnum]",
        "raw": "NotRequired[str]",
        "confidence": "NotRequired[float | None]",
        "ratio": "NotRequired[float | None]",
        "base_value": "NotRequired[float | None]",
        "base_unit": "NotRequired[str]",
        "corrected_fields": "NotRequired[Any]",
        "reviewed_at": "NotRequired[str | None]",
        "standing": "Verdict | None",
        "verdicts": "list[Verdict]",
    },
)

Lease = TypedDict(
    "Lease",
    {
        "run": "Leased | None",
        "ask_again_s": "int",
        "other_versions": "list[str]",
    },
)

LeaseRequestRequest = TypedDict(
    "LeaseRequestRequest",
    {
        "lease": "str",
        "devices": "list[str]",
        "versions": "dict[str, list[str]]",
    },
)

Leased = TypedDict(
    "Leased",
    {
        "id": "int",
        "implementation": "str",
        "mode": "ModeEnum",
        "device": "str",
        "device_kind": "DeviceKindEnum",
        "card_hash": "str",
        "code_hash": "str",
        "seed": "int",
        "wall_limit_s": "float",
        "heartbeat_s": "float",
    },
)

Licence = TypedDict(
    "Licence",
    {
        "spdx": "str",
        "url": "str",
        "note": "str",
    },
)

Measured = TypedDict(
    "Measured",
    {
        "implementation": "str",
        "devices": "list[OnDevice]",
        "regressions": "list[Regression]",
    },
)

MeasuredWorkload = TypedDict(
    "MeasuredWorkload",
    {
        "name": "str",
        "representative": "bool",
        "axes": "dict[str, Any]",
        "dtype": "str",
        "ladder": "list[Rung]",
        "others": "list[Measurement]",
        "error": "dict[str, Any]",
    },
)

Measurement = TypedDict(
    "Measurement",
    {
        "workload": "str",
        "subject": "str",
        "baseline": "NotRequired[str]",
        "measure": "str",
        "unit": "NotRequired[str]",
        "scope": "NotRequired[str]",
        "median": "NotRequired[float | None]",
        "low": "NotRequired[float | None]",
        "high": "NotRequired[float | None]",
        "ratio": "NotRequired[float | None]",
        "ratio_low": "NotRequired[float | None]",
        "ratio_high": "NotRequired[float | None]",
        "pairs": "NotRequired[int | None]",
        "band": "NotRequired[float | None]",
        "cap_reached": "NotRequired[bool]",
    },
)

Memory = TypedDict(
    "Memory",
    {
        "weights": "float | None",
        "kv_cache": "float | None",
        "activations": "float | None",
        "gradients": "float | None",
        "optimizer": "float | None",
        "total": "float | None",
        "available": "float | None",
        "short_by": "float | None",
    },
)

MetricEnum = Literal["latency", "throughput", "speedup", "memory", "params", "model_size", "flops", "energy", "communication", "training_time", "training_cost", "data_samples", "storage", "compression", "bandwidth", "other_efficiency"]

ModalityEnum = Literal["language", "vision", "video", "speech-audio", "multimodal", "3d", "graph", "tabular", "recsys", "robotics-rl", "science", "code", "general"]

ModeEnum = Literal["run", "sweep", "check"]

ModelError = TypedDict(
    "ModelError",
    {
        "typical": "float",
        "baselines": "int",
    },
)

NeedRequest = TypedDict(
    "NeedRequest",
    {
        "need": "str",
        "stage": "NotRequired[NeedStageEnum]",
        "gpu": "NotRequired[str]",
        "gpus": "NotRequired[int]",
        "model": "NotRequired[str]",
        "batch": "NotRequired[int]",
        "prompt": "NotRequired[int]",
        "new_tokens": "NotRequired[int]",
        "seq": "NotRequired[int]",
        "training": "NotRequired[TrainingEnum]",
        "max_error": "NotRequired[float]",
        "objective": "NotRequired[ObjectiveEnum]",
        "dtype": "NotRequired[DtypeEnum]",
        "memory_gib": "NotRequired[float]",
        "first_token_ms": "NotRequired[float]",
        "token_ms": "NotRequired[float]",
        "step_ms": "NotRequired[float]",
    },
)

NeedStageEnum = Literal["training", "fine-tuning", "inference", "search", "data"]

ObjectiveEnum = Literal["latency", "throughput", "memory", "cost"]

OfferedRequest = TypedDict(
    "OfferedRequest",
    {
        "uid": "str",
        "kind": "DeviceKindEnum",
        "name": "str",
        "memory_bytes": "NotRequired[int | None]",
        "capability": "NotRequired[str]",
        "driver": "NotRequired[str]",
    },
)

OnDevice = TypedDict(
    "OnDevice",
    {
        "device": "str",
        "kind": "DeviceKindEnum",
        "run": "int",
        "is_current": "bool",
        "decides": "bool",
        "workloads": "list[MeasuredWorkload]",
        "sweep": "Sweep | None",
        "doubts": "list[str]",
        "loses_to": "list[str]",
    },
)

Option = TypedDict(
    "Option",
    {
        "value": "str",
        "label": "str",
        "count": "int",
        "chosen": "bool",
    },
)

OutcomeEnum = Literal["confirmed", "below-claim", "no-gain", "slower", "inconclusive", "not-comparable", "rejected"]

Overview = TypedDict(
    "Overview",
    {
        "papers": "int",
        "claims": "int",
        "implementations": "int",
        "verdicts": "int",
        "untested": "int",
        "outcomes": "dict[str, int]",
    },
)

PaginatedClaimList = TypedDict(
    "PaginatedClaimList",
    {
        "count": "int",
        "next": "NotRequired[str | None]",
        "previous": "NotRequired[str | None]",
        "results": "list[Claim]",
    },
)

PaginatedDeviceList = TypedDict(
    "PaginatedDeviceList",
    {
        "count": "int",
        "next": "NotRequired[str | None]",
        "previous": "NotRequired[str | None]",
        "results": "list[Device]",
    },
)

PaginatedImplementationList = TypedDict(
    "PaginatedImplementationList",
    {
        "count": "int",
        "next": "NotRequired[str | None]",
        "previous": "NotRequired[str | None]",
        "results": "list[Implementation]",
    },
)

PaginatedPaperListList = TypedDict(
    "PaginatedPaperListList",
    {
        "count": "int",
        "next": "NotRequired[str | None]",
        "previous": "NotRequired[str | None]",
        "results": "list[PaperList]",
    },
)

PaginatedReviewItemList = TypedDict(
    "PaginatedReviewItemList",
    {
        "count": "int",
        "next": "NotRequired[str | None]",
        "previous": "NotRequired[str | None]",
        "results": "list[ReviewItem]",
    },
)

PaginatedRunListList = TypedDict(
    "PaginatedRunListList",
    {
        "count": "int",
        "next": "NotRequired[str | None]",
        "previous": "NotRequired[str | None]",
        "results": "list[RunList]",
    },
)

PaginatedSubmissionList = TypedDict(
    "PaginatedSubmissionList",
    {
        "count": "int",
        "next": "NotRequired[str | None]",
        "previous": "NotRequired[str | None]",
        "results": "list[Submission]",
    },
)

PaginatedTechniqueList = TypedDict(
    "PaginatedTechniqueList",
    {
        "count": "int",
        "next": "NotRequired[str | None]",
        "previous": "NotRequired[str | None]",
        "results": "list[Technique]",
    },
)

PaginatedVerdictList = TypedDict(
    "PaginatedVerdictList",
    {
        "count": "int",
        "next": "NotRequired[str | None]",
        "previous": "NotRequired[str | None]",
        "results": "list[Verdict]",
    },
)

Paper = TypedDict(
    "Paper",
    {
        "url": "str",
        "slug": "str",
        "title": "str",
        "arxiv_id": "NotRequired[str | None]",
        "arxiv_url": "str",
        "year": "NotRequired[int | None]",
        "published_on": "NotRequired[str | None]",
        "votes": "NotRequired[int | None]",
        "name": "str",
        "kind": "str",
        "families": "list[str]",
        "claim_count": "int",
        "implementation_count": "int",
        "verified": "bool",
        "updated_at": "str",
        "doi": "NotRequired[str | None]",
        "other_titles": "list[str]",
        "abstract": "NotRequired[str]",
        "summary": "NotRequired[str]",
        "authors": "NotRequired[Any]",
        "author_count": "NotRequired[int | None]",
        "edited_fields": "NotRequired[Any]",
        "withdrawn_at": "NotRequired[str | None]",
        "merged_into": "str | None",
        "technique": "Technique | None",
        "claims": "list[JudgedClaim]",
        "sources": "list[Source]",
        "code_links": "list[CodeLink]",
        "implementations": "list[str]",
    },
)

PaperList = TypedDict(
    "PaperList",
    {
        "url": "str",
        "slug": "str",
        "title": "str",
        "arxiv_id": "NotRequired[str | None]",
        "arxiv_url": "str",
        "year": "NotRequired[int | None]",
        "published_on": "NotRequired[str | None]",
        "votes": "NotRequired[int | None]",
        "name": "str",
        "kind": "str",
        "families": "list[str]",
        "claim_count": "int",
        "implementation_count": "int",
        "verified": "bool",
        "updated_at": "str",
    },
)

Pass = TypedDict(
    "Pass",
    {
        "compute_ms": "float",
        "memory_ms": "float",
        "launch_ms": "float",
        "link_ms": "float",
        "ms": "float",
        "low": "float",
        "high": "float",
        "best_ms": "float",
        "binds": "str",
    },
)

PatchedClaimReviewRequest = TypedDict(
    "PatchedClaimReviewRequest",
    {
        "metric": "NotRequired[MetricEnum]",
        "phase": "NotRequired[PhaseEnum]",
        "form": "NotRequired[FormEnum]",
        "direction": "NotRequired[DirectionEnum]",
        "value": "NotRequired[float]",
        "value_max": "NotRequired[float | None]",
        "unit": "NotRequired[str]",
        "qualifier": "NotRequired[QualifierEnum | BlankEnum]",
        "baseline": "NotRequired[str]",
        "hardware": "NotRequired[str]",
        "quote": "NotRequired[str]",
        "decision": "NotRequired[ClaimReviewDecisionEnum]",
        "note": "NotRequired[str]",
    },
)

PatchedPaperEditRequest = TypedDict(
    "PatchedPaperEditRequest",
    {
        "title": "NotRequired[str]",
        "abstract": "NotRequired[str]",
        "summary": "NotRequired[str]",
        "arxiv_id": "NotRequired[str | None]",
        "doi": "NotRequired[str | None]",
        "year": "NotRequired[int | None]",
        "published_on": "NotRequired[str | None]",
        "authors": "NotRequired[list[str]]",
        "note": "NotRequired[str]",
    },
)

PatchedTechniqueEditRequest = TypedDict(
    "PatchedTechniqueEditRequest",
    {
        "kind": "NotRequired[TechniqueEditKindEnum]",
        "name": "NotRequired[str]",
        "families": "NotRequired[list[FamiliesEnum]]",
        "modality": "NotRequired[list[ModalityEnum]]",
        "stage": "NotRequired[list[TechniqueEditStageEnum]]",
        "training_free": "NotRequired[bool | None]",
        "hardware": "NotRequired[list[str]]",
        "code_urls": "NotRequired[list[str]]",
        "quality_cost": "NotRequired[QualityCostRequest | None]",
        "verify": "NotRequired[VerifyEnum | BlankEnum]",
        "mechanism": "NotRequired[str]",
        "note": "NotRequired[str]",
    },
)

PhaseEnum = Literal["inference", "training", "fine-tuning", "search", "other"]

Plan = TypedDict(
    "Plan",
    {
        "names": "list[str]",
        "ids": "list[int]",
        "meets_budget": "bool | None",
        "sure": "bool | None",
        "memory_gib": "float | None",
        "time_ms": "dict[str, float]",
        "error": "float | None",
        "effort": "str",
        "evidence": "str | None",
        "misses": "dict[str, float]",
        "gain": "Gain | None",
        "conflicts": "list[str]",
    },
)

Point = TypedDict(
    "Point",
    {
        "technique": "str",
        "page": "str",
        "metric": "str",
        "claimed": "float",
        "measured": "float",
        "low": "float",
        "high": "float",
        "outcome": "str",
        "device": "str",
    },
)

Points = TypedDict(
    "Points",
    {
        "rows": "list[Point]",
    },
)

Problem = TypedDict(
    "Problem",
    {
        "type": "str",
        "title": "str",
        "status": "int",
        "detail": "str",
        "errors": "list[dict[str, Any]]",
    },
)

PwcLink = TypedDict(
    "PwcLink",
    {
        "paper_url": "str",
        "paper_title": "str",
        "paper_arxiv_id": "str | None",
        "paper_url_abs": "str | None",
        "paper_url_pdf": "str | None",
        "repo_url": "str",
        "is_official": "bool | None",
        "mentioned_in_paper": "bool",
        "mentioned_in_github": "bool | None",
        "framework": "str",
    },
)

PwcLinkPage = TypedDict(
    "PwcLinkPage",
    {
        "count": "int",
        "next": "str | None",
        "previous": "str | None",
        "results": "list[PwcLink]",
    },
)

PwcMethod = TypedDict(
    "PwcMethod",
    {
        "url": "str",
        "name": "str",
        "full_name": "str",
        "description": "str",
        "introduced_year": "int | None",
        "source_url": "str | None",
        "source_title": "str",
        "code_snippet_url": "str",
        "main_collection": "Any | None",
        "paper": "Any",
        "collections": "list[Any]",
    },
)

PwcMethodPage = TypedDict(
    "PwcMethodPage",
    {
        "count": "int",
        "next": "str | None",
        "previous": "str | None",
        "results": "list[PwcMethod]",
    },
)

PwcPaper = TypedDict(
    "PwcPaper",
    {
        "paper_url": "str",
        "arxiv_id": "str | None",
        "title": "str",
        "abstract": "str",
        "short_abstract": "str | None",
        "url_abs": "str | None",
        "url_pdf": "str | None",
        "proceeding": "str | None",
        "authors": "list[str]",
        "tasks": "list[str]",
        "date": "str | None",
        "methods": "list[Any]",
    },
)

PwcPaperPage = TypedDict(
    "PwcPaperPage",
    {
        "count": "int",
        "next": "str | None",
        "previous": "str | None",
        "results": "list[PwcPaper]",
    },
)

PwcTask = TypedDict(
    "PwcTask",
    {
        "task": "str",
        "description": "str",
        "categories": "list[str]",
        "datasets": "list[Any]",
        "subtasks": "list[Any]",
        "synonyms": "list[str]",
        "source_link": "str | None",
    },
)

QualifierEnum = Literal["up to", "at least", "about", "average"]

QualityCostRequest = TypedDict(
    "QualityCostRequest",
    {
        "value": "NotRequired[float | None]",
        "unit": "NotRequired[str | None]",
        "lossless": "NotRequired[bool | None]",
        "quote": "str",
    },
)

Recommendation = TypedDict(
    "Recommendation",
    {
        "situation": "Situation",
        "answers": "list[Answer]",
        "excluded": "list[Excluded]",
        "plan": "list[Plan]",
        "pareto": "list[Plan]",
        "nearest_constraint": "str | None",
        "notes": "list[str]",
    },
)

Refusal = TypedDict(
    "Refusal",
    {
        "file": "str",
        "line": "int | None",
        "reason": "str",
    },
)

RegisterRequest = TypedDict(
    "RegisterRequest",
    {
        "name": "str",
        "harness_version": "str",
        "devices": "list[OfferedRequest]",
    },
)

Registered = TypedDict(
    "Registered",
    {
        "devices": "list[int]",
    },
)

Regression = TypedDict(
    "Regression",
    {
        "device_name": "str",
        "workload": "str",
        "baseline": "str",
        "ratio_before": "float",
        "ratio_after": "float",
        "sentence": "str",
        "found_at": "str",
    },
)

ResultRequest = TypedDict(
    "ResultRequest",
    {
        "lease": "str",
        "records": "NotRequired[list[dict[str, Any]]]",
        "skipped": "NotRequired[list[SkippedRequest]]",
        "log": "NotRequired[str]",
        "failure": "NotRequired[FaultRequest]",
    },
)

ReviewEnum = Literal["unreviewed", "accepted", "corrected", "rejected"]

ReviewItem = TypedDict(
    "ReviewItem",
    {
        "url": "str",
        "id": "int",
        "reason": "ReviewItemReasonEnum",
        "state": "NotRequired[ReviewItemStateEnum]",
        "paper": "str",
        "claim": "NotRequired[int | None]",
        "field": "NotRequired[str]",
        "twin": "Twin | None",
        "details": "NotRequired[Any]",
        "decision": "NotRequired[str]",
        "decided_at": "NotRequired[str | None]",
        "created_at": "str",
    },
)

ReviewItemReasonEnum = Literal["low-confidence", "conflict", "endpoint-disagrees", "span-lost", "twin"]

ReviewItemStateEnum = Literal["open", "done", "dismissed"]

Run = TypedDict(
    "Run",
    {
        "url": "str",
        "id": "int",
        "implementation": "str",
        "device_kind": "DeviceKindEnum",
        "device": "Device | None",
        "mode": "NotRequired[ModeEnum]",
        "state": "NotRequired[RunStateEnum]",
        "status": "NotRequired[str]",
        "requested_at": "str",
        "started_at": "NotRequired[str | None]",
        "finished_at": "NotRequired[str | None]",
        "attempts": "NotRequired[int]",
        "cancel_requested": "NotRequired[bool]",
        "phase": "NotRequired[str]",
        "progress": "NotRequired[float]",
        "failure_reason": "NotRequired[str]",
        "failure_detail": "NotRequired[str]",
        "queue_position": "int | None",
        "log_tail": "NotRequired[str]",
        "environment": "NotRequired[Any]",
        "skipped": "NotRequired[Any]",
        "card_hash": "NotRequired[str]",
        "code_hash": "NotRequired[str]",
        "harness_version": "NotRequired[str]",
        "seed": "NotRequired[int | None]",
        "imported_from": "NotRequired[str]",
        "measurements": "list[Measurement]",
        "verdicts": "list[Verdict]",
    },
)

RunList = TypedDict(
    "RunList",
    {
        "url": "str",
        "id": "int",
        "implementation": "str",
        "device_kind": "DeviceKindEnum",
        "device": "Device | None",
        "mode": "NotRequired[ModeEnum]",
        "state": "NotRequired[RunStateEnum]",
        "status": "NotRequired[str]",
        "requested_at": "str",
        "started_at": "NotRequired[str | None]",
        "finished_at": "NotRequired[str | None]",
        "attempts": "NotRequired[int]",
        "cancel_requested": "NotRequired[bool]",
        "phase": "NotRequired[str]",
        "progress": "NotRequired[float]",
        "failure_reason": "NotRequired[str]",
        "failure_detail": "NotRequired[str]",
    },
)

RunRequestRequest = TypedDict(
    "RunRequestRequest",
    {
        "implementation": "str",
        "device": "NotRequired[DeviceKindEnum]",
        "mode": "NotRequired[ModeEnum]",
    },
)

RunStateEnum = Literal["queued", "running", "finished", "failed", "cancelled"]

Rung = TypedDict(
    "Rung",
    {
        "name": "str",
        "label": "str",
        "role": "str",
        "question": "str",
        "same_function": "bool",
        "answer": "AnswerEnum",
        "figure": "Measurement",
    },
)

Search = TypedDict(
    "Search",
    {
        "query": "str",
        "corrected": "str",
        "total": "int",
        "note": "str",
        "facets": "dict[str, dict[str, int]]",
        "results": "list[Hit]",
    },
)

Situation = TypedDict(
    "Situation",
    {
        "gpu": "str | None",
        "gpus": "int",
        "model": "str | None",
        "memory_gib": "Memory",
        "time_ms": "Times",
        "time_by_part": "dict[str, Pass]",
        "shares": "dict[str, float]",
        "binds": "str | None",
        "fits": "bool | None",
        "workload": "Workload",
        "sharing": "str",
        "efficiency": "Efficiency | None",
        "notes": "list[str]",
        "model_error": "ModelError | None",
    },
)

SkippedRequest = TypedDict(
    "SkippedRequest",
    {
        "workload": "str",
        "subject": "str",
        "reason": "str",
    },
)

Source = TypedDict(
    "Source",
    {
        "kind": "str",
        "locator": "str",
        "line": "NotRequired[int | None]",
        "page_date": "NotRequired[str]",
        "seen_at": "str",
    },
)

SourceEnum = Literal["measured", "scaled", "claimed", "modelled"]

Stored = TypedDict(
    "Stored",
    {
        "id": "int",
        "state": "RunStateEnum",
        "status": "str",
    },
)

Submission = TypedDict(
    "Submission",
    {
        "url": "str",
        "id": "int",
        "kind": "SubmissionKindEnum",
        "name": "str",
        "state": "NotRequired[SubmissionStateEnum]",
        "failure": "NotRequired[str]",
        "layout": "str",
        "counts": "Counts | None",
        "shown": "list[EntryShown]",
        "refused": "list[Refusal]",
        "created_at": "str",
        "decided_at": "NotRequired[str | None]",
        "finished_at": "NotRequired[str | None]",
    },
)

SubmissionKindEnum = Literal["file", "text", "target"]

SubmissionStateEnum = Literal["reading", "ready", "applying", "done", "discarded", "expired", "failed"]

Sweep = TypedDict(
    "Sweep",
    {
        "run": "int",
        "axis": "str",
        "quality": "str",
        "curves": "list[Curve]",
    },
)

SweepPoint = TypedDict(
    "SweepPoint",
    {
        "value": "int",
        "ratio": "float",
        "low": "float",
        "high": "float",
        "band": "float",
        "loss": "float | None",
        "quality": "float | None",
        "is_best": "bool",
    },
)

System = TypedDict(
    "System",
    {
        "title": "str",
        "slug": "str",
        "state": "SystemStateEnum",
        "wave": "str",
        "needs": "str",
        "mechanism": "str",
        "families": "list[str]",
        "implementations": "list[str]",
        "scopes": "list[str]",
        "claims": "int",
        "verified_on": "list[str]",
        "outcomes": "dict[str, int]",
    },
)

SystemStateEnum = Literal["verified", "checked", "failed", "runnable", "missing", "nothing"]

Tally = TypedDict(
    "Tally",
    {
        "name": "str",
        "title": "str",
        "systems": "int",
        "runnable": "int",
        "checked": "int",
        "verified": "int",
    },
)

Technique = TypedDict(
    "Technique",
    {
        "paper": "str",
        "title": "str",
        "kind": "str",
        "name": "NotRequired[str]",
        "families": "list[str]",
        "modality": "list[str]",
        "stage": "list[str]",
        "training_free": "NotRequired[bool | None]",
        "hardware": "list[str]",
        "code_urls": "NotRequired[Any]",
        "quality_cost": "dict[str, Any] | None",
        "verify": "NotRequired[str]",
        "mechanism": "NotRequired[str]",
        "extractor_version": "NotRequired[str]",
        "edited_fields": "NotRequired[Any]",
        "updated_at": "str",
    },
)

TechniqueEditKindEnum = Literal["technique", "architecture", "system", "hardware", "survey", "benchmark", "dataset", "analysis", "theory", "application", "other"]

TechniqueEditStageEnum = Literal["training", "fine-tuning", "inference", "search", "data"]

Times = TypedDict(
    "Times",
    {
        "prefill": "float | None",
        "decode_per_token": "float | None",
        "training_step": "float | None",
    },
)

TrainingEnum = Literal["none", "calibration", "finetune", "pretrain", "any"]

Twin = TypedDict(
    "Twin",
    {
        "first": "str",
        "second": "str",
        "score": "float",
        "explanation": "NotRequired[Any]",
        "state": "NotRequired[TwinStateEnum]",
    },
)

TwinStateEnum = Literal["open", "merged", "distinct"]

Verdict = TypedDict(
    "Verdict",
    {
        "id": "int",
        "claim": "int",
        "run": "int",
        "run_url": "str",
        "outcome": "OutcomeEnum",
        "ratio": "NotRequired[float | None]",
        "low": "NotRequired[float | None]",
        "high": "NotRequired[float | None]",
        "workload": "NotRequired[str]",
        "baseline": "NotRequired[str]",
        "reason": "str",
        "hardware_note": "NotRequired[str]",
        "created_at": "str",
        "withdrawn_at": "NotRequired[str | None]",
    },
)

VerifyEnum = Literal["kernel", "random-model", "small-training", "needs-weights", "multi-device", "other-hardware", "none"]

Vocabulary = TypedDict(
    "Vocabulary",
    {
        "family": "list[Word]",
        "kind": "list[Word]",
        "metric": "list[Word]",
        "modality": "list[Word]",
        "stage": "list[Word]",
        "verify": "list[Word]",
    },
)

Word = TypedDict(
    "Word",
    {
        "value": "str",
        "label": "str",
    },
)

Workload = TypedDict(
    "Workload",
    {
        "stage": "str",
        "batch": "int",
        "prompt": "NotRequired[int]",
        "new_tokens": "NotRequired[int]",
        "seq": "NotRequired[int]",
        "dtype": "str",
    },
)
