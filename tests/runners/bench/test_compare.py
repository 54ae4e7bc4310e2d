"""What changed between two runs."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.bench.__main__ import main
from runners.bench.compare import compare_records, environment_changes, summary
from runners.bench.records import RecordError, read_records

HASH = "a" * 64
ENVIRONMENT = {
    "device_kind": "cuda", "device_name": "NVIDIA H200", "torch": "2.11.0", "driver": "570.1", "load_average": 0.3,
    "settings": {"threads": 2, "float32_matmul_precision": "highest"}, "device_state": {"sm_mhz": {"median": 1980}},
}  # fmt: skip


def record(ratio=2.0, environment=None, **changes):
    plain = {
        "schema": 1, "card": "plain-sum", "definition": {}, "solution": {}, "workload": {"name": "large", "axes": {}},
        "evaluation": {
            "status": "PASSED", "log": "", "correctness": None, "performance": {}, "timestamp": "2026-11-20T10:00:00+00:00",
            "environment": ENVIRONMENT | (environment or {}),
        },
        "scope": "kernel", "baseline": "eager", "band": 0.01, "memory": {}, "error": {}, "claim": [], "code_hash": HASH,
        "samples": {"technique_ms": [1.0] * 3, "baseline_ms": [ratio] * 3}, "card_hash": HASH, "seed": 7,
        "ratio": {"median": ratio, "low": ratio * 0.99, "high": ratio * 1.01, "pairs": 3}, "harness_version": "1.0",
    }  # fmt: skip
    return plain | changes


@pytest.mark.parametrize(
    ("new", "changed", "state"),
    [
        pytest.param({}, [], [], id="nothing"),
        pytest.param({"torch": "2.13.0"}, ["torch"], [], id="torch"),
        pytest.param({"load_average": 7.0}, [], ["load_average"], id="load is no change of the machine"),
        pytest.param({"device_state": {"sm_mhz": {"median": 1500}}}, [], ["device_state.sm_mhz.median"], id="clock"),
        pytest.param({"settings": {"threads": 2, "float32_matmul_precision": "high"}},
                     ["settings.float32_matmul_precision"], [], id="a nested setting"),
        pytest.param({"python": "3.12.1", "driver": "580.2", "torch": "2.13.0"}, ["torch", "driver", "python"], [],
                     id="what decides most comes first"),
    ],
)  # fmt: skip
def test_changes_of_an_environment_are_named(new, changed, state):
    found = environment_changes(ENVIRONMENT, ENVIRONMENT | new)
    assert [each.name for each in found if not each.is_state] == changed
    assert [each.name for each in found if each.is_state] == state


facts = st.recursive(
    st.integers() | st.text(max_size=5), lambda inner: st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=4)
)  # fmt: skip


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), facts, max_size=5))
def test_an_environment_never_differs_from_itself(environment):
    assert environment_changes(environment, environment) == []


@pytest.mark.parametrize(
    ("new", "same", "words"),
    [
        pytest.param(record(), True, "same cards, code and request", id="alike"),
        pytest.param(record(2.01), True, "yes", id="within the interval"),
        pytest.param(record(environment={"load_average": 9.0}), True, "load_average", id="another load"),
        pytest.param(record(1.5), False, "1.500× (1.485 to 1.515)", id="another ratio"),
        pytest.param(record(code_hash="b" * 64), False, "plain-sum: code_hash", id="another code"),
        pytest.param(record(environment={"torch": "2.13.0"}), False, "2.13.0", id="another torch"),
        pytest.param(record(card="other"), False, "other", id="another card"),
    ],
)
def test_two_bundles_are_told_apart(new, same, words):
    found = compare_records([record()], [new])
    assert found.same is same
    assert words in summary(found)
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_command_says_what_changed(tmp_path, capsys):
    old, new = tmp_path / "old.jsonl", tmp_path / "new.jsonl"
    old.write_text(json.dumps(record()) + "\n")
    new.write_text(json.dumps(record(1.5, {"torch": "2.13.0"})) + "\n")
    assert main(["compare", str(old), str(old)]) == 0
    assert main(["compare", str(old), str(new), "--json"]) == 1
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [(each["name"], each["old"], each["new"]) for each in told["environment"]] == [("torch", "2.11.0", "2.13.0")]
    assert [each["agrees"] for each in told["ratios"]] == [False]


def test_a_file_without_records_is_bad_usage(tmp_path, capsys):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    assert main(["compare", str(empty), str(empty)]) == 2
    assert "empty.jsonl: holds no record" in capsys.readouterr().err
    with pytest.raises(RecordError, match="cannot be read"):
        read_records(tmp_path / "missing.jsonl")
