"""The field's concepts and how they are said: reading them out of a user's need and out of a paper alike."""

from __future__ import annotations

import functools
import tomllib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tantivy

from recommender.lexical import split_compounds

SOURCE = Path(__file__).with_name("glossary.toml")
KINDS = ("task", "model", "method", "hardware", "stage", "training", "objective")
IMPLIED = 0.5


@dataclass(frozen=True, slots=True)
class Concept:
    """`key` is "kind.name"; `words` are the phrases that mean it."""

    key: str
    kind: str
    words: tuple[str, ...]
    family: str | None = None
    modality: tuple[str, ...] = ()
    implies: tuple[str, ...] = ()


class GlossaryError(ValueError):
    """The glossary file is wrong; the message names the concept."""


class Glossary:
    """Concepts by key, and a matcher of their phrases that ignores word forms."""

    def __init__(self, concepts: Mapping[str, Concept]) -> None:
        self.concepts = dict(concepts)
        self._analyzer = _stemmer()
        self._phrases: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for concept in concepts.values():
            for words in concept.words:
                phrase = tuple(self._analyzer.analyze(words))
                # "share weights" is "weight sharing": two words mean the same either way round.
                for order in {phrase, phrase[::-1]} if len(phrase) == 2 else {phrase}:
                    if concept.key not in self._phrases[order]:
                        self._phrases[order].append(concept.key)
        self._words = frozenset(word for phrase in self._phrases for word in phrase)
        self._longest = max((len(phrase) for phrase in self._phrases), default=0)

    def occurrences(self, text: str) -> dict[str, int]:
        """How often each concept is said. A phrase inside a longer one that was recognised does not count:
        "diffusion language model" speaks of no image diffusion."""
        words = self._analyzer.analyze(split_compounds(text))
        covered = 0
        found: dict[str, int] = defaultdict(int)
        for start in range(len(words)):
            for end in range(min(len(words), start + self._longest), start, -1):
                keys = self._phrases.get(tuple(words[start:end]), ())
                if keys and end > covered:
                    covered = end
                    for key in keys:
                        found[key] += 1
        return dict(found)

    def says(self, word: str) -> bool:
        """Whether the word is one of any phrase, in whatever form."""
        return bool(self._words & set(self._analyzer.analyze(word)))

    def with_implied(self, weights: Mapping[str, float]) -> dict[str, float]:
        """The weights, and for what each concept implies a share of its weight."""
        found = dict(weights)
        for key, weight in weights.items():
            for broader in self.concepts[key].implies:
                found[broader] = max(found.get(broader, 0.0), IMPLIED * weight)
        return found


def _stemmer() -> Any:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for step in (tantivy.Filter.lowercase(), tantivy.Filter.ascii_fold(), tantivy.Filter.stemmer("english")):
        builder = builder.filter(step)
    return builder.build()


@functools.cache
def glossary() -> Glossary:
    """The glossary that ships. Raises GlossaryError when its file is wrong."""
    return Glossary(read_concepts(tomllib.loads(SOURCE.read_text(encoding="utf-8"))))


def read_concepts(table: Mapping[str, Any]) -> dict[str, Concept]:
    """Concepts of a parsed glossary file. Raises GlossaryError that names the concept and what is wrong with it."""
    found: dict[str, Concept] = {}
    names: dict[str, str] = {}
    for kind, entries in table.items():
        if kind not in KINDS:
            raise GlossaryError(f"[{kind}]: unknown kind of concept; known are {', '.join(KINDS)}")
        for name, entry in entries.items():
            key = f"{kind}.{name}"
            if unknown := set(entry) - {"words", "family", "modality", "implies"}:
                raise GlossaryError(f"{key}: unknown fields {sorted(unknown)}")
            if not entry.get("words"):
                raise GlossaryError(f"{key}: 'words' must list at least one phrase")
            found[key] = Concept(
                key, kind, tuple(entry["words"]), entry.get("family"), tuple(entry.get("modality", ())),
                tuple(entry.get("implies", ())),
            )  # fmt: skip
            names[name] = key if kind in ("method", "model") or name not in names else names[name]
    for key, concept in found.items():
        if missing := [broader for broader in concept.implies if broader not in names]:
            raise GlossaryError(f"{key}: implies {missing[0]!r}, which is no concept")
        found[key] = Concept(
            key, concept.kind, concept.words, concept.family, concept.modality, tuple(names[b] for b in concept.implies)
        )
    return found
