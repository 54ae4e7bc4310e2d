"""A wrong card is refused with its file, its field, what was wrong and what would be right."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.cards import CardError, all_cards, find_card, load_card

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures/cards"
CARD = (FIXTURES / "sample/plain_sum.toml").read_text()
MODULE = (FIXTURES / "sample/plain_sum.py").read_text()


def write(folder, card=CARD, module=MODULE, stem="plain_sum"):
    path = folder / f"{stem}.toml"
    path.write_text(card)
    path.with_suffix(".py").write_text(module)
    return path


BAD = {
    "unknown key": ('year = 2024', 'year = 2024\nyaer = 1', "yaer: is an unknown key; did you mean 'year'"),
    "missing key": ('year = 2024\n', '', "year: is missing"),
    "wrong type": ('year = 2024', 'year = "2024"', "year: '2024' is not a whole number"),
    "other name": ('name = "plain-sum"', 'name = "plain-sun"', "name: 'plain-sun' differs from the file's name"),
    "unknown family": ('"kernels-compilers"', '"kernels"', "families: 'kernels' is unknown; one of"),
    "empty title": ('title = "Plain Sum: a fixture"', 'title = " "', "title: is empty"),
    "bad arXiv id": ('year = 2024', 'year = 2024\narxiv = "24.1"', "arxiv: '24.1' has the wrong form"),
    "unknown scope": ('scope = "kernel"', 'scope = "galaxy"', "scope: 'galaxy' is unknown"),
    "claim on an unknown workload": ('baseline = "twice"', 'baseline = "twice"\nworkload = "huge"',
                                     "claims[twice-as-fast].workload: 'huge' is unknown; one of medium, large"),
    "claim on a check workload": ('baseline = "twice"', 'baseline = "twice"\nworkload = "small"',
                                  "claims[twice-as-fast].workload: 'small' is unknown"),
    "claim on an unknown rung": ('baseline = "twice"', 'baseline = "thrice"',
                                 "claims[twice-as-fast].baseline: 'thrice' is unknown; one of eager, twice"),
    "claim of nothing": ('value = 2.0', 'value = 0', "claims[twice-as-fast].value: 0 is out of range"),
    "claim with a turned range": ('value = 2.0', 'value = 2.0\nvalue_max = 1.0', "value_max: 1.0 is below value 2.0"),
    "no check workload": ('use = "check"', 'use = "time"', "workloads: holds none with use = 'check'"),
    "two representatives": ('device = "cuda"\n', '', "exactly one timed workload with device = 'any'"),
    "no representative": ('use = "time"\nrepresentative = true', 'use = "time"', "found none"),
    "missing budget": ('"exact"', '"approximate"', "check.budget: is missing on an approximate card"),
    "budget on an exact card": ('gradients = [0]', 'budget = 0.1', "check.quality: does not go with an exact card"),
    "reference nobody makes": ('reference = "eager"', 'reference = "exact"', "has no subject 'exact'"),
    "rung named technique": ('name = "twice"', 'name = "technique"', "'technique' is the subject itself"),
    "duplicate workload": ('name = "large"', 'name = "medium"', "workloads.name: 'medium' appears twice"),
    "sweep of an unknown axis": ('axis = "rows"', 'axis = "depth"', "sweep.axis: 'depth' is no axis of 'medium'"),
    "sweep of one value": ('values = [64, 512]', 'values = [64]', "sweep.values: holds fewer than two"),
    "negative axis": ('rows = 5', 'rows = -5', "workloads[small].axes.rows: -5 is out of range"),
    "axis that is a switch": ('rows = 5', 'rows = true', "workloads[small].axes.rows: True is not a whole number"),
    "fixed axis that does not exist": ('gradients = [0]', 'fixed = ["depth"]', "'depth' in multiples or fixed"),
    "reference of another function": ('role = "eager"', 'role = "eager"\nsame_function = false',
                                      "check: 'eager' computes another function and cannot say what is right"),
    "no TOML": ('schema = 1', 'schema = = 1', "file: is not TOML"),
    "newer schema": ('schema = 1', 'schema = 2', "schema: 2 is out of range"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), BAD.values(), ids=BAD)
def test_a_bad_card_names_file_and_field(tmp_path, old, new, message):
    assert old in CARD
    path = write(tmp_path, CARD.replace(old, new, 1))
    with pytest.raises(CardError) as caught:
        load_card(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (MODULE.replace('"twice":', '"thrice":'), "baselines: plain_sum.py has no subject 'twice'"),
        (MODULE.replace('"technique":', '"tehcnique":'), "has no subject 'technique'"),
        ("def broken(:\n", "plain_sum.py: line 1: is not Python"),
    ],
    ids=["rung", "technique", "syntax"],
)
def test_a_module_without_the_ladder_is_refused(tmp_path, module, message):
    with pytest.raises(CardError) as caught:
        load_card(write(tmp_path, module=module))
    assert message in str(caught.value)


def test_a_missing_module_is_refused(tmp_path):
    path = write(tmp_path)
    path.with_suffix(".py").unlink()
    with pytest.raises(CardError, match=r"plain_sum.py is missing"):
        load_card(path)


def test_subjects_added_one_by_one_are_found(tmp_path):
    module = MODULE.replace('    "twice": lambda axes, weights: Twice(weights),\n', "")
    load_card(write(tmp_path, module=module + '\nSUBJECTS["twice"] = lambda axes, weights: Twice(weights)\n'))


def test_a_card_is_json_ready_and_keeps_its_keys():
    card = load_card(FIXTURES / "sample/plain_sum.toml")
    plain = json.loads(json.dumps(card.to_dict()))
    assert plain["workloads"][0]["pass"] == "forward"
    assert plain["claims"][0]["scope"] == "kernel"
    assert len(plain["card_hash"]) == len(plain["code_hash"]) == 64


def test_hashes_follow_the_files(tmp_path):
    first = load_card(write(tmp_path))
    before = (first.card_hash, first.code_hash)
    second = load_card(write(tmp_path, CARD.replace("2024", "2025"), MODULE + "\n# changed\n"))
    assert before[0] != second.card_hash
    assert before[1] != second.code_hash


def test_two_cards_of_one_name_are_refused(tmp_path):
    for family in ("one", "two"):
        (tmp_path / family).mkdir()
        write(tmp_path / family)
    with pytest.raises(CardError, match="is taken by"):
        all_cards(tmp_path)


def test_a_bad_neighbour_does_not_hide_a_good_card(tmp_path):
    write(tmp_path)
    write(tmp_path, "schema = 1", stem="broken")
    assert find_card("plain-sum", tmp_path).name == "plain-sum"


def test_an_unknown_name_suggests_close_ones(tmp_path):
    write(tmp_path)
    with pytest.raises(CardError, match="did you mean plain-sum"):
        find_card("plane-sum", tmp_path)


def test_every_card_of_the_project_is_valid():
    assert list(all_cards()) == sorted(all_cards())


@given(st.text(max_size=200))
def test_any_text_is_a_card_or_a_card_error(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("cards") / "any.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CardError, match=r"any\.toml"):
        load_card(path)


json_like = st.recursive(
    st.one_of(st.booleans(), st.integers(-5, 5), st.floats(allow_nan=False), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


@given(value=json_like, field=st.sampled_from(["year", "families", "check", "baselines", "workloads", "sweep", "claims",
                                               "needs", "effect", "title", "scope"]))  # fmt: skip
def test_a_value_of_any_kind_gives_no_other_error_than_card_error(value, field):
    import tomllib

    from runners.card_fields import Fields
    from runners.cards import _card

    path = Path("any/plain_sum.toml")
    try:
        _card(Fields(path, "", {**tomllib.loads(CARD), field: value}), path)
    except CardError as error:
        message = str(error)
    else:
        message = f"{path}: the value happened to be right"
    assert message.startswith(f"{path}: ")
