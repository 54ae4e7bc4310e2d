"""At which stage of a model's life the benefit falls."""

from __future__ import annotations

from collections import defaultdict

from .text import Document
from .vocabulary import PhraseTable

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
_TABLE: PhraseTable[tuple[str, float]] = PhraseTable(
    (" ".join(phrase.split()), (stage, 0.5 if " " not in phrase.strip() else 1.0))
    for stage, phrases in _VOCABULARY.items()
    for phrase in phrases.split(",")
)
_OF_FAMILY: dict[str, tuple[str, ...]] = {
    "quantization": ("inference",), "sparsity-pruning": ("inference",), "distillation": ("inference",), "low-rank": ("inference",),
    "peft": ("fine-tuning",), "efficient-attention": ("inference", "training"), "kv-cache": ("inference",),
    "ssm-recurrent": ("inference", "training"), "mixture-of-experts": ("inference", "training"),
    "conditional-computation": ("inference",), "token-reduction": ("inference",), "decoding-acceleration": ("inference",),
    "kernels-compilers": ("inference",), "distributed-training": ("training",), "memory-efficient-training": ("training",),
    "training-efficiency": ("training",), "efficient-architecture": ("inference",), "nas": ("search",),
    "weight-sharing": ("inference",), "retrieval-efficiency": ("inference",), "diffusion-acceleration": ("inference",),
    "serving-systems": ("inference",), "data-efficiency": ("training",), "edge-deployment": ("inference",),
    "hardware-accelerators": ("inference",),
}  # fmt: skip
_SHARE_OF_FIRST = 0.55


def find_stage(
    document: Document, families: tuple[str, ...], claim_phases: tuple[str, ...]
) -> tuple[tuple[str, ...], list[str]]:
    """Stages by families, claims and words, strongest first; none for a paper without a family."""
    if not families:
        return (), []
    scores: dict[str, float] = defaultdict(float)
    words: dict[str, list[str]] = defaultdict(list)
    for rank, family in enumerate(families):
        for order, stage in enumerate(_OF_FAMILY[family]):
            scores[stage] += (4.0, 1.5, 1.0)[rank] * (1.0 if order == 0 else 0.5)
            words[stage].append(f"family: {family}")
    for phase in set(claim_phases):
        if phase in _VOCABULARY:
            scores[phase] += 3.0
            words[phase].append(f"claims: {phase}")
    own = document.own_start
    for text, in_title in ((document.title_words, True), (document.words, False)):
        folded = [w.text for w in text]
        for hit in _TABLE.find(folded):
            stage, weight = hit.payload
            scores[stage] += weight * (2.5 if in_title else 0.8 if text[hit.first].start >= own else 0.3)
            words[stage].append(" ".join(folded[hit.first : hit.stop]))
    ranked = sorted(scores, key=lambda s: -scores[s])
    first = scores[ranked[0]]
    chosen = tuple(s for s in ranked if scores[s] >= _SHARE_OF_FIRST * first)[:2]
    return chosen, list(dict.fromkeys(w for s in chosen for w in words[s][:3]))
