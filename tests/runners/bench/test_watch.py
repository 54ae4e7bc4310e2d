"""Since when a technique is no longer faster, found in histories that scatter."""

import random

import pytest

from runners.bench.watch import Past, changed, no_longer_faster, steps, transitions, versions_of


def history(*ratios, torch=None, band=0.02, width=0.01):
    """Runs with these ratios; `torch` gives their versions."""
    return [
        Past(
            100 + index, ratio, ratio * (1 - width), ratio * (1 + width), band,
            {"torch": torch[index] if torch else "2.11", "code": "a"},
        )
        for index, ratio in enumerate(ratios)
    ]  # fmt: skip


OLD_NEW = ["2.11"] * 3 + ["2.13"] * 3


@pytest.mark.parametrize(
    ("ratios", "found"),
    [
        pytest.param((), [], id="no runs"),
        pytest.param((1.5,), [], id="one run"),
        pytest.param((1.5, 1.52, 1.49, 1.51), [], id="steady"),
        pytest.param((1.5, 1.5, 1.5, 1.0, 1.0, 1.0), [(3, True)], id="a step down"),
        pytest.param((1.0, 1.0, 1.5, 1.5), [(2, True)], id="a step up"),
        pytest.param((1.5, 1.5, 1.0, 1.5, 1.5), [], id="an outlier"),
        pytest.param((1.5, 1.5, 1.5, 1.0), [(3, False)], id="the newest run alone is not sure"),
        pytest.param((1.5, 1.5, 1.2, 1.2, 0.9, 0.9), [(2, True), (4, True)], id="two steps"),
        pytest.param((1.5, 1.48, 1.46, 1.47), [], id="a slow drift within the band"),
    ],
)
def test_steps_of_a_history(ratios, found):
    assert [(step.at, step.sure) for step in steps(history(*ratios))] == found


def test_a_step_names_what_changed_and_both_levels():
    (step,) = steps(history(1.5, 1.52, 1.5, 1.0, 1.01, 1.0, torch=OLD_NEW))
    assert step.changes == {"torch": ("2.11", "2.13")}
    assert (step.before, step.after) == (pytest.approx(1.5), pytest.approx(1.0))


@pytest.mark.parametrize(
    ("ratios", "run"),
    [
        pytest.param((1.5, 1.5, 1.5, 1.0, 1.0, 1.01), 103, id="fell to equal"),
        pytest.param((1.5, 1.5, 1.5, 0.8, 0.8, 0.8), 103, id="fell to slower"),
        pytest.param((2.0, 2.0, 2.0, 1.5, 1.5, 1.5), None, id="fell and is still faster"),
        pytest.param((1.0, 1.0, 1.0, 0.8, 0.8, 0.8), None, id="never was faster"),
        pytest.param((0.8, 0.8, 0.8, 1.0, 1.0, 1.0), None, id="rose"),
        pytest.param((1.5, 1.5, 1.0, 1.0, 1.5, 1.5), None, id="is faster again"),
        pytest.param((1.5, 1.5, 1.5, 1.5, 1.5, 1.0), None, id="one run is not enough"),
        pytest.param((1.6, 1.6, 1.3, 1.3, 1.0, 1.0), 104, id="by two steps"),
    ],
)
def test_no_longer_faster_needs_a_sure_step_from_faster_to_not_faster(ratios, run):
    found = no_longer_faster(history(*ratios))
    assert (found.run if found else None) == run


def test_the_sentence_says_since_what():
    lost = no_longer_faster(history(1.5, 1.5, 1.5, 1.0, 1.0, 1.0, torch=OLD_NEW))
    assert lost.sentence("SDPA") == "No longer faster than SDPA since torch 2.13: 1.50× before, 1.00× now."
    same = no_longer_faster(history(1.5, 1.5, 1.5, 1.0, 1.0, 1.0))
    assert "since a run with the same versions" in same.sentence("SDPA")


def test_noise_alone_rarely_makes_a_step():
    """500 drawn histories of 12 runs whose medians scatter as their intervals and bands say."""
    chooser = random.Random(3)
    wrong = sum(
        any(
            step.sure
            for step in steps(history(*(1.3 * 2.718 ** chooser.gauss(0, 0.01) for _ in range(12)), width=0.02))
        )
        for _ in range(500)
    )
    assert wrong / 500 < 0.02


def test_a_true_step_is_nearly_always_found():
    chooser = random.Random(4)
    found = 0
    for _ in range(500):
        levels = [1.3] * 6 + [1.0] * 6
        ratios = [level * 2.718 ** chooser.gauss(0, 0.01) for level in levels]
        found += [step.at for step in steps(history(*ratios, width=0.02)) if step.sure] == [6]
    assert found / 500 > 0.95


def test_versions_are_compared_where_both_are_known():
    assert changed({"torch": "2.11", "driver": "570"}, {"torch": "2.13", "triton": "3.6"}) == {
        "torch": ("2.11", "2.13")
    }
    assert versions_of({"torch": "2.11", "load_average": 3}, code="abc", card="") == {"torch": "2.11", "code": "abc"}
    assert transitions(history(1, 1, 1, 1, 1, 1, torch=OLD_NEW)) == [(103, {"torch": ("2.11", "2.13")})]
