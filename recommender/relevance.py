"""How well a paper's record fits what was asked, beyond the similarity of the words.

The need and the paper are both read with the glossary. Shared concepts count by how rare they are; a paper about other
data, another stage of a model's life, or a machine that the asker does not have is moved down, never removed.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from recommender.documents import Document
from recommender.glossary import glossary

EXPANSION, EVERYDAY_EXPANSION = 0.25, 0.5
EXPANSION_WORDS = 4
# Everyday words are less sure to mean the concept than its terms are.
EVERYDAY = 0.8

KIND_WEIGHTS: Mapping[str, float] = {"task": 1.2, "method": 1.0, "model": 0.5, "hardware": 0.7}
WAYS_AND_TASKS = ("method", "task")
# A need whose concepts weigh less than this says too little for their agreement to decide.
SURE = 0.8
IN_TITLE = 1.0
BY_COUNT = (0.0, 0.4, 0.55, 0.7)
PRIMARY_FAMILY, OTHER_FAMILY = 0.6, 0.3

OTHER_MODALITY, OTHER_TASK, OTHER_STAGE, NEEDS_TRAINING, OTHER_HARDWARE = 0.35, 0.2, 0.15, 0.1, 0.15
KIND_PENALTY: Mapping[str, float] = {
    "survey": 0.25, "theory": 0.15, "dataset": 0.25, "analysis": 0.1, "benchmark": 0.05, "other": 0.15,
}  # fmt: skip
# Kinds of paper that the words may ask for.
ASKED_KINDS: Mapping[str, frozenset[str]] = {
    "paper.survey": frozenset(["survey"]), "paper.measurement": frozenset(["benchmark", "analysis"]),
}  # fmt: skip
# Concepts filed as methods that say where the time goes, not how it is to be saved.
AIMS = frozenset({"method.decoding", "method.serving", "method.edge-deployment"})
PERMITTED = 0.5
_PERMITS = re.compile(
    r"([\w /+-]{3,60}?),? (?:is |are |would be )?(?:allowed|okay?|fine(?![\s-]?tun)|possible|permitted|acceptable|welcome)\b",
    re.IGNORECASE,
)
SMALL_MACHINES = frozenset({"hardware.mobile", "hardware.mcu", "hardware.embedded", "hardware.fpga", "hardware.npu"})
LARGE_MACHINES = frozenset({"hardware.datacentre-gpu", "hardware.multi-gpu", "hardware.consumer-gpu"})


@dataclass(frozen=True)
class Wanted:
    """What a need asks for, as far as its words say: concepts with weights, and the facets that follow from them."""

    concepts: Mapping[str, float] = field(default_factory=dict)
    modality: frozenset[str] = frozenset()
    stage: str | None = None
    training: str | None = None
    hardware: frozenset[str] = frozenset()
    expansions: Mapping[str, float] = field(default_factory=dict)
    permitted: frozenset[str] = frozenset()
    paper: frozenset[str] = frozenset()
    """Kinds of paper that are asked for, as records name them."""

    @functools.cached_property
    def tasks(self) -> frozenset[str]:
        return frozenset(key for key in self.concepts if key.startswith("task."))

    @functools.cached_property
    def near_modality(self) -> frozenset[str]:
        return _related(self.modality)

    @property
    def names_a_method(self) -> bool:
        """Whether the need says how the gain is to be made; that it is about long inputs or decoding says only where, and
        that quantization is allowed not that it is wanted."""
        ways = {key for key in self.concepts if key.startswith("method.") and glossary().concepts[key].family}
        return bool(ways - AIMS - self.permitted)

    def also(self, concepts: Mapping[str, float]) -> Wanted:
        """With further concepts, each at the weight given."""
        return replace(self, concepts={**concepts, **self.concepts})

    def of_data(self, kinds: frozenset[str]) -> Wanted:
        """With the data that the named model reads, where the words say nothing of data."""
        return self if self.modality or not kinds else replace(self, modality=kinds)

    def narrowed(self, stage: str | None, training: str, hardware: str | None) -> Wanted:
        """With what was given apart from the words; it wins over what the words say."""
        machines = self.hardware
        if hardware:
            # "edge" alone is too common a word to be in the glossary; "edge device" is.
            said = glossary().asked(f"{hardware} device") | glossary().asked(hardware)
            machines = frozenset(key for key in said if key.startswith("hardware.")) or machines
        return replace(
            self, stage=stage or self.stage, training=training if training != "any" else None, hardware=machines
        )


def read_query(text: str) -> Wanted:
    """The facets of a user's text."""
    terms = glossary()
    sure = terms.occurrences(text)
    said = terms.with_implied({key: 1.0 if key in sure else EVERYDAY for key in terms.asked(text)})
    permitted = _permitted(text)
    said = {key: weight * (PERMITTED if key in permitted else 1.0) for key, weight in said.items()}
    concepts = {key: weight * KIND_WEIGHTS.get(terms.concepts[key].kind, 0.0) for key, weight in said.items()}
    modality = frozenset(m for key in said for m in terms.concepts[key].modality)
    return Wanted(
        {key: weight for key, weight in concepts.items() if weight},
        modality,
        _only(said, "stage."),
        "none" if "training.none" in said else None,
        frozenset(key for key in said if key.startswith("hardware.")),
        {
            phrase: EXPANSION if key in sure else EVERYDAY_EXPANSION
            for key, weight in said.items()
            if weight >= EVERYDAY and terms.concepts[key].kind in WAYS_AND_TASKS
            for phrase in terms.concepts[key].words[:EXPANSION_WORDS]
        },
        permitted,
        frozenset(kind for key in said for kind in ASKED_KINDS.get(key, ())),
    )


def _permitted(text: str) -> frozenset[str]:
    """Methods that the text allows without asking for them: "quantization allowed"."""
    terms, found = glossary(), set[str]()
    for match in _PERMITS.finditer(text):
        found |= {key for key in terms.asked(match[1]) if key.startswith("method.")}
    return frozenset(found)


def spelled_out(text: str, concepts: Iterable[str]) -> str:
    """The text with the names of concepts after it, for searches by words and by meaning."""
    phrases = [glossary().concepts[key].words[0] for key in concepts]
    return f"{text}. {', '.join(phrases)}" if phrases else text


def read_document(document: Document) -> dict[str, float]:
    """How much a paper is about each concept, 0 to 1."""
    terms = glossary()
    strengths = dict.fromkeys(terms.occurrences(f"{document.title} {document.name}"), IN_TITLE)
    for key, count in terms.occurrences(document.text).items():
        strengths.setdefault(key, BY_COUNT[min(count, len(BY_COUNT) - 1)])
    return {key: round(strength, 2) for key, strength in terms.with_implied(strengths).items()}


@dataclass(frozen=True)
class Profile:
    """A paper as the judgement sees it; worked out once, because each search looks at hundreds."""

    document: Document
    concepts: Mapping[str, float]
    modality: frozenset[str]
    machines: frozenset[str]
    titled_tasks: frozenset[str]
    titled_networks: frozenset[str]


def profile_of(document: Document, concepts: Mapping[str, float]) -> Profile:
    """The profile of a document and its concepts; what the record does not say is read from the title."""
    terms = glossary().concepts
    # An index may be older than the glossary and hold concepts that are gone.
    titled = [terms[key] for key, strength in concepts.items() if strength >= IN_TITLE and key in terms]
    return Profile(
        document,
        concepts,
        frozenset(document.modality) or frozenset(m for concept in titled for m in concept.modality),
        frozenset(key for key in concepts if key.startswith("hardware.")),
        frozenset(concept.key for concept in titled if concept.kind == "task"),
        frozenset(concept.key for concept in titled if concept.kind == "model"),
    )


def record_words(document: Document) -> str:
    """The words of the record for the word index: families, hardware and the like, as a user would type them."""
    values = (*document.families, *document.modality, *document.stage, *document.hardware, document.kind)
    return " ".join(value.replace("-", " ") for value in values)


def rarity(document_count: int, occurrences: int) -> float:
    """Weight of a concept by how few papers have it, 0.3 to 1."""
    if document_count <= 1:
        return 1.0
    return max(0.3, math.log((document_count + 1) / (occurrences + 1)) / math.log(document_count + 1))


@dataclass(frozen=True, slots=True)
class Asked:
    """A concept that is asked for: `weight` as the words say it, `worth` also by how rare it is."""

    key: str
    kind: str
    family: str | None
    weight: float
    worth: float


def asked_of(wanted: Wanted, rarities: Mapping[str, float]) -> tuple[Asked, ...]:
    """The concepts of a need, worked out once for all the papers that are looked at."""
    terms = glossary().concepts
    return tuple(
        Asked(key, terms[key].kind, terms[key].family, weight, weight * rarities.get(key, 1.0))
        for key, weight in wanted.concepts.items()
    )


def record_score(wanted: Wanted, profile: Profile, asked: Sequence[Asked]) -> float:
    """Agreement of a record with what is wanted: at most 1, below 0 when it contradicts it."""
    families = profile.document.families
    total = agreed = 0.0
    for one in asked:
        strength = profile.concepts.get(one.key, 0.0)
        if one.family and one.family in families:
            strength = max(strength, PRIMARY_FAMILY if families[0] == one.family else OTHER_FAMILY)
        total += one.worth
        agreed += one.worth * strength
    return agreed / max(total, SURE) - sum(penalty for penalty, _ in _contradictions(wanted, profile))


def shared_concepts(wanted: Mapping[str, float], concepts: Mapping[str, float]) -> list[str]:
    """What the need and the paper both speak of, most telling first, in words."""
    terms = glossary()
    shared = {key: weight * concepts[key] for key, weight in wanted.items() if concepts.get(key, 0) > BY_COUNT[1]}
    kept = [key for key in sorted(shared, key=lambda key: -shared[key]) if terms.concepts[key].kind != "training"]
    return [key.split(".", 1)[1].replace("-", " ") for key in kept]


def objections(wanted: Wanted, profile: Profile) -> list[str]:
    """What speaks against a paper without ruling it out, as sentences."""
    return [sentence for _, sentence in _contradictions(wanted, profile) if sentence]


def _contradictions(wanted: Wanted, profile: Profile) -> Iterator[tuple[float, str]]:
    """Each penalty with the sentence for the reader, empty where there is nothing to tell."""
    document, modality = profile.document, profile.modality
    if document.kind in KIND_PENALTY and document.kind not in wanted.paper:
        yield KIND_PENALTY[document.kind], ""
    if wanted.modality and modality and "general" not in modality and not modality & wanted.near_modality:
        yield OTHER_MODALITY, f"But it is about {', '.join(sorted(modality))}"
    if profile.titled_tasks and wanted.tasks and wanted.tasks.isdisjoint(profile.concepts):
        yield OTHER_TASK, ""
    if wanted.stage and document.stage and wanted.stage not in document.stage:
        yield OTHER_STAGE, f"But its gain falls in {', '.join(document.stage)}"
    if wanted.training == "none" and document.training_free is False:
        yield NEEDS_TRAINING, "By its abstract it needs training"
    if wanted.hardware and profile.machines and _disagree(wanted.hardware, profile.machines):
        yield OTHER_HARDWARE, "But it was made for other hardware"


def _disagree(wanted: frozenset[str], found: frozenset[str]) -> bool:
    small = wanted & SMALL_MACHINES and not wanted & LARGE_MACHINES
    large = wanted & LARGE_MACHINES and not wanted & SMALL_MACHINES
    if small:
        return not found & SMALL_MACHINES and bool(found & LARGE_MACHINES)
    return bool(large) and bool(found & SMALL_MACHINES) and not found & LARGE_MACHINES


def _related(modality: frozenset[str]) -> frozenset[str]:
    """Modalities that a technique for the given ones may also be filed under."""
    near = {"multimodal": ("vision", "language"), "video": ("vision",), "3d": ("vision",), "code": ("language",)}
    return modality | {other for one in modality for other in near.get(one, ())}


def _only(said: Mapping[str, float], prefix: str) -> str | None:
    found = [key.removeprefix(prefix) for key in said if key.startswith(prefix)]
    return found[0] if len(found) == 1 else None
