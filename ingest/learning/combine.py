"""What an encoder's reading adds to words and phrases, on papers that neither was fitted to; and the reader that is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ingest.extraction.meaning import LONGEST, Heads, MeaningReader, beside_of
from papers.encoding.adapter import Adapter, save
from papers.encoding.encoders import PACKAGED, open_encoder, packaged_folder

from .examples import Example, digest_of
from .fit import Table
from .meaning import Taught, teach
from .validate import Judged, best_thresholds, figures, judge, real_rows

PARTS = 4
"""One of so many parts of the real papers is left out, for the thresholds and the figures."""


@dataclass(frozen=True)
class Compared:
    """Figures on the papers left out, by words alone and with the encoder, and the thresholds of these sums."""

    papers: int
    words: dict[str, float]
    both: dict[str, float]
    thresholds: dict[str, float]


def compare(
    examples: Sequence[Example], cache: Path | None, heard: Callable[[int, float], None], part: int = 0
) -> Compared:
    """Fits words and encoder without one part of the real papers and judges them on it."""
    order = np.random.default_rng(7).permutation(real_rows(examples))
    out = order[part::PARTS]
    rest = [examples[at] for at in np.setdiff1d(np.arange(len(examples)), out)]
    words = judge(Table(examples), examples, out)
    both = add_meaning(words, reader_of(teach(packaged_folder(), rest, heard), {}, cache))
    thresholds = best_thresholds(both)
    return Compared(len(out), figures(words, best_thresholds(words)), figures(both, thresholds), thresholds)


def reader_of(taught: Taught, thresholds: dict[str, float], cache: Path | None) -> MeaningReader:
    adapter = Adapter(PACKAGED, taught.changes, {})
    return MeaningReader(open_encoder(PACKAGED, cache, adapter, LONGEST), Heads(taught.heads, thresholds))


def add_meaning(judged: Sequence[Judged], reader: MeaningReader) -> list[Judged]:
    """The sums of each paper with what the encoder makes of it added."""
    means = reader.means([(example.title, example.abstract) for example, _ in judged])
    found = []
    for (example, totals), mean in zip(judged, means, strict=True):
        sums = reader.hear(mean).sums
        added = {
            field: {label: total + sums.get(field, {}).get(label, 0.0) for label, total in known.items()}
            for field, known in totals.items()
        }
        found.append((example, added))
    return found


def save_reader(taught: Taught, thresholds: dict[str, float], examples: Sequence[Example], path: Path) -> None:
    """What extraction reads by, with what it was trained on."""
    trained_on = {
        "examples": len(examples),
        "invented": sum(example.invented for example in examples),
        "sha256": digest_of(examples),
    }
    adapter = Adapter(PACKAGED, taught.changes, trained_on)
    aside = path.with_suffix(".new.npz")
    save(adapter, aside, beside_of(Heads(taught.heads, thresholds)))
    aside.replace(path)
