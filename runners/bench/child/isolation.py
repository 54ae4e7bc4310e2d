"""What the child gives up before it loads code under test: the network, files, capabilities, and outliving its parent."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import signal
import socket
import struct
from pathlib import Path
from typing import Any

from runners.bench.child.calls import FILTERED, give_up_calls
from runners.bench.child.files import keep_only

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
CAPABILITY_VERSION = 0x20080522
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1

PACKAGE = Path(__file__).resolve().parents[2]
TAKEN_AWAY = "taken away"
SWITCHED_OFF = "open to it: SPEEDPROOF_CONFINE=0"
LONGEST_FILE = 16 * 2**30
OPEN_FILES = 16_384
MORE_THREADS = 16_384  # compilers start a process for each core, and each of those a thread for each


def die_with_parent() -> None:
    """Asks the kernel to kill this process when its parent dies."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def leave_network() -> str:
    """Moves the process into an empty network namespace with only a loopback of its own.

    Returns "taken away", or why not. Must run before any thread is started.
    """
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        user, group = os.getuid(), os.getgid()
        if libc.unshare(CLONE_NEWNET) != 0:
            if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
                return f"still there: {os.strerror(ctypes.get_errno())}"
            _map_identity(user, group)
    except (OSError, AttributeError) as error:
        return f"still there: {error}"
    with contextlib.suppress(OSError):
        _raise_loopback()
    return TAKEN_AWAY


def _map_identity(user: int, group: int) -> None:
    """Keeps the user and group ids in the new user namespace, so that files and devices stay readable."""
    with contextlib.suppress(OSError):
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _raise_loopback() -> None:
    """Several processes of one run may talk to each other over 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control.fileno(), SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def drop_capabilities() -> None:
    """Also as root the process may then only what files and devices allow anybody."""
    header, nothing = struct.pack("=Ii", CAPABILITY_VERSION, 0), bytes(24)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).capset(header, nothing)


def hide_memory() -> None:
    """Other processes of the same user can no longer read this one's memory and environment; nor does it dump core."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def limit_resources(memory_bytes: int | None, device: str) -> None:
    """Ceilings on private memory, files, and processes, so that one mistake fails instead of the machine.

    Memory not on CUDA, whose driver reserves far more address space than it uses; there the parent watches resident memory.
    """
    if memory_bytes is not None and device == "cpu":
        _limit(resource.RLIMIT_DATA, memory_bytes)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, LONGEST_FILE)
    _limit(resource.RLIMIT_NOFILE, OPEN_FILES)
    _limit(resource.RLIMIT_NPROC, _threads_of_user() + MORE_THREADS)


def _limit(which: int, most: int) -> None:
    with contextlib.suppress(ValueError, OSError):
        soft, hard = resource.getrlimit(which)
        hard = most if hard == resource.RLIM_INFINITY else min(hard, most)
        soft = hard if soft == resource.RLIM_INFINITY else min(soft, hard)
        resource.setrlimit(which, (soft, hard))


def _threads_of_user() -> int:
    """The limit on processes counts every thread of the user, whoever started it."""
    found, user = 0, os.getuid()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                if entry.stat().st_uid == user:
                    found += int((entry / "stat").read_text().rpartition(")")[2].split()[17])
    return found


def give_up(spec: dict[str, Any]) -> dict[str, str]:
    """All of it, before torch and the code under test are loaded; what succeeded, for the record."""
    die_with_parent()
    network = leave_network()
    device = spec["device"]
    limit_resources(spec["memory_limit_bytes"], device)
    if not spec.get("confine", True):
        return {"network": network, "files": SWITCHED_OFF, "system_calls": SWITCHED_OFF}
    readable = [PACKAGE, *([Path(spec["card_path"]).parent] if spec.get("card_path") else [])]
    files = keep_only(Path.cwd(), readable, [Path(each) for each in spec.get("hidden", ())], device)
    drop_capabilities()
    calls = give_up_calls(device, internet=network == TAKEN_AWAY)
    if calls == FILTERED:
        network = TAKEN_AWAY
    return {"network": network, "files": files, "system_calls": calls}
