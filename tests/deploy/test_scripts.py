"""The two commands: what they say when something is in the way, and that Ctrl-C leaves nothing behind."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest


def shell(root: Path, script: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", f"set -euo pipefail; source {root}/script/bootstrap; {script}"],
        cwd=env.pop("cwd", str(root)), env={**os.environ, **env}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def fake_command(folder: Path, name: str, body: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def one_sentence(done: subprocess.CompletedProcess[str], *words: str) -> None:
    said = done.stderr.strip().splitlines()
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert len(said) == 1, said
    for word in words:
        assert word in said[0]


def test_a_wrong_python_is_told_what_is_needed(project_root: Path, tmp_path: Path) -> None:
    for name in ("python3.11", "python3.12", "python3.13", "python3", "python"):
        fake_command(tmp_path, name, "exit 1")
    one_sentence(shell(project_root, "find_python", PATH=f"{tmp_path}:/usr/bin:/bin"), "3.11", "PYTHON=")


def test_a_shim_that_refuses_is_passed_over(project_root: Path, tmp_path: Path) -> None:
    fake_command(tmp_path, "python3.11", "echo 'not set up' >&2; exit 127")
    fake_command(tmp_path, "python3.12", f'exec {sys.executable} "$@"')
    done = shell(project_root, "find_python", PATH=f"{tmp_path}:/usr/bin:/bin", PYTHON="")
    assert done.stdout.strip() == "python3.12"


def test_a_full_disk_is_noticed_before_anything_is_installed(project_root: Path, tmp_path: Path) -> None:
    fake_command(tmp_path, "df", "printf 'head\\n/dev/x 100 90 10 90%% /\\n'")
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "base.lock").write_text("x==1\n")
    done = shell(project_root, "install_lock base", PATH=f"{tmp_path}:{os.environ['PATH']}", cwd=str(tmp_path))
    one_sentence(done, "disk", "3 GB")
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("log", "word"),
    [
        pytest.param("error: failed to write: No space left on device (os error 28)", "disk is full", id="disk"),
        pytest.param(
            "NewConnectionError: Temporary failure in name resolution", "registry cannot be reached", id="dns"
        ),
        pytest.param(
            "ERROR: No matching distribution found for uv==0.13.9", "registry cannot be reached", id="offline-pip"
        ),
        pytest.param("error: the wheel is broken", "the wheel is broken", id="other"),
    ],
)
def test_a_failed_installation_says_why(log: str, word: str, project_root: Path, tmp_path: Path) -> None:
    path = tmp_path / "install.log"
    path.write_text(log + "\n")
    one_sentence(shell(project_root, f"explain_failure {path}"), word)


def serve(root: Path, tmp_path: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "script/serve.py", *words],
        cwd=root, env={**os.environ, "DATA_DIR": str(tmp_path / "data"), **env}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_a_taken_port_is_named_with_the_way_out(project_root: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        one_sentence(serve(project_root, tmp_path, "--port", str(port)), f"Port {port} is taken", f"PORT={port + 1}")


def test_a_port_that_is_none_is_named(project_root: Path, tmp_path: Path) -> None:
    one_sentence(serve(project_root, tmp_path, PORT="eighty"), "'eighty'", "1 to 65535")


def test_a_data_folder_that_cannot_be_written_is_named(project_root: Path, tmp_path: Path) -> None:
    one_sentence(serve(project_root, tmp_path, "--port", str(free_port()), DATA_DIR="/proc/nowhere"), "/proc/nowhere")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def alive_in_session(marker: str) -> list[str]:
    """Command lines of processes whose environment carries the marker."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marker.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


@pytest.mark.services
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc to find processes")
def test_the_server_starts_mends_itself_and_leaves_nothing_behind(project_root: Path, tmp_path: Path) -> None:
    port, data = free_port(), tmp_path / "data"
    env = {**os.environ, "DATA_DIR": str(data)}
    env.pop("DATABASE_URL", None)
    server = subprocess.Popen(
        [sys.executable, "script/serve.py", "--port", str(port)],
        cwd=project_root, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        assert server.stdout is not None
        said = ""
        while "Read pages of papers" not in said:
            line = server.stdout.readline()
            assert line, said
            said += line
        assert re.search(r"password: [A-Za-z0-9]{20} ", said), "a generated password is shown"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=20) as page:
            assert page.status == 200
        worker = next(p for p in Path("/proc").glob("[0-9]*") if is_worker(p, str(data)))
        os.killpg(int(worker.name), signal.SIGKILL)
        line = server.stdout.readline()
        assert "worker ended by itself and is started again" in line
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
    time.sleep(0.5)
    assert alive_in_session(str(data)) == []


def is_worker(folder: Path, marker: str) -> bool:
    try:
        ours = marker.encode() in (folder / "environ").read_bytes()
        leader = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[2]) == int(folder.name)
        return ours and leader and b"celery" in (folder / "cmdline").read_bytes()
    except OSError:
        return False
