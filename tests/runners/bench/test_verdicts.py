"""Every row of the verdict table, and what stands in the way of a verdict."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.bench.results import OUTCOMES, Measurement
from runners.bench.verdicts import claim_as_ratio, judge, sweep_point
from runners.cards import load_card

CARD = load_card(Path(__file__).resolve().parents[2] / "fixtures/cards/sample/plain_sum.toml")
CLAIM = CARD.claims[0]
GPU = {"device_kind": "cuda", "device_name": "NVIDIA H200"}
CPU = {"device_kind": "cpu", "device_name": "some CPU"}


def measured(low, ratio, high, workload="large", band=0.02, baseline="twice", measure="time", kind="cuda"):
    return Measurement(
        workload=workload, subject="technique", baseline=baseline, measure=measure, unit="ms", median=1.0, low=1.0,
        high=1.0, samples=[1.0], ratio=ratio, ratio_low=low, ratio_high=high, pairs=10, band=band, scope="kernel",
        cap_reached=False, device_kind=kind,
    )  # fmt: skip


def verdict(measurements, environment=GPU, status="PASSED", card=CARD, **changes):
    return judge(replace(CLAIM, **changes), card, measurements, environment, status)


@pytest.mark.parametrize(
    ("low", "ratio", "high", "band", "changes", "outcome"),
    [
        pytest.param(1.9, 2.0, 2.1, 0.02, {}, "confirmed", id="reaches the claim"),
        pytest.param(1.81, 1.85, 1.9, 0.02, {}, "confirmed", id="reaches nine tenths"),
        pytest.param(1.3, 1.4, 1.5, 0.02, {}, "below-claim", id="real but too small"),
        pytest.param(1.01, 1.4, 1.7, 0.02, {}, "inconclusive", id="gain not certain"),
        pytest.param(1.5, 1.8, 2.0, 0.02, {}, "inconclusive", id="straddles nine tenths"),
        pytest.param(0.99, 1.0, 1.01, 0.02, {}, "no-gain", id="within the band"),
        pytest.param(1.03, 1.05, 1.08, 0.1, {}, "no-gain", id="within a wide band"),
        pytest.param(0.7, 0.8, 0.9, 0.02, {}, "slower", id="slower"),
        pytest.param(0.9, 0.95, 1.0, 0.02, {}, "inconclusive", id="slower or equal"),
        pytest.param(0.97, 0.985, 1.0, 0.005, {"value": 1.05}, "inconclusive", id="small claim is no licence to lose"),
        pytest.param(0.995, 1.0, 1.005, 0.02, {"value": 1.05}, "no-gain", id="small claim and no gain"),
        pytest.param(1.6, 1.65, 1.7, 0.01, {"form": "percent", "value": 40, "metric": "memory"}, "confirmed",
                     id="40 % less is 1.67 times"),
        pytest.param(1.15, 1.18, 1.2, 0.01, {"form": "percent", "value": 20, "metric": "throughput"}, "confirmed",
                     id="20 % more is 1.2 times"),
        pytest.param(1.9, 2.0, 2.1, 0.02, {"value": 2.0, "value_max": 3.0}, "confirmed", id="range needs its lower end"),
        pytest.param(0.89, 0.9, 0.91, 0.02, {"form": "percent", "value": 10, "direction": "worse",
                     "metric": "throughput"}, "confirmed", id="a stated loss"),
    ],
)  # fmt: skip
def test_table_of_outcomes(low, ratio, high, band, changes, outcome):
    judgement = verdict([measured(low, ratio, high, band=band)], **changes)
    assert judgement.outcome == outcome, judgement.reason
    assert judgement.ratio == ratio
    assert judgement.reason.endswith((".", "."))


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("INCORRECT_NUMERICAL", "wrong"),
        ("INCORRECT_SHAPE", "shape"),
        ("INCORRECT_DTYPE", "data type"),
        ("REWARD_HACK", "trusted"),
        ("INVALID_REFERENCE", "own check"),
    ],
)
@pytest.mark.parametrize("environment", [GPU, CPU], ids=["gpu", "cpu"])
def test_wrong_answers_are_rejected_on_any_device(status, words, environment):
    judgement = verdict([], environment, status)
    assert judgement.outcome == "rejected"
    assert words in judgement.reason


@pytest.mark.parametrize(
    ("environment", "status", "changes", "words"),
    [
        pytest.param(CPU, "PASSED", {}, "On the CPU the ratio was 2.00×", id="cpu"),
        pytest.param(GPU, "TIMEOUT", {}, "TIMEOUT", id="failed run"),
        pytest.param(GPU, "PASSED", {"scope": "model"}, "speaks of a model", id="another scope"),
        pytest.param(GPU, "PASSED", {"form": "absolute", "direction": "none", "unit": "ms"}, "absolute", id="absolute"),
        pytest.param(GPU, "PASSED", {"baseline": "", "baseline_text": "Theirs"}, "(Theirs)", id="no rung"),
        pytest.param(GPU, "PASSED", {"baseline": "eager"}, "against 'eager'", id="rung not measured"),
        pytest.param(GPU, "PASSED", {"measure": "peak_memory"}, "no peak_memory", id="measure not taken"),
    ],
)
def test_what_stops_a_comparison_is_said(environment, status, changes, words):
    judgement = verdict([measured(1.9, 2.0, 2.1)], environment, status, **changes)
    assert judgement.outcome == "not-comparable"
    assert words in judgement.reason


def test_throughput_is_judged_by_time():
    assert verdict([measured(1.9, 2.0, 2.1)], measure="throughput").outcome == "confirmed"


def test_the_claims_own_workload_wins_over_the_representative():
    both = [measured(1.9, 2.0, 2.1, "large"), measured(1.0, 1.2, 1.3, "medium")]
    assert verdict(both, workload="medium").ratio == 1.2
    assert verdict(both).ratio == 2.0


def points(*ratios):
    return [measured(ratio * 0.99, ratio, ratio * 1.01, sweep_point("medium", "rows", index)) for index, ratio in
            enumerate(ratios)]  # fmt: skip


def test_up_to_takes_the_best_point_of_the_sweep_with_a_wider_interval():
    judgement = verdict(points(1.1, 2.0, 1.4), qualifier="up to")
    assert (judgement.outcome, judgement.ratio) == ("confirmed", 2.0)
    assert judgement.workload == "medium[rows=1]"
    assert judgement.low < 2.0 * 0.99
    assert "best of 3" in judgement.reason


def test_up_to_without_the_sweep_stays_open_unless_it_is_reached():
    assert verdict([measured(1.3, 1.4, 1.5)], qualifier="up to").outcome == "inconclusive"
    assert verdict([measured(1.9, 2.0, 2.1)], qualifier="up to").outcome == "confirmed"


def test_up_to_a_range_means_its_upper_end():
    judgement = verdict(points(1.2, 2.0), qualifier="up to", value=2.0, value_max=3.0)
    assert judgement.outcome == "below-claim"


def test_average_is_the_geometric_mean():
    judgement = verdict(points(1.0, 4.0), qualifier="average")
    assert judgement.ratio == pytest.approx(2.0)
    assert judgement.outcome == "confirmed"


@pytest.mark.parametrize(
    ("ratio", "words"), [(3.5, "1.5 times what the paper claims"), (11.0, "10 times the baseline"), (2.2, "")]
)
def test_too_good_stays_but_asks_for_review(ratio, words):
    judgement = verdict([measured(ratio * 0.99, ratio, ratio * 1.01)])
    assert judgement.outcome == "confirmed"
    assert ("Needs review" in judgement.reason) == bool(words)
    assert words in judgement.reason


@pytest.mark.parametrize(
    ("hardware", "note"),
    [
        ("A100", "measured on NVIDIA H200; the paper names A100"),
        ("H200", "measured on NVIDIA H200, as in the paper"),
        ("", "measured on NVIDIA H200; the paper names no hardware"),
    ],
)
def test_hardware_is_noted_and_stops_nothing(hardware, note):
    judgement = verdict([measured(1.9, 2.0, 2.1)], hardware=hardware)
    assert (judgement.outcome, judgement.hardware_note) == ("confirmed", note)


@pytest.mark.parametrize(
    ("form", "direction", "value", "metric", "ratio"),
    [
        ("factor", "better", 3.0, "speedup", 3.0),
        ("factor", "worse", 2.0, "latency", 0.5),
        ("percent", "better", 40.0, "memory", 1 / 0.6),
        ("percent", "better", 40.0, "latency", 1 / 0.6),
        ("percent", "better", 20.0, "throughput", 1.2),
        ("percent", "better", 30.0, "speedup", 1.3),
        ("percent", "worse", 25.0, "latency", 0.8),
        ("percent", "worse", 25.0, "throughput", 0.75),
        ("percent", "better", 100.0, "memory", None),
        ("absolute", "none", 12.0, "latency", None),
    ],
)
def test_claims_become_ratios(form, direction, value, metric, ratio):
    assert claim_as_ratio(form, direction, value, metric) == (ratio if ratio is None else pytest.approx(ratio))


@given(
    st.floats(0.05, 30), st.floats(0.5, 1), st.floats(1, 2), st.floats(0.001, 0.5), st.floats(1.01, 50),
    st.sampled_from(["", "up to", "at least", "about", "average"]),
)  # fmt: skip
def test_any_measurement_gets_one_known_outcome(ratio, below, above, band, value, qualifier):
    judgement = verdict([measured(ratio * below, ratio, ratio * above, band=band)], value=value, qualifier=qualifier)
    assert judgement.outcome in set(OUTCOMES) - {"rejected", "not-comparable"}
    if judgement.outcome == "confirmed":
        assert judgement.low >= 0.9 * value
        assert judgement.low > 1
