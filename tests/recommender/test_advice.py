"""What a person who asks for advice notices."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest

from recommender.advice import advise, read_need
from recommender.constraints import exclusion
from recommender.documents import ClaimedGain, Document, MeasuredGain, ModelledEffect, Needs
from recommender.gains import factor_of, gains_of
from recommender.need import Need, NeedError, check_known
from recommender.plan import plans
from recommender.situation import situation_of

LLAMA_ON_4090 = Need("faster", gpu="RTX 4090", model="Llama-3-8B", prompt=4096, new_tokens=512)
FOUR_BIT = ModelledEffect("weights", "memory", 3.0, 4.0, ("inference",), "calibration", ("transformer",))
FASTER_ATTENTION = ModelledEffect("attention", "time", 2.0, 4.0, ("inference", "training"), "none", ("transformer",))


def technique(**fields):
    return Document(**{"id": 1, "title": "A technique", "families": ("quantization",), "kind": "technique", **fields})


def titles(advice):
    return [answer["title"] for answer in advice.to_json()["answers"]]


def test_the_fitting_technique_is_first_with_its_reasons(build, encoder):
    advice = advise(read_need("speculative decoding of an LLM with a draft model"), build(), encoder)
    first = advice.to_json()["answers"][0]
    assert first["name"] == "DraftMate"
    assert "speculative decoding" in " ".join(first["reasons"])
    assert set(first["score_parts"]) == {"semantic", "lexical", "record", "family"}


def test_the_answer_is_plain_json_with_every_field(build, encoder):
    advice = advise(read_need("one RTX 4090, Llama-3-8B, 32k prompts, no retraining"), build(), encoder)
    answer = json.loads(json.dumps(advice.to_json(), allow_nan=False))
    assert set(answer) == {"situation", "answers", "excluded", "plan", "nearest_constraint"}
    assert set(answer["situation"]["memory_gib"]) == {
        "weights", "kv_cache", "activations", "gradients", "optimizer", "total", "available",
    }  # fmt: skip
    assert answer["situation"]["fits"] is True
    assert answer["situation"]["time_ms"]["decode_per_token"] > 0
    assert answer["situation"]["time_ms"]["training_step"] is None


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
        pytest.param({"needs": Needs(cuda_capability="9.0")}, {"gpu": "A100"}, "capability 9.0; NVIDIA A100 80GB has 8.0", id="capability"),
        pytest.param({"needs": Needs(cuda_capability="8.0")}, {"gpu": "RTX 5090"}, None, id="two-digit-capability-is-newer"),
        pytest.param({"needs": Needs(cuda_capability="8.0")}, {"gpu": "MI300X"}, "NVIDIA GPU", id="other-vendor"),
        pytest.param({"needs": Needs(triton=True)}, {"gpu": "64-core CPU"}, "Triton", id="triton-on-a-cpu"),
        pytest.param({"needs": Needs(memory_gib=40)}, {"gpu": "RTX 4090"}, None, id="a-large-benchmark-rules-nothing-out"),
        pytest.param({"needs": Needs(True, "8.0", 8)}, {"gpu": "RTX 4090"}, None, id="all-there"),
        pytest.param({"title": "Training in FP8"}, {"gpu": "A100"}, "FP8.*A100", id="fp8-without-units"),
        pytest.param({"title": "Training in FP8"}, {"gpu": "H100"}, None, id="fp8-with-units"),
        pytest.param({"title": "Conv Nets on FPGA", "hardware": ("FPGA",)}, {"gpu": "H100"}, "FPGA", id="fpga"),
        pytest.param({"title": "Conv Nets on FPGA", "hardware": ("FPGA",)}, {}, None, id="fpga-for-any-machine"),
        pytest.param({"title": "Nets on phones", "hardware": ("iPhone", "GPU")}, {"gpu": "H100"}, None, id="phone-and-gpu"),
        pytest.param({"title": "Nets on MCUs", "hardware": ("MCU",)}, {"gpu": "MCU"}, None, id="mcu-on-an-mcu"),
        pytest.param({"kind": "architecture", "training_free": False}, {"training": "none"}, "Requires training.*no training", id="architecture"),
        pytest.param({"kind": "architecture", "training_free": False}, {"training": "finetune"}, "Requires training.*fine-tuning", id="architecture-finetune"),
        pytest.param({"kind": "architecture", "training_free": False}, {"training": "pretrain"}, None, id="architecture-may-be-trained"),
        pytest.param({"kind": "architecture", "training_free": False}, {"training": "none", "stage": "training"}, None, id="training-is-the-point"),
        pytest.param({"effects": (FOUR_BIT,)}, {"training": "none"}, "calibration", id="card-says-calibration"),
        pytest.param({"effects": (FOUR_BIT,)}, {"training": "calibration"}, None, id="calibration-allowed"),
        pytest.param({"training_free": False}, {"training": "none"}, None, id="unsure-is-not-ruled-out"),
    ],
)  # fmt: skip
def test_hard_limits_rule_out_with_a_reason(fields, need, reason):
    wanted = Need("faster", **need)
    out = exclusion(technique(**fields), wanted, wanted.device(), {})
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


def test_measured_stands_before_claimed_before_modelled():
    document = technique(
        evidence=(MeasuredGain("latency", 1.3, 1.2, 1.4, "model", "NVIDIA H100", "overstated"),),
        gains=(ClaimedGain("latency", "factor", "better", 9.0),),
        effects=(FASTER_ATTENTION,),
    )
    sources = [gain.source for gain in gains_of(document, situation_of(LLAMA_ON_4090))]
    assert sources == ["measured", "claimed", "modelled"]


def test_among_equals_the_objective_of_the_need_decides():
    document = technique(
        gains=(ClaimedGain("latency", "factor", "better", 5.0), ClaimedGain("memory", "factor", "better", 2.0))
    )
    for objective, metric in (("memory", "memory"), ("latency", "latency")):
        need = dataclasses.replace(LLAMA_ON_4090, objective=objective)
        assert gains_of(document, situation_of(need))[0].metric == metric


def test_a_part_measured_on_the_same_device_is_scaled_by_its_share():
    measured = MeasuredGain("latency", 2.0, 1.8, 2.2, "kernel", "NVIDIA GeForce RTX 4090")
    situation = situation_of(dataclasses.replace(LLAMA_ON_4090, prompt=32_768))
    gains = {
        gain.source: gain for gain in gains_of(technique(evidence=(measured,), effects=(FASTER_ATTENTION,)), situation)
    }
    share = situation.shares["attention"]
    assert gains["scaled"].median == pytest.approx(1 / (1 - share / 2), rel=1e-3)
    assert 1 < gains["scaled"].low < gains["scaled"].median < gains["scaled"].high < 1.8
    elsewhere = dataclasses.replace(measured, device="NVIDIA H100")
    sources = {
        gain.source for gain in gains_of(technique(evidence=(elsewhere,), effects=(FASTER_ATTENTION,)), situation)
    }
    assert "scaled" not in sources


def test_a_modelled_gain_follows_the_share_of_its_term():
    short = gains_of(
        technique(effects=(FASTER_ATTENTION,)), situation_of(dataclasses.replace(LLAMA_ON_4090, prompt=512))
    )[0]
    long = gains_of(
        technique(effects=(FASTER_ATTENTION,)), situation_of(dataclasses.replace(LLAMA_ON_4090, prompt=65_536))
    )[0]
    assert short.source == long.source == "modelled"
    assert 1 < short.low < long.low < 2.0


def test_an_effect_of_another_stage_is_no_gain():
    training = dataclasses.replace(LLAMA_ON_4090, stage="training")
    assert gains_of(technique(effects=(FOUR_BIT,)), situation_of(training)) == []


@pytest.mark.parametrize(
    ("claim", "factors"),
    [
        pytest.param(ClaimedGain("latency", "factor", "better", 2.0), (2.0, 2.0, 2.0), id="factor"),
        pytest.param(
            ClaimedGain("latency", "factor", "better", 2.0, 8.0), (4.0, 2.0, 8.0), id="range-has-the-geometric-middle"
        ),
        pytest.param(ClaimedGain("memory", "percent", "better", 75.0), (4.0, 4.0, 4.0), id="75-percent-less-is-4x"),
        pytest.param(ClaimedGain("throughput", "percent", "better", 40.0), (1.4, 1.4, 1.4), id="40-percent-more"),
        pytest.param(ClaimedGain("latency", "factor", "better", 3.0, None, "up to"), (None, None, 3.0), id="up-to"),
        pytest.param(
            ClaimedGain("latency", "factor", "better", 3.0, None, "at least"), (None, 3.0, None), id="at-least"
        ),
        pytest.param(ClaimedGain("latency", "absolute", "none", 30.0), None, id="absolute"),
        pytest.param(ClaimedGain("latency", "factor", "worse", 3.0), None, id="worse"),
        pytest.param(ClaimedGain("memory", "percent", "better", 100.0), None, id="all-of-it"),
    ],
)
def test_claims_as_factors(claim, factors):
    found = factor_of(claim)
    assert found == (factors and pytest.approx(factors))


def test_a_plan_takes_one_of_a_family_and_says_what_conflicts():
    one = technique(id=1, name="One", effects=(FOUR_BIT,))
    twin = technique(id=2, name="Twin")
    other = technique(id=3, name="Other", families=("efficient-attention",), effects=(FASTER_ATTENTION,))
    first = plans([one, twin, other], situation_of(LLAMA_ON_4090))[0].to_json()
    assert first["names"] == ["One", "Other"]
    assert first["conflicts"] == ["Twin and One are both quantization"]
    assert first["gain"]["source"] == "modelled"
    assert first["meets_budget"] is True


def test_a_plan_meets_the_memory_budget_by_its_effects():
    need = dataclasses.replace(LLAMA_ON_4090, model="Llama-2-13B")
    situation = situation_of(need)
    assert situation.short_by_gib > 0
    quantized = plans(
        [technique(name="Plain", families=("peft",)), technique(name="Q", effects=(FOUR_BIT,))], situation
    )[0]
    assert quantized.memory_gib == pytest.approx(situation.memory.total - situation.memory.weights * 2 / 3)
    assert quantized.meets_budget is True
    assert plans([technique(name="Plain", families=("peft",))], situation)[0].meets_budget is False


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


def test_plans_differ_from_each_other():
    documents = [
        technique(id=n, name=str(n), families=(family,)) for n, family in enumerate(("nas", "peft", "low-rank"))
    ]
    assert [plan.to_json()["names"] for plan in plans(documents, situation_of(Need("x")))] == [["0", "1", "2"]]


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
