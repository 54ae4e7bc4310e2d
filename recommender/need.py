"""A need: what someone wants to make cheaper, where, and what they may not do."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from recommender.glossary import glossary
from recommender.hardware.catalogue import Device, devices, find_device
from recommender.hardware.models import Model, find_model, models

STAGES = ("training", "fine-tuning", "inference", "search", "data")
TRAINING = ("none", "calibration", "finetune", "pretrain", "any")
OBJECTIVES = ("latency", "throughput", "memory", "cost")


class NeedError(ValueError):
    """A field of the need is wrong; the message names it, what was given and what would be right."""


@dataclass(frozen=True)
class Need:
    """Lengths are in tokens for each of `batch`; `max_error` is the largest accepted relative error.

    Raises: NeedError when a field holds what it may not.
    """

    text: str
    stage: str | None = None
    gpu: str | None = None
    gpus: int = 1
    model: str | None = None
    batch: int = 1
    prompt: int | None = None
    new_tokens: int | None = None
    seq: int | None = None
    training: str = "any"
    max_error: float | None = None
    objective: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise NeedError("need: must say in words what is wanted")
        for field, allowed in (("stage", STAGES), ("training", TRAINING), ("objective", OBJECTIVES)):
            value = getattr(self, field)
            if value is not None and value not in allowed:
                raise NeedError(f"{field}: {value!r} is unknown; must be one of {', '.join(allowed)}")
        for field in ("gpus", "batch", "prompt", "new_tokens", "seq"):
            value = getattr(self, field)
            if value is None and field not in ("gpus", "batch"):
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise NeedError(f"{field}: must be a whole number of at least 1, not {value!r}")
        if self.max_error is not None and not 0 <= self.max_error < float("inf"):
            raise NeedError(f"max_error: must be a number of at least 0, not {self.max_error!r}")

    def device(self) -> Device | None:
        """The one device that is named; None when several kinds are, or one that the catalogue does not know."""
        return one_device(self.gpu) if self.gpu else None

    def shape(self) -> Model | None:
        return find_model(self.model) if self.model else None


def check_known(need: Need) -> Need:
    """The need itself, where what it names can be reckoned with: for a person, who had better be told at once.

    Raises: NeedError for a GPU or a model that the catalogues do not hold, with the names that come nearest.
    """
    if need.gpu and not _is_machine(need.gpu):
        raise NeedError(f"gpu: {need.gpu!r} is not in the catalogue; {_nearest(need.gpu, list(devices()))}")
    if need.model and find_model(need.model) is None:
        raise NeedError(f"model: {need.model!r} is not in the catalogue; {_nearest(need.model, list(models()))}")
    return need


def _is_machine(text: str) -> bool:
    """A device of the catalogue, or a kind of machine in plain words ("GPU", "edge", "FPGA")."""
    if find_device(text) is not None or re.search(r"\b(?:multi-?)?(?:gpus?|cpus?|edge|laptop|any)\b", text.lower()):
        return True
    # With a digit it means one device, which is not there.
    return not re.search(r"\d", text) and any(key.startswith("hardware.") for key in glossary().occurrences(text))


def _nearest(text: str, names: list[str]) -> str:
    by_fold = {name.lower(): name for name in names}
    near = difflib.get_close_matches(text.lower(), list(by_fold), n=3, cutoff=0.3) or sorted(by_fold)[:3]
    return f"near it are {', '.join(by_fold[name] for name in near)}; or leave it out"


def one_device(text: str) -> Device | None:
    """The device named, unless it is only one of several kinds of machines that the text speaks of."""
    found = find_device(text)
    if found is None or found.is_gpu or found.cuda_capability:
        return found
    kinds = {key for key in glossary().occurrences(text) if key.startswith("hardware.")}
    return None if len(kinds) > 1 or re.search(r"\bgpus?\b", text.lower()) else found
