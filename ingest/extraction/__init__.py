"""Abstract text to technique record: what a paper proposes, where it helps, and what it claims in numbers.

Pure and deterministic: no network and no clock; what an encoder makes of a text is handed in. `extract` never raises on any text; `EXTRACTOR_VERSION`
changes with every change of a rule or a vocabulary, so that stored records can be told from what the rules say now.
"""

from __future__ import annotations

from .code_links import find_code_urls
from .families import find_families
from .kind import find_kind
from .modality import find_modality
from .name import find_name
from .quality import find_quality_cost
from .reading import read_paper
from .record import (
    FAMILIES,
    KINDS,
    METRICS,
    MODALITIES,
    PHASES,
    STAGES,
    VERIFY,
    ExtractedClaim,
    QualityCost,
    TechniqueRecord,
)
from .stage import find_stage
from .training import find_training_free
from .verify import describe_mechanism, find_verify
from .weights import Heard, Sums, load_weights

EXTRACTOR_VERSION = "2.5.0"
__all__ = [
    "EXTRACTOR_VERSION",
    "FAMILIES",
    "KINDS",
    "METRICS",
    "MODALITIES",
    "PHASES",
    "STAGES",
    "VERIFY",
    "ExtractedClaim",
    "Heard",
    "QualityCost",
    "TechniqueRecord",
    "extract",
]


def extract(title: str, abstract: str, heard: Heard | None = None) -> TechniqueRecord:
    """The technique record of one paper. Offsets of claims count characters of `abstract` as given.

    `heard` is what an encoder makes of the text (`meaning.py`); without it words and phrases decide alone.
    """
    weights = load_weights()
    document, devices, hardware, claims, signals = read_paper(title, abstract, weights.numbering)
    sums = Sums(weights, signals, document, heard)
    kind, kind_words = find_kind(sums)
    families, family_words = find_families(sums)
    modality, modality_words = find_modality(sums)
    stage, stage_words = find_stage(sums, families)
    training_free, training_words = find_training_free(sums)
    name, name_words = find_name(document, kind)
    verify, verify_words = find_verify(kind, families, stage, hardware, claims)
    return TechniqueRecord(
        title=title,
        kind=kind,
        name=name,
        families=families,
        modality=modality,
        stage=stage,
        training_free=training_free,
        hardware=hardware,
        code_urls=find_code_urls(document),
        claims=claims,
        quality_cost=find_quality_cost(document.sentences, bool(claims)) if families else None,
        verify=verify,
        mechanism=describe_mechanism(name, families, verify, claims),
        reasons={
            "kind": kind_words,
            "name": name_words,
            "families": family_words,
            "modality": modality_words,
            "stage": stage_words,
            "training_free": training_words,
            "hardware": [abstract[d.start : d.end] for d in devices if d.label in hardware][:5],
            "verify": verify_words,
        },
    )
