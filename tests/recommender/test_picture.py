"""The pictures on the page of advice: what is drawn where."""

from __future__ import annotations

import dataclasses
import re

import pytest

from recommender.need import Need
from recommender.picture import BAR, HEIGHT, WIDTH, memory_bar, roof, time_bars
from recommender.situation import Change, situation_of

NEED = Need("faster", gpu="A100", model="Llama-3-8B", prompt=4096, new_tokens=512)
SMALLER = Change("time", "weights", 3.0, 3.5, 4.0)


def test_the_bar_of_memory_is_as_long_as_its_parts_and_marks_the_budget():
    situation = situation_of(NEED)
    bar = memory_bar(situation)
    assert bar.pieces[0].start == 0
    for left, right in zip(bar.pieces, bar.pieces[1:], strict=False):
        assert right.start == pytest.approx(left.start + left.length, abs=0.02)
    assert sum(piece.length for piece in bar.pieces) == pytest.approx(
        BAR * bar.total / situation.available_gib, abs=0.1
    )
    assert bar.limit == BAR
    too_large = memory_bar(situation_of(dataclasses.replace(NEED, model="Llama-3-70B")))
    assert sum(piece.length for piece in too_large.pieces) == pytest.approx(BAR, abs=0.1)
    assert 0 < too_large.limit < BAR


def test_the_bars_of_time_are_made_of_what_is_waited_for():
    bars = time_bars(situation_of(NEED))
    assert [bar.name for bar in bars] == ["prefill", "decode_per_token"]
    for bar in bars:
        assert sum(piece.share for piece in bar.pieces) == pytest.approx(1)


def test_each_pass_lies_under_the_roof_and_a_technique_moves_the_longest():
    drawn = roof(situation_of(NEED), [("Small weights", [SMALLER]), ("Nothing", [])])
    assert [point.label for point in drawn.points] == ["Prompt", "Each new token", "Small weights"]
    prompt, token, moved = drawn.points
    for point in drawn.points:
        assert 0 < point.x < WIDTH
        assert 0 < point.y < HEIGHT
    for point in (prompt, token):
        assert point.tflops <= min(drawn.peak_tflops, point.intensity * drawn.bandwidth_gb_s / 1e3)
    assert token.x < drawn.ridge_x < prompt.x, "one token waits for memory, a prompt for arithmetic"
    assert moved.intensity > token.intensity
    assert moved.ms < token.ms
    assert drawn.peak_y == float(re.findall(r"[\d.]+", drawn.path)[-1])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"gpu": None}, id="no-device"),
        pytest.param({"model": None}, id="no-model"),
        pytest.param({"gpu": "M3 Max"}, id="no-published-rate"),
    ],
)
def test_without_figures_nothing_is_drawn(change):
    assert roof(situation_of(dataclasses.replace(NEED, **change)), []) is None
