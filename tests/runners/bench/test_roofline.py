"""Times that no device can reach are refused, and gains that are rarely true are looked at."""

from pathlib import Path

import pytest

from runners.bench.collect import Findings
from runners.bench.roofline import Work, bandwidth_of, declared_floor, doubts_of_speed, floor_ms, impossible, rate_of
from runners.blocks.least_work import LeastWork
from runners.cards import load_card

CARD = load_card(Path(__file__).resolve().parents[2] / "fixtures/cards/sample/plain_sum.toml")
CEILINGS = [
    {"name": "matrix product, float32", "value": 50.0, "unit": "TFLOP/s"},
    {"name": "matrix product, float32 as TF32", "value": 400.0, "unit": "TFLOP/s"},
    {"name": "matrix product, bfloat16", "value": 700.0, "unit": "TFLOP/s"},
    {"name": "matrix product, int8", "value": 1300.0, "unit": "TOP/s"},
    {"name": "copy", "value": 2800.0, "unit": "GB/s"},
    {"name": "read", "value": 3000.0, "unit": "GB/s"},
    {"name": "host to device", "value": 55.0, "unit": "GB/s"},
]


@pytest.mark.parametrize(
    ("dtype", "exact", "tflops"),
    [
        pytest.param("bfloat16", True, 700, id="half precision"),
        pytest.param("float32", True, 400, id="float32 may be TF32"),
        pytest.param("float32", False, 1300, id="an approximation may be narrower"),
        pytest.param("float64", True, None, id="not measured"),
    ],
)
def test_the_rate_is_the_best_of_the_formats_that_may_be_used(dtype, exact, tflops):
    assert rate_of(CEILINGS, dtype, exact=exact) == (None if tflops is None else pytest.approx(tflops * 1e12))


def test_the_bandwidth_is_the_devices_own_and_not_the_hosts():
    assert bandwidth_of(CEILINGS) == pytest.approx(3e12)
    assert bandwidth_of([]) is None


@pytest.mark.parametrize(
    ("work", "cache", "floor", "bound"),
    [
        pytest.param(Work(7e11, 3e6), 0, 1.0, "arithmetic", id="bound by arithmetic"),
        pytest.param(Work(7e8, 3e9), 0, 1.0, "traffic", id="bound by traffic"),
        pytest.param(Work(7e8, 3e9), 1.5e9, 0.5, "traffic", id="half may stay in a cache"),
        pytest.param(Work(0, 1e6), 5e7, 0.0, "", id="all may stay in a cache"),
        pytest.param(Work(0, 0), 0, 0.0, "", id="nothing is known"),
    ],
)
def test_the_floor_is_the_longer_of_the_two(work, cache, floor, bound):
    assert floor_ms(work, 700e12, 3e12, cache) == (pytest.approx(floor), bound)


@pytest.mark.parametrize(("ms", "refused"), [(0.5, True), (0.8, False), (1.2, False)])
def test_ceilings_measured_a_little_low_refuse_nobody(ms, refused):
    assert impossible(ms, 1.0) is refused
    assert not impossible(ms, 0.0)


def findings(technique_ms, device="cuda", **work):
    made = Findings(environment={"device_kind": device, "cache_bytes": 50e6}, ceilings=CEILINGS)
    made.add(
        {"type": "pairs", "workload": "large", "axes": {}, "dtype": "bfloat16", "pass_": "forward", "baseline": "eager",
         "technique_ms": [technique_ms] * 9, "baseline_ms": [2.0] * 9, "spans": [(0, 1)] * 9, "cap_reached": False,
         "band_floor": 0.02}, 0.0,
    )  # fmt: skip
    extras = {"host_ms": [1.0], "launch_ms": [1.0], "operator_ms": [], "peak_memory": None, "footprint": {}}
    made.add({"type": "extras", "workload": "large", "subject": "technique", "work": work, **extras}, 0.0)
    return made


@pytest.mark.parametrize(
    ("ms", "device", "work", "refuses", "words"),
    [
        pytest.param(0.1, "cuda", {"flops_counted": 7e11}, True, "its arithmetic alone takes 1 ms", id="too fast"),
        pytest.param(0.1, "cuda", {"bytes_least": 3e9}, True, "its traffic alone takes 0.98", id="too little traffic"),
        pytest.param(0.1, "cpu", {"flops_counted": 7e11}, False, "its arithmetic", id="on a CPU only doubted"),
        pytest.param(1.0, "cuda", {"flops_counted": 7e11}, False, "", id="at the roof"),
        pytest.param(0.1, "cuda", {}, False, "", id="a kernel whose work is not known"),
    ],
)
def test_faster_than_the_floor_is_refused_on_a_gpu(ms, device, work, refuses, words):
    told = doubts_of_speed(findings(ms, device, **work), CARD, {})
    assert any(doubt.refuses for doubt in told) is refuses
    assert bool(told) is bool(words)
    assert all(words in doubt.text for doubt in told)


def test_more_than_ten_times_goes_to_review_with_the_reason():
    assert doubts_of_speed(findings(1.0), CARD, {("large", "eager"): 9.0}) == []
    (doubt,) = doubts_of_speed(findings(1.0), CARD, {("large", "eager"): 11.0})
    assert (doubt.workload, doubt.refuses) == ("large", False)
    assert "needs review: 11.0 times as fast as 'eager'" in doubt.text


@pytest.mark.parametrize(
    ("declared", "floor", "bound"),
    [
        pytest.param({"declared_bytes": 3e9, "declared_bfloat16": 7e10}, 1.0, "traffic", id="bound by traffic"),
        pytest.param({"declared_bytes": 3e8, "declared_bfloat16": 7e11}, 1.0, "arithmetic", id="bound by arithmetic"),
        pytest.param(
            {"declared_bytes": 0, "declared_bfloat16": 7e11, "declared_int8": 1.3e12}, 2.0, "arithmetic", id="formats add up"
        ),
        pytest.param({"declared_bytes": 3e8, "declared_float32": 5e10}, 1.0, "arithmetic", id="float32 without TF32"),
        pytest.param({"declared_bytes": 3e9, "declared_float8": 1e12}, 0.0, "", id="a rate that was not measured"),
        pytest.param({"flops_counted": 1e12}, 0.0, "", id="nothing is declared"),
    ],
)  # fmt: skip
def test_the_declared_floor_is_what_the_device_allows_for_the_declared_work(declared, floor, bound):
    assert declared_floor(declared, CEILINGS) == (pytest.approx(floor), bound)


def test_a_time_below_the_declared_floor_is_doubted_and_refuses_nothing():
    found = findings(0.5, declared_bytes=3_000_000_000)
    [doubt] = doubts_of_speed(found, CARD, {})
    assert "it declares too much" in doubt.text
    assert not doubt.refuses


def test_operations_in_an_unknown_format_are_refused():
    with pytest.raises(ValueError, match="no formats; known are"):
        LeastWork({"bf16": 1.0}, 1.0)
    with pytest.raises(ValueError, match="counted from 0"):
        LeastWork({"bfloat16": 1.0}, -1.0)
