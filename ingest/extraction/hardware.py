"""Hardware that an abstract names, in short form: the named device first, the class ("GPU", "mobile") only where it
stands alone."""

from __future__ import annotations

import re
from typing import NamedTuple

from .text import Document, Sentence
from .words import know, trigger


class Mention(NamedTuple):
    """A number's place in the abstract, and in its list of `listed` numbers."""

    start: int
    end: int
    order: int = 0
    listed: int = 1


class Device(NamedTuple):
    """`label` found at `start` to `end` of the text."""

    label: str
    start: int
    end: int


_NAMED = r"""
    \b(?P<card>(?:A100|H100|H200|H800|H20|B200|V100|P100|A6000|A5000|A4000|A800|A40|A30|A10G?|L40S?|L4|T4|K80|GH200|MI\d{3}X?)s?)\b(?!-)
  | \b(?P<rtx>(?:RTX|GTX)[\s-]?(?:\w?\d{3,4})(?:[\s-]?Ti|[\s-]?SUPER)?|RTX\sA\d{4}|(?<!\d)[234]0[6789]0(?:\s?Ti)?(?=\sGPU))
  | \b(?P<titan>(?:TITAN|Titan)\s?(?:Xp?|RTX|V)?)\b
  | \b(?P<jetson>Jetson(?:[\s-](?:AGX[\s-]Orin|AGX[\s-]Xavier|Xavier[\s-]NX|Orin[\s-]Nano|Orin[\s-]NX|Xavier|Orin|Nano|TX2|TX1|AGX))?)\b
  | \b(?P<iphone>iPhone(?:\s?(?:1[0-9]|X[SR]?|SE|[678])(?:\s?Pro(?:\s?Max)?)?)?|iPad)\b
  | \b(?P<pi>Raspberry[\s-]?Pi(?:\s?[345]B?\+?|\sZero)?)
  | \b(?P<pixel>Pixel\s?\d\w?|Galaxy\s?S\d+|Snapdragon(?:\s\d+)?|Hexagon(?:\sDSP)?|Kirin\s?\d*)
  | \b(?P<cortex>(?:ARM\s)?Cortex[\s-]?[AM]\d+|STM32\w*|ESP32)
  | \b(?P<edgetpu>Edge\s?TPU|Coral)
  | \b(?P<tpu>(?:Cloud\s)?TPU[\s-]?v?\d?\w?)s?\b
  | \b(?P<apple>(?:Apple\s)?M[1234](?:\s(?:Pro|Max|Ultra))?(?=\s(?:chip|MacBook|Max|Pro|Ultra|processor)))
  | \b(?P<cpu_named>Xeon|Ryzen|EPYC|Core\si[3579](?:-\w+)?|Gaudi\s?\d?|Trainium\d?|Inferentia\d?|Ascend(?:\s?910\w?)?|Loihi(?:\s?2)?|Cerebras|Movidius)\b
  | \b(?P<fpga>FPGAs?)\b
  | \b(?P<asic>ASICs?)\b
  | \b(?P<mcu>micro-?controllers?(?:\sunits?)?|MCUs?)\b
  | \b(?P<npu>NPUs?|neural\sprocessing\sunits?)\b
  | \b(?P<dsp>DSPs?)\b(?!\s*\))
  | \b(?P<gpu>GPUs?(?![- ]?(?:days?|hours?)\b)|GPGPUs?|graphics\sprocessing\sunits?|tensor\scores?)\b
  | \b(?P<cpu>CPUs?)\b
  | \b(?P<mobile>smart-?phones?|mobile\s(?:devices?|phones?|platforms?|hardware|gpus?|cpus?|accelerators?|processors?|applications?)|iOS|Android|cell\sphones?)\b
"""
_DEVICE = re.compile(_NAMED, re.X | re.I)
_CASED = frozenset({"card", "titan", "edgetpu", "cpu_named", "apple"})
_CLASS_LABELS = {
    "fpga": "FPGA",
    "asic": "ASIC",
    "mcu": "MCU",
    "npu": "NPU",
    "dsp": "DSP",
    "gpu": "GPU",
    "cpu": "CPU",
    "mobile": "mobile",
}
_NAMES = """
    a100 h100 h200 h800 h20 b200 v100 p100 a6000 a5000 a4000 a800 a40 a30 a10 a10g l40 l40s l4 t4 k80 gh200 a100s h100s h200s
    h800s h20s b200s v100s p100s a6000s a5000s a4000s a800s a40s a30s a10s a10gs l40ss l4s t4s k80s gh200s m1 m2 m3 m4 coral core
    ios android asic asics mcu mcus npu npus dsp dsps gpu gpus gpgpu gpgpus cpu cpus smartphone smartphones mobile
    """
_STARTS = """
    mi rtx gtx 2060 2070 2080 2090 3060 3070 3080 3090 4060 4070 4080 4090 titan jetson iphone ipad raspberry pixel galaxy
    snapdragon hexagon kirin cortex stm32 esp32 edgetpu tpu xeon ryzen epyc gaudi trainium inferentia ascend loihi cerebras
    movidius fpga microcontroller
    """
_MAY_NAME = trigger(_NAMES + " processing cores phone phones controller controllers", _STARTS)
"""Words of which a sentence must hold one to name hardware."""
_MAY_START = trigger(_NAMES + " edge cloud apple arm cell micro neural graphics tensor smart", _STARTS)
"""Words at which the pattern may match."""
_WORD = re.compile(r"[^\W_]+")
_NAMED_GPU = re.compile(r"[AHBVPLTK]\d|RTX|GTX|TITAN|Titan|GH200|K80|Jetson")


def find_devices(document: Document) -> list[Device]:
    """Every mention in the abstract, in order."""
    devices: list[Device] = []
    if document.triggers & _MAY_NAME:
        for sentence in document.sentences:
            if sentence.triggers & _MAY_NAME:
                _devices_in(sentence, devices)
    return devices


def _devices_in(sentence: Sentence, devices: list[Device]) -> None:
    text, offset, stop = sentence.text, sentence.start, 0
    # Other scripts may have more words in lower case than as they are written, so these are looked up one by one.
    words = sentence.words if text.isascii() else know([w[0].lower() for w in _WORD.finditer(text)])
    for (_, triggers, _), word in zip(words, _WORD.finditer(text), strict=False):
        if not triggers & _MAY_START or word.start() < stop:
            continue
        match = _DEVICE.match(text, word.start())
        if match is None:
            continue
        kind, raw, stop = match.lastgroup or "", match[0], match.end()
        if kind not in _CASED or raw[0].isupper():
            devices.append(Device(_label(kind, raw), match.start() + offset, stop + offset))


def _label(kind: str, raw: str) -> str:
    if kind in _CLASS_LABELS:
        return _CLASS_LABELS[kind]
    raw = " ".join(raw.split())
    if kind == "card":
        return raw.rstrip("s")
    if kind == "rtx":
        return re.sub(r"(?i)^(RTX|GTX)[\s-]?(?=\d)", r"\1 ", raw) if not raw[0].isdigit() else "RTX " + raw
    if kind == "tpu":
        return "TPU"
    if kind == "edgetpu":
        return "EdgeTPU" if raw.lower().startswith("edge") else raw
    return raw


def find_hardware(devices: list[Device], own_start: int) -> tuple[str, ...]:
    """Labels of the record: named devices wherever they stand; "GPU" and "CPU" only from the part about the paper's own work.

    A class is left out beside a device of that class ("GPU" beside "A100", "DSP" beside "Hexagon DSP").
    """
    labels = dict.fromkeys(d.label for d in devices if d.start >= own_start or d.label not in {"GPU", "CPU"})
    if any(_NAMED_GPU.match(label) for label in labels):
        labels.pop("GPU", None)
    if any(label.endswith(" DSP") for label in labels):
        labels.pop("DSP", None)
    return tuple(labels)


def device_near(devices: list[Device], number: Mention, sentence: Sentence) -> str | None:
    """The device of a number: its own of a list behind it ("3x and 2x on A and B"), else the nearest behind it in its
    sentence, else the only one there."""
    inside = [d for d in devices if sentence.start <= d.start < sentence.end]
    if not inside:
        return None
    behind = [d for d in inside if d.start >= number.start]
    if number.listed > 1:
        for own in ([d for d in behind if d.label not in {"GPU", "CPU"}], behind):
            if len(own) == number.listed:
                return own[number.order].label
    if behind and behind[0].start <= number.end + 80:
        return behind[0].label
    return inside[0].label if len({d.label for d in inside}) == 1 else None
