"""What a need's words say that cannot be, and what of them was not understood or taken one way of several.

What cannot be is refused, as a field would be; the rest is told beside the answer.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from recommender.hardware.catalogue import Device, devices, devices_named, find_device
from recommender.hardware.models import find_model, models
from recommender.hardware.naming import fold
from recommender.need import LIMITS, MOST_ERROR, Need, NeedError, nearest_names

_AMOUNT = r"([-−]?\d[\d,]{0,14}(?:\.\d{1,6})?(?:e\d{1,3})?)\s?(k|m|b|thousand|million|billion|trillion)?"
_TIMES: Mapping[str, float] = {
    "": 1.0, "k": 1e3, "thousand": 1e3, "m": 1e6, "million": 1e6, "b": 1e9, "billion": 1e9, "trillion": 1e12,
}  # fmt: skip
# How each amount is said: before its word or after it.
_SAID: Mapping[str, tuple[str, ...]] = {
    "prompt": (rf"{_AMOUNT}[\s-]*(?:tokens? )?(?:long )?(?:prompts?|context)\b", rf"\b(?:prompts?|context) (?:length )?(?:of )?{_AMOUNT}"),
    "new_tokens": (rf"{_AMOUNT}[\s-]*(?:new|output|generated)[\s-]tokens?",),
    "seq": (rf"\bsequence length (?:of )?{_AMOUNT}",),
    "batch": (
        rf"\bbatch(?:[\s-]?size)? ?(?:of|:|=)? ?{_AMOUNT}(?![\w.]|\s*tokens?)",
        rf"{_AMOUNT} (?:concurrent|parallel|simultaneous) (?:users?|requests?|streams?|chats?|sessions?)",
    ),
    "gpus": (rf"(?<![\w.-])(?<!rtx )(?<!gtx ){_AMOUNT} gpus?\b(?![\s-]?(?:days?|hours?|years?|core))", r"(?<![\w.])([-−]?\d{1,9})()\s?[x×]\s?(?=(?:nvidia |amd )?(?:rtx|gtx|[a-z]{1,2}\d))"),
}  # fmt: skip
_PERIODS = re.compile(
    r"(?:within|under|below|at most|less than|<=?) ?([-−]\d+(?:\.\d+)?|0+(?:\.0+)?) ?(?:ms|milliseconds?|s|sec(?:onds?)?)\b[^.;,]{0,30}"
)
_ERROR = re.compile(
    r"(?:at most|under|below|less than|within|up to) (\d{1,9}(?:\.\d{1,6})?) ?(?:%|percent) (?:relative )?(?:error|loss|drop)"
)
_MEMORY = re.compile(
    r"(?<![\w.])(\d{1,9}(?:\.\d{1,3})?) ?(k|m|g|t)i?b\b(?:[\s-](?:gpus?|cards?|of (?:gpu |video )?(?:v?ram|memory)|v?ram|(?:gpu |video )?memory))"
    r"|\bgpus? (?:with|of) (\d{1,9}(?:\.\d{1,3})?) ?(k|m|g|t)i?b\b"
)
_GIB: Mapping[str, float] = {"k": 2.0**-20, "m": 2.0**-10, "g": 1.0, "t": 2.0**10}
LEAST_GPU_GIB = 0.5
# Longer texts are abstracts, whose numbers are of others.
LONGEST_SAID = 600
_LIKE_A_GPU = re.compile(
    r"(?<![\w-])(?:nvidia |geforce )?(?:(?:rtx|gtx)[\s-]?[a-z]?\d{2,5}(?:[\s-]?(?:ti|super))?|(?:radeon )?rx[\s-]?\d{3,4}(?:[\s-]?xtx?)?"
    r"|[abhlvtp]\d{2,4}[a-z]?|mi\d{2,3}x?)(?![\w-])",
    re.IGNORECASE,
)  # fmt: skip
_SERIES = r"llama|qwen|mistral|mixtral|gemma|phi|opt|falcon|bloom|pythia|mpt|deepseek|gpt|vit|mamba|rwkv|bert|resnet"
# What these are called says nothing without a size; other names are words too.
_SERIES_OF_SIZES = frozenset({"llama", "qwen", "gemma", "deepseek", "falcon"})
_LIKE_A_MODEL = re.compile(rf"(?<![\w-])(?:{_SERIES})(?:[\s-]?v?\d+(?:\.\d+)?b?(?![\w.]))*(?![\w])", re.IGNORECASE)


def refuse_what_cannot_be(text: str, given: Collection[str]) -> None:
    """Raises NeedError that names the field whose amount the words say and that cannot be; fields that were given apart win."""
    if len(text) > LONGEST_SAID:
        return
    lower = " ".join(text.lower().split())
    for field, patterns in _SAID.items():
        for pattern in patterns:
            if field in given:
                continue
            for found in re.finditer(pattern, lower):
                _check(field, found[1], found[2] or "")
    if (error := _ERROR.search(lower)) and "max_error" not in given and float(error[1]) > 100 * MOST_ERROR:
        raise NeedError(f"max_error: must be at most {MOST_ERROR:.0%}; the words say {error[1]} %")
    if period := _PERIODS.search(lower):
        around = lower[max(0, period.start() - 30) : period.end()]
        field = "step_ms" if "step" in around else "first_token_ms" if re.search("first|ttft", around) else "token_ms"
        if field not in given:
            raise NeedError(f"{field}: must be a time above 0; the words say “{period[0].strip()}”")
    if "memory_gib" not in given:
        _refuse_memory(lower)


def _check(field: str, digits: str, unit: str) -> None:
    amount = float(digits.replace(",", "").replace("−", "-")) * _TIMES[unit]
    if not 1 <= amount <= LIMITS[field]:
        raise NeedError(f"{field}: must be a whole number from 1 to {LIMITS[field]:,}; the words say {amount:,.6g}")


def _refuse_memory(lower: str) -> None:
    """Memory that no GPU is so small to have: the unit was mistaken."""
    device = find_device(lower)
    if device is not None and device.device_class == "mcu":
        return
    for number, unit, gib in _memories(lower):
        if unit in "km" and gib < LEAST_GPU_GIB:
            larger = "GB" if unit == "m" else "MB or GB"
            raise NeedError(
                f"memory_gib: {number} {unit.upper()}B are {gib:.3g} GiB, less than any GPU has; is {number} {larger} meant?"
            )


def memory_said(lower: str) -> float | None:
    """GiB that the words give a GPU or its memory, "a 24 GB GPU"; None without any."""
    return next((gib or None for _, _, gib in _memories(lower)), None)


def _memories(lower: str) -> Iterator[tuple[str, str, float]]:
    """Number, unit and GiB of each amount of a GPU's memory."""
    for found in _MEMORY.finditer(lower):
        number, unit = (found[1], found[2]) if found[1] else (found[3], found[4])
        yield number, unit, float(number) * _GIB[unit]


def remarks(need: Need) -> Iterator[str]:
    """Sentences on what the words say that was not understood, or could be taken otherwise."""
    device = need.device()
    if len(need.text) > LONGEST_SAID:
        return
    yield from _unknown(need, device)
    yield from _one_of_several(need, device)
    said = memory_said(" ".join(need.text.lower().split()))
    if said and device and need.memory_gib is None and said > device.memory_gib * need.gpus * 1.05:
        yield f"The words speak of {said:g} GB of memory; {device.name} has {device.memory_gib:g} GiB, which is reckoned with."
    if need.batch > 1 or any(getattr(need, field) for field in ("token_ms", "first_token_ms", "step_ms", "prompt")):
        yield from _cannot_be_reckoned(need, device)
    if need.max_error is not None and need.max_error > MOST_ERROR:
        yield f"An error of {need.max_error:g} is {need.max_error:.0%} and rules nothing out; {need.max_error:g} % is {need.max_error / 100:g}."
    if need.stage == "training" and need.training == "none":
        yield "The words ask for training and also allow none; it is reckoned as training. Say which of them is meant."


def _cannot_be_reckoned(need: Need, device: Device | None) -> Iterator[str]:
    """What is missing before memory and time can be told."""
    if need.shape() is None:
        yield "Without a model neither memory nor time can be reckoned: name one, or its size, such as “7B model”."
    elif device is None:
        yield "Without a device no time can be reckoned: name one, such as “RTX 4090”."


def _unknown(need: Need, device: Device | None) -> Iterator[str]:
    for found in dict.fromkeys(match[0].strip() for match in _LIKE_A_GPU.finditer(need.text)):
        if find_device(found) is None:
            instead = f"; {device.name} is reckoned with" if device else ", so no device is reckoned with"
            yield f"“{found}” is not in the catalogue of devices{instead}. {_near(found, list(devices()))}"
    model = need.shape()
    for found in dict.fromkeys(match[0].strip() for match in _LIKE_A_MODEL.finditer(need.text)):
        numbered = bool(re.search(r"\d", found))
        if model is None and find_model(found) is None and (numbered or found.lower() in _SERIES_OF_SIZES):
            what = "names no one model" if not numbered else "is not in the catalogue of models"
            yield f"“{found}” {what}, so none is reckoned with. {_near(found, list(models()))}"


def _near(text: str, names: list[str]) -> str:
    near = nearest_names(text, names)
    return f"Near it are {', '.join(near)}." if near else f"Known are {', '.join(sorted(names)[:3])} and others."


def _one_of_several(need: Need, device: Device | None) -> Iterator[str]:
    if device is None:
        return
    named = devices_named(need.gpu if need.gpu and find_device(need.gpu) and need.gpu != device.name else need.text)
    others = [name for name in named if name != device.name]
    if others:
        yield f"{' and '.join(others)} {'is' if len(others) == 1 else 'are'} named as well; {device.name} is reckoned with."
        return
    said = f" {fold(need.text)} "
    word = max(
        (one for one in fold(device.name).split() if re.search(r"\d", one) or one == "orin"), key=len, default=""
    )
    like = [name for name in devices() if word and f" {word} " in f" {fold(name)} " and name != device.name]
    if like and f" {word} " in said and fold(device.name).split()[-1] not in said.split() and need.gpu == device.name:
        yield f"“{word.capitalize() if word.isalpha() else word.upper()}” is taken as {device.name}; there is also {', '.join(like)}."
