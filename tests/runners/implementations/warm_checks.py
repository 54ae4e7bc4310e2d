"""Checks the cards named, each in a process of its own, forked from this one that has imported torch already.

A check of a card takes a fraction of the time that importing torch takes; sixty of them as for a user, from nothing,
would spend minutes on imports. Prints a line of JSON for each card as it ends.
"""

import json
import os
import secrets
import sys
import time
from typing import Any

import torch  # noqa: F401

from runners.bench.child.channel import Channel
from runners.bench.child.isolation import give_up
from runners.bench.child.main import run
from runners.bench.collect import Findings
from runners.bench.process import confinement
from runners.bench.seal import KEY_BYTES, make_seal, opened
from runners.cards import find_card

SEED = 11


def checked(name: str) -> dict[str, Any]:
    """What the harness's parent would have heard, and how the process ended."""
    key, (read_fd, write_fd) = secrets.token_bytes(KEY_BYTES), os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_fd)
        _check(name, write_fd, key)
    os.close(write_fd)
    findings, seal = Findings(), make_seal(key)
    with os.fdopen(read_fd, "rb") as lines:
        for line in lines:
            if (message := opened(line.rstrip(b"\n"), seal))["type"] != "phase":
                findings.add(message, time.monotonic())
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    failure = findings.failure and [findings.failure[0], findings.failure[1].reason, findings.failure[1].detail]
    return {"card": name, "status": status, "done": findings.done, "failure": failure, "checks": len(findings.checks)}


def _check(name: str, message_fd: int, key: bytes) -> None:
    code = 1
    try:
        # The log of a card that fails stands in the output of the test; this process's own output is for the lines.
        os.dup2(2, 1)
        spec = {
            "card_path": str(find_card(name).path.resolve()), "device": "cpu", "mode": "check", "seed": SEED, "time_cap_s": None,
            "timing_budget_s": 0.0, "workloads": [], "memory_limit_bytes": None, "compile_on_cpu": False, **confinement(),
        }  # fmt: skip
        run(spec, Channel(message_fd, key), give_up(spec))
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    for each in sys.argv[1:]:
        sys.stdout.write(json.dumps(checked(each)) + "\n")
        sys.stdout.flush()
