"""What a technique brings, and where the figure is from."""

from __future__ import annotations

import dataclasses

import pytest

from recommender.documents import ClaimedGain, Document, MeasuredGain, ModelledEffect, Quality
from recommender.gains import best_gain, change_from, changes_for, factor_of, gains_of, projected
from recommender.knowledge import Held, Knowledge
from recommender.need import Need
from recommender.situation import situation_of

LLAMA_ON_4090 = Need("faster", gpu="RTX 4090", model="Llama-3-8B", prompt=4096, new_tokens=512)
FOUR_BIT = ModelledEffect("weights", "memory", 3.0, 4.0, ("inference",), "calibration", ("transformer",))
FASTER_ATTENTION = ModelledEffect("attention", "time", 2.0, 4.0, ("inference", "training"), "none", ("transformer",))
KERNEL = MeasuredGain("latency", 2.0, 1.8, 2.2, "kernel", "NVIDIA GeForce RTX 4090")


def technique(**fields):
    return Document(**{"id": 1, "title": "A technique", "families": ("quantization",), "kind": "technique", **fields})


def test_measured_stands_before_claimed_before_modelled():
    document = technique(
        evidence=(MeasuredGain("latency", 1.3, 1.2, 1.4, "model", "NVIDIA GeForce RTX 4090", "below-claim"),),
        gains=(ClaimedGain("latency", "factor", "better", 9.0),),
        effects=(FASTER_ATTENTION,),
    )
    sources = [gain.source for gain in gains_of(document, situation_of(LLAMA_ON_4090))]
    assert sources == ["measured", "claimed", "modelled"]
    elsewhere = dataclasses.replace(
        document, evidence=(dataclasses.replace(document.evidence[0], device="NVIDIA H100"),)
    )
    assert gains_of(elsewhere, situation_of(LLAMA_ON_4090))[0].source == "scaled"


def test_where_todays_best_was_timed_a_claim_judged_against_an_old_baseline_counts_no_more():
    judged = MeasuredGain("speedup", 6.2, 6.1, 6.3, "kernel", "NVIDIA GeForce RTX 4090", "confirmed", "paper")
    lighter = dataclasses.replace(judged, metric="memory", median=5.0, low=5.0, high=5.0)
    today = dataclasses.replace(judged, metric="latency", median=0.7, low=0.6, high=0.8, outcome="", baseline="library")
    document = technique(implementation="fold", evidence=(judged, lighter))
    known = Knowledge(measured={"fold": (today,)})
    found = {gain.metric: gain.median for gain in gains_of(document, situation_of(LLAMA_ON_4090), known)}
    assert found == {"latency": 0.7, "memory": 5.0}
    elsewhere = Knowledge(measured={"fold": (dataclasses.replace(today, device="NVIDIA H100"),)})
    assert {gain.metric for gain in gains_of(document, situation_of(LLAMA_ON_4090), elsewhere)} >= {
        "speedup",
        "latency",
    }


def test_among_equals_the_objective_of_the_need_decides():
    document = technique(
        gains=(ClaimedGain("latency", "factor", "better", 5.0), ClaimedGain("memory", "factor", "better", 2.0))
    )
    for objective, metric in (("memory", "memory"), ("latency", "latency")):
        need = dataclasses.replace(LLAMA_ON_4090, objective=objective)
        assert gains_of(document, situation_of(need))[0].metric == metric


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


def test_a_part_measured_here_is_projected_to_the_model_by_its_share():
    situation = situation_of(dataclasses.replace(LLAMA_ON_4090, prompt=32_768))
    gain = best_gain(technique(evidence=(KERNEL,), effects=(FASTER_ATTENTION,)), situation)
    assert (gain.source, gain.median, gain.scope) == ("measured", 2.0, "kernel")
    whole = projected(gain, situation)
    share = situation.shares["attention"]
    assert whole.share == pytest.approx(share, rel=1e-3)
    assert whole.median == pytest.approx(1 / (1 - share / 2), rel=1e-3)
    assert 1 < whole.low < whole.median < whole.high < 2.2
    assert "attention" in whole.basis


def test_what_is_of_the_whole_model_needs_no_projection():
    situation = situation_of(LLAMA_ON_4090)
    gain = best_gain(technique(evidence=(dataclasses.replace(KERNEL, scope="model"),)), situation)
    assert projected(gain, situation) is None


@pytest.mark.parametrize(
    ("device", "near"),
    [pytest.param("NVIDIA H100", "NVIDIA A100 80GB", id="farther-balance-is-wider")],
)
def test_a_ratio_from_another_device_keeps_its_middle_and_widens(device, near):
    situation = situation_of(LLAMA_ON_4090)

    def carried(where):
        found = best_gain(technique(evidence=(dataclasses.replace(KERNEL, device=where),)), situation)
        assert (found.source, found.median) == ("scaled", 2.0)
        return found.high / found.low

    assert carried(device) > carried(near) > KERNEL.high / KERNEL.low


def test_memory_is_the_same_on_every_device():
    measured = dataclasses.replace(KERNEL, metric="memory", device="NVIDIA H100")
    gain = best_gain(technique(evidence=(measured,)), situation_of(LLAMA_ON_4090))
    assert (gain.source, gain.low, gain.high) == ("scaled", 1.8, 2.2)


def test_what_was_measured_on_an_unknown_device_is_not_carried_over():
    gain = best_gain(technique(evidence=(dataclasses.replace(KERNEL, device="Foo 9"),)), situation_of(LLAMA_ON_4090))
    assert gain.source == "measured"
    assert "nothing is carried over" in gain.basis


def test_a_claim_is_discounted_by_how_far_claims_of_its_family_held():
    document, situation = (
        technique(gains=(ClaimedGain("speedup", "factor", "better", 4.0),)),
        situation_of(LLAMA_ON_4090),
    )
    assumed = best_gain(document, situation)
    assert 0.7 < assumed.low < 1.0 < assumed.median < 4.0 < assumed.high < 5.0, "today's best may be quicker"
    fewer_bytes = technique(gains=(ClaimedGain("memory", "factor", "better", 4.0),))
    assert best_gain(fewer_bytes, situation).low >= 1.0
    assert "is assumed" in assumed.basis
    weak = Knowledge(held=tuple(Held("quantization", 4.0, ratio) for ratio in (1.0, 1.1, 0.95, 1.05, 1.0)))
    strong = Knowledge(held=tuple(Held("quantization", 4.0, ratio) for ratio in (3.8, 4.0, 4.1, 3.9, 4.0)))
    low, high = (best_gain(document, situation, known) for known in (weak, strong))
    assert low.median < assumed.median < high.median
    assert "5 judged here" in low.basis
    elsewhere = Knowledge(held=tuple(Held("peft", 4.0, 1.0) for _ in range(5)))
    assert low.median < best_gain(document, situation, elsewhere).median < assumed.median


def test_up_to_promises_no_more_than_it_says():
    gain = best_gain(
        technique(gains=(ClaimedGain("speedup", "factor", "better", 10.0, None, "up to"),)), situation_of(LLAMA_ON_4090)
    )
    assert gain.high == pytest.approx(10.0)


def test_a_claim_about_another_phase_stands_behind_one_about_this():
    document = technique(
        gains=(
            ClaimedGain("speedup", "factor", "better", 9.0, phase="training"),
            ClaimedGain("speedup", "factor", "better", 2.0, phase="inference"),
        )
    )
    situation = situation_of(dataclasses.replace(LLAMA_ON_4090, stage="inference"))
    assert best_gain(document, situation).phase == "inference"
    assert [gain.phase for _, gain in changes_for(document, situation)] == ["inference"]


@pytest.mark.parametrize(
    ("fields", "term", "middle"),
    [
        pytest.param({"title": "Weights in 4 Bits"}, "weights", 16 / 4.5, id="width-in-the-title"),
        pytest.param({"title": "W3A16 kernels"}, "weights", 16 / 3.5, id="letters"),
        pytest.param({"title": "Rounding", "text": "We keep INT8 weights; 8-bit storage. Once 4-bit."}, "weights", 16 / 8.5, id="most-often-named"),
        pytest.param({"title": "A 2-bit KV cache"}, "kv_cache", 16 / 2.5, id="cache"),
        pytest.param({"title": "Rounding in 16 bits"}, None, None, id="no-narrower"),
        pytest.param({"title": "A 4-bit adder", "families": ("nas",)}, None, None, id="another-family"),
    ],
)  # fmt: skip
def test_bytes_follow_from_the_width_of_numbers(fields, term, middle):
    changes = {
        change.term: change
        for change, _ in changes_for(technique(**fields), situation_of(LLAMA_ON_4090))
        if change.resource == "memory"
    }
    assert set(changes) == ({term} if term else set())
    if term:
        assert changes[term].middle == pytest.approx(middle)


def test_adapters_keep_little_for_what_they_do_not_train():
    tuning = situation_of(dataclasses.replace(LLAMA_ON_4090, stage="fine-tuning"))
    gain = best_gain(technique(families=("peft",)), tuning)
    assert gain.source == "modelled"
    assert "from its family" in gain.basis
    assert 2 < gain.median < tuning.memory.total / tuning.memory.weights
    assert best_gain(technique(families=("peft",)), situation_of(LLAMA_ON_4090)) is None


def test_fewer_bytes_may_be_read_more_quickly_but_need_not():
    changes = {
        (c.resource, c.term): c for c, _ in changes_for(technique(effects=(FOUR_BIT,)), situation_of(LLAMA_ON_4090))
    }
    quicker = changes["time", "weights"]
    assert quicker.low == 1.0 < quicker.middle < quicker.high == 4.0
    slow = technique(
        effects=(FOUR_BIT,), evidence=(MeasuredGain("latency", 0.8, 0.78, 0.82, "module", "NVIDIA GeForce RTX 4090"),)
    )
    times = [c for c, _ in changes_for(slow, situation_of(LLAMA_ON_4090)) if c.resource == "time"]
    assert [change.middle for change in times] == [0.8], "what was measured is not hoped away"


def test_throughput_of_many_users_makes_no_answer_quicker():
    document = technique(families=("serving-systems",), gains=(ClaimedGain("throughput", "factor", "better", 8.0),))
    assert changes_for(document, situation_of(LLAMA_ON_4090)) == []
    assert changes_for(document, situation_of(dataclasses.replace(LLAMA_ON_4090, objective="throughput", batch=16)))


def test_an_effect_of_another_kind_of_model_is_no_gain():
    assert (
        gains_of(technique(effects=(FOUR_BIT,)), situation_of(dataclasses.replace(LLAMA_ON_4090, model="ResNet-50")))
        == []
    )


def test_a_bound_alone_becomes_a_range_from_nothing_to_the_bound():
    gain = gains_of(technique(effects=(FASTER_ATTENTION,)), situation_of(Need("x")))[0]
    assert (gain.low, gain.high, gain.median) == (pytest.approx(1.7), 4.0, None), (
        "its kernels may be less than a library's"
    )
    change = change_from(gain)
    assert (change.low, change.middle, change.high) == pytest.approx((1.7, (1.7 * 4) ** 0.5, 4.0))


@pytest.mark.parametrize(
    ("quality", "error"),
    [
        pytest.param(Quality(exact=True), 0.0, id="exact"),
        pytest.param(Quality(exact=False, error_budget=0.02, lossless=True), 0.02, id="what-the-card-allows"),
        pytest.param(Quality(lossless=True), 0.0, id="said-to-lose-nothing"),
        pytest.param(Quality(lossless=False), None, id="said-to-lose-something"),
    ],
)
def test_the_error_to_expect(quality, error):
    assert quality.error == error
