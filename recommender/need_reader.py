"""Reading a need out of plain words: "one RTX 4090, Llama-3-8B, 32k prompts, no retraining"."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from recommender.glossary import glossary
from recommender.hardware.catalogue import count_devices, find_device
from recommender.hardware.models import find_model, kind_named
from recommender.need import BUDGETS, LIMITS, LONGEST_TEXT, Need, NeedError, check_consistent, check_known, one_device
from recommender.need_words import LONGEST_SAID, memory_said, refuse_what_cannot_be

LONGEST_READ = LONGEST_TEXT
# What makes a budget of a machine's name. An aim or a stage alone does not: "fast attention on an A100" looks for papers.
TERMS = ("model", "gpus", "prompt", "new_tokens", "seq", "batch", "training", "max_error", "memory_gib", "token_ms",
         "first_token_ms", "step_ms")  # fmt: skip
_PERIOD = r"(\d{1,6}(?:\.\d{1,3})?) ?(ms|milliseconds?|s|sec(?:onds?)?)\b"
_NUMBER = r"(?<![\w.,])(\d{1,12}(?:[.,]\d{1,6}){0,3})\s?(k|m|thousand|million)?"


def _any_of(*phrases: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(phrases)})\b")


_TUNE = r"(?:re-?train\w*|train\w*|fine-?\s?tun\w*)"
# Within each table the first rule that matches wins.
_PERMITTED = r"(?:is |are |would be )?(?:allowed|ok|okay|fine|possible|permitted|acceptable)"
_MAY = r"may (?:also |still )?(?:re-?train|fine-?\s?tune)"
_TRAINING = {
    "none": _any_of(
        rf"{_TUNE} (?:is |are )?(?:not (?:allowed|ok|okay|possible|permitted|acceptable|wanted)|forbidden|impossible)",
        rf"(?:no|without|zero|avoid) (?:any |additional |further |more )?{_TUNE}",
        r"training[\s-]free", r"tuning[\s-]free", r"(?:cannot|can't|must not|may not|do not want to) (?:re-?train|fine-?tune)",
    ),
    "calibration": _any_of(r"calibrat\w*", r"post[\s-]training"),
    "finetune": _any_of(rf"(?:re-?train\w*|fine-?\s?tun\w*) {_PERMITTED}", _MAY, rf"(?:cheap|light|short|little|some|brief|only) {_TUNE}"),
    "pretrain": _any_of(r"from scratch", r"pre-?train\w*"),
}  # fmt: skip
_MAY_TUNE = _any_of(rf"{_TUNE} {_PERMITTED}", _MAY)
_STAGES = {
    "data": _any_of(
        r"data (?:selection|pruning|curation|mixture)", r"select\w* (?:training )?data", r"dedupl\w+",
        r"dataset distillation", r"coresets?",
    ),
    "search": _any_of(r"architecture search", r"hyper-?parameter (?:search|tuning|optimi[sz]ation)", r"nas"),
    "fine-tuning": _any_of(r"fine-?\s?tun\w+", r"q?lora", r"adapters?", r"instruction tuning"),
    "inference": _any_of(
        r"inference", r"serv(?:e|ing)", r"decod\w+", r"deploy\w*", r"real[\s-]?time", r"latency", r"generat\w+",
        r"time[\s-]to[\s-]first", r"post-training", r"on-device", r"prompts?", r"run(?:ning)?",
    ),
    "training": _any_of(r"pre-?train\w*", r"train(?:ing)?", r"optimi[sz]er", r"gradients?", r"backward"),
}  # fmt: skip
_OBJECTIVES = {
    "throughput": _any_of(r"throughput", r"goodput", r"(?:tokens?|requests?) (?:per|a) second", r"concurrent"),
    "memory": _any_of(r"memory", r"vram", r"oom", r"fits?", r"footprint"),
    "latency": _any_of(
        r"latency", r"real[\s-]?time", r"fast(?:er)?", r"speed\w*", r"slow", r"quick\w*", r"milliseconds?"
    ),
    "cost": _any_of(r"costs?", r"cheap\w*", r"budget", r"energy", r"carbon", r"price"),
}
_AMOUNTS: Mapping[str, Sequence[str]] = {
    "prompt": (
        rf"{_NUMBER}[\s-]*(?:tokens? )?(?:long )?(?:prompts?|inputs?|context)\b",
        rf"\b(?:prompts?|inputs?|context)(?: length| window| lengths)? ?(?:of|:|=|with|up to)? ?(?:about )?{_NUMBER}\b",
    ),
    "new_tokens": (
        rf"{_NUMBER}[\s-]*(?:new|output|generated)[\s-]tokens?",
        rf"\bgenerat\w+ (?:about )?{_NUMBER} tokens?",
    ),
    "seq": (
        rf"\bsequences?(?: length)? ?(?:of|:|=)? ?{_NUMBER}\b",
        rf"{_NUMBER}[\s-]*(?:tokens? )?sequences?\b",
    ),
    "batch": (
        rf"\bbatch(?:[\s-]?size)? ?(?:of|:|=)? ?{_NUMBER}\b",
        rf"{_NUMBER} (?:concurrent|parallel|simultaneous) (?:users?|requests?|streams?|chats?|conversations?|sessions?|clients?|customers?|people|sequences?|queries)",
    ),
}
_ERROR = re.compile(
    r"(?:at most|under|below|less than|within|up to|max(?:imum)?) (\d{1,3}(?:\.\d{1,6})?) ?(?:%|percent) "
    r"(?:relative )?(?:error|loss|accuracy|quality|degradation|drop)"
)
_SPEED = re.compile(
    r"(?:at least|over|above|more than|>=?) ?(\d{1,5}(?:\.\d{1,3})?) ?(?:tokens?|tok)(?: ?/ ?| (?:per|a|each) )s(?:ec(?:ond)?)?\b"
)
_TIMES: Mapping[str, re.Pattern[str]] = {
    "first_token_ms": re.compile(
        rf"(?:first[\s-]token|ttft)[^.;]{{0,30}}?(?:under|below|within|at most|less than|<=?) ?{_PERIOD}"
    ),
    "token_ms": re.compile(
        rf"(?:under|below|within|at most|less than|<=?) ?{_PERIOD} ?(?:per|a|each|/) ?(?:new |output |generated )?token"
    ),
    "step_ms": re.compile(
        rf"(?:under|below|within|at most|less than|<=?) ?{_PERIOD} ?(?:per|a|each|/) ?(?:training )?step"
    ),
}
_DTYPE = re.compile(r"\b(?:in|at|with) (fp32|fp16|bf16)\b")
_MEMORY = re.compile(
    r"(?:into|in|within|under|below|only|at most) (\d{1,4}) ?gi?b(?: of)?(?: gpu| video)? ?(?:v?ram|memory)\b"
)
_ON_CPU = re.compile(r"\b(?:on|with|for|have) (?:\w+[\s-]){0,3}(?:cpus?|cores?)\b|\bcpu[\s-]only\b")


def read_need(text: str, **given: Any) -> Need:
    """A need from words; what is given wins over what the words say, and None counts as not given.

    Raises: NeedError for an unknown or wrong field.
    """
    fields = {field.name for field in dataclasses.fields(Need)} - {"text"}
    if unknown := set(given) - fields:
        raise NeedError(f"{sorted(unknown)[0]}: no such field; a need has {', '.join(sorted(fields))}")
    said = _read(text) if isinstance(text, str) else {}
    fields_given = {**said, **{name: value for name, value in given.items() if value is not None}}
    if fields_given.get("training") in ("none", "calibration"):
        # What may not be trained is there already: it is to run better.
        fields_given.setdefault("stage", "inference")
    need = Need(text, **fields_given)
    device = need.device()
    if given.get("gpus") is None and device is not None and device.device_class in ("phone", "mcu"):
        return dataclasses.replace(need, gpus=1)  # "200x faster on a phone" counts no phones
    return need


def ask(text: str, **given: Any) -> Need:
    """A need from a person: read, known to the catalogues, and without contradiction. Raises: NeedError."""
    present = {name: value for name, value in given.items() if value is not None}
    if isinstance(text, str) and len(text) <= LONGEST_TEXT:
        refuse_what_cannot_be(unicodedata.normalize("NFKC", text), present)
    return check_consistent(check_known(read_need(text, **present)), present)


def is_budget(text: str) -> bool:
    """Whether words tell a situation to advise on: a machine by its name, and what is to run there or on which terms."""
    if len(text) > LONGEST_SAID or one_device(text) is None:
        return False
    said = _read(text)
    return "gpu" in said and any(name in said for name in TERMS)


def _read(text: str) -> dict[str, Any]:
    text = unicodedata.normalize("NFKC", text[:LONGEST_READ])  # full-width letters and digits are the plain ones
    lower = " ".join(text.lower().split())
    found: dict[str, Any] = {}
    if model := find_model(text):
        found["model"] = model.name
    if device := one_device(text):
        # "offload to the CPU" names no machine to run on.
        if device.device_class != "cpu" or _ON_CPU.search(lower):
            found["gpu"] = device.name
    elif classes := _hardware_words(text):
        found["gpu"] = classes
    if "model" not in found and device and (kind := kind_named(text)):
        found["model"] = kind  # of a budget; words about papers name kinds of models as well
    count = count_devices(lower)
    if count and count <= LIMITS["gpus"]:
        found["gpus"] = count
    for field, patterns in _AMOUNTS.items():
        amount = _amount(lower, patterns)
        if amount is not None and amount <= LIMITS[field]:
            found[field] = amount
    if training := _first(lower, _TRAINING):
        found["training"] = training
    # "no fine-tuning" and "fine-tuning allowed" say nothing about when the benefit is wanted.
    unsaid = _TRAINING["none"].sub(" ", lower)
    permitted = _MAY_TUNE.sub(" ", unsaid)
    if stage := _first(permitted, _STAGES):
        found["stage"] = stage
    elif permitted != unsaid:
        found["stage"] = "inference"  # what may be tuned is there already: it is to run better
    if objective := _first(lower, _OBJECTIVES):
        found["objective"] = objective
    if error := _ERROR.search(lower):
        found["max_error"] = float(error[1]) / 100
    return found | _budgets(lower)


def _budgets(lower: str) -> dict[str, Any]:
    """Times that the words allow: "first token within 500 ms", "at least 20 tokens per second" of one stream."""
    found: dict[str, Any] = {}
    for field, pattern in _TIMES.items():
        if amount := pattern.search(lower):
            ms = float(amount[1]) * (1 if amount[2].startswith("m") else 1000)
            if ms > 0:
                found[field] = ms
    if (speed := _SPEED.search(lower)) and float(speed[1]) > 0:
        found.setdefault("token_ms", 1000 / float(speed[1]))
    if dtype := _DTYPE.search(lower):
        found["dtype"] = dtype[1]
    if (memory := _MEMORY.search(lower)) and int(memory[1]):
        found["memory_gib"] = float(memory[1])
    elif (said := memory_said(lower)) and find_device(lower) is None and said <= BUDGETS["memory_gib"]:
        found["memory_gib"] = said  # "a 24 GB GPU" of no name
    return found


def _hardware_words(text: str) -> str | None:
    """Kinds of machines that the text names without naming a product: "multi-gpu, mobile"."""
    kinds = [key.removeprefix("hardware.") for key in glossary().occurrences(text) if key.startswith("hardware.")]
    return ", ".join(kinds) or None


def _first(text: str, rules: Mapping[str, re.Pattern[str]]) -> str | None:
    return next((value for value, pattern in rules.items() if pattern.search(text)), None)


def _amount(text: str, patterns: Sequence[str]) -> int | None:
    """The first amount of tokens or sequences that a pattern finds; "32k" is 32,768 as lengths usually are."""
    for pattern in patterns:
        if found := re.search(pattern, text):
            value = int(_number(found[1], found[2] or ""))
            return value if value >= 1 else None
    return None


def _number(digits: str, unit: str) -> float:
    if not unit:
        return float(digits.replace(",", ""))
    number = float(digits.replace(",", "."))
    if unit == "k":
        return number * (1024 if number.is_integer() and int(number) & (int(number) - 1) == 0 else 1000)
    return number * (1000 if unit == "thousand" else 1_000_000)
