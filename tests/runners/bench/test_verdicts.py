"""Every row of the verdict table, and what stands in the way of a verdict."""

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.bench.results import OUTCOMES, Measurement
from runners.bench.statistics import Interval, widened_for_choice
from runners.bench.verdicts import amdahl, claim_as_ratio, judge, sweep_point
from runners.cards import load_card

CARD = load_card(Path(__file__).resolve().parents[2] / "fixtures/cards/sample/plain_sum.toml")
CLAIM = CARD.claims[0]
GPU = {"device_kind": "cuda", "device_name": "NVIDIA H200"}
CPU = {"device_kind": "cpu", "device_name": "some CPU"}


def measured(
    low, ratio, high, workload="large", band=0.02, baseline="twice", measure="time", kind="cuda", scope="kernel"
):
    return Measurement(
        workload=workload, subject="technique", baseline=baseline, measure=measure, unit="ms", median=1.0, low=1.0,
        high=1.0, samples=[1.0], ratio=ratio, ratio_low=low, ratio_high=high, pairs=10, band=band, scope=scope,
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


# ── absolute figures ────────────────────────────────────────────────────────────────────────────────────────────────
def figure(median, low=None, high=None, measure="time", unit="ms"):
    """The technique's own figure, which has no interval of a ratio that matters here."""
    own = {"median": median, "low": low or median, "high": high or median, "measure": measure, "unit": unit}
    return replace(measured(1.0, 1.0, 1.0), **own)


ABSOLUTE = {"form": "absolute", "direction": "none", "workload": "large", "hardware": "H200", "baseline": ""}


@pytest.mark.parametrize(
    ("found", "changes", "outcome", "words"),
    [
        pytest.param(figure(10.0, 9.8, 10.2), {"value": 12, "unit": "ms"}, "confirmed", "Measured 10 ms", id="faster"),
        pytest.param(figure(13.0, 12.9, 13.1), {"value": 12, "unit": "ms"}, "confirmed", "12 ms", id="within a tenth"),
        pytest.param(figure(15.0, 14.9, 15.1), {"value": 0.012, "unit": "s"}, "below-claim", "not reached", id="slower"),
        pytest.param(figure(13.3, 12.0, 15.0), {"value": 12, "unit": "ms"}, "inconclusive", "neither", id="wide"),
        pytest.param(figure(4.1e9, measure="kv_cache", unit="B"), {"value": 4, "unit": "GB", "measure": "kv_cache",
                     "hardware": ""}, "confirmed", "4 GB", id="bytes need no device"),
        pytest.param(figure(2.1e10, measure="parameters", unit=""), {"value": 21, "unit": "B params",
                     "measure": "parameters", "hardware": ""}, "confirmed", "21 B params", id="counts"),
        pytest.param(figure(10.0), {"value": 12, "unit": "ms", "hardware": "A100"}, "not-comparable", "A100", id="device"),
        pytest.param(figure(10.0), {"value": 12, "unit": "ms", "hardware": ""}, "not-comparable", "not named", id="none"),
        pytest.param(figure(10.0), {"value": 12, "unit": "GB"}, "not-comparable", "no unit of time", id="wrong unit"),
        pytest.param(figure(10.0), {"value": 12, "unit": "ms", "workload": ""}, "not-comparable", "workloads", id="where"),
        pytest.param(figure(10.0), {"value": 12, "unit": "ms", "direction": "worse"}, "not-comparable", "costs", id="cost"),
        pytest.param(figure(10.0, measure="flops", unit=""), {"value": 12, "unit": "ms"}, "not-comparable",
                     "There is no time on 'large'", id="not measured"),
    ],
)  # fmt: skip
def test_absolute_claims_are_judged_on_their_own_workload_and_device(found, changes, outcome, words):
    judgement = verdict([found], **(ABSOLUTE | changes))
    assert judgement.outcome == outcome, judgement.reason
    assert words in judgement.reason
    assert (judgement.ratio is None) is (outcome == "not-comparable")


# ── memory, through the same ladder ─────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("measure", ["peak_memory", "steady_memory", "optimizer_state", "kv_cache", "weights"])
@pytest.mark.parametrize(
    ("ratio", "outcome", "words"),
    [
        (1.7, "confirmed", "reaches 90%"),
        (1.3, "below-claim", "a real gain"),
        (1.0, "no-gain", "equal"),
        (0.8, "slower", "is larger than the baseline"),
    ],
)
def test_memory_is_judged_like_time(measure, ratio, outcome, words):
    found = [measured(ratio, ratio, ratio, measure=measure, band=0.005)]
    judgement = verdict(found, measure=measure, metric="memory", form="percent", value=40)
    assert judgement.outcome == outcome, judgement.reason
    assert words in judgement.reason


# ── scopes ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_figure_of_a_part_says_by_amdahl_what_the_whole_could_gain():
    judgement = verdict([measured(1.9, 2.0, 2.1)], scope="model")
    assert judgement.outcome == "not-comparable"
    assert "The kernel alone was measured at 2.00×; by Amdahl's law a model that spends half" in judgement.reason
    assert "gains 1.33×" in judgement.reason
    assert "Amdahl" not in verdict([measured(0.7, 0.8, 0.9)], scope="model").reason


def test_of_mixed_scopes_the_claims_own_decides():
    both = [measured(3.9, 4.0, 4.1), measured(1.2, 1.25, 1.3, scope="model")]
    judgement = verdict(both, scope="model")
    assert (judgement.outcome, judgement.ratio) == ("below-claim", 1.25)
    assert verdict(both, value=4.0).ratio == 4.0


@pytest.mark.parametrize(("ratio", "share", "whole"), [(2.0, 0.5, 4 / 3), (2.0, 1.0, 2.0), (5.0, 0.0, 1.0)])
def test_amdahls_law(ratio, share, whole):
    assert amdahl(ratio, share) == pytest.approx(whole)


@pytest.mark.parametrize(("ratio", "share"), [(0.0, 0.5), (2.0, 1.5), (2.0, -0.1)])
def test_amdahls_law_needs_a_ratio_and_a_share(ratio, share):
    with pytest.raises(ValueError, match="a share of 0 to 1"):
        amdahl(ratio, share)


# ── several points ──────────────────────────────────────────────────────────────────────────────────────────────────
def test_an_average_of_one_workload_says_so():
    judgement = verdict([measured(1.9, 2.0, 2.1)], qualifier="average")
    assert "of one workload, where the paper gives an average" in judgement.reason


def test_a_range_exceeded_is_measured_against_its_upper_end():
    judgement = verdict([measured(2.5, 2.6, 2.7)], value=1.5, value_max=2.5)
    assert judgement.outcome == "confirmed"
    assert "Needs review" not in judgement.reason


def test_the_best_of_many_equal_points_is_rarely_called_a_gain():
    """Points that all are equal: picking the best must not make a gain of noise (2000 drawn sweeps of 8 points)."""
    chooser = random.Random(5)
    gains = 0
    for _ in range(2000):
        ratios = [math.exp(chooser.gauss(0, 0.01)) for _ in range(8)]
        best = max(ratios)
        interval = Interval(best, best * math.exp(-1.96 * 0.01), best * math.exp(1.96 * 0.01))
        gains += widened_for_choice(interval, 8).low > 1
    assert gains / 2000 < 0.04
