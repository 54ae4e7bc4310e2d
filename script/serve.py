"""Prepares, starts and watches the web server and the worker of one machine; ends them all together."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"
START_LIMIT_S = 60.0
STOP_LIMIT_S = 8.0


class CannotStart(Exception):
    """One sentence for the person at the terminal."""


@dataclass
class Service:
    """A process that is started again when it ends by itself."""

    name: str
    command: list[str]
    log: Path
    env: dict[str, str]
    stop_signal: signal.Signals = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = None
    started: list[float] = field(default_factory=list)

    def start(self) -> None:
        self.started.append(time.monotonic())
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                cwd=ROOT,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def signal_all(self, what: signal.Signals) -> None:
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, what)


def port_from(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 65535:
        raise CannotStart(f"PORT={text!r} is not a port; give a number from 1 to 65535.")
    return int(text)


def check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError:
            raise CannotStart(
                f"Port {port} needs more rights than you have; choose one above 1023: PORT=8000."
            ) from None
        except OSError:
            raise CannotStart(
                f"Port {port} is taken; stop what listens there, or choose another: PORT={port + 1}."
            ) from None


def prepare(env: dict[str, str]) -> str:
    """Database, static files, cards and index; returns what the command said."""
    done = subprocess.run(
        [sys.executable, "manage.py", "prepare", "--first-user"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0:
        return done.stdout
    said = done.stderr.strip()
    log = log_folder(env) / "prepare.log"
    with contextlib.suppress(OSError):
        log.write_text(said)
    if "No space left" in said or "database or disk is full" in said:
        raise CannotStart(
            "The disk is full: the database or the index could not be written; free some space and start again."
        )
    last = said.splitlines()[-1] if said else "no reason was given"
    raise CannotStart(f"The preparation failed: {last} (all of it: {log})")


def log_folder(env: dict[str, str]) -> Path:
    folder = Path(env.get("DATA_DIR") or ROOT / "var") / "log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise CannotStart(f"The data folder cannot be written: {folder}: {fault.strerror}.") from None
    return folder


def services(port: int, env: dict[str, str]) -> list[Service]:
    logs = log_folder(env)
    web = [sys.executable, "-m", "gunicorn", "config.wsgi:application", "-c", "config/gunicorn.py"]
    found = [Service("web", web, logs / "web.log", {**env, "BIND": f"{HOST}:{port}"})]
    devices = ["cuda", "cpu"] if shutil.which("nvidia-smi") else ["cpu"]
    for device in [env["DEVICE"]] if env.get("DEVICE") else devices:
        queue = env.get("GPU_QUEUES", "runs-cuda") if device == "cuda" else "runs-cpu"
        queues = queue if device == "cuda" and len(devices) > 1 else f"default,{queue}"
        worker = [
            sys.executable, "-m", "celery", "-A", "config", "--quiet", "worker", "--queues", queues, "--concurrency", "2",
            "--hostname", f"{device}@%h", "--without-gossip", "--without-mingle", "--loglevel", "INFO",
        ]  # fmt: skip
        # SIGQUIT ends a worker at once: its run is given back when the lease ends, and done on the next start.
        found.append(
            Service(
                f"{device} worker", worker, logs / f"worker-{device}.log", {**env, "DEVICE": device}, signal.SIGQUIT
            )
        )
    return found


def wait_until_healthy(port: int, web: Service) -> None:
    limit = time.monotonic() + START_LIMIT_S
    while time.monotonic() < limit:
        if web.ended():
            raise CannotStart(f"The web server ended at once; {web.log} says why.")
        healthz = f"http://{HOST}:{port}/healthz"
        with contextlib.suppress(OSError), urllib.request.urlopen(healthz, timeout=2) as answer:  # nosec B310 - our own address
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise CannotStart(f"The web server did not answer within {START_LIMIT_S:.0f} s; {web.log} says why.")


def watch(all_services: list[Service], stopping: Callable[[], bool]) -> None:
    """Start again what ended by itself; give up on what ends five times within a minute."""
    while not stopping():
        for service in all_services:
            if not service.ended():
                continue
            recent = [t for t in service.started if time.monotonic() - t < 60]
            if len(recent) >= 5:
                raise CannotStart(f"The {service.name} ended five times within a minute; {service.log} says why.")
            print(f"The {service.name} ended by itself and is started again (log: {service.log}).", flush=True)
            service.signal_all(signal.SIGKILL)  # what is left of its process group
            service.start()
        time.sleep(0.5)


def stop(all_services: list[Service]) -> None:
    for service in all_services:
        service.signal_all(service.stop_signal)
    limit = time.monotonic() + STOP_LIMIT_S
    for service in all_services:
        if service.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                service.process.wait(max(limit - time.monotonic(), 0.1))
        service.signal_all(signal.SIGKILL)
        if service.process is not None:
            service.process.wait()


def banner(port: int, said: str, seconds: float, out: IO[str]) -> None:
    print(f"\nSpeedproof is at http://{HOST}:{port}/   (ready in {seconds:.1f} s; Ctrl-C ends it)", file=out)
    first_user = [line for line in said.splitlines() if line.startswith(("First user", "  "))]
    if first_user:
        print("Sign in there with\n  " + "\n  ".join(line.strip() for line in first_user), file=out)
    else:
        print(
            "Sign in with the user made on the first start; forgotten: .venv/bin/python manage.py changepassword operator",
            file=out,
        )
    print("Read pages of papers with: .venv/bin/python manage.py ingest PAGE...", file=out, flush=True)


def main() -> int:
    began = time.monotonic()
    parser = argparse.ArgumentParser(prog="script/server")
    parser.add_argument("--port", default=os.environ.get("PORT") or "8000")
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    ended: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: ended.append(received))
    running: list[Service] = []
    try:
        port = port_from(parser.parse_args().port)
        check_port(port)
        said = prepare(env)
        # The web first: on two cores the worker's start would double the wait for the first page.
        for service in services(port, env):
            service.start()
            running.append(service)
            if service.name == "web":
                wait_until_healthy(port, service)
        banner(port, said, time.monotonic() - began, sys.stdout)
        watch(running, lambda: bool(ended))
    except CannotStart as fault:
        print(fault, file=sys.stderr)
        return 1
    finally:
        if running:
            print("Stopping ...", flush=True)
            stop(running)
    return 0


if __name__ == "__main__":
    sys.exit(main())
