"""The cheats: what each does, and by what it must be caught."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runners.bench.results import Failure, Mode

FOLDER = Path(__file__).resolve().parent
CARD_NAME = "suspect"
RIGHT = "return x @ self.scale"
RUNG = "return (x * self.scale).sum(-1)"
TIMED_ROWS = 256
# On a GPU a call must take much longer than its launch, or the parent's clock could not tell a lie from the launch.
TIMED_ROWS_ON_GPU = 2**18
IMPORT = "import torch\n"


@dataclass(frozen=True)
class Cheat:
    """A change to the honest module.

    It must end in a status that starts with `status` and a failure with `reason` (where given) and with `words` in it.
    One with `doubted` need not fail on a CPU, where load can look alike: there a recorded doubt with `words` is enough.
    """

    name: str
    body: str = RIGHT
    prelude: str = ""
    mode: Mode = "check"
    status: str = "INCORRECT_NUMERICAL"
    reason: str = "incorrect"
    words: str = ""
    rung: str = RUNG
    device: str = "any"
    needs_parent: bool = False
    doubted: bool = False

    def write(self, folder: Path, device: str = "cpu") -> Path:
        """Writes card and module into `folder`, with a timed workload of the device's size; gives the card's path."""
        module = (FOLDER / "suspect.py").read_text(encoding="utf-8")
        for line, changed in ((RIGHT, self.body), (RUNG, self.rung), (IMPORT, IMPORT + self.prelude + "\n")):
            if module.count(line) != 1:
                raise ValueError(f"suspect.py: holds {line!r} {module.count(line)} times; cheats replace it once")
            module = module.replace(line, changed.replace("\n", "\n        ") if line != IMPORT else changed)
        rows = TIMED_ROWS_ON_GPU if device == "cuda" else TIMED_ROWS
        module = module.replace("TIMED_ROWS", str(rows))
        card = folder / "suspect.toml"
        text = (FOLDER / "suspect.toml").read_text(encoding="utf-8")
        card.write_text(text.replace(f"rows = {TIMED_ROWS},", f"rows = {rows},"), encoding="utf-8")
        card.with_suffix(".py").write_text(module, encoding="utf-8")
        return card

    def is_caught_by(
        self, status: str, failure: Failure | None, device: str = "cpu", doubts: Sequence[str] = ()
    ) -> bool:
        """Whether this is the failure or the doubt that it must end in; by chance is not enough."""
        if self.doubted and device == "cpu" and failure is None:
            return any(self.words in doubt for doubt in doubts)
        return (
            failure is not None
            and status.startswith(self.status)
            and failure.reason == (self.reason or failure.reason)
            and self.words in failure.detail
        )


def _hack(name: str, words: str, **fields: str | bool) -> Cheat:
    return Cheat(name, words=words, status="REWARD_HACK", reason="integrity", **fields)  # type: ignore[arg-type]


def _parent(name: str, words: str, **fields: str | bool) -> Cheat:
    return replace(_hack(name, words, **fields), mode="run", needs_parent=True)


PIPES = """import os
def pipes():
    for fd in range(3, 64):
        try:
            if os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:"): yield fd
        except OSError:
            pass
"""

# The gradient stays right, so that the cached value alone can give it away.
CACHED = """fresh = x @ self.scale
kept = CACHE.setdefault({key}, fresh.detach())
return fresh + (kept - fresh.detach()) if kept.shape == fresh.shape else fresh"""

CHEATS: tuple[Cheat, ...] = (
    Cheat("output cached by shape", CACHED.format(key="tuple(x.shape)"), "CACHE = {}", words="result 0 has relative"),
    Cheat("output cached by pointer", CACHED.format(key="x.data_ptr()"), "CACHE = {}", words="result 0 has relative"),
    Cheat(
        "output cached by value",
        CACHED.format(key="(x.shape, round(x.flatten()[0].item()))"),
        "CACHE = {}",
        words="result 0 has relative",
    ),
    _hack(
        "input overwritten",
        "changed its input 0",
        body="out = x @ self.scale\nwith torch.no_grad():\n    x.zero_()\nreturn out",
    ),
    _hack(
        "weights overwritten",
        "changed the weight 'scale'",
        body="out = x @ self.scale.clone()\nself.scale.zero_()\nreturn out",
    ),
    Cheat("stale output buffer", "return torch.empty(x.shape[0], device=x.device) + 0 * x.sum()"),
    Cheat("constant output", "return (0 * x).sum(-1) + 1.5", words="relative error"),
    Cheat(
        "lower precision",
        "return (x.bfloat16() @ self.scale.bfloat16()).float()",
        words="at most 2 times",
    ),
    Cheat("lower precision returned", "return (x @ self.scale).bfloat16()", status="INCORRECT_DTYPE", words="bfloat16"),
    _hack(
        "precision switched for all",
        "matmul",
        body="torch.set_float32_matmul_precision('medium')\nreturn x @ self.scale",
    ),
    _hack(
        "threads taken from the baseline",
        "get_num_threads",
        body="torch.set_num_threads(torch.get_num_threads() + 1)\nreturn x @ self.scale",
    ),
    _hack(
        "clock patched at import",
        "time.perf_counter was replaced",
        prelude="import time\ntime.perf_counter = lambda: 0.0",
    ),
    _hack(
        "clock patched in a call",
        "time.perf_counter_ns was replaced",
        body="import time\ntime.perf_counter_ns = lambda: 0\nreturn x @ self.scale",
    ),
    _hack(
        "statistics patched",
        "statistics.median was replaced",
        prelude="import statistics\nstatistics.median = lambda samples: min(samples)",
    ),
    _hack(
        "harness patched",
        "within_factor was replaced",
        prelude="import runners.bench.child.compare as c\nc.within_factor = lambda *a: True",
    ),
    _hack(
        "harness method patched",
        "Checker._decide was replaced",
        prelude="from runners.bench.child.checks import Checker\nChecker._decide = lambda *a: ('PASSED', '')",
    ),
    _hack(
        "synchronise patched",
        "torch.cuda.synchronize was replaced",
        prelude="torch.cuda.synchronize = lambda *a: None",
    ),
    Cheat(
        "lazy tensor",
        "return (x @ self.scale).as_subclass(Lazy)",
        "class Lazy(torch.Tensor): pass",
        status="INCORRECT_DTYPE",
        words="Lazy",
    ),
    _hack(
        "thread left running",
        "a thread",
        body="import threading\nthreading.Thread(target=EVENT.wait, daemon=True).start()\nreturn x @ self.scale",
        prelude="import threading\nEVENT = threading.Event()",
    ),
    Cheat(
        "listed shape special-cased",
        "return x @ self.scale if tuple(x.shape) in ((5, 37), (TIMED_ROWS, 512)) else (0 * x).sum(-1)",
        words="odd-unlisted",
    ),
    Cheat(
        "wrong only at the timed size",
        "return x @ self.scale if len(x) < 100 else (0 * x).sum(-1)",
        mode="run",
        words="medium",
    ),
    _hack(
        "wrong once it was checked",
        "timed calls",
        body="self.calls = getattr(self, 'calls', 0) + 1\nreturn x @ self.scale if self.calls < 10 else x[:, 0] * 1",
        mode="run",
    ),
    Cheat("wrong gradient", "return x.detach() @ self.scale + 0 * x.sum(-1)", words="result 1"),
    Cheat("wrong shape", "return (x @ self.scale)[None]", status="INCORRECT_SHAPE", words="(1, 5)"),
    _parent(
        "a forged result on the pipe",
        "a line that the harness did not write",
        prelude=PIPES + 'FORGED = b\'{"type":"done"}\'\n'
        "for fd in pipes():\n    os.write(fd, FORGED + b' ' + b'0' * 64 + b'\\n')",
    ),
    _parent(
        "samples rewritten in memory",
        "by the parent's clock",
        body="shrink()\nreturn x @ self.scale",
        prelude="import sys\n"
        "def shrink():\n"
        "    frame = sys._getframe()\n"
        "    while frame := frame.f_back:\n"
        "        if hasattr(found := frame.f_locals.get('pairs'), 'technique_ms'):\n"
        "            found.technique_ms[:] = [1e-4] * len(found.technique_ms)",
    ),
    _parent(
        "baseline sleeps",
        "sleeps",
        rung="time.sleep(0.003)\nreturn (x * self.scale).sum(-1)",
        prelude="import time",
        doubted=True,
    ),
    _parent(
        "baseline waits busily",
        "in torch's operators",
        rung="until = time.perf_counter() + 0.001\n"
        "while time.perf_counter() < until: pass\n"
        "return (x * self.scale).sum(-1)",
        prelude="import time",
        device="cpu",
        doubted=True,
    ),
    _parent(
        "baseline slowed down beside the technique",
        "where the technique was never made",
        body="SLOW.append(1) if not SLOW else None\nreturn x @ self.scale",
        rung="for _ in range(40 * len(SLOW)):\n    (x * self.scale).sum(-1)\nreturn (x * self.scale).sum(-1)",
        prelude="SLOW = []",
        doubted=True,
    ),
    Cheat(
        "work on a side stream",
        "side = torch.cuda.Stream()\n"
        "side.wait_stream(torch.cuda.current_stream())\n"
        "with torch.cuda.stream(side):\n"
        "    torch.cuda._sleep(20_000_000)\n"
        "    out = x @ self.scale\n"
        "return out",
        mode="run",
        status="",
        reason="",
        device="cuda",
    ),
)
