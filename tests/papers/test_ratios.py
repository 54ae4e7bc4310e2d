"""A claim as a ratio: one rule for pages, extraction and harness."""

import itertools

import pytest

from papers.ratios import GROWS_WITH_GAIN, claim_ratio
from papers.vocabulary import METRIC_LABELS
from runners.bench import verdicts


@pytest.mark.parametrize(
    ("form", "direction", "value", "grows", "remains", "ratio"),
    [
        pytest.param("factor", "better", 3, False, False, 3, id="times"),
        pytest.param("factor", "worse", 4, True, False, 0.25, id="times-worse"),
        pytest.param("percent", "better", 40, False, False, 1 / 0.6, id="cost-falls"),
        pytest.param("percent", "worse", 25, False, False, 0.8, id="cost-rises"),
        pytest.param("percent", "better", 30, True, False, 1.3, id="gain-rises"),
        pytest.param("percent", "worse", 20, True, False, 0.8, id="gain-falls"),
        pytest.param("percent", "better", 5, False, True, 20, id="what-remains"),
        pytest.param("percent", "worse", 5, False, True, None, id="a-small-share-is-no-loss"),
        pytest.param("percent", "better", 100, False, False, None, id="nothing-left"),
        pytest.param("percent", "none", 40, False, False, None, id="no-direction"),
        pytest.param("absolute", "none", 4, False, False, None, id="amount"),
        pytest.param("factor", "better", 0, False, False, None, id="zero"),
        pytest.param("factor", "better", float("inf"), False, False, None, id="infinite"),
    ],
)
def test_ratio(form: str, direction: str, value: float, grows: bool, remains: bool, ratio: float | None) -> None:
    found = claim_ratio(form, direction, value, grows=grows, remains=remains)
    assert found == (ratio if ratio is None else pytest.approx(ratio))


def test_the_harness_which_runs_without_this_package_has_the_same_rule() -> None:
    assert verdicts.GROWS_WITH_GAIN == GROWS_WITH_GAIN
    forms, directions = ("factor", "percent", "absolute"), ("better", "worse", "none")
    for form, direction, value, metric in itertools.product(
        forms, directions, (0.5, 2.0, 40.0, 99.0, 100.0, 150.0), METRIC_LABELS
    ):
        ours = claim_ratio(form, direction, value, grows=metric in GROWS_WITH_GAIN)
        theirs = verdicts.claim_as_ratio(form, direction, value, metric)
        assert ours == (theirs if theirs is None else pytest.approx(theirs)), (form, direction, value, metric)
