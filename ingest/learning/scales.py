"""How much room the weights of each group of signals have, by field.

A scale multiplies the inner product of two papers in that group: a group with a large scale may decide with small weights,
one with a small scale needs many papers that agree. They were chosen by group, one after the other, for the least squared
error on papers left out, and rounded; a group that is not named has `OTHERS`.
"""

from __future__ import annotations

from collections.abc import Mapping

from ingest.extraction.weights import FIRST

OTHERS = 0.06
_WORDS = {"title": 2.0, "title pair": 2.0, "own": 0.2, "own pair": 0.2, "background": 2.0, "anywhere": 0.5}
SCALES: Mapping[str, Mapping[str, float]] = {
    "kind": {
        **_WORDS,
        "title": 0.5, "title pair": 0.5,
        "kinds whole": 4.0, "kinds own": 4.0, "kinds head": 0.5, "kind share": 2.0, "kind score": 0.25, "cue": 0.5,
        "families whole": 0.5, "families own": 0.5,
    },
    FIRST: {
        **_WORDS,
        "title phrase": 0.5, "own phrase": 0.25,
        "families whole": 8.0, "families title": 1.0, "families loud": 0.1,
        "stages whole": 0.5, "stages title": 0.5, "stages head": 0.5, "stages loud": 0.2, "kinds whole": 0.5,
        "metric": 0.5, "phase": 0.5, "other": 0.5,
    },
    "families": {
        **_WORDS,
        "own phrase": 0.25,
        "families whole": 8.0, "families title": 0.5, "families own": 0.5, "families loud": 0.8,
        "stages loud": 1.6, "kinds whole": 0.25, "kind score": 0.5,
        "metric": 0.5, "phase": 0.5, "other": 0.5,
    },
    "modality": {
        **_WORDS,
        "title": 1.0, "title pair": 1.0, "background": 4.0, "anywhere": 0.06,
        "own phrase": 0.5,
        "modalities whole": 4.0, "modalities own": 0.5, "modalities loud": 3.2, "families whole": 0.5, "kinds whole": 0.5,
    },
    "stage": {
        **_WORDS,
        "families whole": 2.0, "families loud": 0.5, "stages whole": 2.0, "stages own": 0.5, "stages loud": 0.5,
        "metric": 2.0, "phase": 2.0, "other": 0.5,
    },
    "training": {
        **_WORDS,
        "own phrase": 0.25,
        "training whole": 4.0, "training own": 2.0, "training loud": 0.2, "families whole": 4.0, "kinds whole": 2.0,
        "kind share": 1.0, "cue": 0.25, "stages whole": 0.5, "phase": 0.5,
    },
}  # fmt: skip


def scale_of(field: str, group: str) -> float:
    return SCALES[field].get(group, OTHERS)
