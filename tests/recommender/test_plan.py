"""Which techniques go together, and whether they meet the budget."""

from __future__ import annotations

import dataclasses

import pytest

from recommender.documents import ClaimedGain, Document, ModelledEffect, Quality
from recommender.need import Need
from recommender.plan import front, plans, sets_of
from recommender.situation import Change, situation_of

LLAMA_ON_4090 = Need("faster", gpu="RTX 4090", model="Llama-3-8B", prompt=4096, new_tokens=512)
TOO_LARGE = dataclasses.replace(LLAMA_ON_4090, model="Llama-2-13B")
FOUR_BIT = ModelledEffect("weights", "memory", 3.0, 4.0, ("inference",), "none", ("transformer",))
SMALL_CACHE = ModelledEffect("kv_cache", "memory", 3.0, 4.0, ("inference",), "none", ("transformer",))
FASTER_ATTENTION = ModelledEffect("attention", "time", 2.0, 4.0, ("inference", "training"), "none", ("transformer",))


def technique(**fields):
    return Document(**{"id": 1, "title": "A technique", "families": ("quantization",), "kind": "technique", **fields})


QUANTIZED = technique(id=1, name="Quantized", effects=(FOUR_BIT,))
CACHED = technique(id=2, name="Cached", families=("kv-cache",), effects=(SMALL_CACHE,))
ATTENTION = technique(id=3, name="Attention", families=("efficient-attention",), effects=(FASTER_ATTENTION,))


def names(found):
    return [tuple(plan.to_json()["names"]) for plan in found]


def test_the_budget_is_met_with_the_fewest_parts():
    situation = situation_of(TOO_LARGE)
    assert situation.short_by_gib > 0
    first = plans([CACHED, QUANTIZED, ATTENTION], situation)[0]
    assert first.to_json()["names"] == ["Quantized"]
    assert first.meets_budget is first.is_sure is True
    likely = (3.0 * 4.0) ** 0.5
    assert first.memory_gib == pytest.approx(situation.memory.total - situation.memory.weights * (1 - 1 / likely))


def test_what_is_needed_is_combined_where_one_part_is_not_enough():
    need = dataclasses.replace(LLAMA_ON_4090, batch=32, prompt=8_192, memory_gib=20.0)
    situation = situation_of(need)
    alone = {tuple(p.to_json()["names"]): p.meets_budget for p in sets_of([QUANTIZED, CACHED], situation)}
    assert alone == {("Quantized",): False, ("Cached",): False, ("Quantized", "Cached"): True}
    assert names(plans([QUANTIZED, CACHED], situation))[0] == ("Quantized", "Cached")


def test_a_plan_that_misses_says_by_how_much():
    plan = plans([CACHED], situation_of(dataclasses.replace(TOO_LARGE, model="Llama-3-70B")))[0]
    assert plan.meets_budget is False
    assert dict(plan.misses)["memory"] > 5


def test_a_time_that_is_allowed_is_part_of_the_budget():
    slow = situation_of(dataclasses.replace(LLAMA_ON_4090, token_ms=10.0))
    assert slow.cost("decode_per_token").ms > 10
    first = plans([CACHED, QUANTIZED], slow)[0]
    assert first.to_json()["names"] == ["Quantized"]
    assert (first.meets_budget, first.is_sure) == (True, False), "likely: it rests on reading the smaller weights"
    assert dict(first.time_ms)["decode_per_token"] < 10


def test_what_shrinks_the_same_bytes_does_not_multiply():
    twin = technique(id=4, name="Pruned", families=("sparsity-pruning",), effects=(FOUR_BIT,))
    assert set(names(sets_of([QUANTIZED, twin], situation_of(TOO_LARGE)))) == {("Quantized",), ("Pruned",)}
    situation = situation_of(TOO_LARGE)
    change = Change("memory", "weights", 3.0, 3.5, 4.0)
    assert situation.after([change, change]).memory_gib == situation.after([change]).memory_gib


def test_changes_of_different_parts_act_on_what_the_other_leaves():
    situation = situation_of(dataclasses.replace(LLAMA_ON_4090, batch=16, prompt=8_192))
    weights, cache = Change("time", "weights", 2, 2, 2), Change("time", "kv_cache", 2, 2, 2)
    before = situation.request_ms
    one, other, both = (situation.after(c).request_ms for c in ([weights], [cache], [weights, cache]))
    assert both < min(one, other)
    assert before - both == pytest.approx((before - one) + (before - other), rel=0.02)


def test_passed_over_answers_are_named_with_the_reason():
    twin = technique(id=4, name="Twin")
    first = plans([QUANTIZED, twin, ATTENTION], situation_of(TOO_LARGE))[0].to_json()
    assert first["conflicts"] == ["Twin and Quantized are both quantization"]


def test_what_cannot_be_reckoned_is_planned_as_ranked():
    documents = [
        technique(id=n, name=str(n), families=(family,))
        for n, family in enumerate(("quantization", "quantization", "kv-cache", "serving-systems"))
    ]
    first = plans(documents, situation_of(Need("x")))
    assert names(first) == [("0", "2", "3")]
    assert first[0].meets_budget is None


@pytest.mark.parametrize(
    ("fields", "need"),
    [
        pytest.param({"modality": ("vision",)}, {}, id="another-kind-of-data"),
        pytest.param({"stage": ("training",)}, {"stage": "inference"}, id="another-stage"),
        pytest.param({"kind": "architecture"}, {}, id="another-model"),
        pytest.param({"kind": "survey"}, {}, id="a-survey"),
        pytest.param({"training_free": False, "effects": ()}, {"training": "none"}, id="needs-training"),
        pytest.param({"families": ("serving-systems",)}, {}, id="serving-for-one"),
        pytest.param({"families": ("distributed-training",)}, {}, id="one-device-shares-nothing"),
    ],
)
def test_no_plan_holds_what_cannot_be_used_for_this_model(fields, need):
    claim = ClaimedGain("memory", "factor", "better", 4.0)
    document = technique(**{"effects": (FOUR_BIT,), "gains": (claim,), **fields})
    assert sets_of([document], situation_of(dataclasses.replace(TOO_LARGE, **need))) == []


def test_a_loss_of_time_counts_against_what_saves_memory():
    from recommender.documents import MeasuredGain

    slow = dataclasses.replace(
        QUANTIZED, evidence=(MeasuredGain("latency", 0.5, 0.5, 0.5, "model", "NVIDIA GeForce RTX 4090"),)
    )
    situation = situation_of(TOO_LARGE)
    plan = sets_of([slow], situation)[0]
    assert dict(plan.time_ms)["decode_per_token"] == pytest.approx(2 * situation.cost("decode_per_token").ms)


def test_the_front_holds_what_no_other_beats():
    exact = dataclasses.replace(ATTENTION, quality=Quality(exact=True))
    rough = dataclasses.replace(QUANTIZED, quality=Quality(error_budget=0.05))
    worse = technique(id=5, name="Worse", families=("low-rank",), quality=Quality(error_budget=0.5),
                      effects=(dataclasses.replace(FASTER_ATTENTION, low=1.01, high=1.05),))  # fmt: skip
    kept = front(sets_of([exact, rough, worse], situation_of(dataclasses.replace(LLAMA_ON_4090, prompt=32_768))))
    gains = [plan.gain.median for plan in kept]
    assert gains == sorted(gains, reverse=True)
    assert ("Attention",) in names(kept)
    assert ("Worse",) not in names(kept)


ADAPTED = technique(id=8, name="Adapted", families=("peft",), stage=("fine-tuning",), training_free=False)
TUNE_ON_3090 = Need(
    "fine-tune it", stage="fine-tuning", gpu="RTX 3090", model="Llama-3-8B", seq=2048, training="finetune"
)


def test_what_misses_narrowly_in_training_is_made_to_fit_by_named_settings():
    situation = situation_of(TUNE_ON_3090)
    first = plans([ADAPTED], situation)[0]
    assert first.meets_budget is True
    assert first.settings == ("activations computed again instead of kept",)
    assert first.memory_gib < situation.available_gib
    assert first.proof == "modelled"


def test_frozen_weights_are_narrowed_only_beside_adapters():
    small = situation_of(dataclasses.replace(TUNE_ON_3090, memory_gib=10.0))
    adapted = plans([ADAPTED], small)[0]
    assert adapted.meets_budget is True
    assert "frozen weights in 4 bits" in adapted.settings
    assert adapted.error is None
    states = ModelledEffect("optimizer", "memory", 2.0, 3.0, ("fine-tuning",), "none", ())
    projected = technique(id=9, name="Projected", families=("memory-efficient-training",), effects=(states,))
    assert not [plan.settings for plan in sets_of([projected], small) if "frozen weights in 4 bits" in plan.settings]


def test_a_plan_without_figures_asks_for_no_more_training_than_is_allowed():
    need = Need("sample a video model faster", stage="inference", gpu="H100", training="none")
    tuned = technique(id=10, name="Tuned", families=("peft",), training_free=False)
    assert names(plans([ATTENTION, tuned], situation_of(need))) == [("Attention",)]


def test_a_saving_in_one_layer_is_none_of_the_whole_model():
    layer = ModelledEffect("output-layer", "time", 3.0, 15.0, ("inference",), "none", ("transformer",))
    claim = ClaimedGain("params", "percent", "decrease", 99.0, scope="module")
    output = technique(id=11, name="Output", families=("weight-sharing",), effects=(layer,), gains=(claim,))
    situation = situation_of(dataclasses.replace(LLAMA_ON_4090, batch=64))
    found = sets_of([output], situation)[0]
    assert found.memory_gib > 0.95 * situation.memory.total
