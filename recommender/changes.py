"""What a technique changes, as terms of the memory and time of a situation: from its card, or from its family and claims.

A claim is a factor without a place. Its metric says whether it is memory or time, the paper's family where that lies.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from recommender.documents import Document, ModelledEffect
from recommender.situation import Change, Situation

SPACE = frozenset({"memory", "model_size", "params", "compression", "storage"})
SPEED = frozenset({"latency", "speedup", "throughput", "training_time"})
# What a user feels; figures of operations, of tokens or of a rate of compression say it less directly.
FELT = SPEED | {"memory", "model_size", "params", "energy", "training_cost"}
GROWING = frozenset({"throughput", "speedup", "bandwidth"})
_WIDTH = re.compile(r"\b(\d{1,2})[\s-]?bits?\b|\b(?:INT|FP)(\d)\b|\bW(\d)A\d{1,2}\b", re.IGNORECASE)
# A width that is named as a limit or beside another method is not the paper's own.
_NOT_ITS_OWN = re.compile(
    r"(?:unless|except|until|fails?|collapses?|instead of|rather than|compared|than)\b[^.;]{0,40}$", re.IGNORECASE
)
_COMPUTES_NARROW = re.compile(
    r"\bactivations?\b|integer[\s-]only|\bW\d+A\d+\b|\bint(?:eger)?[\s-]?8 (?:inference|arithmetic|matmul)",
    re.IGNORECASE,
)
MUCH_QUICKER = 1.5
_SENTENCE = re.compile(r"(?<=[.!?;])\s+")
_CACHE = re.compile(r"\bKV\b|key-value|key value cache", re.IGNORECASE)
KERNELS = frozenset({"kernel", "module"})
WHOLE = frozenset({"model", "training-step", "processes"})
# Where the memory is that a family saves, in inference and in training.
_SPACE_OF: Mapping[str, tuple[str, str]] = {
    "quantization": ("weights", "weights"), "sparsity-pruning": ("weights", "weights"),
    "low-rank": ("weights", "optimizer"), "weight-sharing": ("weights", "weights"),
    "distillation": ("weights", "weights"), "nas": ("weights", "weights"),
    "efficient-architecture": ("weights", "weights"), "edge-deployment": ("weights", "weights"),
    "kv-cache": ("kv_cache", "activations"), "token-reduction": ("kv_cache", "activations"),
    "efficient-attention": ("activations", "activations"), "ssm-recurrent": ("kv_cache", "activations"),
    "kernels-compilers": ("activations", "activations"), "mixture-of-experts": ("weights", "weights"),
    "peft": ("weights", "optimizer"), "memory-efficient-training": ("activations", "all"),
    "distributed-training": ("all", "all"), "serving-systems": ("kv_cache", "kv_cache"),
    "training-efficiency": ("all", "all"),
}  # fmt: skip
# Of which part of the time a family's claims speak when they do not say; other families speak of the whole.
_TIME_OF: Mapping[str, str] = {"efficient-attention": "attention", "decoding-acceleration": "decode"}
# What two papers may act on at once without one undoing the other is told by these; the rest is taken as unknown.
ACTS_ON: Mapping[str, str] = {
    "quantization": "how weights are stored", "sparsity-pruning": "which weights there are",
    "low-rank": "which weights there are", "weight-sharing": "which weights there are",
    "distillation": "which weights there are", "nas": "which weights there are",
    "efficient-architecture": "which weights there are", "mixture-of-experts": "which weights there are",
    "kv-cache": "the key-value cache", "efficient-attention": "how attention is computed",
    "ssm-recurrent": "how attention is computed", "decoding-acceleration": "how many steps decoding takes",
    "token-reduction": "how many tokens are looked at", "kernels-compilers": "how kernels are made",
    "serving-systems": "how requests share the device", "peft": "which weights are trained",
    "memory-efficient-training": "what training keeps", "distributed-training": "how devices share the work",
    "conditional-computation": "which layers run", "diffusion-acceleration": "how many steps denoising takes",
    "training-efficiency": "how training is run", "data-efficiency": "which data is trained on",
}  # fmt: skip


_DECODES = re.compile(
    r"decod\w*|token generation|generation (?:speed|latency)|(?:per|each)[\s-](?:output[\s-])?token|\btpot\b",
    re.IGNORECASE,
)
_PREFILLS = re.compile(r"pre-?fill\w*|time[\s-]to[\s-](?:the[\s-])?first|\bttft\b|prompt processing", re.IGNORECASE)
_PARTS = frozenset({"attention", "linear", "elementwise", "output-layer"})


# The one modelled gain in time that was measured on a GPU lay at 0.91 of the low end of its card's range.
UNPOLISHED = 0.85


def pass_of(document: Document, quote: str = "") -> str | None:
    """The pass that a figure of a paper is of, "prefill" or "decode": by its own words, those of its sentence, the title, or where
    the whole text speaks of one alone. None where it may be of both."""
    if document.families[:1] == ("decoding-acceleration",):
        return "decode"
    sentence = next((part for part in _SENTENCE.split(document.text) if quote and quote in part), "")
    said_of_both = False
    for text in (quote, sentence, document.title, document.text):
        decodes, prefills = bool(_DECODES.search(text)), bool(_PREFILLS.search(text))
        if decodes != prefills:
            return "decode" if decodes else "prefill"
        said_of_both |= decodes
    # Keys and values of earlier tokens are read for each new one; a prompt makes them, and gains nothing from fewer.
    return "decode" if document.families[:1] == ("kv-cache",) and not said_of_both else None


def localized(term: str, document: Document, situation: Situation, quote: str = "") -> str:
    """A term of time within the pass that the paper speaks of, where a model makes tokens and so has two."""
    model = situation.model
    if situation.workload.trains or model is None or not model.is_decoder or term not in ("all", *_PARTS):
        return term
    found = pass_of(document, quote)
    return term if found is None else found if term == "all" else f"{found}/{term}"


def change_of(effect: ModelledEffect) -> Change:
    """A card's effect; the geometric middle of its range is the likely factor."""
    return Change(effect.resource, effect.term, cautious(effect), (effect.low * effect.high) ** 0.5, effect.high)


def cautious(effect: ModelledEffect) -> float:
    """The least factor to expect: a card says what its mechanism saves, and its kernels may lose some of it to those of a library."""
    return effect.low * (UNPOLISHED if effect.resource == "time" else 1.0)


def applies(effect: ModelledEffect, situation: Situation) -> bool:
    """Whether the card says that the effect holds for the user's stage and kind of model."""
    if effect.stages and situation.workload.stage not in effect.stages:
        return False
    model = situation.model
    return not (model and effect.architectures and not set(model.architectures) & set(effect.architectures))


def place_of(
    document: Document, metric: str, scope: str, situation: Situation, quote: str = ""
) -> tuple[str, str] | None:
    """(resource, term) that a factor in this metric acts on; None where the metric is neither memory nor time.

    `quote` is what states it, which may say of which pass it is.
    """
    family = document.families[0] if document.families else ""
    effect = next((effect for effect in document.effects if effect.resource == resource_of(metric)), None)
    if metric in SPACE and effect is None and document.effects and scope not in WHOLE:
        return "memory", document.effects[0].term  # what it saves lies where its card says that it acts
    if metric in SPACE:
        return "memory", effect.term if effect else _SPACE_OF.get(family, ("all", "all"))[situation.workload.trains]
    if metric not in SPEED:
        return None
    if family == "diffusion-acceleration" and effect is None:
        return "time", "steps"  # fewer or smaller steps: what makes one step quicker comes on top
    if effect and scope not in WHOLE:
        return "time", localized(effect.term, document, situation, quote)
    return "time", localized("all" if scope in WHOLE else _TIME_OF.get(family, "all"), document, situation, quote)


def changes_by_nature(document: Document, situation: Situation) -> Iterator[tuple[Change, str]]:
    """What follows from a technique's nature without any claim, with the sentence that says so.

    Numbers of fewer bits take fewer bytes: the width is read from the paper's words, a scale beside each group of
    numbers costs up to another bit. Adapters train a few hundredths of the weights.
    """
    family = document.families[0] if document.families else ""
    work = situation.workload
    if family in ("quantization", "kv-cache") and not work.trains and (widths := _widths(document)):
        cached = family == "kv-cache" or bool(_CACHE.search(f"{document.title} {document.text}"))
        held = 8 * (work.activation_bytes if cached else work.weight_bytes)
        narrow, likely, wide = widths
        if held > wide + 1:
            term = "kv_cache" if cached else "weights"
            bits = f"{narrow}" if narrow == wide else f"{narrow} to {wide}"
            words = f"It holds {'keys and values' if cached else 'weights'} in {bits} bits and not in {held:g}; the bytes follow."
            yield Change("memory", term, held / (wide + 1), held / (likely + 0.5), held / narrow), words
            if not cached and (ratio := _quicker_in_8_bits(document, situation)) and narrow <= 8:
                words = f"It computes with numbers of 8 bits, which {situation.need.gpu} does {ratio:.2g} times as quickly, if its kernels do."
                yield Change("time", "linear", 1.0, ratio**0.6, ratio), words
    if family == "peft" and work.stage == "fine-tuning":
        words = "Adapters train 1 to 5 % of the weights, so as little is kept for the rest; taken from its family."
        for term in ("optimizer", "gradients"):
            yield Change("memory", term, 20.0, 50.0, 100.0), words


def _quicker_in_8_bits(document: Document, situation: Situation) -> float | None:
    """How many times quicker the device is in 8 bits than in the weights' format, where the paper narrows activations too."""
    device = situation.device
    wide = device.rate(situation.workload.computes_in) if device else None
    if device is None or not wide or not _COMPUTES_NARROW.search(f"{document.title} {document.text}"):
        return None
    ratio = max(device.tflops.get("int8", 0.0), device.tflops.get("fp8", 0.0)) / wide
    return ratio if ratio >= MUCH_QUICKER else None


def _widths(document: Document) -> tuple[int, int, int] | None:
    """The narrowest, the most often named and the widest number of bits that the title or, else, the abstract speaks of, of
    2 to 8; None for none."""
    for text in (document.title, document.text):
        named = Counter(
            int(found[1] or found[2] or found[3])
            for found in _WIDTH.finditer(text)
            if not _NOT_ITS_OWN.search(text, max(0, found.start() - 60), found.start())
        )
        if found := [bits for bits in sorted(named) if 2 <= bits <= 8]:
            return found[0], max(found, key=lambda bits: (named[bits], bits)), found[-1]
    return None


def resource_of(metric: str) -> str | None:
    return "memory" if metric in SPACE else "time" if metric in SPEED else None
