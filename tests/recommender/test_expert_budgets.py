"""Budgets as an expert reads their answers: what binds comes first, what cannot be applied does not lead, plans hold together."""

from __future__ import annotations

import dataclasses

import pytest

from recommender.advice import advise
from recommender.applicability import asks_too_much, fits_model
from recommender.changes import pass_of
from recommender.documents import ClaimedGain, Document, MeasuredGain, ModelledEffect, Needs, Quality
from recommender.gains import changes_for
from recommender.need import Need
from recommender.need_reader import ask
from recommender.plan import plans, sets_of
from recommender.pressure import pressing_concepts
from recommender.relevance import read_query
from recommender.situation import situation_of

LONG = "one RTX 4090, Llama-3-8B, 32k prompts, no retraining"
IMAGES = "T4, ViT-L image classification, batch 64, no training"
VIDEO = "H100, video diffusion transformer, minutes of video, no training"
CHATS = "8x H100, Llama-3-70B serving, 200 concurrent chats, quantization allowed"
BOARD = "Jetson Orin, 3B model, decode latency, light fine-tuning allowed"
TRANSFORMER = ("inference",), "none", ("transformer",)


def paper(number, title, family, **fields):
    plain = {"modality": ("language",), "stage": ("inference",), "training_free": True, "kind": "technique"}
    return Document(number, title, **{"families": (family,), **plain, **fields})


def speedup(value, quote="", scope="model", **fields):
    return ClaimedGain("speedup", "factor", "better", value, quote=quote, scope=scope, phase="inference", **fields)


NARROW_CACHE = paper(
    1, "Thinbook: a smaller KV cache for long context", "kv-cache", name="Thinbook", text="The key value cache keeps fewer channels.",
    effects=(ModelledEffect("kv_cache", "memory", 3.0, 5.0, *TRANSFORMER),),
)  # fmt: skip
SPARSE_PREFILL = paper(
    2, "Sievetten: block sparse attention over long prompts", "efficient-attention", name="Sievetten",
    text="Blocks of the attention map that matter little are left out during prefilling.",
    effects=(ModelledEffect("attention", "time", 2.0, 4.0, *TRANSFORMER),),
)  # fmt: skip
FOUR_BITS = paper(
    3, "Rundung: weight quantization to 4 bits", "quantization", name="Rundung", text="Weights of a language model are rounded.",
    effects=(ModelledEffect("weights", "memory", 3.0, 4.0, *TRANSFORMER),),
)  # fmt: skip
COMPARISON = paper(
    4, "KV cache compression for long context compared", "kv-cache", kind="benchmark", training_free=None,
    text="We compare KV cache compression and quantization of the KV cache at long context, 32k prompts and more.",
)  # fmt: skip


def test_what_only_compares_does_not_lead_where_something_is_to_be_applied(build, encoder):
    answers = advise(ask(LONG), build([COMPARISON, NARROW_CACHE, SPARSE_PREFILL, FOUR_BITS]), encoder).to_json()[
        "answers"
    ]
    assert answers[0]["id"] != COMPARISON.id
    assert next(answer for answer in answers if answer["id"] == COMPARISON.id)["score_parts"]["use"] < 0
    looking_around = ask("KV cache compression for long context compared")
    first = advise(looking_around, build([COMPARISON, NARROW_CACHE]), encoder).to_json()["answers"][0]
    assert first["id"] == COMPARISON.id, "who names no model may want to read about it"


def test_long_prompts_are_planned_with_cache_attention_and_weights_together():
    first = plans([NARROW_CACHE, SPARSE_PREFILL, FOUR_BITS], situation_of(ask(LONG)))[0].to_json()
    assert first["names"] == ["Thinbook", "Sievetten", "Rundung"]


def test_what_brings_more_here_comes_first(build, encoder):
    weak = dataclasses.replace(
        SPARSE_PREFILL, id=9, effects=(ModelledEffect("attention", "time", 1.0, 1.1, *TRANSFORMER),)
    )
    answers = advise(ask(LONG), build([weak, SPARSE_PREFILL]), encoder).to_json()["answers"]
    assert [answer["id"] for answer in answers] == [SPARSE_PREFILL.id, 9]
    assert answers[0]["score_parts"]["here"] > answers[1]["score_parts"].get("here", 0.0)


def test_plans_differ_in_more_than_one_part_for_its_like():
    again = dataclasses.replace(NARROW_CACHE, id=11, title="Slimbook", name="Slimbook")
    found = plans([NARROW_CACHE, again, SPARSE_PREFILL, FOUR_BITS], situation_of(ask(LONG)))
    families = [frozenset(document.families[0] for document in plan.documents) for plan in found]
    assert len(set(families)) == len(families)


@pytest.mark.parametrize(
    ("fields", "quote", "expected"),
    [
        pytest.param({"text": "It makes decoding quicker. It has a 2x speedup."}, "2x speedup", "decode", id="whole-text"),
        pytest.param({"text": "Prefilling has a 2x speedup. Decoding is as before."}, "2x speedup", "prefill", id="its-sentence"),
        pytest.param({"text": "Prefill and decoding gain."}, "1.4x decoding speedup", "decode", id="its-own-words"),
        pytest.param({"title": "Sparse attention for LLM decoding", "text": "Prefill and decoding."}, "", "decode", id="title"),
        pytest.param({"text": "Prefill and decoding both gain 2x."}, "2x", None, id="both"),
        pytest.param({"families": ("decoding-acceleration",), "text": "Faster prefill."}, "", "decode", id="by-nature"),
        pytest.param({"families": ("kv-cache",), "text": "Throughput is 2x."}, "2x", "decode", id="a-cache-by-nature"),
        pytest.param({"families": ("kv-cache",), "text": "Prefill is 2x faster."}, "2x", "prefill", id="a-cache-by-its-words"),
        pytest.param({"families": ("kv-cache",), "text": "Prefill and decoding both gain 2x."}, "2x", None, id="a-cache-of-both"),
    ],
)  # fmt: skip
def test_a_figure_is_of_the_pass_that_its_words_name(fields, quote, expected):
    assert (
        pass_of(Document(1, **{"title": "A technique", "families": ("efficient-attention",), **fields}), quote)
        == expected
    )


def test_what_makes_decoding_quicker_leaves_the_prompt_as_it_is():
    drafts = paper(5, "Vorlaut: speculative decoding", "decoding-acceleration", gains=(speedup(2.0),))
    situation = situation_of(ask("RTX 4090, Llama-3-8B, 32k prompts"))
    before, plan = situation.after(()), sets_of([drafts], situation)[0]
    assert dict(plan.time_ms)["prefill"] == pytest.approx(before.ms["prefill"])
    assert dict(plan.time_ms)["decode_per_token"] < before.ms["decode_per_token"]


def test_a_gain_that_is_told_of_a_part_and_of_the_whole_counts_once():
    told_twice = paper(
        6, "Sieve", "efficient-attention", text="Prefill gains 2x; attention 8x.",
        gains=(speedup(2.0, "Prefill gains 2x"), speedup(8.0, "attention 8x", "kernel")),
        effects=(ModelledEffect("attention", "time", 4.0, 8.0, *TRANSFORMER),),
    )  # fmt: skip
    changes = [change for change, _ in changes_for(told_twice, situation_of(ask(LONG))) if change.resource == "time"]
    assert [change.term for change in changes] == ["prefill"]
    assert changes[0].middle <= 2.0


def test_a_budget_that_may_not_train_is_one_of_inference():
    assert ask(IMAGES).stage == "inference"
    assert ask("8x A100, pretraining a 7B model").stage == "training"


def test_an_image_model_is_helped_by_fewer_tokens_and_8_bits():
    found = pressing_concepts(situation_of(ask(IMAGES)))
    assert max(found, key=found.get) == "method.token-reduction"
    assert "method.quantization" in found
    assert not {"method.kv-cache", "method.speculative-decoding"} & set(found)


def test_a_video_model_is_helped_by_sparse_attention_and_reuse_between_steps():
    need = ask(VIDEO)
    situation = situation_of(need)
    found = pressing_concepts(situation)
    assert {"method.sparse-attention", "method.diffusion-caching"} <= set(found)
    assert "method.few-step" not in found, "fewer steps are trained for"
    assert "method.few-step" in pressing_concepts(situation_of(dataclasses.replace(need, training="any")))
    assert any("reckoned as Wan2.1-T2V-14B" in note for note in situation.notes)


@pytest.mark.parametrize(
    ("fields", "need", "fits"),
    [
        pytest.param({"title": "Quantizing LLMs by layers"}, IMAGES, False, id="a-paper-on-language-for-images"),
        pytest.param({"title": "Pruning CNNs", "modality": ("vision",)}, IMAGES, False, id="another-kind-of-network"),
        pytest.param({"title": "Pruning vision transformers", "modality": ("vision",)}, IMAGES, True, id="its-kind-of-network"),
        pytest.param({"modality": ("vision", "multimodal", "language"), "title": "What visual instructions need"}, LONG, False, id="for-images-beside-text"),
        pytest.param({"modality": ("general",)}, VIDEO, True, id="any-data"),
        pytest.param({"kind": "system", "families": ("serving-systems", "edge-deployment")}, CHATS, False, id="a-system-for-small-devices"),
        pytest.param({"kind": "system", "families": ("serving-systems",)}, CHATS, True, id="a-system-for-servers"),
        pytest.param({"families": ("kernels-compilers", "hardware-accelerators")}, LONG, False, id="hardware-that-is-not-there"),
    ],
)  # fmt: skip
def test_what_a_paper_is_meant_for_decides_whether_it_is_planned_with(fields, need, fits):
    document = paper(7, **{"title": "A technique", "family": "quantization", **fields})
    assert fits_model(document, situation_of(ask(need))) is fits


@pytest.mark.parametrize(
    ("fields", "allowed", "too_much"),
    [
        pytest.param({"training_free": None, "families": ("sparsity-pruning",)}, "none", True, id="pruning-that-does-not-say"),
        pytest.param({"training_free": None, "families": ("quantization",)}, "none", False, id="quantization-that-does-not-say"),
        pytest.param({"training_free": False}, "none", True, id="says-that-it-trains"),
        pytest.param({"training_free": False}, "finetune", False, id="may-be-tuned"),
        pytest.param({"effects": (ModelledEffect("weights", "memory", 2, 3, ("inference",), "calibration"),)}, "none", False, id="samples-are-no-training"),
    ],
)  # fmt: skip
def test_training_that_is_likely_counts_where_none_is_allowed(fields, allowed, too_much):
    document = paper(8, **{"title": "A technique", "family": "quantization", **fields})
    assert asks_too_much(document, allowed) is too_much


def test_what_is_allowed_is_not_what_is_asked_for():
    allowed, asked = read_query(CHATS), read_query("quantization of Llama-3-70B on 8x H100")
    assert not allowed.names_a_method
    assert asked.names_a_method
    assert allowed.concepts["method.quantization"] < asked.concepts["method.quantization"]
    assert not read_query("merge several fine-tuned models").permitted


def test_where_the_time_goes_is_no_way_to_save_it():
    need = ask(BOARD)
    situation = situation_of(need)
    assert not read_query(need.text).names_a_method
    assert situation.model.name == "Qwen2.5-3B"
    assert max(pressing_concepts(situation).values()) == pressing_concepts(situation)["method.quantization"]


@pytest.mark.parametrize(
    ("text", "model"),
    [
        pytest.param("RTX 3090, 7B LLM, chat", "Mistral-7B", id="size"),
        pytest.param("A100 24 GB model", None, id="memory-is-no-size"),
        pytest.param("L4, vision transformer for images", "ViT-B", id="kind"),
        pytest.param("prune vision transformers", None, id="words-about-papers"),
        pytest.param("H100, 9000B model", None, id="no-such-size"),
        pytest.param("H100, Llama-3-8B instead of a 13B model", "Llama-3-8B", id="a-name-wins"),
    ],
)
def test_a_model_that_is_named_by_its_size_or_kind_is_reckoned(text, model):
    shape = ask(text).shape()
    assert (shape and shape.name) == model


def test_a_system_that_leaves_the_work_as_it_is_stays_within_the_peaks_and_makes_no_pass_quicker():
    claims = (ClaimedGain("throughput", "factor", "better", 40.0, scope="processes", phase="inference"),)
    system = paper(10, "Queuewise", "serving-systems", kind="system", gains=claims)
    situation = situation_of(ask(CHATS))
    plan = sets_of([system], situation)[0]
    assert plan.gain.metric == "throughput"
    assert plan.gain.median == pytest.approx(situation.most_by_same_work, rel=1e-3)
    assert dict(plan.time_ms) == pytest.approx(dict(situation.after(()).ms))


def test_memory_that_nobody_lacks_does_not_lead_the_plans():
    quick = paper(12, "Fewer patches", "token-reduction", modality=("vision",), gains=(speedup(1.5),))
    small = paper(
        13,
        "Weights in 2 bits",
        "quantization",
        modality=("vision",),
        text="Weights are rounded to 2 bits.",
        name="Small",
    )
    assert plans([small, quick], situation_of(ask(IMAGES)))[0].documents == (quick,)
    tight = dataclasses.replace(ask(IMAGES), memory_gib=0.4)
    assert small in plans([small, quick], situation_of(tight))[0].documents


def test_fewer_steps_and_quicker_steps_go_together():
    steps = paper(
        14, "Coarse first", "diffusion-acceleration", modality=("video",), gains=(speedup(2.0),), name="Coarse"
    )
    attention = paper(
        15, "Sparse video", "efficient-attention", modality=("video",), name="Sparse",
        effects=(ModelledEffect("attention", "time", 2.0, 3.0, ("inference",), "none", ("diffusion",)),),
    )  # fmt: skip
    assert plans([steps, attention], situation_of(ask(VIDEO)))[0].documents == (steps, attention)


def test_a_width_that_is_named_as_a_limit_is_not_the_papers_own():
    rounding = Need("x", gpu="RTX 4090", model="Llama-3-8B")
    limited = paper(16, "Layers apart", "quantization", text="It holds unless extreme rounding (2-bit) is used.")
    assert not changes_for(limited, situation_of(rounding))
    assert changes_for(dataclasses.replace(limited, text="It holds at 3 bits."), situation_of(rounding))


def test_8_bits_are_computed_more_quickly_where_activations_are_narrow_too():
    narrow = paper(17, "Both narrow", "quantization", modality=("vision",), text="Weights and activations in 8 bits.")
    quick = {change.term for change, _ in changes_for(narrow, situation_of(ask(IMAGES))) if change.resource == "time"}
    assert "linear" in quick
    elsewhere = situation_of(dataclasses.replace(ask(IMAGES), gpu="V100"))
    assert "linear" not in {change.term for change, _ in changes_for(narrow, elsewhere)}, "it has no units for 8 bits"


def test_an_idea_whose_program_needs_a_newer_device_says_so(build, encoder):
    merged = paper(18, "Merge patches", "token-reduction", modality=("vision",), needs=Needs(cuda_capability="8.0"))
    answer = advise(ask(IMAGES), build([merged]), encoder).to_json()["answers"][0]
    assert any("needs CUDA capability 8.0, NVIDIA T4 has 7.5" in reason for reason in answer["reasons"])


def test_of_several_constraints_that_are_missed_the_nearest_comes_first(build, encoder):
    need = ask("Llama-3-8B on an RTX 3090, no training", prompt=2048, first_token_ms=1.0, token_ms=5.0)
    told = advise(need, build([FOUR_BITS, NARROW_CACHE]), encoder).to_json()["nearest_constraint"]
    assert told.startswith("token_ms: 5 ms are allowed")
    assert "; first_token_ms: 1 ms are allowed" in told, "what is missed by more must give too"


def test_what_could_be_loosened_is_told_with_what_is_missed(build, encoder):
    wasteful = dataclasses.replace(FOUR_BITS, id=21, title="Grob: weight quantization", quality=Quality(False, 0.3))
    tuned = paper(
        22, "Neu: a language model in 4 bits", "efficient-architecture", kind="architecture", training_free=False
    )
    need = ask("Llama-3-8B on an RTX 4090, quantization of weights", training="none", max_error=0.01, token_ms=1.0)
    told = advise(need, build([wasteful, tuned]), encoder).to_json()["nearest_constraint"]
    assert told.startswith("token_ms: 1 ms are allowed, ")
    assert "with more training than 'none' 1 more" in told
    assert "with an error of more than 1.0% 1 more" in told


def test_a_budget_of_time_without_a_model_says_what_is_missing(build, encoder):
    notes = " ".join(advise(ask("faster on an A10", token_ms=5.0), build([FOUR_BITS]), encoder).notes)
    assert "Without a model neither memory nor time can be reckoned" in notes
    notes = " ".join(advise(ask("Llama-3-8B, 32k prompts"), build([FOUR_BITS]), encoder).notes)
    assert "Without a device no time can be reckoned" in notes


def test_the_command_to_measure_names_something_that_can_be_run(build, encoder):
    runnable = dataclasses.replace(FOUR_BITS, implementation="rundung")
    notes = " ".join(advise(ask("4 bits for Llama-3-8B on an RTX 4090"), build([runnable]), encoder).notes)
    assert "python -m runners.bench run rundung --device cuda --out results.jsonl" in notes


@pytest.mark.parametrize(
    ("fields", "need", "fits"),
    [
        pytest.param({"family": "decoding-acceleration"}, "BERT-large on a T4", False, id="drafting-for-what-makes-no-tokens"),
        pytest.param({"title": "Filtering long prompts of LLMs"}, "BERT-large on a T4", False, id="language-models-for-an-encoder"),
        pytest.param({"title": "Pruned super-resolution", "modality": ("vision",)}, "ResNet-50 on a T4", False, id="another-task"),
        pytest.param({"title": "Pruned image classifiers", "modality": ("vision",)}, "ResNet-50 on a T4", True, id="its-task"),
        pytest.param({"title": "Kernels in the browser", "modality": ("general",)}, "ResNet-50 on a T4", False, id="nobody-speaks-of-browsers"),
        pytest.param({"title": "Kernels in the browser", "modality": ("general",)}, "ResNet-50 in a browser on a T4", True, id="a-browser-is-asked-for"),
        pytest.param({"families": ("distributed-training", "mixture-of-experts"), "stage": ("training",)}, "train Llama-3-8B on 8x A100", False, id="experts-of-a-dense-model"),
    ],
)  # fmt: skip
def test_a_paper_for_other_work_is_not_planned_with(fields, need, fits):
    document = paper(23, **{"title": "A technique", "family": "quantization", **fields})
    assert fits_model(document, situation_of(ask(need))) is fits


def test_a_claim_about_prompts_says_nothing_of_a_model_without_them():
    sparse = paper(24, "Sieve", "token-reduction", text="Prefilling is 3x faster.", gains=(speedup(3.0, "3x faster"),))
    assert changes_for(sparse, situation_of(ask("Llama-3-8B on a T4")))
    assert not changes_for(sparse, situation_of(ask("BERT-large on a T4")))


def test_what_is_hardly_about_the_need_is_not_planned_with(build, encoder):
    far = paper(
        25, "Waves in basins", "kernels-compilers", modality=("general",), stage=(), gains=(speedup(1.6),), name="Far"
    )
    advice = advise(ask(LONG), build([NARROW_CACHE, SPARSE_PREFILL, FOUR_BITS, far]), encoder).to_json()
    assert advice["plan"]
    assert not any("Far" in plan["names"] for plan in advice["plan"])


def test_a_cache_that_was_measured_in_a_whole_model_makes_tokens_quicker_and_leaves_the_prompt():
    measured = MeasuredGain("latency", 2.0, 1.9, 2.1, "model", "NVIDIA GeForce RTX 4090")
    cache = paper(7, "Kurz: a shorter cache", "kv-cache", evidence=(measured,))
    situation = situation_of(ask("RTX 4090, Llama-3-8B, 32k prompts"))
    before, plan = situation.after(()), sets_of([cache], situation)[0]
    assert dict(plan.time_ms)["prefill"] == pytest.approx(before.ms["prefill"])
    assert dict(plan.time_ms)["decode_per_token"] == pytest.approx(before.ms["decode_per_token"] / 2, rel=0.01)
