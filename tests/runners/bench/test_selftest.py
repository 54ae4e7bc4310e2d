"""The self-test finds cheats out, and fails when the harness does not."""

import json
import tempfile
from dataclasses import replace

import pytest

from runners.bench import selftest, session, truths
from runners.bench.__main__ import main
from runners.bench.cheats.catalogue import CHEATS, Cheat
from runners.bench.results import Failure
from runners.bench.selftest import (
    CheatOutcome,
    SameOutcome,
    SelfTest,
    ShareOutcome,
    chance_of_as_many,
    overhead,
    summary,
    try_cheats,
)
from runners.bench.trust import rungs_to_time_alone
from runners.cards import load_card

PARENTS = [cheat for cheat in CHEATS if cheat.needs_parent]
UNCAUGHT = Cheat("honest, but listed as a cheat")


def only_of_cheats(findings, compiled):
    """A second process for the known truths would find nothing and take a while."""
    return {
        workload: rungs
        for workload, rungs in rungs_to_time_alone(findings, compiled).items()
        if not workload.startswith("round-")
    }


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A self-test with the cheats that only a whole session finds, and one that nobody can."""
    folder = tmp_path_factory.mktemp("selftest")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))  # a device lock of its own
        patch.setattr(selftest, "CHEATS", (UNCAUGHT, *PARENTS))
        patch.setattr(selftest, "ROUNDS", {"quick": 2, "full": 2})
        patch.setattr(selftest, "SHARE_CAP_S", 0.2)
        patch.setattr(selftest, "CHEAT_CAP_S", 0.1)
        patch.setattr(truths, "HEAVY", 1)
        patch.setattr(session, "OPINIONS", 1)
        patch.setattr(session, "rungs_to_time_alone", only_of_cheats)
        code = main(["selftest", "--quick", "--out", str(folder / "selftest.jsonl")])
    (line,) = (folder / "selftest.jsonl").read_text().splitlines()
    return code, json.loads(line)


@pytest.mark.parametrize("cheat", PARENTS, ids=lambda cheat: cheat.name)
def test_a_cheat_is_caught_by_the_parent(report, cheat, tmp_path, monkeypatch):
    found = {each["name"]: each for each in report[1]["cheats"]}[cheat.name]
    if not found["caught"]:
        # On a CPU other programs can slow the baseline down as much as the lie is large; not twice in a row.
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        outcomes: list[CheatOutcome] = []
        try_cheats([cheat], "cpu", lambda event: None, outcomes)
        assert outcomes[0].caught, (found, outcomes)


def test_an_uncaught_cheat_fails_the_self_test(report):
    code, found = report
    assert code == 1
    assert found["passed"] is False
    uncaught = {each["name"] for each in found["cheats"] if not each["caught"]}
    assert UNCAUGHT.name in uncaught
    assert uncaught <= {UNCAUGHT.name, *(cheat.name for cheat in PARENTS)}


def test_the_record_holds_truths_overhead_and_ceilings(report):
    found = report[1]
    assert found["same"]["rounds"] == 2
    assert {each["rung"] for each in found["shares"]} == set(truths.KNOWN_RATIOS)
    assert all(0 < each["share"] < 1 for each in found["overheads"])
    ceilings = {each["name"]: each["value"] for each in found["ceilings"]}
    assert {"matrix product, float32", "copy", "call, alone"} <= set(ceilings)
    assert found["environment"]["device_kind"] == "cpu"


def test_without_the_device_there_is_no_self_test(monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert main(["selftest", "--quick", "--device", "cuda"]) == 3
    assert "no CUDA device" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("alarms", "rounds", "passed"), [(0, 20, True), (3, 20, True), (6, 20, False), (5, 100, True), (13, 100, False)]
)
def test_false_alarms_may_come_as_often_as_promised(alarms, rounds, passed):
    assert SameOutcome(rounds, rounds - alarms, alarms, 0, []).passed is passed


@pytest.mark.parametrize(
    ("ratio", "low", "high", "passed"),
    [(2.01, 1.99, 2.03, True), (2.05, 2.04, 2.06, True), (2.2, 2.1, 2.3, False), (1.8, 1.7, 1.9, False)],
)
def test_a_known_ratio_must_be_found_within_the_tolerance(ratio, low, high, passed):
    assert ShareOutcome("double", 2.0, ratio, low, high).passed is passed


def test_missing_truths_do_not_pass():
    found = SelfTest("cpu", quick=True, same=SameOutcome(0, 0, 0, 0, [], "crashed: no reason"))
    assert not found.passed
    assert "no reason" in summary(found)


def test_chances_add_up():
    assert chance_of_as_many(0, 10, 0.05) == pytest.approx(1)
    assert chance_of_as_many(10, 10, 0.5) == pytest.approx(0.5**10)


def test_overhead_is_what_no_part_accounts_for():
    assert overhead({"check": 2.0, "timing": 7.0, "all": 10.0})["share"] == pytest.approx(0.1)


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_cards_with_known_work_are_valid(tmp_path, device):
    card = load_card(truths.write_card(tmp_path, device, ("same", *truths.KNOWN_RATIOS), 3, heavy=True))
    assert [rung.name for rung in card.baselines] == ["same", *truths.KNOWN_RATIOS]
    assert len([workload for workload in card.workloads if workload.is_timed]) == 3


def test_a_cheat_caught_for_another_reason_is_not_caught():
    cheat = next(cheat for cheat in CHEATS if cheat.name == "clock patched at import")
    right = Failure("integrity", "time.perf_counter was replaced when the module was imported")
    assert cheat.is_caught_by("REWARD_HACK", right)
    assert not cheat.is_caught_by("REWARD_HACK", replace(right, reason="crashed"))
    assert not cheat.is_caught_by("REWARD_HACK", replace(right, detail="a thread was left running"))
    assert not cheat.is_caught_by("PASSED", None)


def test_a_doubt_is_enough_where_load_looks_alike_and_on_a_cpu_alone():
    cheat = next(cheat for cheat in CHEATS if cheat.name == "baseline sleeps")
    doubt = "the rung 'eager' sleeps: it was at work in 4% of its time"
    assert cheat.is_caught_by("PASSED", None, "cpu", [doubt])
    assert not cheat.is_caught_by("PASSED", None, "cpu", ["something else"])
    assert not cheat.is_caught_by("PASSED", None, "cuda", [doubt])
    assert cheat.is_caught_by("REWARD_HACK", Failure("integrity", doubt), "cuda")


def test_a_cheat_that_no_longer_fits_the_module_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("runners.bench.cheats.catalogue.RIGHT", "return x @ self.gone")
    with pytest.raises(ValueError, match=r"suspect\.py: holds"):
        UNCAUGHT.write(tmp_path)
