"""Subjects that tell what they hold and what a call takes: parameters, bytes of weights, floating-point operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

Lent = tuple[torch.Size, torch.dtype, torch.device]


def counted_flops(function: Callable[..., Any], lent: Iterable[Lent]) -> int:
    """Operations of matrix products, convolutions and attention that torch counts in one call of `function`.

    `lent` is shape, dtype and device of each argument. Nothing is computed: the arguments have no data, and what the
    function holds lends its shapes only. Kernels that torch does not know are not counted.
    """
    fake = FakeTensorMode(allow_non_fake_inputs=True)
    # Attention as plain products: torch has no count for its fused kernel on a CPU.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), fake, FlopCounterMode(display=False) as counter:
        function(*(torch.empty(shape, dtype=dtype, device=device) for shape, dtype, device in lent))
    return int(counter.get_total_flops())


class CountedSubject:
    """A subject made of a function and the tensors it holds; its footprint is counted from them.

    `counted_by` is an equal function whose operations torch can count, where `run` launches kernels of its own. `extra`
    overrides or adds figures.
    """

    def __init__(
        self,
        run: Callable[..., Any],
        held: Iterable[Tensor] | Mapping[str, Tensor],
        *,
        counted_by: Callable[..., Any] | None = None,
        extra: Mapping[str, int] | None = None,
    ) -> None:
        self.run = run
        self.held = tuple(held.values() if isinstance(held, Mapping) else held)
        self._counted_by = counted_by or run
        self._extra = dict(extra or {})
        self._lent: tuple[Lent, ...] = ()

    def __call__(self, *inputs: Tensor) -> Any:
        self._lent = tuple((each.shape, each.dtype, each.device) for each in inputs)
        return self.run(*inputs)

    def footprint(self) -> dict[str, int]:
        """`weights` in bytes, `parameters` of floating type, and `flops` of the last call (none before a call)."""
        found = {
            "weights": sum(each.nbytes for each in self.held),
            "parameters": sum(each.numel() for each in self.held if each.is_floating_point()),
        }
        if self._lent:
            found["flops"] = counted_flops(self._counted_by, self._lent)
        return found | self._extra
