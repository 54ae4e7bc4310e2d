"""CUDA graphs: work of one shape is recorded once and replayed without launching each operation from Python."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from runners.blocks.ladder import MakeSubject, Subject

WARM_UP = 3


def recorded(run: Callable[[], Any]) -> Callable[[], Any]:
    """`run` as a CUDA graph: same tensors in, same tensors out, at each replay; `run` itself where recording fails.

    It must read and write tensors that stay where they are, and neither wait for the device nor copy from the host.
    """
    try:
        with torch.no_grad():
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(WARM_UP):
                    run()
            torch.cuda.current_stream().wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                outputs = run()
    except RuntimeError as error:
        if isinstance(error, torch.cuda.OutOfMemoryError):
            raise
        warnings.warn(f"no CUDA graph was recorded, so that each operation is launched: {error}", stacklevel=2)
        return run

    def replay() -> Any:
        graph.replay()
        return outputs

    return replay


class GraphedSubject:
    """A subject of one shape, and one tensor as its result, whose whole call is a CUDA graph from its first call on."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        if hasattr(subject, "footprint"):
            self.footprint = subject.footprint
        self._inputs: tuple[Tensor, ...] = ()
        self._replay: Callable[[], Tensor] | None = None

    def __call__(self, *inputs: Tensor) -> Tensor:
        if not inputs[0].is_cuda:
            return self._subject(*inputs)
        if self._replay is None:
            self._inputs = tuple(each.clone() for each in inputs)
            self._replay = recorded(lambda: self._subject(*self._inputs))
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        return self._replay().clone()


def graphed(make_subject: MakeSubject) -> MakeSubject:
    """Another rung's subject as a CUDA graph; on a CPU it is called as it is."""

    def make_graphed(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
        return GraphedSubject(make_subject(axes, weights))

    return make_graphed
