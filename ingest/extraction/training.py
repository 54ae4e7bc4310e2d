"""Whether a method works on an existing model without training."""

from __future__ import annotations

from .text import Document
from .vocabulary import BACKGROUND, LEXICON
from .words import word_set

_TRAINING = ("training", "retraining", "re training", "fine tuning", "finetuning", "model training", "model retraining")
_SPARED = ("", "any ", "additional ", "further ", "extra ", "any additional ", "any further ", "requiring ", "requiring any ",
           "the need for ", "needing ", "the need for any ", "any re", "costly ", "expensive ")  # fmt: skip
_FREE = LEXICON.add(
    (phrase, ())
    for phrase in (
        *(f"without {spared}{training}" for spared in _SPARED for training in _TRAINING),
        *(f"no {spared}{training}" for spared in _SPARED[:5] for training in _TRAINING),
        *(f"{training} free" for training in ("training", "tuning", "fine tuning", "finetuning", "retraining", "train")),
        *(f"{how} {what}" for how in ("post training", "posttraining", "zero shot", "data free")
          for what in ("quantization", "pruning", "compression", "sparsification", "weight quantization")),
        "ptq", "plug and play", "one shot pruning",
    )
)  # fmt: skip
_TRAINS = word_set(
    """
    train trained training pretrain pretrained pretraining finetune finetuned finetuning tuning distill distillation distilled
    distilling learn learned learnable learning optimizer
    """
)
_RUNNING_FAMILIES = frozenset({"kv-cache", "serving-systems"})
_FREE_FAMILIES = frozenset({"token-reduction", "efficient-attention"})
"""Families that work on a trained model where an abstract says nothing of training."""
_TRAINED_FAMILIES = frozenset({"distillation", "peft", "data-efficiency", "training-efficiency", "nas"})
_UNCLEAR_KINDS = frozenset({"survey", "benchmark", "dataset", "theory", "hardware", "other"})


def find_training_free(document: Document, kind: str, families: tuple[str, ...]) -> tuple[bool | None, list[str]]:
    """True, False or None (unclear), and the words that decided."""
    if kind in _UNCLEAR_KINDS:
        return None, []
    free = next((phrase for place, _, phrase, _ in document.found[_FREE] if place != BACKGROUND), None)
    if free is not None:
        return True, [free]
    trains = sorted(_TRAINS.intersection([word[0] for word in document.words]))[:3]
    first = families[0] if families else ""
    if kind == "analysis":
        return (False, trains) if trains and first in _TRAINED_FAMILIES else (None, [])
    runs_only = first in _RUNNING_FAMILIES or (first == "kernels-compilers" and kind == "system")
    if not trains and (runs_only or first in _FREE_FAMILIES):
        return True, [f"family: {first}"]
    if runs_only or not (trains or first or kind == "architecture"):
        return None, []
    return False, trains or [f"kind: {kind}"]
