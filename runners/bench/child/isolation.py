"""What the child gives up before it loads code under test: the network, and outliving its parent."""

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

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
SIOCSIFFLAGS = 0x8914
IFF_UP = 0x1


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
    return "taken away"


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


def limit_memory(limit_bytes: int | None, device: str) -> None:
    """A ceiling on private memory, so that one large allocation fails instead of the machine.

    Not on CUDA, whose driver reserves far more address space than it uses; there the parent watches resident memory.
    """
    if limit_bytes is None or device != "cpu":
        return
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
