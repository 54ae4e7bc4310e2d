"""Records of papers by the extractor as this installation runs it: with what an encoder makes of each text, where that is switched on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from ingest.extraction import EXTRACTOR_VERSION, Heard, TechniqueRecord, extract
from papers.batches import batched
from papers.encoding.encoders import CACHE, EncoderError
from papers.folding import fold_title

if TYPE_CHECKING:
    from ingest.extraction.meaning import MeaningReader

logger = logging.getLogger(__name__)

Text = tuple[str, str]
"""A title and an abstract."""
BATCH = 64
BY_WORDS = f"{EXTRACTOR_VERSION}+words"
"""The version of records that were made without the encoder: older than those made with it."""
TRIED_AGAIN_AFTER_S = 300.0


class _Ahead(threading.local):
    """What this thread has read before it was asked for, by folded title (of which an encoder sees no more) and abstract."""

    def __init__(self) -> None:
        self.means: dict[Text, NDArray[np.float32]] = {}


class _Opened:
    """This process's reader once it was asked for, and when it could not be opened. A process that forks must not have asked."""

    def __init__(self) -> None:
        self.reader: MeaningReader | None = None
        self.failed_at: float | None = None
        self.lock = threading.Lock()


_ahead = _Ahead()
_opened = _Opened()


def wanted_version() -> str:
    """The version that records made here have, unless the encoder cannot be opened."""
    return EXTRACTOR_VERSION if settings.READ_MEANING else BY_WORDS


def version() -> str:
    """The version of records that are made now."""
    return EXTRACTOR_VERSION if _reader() else BY_WORDS


def record_of(title: str, abstract: str) -> TechniqueRecord:
    return next(records_of([(title, abstract)]))


def records_of(texts: Iterable[Text]) -> Iterator[TechniqueRecord]:
    """The record of each title and abstract, in order."""
    for some in batched(texts, BATCH):
        for (title, abstract), heard in zip(some, _hear(some), strict=True):
            yield extract(title, abstract, heard)


@contextmanager
def heard_ahead(texts: Iterable[Text]) -> Iterator[None]:
    """Reads the texts now, for `records_of` inside: an encoder is slow, and a transaction holds others up.

    `texts` are not looked at where no encoder reads. What was read is forgotten at the end.
    """
    before = _ahead.means
    if settings.READ_MEANING:
        unread = {key: text for text in texts if (key := _key(text)) not in before}
        if unread and (reader := _reader()):
            _ahead.means = before | _read(reader, unread)
    try:
        yield
    finally:
        _ahead.means = before


def _key(text: Text) -> Text:
    return fold_title(text[0]), text[1]


def _hear(texts: Sequence[Text]) -> list[Heard | None]:
    reader = _reader()
    if reader is None:
        return [None] * len(texts)
    keys = [_key(text) for text in texts]
    missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in _ahead.means}
    means = _ahead.means | _read(reader, missing) if missing else _ahead.means
    return [reader.hear(means[key]) for key in keys]


def _read(reader: MeaningReader, texts: dict[Text, Text]) -> dict[Text, NDArray[np.float32]]:
    found: dict[Text, NDArray[np.float32]] = {}
    for some in batched(texts.items(), BATCH):
        means = reader.means([text for _, text in some])
        found.update((key, mean) for (key, _), mean in zip(some, means, strict=True))
    return found


def _reader() -> MeaningReader | None:
    if not settings.READ_MEANING:
        return None
    from ingest.extraction.meaning import open_reader  # the encoder's libraries are loaded where it is wanted

    with _opened.lock:
        failed = _opened.failed_at
        if _opened.reader is None and (failed is None or time.monotonic() - failed > TRIED_AGAIN_AFTER_S):
            try:
                _opened.reader, _opened.failed_at = open_reader(settings.DATA_DIR / CACHE), None
            except (EncoderError, OSError, ValueError) as why:
                logger.warning("records are made from words and phrases alone: %s", why)
                _opened.failed_at = time.monotonic()
        return _opened.reader
