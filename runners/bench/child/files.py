"""Landlock: of the machine's files the child keeps what running PyTorch takes, and writes to its own folder alone.

With it come two more limits of the kernel: a process under Landlock cannot read the memory or the environment of one that is
not, and (Linux 6.12) cannot send it signals. Nothing here is undone later, also not by the code under test.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same numbers on every architecture
VERSION_FLAG = 1
RULE_PATH_BENEATH = 1
PR_SET_NO_NEW_PRIVS = 38

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE, MAKE_CHAR, MAKE_DIR, MAKE_REG = 1 << 4, 1 << 5, 1 << 6, 1 << 7, 1 << 8
MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM, REFER, TRUNCATE = 1 << 9, 1 << 10, 1 << 11, 1 << 12, 1 << 13, 1 << 14
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
READS = EXECUTE | READ_FILE | READ_DIR
WRITES = READS | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_SYM | REFER
ALL = WRITES | TRUNCATE | MAKE_CHAR | MAKE_BLOCK
USES_DEVICE = READ_FILE | WRITE_FILE | READ_DIR | TRUNCATE
TCP = 0b11  # bind and connect
SCOPES = 0b11  # abstract UNIX sockets and signals

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/proc", "/sys")
SETTINGS = (
    "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "ld.so.preload", "passwd", "group", "nsswitch.conf", "hosts", "host.conf", "localtime",
    "timezone", "alternatives", "OpenCL", "vulkan", "nvidia", "nvidia-container-runtime", "cufile.json", "libnl", "gai.conf",
)  # fmt: skip
DEVICES = ("null", "zero", "full", "random", "urandom")
FOLDERS_IN = ("PATH", "LD_LIBRARY_PATH")
PARTS_OF_PROGRAMS = ("lib", "lib64", "libexec", "include", "share")
FOLDERS = ("CUDA_HOME", "CUDA_PATH", "VIRTUAL_ENV", "PYTHONUSERBASE")
KEPT_FOLDERS = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "SPEEDPROOF_MODEL_CACHE")


def keep_only(scratch: Path, readable: Iterable[Path], hidden: Iterable[Path], device: str) -> str:
    """Gives up every file but those of the system and of Python, `readable`, and `scratch`, which alone can be written.

    `hidden` are folders that stay closed also where they lie within a folder of the system, such as a checkout below /usr.
    Returns "its own alone", or why not. Must run before any thread is started.
    """
    if sys.platform != "linux":
        return f"open to it: {sys.platform} has no Landlock"
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_FLAG)
    if version < 1:
        return f"open to it: {os.strerror(ctypes.get_errno())}"
    known = ALL if version >= 3 else ALL & ~TRUNCATE if version == 2 else ALL & ~TRUNCATE & ~REFER
    attributes = struct.pack("=QQQ", known, 0, SCOPES)[: 24 if version >= 6 else 8]
    ruleset = libc.syscall(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return f"open to it: {os.strerror(ctypes.get_errno())}"
    try:
        for path, allowed in _rules(scratch, readable, [_real(each) for each in hidden], device):
            _allow(libc, ruleset, path, allowed & known)
        if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or libc.syscall(RESTRICT_SELF, ruleset, 0) != 0:
            return f"open to it: {os.strerror(ctypes.get_errno())}"
    finally:
        os.close(ruleset)
    return "its own alone"


def _rules(scratch: Path, readable: Iterable[Path], hidden: list[Path], device: str) -> Iterator[tuple[Path, int]]:
    given = [*SYSTEM, sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path]
    given += [folder for name in FOLDERS_IN for folder in os.environ.get(name, "").split(os.pathsep)]
    given += [str(each) for folder in os.environ.get("PATH", "").split(os.pathsep) for each in _beside(Path(folder))]
    given += [os.environ.get(name, "") for name in FOLDERS]
    for folder in {_real(Path(each)) for each in given if os.path.isabs(each)}:  # noqa: PTH117
        if folder not in hidden:
            for part in _without(folder, hidden):
                yield part, READS
    for path in (*readable, *(Path("/etc") / name for name in SETTINGS)):
        yield path, READS
    for path in _devices(device):
        yield path, USES_DEVICE
    if device != "cpu":
        yield Path("/proc/self").resolve(), READS | WRITE_FILE | TRUNCATE  # the driver names its threads
        yield Path("/dev/shm"), ALL  # noqa: S108  the driver shares memory there
        yield Path("/tmp/nvidia-mps"), ALL  # noqa: S108  the place that the driver has for it
    yield scratch, ALL
    for name in KEPT_FOLDERS:
        if folder_name := os.environ.get(name):
            Path(folder_name).mkdir(parents=True, exist_ok=True)
            yield Path(folder_name), ALL


def _beside(folder: Path) -> Iterator[Path]:
    """What programs in a folder `bin` of their own need: a compiler there has its headers and parts next to it."""
    if folder.name == "bin":
        yield from (folder.parent / name for name in PARTS_OF_PROGRAMS)


def _devices(device: str) -> Iterator[Path]:
    yield from (Path("/dev") / name for name in DEVICES)
    if device != "cpu":
        for pattern in ("nvidia*", "nvhost*", "nvmap", "dxg"):
            yield from Path("/dev").glob(pattern)


def _without(folder: Path, hidden: list[Path]) -> Iterator[Path]:
    """The folder, or, where something hidden lies within it, what else is in it."""
    if not any(each.is_relative_to(folder) for each in hidden):
        yield folder
        return
    try:
        inside = sorted(folder.iterdir())
    except OSError:
        return
    for each in inside:
        if each not in hidden and not each.is_symlink():
            yield from _without(each, hidden) if each.is_dir() else [each]


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, allowed: int) -> None:
    """A place that does not exist or cannot be opened gets no rule."""
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        is_folder = os.path.isdir(f"/proc/self/fd/{opened}")  # noqa: PTH112
        rule = struct.pack("=Qi", allowed if is_folder else allowed & OF_FILES, opened)
        libc.syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(opened)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
