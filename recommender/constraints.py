"""What a need rules out, each with the sentence that tells the reader why.

Only what is sure is ruled out: a machine that cannot run it, training that may not be done, an error that is known to
be larger than allowed. What is merely less fitting is ranked lower instead (see relevance.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from recommender.documents import Document
from recommender.hardware.catalogue import Device
from recommender.hardware.models import Model
from recommender.need import Need

TRAINING_ORDER = ("none", "calibration", "finetune", "pretrain")
TRAINING_NAMES = {
    "none": "no training",
    "calibration": "calibration only",
    "finetune": "fine-tuning",
    "pretrain": "training",
}
# What a technique asks of its user, least first. A record that does not say may mean anything up to fine-tuning.
EFFORTS = ("none", "calibration", "unknown", "finetune", "pretrain")
_SPECIAL_HARDWARE: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "FPGAs or custom chips",
        re.compile(r"fpga|asic|in-memory|memristor|neuromorphic|photonic|verilog", re.IGNORECASE),
    ),
    ("microcontrollers", re.compile(r"\bmcus?\b|microcontroller|cortex-m|stm32|arduino|tinyml", re.IGNORECASE)),
    ("phones", re.compile(r"\bmobile\b|phone|android|snapdragon|hexagon|\bios\b|\bdsp\b|pixel \d", re.IGNORECASE)),
)
_FORMATS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("fp8", re.compile(r"\b(?:MX)?FP8\b")),
    ("fp4", re.compile(r"\b(?:MX|NV)?FP4\b")),
)
_KINDS = {
    "transformer": "transformers", "moe": "mixtures of experts", "ssm": "state-space models", "cnn": "convolutional networks",
    "vit": "vision transformers", "diffusion": "diffusion models",
}  # fmt: skip
_TASK = re.compile(r"accura|quality|perplexity|score|points?\b|performance", re.IGNORECASE)
_STARTS_TRAINED = re.compile(
    r"fine-?tun|pre-?trained (?:\w+ ){0,2}(?:models?|llms?|weights|checkpoint|backbones?)|\bLLM-based|\bLoRA\b",
    re.IGNORECASE,
)
_SPARSE = re.compile(r"\b2:4\b|semi-structured spars", re.IGNORECASE)


@dataclass(frozen=True)
class Excluded:
    """A paper that was left out; `constraint` is the field of the need that did it."""

    document: Document
    reason: str
    constraint: str


def exclusion(
    document: Document, need: Need, device: Device | None, concepts: Mapping[str, float], model: Model | None = None
) -> Excluded | None:
    """Why the paper cannot serve the need; None when nothing rules it out."""
    if device is not None and (reason := _hardware(document, device, concepts)):
        return Excluded(document, reason, "gpu")
    if reason := _training(document, need):
        return Excluded(document, reason, "training")
    if model is not None and (reason := _architecture(document, model)):
        return Excluded(document, reason, "model")
    if reason := _error(document, need):
        return Excluded(document, reason, "max_error")
    return None


def required_training(document: Document) -> str:
    """The least training that the paper is sure to require, by its card or its record."""
    if document.effects:
        return min((effect.requires_training for effect in document.effects), key=TRAINING_ORDER.index)
    return _required_by_record(document)


def may_need_pretraining(document: Document) -> bool:
    """Whether a record, and no card, makes it likely that there are no weights to start from. It is not sure: authors who
    publish a new architecture often publish its weights, and those who judged needs found such papers as useful as others."""
    return not document.effects and _required_by_record(document) == "pretrain"


def effort_of(document: Document) -> str:
    """The training that the paper is likely to ask for: by its card, else by its record."""
    if document.effects:
        return required_training(document)
    if document.training_free is None:
        return "unknown"
    if document.training_free:
        return "none"
    return "pretrain" if document.kind == "architecture" else "finetune"


def error_of(document: Document) -> float | None:
    """The relative error or loss to expect; None where nothing is known of it."""
    return document.quality.error if document.quality else None


def _hardware(document: Document, device: Device, concepts: Mapping[str, float]) -> str | None:
    needs = document.needs
    if needs and needs.cuda_capability and device.cuda_capability and (needs.triton or _is_kernel(document)):
        wanted, there = _version(needs.cuda_capability), _version(device.cuda_capability)
        if wanted > there:
            return f"Needs CUDA capability {needs.cuda_capability}; {device.name} has {device.cuda_capability}."
    # That the program here is written for NVIDIA GPUs rules out a kernel, not an idea that others have programs for.
    if needs and _is_kernel(document):
        if needs.cuda_capability and not device.cuda_capability:
            return f"Needs an NVIDIA GPU of CUDA capability {needs.cuda_capability}; {device.name} is none."
        if needs.triton and not (device.is_gpu or device.cuda_capability):
            return f"Needs Triton, which runs on GPUs; {device.name} is none."
    if device.is_gpu and (reason := _arithmetic(document, device)):
        return reason
    if device.is_gpu and (kind := _only_special(document, concepts)):
        return f"Is about {kind}; {device.name} is a GPU."
    return None


def _is_kernel(document: Document) -> bool:
    """Whether the technique is the program itself; another can be run by programs that the device has."""
    return bool({"kernels-compilers", "hardware-accelerators"} & set(document.families)) or bool(
        re.search(r"\bFP[48]\b", f"{document.title} {document.name}", re.IGNORECASE)
    )


def program_falls_short(document: Document, device: Device) -> str | None:
    """What the program here needs and the device lacks, as a sentence; None where it runs there."""
    needs = document.needs
    if needs is None:
        return None
    wanted, there = needs.cuda_capability, device.cuda_capability
    if wanted and there and _version(wanted) > _version(there):
        return f"The program here needs CUDA capability {wanted}, {device.name} has {there}; another may do"
    if wanted and not there:
        return f"The program here needs an NVIDIA GPU, {device.name} is none; another may do"
    if needs.triton and not (device.is_gpu or there):
        return f"The program here needs Triton, which runs on GPUs, {device.name} is none; another may do"
    return None


def _arithmetic(document: Document, device: Device) -> str | None:
    """A format or pattern that the title makes the paper's point and the device cannot compute with."""
    named = f"{document.title} {document.name}"
    for dtype, pattern in _FORMATS:
        if (found := pattern.search(named)) and device.tflops and dtype not in device.tflops:
            return f"Computes in {found.group()}; {device.name} has no {found.group()} units."
    if _SPARSE.search(named) and device.tflops and device.cuda_capability and not device.runs_sparse:
        return f"Needs units for 2:4 sparsity; {device.name} has none."
    return None


def _only_special(document: Document, concepts: Mapping[str, float]) -> str | None:
    """The kind of machine, when every machine that the record names is of that kind and the title speaks of it too."""
    for kind, pattern in _SPECIAL_HARDWARE:
        named = document.hardware
        if named and all(pattern.search(name) for name in named) and pattern.search(document.title):
            return kind
    if concepts.get("hardware.fpga", 0.0) >= 1.0 and not document.hardware:
        return "FPGAs or custom chips"
    return None


def _training(document: Document, need: Need) -> str | None:
    if need.training == "any" or need.stage in ("training", "data", "search"):
        return None
    if need.training == "none" and need.stage == "inference" and set(document.stage) == {"training"}:
        return "Its gain falls in training, and the need allows none."
    allowed, required = TRAINING_ORDER.index(need.training), required_training(document)
    if need.training == "finetune" and may_need_pretraining(document):
        return None
    # Some samples run through the model are no training; that they are needed is told with the answer.
    if TRAINING_ORDER.index(required) <= max(allowed, TRAINING_ORDER.index("calibration")):
        return None
    return f"Requires {TRAINING_NAMES[required]}; the need allows {TRAINING_NAMES[need.training]}."


def _architecture(document: Document, model: Model) -> str | None:
    """Where a card says which kinds of network it works on, and the model is of none of them."""
    kinds = {kind for effect in document.effects for kind in effect.architectures}
    if not kinds or not all(effect.architectures for effect in document.effects) or kinds & set(model.architectures):
        return None
    return f"Works on {' or '.join(sorted(_KINDS.get(kind, kind) for kind in kinds))}; {model.name} is none."


def _error(document: Document, need: Need) -> str | None:
    if need.max_error is None:
        return None
    error, quality = error_of(document), document.quality
    if error is None or quality is None or error <= need.max_error:
        return None
    allowed = f"the need allows {need.max_error:.1%}."
    if quality.error_budget is None:
        return f"The paper states a loss of {error:.1%}; {allowed}"
    # An error of outputs is no loss of accuracy: two in a hundred of the one is often none of the other.
    if need.max_error > 0 and _TASK.search(need.text):
        return None
    return f"Its outputs may be off by {error:.1%}; {allowed}"


def _required_by_record(document: Document) -> str:
    """The least training that a paper without a card is sure to require.

    A record says that training is required, not how much. A new architecture has no weights to start from, unless its
    paper speaks of a pretrained model that it adapts; for a technique the answer may be a few steps of calibration, so nothing is sure.
    """
    if document.training_free is False and document.kind == "architecture":
        return "finetune" if _STARTS_TRAINED.search(document.text) else "pretrain"
    return "none"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))
