"""What samples of a GPU say of the pairs timed meanwhile, on samples as a driver gives them."""

import time
from types import SimpleNamespace

import pytest

from runners.bench.clocks import Sample, notes, steady_pairs, summarized, throttle_reasons
from runners.bench.collect import Findings, Loop
from runners.bench.nvml import Sampler, handle_of, reader, reckon_with_device, sampling

SPANS = [(float(second), second + 0.9) for second in range(20)]


def clocked(*clocks, start=0.45):
    return [Sample(start + second, sm_mhz=clock) for second, clock in enumerate(clocks)]


@pytest.mark.parametrize(
    ("samples", "dropped", "noted"),
    [
        pytest.param([], [], False, id="nobody samples"),
        pytest.param(clocked(*[1980] * 20), [], False, id="steady"),
        pytest.param(clocked(*[1980, 1965] * 10), [], False, id="a step of the clock"),
        pytest.param(clocked(*[1980] * 8, 1410, 1400, *[1980] * 10), [8, 9], False, id="a dip"),
        pytest.param(clocked(345, *[1980] * 19), [0], False, id="the clock rises from idleness"),
        pytest.param(clocked(*[1980] * 10, *[1600] * 10), [], True, id="two steady states are no steady state"),
        pytest.param(clocked(*range(1980, 1380, -30)), [], True, id="a slow fall"),
        pytest.param(clocked(*[1980] * 8, None, *[1980] * 11), [], False, id="a sample without a clock"),
    ],
)
def test_pairs_under_a_drifting_clock_are_dropped_and_counted(samples, dropped, noted):
    kept = steady_pairs(samples, SPANS)
    assert [index for index in range(20) if index not in kept.indices] == dropped
    assert kept.dropped == len(dropped)
    assert bool(kept.note) is noted


def test_short_pairs_between_two_samples_are_judged_by_both():
    spans = [(at / 10, at / 10 + 0.01) for at in range(40)]
    samples = [Sample(at, sm_mhz=clock) for at, clock in ((-0.5, 1980), (2.05, 1980), (2.95, 1500), (4.5, 1980))]
    kept = steady_pairs(samples, spans)
    assert (kept.indices, kept.dropped) == (list(range(21)), 19)


@pytest.mark.parametrize(
    ("mask", "reasons"),
    [
        (0x0, []),
        (0x1, []),
        (0x4, ["power cap in software"]),
        (0x28, ["slowdown in hardware", "heat, in software"]),
        (0x10001, ["unknown (0x10000)"]),
    ],
    ids=["none", "idle", "power", "two", "unknown"],
)
def test_reasons_for_throttling_are_told_in_words(mask, reasons):
    assert throttle_reasons(mask) == reasons


def test_the_state_of_the_device_is_summed_up_and_others_on_it_are_noted():
    samples = [
        Sample(0.0, 1980, 2619, 40, 300.5, 0x0, (100,)),
        Sample(0.1, 1950, 2619, 44, 680.0, 0x4, (100, 7)),
        Sample(0.2, None, None, None, None, None, (100,)),
    ]
    facts = summarized(samples, {100})
    assert facts["sm_mhz"] == {"low": 1950, "median": 1965.0, "high": 1980}
    assert facts["temperature_c"]["high"] == 44
    assert facts["foreign_processes"] == 1
    assert notes(facts) == [
        "1 other process was on the device during the run",
        "the device was held back in 1 of 3 samples: power cap in software",
    ]
    assert notes(summarized([], ())) == []


def test_in_a_container_the_run_is_not_taken_for_another_process():
    """There the driver gives the run a number that this system does not know it by."""
    alone = [Sample(0.0), Sample(0.1, pids=(4711,)), Sample(0.2, pids=(4711,))]
    assert summarized(alone, {100})["foreign_processes"] == 0
    beside_another = [Sample(0.0, pids=(42,)), Sample(0.1, pids=(42, 4711))]
    assert summarized(beside_another, {100})["foreign_processes"] == 1


def test_dropped_pairs_are_kept_apart_and_a_missing_driver_is_told():
    def loop():
        return Loop({}, "float32", "forward", [1.0] * 20, [2.0] * 20, False, 0.02, list(SPANS))

    findings = Findings(loops={("large", "eager"): loop()}, controls={("large", "eager"): loop()})
    sampler = Sampler(None, "NVML cannot be asked: no module")
    sampler.samples = clocked(*[1980] * 8, 1410, *[1980] * 11)
    reckon_with_device(findings, sampler, {1})
    timed = findings.loops["large", "eager"]
    assert (len(timed.technique_ms), len(timed.baseline_ms), len(timed.spans)) == (19, 19, 19)
    assert timed.dropped == {"technique_ms": [1.0], "baseline_ms": [2.0]}
    assert findings.environment["device_state"]["not_sampled"].startswith("NVML cannot")


class FakeNvml:
    """The part of pynvml that is asked, on a device whose driver does not tell its power."""

    def nvmlDeviceGetHandleByIndex(self, index):
        return f"index {index}"

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return f"uuid {uuid}"

    def nvmlDeviceGetClockInfo(self, handle, kind):
        return {1: 1980, 2: 2619}[kind]

    def nvmlDeviceGetTemperature(self, handle, kind):
        return 41

    def nvmlDeviceGetPowerUsage(self, handle):
        raise RuntimeError("not supported")

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):
        return 4

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        return [SimpleNamespace(pid=12)]


def test_a_sample_holds_what_the_driver_tells():
    assert reader(FakeNvml(), "any")(3.0) == Sample(3.0, 1980, 2619, 41, None, 4, (12,))


@pytest.mark.parametrize(
    ("visible", "handle"),
    [("", "index 0"), ("2,3", "index 2"), ("GPU-12ab", "uuid GPU-12ab"), ("MIG-7", "uuid MIG-7")],
)
def test_the_sampled_device_is_the_first_visible_one(visible, handle):
    assert handle_of(FakeNvml(), visible) == handle


def test_a_sampler_takes_samples_until_its_body_ends_or_the_driver_fails():
    with Sampler(lambda at: Sample(at, 1980), period_s=0.001) as sampler:
        while len(sampler.samples) < 3:
            time.sleep(0.001)

    def broken(at):
        raise OSError("driver is gone")

    with Sampler(broken) as failed:
        failed._thread.join(10)
    assert failed.samples == []
    assert "driver is gone" in failed.why_none


def test_a_sampler_that_is_paused_asks_the_driver_nothing_until_it_goes_on():
    asked = []

    def read(at):
        asked.append(at)
        return Sample(at, 1980)

    sampler = Sampler(read, period_s=0.001)
    sampler.pause()
    with sampler:
        time.sleep(0.05)
        assert not asked
        sampler.pause(False)
        while len(sampler.samples) < 3:
            time.sleep(0.001)


def test_without_a_gpu_nothing_is_sampled():
    with sampling("cpu") as sampler:
        assert sampler.samples == []
    assert sampler.why_none
