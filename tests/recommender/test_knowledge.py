"""What measurements teach: how far claims hold, and what devices reach."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.baselines import OF_A_COPY, OF_A_PRODUCT, Timed, judge, reached, work_of
from recommender.hardware.catalogue import find_device
from recommender.hardware.timing import efficiency_of
from recommender.knowledge import Held, Knowledge
from recommender.need import Need
from recommender.situation import situation_of

H100 = find_device("H100")
LINEAR = Timed("NVIDIA H100 SXM", "llm-int8", "eager", "w", {"tokens": 8192, "features": 4096, "outputs": 14336}, "bfloat16", False, 1.5)  # fmt: skip
ATTENTION = Timed("NVIDIA H100 SXM", "flash", "library", "w", {"batch": 1, "heads": 32, "seq": 8192, "dim": 128, "causal": 1}, "bfloat16", False, 2.0)  # fmt: skip


@given(st.lists(st.floats(1.05, 50), max_size=20), st.floats(0.2, 1.2))
def test_expectations_are_ordered_and_follow_what_was_seen(claims, share):
    known = Knowledge(held=tuple(Held("peft", claim, claim**share) for claim in claims))
    discount = known.discount(("peft",))
    assert discount.low <= discount.middle <= discount.high
    assert min(share, 0.7) - 1e-9 <= discount.middle <= max(share, 0.7) + 1e-9


def test_more_judgements_make_the_range_narrower():
    few, many = (Knowledge(held=(Held("peft", 4.0, 3.0),) * count).discount(("peft",)) for count in (1, 30))
    assert many.high - many.low < few.high - few.low
    assert (few.count, many.count) == (1, 30)


def test_the_claim_that_is_foretold_teaches_nothing_about_itself():
    exceptional = Held("peft", 4.0, 1.0)
    known = Knowledge(held=(exceptional, Held("peft", 4.0, 4.0)))
    assert known.discount(("peft",), without=exceptional).middle > known.discount(("peft",)).middle


@pytest.mark.parametrize(
    ("timed", "flops"),
    [
        pytest.param(LINEAR, 2 * 8192 * 4096 * 14336, id="linear"),
        pytest.param(ATTENTION, 2 * 32 * 8192**2 * 128, id="causal-attention"),
        pytest.param(
            dataclasses.replace(ATTENTION, has_backward=True), 3.5 * 2 * 32 * 8192**2 * 128, id="with-backward"
        ),
        pytest.param(dataclasses.replace(ATTENTION, role="eager"), None, id="unfused-attention-is-no-measure"),
        pytest.param(dataclasses.replace(LINEAR, axes={"rows": 3}), None, id="unknown-work"),
        pytest.param(dataclasses.replace(LINEAR, dtype="float64"), None, id="unknown-format"),
    ],
)
def test_the_work_of_a_baseline(timed, flops):
    part = work_of(timed)
    assert (part and part.flops) == flops


def test_a_baseline_is_judged_by_what_the_model_expects():
    told = judge(LINEAR, H100)
    assert told.expected_ms == pytest.approx(
        2 * 8192 * 4096 * 14336 / (989.4e12 * efficiency_of(H100).compute) * 1e3, rel=0.01
    )
    assert told.to_json()["error"] == pytest.approx(1.5 / told.expected_ms - 1, abs=1e-3)
    known = Knowledge(baselines=(told,))
    typical, count = known.error_on("NVIDIA H100 SXM")
    assert count == 1
    assert typical == pytest.approx(max(1.5 / told.expected_ms, told.expected_ms / 1.5) - 1)
    assert known.error_on("NVIDIA T4") is None


def test_what_a_device_emulates_teaches_nothing_about_it():
    cpu = find_device("Cloud CPU, 2 cores")
    assert judge(LINEAR, cpu) is None
    assert reached([LINEAR], cpu) is None


def test_what_was_timed_replaces_what_was_assumed():
    used = reached([LINEAR, ATTENTION], H100)
    assert used.compute == pytest.approx(OF_A_PRODUCT * 2 * 8192 * 4096 * 14336 / 1.5e-3 / 989.4e12)
    assert used.attention == pytest.approx(2 * 32 * 8192**2 * 128 / 2e-3 / 989.4e12)
    assert used.memory == efficiency_of(H100).memory
    assert "timed baselines" in used.origin
    assert reached([], H100) is None
    need = Need("x", gpu="H100", model="Llama-3-8B")
    slower = dataclasses.replace(used, compute=used.compute / 2)
    plain, told = situation_of(need, {"NVIDIA H100 SXM": used}), situation_of(need, {"NVIDIA H100 SXM": slower})
    assert told.cost("prefill").ms > plain.cost("prefill").ms
    assert "measured" in told.to_json()["efficiency"]["origin"]


def test_ceilings_win_over_single_baselines():
    ceilings = [
        {"name": "matrix product, bfloat16", "value": 700.0, "unit": "TFLOP/s"},
        {"name": "copy", "value": 3000.0, "unit": "GB/s"},
        {"name": "matrix product, float32", "value": 50.0, "unit": "TFLOP/s"},
    ]
    used = reached([LINEAR], H100, ceilings)
    assert used.compute == pytest.approx(700 / 989.4 * OF_A_PRODUCT)
    assert used.memory == pytest.approx(3000 / 3350 * OF_A_COPY)
    assert "self-test" in used.origin
