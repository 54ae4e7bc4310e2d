"""The child process of a run: its clean environment, limits, private pipe, and its certain end."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import selectors
import shutil
import signal
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

from runners.bench.child.isolation import hide_memory
from runners.bench.collect import Usage
from runners.bench.seal import KEY_BYTES, make_seal, opened

ROOT = Path(__file__).resolve().parents[2]
PASSED_ON = (
    "PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_PATH", "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "VIRTUAL_ENV", "CC", "CXX",
    "TRITON_PTXAS_PATH", "SPEEDPROOF_MODEL_CACHE", "TORCHINDUCTOR_COMPILE_THREADS",
)  # fmt: skip
LOG_LIMIT = 64 * 1024
MESSAGE_LIMIT = 64 * 1024 * 1024
TERMINATE_GRACE_S = 2.0
CPU_THREADS = 2

Stream = Literal["message", "log", "closed"]


def clean_environment(scratch: Path, device: str, message_fd: int) -> dict[str, str]:
    """Environment of the child: an allow-list and private folders, so that no secret of the parent's is in it."""
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    python_path = [str(ROOT), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    kept_cache = os.environ.get("SPEEDPROOF_COMPILE_CACHE")
    compiled = Path(kept_cache) if kept_cache else scratch
    threads = os.cpu_count() or CPU_THREADS
    kept |= {
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(python_path)),
        "PYTHONUSERBASE": site.getuserbase(),
        "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": "0",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "XDG_CACHE_HOME": str(scratch),
        "TRITON_CACHE_DIR": str(compiled / "triton"),
        "TORCHINDUCTOR_CACHE_DIR": str(compiled / "inductor"),
        "HF_HUB_OFFLINE": "1",
        "SPEEDPROOF_MESSAGE_FD": str(message_fd),
    }
    if device == "cpu":
        kept |= {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": "", "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        # On a busy machine, workers that spin at a barrier keep the one they wait for off its core: a call of 0.05 ms
        # was seen to take 45 ms. Sleeping costs a few microseconds on a quiet one, for every subject alike.
        kept["OMP_WAIT_POLICY"] = "PASSIVE"
        threads = min(threads, CPU_THREADS)
    kept |= {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    return kept


def confinement() -> dict[str, Any]:
    """What of the machine's files stays hidden even among those of the system: this checkout, and the data of the service.

    SPEEDPROOF_CONFINE=0 leaves files and system calls open, for a driver that cannot do with less; the record then says so.
    """
    hidden = [str(ROOT), *filter(None, [os.environ.get("DATA_DIR")])]
    return {"hidden": hidden, "confine": os.environ.get("SPEEDPROOF_CONFINE", "") != "0"}


@cache
def wake_driver() -> None:
    """Has the CUDA driver make its device files: a confined child may neither make them nor open ones made later."""
    code = "import ctypes; ctypes.CDLL('libcuda.so.1').cuInit(0)"
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60, check=False)


class Child:
    """A running `python -m runners.bench.child`. Use as a context manager: on exit its process group is dead.

    It gives up what it must, imports torch and then waits for `begin`: a child can be made while another run has the device.
    """

    def __init__(self, spec: dict[str, Any], *, device: str) -> None:
        hide_memory()
        if device == "cuda":
            wake_driver()
        self.scratch = Path(tempfile.mkdtemp(prefix="speedproof-"))
        self._ended = False
        self._log = bytearray()
        self._pending = bytearray()
        read_fd, write_fd = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "runners.bench.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=clean_environment(self.scratch, device, write_fd),
                cwd=self.scratch,
                pass_fds=(write_fd,),
                start_new_session=True,
            )
        except BaseException:
            os.close(read_fd)
            shutil.rmtree(self.scratch, ignore_errors=True)
            raise
        finally:
            os.close(write_fd)
        self.pid = self._process.pid
        self.seen_pids = {self.pid}
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101, PT018
        self._message_fd = read_fd
        self._log_fd = self._process.stdout.fileno()
        for fd in (self._message_fd, self._log_fd):
            os.set_blocking(fd, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._message_fd, selectors.EVENT_READ)
        self._selector.register(self._log_fd, selectors.EVENT_READ)
        key = secrets.token_bytes(KEY_BYTES)
        self._seal = make_seal(key)
        self._tell({**spec, **confinement(), "key": key.hex()})

    def begin(self, **more: Any) -> None:
        """Lets the child use the device; `more` adds to its specification."""
        self._tell(more)

    def grant(self) -> None:
        """Tells the child that it has what it asked for."""
        self._tell({})

    def _tell(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._ended:
            return
        self._ended = True
        self.kill()
        self._selector.close()
        os.close(self._message_fd)
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]
        shutil.rmtree(self.scratch, ignore_errors=True)

    def read(self, timeout_s: float) -> Iterator[tuple[Stream, bytes]]:
        """What arrived within `timeout_s`: message lines and log chunks; ("closed", b"") once both pipes have ended."""
        for key, _ in self._selector.select(timeout_s):
            with contextlib.suppress(BlockingIOError):
                chunk = os.read(key.fd, 1 << 20)
                if not chunk:
                    self._selector.unregister(key.fd)
                elif key.fd == self._log_fd:
                    self._log += chunk
                    del self._log[:-LOG_LIMIT]
                    yield "log", chunk
                else:
                    yield from self._lines(chunk)
        if not self._selector.get_map() or (self._message_fd not in self._selector.get_map() and self.exited):
            yield "closed", b""

    def _lines(self, chunk: bytes) -> Iterator[tuple[Stream, bytes]]:
        self._pending += chunk
        if len(self._pending) > MESSAGE_LIMIT:
            raise ValueError(f"the child sent a message of more than {MESSAGE_LIMIT} bytes")
        *lines, rest = self._pending.split(b"\n")
        self._pending = bytearray(rest)
        for line in lines:
            yield "message", bytes(line)

    def message(self, line: bytes) -> dict[str, Any]:
        """The message in a line of the private pipe. Raises ValueError for one that the harness did not seal."""
        return opened(line, self._seal)

    @property
    def exited(self) -> bool:
        return self._process.poll() is not None

    def wait(self, timeout_s: float) -> int | None:
        """Exit status (negative: the signal), or None when it still runs after `timeout_s`."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def log_tail(self) -> str:
        """The last part of what the child printed, with undecodable bytes replaced."""
        return self._log.decode("utf-8", "replace")

    def resident_bytes(self) -> int:
        """Resident memory of every process in the child's session, without counting shared pages twice per process."""
        members = _session_members(self.pid)
        self.seen_pids.update(members)
        return sum(_resident(pid) for pid in members)

    def usage(self) -> Usage | None:
        """Time that the child's threads spent on a core and waiting for one; None where the kernel does not tell."""
        return _usage(self.pid)

    def kill(self) -> None:
        """Ends the whole process group: asks it to, waits briefly, then kills. Safe to call again."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            self.wait(TERMINATE_GRACE_S)
        # The leader may be gone while its own children live on in the group, or in another group of its session.
        self._signal(signal.SIGKILL)
        for pid in _session_members(self.pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


def _session_members(session: int) -> list[int]:
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                # The command's name is in parentheses and may hold spaces; the session is the fourth field after it.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session and fields[0] != "Z":
                    members.append(int(entry.name))
    return members


def _usage(pid: int) -> Usage | None:
    run = queued = 0
    try:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                # Nanoseconds on a core, nanoseconds runnable without one, and how often it was put on one.
                on_core, waiting, _ = (int(each) for each in (thread / "schedstat").read_text().split())
                run, queued = run + on_core, queued + waiting
    except (OSError, ValueError):
        return None
    return Usage(run / 1e9, queued / 1e9, time.monotonic()) if run else None


def _resident(pid: int) -> int:
    try:
        _, resident, shared, *_ = (int(each) for each in Path(f"/proc/{pid}/statm").read_text().split())
    except (OSError, ValueError):
        return 0
    return max(resident - shared, 0) * os.sysconf("SC_PAGE_SIZE")


def available_memory_bytes() -> int:
    """What the machine could give to a new process, or 0 where the kernel does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0


def lock_of(device: str) -> DeviceLock:
    """The lock by which one process at a time, of all on this machine, has a device for timed runs."""
    return DeviceLock(Path(tempfile.gettempdir()) / f"speedproof-{device.replace(':', '-')}-{os.getuid()}.lock")


class DeviceLock:
    """An advisory lock on a file; it vanishes with the process that holds it."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)

    def acquire(self, timeout_s: float) -> bool:
        """Whether the lock was got within `timeout_s`."""
        until = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    return False
                time.sleep(0.05)
            else:
                return True

    def release(self) -> None:
        os.close(self._fd)
