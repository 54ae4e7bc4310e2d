"""Traces of tampering: replaced clocks and functions, switched global settings, threads left running."""

from __future__ import annotations

import json
import math
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

import torch

from runners.bench.child.subjects import HarnessError

WHOLE_MODULES: tuple[ModuleType, ...] = (time, statistics, json, math)
SINGLE_NAMES: tuple[tuple[Any, str], ...] = (
    (os, "write"),
    (torch, "equal"),
    (torch, "allclose"),
    (torch, "isclose"),
    (torch, "isfinite"),
    (torch, "full"),
    (torch.Tensor, "clone"),
    (torch.Tensor, "double"),
    (torch.Tensor, "item"),
    (torch.Tensor, "norm"),
    (torch.autograd, "grad"),
    (torch.cuda, "synchronize"),
    (torch.cuda, "Event"),
    (torch.cuda.Event, "record"),
    (torch.cuda.Event, "elapsed_time"),
    (torch.cuda.Event, "synchronize"),
    (torch.cuda, "max_memory_allocated"),
    (torch.cuda, "memory_allocated"),
    (torch.cuda, "reset_peak_memory_stats"),
)


# tqdm has a thread that wakes every ten seconds; torch's compiler imports it where it is installed.
PARTS_OF_TORCH = ("torch.", "concurrent.futures", "multiprocessing.", "tqdm.")


class Watch:
    """Remembers functions and settings when made; `verify` raises HarnessError about any that changed since."""

    def __init__(self) -> None:
        self._functions = _functions()
        self._settings = _settings()
        self._threads = set(threading.enumerate())

    def verify(self, when: str) -> None:
        changed = [name for name, value in _functions().items() if self._functions.get(name, value) is not value]
        if changed:
            raise _tampered(f"{', '.join(changed)} was replaced {when}")
        settings = _settings()
        switched = [name for name, value in settings.items() if self._settings[name] != value]
        if switched:
            name = switched[0]
            raise _tampered(f"{name} was changed from {self._settings[name]} to {settings[name]} {when}")
        started = [thread for thread in threading.enumerate() if thread not in self._threads and _is_foreign(thread)]
        if started:
            raise _tampered(f"a thread ({started[0].name}) was left running {when}")


def _tampered(detail: str) -> HarnessError:
    return HarnessError("REWARD_HACK", "integrity", detail)


def _is_foreign(thread: threading.Thread) -> bool:
    """Whether the thread was not started by torch itself, whose compiler keeps some, or by what it imports."""
    target = getattr(thread, "_target", None) or thread.run
    return not str(getattr(target, "__module__", "")).startswith(PARTS_OF_TORCH)


def _functions() -> dict[str, Any]:
    harness = [module for name, module in sorted(sys.modules.items()) if name.startswith("runners.bench.")]
    found: dict[str, Any] = {}
    for module in (*WHOLE_MODULES, *harness):
        for name, value in vars(module).items():
            if callable(value):
                found[f"{module.__name__}.{name}"] = value
            if isinstance(value, type) and value.__module__ == module.__name__ and module in harness:
                for method, function in vars(value).items():
                    if isinstance(function, FunctionType):
                        found[f"{module.__name__}.{name}.{method}"] = function
    for owner, name in SINGLE_NAMES:
        found[f"{getattr(owner, '__name__', owner)}.{name}"] = getattr(owner, name)
    return found


def _settings() -> dict[str, Any]:
    readers: dict[str, Callable[[], Any]] = {
        "torch.get_default_dtype": torch.get_default_dtype,
        "torch.get_float32_matmul_precision": torch.get_float32_matmul_precision,
        "torch.backends.cuda.matmul.allow_tf32": lambda: torch.backends.cuda.matmul.allow_tf32,
        "torch.backends.cudnn.allow_tf32": lambda: torch.backends.cudnn.allow_tf32,
        "torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction": (
            lambda: torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction
        ),
        "torch.backends.cudnn.benchmark": lambda: torch.backends.cudnn.benchmark,
        "torch.get_num_threads": torch.get_num_threads,
        "torch.is_grad_enabled": torch.is_grad_enabled,
        "torch.is_autocast_enabled": torch.is_autocast_enabled,
        "torch.are_deterministic_algorithms_enabled": torch.are_deterministic_algorithms_enabled,
    }
    return {name: _read(reader) for name, reader in readers.items()}


def _read(reader: Callable[[], Any]) -> Any:
    """A setting's value. Reading an old switch raises once its newer form was used; that is a change as well."""
    try:
        return reader()
    except RuntimeError as error:
        return f"unreadable ({error})"
