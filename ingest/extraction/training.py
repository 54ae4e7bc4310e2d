"""Whether a method works on an existing model without training."""

from __future__ import annotations

import re

_FREE = re.compile(
    r"\btraining[- ]free\b|\btuning[- ]free\b|\bwithout (?:any |additional |further |extra |the need for |requiring |requiring any )*(?:model )?(?:re-?training|training|fine-?tuning|finetuning)\b"
    r"|\bno (?:additional |further |extra )?(?:re-?training|training|fine-?tuning)\b|\bpost[- ]training (?:quantization|pruning|compression|sparsi\w+)\b|\bPTQ\b|\bplug-and-play\b"
    r"|\bwithout re-?training\b|\bone-shot pruning\b|\bzero-shot (?:quantization|pruning|compression)\b|\bfine-?tuning-free\b|\bdata-free quantization\b|\boff-the-shelf\b[^.]{0,30}\bwithout\b",
    re.I,
)
_TRAINS = re.compile(
    r"\b(?:we|is|are|model|models|method|framework) (?:\w+ )?(?:train(?:ed|s)?|pre-?train(?:ed|s)?|fine-?tun(?:e|ed|es))\b|\btraining (?:strategy|scheme|objective|recipe|framework|method|procedure|loss|approach|data)\b"
    r"|\bdistill\w*\b|\bfine-?tuning\b|\bpre-?train\w*\b|\bend-to-end\b|\blearn(?:s|ed|able|ing)\b|\btrain(?:ed|ing)?\b|\boptimizer\b|\barchitecture search\b",
    re.I,
)
_FREE_FAMILIES = frozenset({"kv-cache", "serving-systems"})
_UNCLEAR_KINDS = frozenset({"survey", "benchmark", "dataset", "theory", "hardware", "other"})


def find_training_free(abstract: str, kind: str, families: tuple[str, ...]) -> tuple[bool | None, list[str]]:
    """True, False or None (unclear), and the words that decided."""
    if kind in _UNCLEAR_KINDS:
        return None, []
    free = _FREE.search(abstract)
    if free:
        return True, [free[0]]
    trains = _TRAINS.search(abstract)
    first = families[0] if families else ""
    if kind == "analysis":
        return (False, [trains[0]]) if trains and first in {"distillation", "peft"} else (None, [])
    if first in _FREE_FAMILIES or (first == "kernels-compilers" and kind == "system"):
        return (None, []) if trains else (True, [f"family: {first}"])
    if kind == "architecture" or trains or first:
        return False, [trains[0]] if trains else [f"kind: {kind}"]
    return None, []
