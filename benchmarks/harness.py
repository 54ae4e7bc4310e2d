"""The same pair by three harnesses: `python -m benchmarks.harness [--repeats 20] [--device cpu] [--json]`.

The pair is known work (runners/bench/truths): the rung does a known multiple of the technique's work, so that the error of each harness
is known. Each repeats the measurement; told are the spread of the ratio, its error, and the wall time of one repetition, once as
the machine is and once beside a process that burns a core on and off. Then each cheat of the self-test's catalogue is handed to
torch.utils.benchmark, and it is told which of them got a time. triton.testing.do_bench times on a GPU alone. OMP_WAIT_POLICY is PASSIVE
for all, unless it is set.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.utils.benchmark

from runners.bench import truths
from runners.bench.cheats.catalogue import CHEATS
from runners.bench.results import RunRequest
from runners.bench.session import run_session
from runners.blocks.rand import Rand

RUNG = "half_more"
TRUTH = truths.KNOWN_RATIOS[RUNG]
SECONDS = 1.0  # that each harness may measure a pair for
BURNER = """
import random, time
chooser = random.Random(1)
while True:
    until = time.monotonic() + chooser.uniform(0.05, 0.5)
    while time.monotonic() < until: pass
    time.sleep(chooser.uniform(0.05, 0.5))
"""


@contextmanager
def burning(wanted: bool) -> Iterator[None]:
    """A process beside the measurement that takes a core on and off."""
    if not wanted:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", BURNER]) as burner:
        try:
            yield
        finally:
            burner.kill()


def loaded(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pair(device: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """Technique and rung of known work as calls on inputs of their own, as users of the public harnesses write them."""
    module = loaded(truths.FOLDER / "known_work.py")
    axes = {"rows": truths.LIGHT_ROWS[device], "dim": {"cpu": 256, "cuda": 4096}[device]}
    rand = Rand(1, dtype=getattr(torch, truths.DTYPES[device]), device=device)
    weights, inputs = module.weights(axes, rand), module.inputs(axes, rand)
    subjects = [module.SUBJECTS[name](axes, weights) for name in ("technique", RUNG)]
    return tuple(lambda subject=subject: subject(*inputs) for subject in subjects)


def by_torch_benchmark(device: str, repeats: int) -> Iterator[float]:
    calls = pair(device)
    for _ in range(repeats):
        timers = [
            torch.utils.benchmark.Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
            for call in calls
        ]
        technique, rung = (timer.blocked_autorange(min_run_time=SECONDS / 2).median for timer in timers)
        yield rung / technique


def by_do_bench(device: str, repeats: int) -> Iterator[float]:
    from triton.testing import do_bench

    calls = pair(device)
    for _ in range(repeats):
        technique, rung = (do_bench(call, rep=int(SECONDS * 500), return_mode="median") for call in calls)
        yield rung / technique


def by_ours(device: str, repeats: int) -> Iterator[float]:
    """Rounds in one session; the start of its process is spread over them in the wall time that is told."""
    with tempfile.TemporaryDirectory() as folder:
        truths.write_card(Path(folder), device, (RUNG,), repeats, heavy=False)
        request = RunRequest(
            truths.CARD_NAME, device=device, seed=random.randrange(2**31), card_root=Path(folder), time_cap_s=SECONDS
        )
        result = run_session(request, lambda event: None)
    if result.failure:
        raise RuntimeError(f"{result.failure.reason}: {result.failure.detail}")
    yield from (each.ratio for each in result.measurements if each.measure == "time" and each.baseline == RUNG)


HARNESSES = {
    "torch.utils.benchmark": by_torch_benchmark,
    "triton.testing.do_bench": by_do_bench,
    "runners.bench": by_ours,
}


def measured(name: str, device: str, repeats: int, loaded_core: bool) -> dict[str, object]:
    start = time.perf_counter()
    try:
        with burning(loaded_core):
            ratios = list(HARNESSES[name](device, repeats))
    except Exception as error:
        return {
            "harness": name,
            "beside": loaded_core,
            "problem": f"{type(error).__name__}: {error}".splitlines()[0][:90],
        }
    errors = [abs(ratio / TRUTH - 1) for ratio in ratios]
    return {
        "harness": name,
        "beside": loaded_core,
        "median": statistics.median(ratios),
        "spread": statistics.stdev(ratios) / statistics.mean(ratios),
        "error": statistics.median(errors),
        "worst": max(errors),
        "wall_s": (time.perf_counter() - start) / repeats,
        "load": os.getloadavg()[0],
    }


def times_given_to_cheats() -> dict[str, str]:
    """What torch.utils.benchmark says of each cheat's technique: a time, or the exception that it died of."""
    told = {}
    for cheat in CHEATS:
        if cheat.device != "cuda":
            with tempfile.TemporaryDirectory() as folder:
                told[cheat.name] = in_a_fork(cheat.write(Path(folder)))
    return told


def timed_alone(card: Path) -> str:
    module = loaded(card.with_suffix(".py"))
    axes = {"rows": 256, "cols": 512}
    rand = Rand(1, dtype=torch.float32, device="cpu")
    subject = module.SUBJECTS["technique"](axes, module.weights(axes, rand))
    inputs = module.inputs(axes, rand)
    timer = torch.utils.benchmark.Timer("subject(*inputs)", globals={"subject": subject, "inputs": inputs})
    return f"{timer.timeit(20).median * 1e6:.3g} µs"


def in_a_fork(card: Path) -> str:
    """A cheat may patch clocks and functions: that must not reach the benchmark itself."""
    answer = card.with_suffix(".told")
    if (pid := os.fork()) == 0:
        try:
            said = timed_alone(card)
        except BaseException as error:
            said = f"raises {type(error).__name__}"
        answer.write_text(said)
        os._exit(0)
    os.waitpid(pid, 0)
    return answer.read_text()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if "OMP_WAIT_POLICY" not in os.environ:
        # As in our child: threads that spin at a barrier would decide the figures on a busy machine, for every harness.
        again = [sys.executable, "-m", "benchmarks.harness", *sys.argv[1:]]
        return subprocess.call(again, env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE"})
    cheats = times_given_to_cheats() if options.device == "cpu" else {}  # before torch makes threads: forks lose them
    torch.set_num_threads(min(2, torch.get_num_threads()))
    rows = [measured(name, options.device, options.repeats, beside) for beside in (False, True) for name in HARNESSES]
    if options.json:
        print(json.dumps({"truth": TRUTH, "rows": rows, "cheats": cheats}))
        return 0
    print(f"truth {TRUTH:g}, {options.repeats} repetitions of {SECONDS:g} s on {options.device}")
    print("| harness | beside a burning core | ratio | spread | error, median | error, worst | wall time | load |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for row in rows:
        beside = "yes" if row["beside"] else "no"
        if "problem" in row:
            print(f"| {row['harness']} | {beside} | does not run here: {row['problem']} | | | | | |")
            continue
        figures = f"{row['median']:.3f} | {row['spread']:.1%} | {row['error']:.1%} | {row['worst']:.1%}"
        print(f"| {row['harness']} | {beside} | {figures} | {row['wall_s']:.1f} s | {row['load']:.1f} |")
    got = [name for name, said in cheats.items() if not said.startswith("raises")]
    print(
        f"\ntorch.utils.benchmark gave {len(got)} of {len(cheats)} cheats a time and no warning; ours: `runners.bench selftest`"
    )
    for name, said in cheats.items():
        print(f"  {name}: {said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
