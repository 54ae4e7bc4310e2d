"""The benchmark that counts how often shown intervals hold: each kind of device by itself."""

from __future__ import annotations

from pathlib import Path

from benchmarks.advice import carried, claims, off_baselines, shown, what_was_measured
from recommender.documents import ClaimedGain, Document, MeasuredGain, ModelledEffect
from recommender.knowledge import Baseline, Held, Knowledge

CARD = ModelledEffect("attention", "time", 1.5, 4.0)


def measured(ratio, device, **fields):
    return MeasuredGain(
        "latency",
        ratio,
        ratio,
        ratio,
        **{"scope": "kernel", "device": device, "workload": "w", "baseline": "b", **fields},
    )


def document(**fields):
    return Document(1, "Sieve", **{"implementation": "sieve", "families": ("efficient-attention",), **fields})


def test_measured_ratios_are_compared_with_what_was_shown_before_them():
    known = Knowledge(measured={"sieve": (measured(2.0, "NVIDIA H100 SXM"), measured(9.0, "NVIDIA A100 80GB"))})
    assert shown(known, [document(effects=(CARD,))]) == {"gpu": {"held": 1, "of": 2, "share": 0.5}}


def test_a_claim_of_the_whole_model_is_not_held_against_a_kernel():
    claim = ClaimedGain("speedup", "factor", "better", 9.0, scope="model")
    known = Knowledge(measured={"sieve": (measured(3.0, "NVIDIA H100 SXM"),)})
    assert shown(known, [document(gains=(claim,), effects=(CARD,))])["gpu"]["held"] == 1
    assert shown(known, [document(gains=(claim,))])["gpu"]["of"] == 0


def test_cpus_and_gpus_are_never_mixed():
    desktop, server, gpu = "Desktop CPU, 16 cores", "Server CPU, 64 cores", "NVIDIA H100 SXM"
    known = Knowledge(
        measured={"sieve": (measured(2.0, desktop), measured(2.0, server), measured(2.1, gpu))},
        held=(Held("peft", 4.0, 2.0, desktop), Held("peft", 4.0, 3.9, gpu)),
        baselines=(Baseline(desktop, "eager", "w", 2.0, 1.0), Baseline(gpu, "eager", "w", 1.1, 1.0)),
    )
    assert set(shown(known, [document(effects=(CARD,))])) == {"cpu", "gpu"}
    assert carried(known) == {"cpu": {"held": 2, "of": 2, "share": 1.0}}, "one GPU has no other to be carried from"
    assert {kind: row["of"] for kind, row in claims(known).items()} == {"cpu": 1, "gpu": 1}
    assert off_baselines(known) == {
        "cpu": {"timed": 1, "typical_error": 1.0},
        "gpu": {"timed": 1, "typical_error": 0.1},
    }


def test_what_the_figures_rest_on_is_said():
    folder = Path("records")
    assert "No measured ratio in records" in what_was_measured(Knowledge(), folder)
    on_cpus = Knowledge(measured={"sieve": (measured(2.0, "Desktop CPU, 16 cores"),)})
    assert "CPUs alone" in what_was_measured(on_cpus, folder)
    both = Knowledge(measured={"sieve": (measured(2.0, "Desktop CPU, 16 cores"), measured(2.0, "NVIDIA H100 SXM"))})
    assert "counted apart" in what_was_measured(both, folder)
