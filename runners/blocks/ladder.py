"""Rungs of the baseline ladder that every card can reuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Subject = Callable[..., Any]
MakeSubject = Callable[[dict[str, int], dict[str, Tensor]], Subject]


class CompiledSubject:
    """A subject run through `torch.compile`, which compiles at the first call; the harness times that as set-up."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        if hasattr(subject, "footprint"):
            self.footprint = subject.footprint

        # A closure, because torch.compile takes functions and modules but not every callable object.
        def call(*inputs: Tensor) -> Any:
            return subject(*inputs)

        # dynamic=False: each workload has one shape, and a kernel for symbolic shapes would be a weaker baseline.
        self._call = torch.compile(call, dynamic=False)

    def __call__(self, *inputs: Tensor) -> Any:
        return self._call(*inputs)


def compiled(make_subject: MakeSubject) -> MakeSubject:
    """The rung "compiled": what `torch.compile` makes of another rung's subject.

    The result carries `compiles = True`, by which the harness knows to build it only where it is timed.
    """

    def make_compiled(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
        return CompiledSubject(make_subject(axes, weights))

    return compiles(make_compiled)


def compiles(make_subject: MakeSubject) -> MakeSubject:
    """Marks a rung that compiles parts of itself, where compiling a whole call would unroll too many steps."""
    make_subject.compiles = True  # type: ignore[attr-defined]
    return make_subject
