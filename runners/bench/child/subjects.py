"""From a card to callables: the module, its weights and inputs, and one call of a subject."""

from __future__ import annotations

import importlib.util
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from runners.blocks.kernels import TritonMissingError
from runners.blocks.rand import Rand
from runners.card_types import Card, Workload

# Axes that count independent things: any size is as good as another. Other axes need `check.multiples` to be varied.
FREE_AXES = frozenset(
    [
        "batch",
        "seq",
        "seq_len",
        "length",
        "rows",
        "tokens",
        "context",
        "queries",
        "keys",
        "steps_in",
        "new_tokens",
        "prompt",
        "samples",
        "nodes",
        "frames",
    ]
)
DTYPES = {name: getattr(torch, name) for name in ("float64", "float32", "float16", "bfloat16")}


class HarnessError(Exception):
    """A typed end of the run: a result status, a failure reason and a sentence."""

    def __init__(self, status: str, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.reason, self.detail = status, reason, detail


class ReferenceTooLargeError(Exception):
    """The float64 reference or the same-precision rung does not fit into memory at this size."""


def classify(error: BaseException) -> tuple[str, str]:
    """Result status and failure reason of an exception from code under test."""
    text = str(error).lower()
    if isinstance(error, HarnessError):
        return error.status, error.reason
    told = "can't allocate memory" in text or ("cuda" in text and "out of memory" in text)
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError) or told:
        return "OUT_OF_MEMORY", "out-of-memory"
    if isinstance(error, TritonMissingError):
        return "UNSUPPORTED", "unsupported"
    if type(error).__module__.startswith(("torch._dynamo", "torch._inductor", "triton.compiler")):
        return "COMPILE_ERROR", "compile-error"
    return "RUNTIME_ERROR", "crashed"


def load_module(card: Card) -> ModuleType:
    """Imports the card's module by its path. Raises HarnessError where it lacks `inputs` or a subject."""
    spec = importlib.util.spec_from_file_location(card.module_name, card.module_path)
    if spec is None or spec.loader is None:
        raise HarnessError("RUNTIME_ERROR", "crashed", f"{card.module_path.name} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[card.module_name] = module
    spec.loader.exec_module(module)
    for wanted in ("inputs", "SUBJECTS"):
        if not hasattr(module, wanted):
            raise HarnessError("RUNTIME_ERROR", "crashed", f"{card.module_path.name} has no {wanted!r}; define it")
    needed = {"technique", card.check.reference, card.check.same_precision, *(rung.name for rung in card.baselines)}
    missing = sorted(needed - set(module.SUBJECTS))
    if missing:
        detail = f"{card.module_path.name} has no subject {', '.join(missing)}, which the card names"
        raise HarnessError("RUNTIME_ERROR", "crashed", detail)
    return module


@dataclass(frozen=True)
class Setting:
    """What one run is about; shared by checks and timing."""

    card: Card
    module: ModuleType
    device: str

    def weights(self, workload: Workload, seed: int) -> dict[str, Tensor]:
        make = getattr(self.module, "weights", None)
        if make is None:
            return {}
        rand = Rand(seed, dtype=DTYPES[workload.dtype], device=self.device)
        return dict(make(dict(workload.axes), rand))

    def inputs(self, workload: Workload, seed: int, distribution: str) -> tuple[Tensor, ...]:
        rand = Rand(seed, dtype=DTYPES[workload.dtype], device=self.device, distribution=distribution)
        made = self.module.inputs(dict(workload.axes), rand)
        return tuple(made) if isinstance(made, tuple | list) else (made,)

    def make(self, name: str, workload: Workload, weights: Mapping[str, Tensor]) -> Callable[..., Any]:
        """Sets the subject `name` up on its own clones of `weights`."""
        subject: Callable[..., Any] = self.module.SUBJECTS[name](dict(workload.axes), cloned(weights))
        return subject

    def is_compiled(self, name: str) -> bool:
        return bool(getattr(self.module.SUBJECTS[name], "compiles", False))


def cloned(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def in_float64(tensor: Tensor) -> Tensor:
    """A detached copy in float64; integers and booleans keep their type."""
    copy = tensor.detach().clone()
    return copy.double() if copy.is_floating_point() else copy


def as_outputs(returned: Any) -> tuple[Tensor, ...]:
    """Outputs as a tuple. Raises HarnessError for anything but plain tensors: a lazy subclass could postpone work."""
    outputs = tuple(returned) if isinstance(returned, tuple | list) else (returned,)
    for output in outputs:
        if type(output) not in (torch.Tensor, torch.nn.Parameter):
            detail = f"the output is a {type(output).__name__}; return a torch.Tensor or a tuple of them"
            raise HarnessError("INCORRECT_DTYPE", "incorrect", detail)
    if not outputs:
        raise HarnessError("INCORRECT_SHAPE", "incorrect", "there is no output; return at least one tensor")
    return outputs


def with_gradients(inputs: Sequence[Tensor], indices: Sequence[int]) -> tuple[Tensor, ...]:
    """Clones of `inputs` on new storage, those in `indices` requiring gradients."""
    clones = [tensor.detach().clone() for tensor in inputs]
    for index in indices:
        if index >= len(clones) or not clones[index].is_floating_point():
            detail = f"check.gradients names input {index}, but the floating inputs are " + ", ".join(
                str(position) for position, tensor in enumerate(clones) if tensor.is_floating_point()
            )
            raise HarnessError("INVALID_REFERENCE", "incorrect", detail)
        clones[index].requires_grad_(True)
    return tuple(clones)


def cotangents_for(outputs: Sequence[Tensor], seed: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """A random cotangent for each differentiable output, rounded to `dtype` so that every subject sees the same one."""
    return tuple(
        Rand(seed + index, dtype=dtype, device=output.device).gaussian(*output.shape).to(output.dtype)
        for index, output in enumerate(differentiable(outputs))
    )


def differentiable(outputs: Sequence[Tensor]) -> list[Tensor]:
    return [output for output in outputs if output.is_floating_point() and output.requires_grad]


def pulled_back(heads: Sequence[Tensor], wanted: Sequence[Tensor], cotangents: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Gradients of `heads` weighted by `cotangents` with respect to `wanted`; zeros where a head does not depend on it.

    As autograd.grad(heads, wanted, cotangents), which imports a computer algebra system first: half a second. The weighted
    sums stay in the dtype of their head, since only their derivative is asked for: it is the cotangent itself even where
    the sum overflows, and a copy of a large output in float64 might not fit beside it.
    """
    weighted = [(head * each).sum() for head, each in zip(heads, cotangents, strict=True)]
    found = torch.autograd.grad(sum(weighted[1:], weighted[0]), wanted, allow_unused=True)
    return tuple(
        torch.zeros_like(tensor) if gradient is None else gradient
        for tensor, gradient in zip(wanted, found, strict=True)
    )


def odd_workload(setting: Setting, seed: int) -> Workload:
    """A check workload with axes that no card lists, derived from the seed.

    The module's own `odd_axes(axes, seed)` decides where it exists; else free axes, and those in `check.multiples` by
    their step, are enlarged. Raises HarnessError where nothing may be changed.
    """
    card = setting.card
    base = next(workload for workload in card.workloads if workload.is_checked)
    listed = [workload.axes for workload in card.workloads]
    own = getattr(setting.module, "odd_axes", None)
    chooser = random.Random(seed)
    for attempt in range(32):
        axes = dict(own(dict(base.axes), seed + attempt)) if own else _enlarged(card, base.axes, chooser)
        if axes not in listed:
            return replace(base, name="odd-unlisted", axes=axes)
    raise HarnessError(
        "INVALID_REFERENCE",
        "incorrect",
        "no odd shape can be derived; name axes that may vary in [check] multiples = { axis = step }, "
        "or define odd_axes(axes, seed) in the module",
    )


def _enlarged(card: Card, axes: Mapping[str, int], chooser: random.Random) -> dict[str, int]:
    changed = dict(axes)
    for axis, value in axes.items():
        if axis in card.check.fixed:
            continue
        if axis in card.check.multiples:
            changed[axis] = value + card.check.multiples[axis] * chooser.randint(0, 2)
        elif axis in FREE_AXES:
            changed[axis] = value + chooser.randint(1, 5)
    return changed
