"""What timing shows while it goes on."""

import time
from pathlib import Path

import pytest

from runners.bench.child import timing
from runners.bench.child.devices import CpuDevice
from runners.bench.child.subjects import Setting, classify, load_module
from runners.bench.child.timing import SlowCallError, Timer
from runners.cards import find_card

CARDS = Path(__file__).resolve().parents[3] / "tests/fixtures/cards"


def test_samples_are_seen_between_pairs_while_they_are_taken(monkeypatch):
    monkeypatch.setattr(timing, "SHOWN_EVERY_S", 0.0)
    card = find_card("plain-sum", CARDS)
    timer = Timer(Setting(card, load_module(card), "cpu"), CpuDevice(), card.workload("medium"), seed=5)
    technique, baseline = timer.prepare("technique"), timer.prepare("eager")
    seen = []
    pairs = timer.pairs(technique, baseline, 0.2, watched=lambda so_far: seen.append(len(so_far.spans)))
    assert seen == sorted(seen)
    assert seen[0] == 1
    assert len(pairs.technique_ms) in (seen[-1], seen[-1] + 1)


def test_a_call_that_takes_longer_than_the_cap_allows_is_given_up_after_one():
    card = find_card("plain-sum", CARDS)
    timer = Timer(Setting(card, load_module(card), "cpu"), CpuDevice(), card.workload("medium"), seed=5)
    prepared, calls = timer.prepare("eager"), []

    def slow(x):
        calls.append(1)
        time.sleep(0.02)
        return x.sum(-1)

    prepared.subject = slow
    with pytest.raises(SlowCallError, match="give more with --time-cap"):
        timer.warm_up(prepared, 1.0, longest_s=0.01)
    assert len(calls) == 1
    assert timer.warm_up(prepared, 0.05, longest_s=10.0) >= 2


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(RuntimeError("CUDA error: out of memory\nSearch for"), "out-of-memory", id="the driver's words"),
        pytest.param(MemoryError(), "out-of-memory", id="the host's memory"),
        pytest.param(RuntimeError("shapes do not match"), "crashed", id="another error"),
    ],
)
def test_too_little_memory_is_told_from_a_crash(error, reason):
    assert classify(error)[1] == reason
