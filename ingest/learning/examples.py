"""Labelled papers, joined with the pages that hold their abstracts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ingest.extraction.record import FAMILIES, KINDS, MODALITIES, STAGES
from papers.folding import fold_title

_LISTS = {"families": FAMILIES, "modality": MODALITIES, "stage": STAGES}


class LabelError(ValueError):
    """A labelled record that cannot be used: names the file, the line, the field, and what would be right."""


@dataclass(frozen=True)
class Example:
    """A paper with the labels that are learned. `invented`: written for training, not a real paper."""

    title: str
    abstract: str
    kind: str
    families: tuple[str, ...]
    modality: tuple[str, ...]
    stage: tuple[str, ...]
    training_free: bool | None
    invented: bool = False

    @property
    def first(self) -> str | None:
        return self.families[0] if self.families else None


def read_examples(files: Iterable[Path], abstracts: Mapping[str, str]) -> tuple[list[Example], int]:
    """The labelled papers of JSON-lines files, and how many were left out since no page given holds their abstract.

    `abstracts` maps folded titles; a record with an abstract of its own needs no page. Of two records of one title the
    first counts. Raises LabelError.
    """
    examples: dict[str, Example] = {}
    missing: set[str] = set()
    for path in files:
        try:
            lines = path.read_bytes().decode("utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise LabelError(f"{path.name}: not UTF-8 at byte {error.start}") from None
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            example = _example(line, f"{path.name}, line {number}", abstracts)
            title = fold_title(example.title)
            if example.abstract:
                examples.setdefault(title, example)
            else:
                missing.add(title)
    return list(examples.values()), len(missing - examples.keys())


def _example(line: str, where: str, abstracts: Mapping[str, str]) -> Example:
    """The example of a line; its abstract is empty where nothing holds it."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise LabelError(f"{where}: not JSON: {error.msg}") from None
    if not isinstance(record, dict) or not isinstance(title := record.get("title"), str) or not title.strip():
        raise LabelError(f"{where}: title: expected an object with a title")
    if (kind := record.get("kind")) not in KINDS:
        raise LabelError(f"{where}: kind: {kind!r} is none of {', '.join(KINDS)}")
    lists = {}
    for field, words in _LISTS.items():
        values = record.get(field)
        if not isinstance(values, list) or any(value not in words for value in values):
            raise LabelError(f"{where}: {field}: expected a list of some of {', '.join(words)}; found {values!r}")
        lists[field] = tuple(dict.fromkeys(values))
    if not ((training_free := record.get("training_free")) is None or isinstance(training_free, bool)):
        raise LabelError(f"{where}: training_free: {training_free!r} is none of true, false and null")
    abstract = record.get("abstract") or abstracts.get(fold_title(title)) or ""
    if not isinstance(abstract, str):
        raise LabelError(f"{where}: abstract: expected text")
    invented = bool(record.get("invented"))
    return Example(title, abstract, kind, **lists, training_free=training_free, invented=invented)


def digest_of(examples: Iterable[Example]) -> str:
    """SHA-256 over all that was learned from, in any order: the same examples give the same digest."""
    lines = sorted(
        json.dumps([e.title, e.abstract, e.kind, e.families, e.modality, e.stage, e.training_free]) for e in examples
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
