"""A recorded run can be run again, and it is told whether the same comes out."""

import json
import shutil
import tempfile
from pathlib import Path

import pytest

from runners.bench.__main__ import main
from runners.bench.records import RecordError, to_line
from runners.bench.replay import agree, read_sessions
from runners.bench.statistics import Interval

CARDS = Path(__file__).resolve().parents[2] / "fixtures/cards"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Cards, and the records of one run of them."""
    folder = tmp_path_factory.mktemp("recorded")
    shutil.copytree(CARDS, folder / "cards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))  # a device lock of its own
        command = ["run", "plain-sum", "--cards", str(folder / "cards"), "--time-cap", "0.1", "--seed", "3"]
        assert main([*command, "--out", str(folder / "run.jsonl")]) == 0
    return folder / "cards", [json.loads(line) for line in (folder / "run.jsonl").read_text().splitlines()]


@pytest.fixture
def replayed(recorded, tmp_path, capsys, monkeypatch):
    """Replays altered records against an altered module; gives exit status, report and new records."""
    cards, records = recorded
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def run(alter=lambda record: None, module=lambda text: text):
        shutil.copytree(cards, tmp_path / "cards")
        path = tmp_path / "cards/sample/plain_sum.py"
        path.write_text(module(path.read_text()))
        changed = json.loads(json.dumps(records))
        for record in changed:
            alter(record)
        file = tmp_path / "old.jsonl"
        file.write_text("".join(to_line(record) + "\n" for record in changed))
        capsys.readouterr()
        out = tmp_path / "new.jsonl"
        code = main(["replay", str(file), "--cards", str(tmp_path / "cards"), "--json", "--out", str(out)])
        return code, json.loads(capsys.readouterr().out), read_sessions(out, cards)

    return run


def test_the_same_session_runs_again(replayed):
    _, report, again = replayed()
    assert (report["mode"], report["seed"], report["same_card"], report["same_code"]) == ("run", 3, True, True)
    assert {(each["workload"], each["baseline"]) for each in report["comparisons"]} == {
        ("medium", "eager"),
        ("medium", "twice"),
    }
    assert all(each["new"]["low"] <= each["new"]["high"] for each in report["comparisons"])
    assert (again[0].request.seed, again[0].request.time_cap_s) == (3, 0.1)


def test_another_ratio_and_another_version_are_told(replayed):
    def grow(record):
        if record["ratio"]:
            record["ratio"] |= {key: 50 * record["ratio"][key] for key in ("median", "low", "high")}
            record["band"] = 0.1
        del record["request"]  # as records were before they told what was asked for
        record["card_hash"] = "0" * 64

    code, report, _ = replayed(grow, lambda text: text + "\n# another version\n")
    assert code == 1
    assert (report["agrees"], report["same_card"], report["same_code"], report["mode"]) == (False, False, False, "run")


def test_a_technique_that_is_wrong_now_does_not_agree(replayed):
    code, report, _ = replayed(
        module=lambda text: text.replace("return x @ self.scale", "return x @ self.scale + 1", 1)
    )
    assert code == 1
    assert (report["old_status"], report["new_status"]) == ("PASSED", "INCORRECT_NUMERICAL")
    assert all("relative error" in each["problem"] for each in report["comparisons"])


def test_without_the_device_the_replay_is_unsupported(replayed, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    code, report, _ = replayed(lambda record: record["request"].update(device="cuda"))
    assert code == 3
    assert report["failure"]["reason"] == "unsupported"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("request", {"mode": "guess", "device": "cpu", "workloads": []}, "line 1: request.mode: 'guess'"),
        ("request", {"mode": "run", "device": "abacus", "workloads": []}, "line 1: request.device"),
        ("request", {"mode": "run", "device": "cpu", "workloads": "all"}, "line 1: request.workloads"),
        ("request", {"mode": "run", "device": "cpu", "workloads": [], "time_cap_s": -1}, "line 1: request.time_cap_s"),
        ("card", "plain-sun", "line 1: .*did you mean plain-sum"),
        ("seed", None, "line 1: seed: is missing"),
    ],
)
def test_what_cannot_be_replayed_names_its_line(recorded, tmp_path, field, value, words):
    file = tmp_path / "old.jsonl"
    file.write_text(to_line(recorded[1][0] | {field: value}) + "\n")
    with pytest.raises(ValueError, match=words):
        read_sessions(file, recorded[0])


@pytest.mark.parametrize("content", [None, ""])
def test_no_records_are_bad_usage(tmp_path, capsys, content):
    file = tmp_path / "none.jsonl"
    if content is not None:
        file.write_text(content)
    assert main(["replay", str(file)]) == 2
    assert "none.jsonl" in capsys.readouterr().err
    with pytest.raises(RecordError):
        read_sessions(file)


@pytest.mark.parametrize(
    ("old", "new", "band", "agrees"),
    [
        ((1.9, 2.1), (2.0, 2.2), 0.0, True),
        ((1.9, 2.0), (2.01, 2.1), 0.0, False),
        ((1.9, 2.0), (2.01, 2.1), 0.02, True),
        ((2.01, 2.1), (1.9, 2.0), 0.02, True),
        ((0.5, 0.6), (2.0, 2.1), 0.3, False),
    ],
)
def test_intervals_agree_within_the_noise_between_equal_subjects(old, new, band, agrees):
    first, second = (Interval(sum(ends) / 2, *ends) for ends in (old, new))
    assert agree(first, second, band) is agrees
