"""Entry of the child: reads the specification from standard input, gives up what it must, imports torch, and
runs the card once it is told to begin."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys

from runners.bench.child.channel import Channel
from runners.bench.child.isolation import give_up


def main() -> int:
    fd = os.environ.pop("SPEEDPROOF_MESSAGE_FD", "")
    if not fd:
        sys.stderr.write("this is the harness's child process; use `python -m runners.bench run NAME`\n")
        return 2
    spec = json.loads(sys.stdin.readline())
    channel = Channel(int(fd), bytes.fromhex(spec.pop("key")))
    isolation = give_up(spec)
    channel.phase("start", 0.0, "importing torch")
    try:
        import torch  # noqa: F401
    except ImportError as error:
        channel.send("failure", status="UNSUPPORTED", reason="unsupported", detail=f"torch cannot be imported: {error}")
        return 0
    if spec["device"] == "cuda" and spec["mode"] in ("run", "sweep"):
        with contextlib.suppress(ImportError):  # seconds that compiled rungs would take while the device is ours
            importlib.import_module("torch._inductor.compile_fx")
    from runners.bench.child.main import run

    begun = sys.stdin.readline()
    if not begun:
        return 0  # the parent is gone or wants no more
    spec |= json.loads(begun)
    if spec["mode"] == "ceilings":
        from runners.bench.child.ceilings import run_ceilings

        run_ceilings(spec, channel, isolation)
        return 0
    run(spec, channel, isolation)
    return 0


if __name__ == "__main__":
    code = main()
    # All has been sent: tearing torch and its device down in good order would only cost time.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
