"""A need: what someone wants to make cheaper, where, and what they may not do."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recommender.glossary import glossary
from recommender.hardware.catalogue import CatalogueError, Device, devices, find_device
from recommender.hardware.models import BY_HAND, Model, model_or_kind, models
from recommender.hardware.naming import fold
from recommender.hardware.work import BYTES

STAGES = ("training", "fine-tuning", "inference", "search", "data")
TRAINING = ("none", "calibration", "finetune", "pretrain", "any")
OBJECTIVES = ("latency", "throughput", "memory", "cost")
DTYPES = tuple(name for name in BYTES if name != "tf32")
# The largest that a field takes: beyond any machine, and small enough that no product overflows a float.
LIMITS: Mapping[str, int] = {
    "gpus": 65_536, "batch": 1_000_000, "prompt": 100_000_000, "new_tokens": 10_000_000, "seq": 100_000_000,
}  # fmt: skip
BUDGETS: Mapping[str, float] = {"memory_gib": 1e6, "first_token_ms": 1e8, "token_ms": 1e7, "step_ms": 1e9}
# A relative error beyond it is a percentage that was meant otherwise.
MOST_ERROR = 1.0
LONGEST_TEXT = 20_000
LONGEST_NAME = 200
LEAST_LIKE = 0.5


class NeedError(ValueError):
    """A field of the need is wrong; the message names it, what was given and what would be right."""


@dataclass(frozen=True)
class Need:
    """Lengths are in tokens for each of `batch`; `max_error` is the largest accepted relative error.

    `dtype` is the format of the weights before any technique. Budgets: `memory_gib` over all devices, milliseconds to
    the first token, for each further one, and for a training step.
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
    dtype: str | None = None
    memory_gib: float | None = None
    first_token_ms: float | None = None
    token_ms: float | None = None
    step_ms: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise NeedError("need: must say in words what is wanted")
        if len(self.text) > LONGEST_TEXT:
            raise NeedError(f"need: at most {LONGEST_TEXT:,} characters, not {len(self.text):,}")
        allowed = (("stage", STAGES), ("training", TRAINING), ("objective", OBJECTIVES), ("dtype", DTYPES))
        for field, values in allowed:
            value = getattr(self, field)
            if value is not None and value not in values:
                raise NeedError(f"{field}: {value!r} is unknown; must be one of {', '.join(values)}")
        for field, most in LIMITS.items():
            value = getattr(self, field)
            if value is None and field not in ("gpus", "batch"):
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise NeedError(f"{field}: must be a whole number of at least 1, not {value!r}")
            if value > most:
                raise NeedError(f"{field}: must be at most {most:,}, not {value:,}")
        for field, largest in BUDGETS.items():
            _check_amount(field, getattr(self, field), largest)
        if self.max_error is not None and not 0 <= self.max_error < float("inf"):
            raise NeedError(f"max_error: must be a number of at least 0 (0.01 is 1 %), not {self.max_error!r}")
        for field in ("gpu", "model"):
            value = getattr(self, field)
            if value is not None and len(value) > LONGEST_NAME:
                raise NeedError(f"{field}: at most {LONGEST_NAME} characters, not {len(value):,}")

    def device(self) -> Device | None:
        """The one device that is named; None when several kinds are, or one that the catalogue does not know."""
        return one_device(self.gpu) if self.gpu else None

    def shape(self) -> Model | None:
        """Raises: NeedError for a shape by hand that no model can have."""
        try:
            return model_or_kind(self.model) if self.model else None
        except CatalogueError as fault:
            raise NeedError(f"model: {str(fault).removeprefix('model: ')}") from None


def _check_amount(field: str, value: Any, largest: float) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise NeedError(f"{field}: must be a number above 0, not {value!r}")
    if value > largest:
        raise NeedError(f"{field}: must be at most {largest:,.0f}, not {value:,.6g}")


def check_known(need: Need) -> Need:
    """The need itself, where what it names can be reckoned with: for a person, who had better be told at once.

    Raises: NeedError for a GPU or a model that the catalogues do not hold, with the names that come nearest.
    """
    if need.gpu and not _is_machine(need.gpu):
        raise NeedError(f"gpu: {need.gpu!r} is not in the catalogue; {_nearest(need.gpu, list(devices()))}")
    if need.model and need.shape() is None:
        raise NeedError(
            f"model: {need.model!r} is not in the catalogue; {_nearest(need.model, list(models()))}. "
            "Or give its size, such as “7B”, or its shape, such as “layers=32 hidden=4096 heads=32 kv_heads=8 ffn=14336 vocab=32000”"
        )
    return need


def check_consistent(need: Need, given: Mapping[str, Any]) -> Need:
    """The need itself, where the fields that were given (by name) can hold together.

    Raises: NeedError that names the fields which contradict each other.
    """
    device, model = need.device(), need.shape()
    trains = need.stage in ("training", "fine-tuning")

    if "stage" in given:
        for field in ("first_token_ms", "token_ms", "new_tokens") if trains else ("step_ms",):
            if field in given:
                raise NeedError(f"stage, {field}: there is none in {need.stage}; leave one of them out")
    if device and need.memory_gib and "memory_gib" in given and need.memory_gib > device.memory_gib * need.gpus:
        raise NeedError(
            f"memory_gib, gpu: {need.memory_gib:g} GiB are more than the {device.memory_gib * need.gpus:g} GiB "
            f"of {need.gpus} × {device.name}"
        )
    if device and need.gpus > 1 and device.device_class in ("phone", "mcu"):
        raise NeedError(f"gpus, gpu: {need.gpus} × {device.name} cannot share a model; ask for one")
    if model and not model.is_decoder:
        for field in ("new_tokens", "token_ms"):
            if field in given:
                raise NeedError(f"{field}, model: {model.name} makes no tokens; leave one of them out")
    if need.max_error == 0 and "max_error" in given and need.dtype in ("int8", "int4", "fp4", "fp8"):
        raise NeedError(f"max_error, dtype: weights in {need.dtype} are not without error; give an error above 0")
    return need


def _is_machine(text: str) -> bool:
    """A device of the catalogue, or a kind of machine in plain words ("GPU", "edge", "FPGA")."""
    if find_device(text) is not None or re.search(r"\b(?:multi-?)?(?:gpus?|cpus?|edge|laptop|any)\b", text.lower()):
        return True
    # With a digit it means one device, which is not there.
    return not re.search(r"\d", text) and any(key.startswith("hardware.") for key in glossary().occurrences(text))


def _nearest(text: str, names: list[str]) -> str:
    if BY_HAND.match(text.lower()) or not (near := nearest_names(text, names)):
        return f"known are {', '.join(sorted(names)[:3])} and {len(names) - 3} more; or leave it out"
    return f"near it are {', '.join(near)}; or leave it out"


def nearest_names(text: str, names: list[str]) -> list[str]:
    """The three names that come nearest, by their spelling and by the words and numbers that they share; none where none is like it."""
    wanted = fold(text)
    words = set(re.findall(r"[a-z]+|[\d.]+", wanted))

    def likeness(name: str) -> float:
        folded = fold(name)
        shared = len(words & set(re.findall(r"[a-z]+|[\d.]+", folded))) / max(len(words), 1)
        return difflib.SequenceMatcher(None, wanted, folded).ratio() + shared

    near = sorted(names, key=lambda name: (-likeness(name), name))[:3]
    return [name for name in near if likeness(name) >= LEAST_LIKE]


def one_device(text: str) -> Device | None:
    """The device named, unless it is only one of several kinds of machines that the text speaks of."""
    found = find_device(text)
    if found is None or found.is_gpu or found.cuda_capability:
        return found
    kinds = {key for key in glossary().occurrences(text) if key.startswith("hardware.")}
    return None if len(kinds) > 1 or re.search(r"\bgpus?\b", text.lower()) else found
