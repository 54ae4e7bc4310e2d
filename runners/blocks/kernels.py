"""Guarded import of Triton: a module with kernels can be imported where Triton is not installed.

Usage in an implementation:

    from runners.blocks.kernels import require_triton, tl, triton

    @triton.jit
    def kernel(...): ...

    def make_technique(axes, weights):
        require_triton()
        ...

Without Triton, `@triton.jit` yields an object whose launch raises `TritonMissingError`, as `require_triton()` does.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from functools import cache
from typing import Any

__all__ = ["TUNERS", "TritonMissingError", "has_triton", "interpreted", "require_triton", "tl", "triton", "tune_anew"]

TUNERS: list[Any] = []
"""What `triton.autotune` made for kernels of this process."""


class TritonMissingError(RuntimeError):
    """Triton cannot be imported here; the harness reports the subject as unsupported, not as crashed."""

    def __init__(self, what: str = "this kernel") -> None:
        super().__init__(f"{what} needs Triton, which is not installed in this interpreter; install the triton package")


class _MissingKernel:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getitem__(self, grid: object) -> Callable[..., Any]:
        raise TritonMissingError(self._name)

    def __call__(self, *args: object, **kwargs: object) -> Any:
        raise TritonMissingError(self._name)


class _MissingLanguage:
    """Answers every `tl.name` with itself, so that annotations and default values in kernels still evaluate."""

    def __getattr__(self, name: str) -> _MissingLanguage:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args: object, **kwargs: object) -> _MissingLanguage:
        return self


class _MissingTriton:
    """Stands in for the module `triton` as far as kernel definitions and launch arithmetic need it."""

    @staticmethod
    def jit(function: Callable[..., Any] | None = None, **options: object) -> Any:
        if function is None:
            return lambda decorated: _MissingKernel(decorated.__name__)
        return _MissingKernel(function.__name__)

    @staticmethod
    def autotune(*args: object, **kwargs: object) -> Callable[[Any], Any]:
        return lambda kernel: kernel

    heuristics = autotune

    @staticmethod
    def Config(*args: object, **kwargs: object) -> None:  # noqa: N802  the library's own name
        return None

    @staticmethod
    def cdiv(numerator: int, denominator: int) -> int:
        return -(-numerator // denominator)

    @staticmethod
    def next_power_of_2(number: int) -> int:
        return 1 << max(number - 1, 0).bit_length()


try:
    import triton
    import triton.language as tl
except ImportError:
    triton: Any = _MissingTriton()  # type: ignore[no-redef]
    tl: Any = _MissingLanguage()  # type: ignore[no-redef]


def has_triton() -> bool:
    """Whether the real Triton was imported."""
    return not isinstance(triton, _MissingTriton)


def tune_anew() -> None:
    """Forgets which tile was best for each kernel: it was found while others used the device. The next launch tunes again, or
    takes what another process found since it called this, where both keep compiled kernels in one folder."""
    for tuner in TUNERS:
        tuner.cache.clear()
        tuner.cache_results = True


def interpreted() -> bool:
    """Whether kernels run in Triton's interpreter: right on a CPU, but their times mean nothing."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def _quicken_interpreter() -> None:
    """Half of the time of an interpreted kernel goes without any of its operations; this takes that half away.

    A kernel's call of a helper replaces the functions of `tl` once more, though the launch has done so. Triton's own
    helpers (`tl.sum` is one) see `tl.core` instead of `tl`, so the first call from each module still does. And every
    operation writes anew the table of which type NumPy has for which of Triton's.
    """
    from triton.runtime import interpreter

    class_, set_up = interpreter.InterpretedFunction, interpreter._patch_lang
    ready: set[int] = set()

    def call(self: Any, *args: object, **kwargs: object) -> Any:
        if id(self.fn.__globals__) not in ready:
            set_up(self.fn)
            ready.add(id(self.fn.__globals__))
        return self.rewrite()(*args, **kwargs)

    class_.__call__ = call
    of_scalar = cache(interpreter._get_np_dtype)
    # No kind of pointer can be looked up; all are held as the same type.
    interpreter._get_np_dtype = lambda kind: of_scalar(tl.uint64 if kind.scalar.is_ptr() else kind.scalar)


if interpreted() and has_triton():
    with contextlib.suppress(ImportError, AttributeError):  # another version's interpreter stays as it is, only slower
        _quicken_interpreter()


def require_triton(what: str = "this kernel") -> None:
    """Raises TritonMissingError unless Triton was imported."""
    if not has_triton():
        raise TritonMissingError(what)
