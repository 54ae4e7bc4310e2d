"""Statistics against truths that are known beforehand."""

import math
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.bench.statistics import (
    Interval,
    _resampled_median,
    beside_band,
    bootstrap_median,
    equivalence_band,
    geometric_mean,
    order_statistic_interval,
    paired_ratios,
    widened_for_choice,
)

positive = st.floats(0.01, 100)


def noisy(generator, count, centre=1.0, spread=0.02):
    return [centre * math.exp(generator.gauss(0, spread)) for _ in range(count)]


def test_bootstrap_covers_the_true_median_about_as_often_as_it_says():
    generator = random.Random(4)
    inside = 0
    for seed in range(100):
        interval = bootstrap_median(noisy(generator, 40, centre=2.0), seed)
        inside += interval.low <= 2.0 <= interval.high
    assert inside >= 88


def test_a_baseline_against_itself_is_no_gain_in_at_least_95_of_100_runs():
    generator = random.Random(5)
    calm = 0
    for seed in range(100):
        control, run = (
            bootstrap_median(paired_ratios(noisy(generator, 40), noisy(generator, 40)), seed) for _ in range(2)
        )
        band = equivalence_band(control, 0.0)
        calm += 1 / (1 + band) <= run.low and run.high <= 1 + band
    assert calm >= 95


def test_a_known_share_of_the_work_is_found_within_three_percent():
    generator = random.Random(6)
    found = bootstrap_median(paired_ratios(noisy(generator, 60, 3.0), noisy(generator, 60, 1.5)), 1)
    assert found.median == pytest.approx(2.0, rel=0.03)
    assert found.low <= 2.0 <= found.high


@pytest.mark.parametrize("count", [1, 2, 7, 10, 41, 60])
def test_bootstrap_agrees_with_drawing_every_resample(count):
    samples = noisy(random.Random(count), count, spread=0.3)
    generator = random.Random(8)
    drawn = sorted(statistics.median(generator.choices(samples, k=count)) for _ in range(4000))
    quick = sorted(_resampled_median(sorted(samples), generator) for _ in range(4000))
    for share in (0.05, 0.25, 0.5, 0.75, 0.95):
        # Compared by rank, as medians of few samples take few values.
        value = quick[int(share * 4000)]
        below = sum(each < value - 1e-12 for each in drawn) / 4000
        up_to = sum(each <= value + 1e-12 for each in drawn) / 4000
        assert below - 0.04 <= share <= up_to + 0.04


def test_one_outlier_does_not_move_the_median():
    assert bootstrap_median([1.0] * 20 + [1e6]).median == 1.0


def test_the_same_seed_gives_the_same_interval():
    samples = noisy(random.Random(1), 30)
    assert bootstrap_median(samples, 9) == bootstrap_median(samples, 9)


@pytest.mark.parametrize("samples", [[], [1.0, math.nan], [math.inf]], ids=["none", "nan", "infinite"])
def test_unusable_samples_are_refused(samples):
    with pytest.raises(ValueError, match="samples"):
        bootstrap_median(samples)


def test_unequal_numbers_of_samples_are_refused():
    with pytest.raises(ValueError, match="pair them"):
        paired_ratios([1.0], [1.0, 2.0])


@given(st.lists(positive, min_size=1, max_size=30))
def test_intervals_hold_their_median(samples):
    for interval in (bootstrap_median(samples), order_statistic_interval(samples)):
        assert min(samples) <= interval.low <= interval.median <= interval.high <= max(samples)


@given(st.lists(positive, min_size=1, max_size=8))
def test_geometric_mean_lies_between_its_terms(values):
    found = geometric_mean([Interval(value, value * 0.9, value * 1.1) for value in values])
    assert min(values) * 0.999 <= found.median <= max(values) * 1.001
    assert found.low <= found.median <= found.high


def test_geometric_mean_of_two_and_eight_is_four():
    assert geometric_mean([Interval(2, 2, 2), Interval(8, 8, 8)]).median == pytest.approx(4)


@given(positive, st.integers(1, 20))
def test_picking_the_best_of_more_points_widens_the_interval(ratio, choices):
    before = Interval(ratio, ratio * 0.9, ratio * 1.1)
    after = widened_for_choice(before, choices)
    more = widened_for_choice(before, choices + 1)
    assert more.low <= after.low <= before.low * 1.000001
    assert more.high >= after.high >= before.high * 0.999999


def test_band_is_never_below_what_the_device_resolves():
    assert equivalence_band(Interval(1, 1, 1), 0.02) == 0.02
    assert equivalence_band(Interval(1, 0.95, 1.05), 0.02) > 0.05


def test_two_equal_subjects_are_equal_whichever_is_divided_by_the_other():
    band = 0.25
    for low, high in ((0.81, 1.2), (0.79, 1.2), (0.70, 0.79), (0.7, 0.81), (1.26, 1.4), (1.24, 1.3)):
        turned = beside_band(1 / high, 1 / low, band)
        assert turned == {"better": "worse", "worse": "better"}.get(
            beside_band(low, high, band), beside_band(low, high, band)
        )
