"""At which stage of a model's life the benefit falls."""

from __future__ import annotations

from .text import Document
from .vocabulary import LEXICON, Evidence, weighted_phrases

_VOCABULARY: dict[str, str] = {
    "inference": """
        inference, latency, decoding, deployment, serving, throughput, kv cache, real time, inference speed,
        generation speed, sampling speed, prefill, test time, edge device, on device, mobile device, frame per
        second, fps, inference time, deploy, inference cost, post training quantization, lightweight, rendering,
        speculative decoding, runtime, sampling step, model size""",
    "training": """
        training time, training cost, train from scratch, convergence, pre training, pretraining, training
        efficiency, distributed training, training speed, optimizer, faster training, efficient training,
        training memory, gpu hour, federated learning, training throughput, gradient, training, converge,
        training compute, batch size, backpropagation, data parallel, training data, training dynamic""",
    "fine-tuning": """
        fine tuning, finetuning, fine tune, peft, lora, adapter, parameter efficient, prompt tuning, downstream
        adaptation, trainable parameter, transfer learning, instruction tuning, adaptation, customization""",
    "search": """
        neural architecture search, nas, architecture search, search cost, search space, supernet, one shot nas,
        search efficiency, search time, design space exploration, searching""",
    "data": """
        dataset distillation, dataset condensation, data selection, data pruning, coreset, data curation, data
        efficiency, semi supervised, labeling cost, annotation cost, data distillation, dataset pruning, active
        learning, data synthesis""",
}  # fmt: skip


def _weights(phrases: str) -> dict[float, str]:
    """Phrases by weight: single words weigh half."""
    rows: dict[float, list[str]] = {}
    for phrase in phrases.split(","):
        rows.setdefault(1.0 if " " in phrase.strip() else 0.5, []).append(" ".join(phrase.split()))
    return {weight: ",".join(keys) for weight, keys in rows.items()}


_TABLE = LEXICON.add(weighted_phrases({stage: _weights(phrases) for stage, phrases in _VOCABULARY.items()}))
_OF_FAMILY: dict[str, tuple[str, ...]] = {
    "quantization": ("inference",), "sparsity-pruning": ("inference",), "distillation": ("inference",), "low-rank": ("inference",),
    "peft": ("fine-tuning",), "efficient-attention": ("inference", "training"), "kv-cache": ("inference",),
    "ssm-recurrent": ("inference", "training"), "mixture-of-experts": ("inference", "training"),
    "conditional-computation": ("inference",), "token-reduction": ("inference",), "decoding-acceleration": ("inference",),
    "kernels-compilers": ("inference",), "distributed-training": ("training",), "memory-efficient-training": ("training",),
    "training-efficiency": ("training",), "efficient-architecture": ("inference",), "nas": ("search",),
    "weight-sharing": ("inference",), "retrieval-efficiency": ("inference",), "diffusion-acceleration": ("inference",),
    "serving-systems": ("inference",), "data-efficiency": ("training", "data"), "edge-deployment": ("inference",),
    "hardware-accelerators": ("inference",),
}  # fmt: skip
_SHARE_OF_FIRST = 0.55
_BY_RANK = (4.0, 1.5, 1.0)
_CLAIMED = 3.0
_FACTORS = (2.5, 0.3, 0.8)
"""Of a phrase in the title, the background and the paper's own part."""


_NAMES = {"training": "training", "pretraining": "training", "inference": "inference", "finetuning": "fine-tuning",
          "decoding": "inference", "serving": "inference"}  # fmt: skip
_MENTIONED = 0.8
"""The score of a stage that the paper's own part mentions once."""


def weigh_stages(document: Document) -> Evidence:
    """How loudly the words of title and abstract speak for each stage."""
    evidence = Evidence()
    evidence.weigh(document.found[_TABLE], _FACTORS)
    return evidence


def find_stage(
    document: Document, evidence: Evidence, families: tuple[str, ...], claim_phases: tuple[str, ...]
) -> tuple[tuple[str, ...], list[str]]:
    """Stages by families, claims and words, strongest first; none for a paper without a family.

    `evidence`, of `weigh_stages`, takes up that of families and claims.
    """
    if not families:
        return (), []
    for rank, family in enumerate(families):
        for order, stage in enumerate(_OF_FAMILY[family]):
            gain = _BY_RANK[rank] * (1.0 if order == 0 else 0.5)
            evidence.scores[stage] += gain
            evidence.phrases[stage][f"family: {family}"] = gain
    for phase in sorted(set(claim_phases) & _VOCABULARY.keys()):
        evidence.scores[phase] += _CLAIMED
        evidence.phrases[phase][f"claims: {phase}"] = _CLAIMED
    scores = evidence.scores
    ranked = sorted(scores, key=lambda s: -scores[s])
    sure = {*claim_phases, *_in_title(document)}
    if "memory-efficient-training" in families and scores["fine-tuning"] >= _MENTIONED:
        sure.add("fine-tuning")
    chosen = tuple(
        s
        for rank, s in enumerate(ranked)
        if (rank < 2 and scores[s] >= _SHARE_OF_FIRST * scores[ranked[0]]) or s in sure
    )
    return chosen, evidence.strongest(chosen)


def _in_title(document: Document) -> set[str]:
    """Stages that the title names; "post-training" and "training-free" name none."""
    words = [word[0] for word in document.title_words]
    named = set()
    for at, word in enumerate(words):
        stage = _NAMES.get(word)
        spared = (at > 0 and words[at - 1] in {"post", "test", "free"}) or words[at + 1 : at + 2] == ["free"]
        if word == "tuning" and at > 0 and words[at - 1] == "fine":
            stage = "fine-tuning"
        if stage and not spared:
            named.add(stage)
    return named


def usual_phase(evidence: Evidence, first: str) -> str:
    """The phase of a number that names none, from the first family ("" if none) and the words of the abstract."""
    stages = _OF_FAMILY.get(first, ())
    if stages in {("training",), ("fine-tuning",)}:
        return stages[0]
    prior = _BY_RANK[0] if stages else 0.5 * _BY_RANK[0]
    scores = evidence.scores
    return "training" if scores["training"] > scores["inference"] + prior else "inference"
