"""Hardware that a paper names, in short form: the named device first, its class ("GPU", "mobile") only where it stands
alone.

The convention, as the labelled papers have it:

- A named device counts wherever it stands. A class counts in the paper's own part, or if the title names it; one of the
  background only where nothing else is named, and not as an example ("accelerators such as GPUs") or if it is a CPU.
- Not in passing: "without a GPU", "GPU-like", the CPU of "CPU-GPU transfers", the "CPU-based tools" that ours beats.
- "GPU memory" and "GPU-friendly" name the class; GPU hours name none.
- A class is left out beside a device of that class ("GPU" beside "A100"); mobile and MCU stay if the title has them. Of an
  FPGA the class is named and not the board.
- "Mobile" counts before any noun of use ("mobile targets", "mobile vision"), not in names of parts ("mobile inverted
  bottleneck"); in the background alone it must come twice or in the first sentence.
- "Edge devices", "embedded systems" and "IoT" name a place to run and no hardware.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .hardware_names import BY_GROUP, CLASSES, DEVICE, MAY_NAME, MAY_START, SUPERCOMPUTERS
from .text import Document, Sentence
from .words import Word, know


class Mention(NamedTuple):
    """A number's place in the abstract, and in its list of `listed` numbers."""

    start: int
    end: int
    order: int = 0
    listed: int = 1


class Device(NamedTuple):
    """`label` found at `start` to `end` of the text; `hides` are the classes that need not be said beside it."""

    label: str
    start: int
    end: int
    hides: tuple[str, ...] = ()


_WORD = re.compile(r"[^\W_]+")
_WORK = re.compile(r"[\s-]*(?:\*|\\cdot)?[\s-]*(?:days?|hours?|hrs?|years?|minutes?|weeks?|months?)\b", re.I)
"""What makes "GPU" an amount of work."""
_LISTED = re.compile(r"(?:such as|including|e\.g\.|like)\b[^.;]*\Z")
_NEGATED = re.compile(
    r"\b(?:without|not|no)\s(?:(?:the need (?:for|of)|any|an?|(?:tailored|designed|optimi[sz]ed|suitable) for)\s)*(?:[\w-]+\s)?\Z",
    re.I,
)
_RIVALS = re.compile(
    r"\b(?:than|outperform\w*|surpass\w*|compared (?:with|to)|over|versus|vs\.?|existing|previous|prior|state-of-the-art|against)\b[^.;]*\Z",
    re.I,
)
_RIVAL = re.compile(
    r"(?: and [GC]PU)?(?:-based\b|(?: logical)?(?: cores?)?\s(?:\w+\s)?(?:baselines?|SOTA|counterparts?|designs?)\b)"
)
_USED = re.compile(r"\b(?:prior|existing|previous|other|with|than|over)\b[^.;,]* designed for (?:[\w-]+ )?\Z", re.I)
_JOINED = re.compile(r"[-–/](?:[GN]PU|I/O|TPU)")
_NAME_BEFORE = re.compile(r"\b(?!NVIDIA|GPU)[A-Z]{2,}\s\Z")
"""What makes "Tensor Core" the name of a design."""
_NEEDED = re.compile(r"\b(?:requires?|requiring|needs?|demands?) (?:[\w-]+ )?\Z")
_THAN = re.compile(r"\bthan (?:[\w-]+ )?\Z")
_ONLY_IN_TEXT = frozenset({"GPU", "CPU"})
"""Classes so common that a title alone does not name them."""
_NOT_ITSELF = ("-less", "-free", "-like")
_BOARD = ("FPGA",)
_ADDRESS = re.compile(r"\S*(?://|www\.|\.com/|\.io/)\S*")
_MOBILE_NAME = re.compile(r"Mobile[A-Z]")


def find_devices(document: Document) -> list[Device]:
    """Every mention in the abstract, in order."""
    devices: list[Device] = []
    if document.triggers & MAY_NAME:
        for sentence in document.sentences:
            if sentence.triggers & MAY_NAME:
                devices += _devices_in(sentence.text, sentence.words, sentence.start)
    return devices


def _devices_in(text: str, words: list[Word], offset: int) -> list[Device]:
    found: list[Device] = []
    stop = 0
    # Other scripts may have more words in lower case than as they are written, so these are looked up one by one.
    if not text.isascii():
        words = know([w[0].lower() for w in _WORD.finditer(text)])
    addresses: list[tuple[int, int]] | None = None
    for (_, triggers, _, _), word in zip(words, _WORD.finditer(text), strict=False):
        if not triggers & MAY_START or word.start() < stop:
            continue
        match = DEVICE.match(text, word.start())
        if match is None:
            continue
        if addresses is None:
            addresses = [m.span() for m in _ADDRESS.finditer(text)] if "/" in text or "www" in text else []
        kind, raw = BY_GROUP[match.lastgroup or ""], match[0]
        stop = match.end()
        if any(start <= word.start() < end for start, end in addresses):
            continue
        if (kind.cased and not (raw[0].isupper() or raw[0].isdigit() or raw.startswith(("iP", "nRF")))) or (
            kind.name in {"GPU", "tpu"} and _WORK.match(text, stop)
        ):
            continue
        if raw.startswith("Tensor") and _NAME_BEFORE.search(text, max(0, word.start() - 20), word.start()):
            continue
        found.append(Device(_label(kind.name, raw), match.start() + offset, stop + offset, kind.classes))
    if not found and ("upercomput" in text or "xascale" in text):
        found += [Device(m[0], m.start() + offset, m.end() + offset) for m in SUPERCOMPUTERS.finditer(text)]
    return found


def _label(kind: str, raw: str) -> str:
    """The short form: without maker, plural and class."""
    if kind == "mobile GPU":
        return "mobile"
    if kind in CLASSES:
        return kind
    raw = " ".join(raw.split())
    if kind == "nvidia-card":
        return "L40S" if raw == "L40s" else raw.rstrip("s").upper()
    if kind == "rtx":
        # The cards from 2060 on are RTX, whatever a paper writes.
        maker = re.match(r"(?i)(RTX|GTX)[\s-]?(?=[A\d])", raw)
        if maker:
            raw = f"{'RTX' if raw[maker.end()] in '2345A' else maker[1].upper()} {raw[maker.end() :]}"
        return ("GTX " if raw[0] == "1" else "RTX ") + raw if raw[0].isdigit() else raw
    if kind == "tpu":
        return "TPU"
    if kind == "edge-tpu":
        return "EdgeTPU" if raw.lower().startswith("edge") else "Coral"
    if kind == "gpu-generation":
        return raw + " GPU"
    if kind == "SSD":
        return kind
    if kind == "pi" and raw.startswith("RPi"):
        return "Raspberry Pi" + re.sub(r"^-?(?=\d)", " ", raw[3:].strip())
    return re.sub(r"^(?:Intel|Meta|Oculus|ARM|Arm) ", "", raw)


def find_hardware(devices: list[Device], document: Document) -> tuple[str, ...]:
    """Labels of the record, in order of mention; see the convention above."""
    titled: list[Device] = []
    if document.title_triggers & MAY_NAME or document.title.startswith("Mobile"):
        titled = [
            d
            for d in _devices_in(document.title, document.title_words, 0)
            if not _NEGATED.search(document.title, 0, d.start)
        ]
        if _MOBILE_NAME.match(document.title) and any(d.label == "mobile" for d in devices):
            titled.append(Device("mobile", 0, 0))
    if not devices and not titled:
        return ()
    named = {d.label for d in devices}
    titled = [d for d in titled if d.label not in _ONLY_IN_TEXT or d.label in named]
    in_title = {d.label for d in titled}
    counted = [
        d
        for d in devices
        if d.label not in CLASSES
        or d.label in in_title
        or (d.start >= document.own_start and not _in_passing(document.abstract, d))
    ]
    if not counted and not titled:
        counted = [d for d in devices if _background_counts(d, devices, document)]
    counted += titled
    labels = dict.fromkeys(d.label for d in counted)
    hidden = {label for d in counted for label in d.hides}
    hidden -= in_title & {"mobile", "MCU"}
    if any(d.label == "FPGA" for d in (*devices, *titled)):
        # The board is how an FPGA is bought; the class is what papers on FPGAs are about.
        boards = {d.label for d in counted if d.hides == _BOARD}
        if boards:
            labels["FPGA"] = None
            hidden = (hidden - {"FPGA"}) | boards
    longer = [label for label in labels if " " in label]
    return tuple(
        label for label in labels if label not in hidden and not any(other.startswith(label + " ") for other in longer)
    )


def _in_passing(abstract: str, device: Device) -> bool:
    """Whether a class is only what others use ("CPU-based tools"), what is not needed, or half of "CPU-GPU"."""
    before = abstract[max(0, device.start - 70) : device.start]
    if _NEGATED.search(before) or abstract.startswith(_NOT_ITSELF, device.end):
        return True
    if device.label == "CPU" and (_JOINED.match(abstract, device.end) or before.endswith(("GPU-", "GPU–"))):
        return True
    if device.label == "mobile":
        return _USED.search(before) is not None
    return _RIVAL.match(abstract, device.end) is not None and _RIVALS.search(before) is not None


def _background_counts(device: Device, devices: list[Device], document: Document) -> bool:
    """Whether a class that only the background names is what the paper is about. "Mobile" is said there too readily: it
    must come twice or in the first sentence. A CPU of the background is what others use."""
    before = document.abstract[max(0, device.start - 60) : device.start]
    if _LISTED.search(before) or _NEGATED.search(before) or document.abstract.startswith(_NOT_ITSELF, device.end):
        return False
    if device.label != "mobile":
        return device.label != "CPU" and _THAN.search(before) is None and _NEEDED.search(before) is None
    early = [d.start for d in devices if d.label == "mobile" and d.start < document.own_start]
    return bool(early) and (early[0] < document.sentences[0].end or len(early) > 1)


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
