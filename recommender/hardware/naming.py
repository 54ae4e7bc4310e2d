"""Finding a catalogue entry in a user's words."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SPLIT = re.compile(r"[^a-z0-9.]+")
_GLUED = re.compile(r"(?<=[a-z])(?=\d{4})|(?<=\d)\s+(?=gb\b|b\b)")


def fold(text: str) -> str:
    """Lower-case words and numbers between single spaces, singular: "RTX-4090s (24 GB)" becomes "rtx 4090 24gb"."""
    spaced = " ".join(word.rstrip(".") for word in _SPLIT.split(text.lower()) if word.rstrip("."))
    glued = _GLUED.sub(lambda found: "" if found.group() else " ", spaced)
    return " ".join(word[:-1] if len(word) > 3 and word.endswith("s") else word for word in glued.split())


def longest_alias(text: str, aliases: Mapping[str, str]) -> str | None:
    """The name of the longest alias (keys, folded) that stands in the text as whole words; None without any."""
    padded = f" {fold(text)} "
    found = [alias for alias in aliases if f" {alias} " in padded]
    return aliases[max(found, key=len)] if found else None
