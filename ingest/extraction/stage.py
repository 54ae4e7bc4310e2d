"""At which stage of a model's life the benefit falls, and of which phase a number is that names none."""

from __future__ import annotations

from .signals import TABLES, weigh_phrases
from .text import Document
from .weights import Totals

_TRAINING = frozenset({"distributed-training", "memory-efficient-training", "training-efficiency", "data-efficiency"})
_ENOUGH = 3.0
"""How loud a family must be spoken of to decide alone."""
_FAMILY_COUNTS = 8.0
"""A family that says where it helps counts as much as so many words."""


def find_stage(sums: Totals, families: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
    """Stages, the likeliest first, and the signals behind them; none for a paper without a family."""
    if not families:
        return (), []
    totals, threshold = sums.of("stage"), sums.threshold("stage")
    ranked = sorted(totals, key=totals.__getitem__, reverse=True)
    chosen = tuple(label for rank, label in enumerate(ranked) if rank == 0 or totals[label] >= threshold)
    return chosen, sums.words("stage", chosen)


def usual_phase(document: Document) -> str:
    """The phase of a number that names none, from the loudest family and the words of title and abstract."""
    families = weigh_phrases(document.found[TABLES["families"]])
    loudest = max(families, key=families.__getitem__, default="")
    first = loudest if families.get(loudest, 0.0) >= _ENOUGH else ""
    if first in _TRAINING:
        return "training"
    if first == "peft":
        return "fine-tuning"
    stages = weigh_phrases(document.found[TABLES["stages"]])
    prior = _FAMILY_COUNTS if first else 0.5 * _FAMILY_COUNTS
    return "training" if stages.get("training", 0.0) > stages.get("inference", 0.0) + prior else "inference"
