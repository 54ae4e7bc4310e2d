"""Each way to look faster or righter than one is must be caught, by name."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runners.bench.cheats.catalogue import CHEATS, Cheat
from runners.bench.results import Failure

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
ROOT = FIXTURES.parents[1]
HONEST = Cheat("none", mode="run")
# Those that only the parent can catch need a whole session: see test_selftest.py.
FORKED = [cheat for cheat in CHEATS if cheat.device == "any" and not cheat.needs_parent]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """The messages of each cheat's run."""
    specs = []
    for index, cheat in enumerate([HONEST, *FORKED]):
        folder = tmp_path_factory.mktemp(f"cheat{index}")
        specs.append(spec(cheat.write(folder), cheat.mode))
    loose = HONEST.write(tmp_path_factory.mktemp("loose"))
    card = loose.read_text().replace('"exact"', '"approximate"')
    loose.write_text(card.replace("gradients = [0]", 'quality = "relative_l2"\nbudget = 3.0'))
    specs.append(spec(loose, "check"))
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "2",
        "OMP_WAIT_POLICY": "PASSIVE",
        "TRITON_INTERPRET": "1",
    }
    done = subprocess.run(
        [sys.executable, FIXTURES / "bench/run_forked.py"],
        input=json.dumps(specs), capture_output=True, text=True, env=environment, timeout=170, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    names = [HONEST.name, *(cheat.name for cheat in FORKED), "loose budget"]
    return dict(zip(names, json.loads(done.stdout), strict=True))


def spec(card, mode):
    return {
        "card_path": str(card), "device": "cpu", "mode": mode, "seed": 7, "time_cap_s": 0.3, "timing_budget_s": 5,
        "workloads": [], "memory_limit_bytes": None, "compile_on_cpu": False,
    }  # fmt: skip


def test_the_honest_technique_passes(outcomes):
    kinds = [message["type"] for message in outcomes["none"]]
    assert kinds[-1] == "done"
    assert kinds.count("pairs") == 2


@pytest.mark.parametrize("cheat", FORKED, ids=lambda cheat: cheat.name)
def test_cheat_is_caught(outcomes, cheat):
    last = outcomes[cheat.name][-1]
    assert last["type"] == "failure", f"{cheat.name} was not caught"
    assert cheat.is_caught_by(last["status"], Failure(last["reason"], last["detail"])), last


def test_no_time_is_reported_for_a_cheat(outcomes):
    timed = [
        name
        for name, messages in outcomes.items()
        if name != "none" and any(message["type"] == "pairs" for message in messages)
    ]
    assert timed == []


def test_a_budget_that_accepts_zero_refuses_the_card(outcomes):
    last = outcomes["loose budget"][-1]
    assert last["status"] == "INVALID_REFERENCE"
    assert "all-zero" in last["detail"]
