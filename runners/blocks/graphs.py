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
    """A subject of one shape, and one tensor as its result, whose whole call is a CUDA graph from its first call on.

    What a recorded call works with lies in the graph's own memory from one call to the next, where the allocator's peak
    does not show it. A stand-in of that size is allocated around each replay, so that a call's peak is what the call
    needs, as it is of a subject that was not recorded.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        if hasattr(subject, "footprint"):
            self.footprint = subject.footprint
        self._inputs: tuple[Tensor, ...] = ()
        self._replay: Callable[[], Tensor] | None = None
        self._tried = False
        self._working_bytes = 0

    def __call__(self, *inputs: Tensor) -> Tensor:
        if not inputs[0].is_cuda:
            return self._subject(*inputs)
        if not self._tried:
            self._record(inputs)
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        stand_in = inputs[0].new_empty(self._working_bytes, dtype=torch.uint8)
        result = self._replay() if self._replay else self._subject(*self._inputs)
        del stand_in
        return result.clone()

    def _record(self, inputs: tuple[Tensor, ...]) -> None:
        self._inputs = tuple(each.clone() for each in inputs)
        replay = recorded(self._measured)
        if replay == self._measured:
            self._working_bytes = 0
        else:
            self._replay = replay
        self._tried = True

    def _measured(self) -> Tensor:
        """The call that is recorded, and how many bytes it takes at most beside what was held before."""
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        result = self._subject(*self._inputs)
        self._working_bytes = torch.cuda.max_memory_allocated() - before
        return result


def graphed(make_subject: MakeSubject, when: Callable[[dict[str, int]], bool] = lambda axes: True) -> MakeSubject:
    """Another rung's subject as a CUDA graph, for axes of which `when` holds; on a CPU it is called as it is.

    In float64 nothing is recorded: that is the reference, which is called once and whose graph would hold memory.
    """

    def make_graphed(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
        subject = make_subject(axes, weights)
        wide = any(each.dtype == torch.float64 for each in weights.values())
        return subject if wide or not when(axes) else GraphedSubject(subject)

    return make_graphed
