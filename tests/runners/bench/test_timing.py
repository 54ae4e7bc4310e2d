"""What timing shows while it goes on."""

from pathlib import Path

from runners.bench.child import timing
from runners.bench.child.devices import CpuDevice
from runners.bench.child.subjects import Setting, load_module
from runners.bench.child.timing import Timer
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
