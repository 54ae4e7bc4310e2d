"""What a person who asks for advice notices."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from recommender.advice import advise, read_need
from recommender.constraints import exclusion
from recommender.documents import Document, MeasuredGain, ModelledEffect, Needs, Quality
from recommender.hardware.models import find_model
from recommender.knowledge import Knowledge
from recommender.need import Need, NeedError, check_known
from recommender.need_reader import ask

FOUR_BIT = ModelledEffect("weights", "memory", 3.0, 4.0, ("inference",), "calibration", ("transformer",))
CONVOLUTION = ModelledEffect("conv", "time", 2.0, 4.0, ("inference",), "none", ("cnn",))


def technique(**fields):
    return Document(**{"id": 1, "title": "A technique", "families": ("quantization",), "kind": "technique", **fields})


def titles(advice):
    return [answer["title"] for answer in advice.to_json()["answers"]]


def test_the_fitting_technique_is_first_with_its_reasons(build, encoder):
    advice = advise(read_need("speculative decoding of an LLM with a draft model"), build(), encoder)
    first = advice.to_json()["answers"][0]
    assert first["name"] == "DraftMate"
    assert "speculative decoding" in " ".join(first["reasons"])
    assert set(first["score_parts"]) >= {"semantic", "lexical", "record", "family", "evidence"}
    assert sum(first["score_parts"].values()) == pytest.approx(first["score"], abs=1e-3), "the score can be taken apart"


def test_the_answer_is_plain_json_with_every_field(build, encoder):
    advice = advise(read_need("one RTX 4090, Llama-3-8B, 32k prompts, no retraining"), build(), encoder)
    answer = json.loads(json.dumps(advice.to_json(), allow_nan=False))
    assert set(answer) == {"situation", "answers", "excluded", "plan", "pareto", "nearest_constraint", "notes"}
    assert set(answer["situation"]["memory_gib"]) == {
        "weights", "kv_cache", "activations", "gradients", "optimizer", "total", "available", "short_by",
    }  # fmt: skip
    assert set(answer["situation"]["time_by_part"]) == {"prefill", "decode_per_token"}
    assert answer["situation"]["fits"] is True
    assert answer["situation"]["time_ms"]["decode_per_token"] > 0
    assert answer["situation"]["time_ms"]["training_step"] is None


@pytest.mark.parametrize(("text", "described"), [("faster inference", False), ("make inference a lot faster", True)])
def test_words_that_are_spelled_out_make_no_need_of_a_name(build, encoder, monkeypatch, text, described):
    index, told = build(), []
    ranked = index.rank
    monkeypatch.setattr(
        index,
        "rank",
        lambda words, *rest, **given: told.append((words, given["is_need"])) or ranked(words, *rest, **given),
    )
    advise(read_need(text, gpu="RTX 4090", model="Llama-3-8B"), index, encoder)
    ((words, is_need),) = told
    assert len(words) > len(text), "what presses was spelled out"
    assert is_need is described


def test_an_empty_index_gives_no_answers(build, encoder):
    advice = advise(read_need("faster attention"), build([]), encoder).to_json()
    assert advice["answers"] == advice["excluded"] == advice["plan"] == []


def test_a_need_that_names_nothing_known_still_gets_answers(build, encoder):
    advice = advise(read_need("faster attention", gpu="a quantum computer", model="Foo-9B"), build(), encoder).to_json()
    assert advice["situation"]["gpu"] == "a quantum computer"
    assert advice["situation"]["fits"] is None
    assert advice["situation"]["memory_gib"]["total"] is None
    assert advice["answers"]


def test_advice_works_without_an_encoder(build):
    assert titles(advise(read_need("speculative decoding"), build(), None))[0].startswith("DraftMate")


@pytest.mark.parametrize(
    ("fields", "need", "reason"),
    [
        pytest.param({"needs": Needs(cuda_capability="9.0"), "families": ("kernels-compilers",)}, {"gpu": "A100"}, "capability 9.0; NVIDIA A100 80GB has 8.0", id="capability"),
        pytest.param({"needs": Needs(cuda_capability="9.0"), "families": ("token-reduction",)}, {"gpu": "A100"}, None, id="an-idea-runs-by-other-programs"),
        pytest.param({"needs": Needs(cuda_capability="8.0")}, {"gpu": "RTX 5090"}, None, id="two-digit-capability-is-newer"),
        pytest.param({"needs": Needs(cuda_capability="8.0"), "families": ("kernels-compilers",)}, {"gpu": "MI300X"}, "NVIDIA GPU", id="other-vendor"),
        pytest.param({"needs": Needs(triton=True), "families": ("kernels-compilers",)}, {"gpu": "64-core CPU"}, "Triton", id="triton-on-a-cpu"),
        pytest.param({"needs": Needs(True, "8.0")}, {"gpu": "64-core CPU"}, None, id="an-idea-runs-on-a-cpu-by-other-programs"),
        pytest.param({"needs": Needs(memory_gib=40)}, {"gpu": "RTX 4090"}, None, id="a-large-benchmark-rules-nothing-out"),
        pytest.param({"needs": Needs(True, "8.0", 8)}, {"gpu": "RTX 4090"}, None, id="all-there"),
        pytest.param({"title": "Training in FP8"}, {"gpu": "A100"}, "FP8.*A100", id="fp8-without-units"),
        pytest.param({"title": "Training in FP8"}, {"gpu": "H100"}, None, id="fp8-with-units"),
        pytest.param({"title": "Conv Nets on FPGA", "hardware": ("FPGA",)}, {"gpu": "H100"}, "FPGA", id="fpga"),
        pytest.param({"title": "Conv Nets on FPGA", "hardware": ("FPGA",)}, {}, None, id="fpga-for-any-machine"),
        pytest.param({"title": "Nets on phones", "hardware": ("iPhone", "GPU")}, {"gpu": "H100"}, None, id="phone-and-gpu"),
        pytest.param({"title": "Nets on MCUs", "hardware": ("MCU",)}, {"gpu": "MCU"}, None, id="mcu-on-an-mcu"),
        pytest.param({"kind": "architecture", "training_free": False}, {"training": "none"}, "Requires training.*no training", id="architecture"),
        pytest.param({"kind": "architecture", "training_free": False}, {"training": "finetune"}, None, id="an-architecture-may-have-weights-to-fine-tune"),
        pytest.param({"kind": "architecture", "training_free": False}, {"training": "pretrain"}, None, id="architecture-may-be-trained"),
        pytest.param({"kind": "architecture", "training_free": False}, {"training": "none", "stage": "training"}, None, id="training-is-the-point"),
        pytest.param({"effects": (FOUR_BIT,)}, {"training": "none"}, None, id="calibration-is-no-training"),
        pytest.param({"effects": (FOUR_BIT,)}, {"training": "calibration"}, None, id="calibration-allowed"),
        pytest.param({"training_free": False}, {"training": "none"}, None, id="unsure-is-not-ruled-out"),
        pytest.param({"stage": ("training",)}, {"training": "none", "stage": "inference"}, "falls in training", id="only-gains-in-training"),
        pytest.param({"stage": ("training", "inference")}, {"training": "none", "stage": "inference"}, None, id="gains-in-both"),
        pytest.param({"effects": (CONVOLUTION,)}, {"model": "Llama-3-8B"}, "Works on convolutional networks; Llama-3-8B is none", id="another-kind-of-network"),
        pytest.param({"effects": (CONVOLUTION,)}, {}, None, id="no-model-given"),
        pytest.param({"title": "FP4 for all"}, {"gpu": "RTX 4090"}, "FP4.*RTX 4090", id="fp4-without-units"),
        pytest.param({"title": "FP4 for all"}, {"gpu": "RTX 5090"}, None, id="fp4-with-units"),
        pytest.param({"title": "Pruning to 2:4 Patterns"}, {"gpu": "T4"}, "2:4 sparsity; NVIDIA T4", id="sparsity-without-units"),
        pytest.param({"title": "Pruning to 2:4 Patterns"}, {"gpu": "A100"}, None, id="sparsity-with-units"),
        pytest.param({"quality": Quality(False, 0.02)}, {"max_error": 0.01}, "off by 2.0%; the need allows 1.0%", id="error-of-outputs"),
        pytest.param({"quality": Quality(False, 0.02)}, {"max_error": 0.05}, None, id="error-within"),
        pytest.param({"quality": Quality(False, 0.02)}, {"max_error": 0.01, "text": "at most 1 % of accuracy"}, None, id="an-error-of-outputs-is-no-loss-of-accuracy"),
        pytest.param({"quality": Quality(False, 0.02)}, {"max_error": 0.0, "text": "same accuracy"}, "off by 2.0%", id="exact-is-exact"),
        pytest.param({"quality": Quality(stated_loss=0.03)}, {"max_error": 0.01}, "states a loss of 3.0%", id="stated-loss"),
        pytest.param({"quality": Quality(True)}, {"max_error": 0.0}, None, id="exact"),
        pytest.param({}, {"max_error": 0.0}, None, id="unknown-quality-is-not-ruled-out"),
    ],
)  # fmt: skip
def test_hard_limits_rule_out_with_a_reason(fields, need, reason):
    wanted = Need(**{"text": "faster", **need})
    out = exclusion(
        technique(**fields), wanted, wanted.device(), {}, find_model(wanted.model) if wanted.model else None
    )
    if reason is None:
        assert out is None
    else:
        assert re.search(reason, out.reason)


def test_what_is_ruled_out_is_listed_and_never_answered(build, encoder, papers):
    need = read_need("tiny object detection on microcontrollers", gpu="H100", training="none")
    advice = advise(need, build(), encoder).to_json()
    assert [row["title"] for row in advice["excluded"]] == [papers[2].title]
    assert papers[2].title not in [row["title"] for row in advice["answers"]]


def test_when_everything_is_ruled_out_the_constraint_to_loosen_is_named(build, encoder, papers):
    advice = advise(read_need("object detection", training="none"), build([papers[2]]), encoder).to_json()
    assert advice["answers"] == []
    assert advice["nearest_constraint"].startswith("training: 'none' rules out 1")


def test_a_model_that_cannot_fit_names_memory_as_the_constraint(build, encoder):
    advice = advise(read_need("run Llama-3-70B on one RTX 4090"), build(), encoder).to_json()
    assert advice["situation"]["fits"] is False
    assert advice["nearest_constraint"].startswith("memory: needs ")


@pytest.mark.parametrize(
    ("text", "first"),
    [
        pytest.param(
            "Llama-3-8B on an RTX 4090, 128 token prompts, 2,000 new tokens", 2, id="decoding-waits-for-weights"
        ),
        pytest.param("Llama-3-8B on an H100 with 120k prompts", 1, id="long-prompts-are-attention"),
    ],
)
def test_a_need_that_names_no_method_is_answered_from_what_binds(build, encoder, papers, text, first):
    advice = advise(read_need(text), build(papers[:3]), encoder).to_json()
    assert advice["answers"][0]["id"] == first
    assert "where this workload spends most" in " ".join(advice["answers"][0]["reasons"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param({"gpu": "RTX 99999"}, r"gpu: 'RTX 99999'.*RTX", id="gpu"),
        pytest.param({"model": "Llama-9-8B"}, r"model: 'Llama-9-8B'.*Llama-3-8B", id="model"),
        pytest.param({"gpu": "multi-GPU"}, None, id="a-kind-of-machine"),
        pytest.param({"gpu": "FPGA"}, None, id="a-kind-of-chip"),
        pytest.param({"gpu": "two A100", "model": "Mixtral-8x7B"}, None, id="known"),
    ],
)
def test_a_person_is_told_what_the_catalogue_lacks(given, message):
    need = read_need("faster decoding", **given)
    if message is None:
        assert check_known(need) is need
    else:
        with pytest.raises(NeedError, match=message):
            check_known(need)


def test_near_ties_are_broken_by_what_is_known_of_quality(build, encoder, papers):
    lossless = dataclasses.replace(papers[1], id=11, quality=Quality(lossless=True))
    need = read_need("round the weights of a language model to four bits", max_error=0.01)
    answers = advise(need, build([papers[1], lossless]), encoder).to_json()["answers"]
    assert [answer["id"] for answer in answers] == [11, 2]
    assert "But what it costs in quality is not known" in answers[1]["reasons"]


@pytest.mark.parametrize(
    ("text", "note"),
    [
        pytest.param(
            "Llama-3-8B auf einer RTX 4090 schneller machen, kein Nachtrainieren", "not seem to be English", id="german"
        ),
        pytest.param("如何在 一张 显卡 上 更快 地 运行 Llama-3-8B", "not seem to be English", id="chinese"),
        pytest.param("faster decoding " * 600, "first 4,000 characters", id="very-long"),
    ],
)
def test_other_languages_and_long_texts_are_answered_with_a_note(build, encoder, text, note):
    advice = advise(read_need(text), build(), encoder).to_json()
    assert advice["answers"]
    assert any(note in one for one in advice["notes"])


def test_a_device_without_measurements_comes_with_the_command_to_make_some(build, encoder):
    said = " ".join(advise(read_need("faster attention", gpu="RTX 4090"), build(), encoder).notes)
    assert "Nothing was measured on NVIDIA RTX 4090" in said
    assert "runners.bench run" in said
    known = Knowledge(measured={"x": (MeasuredGain("latency", 2, 2, 2, "kernel", "NVIDIA GeForce RTX 4090"),)})
    assert not advise(read_need("faster attention", gpu="RTX 4090"), build(), encoder, known).notes


def test_a_time_budget_that_cannot_be_met_is_named_with_what_is_expected(build, encoder):
    need = read_need("quick answers", gpu="RTX 4090", model="Llama-3-8B", token_ms=1.0)
    told = advise(need, build(), encoder).to_json()["nearest_constraint"]
    assert told.startswith("token_ms: 1 ms are allowed, ")


def test_a_model_too_large_says_how_many_devices_would_hold_it(build, encoder):
    told = advise(read_need("run Llama-3-70B on one A100"), build(), encoder).to_json()["nearest_constraint"]
    assert told.endswith("2 × NVIDIA A100 80GB would hold it")


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        pytest.param({"stage": "training", "token_ms": 5.0}, "stage, token_ms", id="tokens-in-training"),
        pytest.param({"stage": "inference", "step_ms": 5.0}, "stage, step_ms", id="steps-in-inference"),
        pytest.param({"gpu": "RTX 4090", "memory_gib": 48.0}, "memory_gib, gpu", id="more-memory-than-there-is"),
        pytest.param({"gpu": "iPhone 13", "gpus": 4}, "gpus, gpu", id="phones-share-nothing"),
        pytest.param({"model": "ViT-L", "new_tokens": 5}, "new_tokens, model", id="an-encoder-makes-no-tokens"),
        pytest.param({"max_error": 0.0, "dtype": "int4"}, "max_error, dtype", id="four-bits-without-error"),
        pytest.param({"gpu": "RTX 4090", "gpus": 2, "memory_gib": 48.0}, None, id="two-have-it"),
        pytest.param({"stage": "fine-tuning", "training": "finetune"}, None, id="consistent"),
    ],
)
def test_budgets_that_contradict_each_other_are_named_by_field(given, fields):
    if fields is None:
        assert ask("faster", **given)
    else:
        with pytest.raises(NeedError, match=rf"^{fields}: "):
            ask("faster", **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param({"batch": 10**9}, "batch: must be at most 1,000,000", id="batch"),
        pytest.param({"prompt": 10**12}, "prompt: must be at most", id="prompt"),
        pytest.param({"memory_gib": 0.0}, "memory_gib: must be a number above 0", id="no-memory"),
        pytest.param({"token_ms": float("nan")}, "token_ms: must be a number", id="not-a-number"),
        pytest.param({"dtype": "int3"}, "dtype: 'int3' is unknown", id="dtype"),
        pytest.param({"gpu": "x" * 999}, "gpu: at most 200", id="long-name"),
        pytest.param({"model": "layers=3 hidden=7"}, "model: a shape by hand needs heads", id="shape"),
    ],
)
def test_absurd_amounts_are_refused_with_their_limit(given, message):
    with pytest.raises(NeedError, match=message):
        ask("faster", **given)


def test_empty_and_endless_texts_are_refused():
    with pytest.raises(NeedError, match="must say in words"):
        ask("  ")
    with pytest.raises(NeedError, match="at most 20,000 characters"):
        ask("x" * 30_000)


def test_an_architecture_that_adapts_a_pretrained_model_needs_fine_tuning_only():
    from recommender.constraints import required_training
    from recommender.documents import Document

    made_new = Document(1, "Newnet", "We train a network.", training_free=False, kind="architecture")
    adapts = Document(2, "Tunenet", "We fine-tune a language model.", training_free=False, kind="architecture")
    assert (required_training(made_new), required_training(adapts)) == ("pretrain", "finetune")


def test_terms_of_the_field_alone_are_english(build, encoder):
    advice = advise(read_need("T4, ViT-L inference batch 64, finetuning allowed"), build(), encoder)
    assert not [note for note in advice.notes if "English" in note]


def test_a_kernel_for_sparse_weights_says_that_the_model_must_be_pruned(build, encoder):
    sparse = technique(
        title="Sparse weights read by a kernel", families=("sparsity-pruning", "kernels-compilers"), stage=("inference",),
        training_free=False, effects=(ModelledEffect("weights", "memory", 2.0, 3.0, ("inference",), "finetune", ()),),
    )  # fmt: skip
    advice = advise(Need("sparse weights by a kernel", stage="inference"), build([sparse]), encoder)
    assert any("pruned already" in reason for reason in advice.answers[0].reasons)


def test_memory_that_is_saved_at_the_cost_of_time_is_told_with_that_cost(build, encoder):
    smaller = MeasuredGain("memory", 5.0, 5.0, 5.0, "module", "NVIDIA H200", "confirmed", "eager")
    slower = MeasuredGain("latency", 0.27, 0.26, 0.28, "module", "NVIDIA H200", "", "compiled")
    fold = technique(
        title="Fold: a smaller key value cache for long prompts", families=("kv-cache",), implementation="fold",
        evidence=(smaller,),
    )  # fmt: skip
    known = Knowledge(measured={"fold": (slower,)})
    advice = advise(ask("a smaller KV cache for long prompts, Llama-3-8B on one H200"), build([fold]), encoder, known)
    answer = advice.to_json()["answers"][0]
    assert answer["gain"]["metric"] == "memory"
    assert any(
        reason.startswith("But it is slower: 0.27× in latency. Measured against compiled on NVIDIA H200")
        for reason in answer["reasons"]
    )
