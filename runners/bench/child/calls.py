"""Seccomp: system calls that code under test has no use for, above all sockets to the services of this machine.

A UNIX socket is a way to a database that an empty network does not close.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Sequence

PR_SET_NO_NEW_PRIVS = 38
SET_MODE_FILTER = 1
# Without it some kernels slow the whole process down against speculation, which would be measured.
SPEC_ALLOW = 4

LOAD, JUMP_EQUAL, JUMP_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
NUMBER_AT, ARCHITECTURE_AT, FIRST_ARGUMENT_AT = 0, 4, 16
X32 = 0x40000000
FILTERED = "filtered"

UNIX, INET, INET6, NETLINK = 1, 2, 10, 16
# Name: number on x86_64, on aarch64.
SOCKET, SECCOMP = (41, 198), (317, 277)
REFUSED = {
    "ptrace": (101, 117), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "setns": (308, 268),
    "unshare": (272, 97), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "bpf": (321, 280), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "open_by_handle_at": (304, 265), "io_uring_setup": (425, 425), "pidfd_getfd": (438, 438),
}  # fmt: skip
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


def give_up_calls(device: str, *, internet: bool) -> str:
    """Refuses what is above from now on. `internet`: sockets of the network may stay, since it is empty.

    UNIX sockets stay on CUDA alone: its driver opens one of its own. Returns "filtered", or why not.
    """
    machine = platform.machine()
    if sys.platform != "linux" or machine not in ARCHITECTURES:
        return f"open to it: unknown on {machine}"
    column, architecture = ARCHITECTURES[machine]
    families = [NETLINK, *([INET, INET6] if internet else []), *([UNIX] if device != "cpu" else [])]
    program = _program(column, architecture, families)
    code = ctypes.create_string_buffer(program, len(program))
    libc = ctypes.CDLL(None, use_errno=True)
    filters = struct.pack("=H6xQ", len(program) // 8, ctypes.addressof(code))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return f"open to it: {os.strerror(ctypes.get_errno())}"
    if libc.syscall(SECCOMP[column], SET_MODE_FILTER, SPEC_ALLOW, filters) != 0:
        return f"open to it: {os.strerror(ctypes.get_errno())}"
    return FILTERED


def _program(column: int, architecture: int, families: Sequence[int]) -> bytes:
    """Of another architecture: refused. A socket: by its family. What is in REFUSED: refused. All else passes."""
    refused = sorted(numbers[column] for numbers in REFUSED.values())
    lines: list[tuple[int, int, int, int]] = [
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (JUMP_EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, ERRNO | errno.ENOSYS),
        (LOAD, 0, 0, NUMBER_AT),
        (JUMP_AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, ERRNO | errno.ENOSYS),
        (JUMP_EQUAL, 0, len(families) + 3, SOCKET[column]),
        (LOAD, 0, 0, FIRST_ARGUMENT_AT),
        *((JUMP_EQUAL, len(families) - at, 0, family) for at, family in enumerate(families)),
        (RETURN, 0, 0, ERRNO | errno.EACCES),
        (RETURN, 0, 0, ALLOW),
    ]
    lines += [(JUMP_EQUAL, len(refused) - at, 0, number) for at, number in enumerate(refused)]
    lines += [(RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ERRNO | errno.EPERM)]
    return b"".join(struct.pack("=HBBI", *line) for line in lines)
