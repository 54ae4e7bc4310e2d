"""What an encoder's reading adds to words and phrases, on papers that neither was fitted to; and the reader that is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ingest.extraction.meaning import LONGEST, MeaningReader, arrays_of
from papers.encoding.adapter import Adapter, save
from papers.encoding.encoders import PACKAGED, open_encoder, packaged_folder
from papers.files import whole

from .examples import Example
from .fit import Table
from .meaning import Taught, teach
from .validate import Judged, best_thresholds, figures, judge, real_rows

PARTS = 4
"""One of so many parts of the real papers is left out, for the figures."""


@dataclass(frozen=True)
class Compared:
    """Figures on the papers left out, by words alone and with the encoder."""

    papers: int
    words: dict[str, float]
    both: dict[str, float]


def compare(examples: Sequence[Example], cache: Path | None, progress: Callable[[int, float], None]) -> Compared:
    """Fits words and encoder without a part of the real papers and judges them on it."""
    order = np.random.default_rng(7).permutation(real_rows(examples))
    out = order[::PARTS]
    rest = [examples[at] for at in np.setdiff1d(np.arange(len(examples)), out)]
    words = judge(Table(examples), examples, out)
    both = add_meaning(words, reader_of(teach(packaged_folder(), rest, progress), cache))
    return Compared(len(out), across(words), across(both))


def across(judged: Sequence[Judged]) -> dict[str, float]:
    """Figures of each half by the thresholds that are best on the other half; their mean."""
    halves = judged[::2], judged[1::2]
    found = [figures(half, best_thresholds(other)) for half, other in (halves, halves[::-1])]
    return {name: (found[0][name] + found[1][name]) / 2 for name in found[0]}


def reader_of(taught: Taught, cache: Path | None) -> MeaningReader:
    adapter = Adapter(PACKAGED, taught.changes, {})
    return MeaningReader(open_encoder(PACKAGED, cache, adapter, LONGEST), taught.heads)


def add_meaning(judged: Sequence[Judged], reader: MeaningReader) -> list[Judged]:
    """The sums of each paper with what the encoder makes of it added."""
    means = reader.means([(example.title, example.abstract) for example, _ in judged])
    found = []
    for (example, totals), mean in zip(judged, means, strict=True):
        sums = reader.hear(mean)
        added = {
            field: {label: total + sums.get(field, {}).get(label, 0.0) for label, total in known.items()}
            for field, known in totals.items()
        }
        found.append((example, added))
    return found


def save_reader(taught: Taught, trained_on: Mapping[str, Any], path: Path) -> None:
    """What extraction reads by, with what it was trained on. Raises: OSError where it cannot be written."""
    with whole(path) as aside:
        save(Adapter(PACKAGED, taught.changes, trained_on), aside, arrays_of(taught.heads))
