"""Ctrl-C on the real command, in a process of its own with a database of its own."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.ingest.endpoint.fake_endpoint import KEY, FakeEndpoint, Reply, completion, record

MAKE = """
import django
django.setup()
from django.core.management import call_command
from tests.factories import make_paper
call_command("migrate", verbosity=0)
for _ in range(6):
    make_paper()
"""


@pytest.fixture
def env(endpoint: FakeEndpoint, tmp_path: Path) -> dict[str, str]:
    """Of a process with six unread papers."""
    kept = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "BROKER_URL"}}
    return kept | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATA_DIR": str(tmp_path),
        "SECRET_KEY": "s",
        "ENDPOINT_URL": endpoint.url,
        "ENDPOINT_MODEL": "small-model",
        "ENDPOINT_API_KEY": KEY,
    }


def start(root: Path, env: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, "manage.py", "extract_with_endpoint", "--missing"]
    return subprocess.Popen(command, cwd=root, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_an_interrupt_keeps_what_was_paid_for_and_the_next_run_goes_on(
    endpoint: FakeEndpoint, env: dict[str, str], project_root: Path, tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-c", MAKE], cwd=project_root, env=env, check=True)
    both_asked, go_on = threading.Barrier(3, timeout=60), threading.Event()

    def hold() -> None:
        both_asked.wait()
        go_on.wait(60)

    endpoint.replies = [Reply(completion(record()), before=hold)]
    run = start(project_root, env)
    both_asked.wait()
    run.send_signal(signal.SIGINT)
    assert run.stderr is not None
    assert "2 answers are on their way" in run.stderr.readline()
    go_on.set()
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130, err
    assert out.startswith("2 papers read")
    assert len(endpoint.asked) == 2

    endpoint.replies = [Reply(completion(record()))]
    rest = start(project_root, env)
    out, err = rest.communicate(timeout=60)
    assert rest.returncode == 0, err
    assert out.startswith("4 papers read")
    assert len(endpoint.asked) == 6
    with sqlite3.connect(tmp_path / "speedproof.sqlite3") as database:
        assert database.execute("select requests from ingest_endpointday").fetchall() == [(6,)]
        assert KEY not in "\n".join(database.iterdump())
    assert KEY not in out + err
