"""Sessions with real child processes: what the caller sees when a child behaves, dies, hangs or is stopped."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from runners.bench.process import Child, clean_environment
from runners.bench.records import record_problem
from runners.bench.results import RunRequest
from runners.bench.session import run_session
from runners.cards import CardError

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
ROOT = FIXTURES.parents[1]
CARDS = FIXTURES / "cards"
CARD = (CARDS / "sample/plain_sum.toml").read_text()
MODULE = (CARDS / "sample/plain_sum.py").read_text()

PROBE = """
import os, socket, json
def reach():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        try:
            out.connect(("192.0.2.1", 9))
        except OSError as error:
            return str(error)
    return "reachable"
print("PROBE" + json.dumps({"environment": sorted(os.environ), "home": os.environ["HOME"], "network": reach(),
    "values": " ".join(os.environ.values()), "group": os.getpgrp() == os.getpid()}))
"""


def card_with(folder, prelude="", card=CARD):
    (folder / "plain_sum.toml").write_text(card)
    (folder / "plain_sum.py").write_text(MODULE + prelude)
    return folder


def session(root, events=None, should_stop=lambda: False, **fields):
    seen = [] if events is None else events
    request = RunRequest("plain-sum", card_root=root, **{"mode": "check", "seed": 3, **fields})
    return run_session(request, seen.append, should_stop)


def processes_of(session_id):
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session_id and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.fixture(scope="module")
def good_run(tmp_path_factory):
    """One whole run whose module also looks around."""
    events = []
    with pytest.MonkeyPatch.context() as patch:
        # A lock of its own: another run on this machine must not hold this one up.
        patch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("lock")))
        patch.setenv("SECRET_KEY", "open-sesame")
        patch.setenv("DATABASE_URL", "postgres://user:open-sesame@db/x")
        root = card_with(tmp_path_factory.mktemp("good"), PROBE)
        result = session(root, events, mode="run", time_cap_s=0.3)
    return result, events


@pytest.fixture(scope="module")
def probe(good_run):
    line = next(line for line in good_run[0].log_tail.splitlines() if line.startswith("PROBE"))
    return json.loads(line.removeprefix("PROBE"))


def test_a_good_run_has_ratios_against_each_rung(good_run):
    result, _ = good_run
    assert (result.status, result.failure) == ("PASSED", None)
    times = {each.baseline: each for each in result.measurements if each.measure == "time" and each.baseline}
    assert set(times) == {"eager", "twice"}
    for each in times.values():
        assert each.ratio_low <= each.ratio <= each.ratio_high
        assert each.pairs == len(each.samples) >= 4
        assert each.band > 0


def test_counted_figures_are_exact(good_run):
    counted = {each.baseline: each for each in good_run[0].measurements if each.measure == "parameters"}
    assert counted["twice"].ratio == counted["twice"].ratio_low == 2.0


def test_a_cpu_run_gives_no_verdict_but_shows_its_ratio(good_run):
    (judgement,) = good_run[0].judgements
    assert judgement.outcome == "not-comparable"
    assert judgement.ratio is not None
    assert "no GPU" in judgement.reason


def test_gpu_workloads_are_listed_as_skipped(good_run):
    assert ("large", "this workload is for a GPU, and there is none") in [
        (each["workload"], each["reason"]) for each in good_run[0].skipped
    ]


def test_records_of_a_run_are_valid_and_name_their_origin(good_run):
    records = good_run[0].records
    assert [record_problem(record) for record in records] == [""] * len(records)
    assert {record["seed"] for record in records} == {3}
    assert any(record["ratio"] and record["samples"]["baseline_ms"] for record in records)


def test_events_tell_the_phases_and_tick(good_run):
    _, events = good_run
    phases = [event.phase for event in events if event.kind == "phase"]
    assert [phase for phase in phases if phase in ("check", "time")][:2] == ["check", "time"]
    assert any(event.kind == "tick" for event in events)
    assert all(0 <= event.fraction <= 1 for event in events)


def test_the_child_sees_no_secret(probe):
    assert "SECRET_KEY" not in probe["environment"]
    assert "DATABASE_URL" not in probe["environment"]
    assert "open-sesame" not in probe["values"]


def test_the_child_has_its_own_home_and_process_group(probe):
    assert probe["home"] != os.environ.get("HOME")
    assert not Path(probe["home"]).exists()
    assert probe["group"]


def test_the_child_has_no_network(good_run, probe):
    if good_run[0].environment["network"] != "taken away":
        pytest.skip(f"this kernel leaves the network: {good_run[0].environment['network']}")
    assert probe["network"] != "reachable"


def test_a_killed_child_is_a_crash_with_its_log(tmp_path):
    killer = "\nimport os, signal\nprint('last words', flush=True)\nos.kill(os.getpid(), signal.SIGKILL)\n"
    result = session(card_with(tmp_path, killer))
    assert (result.status, result.failure.reason) == ("RUNTIME_ERROR", "crashed")
    assert "signal 9" in result.failure.detail
    assert "last words" in result.log_tail
    assert record_problem(result.records[-1]) == ""


def test_an_exception_is_a_crash_that_names_it(tmp_path):
    result = session(card_with(tmp_path, "\nraise LookupError('no such thing')\n"))
    assert result.failure.reason == "crashed"
    assert "LookupError: no such thing" in result.failure.detail


def test_a_child_over_its_wall_limit_times_out(tmp_path):
    started = time.monotonic()
    result = session(card_with(tmp_path, "\nimport time\ntime.sleep(600)\n"), wall_limit_s=1.0)
    assert (result.status, result.failure.reason) == ("TIMEOUT", "timed-out")
    assert time.monotonic() - started < 60


def test_a_child_over_its_memory_limit_is_ended(tmp_path):
    hog = "\nheld = torch.ones(2**30)\nimport time\ntime.sleep(600)\n"
    result = session(card_with(tmp_path, hog), memory_limit_gib=1.5, wall_limit_s=120)
    assert (result.status, result.failure.reason) == ("OUT_OF_MEMORY", "out-of-memory")


def test_cancelling_ends_the_whole_process_group(tmp_path, monkeypatch):
    started = []
    original = Child.__init__

    def remember(self, *arguments, **fields):
        original(self, *arguments, **fields)
        started.append(self.pid)

    monkeypatch.setattr(Child, "__init__", remember)
    result = session(card_with(tmp_path), should_stop=lambda: bool(started))
    assert result.failure.reason == "cancelled"
    assert processes_of(started[0]) == []


def test_an_interrupted_caller_leaves_no_child(tmp_path, monkeypatch):
    started = []
    original = Child.__init__

    def remember(self, *arguments, **fields):
        original(self, *arguments, **fields)
        started.append(self.pid)

    def interrupt(event):
        if event.kind == "tick":
            raise KeyboardInterrupt

    monkeypatch.setattr(Child, "__init__", remember)
    with pytest.raises(KeyboardInterrupt):
        run_session(RunRequest("plain-sum", card_root=card_with(tmp_path), mode="check"), interrupt, lambda: False)
    assert processes_of(started[0]) == []


def test_nonsense_on_the_private_pipe_is_an_integrity_failure(tmp_path):
    forger = """
import os, json
for fd in range(3, 40):
    try:
        if os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:"):
            os.write(fd, b'{"type":"pairs","workload":"medium","baseline":"eager","technique_ms":[-1]}\\n')
    except OSError:
        pass
"""
    result = session(card_with(tmp_path, forger))
    assert (result.status, result.failure.reason) == ("REWARD_HACK", "integrity")


def test_cuda_without_a_gpu_is_unsupported(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    result = session(card_with(tmp_path), device="cuda")
    assert (result.status, result.failure.reason) == ("UNSUPPORTED", "unsupported")


def test_an_unknown_device_is_refused_without_a_child(tmp_path):
    assert session(card_with(tmp_path), device="abacus").failure.reason == "refused-device"


def test_an_unknown_card_suggests_a_close_one():
    with pytest.raises(CardError, match="did you mean plain-sum"):
        run_session(RunRequest("plain-sun", card_root=CARDS), lambda event: None, lambda: False)


def test_the_clean_environment_is_an_allow_list(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    assert "AWS_SECRET_ACCESS_KEY" not in clean_environment(tmp_path, "cpu", 7)


BARE = """
import sys
sys.modules["django"] = None  # importing it would raise
import runners.bench.__main__ as command, runners.bench.session
assert command.main(["list", "--cards", sys.argv[1]]) == 0
assert "torch" not in sys.modules
assert command.main(["check", "plain-sum", "--cards", sys.argv[1], "--json", "--seed", "5"]) == 0
"""


def test_a_bare_copy_of_runners_works_without_django(tmp_path):
    import shutil

    shutil.copytree(ROOT / "runners", tmp_path / "runners", ignore=shutil.ignore_patterns("__pycache__"))
    environment = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", BARE, str(CARDS)],
        cwd=tmp_path, env=environment | {"PYTHONPATH": ""}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["status"], result["seed"]) == ("PASSED", 5)


def test_a_rung_that_computes_something_else_is_timed_but_not_held_to_the_answer(tmp_path):
    other = """
class Other(Eager):
    def __call__(self, x):
        return x.cos().sum()

class Broken(Eager):
    def __call__(self, x):
        return x.sum(-1) / 0

SUBJECTS["other"] = lambda axes, weights: Other(weights)
SUBJECTS["broken"] = lambda axes, weights: Broken(weights)
"""
    rungs = "".join(
        f'[[baselines]]\nname = "{name}"\nlabel = "Another function"\nrole = "library"\nsame_function = false\n\n'
        for name in ("other", "broken")
    )
    card = CARD.replace("[[workloads]]", rungs + "[[workloads]]", 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path))
        result = session(card_with(tmp_path, other, card), mode="run", time_cap_s=0.5, workloads=("medium",))
    assert result.status == "PASSED", result.failure
    assert {each.baseline for each in result.measurements if each.measure == "time"} >= {"eager", "twice", "other"}
    assert {each["subject"]: each["reason"] for each in result.skipped}["broken"].endswith("its outputs are not finite")
