"""The field's concepts and how they are said: reading them out of a user's need and out of a paper alike."""

from __future__ import annotations

import functools
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tantivy

from recommender.lexical import split_compounds

SOURCE = Path(__file__).with_name("glossary.toml")
EVERYDAY = Path(__file__).with_name("everyday.toml")
KINDS = ("task", "model", "method", "hardware", "stage", "training", "objective", "data", "paper")
# Words that users put anywhere in an everyday phrase: "upgrade an embedding" is "upgrade embedding".
FILLERS = frozenset(["a", "an", "the", "of", "our", "my", "its", "their", "your", "this", "some", "very", "s"])
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
    """Concepts by key, and matchers of their phrases that ignore word forms: of the field's own, and of these and the
    `everyday` ones, by which users ask."""

    def __init__(self, concepts: Mapping[str, Concept], everyday: Mapping[str, Sequence[str]] | None = None) -> None:
        self.concepts = dict(concepts)
        self._analyzer = _stemmer()
        terms = {key: concept.words for key, concept in concepts.items()}
        self._terms = _Phrases(self._analyzer, terms)
        said = {key: (*words, *(everyday or {}).get(key, ())) for key, words in terms.items()}
        self._asked = _Phrases(self._analyzer, said, FILLERS)

    def occurrences(self, text: str) -> dict[str, int]:
        """How often a paper says each concept. A phrase inside a longer one that was recognised does not count:
        "diffusion language model" speaks of no image diffusion."""
        return self._terms.occurrences(split_compounds(text))

    def asked(self, text: str) -> dict[str, int]:
        """How often a need says each concept, in terms or in everyday words."""
        words = split_compounds(text)
        # What is a term as it stands stays one, also where fillers are part of it.
        return {**self._terms.occurrences(words), **self._asked.occurrences(words)}

    def says(self, word: str) -> bool:
        """Whether the word is one of any phrase, in whatever form."""
        return bool(self._asked.words & set(self._analyzer.analyze(word)))

    def with_implied(self, weights: Mapping[str, float]) -> dict[str, float]:
        """The weights, and for what each concept implies a share of its weight."""
        found = dict(weights)
        for key, weight in weights.items():
            for broader in self.concepts[key].implies:
                found[broader] = max(found.get(broader, 0.0), IMPLIED * weight)
        return found


class _Phrases:
    """Phrases that mean a concept, as stems; `fillers` count on neither side."""

    def __init__(self, analyzer: Any, said: Mapping[str, Sequence[str]], fillers: frozenset[str] = frozenset()) -> None:
        self._analyzer, self._fillers = analyzer, fillers
        self._phrases: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for key, phrases in said.items():
            for words in phrases:
                phrase = tuple(self._stems(words))
                # "share weights" is "weight sharing": two words mean the same either way round.
                for order in {phrase, phrase[::-1]} if len(phrase) == 2 else {phrase}:
                    if key not in self._phrases[order]:
                        self._phrases[order].append(key)
        self.words = frozenset(word for phrase in self._phrases for word in phrase)
        self._longest = max((len(phrase) for phrase in self._phrases), default=0)

    def _stems(self, text: str) -> list[str]:
        return [stem for stem in self._analyzer.analyze(text) if stem not in self._fillers]

    def occurrences(self, text: str) -> dict[str, int]:
        words = self._stems(text)
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


def _stemmer() -> Any:
    builder = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.simple())
    for step in (tantivy.Filter.lowercase(), tantivy.Filter.ascii_fold(), tantivy.Filter.stemmer("english")):
        builder = builder.filter(step)
    return builder.build()


@functools.cache
def glossary() -> Glossary:
    """The glossary that ships. Raises GlossaryError when a file of it is wrong."""
    concepts = read_concepts(tomllib.loads(SOURCE.read_text(encoding="utf-8")))
    return Glossary(concepts, read_everyday(tomllib.loads(EVERYDAY.read_text(encoding="utf-8")), concepts))


def read_everyday(table: Mapping[str, Any], concepts: Mapping[str, Concept]) -> dict[str, tuple[str, ...]]:
    """Everyday phrases by concept. Raises GlossaryError for phrases of a concept that the glossary lacks."""
    found = {f"{kind}.{name}": tuple(words) for kind, entries in table.items() for name, words in entries.items()}
    if unknown := sorted(set(found) - set(concepts)):
        raise GlossaryError(f"{EVERYDAY.name}: {unknown[0]} is no concept of {SOURCE.name}")
    return found


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
