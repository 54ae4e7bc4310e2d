"""Rules beside endpoint: what counts as the same."""

from typing import Any

import pytest

from ingest.endpoint.check import CheckedRecord, check
from ingest.endpoint.compare import compare, match, same_field
from ingest.extraction import extract
from tests.ingest.endpoint.fake_endpoint import ABSTRACT, MEMORY, SPEEDUP, TITLE, claim, record


def compared(**changed: Any) -> Any:
    return compare(extract(TITLE, ABSTRACT).to_json(), check(TITLE, ABSTRACT, record(**changed), "small-model"))


def test_a_right_answer_agrees_in_every_field_and_claim() -> None:
    found = compared()
    assert [field.field for field in found.differing_fields] == []
    assert [c["value"] for c in found.agreed_claims] == [2.3, 40]
    assert (found.only_rules, found.only_endpoint) == ([], [])


def test_a_difference_comes_with_both_values_and_the_words_of_each() -> None:
    found = compared(families=["efficient-attention"])
    (field,) = found.differing_fields
    assert (field.field, field.rules, field.endpoint) == ("families", ["kv-cache"], ["efficient-attention"])
    assert field.rules_words
    assert field.endpoint_words in ABSTRACT


def test_a_field_that_was_refused_is_not_compared() -> None:
    assert "kind" not in [field.field for field in compared(kind="gadget").fields]


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        pytest.param({}, (), id="all-alike"),
        pytest.param({"metric": "latency"}, ("metric",), id="metric-of-the-same-group"),
        pytest.param({"phase": "training"}, ("phase",), id="phase"),
        pytest.param({"direction": "worse"}, ("direction",), id="direction"),
        pytest.param({"qualifier": None}, (), id="an-omission-is-no-contradiction"),
    ],
)
def test_one_number_read_twice_tells_what_differs(changed: dict[str, Any], differs: tuple[str, ...]) -> None:
    found = compared(claims=[{**SPEEDUP, **changed}, MEMORY])
    assert [pair.differs for pair in found.pairs] == [differs, ()]


def test_a_metric_of_another_group_is_another_claim() -> None:
    found = compared(claims=[{**SPEEDUP, "metric": "energy"}, MEMORY])
    assert [c["metric"] for c in found.only_endpoint] == ["energy"]
    assert [c["value"] for c in found.only_rules] == [2.3]


@pytest.mark.parametrize(
    ("field", "mine", "other", "same"),
    [
        pytest.param("name", "Fold-Cache", "foldcache", True, id="name-folded"),
        pytest.param("name", None, None, True, id="no-name"),
        pytest.param("name", None, "Foldcache", False, id="one-has-a-name"),
        pytest.param("families", ["a", "b", "c"], ["a", "c", "b"], True, id="order-behind-the-first"),
        pytest.param("families", ["a", "b"], ["b", "a"], False, id="another-first"),
        pytest.param("modality", ["a", "b"], ["b", "a"], True, id="modality-in-any-order"),
        pytest.param("hardware", ["RTX 4090"], ["rtx4090"], True, id="device-folded"),
        pytest.param("code_urls", ["https://a.org/x.git"], ["http://www.a.org/x/"], True, id="address-folded"),
        pytest.param("training_free", None, False, False, id="unclear-is-not-false"),
        pytest.param("quality_cost", None, {"value": None, "lossless": True}, False, id="one-sees-a-cost"),
        pytest.param("quality_cost", {"value": 0.3, "lossless": False}, {"value": 0.3, "lossless": False}, True, id="same-cost"),
        pytest.param("quality_cost", {"value": 0.3, "lossless": False}, {"value": 3, "lossless": False}, False, id="other-cost"),
    ],
)  # fmt: skip
def test_same_field(field: str, mine: Any, other: Any, same: bool) -> None:
    assert same_field(field, mine, other) is same
    assert same_field(field, other, mine) is same


def placed(value: float, form: str = "factor", start: int = 0, **fields: Any) -> dict[str, Any]:
    return {**claim("q", value, form, **fields), "start": start, "end": start + 10}


@pytest.mark.parametrize(
    ("mine", "other", "same"),
    [
        pytest.param(placed(2.30), placed(2.31), True, id="within-a-percent"),
        pytest.param(placed(2.3), placed(2.4), False, id="another-value"),
        pytest.param(placed(2), placed(2, "percent"), False, id="another-form"),
        pytest.param(placed(2), placed(2, start=9), True, id="places-overlap"),
        pytest.param(placed(2), placed(2, start=10), False, id="places-only-touch"),
        pytest.param(placed(5e9, "absolute"), placed(5, "absolute"), True, id="written-out-or-with-a-letter"),
        pytest.param(placed(5000), placed(5), False, id="a-factor-has-no-letter"),
        pytest.param(placed(2, value_max=4), placed(4), True, id="one-end-of-a-range"),
        pytest.param(placed(2, value_max=4), placed(2, value_max=5), False, id="another-range"),
    ],
)
def test_same_claim(mine: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert bool(match([mine], [other])) is same
    assert bool(match([other], [mine])) is same


def test_matching_makes_room_for_all_and_prefers_the_likest() -> None:
    # The first overlaps both others, the second only the one that the first would take.
    mine, others = [placed(2, start=10), placed(2, start=22)], [placed(2, start=18), placed(2, start=5)]
    assert match(mine, others) == {0: 1, 1: 0}
    latency, plain = placed(2, metric="latency"), placed(2)
    assert match([plain, latency], [latency, plain]) == {0: 1, 1: 0}


def test_an_empty_answer_leaves_the_rules_alone() -> None:
    rules = extract(TITLE, ABSTRACT).to_json()
    found = compare(rules, CheckedRecord({"claims": []}, {}, [], []))
    assert (found.fields, found.pairs, found.only_endpoint) == ([], [], [])
    assert found.only_rules == rules["claims"]
