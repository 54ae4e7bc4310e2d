"""Each way to look faster or righter than one is must be caught, by name."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures"
ROOT = FIXTURES.parents[1]
CARD = (FIXTURES / "cards/sample/plain_sum.toml").read_text()
MODULE = (FIXTURES / "cards/sample/plain_sum.py").read_text()

RIGHT = "return x @ self.scale"
# name: (body of the technique's __call__, code run at import, mode, status, reason, words of the detail)
CHEATS = {
    "none": (RIGHT, "", "run", "", "", ""),
    "output cached by shape": (
        "return CACHE.setdefault(tuple(x.shape), x @ self.scale)", "CACHE = {}", "check",
        "INCORRECT_NUMERICAL", "incorrect", "relative error",
    ),
    "output cached by pointer": (
        "return CACHE.setdefault(x.data_ptr() % 4096 * 0, x @ self.scale)", "CACHE = {}", "check",
        "INCORRECT", "incorrect", "",
    ),
    "input overwritten": (
        "out = x @ self.scale\n        with torch.no_grad():\n            x.zero_()\n        return out", "", "check",
        "REWARD_HACK", "integrity", "changed its input 0",
    ),
    "weights overwritten": (
        "out = x @ self.scale.clone()\n        self.scale.zero_()\n        return out", "", "check",
        "REWARD_HACK", "integrity", "changed the weight 'scale'",
    ),
    "stale output buffer": (
        "return torch.empty(x.shape[0]) + 0 * x.sum()", "", "check", "INCORRECT_NUMERICAL", "incorrect", "",
    ),
    "constant output": (
        "return (0 * x).sum(-1) + 1.5", "", "check", "INCORRECT_NUMERICAL", "incorrect", "relative error",
    ),
    "lower precision": (
        "return (x.bfloat16() @ self.scale.bfloat16()).float()", "", "check",
        "INCORRECT_NUMERICAL", "incorrect", "at most 2 times",
    ),
    "lower precision returned": (
        "return (x @ self.scale).bfloat16()", "", "check", "INCORRECT_DTYPE", "incorrect", "bfloat16",
    ),
    "precision switched for all": (
        "torch.set_float32_matmul_precision('medium')\n        return x @ self.scale", "", "check",
        "REWARD_HACK", "integrity", "matmul",
    ),
    "threads taken from the baseline": (
        "torch.set_num_threads(1)\n        return x @ self.scale", "", "check",
        "REWARD_HACK", "integrity", "get_num_threads",
    ),
    "clock patched at import": (
        RIGHT, "import time\ntime.perf_counter = lambda: 0.0", "check",
        "REWARD_HACK", "integrity", "time.perf_counter was replaced",
    ),
    "clock patched in a call": (
        "import time\n        time.perf_counter_ns = lambda: 0\n        return x @ self.scale", "", "check",
        "REWARD_HACK", "integrity", "time.perf_counter_ns was replaced",
    ),
    "harness patched": (
        RIGHT, "import runners.bench.child.compare as c\nc.within_factor = lambda *a: True", "check",
        "REWARD_HACK", "integrity", "within_factor was replaced",
    ),
    "harness method patched": (
        RIGHT, "from runners.bench.child.checks import Checker\nChecker._decide = lambda *a: ('PASSED', '')", "check",
        "REWARD_HACK", "integrity", "Checker._decide was replaced",
    ),
    "synchronise patched": (
        RIGHT, "torch.cuda.synchronize = lambda *a: None", "check",
        "REWARD_HACK", "integrity", "torch.cuda.synchronize was replaced",
    ),
    "lazy tensor": (
        "return (x @ self.scale).as_subclass(Lazy)", "class Lazy(torch.Tensor): pass", "check",
        "INCORRECT_DTYPE", "incorrect", "Lazy",
    ),
    "thread left running": (
        "import threading\n        threading.Thread(target=EVENT.wait, daemon=True).start()\n        return x @ self.scale",
        "import threading\nEVENT = threading.Event()", "check", "REWARD_HACK", "integrity", "a thread",
    ),
    "listed shape special-cased": (
        "return x @ self.scale if tuple(x.shape) in ((5, 37), (256, 512)) else (0 * x).sum(-1)", "", "check",
        "INCORRECT_NUMERICAL", "incorrect", "odd-unlisted",
    ),
    "wrong only at the timed size": (
        "return x @ self.scale if len(x) < 100 else (0 * x).sum(-1)", "", "run",
        "INCORRECT_NUMERICAL", "incorrect", "medium",
    ),
    "wrong once it was checked": (
        "self.calls = getattr(self, 'calls', 0) + 1\n        return x @ self.scale if self.calls < 10 else x[:, 0] * 1",
        "", "run", "REWARD_HACK", "integrity", "timed calls",
    ),
    "wrong gradient": (
        "return x.detach() @ self.scale + 0 * x.sum(-1)", "", "check",
        "INCORRECT_NUMERICAL", "incorrect", "result 1",
    ),
    "wrong shape": ("return (x @ self.scale)[None]", "", "check", "INCORRECT_SHAPE", "incorrect", "(1, 5)"),
}  # fmt: skip


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """The last message of each cheat's run."""
    specs = []
    for index, (body, prelude, mode, *_) in enumerate(CHEATS.values()):
        folder = tmp_path_factory.mktemp(f"cheat{index}")
        card = folder / "plain_sum.toml"
        card.write_text(CARD)
        module = MODULE.replace(RIGHT, body, 1).replace("import torch\n", f"import torch\n{prelude}\n", 1)
        card.with_suffix(".py").write_text(module)
        specs.append(spec(card, mode))
    loose = tmp_path_factory.mktemp("loose") / "plain_sum.toml"
    loose.write_text(
        CARD.replace('"exact"', '"approximate"').replace("gradients = [0]", 'quality = "relative_l2"\nbudget = 3.0')
    )
    loose.with_suffix(".py").write_text(MODULE)
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
    return dict(zip([*CHEATS, "loose budget"], json.loads(done.stdout), strict=True))


def spec(card, mode):
    return {
        "card_path": str(card), "device": "cpu", "mode": mode, "seed": 7, "time_cap_s": 0.3, "timing_budget_s": 5,
        "workloads": [], "memory_limit_bytes": None, "compile_on_cpu": False,
    }  # fmt: skip


def test_the_honest_technique_passes(outcomes):
    kinds = [message["type"] for message in outcomes["none"]]
    assert kinds[-1] == "done"
    assert kinds.count("pairs") == 2


@pytest.mark.parametrize("name", [name for name in CHEATS if name != "none"])
def test_cheat_is_caught(outcomes, name):
    *_, status, reason, words = CHEATS[name]
    last = outcomes[name][-1]
    assert last["type"] == "failure", f"{name} was not caught"
    assert last["status"].startswith(status)
    assert last["reason"] == reason
    assert words in last["detail"]


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
