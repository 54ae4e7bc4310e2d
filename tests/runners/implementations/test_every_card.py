"""Every implementation gives right answers on this machine: its own check workloads, in a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from runners.bench.process import clean_environment
from runners.cards import all_cards

pytest.importorskip("torch")
NAMES = sorted(all_cards())


@pytest.fixture(scope="module")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Iterator[dict[str, Any]]]:
    """What became of each card that is asked for, in their order, as they end."""
    asked = [item.callspec.params["name"] for item in request.session.items if item.path == request.path]
    scratch = tmp_path_factory.mktemp("checks")
    environment = clean_environment(scratch, "cpu", -1)
    environment |= {key: os.environ[key] for key in ("OMP_NUM_THREADS",) if key in os.environ}
    command = [sys.executable, "-m", "tests.runners.implementations.warm_checks", *asked]
    with subprocess.Popen(command, cwd=scratch, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield map(json.loads, process.stdout)
        process.kill()


@pytest.mark.parametrize("name", NAMES)
def test_an_implementation_is_right_on_a_machine_without_a_gpu(name: str, outcomes: Iterator[dict[str, Any]]) -> None:
    found = next((each for each in outcomes if each["card"] == name), None)
    assert found is not None, "the process that checks all cards ended before this one"
    assert (found["status"], found["failure"], found["done"]) == (0, None, True)
    assert found["checks"]
