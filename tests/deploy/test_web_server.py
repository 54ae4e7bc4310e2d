"""The web server as it runs: slow clients hold nobody up, and a new version takes over while people go on reading."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = pytest.mark.services


@pytest.fixture
def env(project_root: Path, tmp_path: Path) -> dict[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {
        **os.environ,
        "DATA_DIR": str(tmp_path),
        "BIND": f"127.0.0.1:{port}",
        "WEB_WORKERS": "1",
        "WEB_THREADS": "2",
        "WEB_REQUEST_S": "2",
        "DEBUG": "false",
    }
    for name in ("DATABASE_URL", "BROKER_URL"):
        env.pop(name, None)
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=project_root, env=env, check=True)
    return env


@pytest.fixture
def pid_file(project_root: Path, tmp_path: Path, env: dict[str, str]) -> Iterator[Path]:
    """Of a running web server."""
    path, log = tmp_path / "web.pid", tmp_path / "web.log"
    command = [
        str(Path(sys.executable).with_name("gunicorn")),  # by its script: `python -m gunicorn` cannot start itself anew
        "config.wsgi:application",
        "-c",
        "config/gunicorn.py",
        "--pid",
        str(path),
    ]
    with log.open("wb") as file:
        subprocess.Popen(command, cwd=project_root, env=env, stdout=file, stderr=file, start_new_session=True)
    wait_for(lambda: path.exists() and answers(env), log)
    yield path
    for each in (path, path.with_name(path.name + ".2")):
        with suppress(OSError, ValueError):
            os.kill(int(each.read_text()), signal.SIGKILL)
    for process in Path("/proc").glob("[0-9]*"):  # workers of a master that was killed
        with suppress(OSError):
            if env["BIND"].encode() in (process / "environ").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)


def answers(env: dict[str, str]) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://{env['BIND']}/healthz", timeout=10) as answer:
        return bool(answer.status == 200)
    return False


def wait_for(happened: Callable[[], bool], log: Path, seconds: float = 120) -> None:
    limit = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < limit, log.read_text()[-2000:]
        time.sleep(0.1)


def test_nobody_is_turned_away_while_a_new_version_takes_over(pid_file: Path, env: dict[str, str]) -> None:
    """As docs/operate.md says: USR2 to the old one, then TERM once the new one answers."""
    old, log = int(pid_file.read_text()), pid_file.with_name("web.log")
    faults: list[str] = []
    asked, done = 0, threading.Event()

    def read() -> None:
        nonlocal asked
        while not done.is_set():
            asked += 1
            try:
                urllib.request.urlopen(f"http://{env['BIND']}/healthz", timeout=60).close()
            except (OSError, urllib.error.URLError) as fault:
                faults.append(str(fault))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        os.kill(old, signal.SIGUSR2)
        following = pid_file.with_name(pid_file.name + ".2")
        wait_for(lambda: following.exists() and log.read_text().count("Booting worker") == 2, log)
        os.kill(old, signal.SIGTERM)
        wait_for(lambda: not Path(f"/proc/{old}").exists() or _is_zombie(old), log)
        before = asked
        wait_for(lambda: asked > before + 20, log)
    finally:
        done.set()
        reader.join()
    assert faults == []
    # It takes the name over when it finds that the old one is gone, for which it looks once a second.
    wait_for(lambda: pid_file.exists() and pid_file.read_text().strip() not in ("", str(old)), log)


def test_clients_that_send_a_byte_at_a_time_hold_nobody_up(pid_file: Path, env: dict[str, str]) -> None:
    """Twice as many as there are threads, each with a body that it never finishes."""
    host, port = env["BIND"].split(":")
    head = "POST /api/v1/recommendations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    slow = [socket.create_connection((host, int(port)), timeout=10) for _ in range(4)]
    done = threading.Event()

    def drip() -> None:
        while not done.wait(0.2):
            for one in slow:
                with suppress(OSError):
                    one.sendall(b" ")

    for one in slow:
        one.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode())
    sender = threading.Thread(target=drip)
    sender.start()
    try:
        wait_for(lambda: answers(env), pid_file.with_name("web.log"), 30)
    finally:
        done.set()
        sender.join()
        for one in slow:
            one.close()


def _is_zombie(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
