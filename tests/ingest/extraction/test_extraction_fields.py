"""The fields of a record beside its claims."""

import json

import pytest

from ingest.extraction import FAMILIES, KINDS, MODALITIES, STAGES, VERIFY, extract

KIND = {
    "survey": ("A Survey of Fast Models", "We review work on small models.", "survey"),
    "technique": (
        "Zedwick: Post-Training Quantization with Rotations",
        "We propose a quantization method that rounds weights to 4-bit codes without retraining.",
        "technique",
    ),
    "architecture": (
        "ZedNet: A Lightweight Backbone for Phones",
        "We present ZedNet, a lightweight convolutional network. Our models reach high accuracy on ImageNet.",
        "architecture",
    ),
    "system": (
        "ZedServe: A Serving System for Language Models",
        "We build ZedServe, an LLM serving system with continuous batching and high throughput.",
        "system",
    ),
    "dataset": (
        "ZedText: A Corpus of Old Letters",
        "We introduce ZedText, a dataset of letters.",
        "dataset",
    ),
    "doing-something-to-networks": (
        "Slimming Convolutional Networks with Gates",
        "Many networks are too wide. Channels are removed by gates.",
        "technique",
    ),
    "proposed-at-the-end-of-an-analysis": (
        "Wide or Deep?",
        "We analyze how networks are scaled. This leads us to propose a simple scaling strategy.",
        "technique",
    ),
    "dataset-is-only-a-means": (
        "ZedCap: Captions from Several Datasets",
        "We propose ZedCap, a small network that reads captions.",
        "architecture",
    ),
    "theory": (
        "A Theory of Sparse Gates",
        "We prove convergence rates for sparse gates. Theorems hold for all depths.",
        "theory",
    ),
}


@pytest.mark.parametrize(("title", "abstract", "kind"), KIND.values(), ids=KIND.keys())
def test_kind(title: str, abstract: str, kind: str) -> None:
    assert extract(title, abstract).kind == kind


NAME = {
    "before-the-colon": ("ZedFlow: fast sampling", "We study sampling.", "ZedFlow"),
    "short-form": ("Blocky Wave Sums: a layer", "We propose Blocky Wave Sums (BWS), a layer.", "BWS"),
    "called": ("Fast sums for all", "We present a layer called QuickSum that is cheap.", "QuickSum"),
    "introduced": ("Fast sums for all", "We introduce QuickSum, a layer that is cheap.", "QuickSum"),
    "in-short": ("Fast sums", "We design a family of Quick Sum Nets, or QSNets in short. QSNet is small.", "QSNet"),
    "generic-acronym": ("Fast sums for large models", "We study how large language models (LLMs) add.", None),
    "none": ("On adding numbers", "We study how sums behave.", None),
}


@pytest.mark.parametrize(("title", "abstract", "name"), NAME.values(), ids=NAME.keys())
def test_name(title: str, abstract: str, name: str | None) -> None:
    assert extract(title, abstract).name == name


FAMILY = {
    "quantization": "We propose post-training quantization of weights to 4-bit codes.",
    "peft": "We propose prompt tuning with a soft prompt and few trainable parameters.",
    "kv-cache": "We propose KV cache eviction that drops old keys.",
    "decoding-acceleration": "We propose speculative decoding with a small draft model.",
    "nas": "We propose neural architecture search with a supernet.",
    "distributed-training": "We propose pipeline parallelism with gradient compression.",
    "distillation": "We propose knowledge distillation from a teacher to a student.",
    "mixture-of-experts": "We propose a mixture of experts with a new router.",
}


@pytest.mark.parametrize(("family", "abstract"), FAMILY.items(), ids=FAMILY.keys())
def test_first_family_and_its_evidence(family: str, abstract: str) -> None:
    record = extract("A study of Zedwick", abstract)
    assert record.families[0] == family
    assert record.reasons["families"], "the words behind a family are kept"


def test_vector_quantization_of_a_codec_is_not_weight_quantization() -> None:
    record = extract("ZedCodec", "We present ZedCodec, an audio codec with residual vector quantization.")
    assert "quantization" not in record.families


MODALITY = {
    "language": ("We speed up large language models.", ("language",)),
    "vision": ("We speed up image classification on ImageNet.", ("vision",)),
    "speech": ("We speed up speech recognition.", ("speech-audio",)),
    "named-by-weak-words": ("We speed up a convolutional neural network.", ("vision",)),
    "none": ("We speed up a sum.", ("general",)),
}


@pytest.mark.parametrize(("abstract", "modality"), MODALITY.values(), ids=MODALITY.keys())
def test_modality(abstract: str, modality: tuple[str, ...]) -> None:
    assert extract("Zedwick", abstract).modality == modality


STAGE = {
    "family": ("Zedwick", "We propose KV cache eviction.", {"inference"}),
    "training": (
        "Zedwick: Fast Training of Transformers",
        "We propose an optimizer that converges faster.",
        {"training"},
    ),
    "fine-tuning": ("Zedwick", "We propose low-rank adapters for parameter-efficient fine-tuning.", {"fine-tuning"}),
    "post-training-is-no-training": ("Post-Training Pruning", "We propose one-shot pruning of weights.", {"inference"}),
    "no-family": ("Zedwick", "We study how sums behave.", set()),
}


@pytest.mark.parametrize(("title", "abstract", "stage"), STAGE.values(), ids=STAGE.keys())
def test_stage(title: str, abstract: str, stage: set[str]) -> None:
    assert set(extract(title, abstract).stage) == stage


VERIFIED = {
    "kernel": ("We propose post-training quantization and a fused CUDA kernel for 4-bit codes.", "kernel"),
    "weights": ("We propose post-training quantization of weights to 4-bit codes.", "needs-weights"),
    "devices": ("We propose pipeline parallelism with gradient compression.", "multi-device"),
    "nothing": ("We study how sums behave.", "none"),
}


@pytest.mark.parametrize(("abstract", "verify"), VERIFIED.values(), ids=VERIFIED.keys())
def test_verify(abstract: str, verify: str) -> None:
    assert extract("Zedwick", abstract).verify == verify


HARDWARE = {
    "card-hides-class": ("We run on A100 GPUs.", ("A100",)),
    "class-alone": ("We run on GPUs and CPUs.", ("GPU", "CPU")),
    "consumer-card": ("We run on one RTX 4090 GPU.", ("RTX 4090",)),
    "phone": ("We run on an iPhone 12.", ("iPhone 12",)),
    "mobile-class": ("We run on mobile devices.", ("mobile",)),
    "model-name-is-no-device": ("We test T5 and A2C agents.", ()),
}


@pytest.mark.parametrize(("abstract", "hardware"), HARDWARE.values(), ids=HARDWARE.keys())
def test_hardware(abstract: str, hardware: tuple[str, ...]) -> None:
    assert extract("Zedwick", abstract).hardware == hardware


URL = {
    "full-stop": ("Code is at https://github.com/zed/wick.", ("https://github.com/zed/wick",)),
    "doubled-by-latex": (
        "Code: https://github.com/zed/wick{https://github.com/zed/wick}.",
        ("https://github.com/zed/wick",),
    ),
    "in-brackets": ("Code (https://zed.github.io/wick/) is out.", ("https://zed.github.io/wick/",)),
    "without-scheme": ("Code is at github.com/zed/wick.", ("https://github.com/zed/wick",)),
    "twice": ("See https://zed.ai/a and https://zed.ai/a/.", ("https://zed.ai/a",)),
    "none": ("Code will be released.", ()),
}


@pytest.mark.parametrize(("abstract", "urls"), URL.values(), ids=URL.keys())
def test_code_urls(abstract: str, urls: tuple[str, ...]) -> None:
    assert extract("Zedwick", abstract).code_urls == urls


QUALITY = {
    "a-number": ("We propose pruning with less than 0.7% accuracy drop.", 0.7, "%", False),
    "no-loss": ("We propose pruning without sacrificing model quality.", None, None, True),
    "first-of-a-list": ("We propose pruning with 0.4% and 0.7% higher accuracy.", 0.4, "%", True),
    "what-is-kept": (
        "We propose pruning that maintains accuracy to within 99.9% of the dense model.",
        99.9,
        "%",
        False,
    ),
    "range-has-no-one-value": ("We propose pruning with 2-4% higher mAP.", None, None, True),
    "not-as-much": ("We propose pruning without sacrificing the accuracy as much.", None, None, False),
    "no-significant-loss": ("We propose pruning without significant accuracy loss.", None, None, False),
    "better-by-a-number": (
        "We propose pruning that is 2x faster and surpasses others by an average of 5%.",
        5.0,
        "%",
        True,
    ),
    "small-loss": ("We propose pruning with negligible accuracy loss.", None, None, False),
}


@pytest.mark.parametrize(("abstract", "value", "unit", "lossless"), QUALITY.values(), ids=QUALITY.keys())
def test_quality_cost(abstract: str, value: float | None, unit: str | None, lossless: bool) -> None:
    cost = extract("Zedwick: pruning", abstract).quality_cost
    assert cost is not None
    assert (cost.value, cost.unit, cost.lossless) == (value, unit, lossless)
    assert cost.quote in abstract


@pytest.mark.parametrize(
    "abstract",
    [
        pytest.param("We propose pruning that outperforms other methods.", id="better-and-no-gain-claimed"),
        pytest.param("We propose pruning with minor training cost.", id="cost-of-another-kind"),
        pytest.param("We propose pruning and achieve 90% accuracy.", id="a-score"),
    ],
)
def test_what_says_nothing_of_a_cost_in_quality(abstract: str) -> None:
    assert extract("Zedwick: pruning", abstract).quality_cost is None


TRAINING = {
    "free": ("We propose a training-free pruning method.", True),
    "post-training": ("We propose post-training quantization.", True),
    "trained": ("We propose knowledge distillation and train a student.", False),
    "survey": ("This survey covers training-free pruning.", None),
}


@pytest.mark.parametrize(("abstract", "free"), TRAINING.values(), ids=TRAINING.keys())
def test_training_free(abstract: str, free: bool | None) -> None:
    title = "A survey" if free is None else "Zedwick"
    assert extract(title, abstract).training_free is free


def test_the_record_is_plain_json_in_the_words_of_the_vocabularies() -> None:
    abstract = "We propose Zedwick, a pruning method that is 2x faster on an A100. See https://zed.ai/wick."
    out = json.loads(json.dumps(extract("Zedwick: structured pruning", abstract).to_json()))
    assert out["kind"] in KINDS
    assert set(out["families"]) <= set(FAMILIES)
    assert set(out["modality"]) <= set(MODALITIES)
    assert set(out["stage"]) <= set(STAGES)
    assert out["verify"] in VERIFY
    assert out["claims"][0]["baseline"] is None
    assert out["claims"][0]["hardware"] == "A100"
    assert abstract[out["claims"][0]["start"] : out["claims"][0]["end"]] == out["claims"][0]["quote"]
