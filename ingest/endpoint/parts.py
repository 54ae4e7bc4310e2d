"""What the checks of an answer share: the text, ready to be searched, and refusals that say where and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ingest.extraction.hardware import find_devices
from ingest.extraction.text import Document

from .figures import Figures
from .locate import FoldedText


class Remark(NamedTuple):
    """`where` is the place in the answer, such as "claims[2].quote"."""

    where: str
    reason: str


class Refused(Exception):
    """A part of the answer that the text does not bear out."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.remark = Remark(where, reason)


class Text:
    """Title and abstract, ready to be searched."""

    def __init__(self, title: str, abstract: str) -> None:
        self.title, self.abstract = title, abstract
        self.folded_title, self.folded = FoldedText(title), FoldedText(abstract)
        self.figures = Figures(abstract)
        self._devices: dict[str, str] | None = None

    def words_of(self, said: str) -> str | None:
        """The exact words of the abstract, or else of the title, where `said` stands; None where it does not."""
        for folded in (self.folded, self.folded_title):
            if spans := folded.find(said):
                return folded.text[spans[0].start : spans[0].end]
        return None

    def device(self, said: str) -> str | None:
        """The short form of a device that the text names; None where it names no such thing."""
        if self._devices is None:
            # A title has no place of its own in a Document, so that it is read as one more sentence.
            both = f"{self.title}.\n\n{self.abstract}"
            self._devices = {d.label.casefold(): d.label for d in find_devices(Document("", both))}
        return self._devices.get(said.casefold().strip()) or self.words_of(said)


def text_or_none(where: str, value: Any, longest: int) -> str | None:
    """Raises: Refused for anything but a text of that length or null."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise Refused(where, f"is {shown(value)}; a text is expected")
    if len(value) > longest:
        raise Refused(where, f"has {len(value)} characters; at most {longest} are expected")
    return value.strip() or None


def one_of(where: str, value: Any, words: Iterable[str]) -> str:
    if not isinstance(value, str) or value not in words:
        raise Refused(where, f"{shown(value)} is not a word of this field")
    return value


def number_or_none(where: str, value: Any) -> float | None:
    """Raises: Refused for anything but a number of a sensible size or null."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e15 < value < 1e15:
        raise Refused(where, f"{shown(value)} is no number that an abstract would give")
    return float(value)


def shown(value: Any) -> str:
    """A value of an answer, short and harmless, for a reason that a person reads."""
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."
