"""How needs are read: changes to the encoder's weights under which a need lies nearer to the papers that answer it.

Papers are read by the encoder as it is, so no index depends on what is here. Fitted by `recommender/adapting.py`.
"""

from __future__ import annotations

import functools
from pathlib import Path

from papers.encoding.adapter import Adapter, read

STORED = Path(__file__).with_name("adapter.npz")


@functools.cache
def shipped() -> Adapter:
    """The adapter that ships."""
    return read(STORED)


def adapter_for(encoder: str) -> Adapter | None:
    """The adapter of that encoder; None for one that none was fitted for, which reads needs as it reads papers."""
    return shipped() if STORED.is_file() and shipped().encoder == encoder else None
