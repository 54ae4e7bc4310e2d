"""Records of papers by the extractor as this installation runs it: with what an encoder makes of each text, where that is switched on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from ingest.extraction import Heard, TechniqueRecord, extract
from papers.encoding.encoders import CACHE, EncoderError

if TYPE_CHECKING:
    from ingest.extraction.meaning import MeaningReader

logger = logging.getLogger(__name__)

Text = tuple[str, str]
"""A title and an abstract."""
BATCH = 64


class _Ahead(threading.local):
    """What this thread has read before it was asked for."""

    def __init__(self) -> None:
        self.means: dict[Text, NDArray[np.float32]] = {}


_ahead = _Ahead()
_lock = threading.Lock()
_opened: list[MeaningReader | None] = []
"""This process's reader once it was asked for; None where it cannot be opened. A process that forks must not have asked."""


def record_of(title: str, abstract: str) -> TechniqueRecord:
    return next(records_of([(title, abstract)]))


def records_of(texts: Iterable[Text]) -> Iterator[TechniqueRecord]:
    """The record of each title and abstract, in order."""
    rest = list(texts)
    for start in range(0, len(rest), BATCH):
        some = rest[start : start + BATCH]
        for (title, abstract), heard in zip(some, _hear(some), strict=True):
            yield extract(title, abstract, heard)


@contextmanager
def heard_ahead(texts: Iterable[Text]) -> Iterator[None]:
    """Reads the texts now, for `records_of` inside: an encoder is slow, and a transaction holds others up."""
    reader, rest = _reader(), list(dict.fromkeys(texts))
    try:
        if reader:
            for start in range(0, len(rest), BATCH):
                some = rest[start : start + BATCH]
                _ahead.means.update(zip(some, reader.means(some), strict=True))
        yield
    finally:
        _ahead.means.clear()


def _hear(texts: Sequence[Text]) -> list[Heard | None]:
    reader = _reader()
    if reader is None:
        return [None] * len(texts)
    means = {text: _ahead.means[text] for text in texts if text in _ahead.means}
    if missing := [text for text in texts if text not in means]:
        means.update(zip(missing, reader.means(missing), strict=True))
    return [reader.hear(means[text]) for text in texts]


def _reader() -> MeaningReader | None:
    if not settings.READ_MEANING:
        return None
    from ingest.extraction.meaning import open_reader  # the encoder's libraries are loaded where it is wanted

    with _lock:
        if not _opened:
            try:
                _opened.append(open_reader(settings.DATA_DIR / CACHE))
            except (EncoderError, OSError, ValueError) as why:
                logger.warning("records are made from words and phrases alone: %s", why)
                _opened.append(None)
        return _opened[0]
