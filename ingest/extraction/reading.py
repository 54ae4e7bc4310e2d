"""All that is read from one paper before anything is decided: claims, hardware, and the signals for trained weights."""

from __future__ import annotations

from typing import NamedTuple

from .claims import find_claims
from .hardware import Device, Mention, device_near, find_devices, find_hardware
from .record import ExtractedClaim
from .signals import Numbering, Signals, read_signals
from .stage import usual_phase
from .text import Document, Sentence


class Reading(NamedTuple):
    """`hardware` are the labels of the record, `devices` every mention."""

    document: Document
    devices: list[Device]
    hardware: tuple[str, ...]
    claims: tuple[ExtractedClaim, ...]
    signals: Signals


def read_paper(title: str, abstract: str, numbering: Numbering) -> Reading:
    """Reads a paper; its signals have the numbers of `numbering`."""
    document = Document(title, abstract)
    devices = find_devices(document)

    def hardware_near(number: Mention, sentence: Sentence) -> str | None:
        return device_near(devices, number, sentence) if devices else None

    claims = find_claims(abstract, document.sentences, usual_phase(document), hardware_near, title)
    hardware = find_hardware(devices, document)
    return Reading(document, devices, hardware, claims, read_signals(document, claims, bool(hardware), numbering))
