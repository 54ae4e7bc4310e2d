"""From which size on it is worth it, and error beside speed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.bench.collect import Findings
from runners.bench.results import Measurement
from runners.bench.sweeps import Point, crossover, marked, sweep_tables
from runners.cards import load_card

CARD = load_card(Path(__file__).resolve().parents[2] / "fixtures/cards/sample/plain_sum.toml")


def points(*ratios, width=0.05, losses=None):
    return [
        Point(2**index * 512, ratio, ratio * (1 - width), ratio * (1 + width), 0.02, losses and losses[index])
        for index, ratio in enumerate(ratios)
    ]


@pytest.mark.parametrize(
    ("ratios", "kind", "at"),
    [
        pytest.param((1.2, 1.5, 2.0), "always", None, id="always"),
        pytest.param((0.5, 0.9, 0.99), "never", None, id="never"),
        pytest.param((0.5, 2.0, 3.0), "crosses", 724, id="half way between the logarithms"),
        pytest.param((0.5, 0.8, 1.25), "crosses", 1448, id="between the last two"),
        pytest.param((1.5, 0.8, 1.25), "mixed", None, id="faster, slower, faster"),
        pytest.param((1.5, 1.2, 0.8), "mixed", None, id="no longer at large sizes"),
    ],
)
def test_the_crossover_is_where_the_ratio_last_rises_above_one(ratios, kind, at):
    found = crossover(points(*ratios))
    assert found.kind == kind
    assert found.at == (None if at is None else pytest.approx(at, rel=0.01))
    assert found.sentence("seq")


def test_the_crossover_has_an_interval_that_may_leave_the_sweep():
    found = crossover(points(0.5, 2.0, 3.0))
    assert found.low < found.at < found.high
    wide = crossover(points(0.9, 1.1, 1.2, width=0.3))
    assert (wide.low, wide.high) == (None, None)
    assert "below the sweep to beyond the sweep" in wide.sentence("seq")


@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=8))
def test_a_crossing_lies_between_a_slower_and_a_faster_point(ratios):
    swept = points(*ratios)
    found = crossover(swept)
    if found.kind == "crosses":
        assert max(p.value for p in swept if p.ratio <= 1) <= found.at * 1.0001
        assert found.at <= min(p.value for p in swept if p.ratio > 1) * 1.0001


@pytest.mark.parametrize(
    ("ratios", "losses", "best"),
    [
        pytest.param((1.0, 2.0, 3.0), (0.01, 0.02, 0.03), [True, True, True], id="each buys speed with error"),
        pytest.param((1.0, 2.0, 1.5), (0.01, 0.02, 0.03), [True, True, False], id="slower and worse"),
        pytest.param((2.0, 2.0, 1.0), (0.02, 0.01, 0.01), [False, True, False], id="as fast and better"),
        pytest.param((2.0, 2.0), (0.01, 0.01), [True, True], id="equal points do not beat each other"),
        pytest.param((2.0, 1.0), None, [False, False], id="without errors there is no front"),
    ],
)
def test_the_pareto_front_has_what_nothing_beats(ratios, losses, best):
    assert [point.is_best for point in marked(points(*ratios, losses=losses))] == best


def measured(rows, ratio):
    return Measurement(
        workload=f"medium[rows={rows}]", subject="technique", baseline="eager", measure="time", unit="ms", median=1.0,
        low=1.0, high=1.0, samples=[1.0], ratio=ratio, ratio_low=ratio * 0.9, ratio_high=ratio * 1.1, pairs=10, band=0.02,
        scope="kernel", cap_reached=False, device_kind="cpu",
    )  # fmt: skip


def checked(rows, quality):
    return {
        "subject": "technique", "workload": f"medium[rows={rows}]", "quality": quality, "error": {"relative_l2": 0.5},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("quality", "figures", "best"),
    [("cosine", (0.99, 0.9), [True, True]), ("relative_l2", (0.2, 0.1), [False, True])],
    ids=["higher is better", "lower is better"],
)
def test_speed_and_error_of_an_approximation_stand_in_one_table(tmp_path, quality, figures, best):
    text = CARD.path.read_text().replace('"exact"', '"approximate"')
    text = text.replace("error_factor = 5.0", f'quality = "{quality}"\nbudget = 0.5')
    path = tmp_path / "plain_sum.toml"
    path.write_text(text)
    path.with_suffix(".py").write_text(CARD.module_path.read_text())
    findings = Findings(checks=[checked(64, figures[0]), checked(512, figures[1])])
    (found,) = sweep_tables(findings, load_card(path), [measured(512, 1.2), measured(64, 0.8)])
    assert [(point.value, point.quality) for point in found.points] == [(64, figures[0]), (512, figures[1])]
    assert [point.is_best for point in found.points] == best
    assert (found.error_name, found.to_dict()["says"][:16]) == (quality, "faster from rows")


def test_a_run_without_a_sweep_has_no_table():
    assert sweep_tables(Findings(), CARD, []) == []
