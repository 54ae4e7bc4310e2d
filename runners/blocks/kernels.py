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

import os
from collections.abc import Callable
from typing import Any

__all__ = ["TritonMissingError", "has_triton", "interpreted", "require_triton", "tl", "triton"]


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


def interpreted() -> bool:
    """Whether kernels run in Triton's interpreter: right on a CPU, but their times mean nothing."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def require_triton(what: str = "this kernel") -> None:
    """Raises TritonMissingError unless Triton was imported."""
    if not has_triton():
        raise TritonMissingError(what)
