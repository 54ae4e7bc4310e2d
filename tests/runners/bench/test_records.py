"""Records survive a trip through a file, and nonsense is refused with its line."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.bench.records import RecordError, read_records, record_problem, to_line, write_records

GOOD = {
    "schema": 1,
    "card": "plain-sum",
    "definition": {"name": "plain-sum"},
    "solution": {"name": "technique"},
    "workload": {"name": "medium", "axes": {"rows": 2}},
    "evaluation": {"status": "PASSED", "performance": {"latency_ms": 1.0}, "environment": {"device_kind": "cpu"}},
    "scope": "kernel",
    "baseline": "eager",
    "ratio": {"median": 2.0, "low": 1.9, "high": 2.1, "pairs": 2, "cap_reached": False},
    "band": 0.02,
    "memory": {},
    "error": {},
    "samples": {"technique_ms": [1.0, 1.1], "baseline_ms": [2.0, 2.2]},
    "claim": [{"claim_key": "twice", "outcome": "confirmed"}],
    "code_hash": "a" * 64,
    "card_hash": "b" * 64,
    "seed": 7,
    "harness_version": "1.0",
}


def changed(path, value):
    record = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    place = record
    for parent in parents:
        place = place[parent]
    place[last] = value
    return record


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("schema", 99, "schema"),
        ("card", None, "card"),
        ("code_hash", "abc", "code_hash"),
        ("evaluation.status", "FINE", "evaluation.status"),
        ("evaluation.status", "TIMEOUT", "evaluation.performance"),
        ("evaluation.environment", None, "evaluation.environment"),
        ("ratio.low", 2.5, "ratio"),
        ("ratio.median", -1, "ratio"),
        ("ratio.pairs", 3, "ratio.pairs"),
        ("samples.technique_ms", [1.0, 0.0], "samples.technique_ms"),
        ("samples.technique_ms", "many", "samples.technique_ms"),
        ("claim", [{"outcome": "great"}], "claim"),
        ("seed", "seven", "seed"),
    ],
)
def test_nonsense_is_refused_with_line_and_field(tmp_path, path, value, field):
    file = tmp_path / "results.jsonl"
    write_records(file, [GOOD, changed(path, value)])
    with pytest.raises(RecordError, match=rf"line 2: {field}: "):
        read_records(file)


@pytest.mark.parametrize("line", ["{", "[1]", '{"schema": NaN}', "null"])
def test_what_is_no_record_is_refused(tmp_path, line):
    file = tmp_path / "results.jsonl"
    file.write_text(to_line(GOOD) + "\n\n" + line + "\n")
    with pytest.raises(RecordError, match="line 3"):
        read_records(file)


def test_writing_appends(tmp_path):
    file = tmp_path / "results.jsonl"
    write_records(file, [GOOD])
    write_records(file, [GOOD])
    assert read_records(file) == [GOOD, GOOD]


def test_a_number_that_is_not_finite_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_records(tmp_path / "results.jsonl", [changed("band", float("nan"))])


times = st.floats(1e-6, 1e6)


@given(pairs=st.lists(st.tuples(times, times), min_size=1, max_size=20), log=st.text(), seed=st.integers(0, 2**31))
def test_records_survive_the_file(tmp_path_factory, pairs, log, seed):
    record = changed("samples", {"technique_ms": [a for a, _ in pairs], "baseline_ms": [b for _, b in pairs]})
    record["ratio"]["pairs"] = len(pairs)
    record["evaluation"]["log"] = log
    record["seed"] = seed
    assert record_problem(record) == ""
    file = tmp_path_factory.mktemp("records") / "results.jsonl"
    write_records(file, [record])
    assert read_records(file) == [record]
