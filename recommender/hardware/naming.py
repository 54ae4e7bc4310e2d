"""Finding a catalogue entry in a user's words."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SPLIT = re.compile(r"[^a-z0-9.]+")
_GLUED = re.compile(r"(?<=[a-z])(?=\d{4})|(?<=\d)\s+(?=gb\b|b\b)")


def fold(text: str) -> str:
    """Lower-case words and numbers between single spaces: "RTX-4090 (24 GB)" becomes "rtx 4090 24gb"."""
    spaced = " ".join(word.rstrip(".") for word in _SPLIT.split(text.lower()) if word.rstrip("."))
    return " ".join(_GLUED.sub(lambda found: "" if found.group() else " ", spaced).split())


def longest_alias(text: str, aliases: Mapping[str, str]) -> str | None:
    """The name of the longest alias (keys, folded) that stands in the text as whole words; None without any.

    Words are tried as written before plurals are cut: an L40S is no plural of the L40.
    """
    written = fold(text)
    singular = " ".join(word[:-1] if len(word) > 3 and word.endswith("s") else word for word in written.split())
    for words in (written, singular):
        if found := [alias for alias in aliases if f" {alias} " in f" {words} "]:
            return aliases[max(found, key=len)]
    return None
