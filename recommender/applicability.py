"""Which papers can be put to use in a situation: what they offer, what they are meant for, what they ask of their user."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping

from recommender.constraints import EFFORTS, effort_of
from recommender.documents import Document
from recommender.glossary import glossary
from recommender.hardware.models import Model
from recommender.relevance import read_query
from recommender.situation import FEW_SEQUENCES, Situation

TELLS_ONLY = re.compile(
    r"\b(?:survey|position paper|review|benchmark(?:ing)?|scaling laws?|empirical study)\b", re.IGNORECASE
)
NO_PART = frozenset({"survey", "benchmark", "dataset", "analysis", "theory", "other", "hardware"})
# Families whose papers change the weights or the network: without a word of it, that some training is needed is likely.
CHANGES_WEIGHTS = frozenset({
    "sparsity-pruning", "low-rank", "distillation", "nas", "efficient-architecture", "weight-sharing", "mixture-of-experts",
    "ssm-recurrent", "conditional-computation", "training-efficiency", "data-efficiency", "peft",
})  # fmt: skip
# Families that leave the work as it is and do it better: they cannot be quicker than the peaks of the device allow.
SAME_WORK = frozenset({"serving-systems", "kernels-compilers", "distributed-training"})
# Places and ways of running that a need would name.
_ELSEWHERE = re.compile(
    r"browser|webgpu|webassembly|split computing|split inference|edge-assisted|federated|homomorphic|encrypted|multi-party|privacy",
    re.IGNORECASE,
)
_PLURAL_CAPITALS = re.compile(r"\b([A-Z][A-Za-z]?[A-Z]+)s\b")
_SEES = re.compile(r"\b(?:vision|visual|image|video|multi-?modal)", re.IGNORECASE)
# Families that help only where there is what they work on.
_NEEDS: Mapping[str, Callable[[Situation], bool]] = {
    "serving-systems": lambda situation: situation.workload.batch > FEW_SEQUENCES,
    "distributed-training": lambda situation: situation.need.gpus > 1,
    "diffusion-acceleration": lambda situation: situation.model is None or situation.model.kind == "diffusion",
    "mixture-of-experts": lambda situation: situation.model is None or situation.model.experts > 1,
    "data-efficiency": lambda situation: situation.need.stage == "data",
    "nas": lambda situation: situation.need.stage == "search",
    "decoding-acceleration": lambda situation: situation.model is None or situation.model.is_decoder,
    "kv-cache": lambda situation: situation.model is None or situation.model.is_decoder,
    "retrieval-efficiency": lambda situation: False,
    "hardware-accelerators": lambda situation: False,
}


def is_to_use(document: Document) -> bool:
    """Whether the paper offers something to use; a record does not always know a survey, its title does."""
    return bool(document.families) and document.kind not in NO_PART and not TELLS_ONLY.search(document.title)


def usable_of(ranked: Iterable[Document]) -> list[Document]:
    return [document for document in ranked if is_to_use(document)]


def fits_model(document: Document, situation: Situation) -> bool:
    """Whether a paper can be applied to the model that the need names: data of its kind, its stage, and its weights kept."""
    stage = situation.need.stage or "inference"
    if document.stage and stage in ("inference", "training", "fine-tuning") and stage not in document.stage:
        return False
    if _is_for_other_machines(document, situation):
        return False
    model = situation.model
    if model is None:
        return True
    family = document.families[0] if document.families else ""
    if family in _NEEDS and not _NEEDS[family](situation):
        return False
    if "mixture-of-experts" in document.families and not document.effects and model.experts == 1:
        return False
    if not is_for_its_data(document, situation) or not _is_for_its_network(document, model):
        return False
    if not _is_for_its_task(document, situation, model):
        return False
    return document.kind != "architecture" or situation.need.training == "pretrain"


def is_for_its_data(document: Document, situation: Situation) -> bool:
    """Whether the paper is about data that the model reads; what a card says of networks wins over the record."""
    model = situation.model
    if model is None or not document.modality or "general" in document.modality or not model.reads:
        return True
    if any(set(effect.architectures) & set(model.architectures) - {"transformer"} for effect in document.effects):
        return True
    data = model.reads | _data_said(situation.need.text)
    if "multimodal" in document.modality and "multimodal" not in data and _SEES.search(document.title):
        return False
    return bool(data & set(document.modality))


def _is_for_its_network(document: Document, model: Model) -> bool:
    """Whether the kinds of network that the title names, if any, are the model's."""
    named = _networks(document.title)
    if not named or named & _networks_of(model):
        return True
    # A card's "transformer" may mean those of its title alone: of language models, say, and not of encoders.
    kinds = {kind for effect in document.effects for kind in effect.architectures}
    return bool(kinds & set(model.architectures) - (set() if model.is_decoder else {"transformer"}))


def _is_for_its_task(document: Document, situation: Situation, model: Model) -> bool:
    """Whether the tasks that the title names, if any, are among those of the model or of the need; a language model has any."""
    if model.is_decoder and not model.item:
        return True
    named = _tasks(document.title)
    return not named or bool(named & (_tasks(situation.need.text) | _tasks_of(model)))


@functools.lru_cache(20_000)
def _tasks(text: str) -> frozenset[str]:
    return frozenset(key for key in glossary().occurrences(text) if key.startswith("task."))


def _tasks_of(model: Model) -> set[str]:
    if model.kind == "diffusion":
        return (
            {"task.image-generation", "task.video-generation"} if "video" in model.reads else {"task.image-generation"}
        )
    if "speech-audio" in model.reads:
        return {"task.speech-recognition", "task.audio"}
    if "vision" in model.reads:
        return {"task.image-classification"}
    return {"task.language-modelling", "task.text-classification", "task.question-answering", "task.text-embedding"}


@functools.lru_cache(20_000)
def _networks(title: str) -> frozenset[str]:
    singular = _PLURAL_CAPITALS.sub(r"\1", title)
    return frozenset(key for key in glossary().occurrences(singular) if key.startswith("model."))


def _networks_of(model: Model) -> set[str]:
    """As the glossary names them."""
    kinds = {
        "decoder": {"model.llm", "model.transformer"}, "encoder-decoder": {"model.llm", "model.transformer"},
        "recurrent": {"model.ssm", "model.rnn", "model.hyena", "model.llm"}, "convnet": {"model.cnn", "model.hybrid-vision"},
        "diffusion": {"model.diffusion", "model.diffusion-transformer", "model.transformer"},
    }.get(model.kind, {"model.transformer"})  # fmt: skip
    if model.kind == "encoder":
        kinds = kinds | (
            {"model.vision-transformer", "model.hybrid-vision"} if "vision" in model.reads else {"model.bert"}
        )
    return kinds | ({"model.moe"} if model.experts > 1 else set())


@functools.lru_cache(256)
def _data_said(text: str) -> frozenset[str]:
    return read_query(text).modality


def _is_for_other_machines(document: Document, situation: Situation) -> bool:
    """New hardware, or a system for small machines where a large one is to be used."""
    if "hardware-accelerators" in document.families and not document.effects:
        return True
    said = situation.need.text.lower()
    if any(found[0].lower() not in said for found in _ELSEWHERE.finditer(document.title)):
        return True
    device = situation.device
    return device is not None and device.is_gpu and document.kind == "system" and "edge-deployment" in document.families


def asks_too_much(document: Document, allowed: str) -> bool:
    """Whether a paper asks for more training than is allowed, or is likely to where it does not say."""
    effort = effort_of(document)
    if effort == "unknown":
        return allowed == "none" and is_to_use(document) and document.families[0] in CHANGES_WEIGHTS
    # A few samples run through the model are no training.
    return allowed in EFFORTS and EFFORTS.index(effort) > max(EFFORTS.index(allowed), EFFORTS.index("calibration"))
