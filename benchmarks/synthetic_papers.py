"""A corpus of made-up papers for benchmarks: sentences of the field's own vocabulary, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

from recommender.documents import Document
from recommender.glossary import glossary

OPENINGS = ("We present", "This paper proposes", "We study", "We revisit", "Our work introduces")
ENDINGS = ("at a lower cost", "without loss of accuracy", "on common hardware", "for large models", "in a single pass")
NEEDS = (
    "one RTX 4090, Llama-3-8B, 32k prompts, no retraining",
    "shrink the key-value cache of a language model for long documents",
    "real-time segmentation on a small board without a graphics card",
    "fine-tune Mistral-7B on a single RTX 3090",
    "fewer denoising steps for an image generator",
    "cheaper pretraining by starting from a smaller network",
    "serve Llama-3-70B on 4x H100 to 128 concurrent users",
    "search architectures without training each of them",
)


def papers(count: int, seed: int = 0) -> Iterator[Document]:
    """Papers with a title, about 150 words of text and a record."""
    chance = random.Random(seed)
    concepts = [concept for concept in glossary().concepts.values() if concept.family]
    for number in range(1, count + 1):
        main, second = chance.sample(concepts, 2)
        sentences = [
            f"{chance.choice(OPENINGS)} {chance.choice(concept.words)} with {chance.choice(other.words)} "
            f"{chance.choice(ENDINGS)}, {chance.randrange(2, 40) / 2} times faster than before"
            for concept, other in (chance.sample([main, second, *chance.sample(concepts, 3)], 2) for _ in range(9))
        ]
        yield Document(
            id=number,
            title=f"{chance.choice(main.words).title()} meets {chance.choice(second.words)}, part {number}",
            text=". ".join(sentences),
            families=tuple(family for family in (main.family, second.family) if family),
            modality=(chance.choice(("language", "vision", "general")),),
            stage=(chance.choice(("inference", "training")),),
            training_free=chance.choice((True, False, None)),
            kind="technique",
        )


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
