"""How far an output is from the reference, and whether that is near enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from runners.card_types import Check

TOP_K = 10
HIGHER_IS_BETTER = frozenset({"cosine", "topk_overlap"})
# A maximum over elements scatters more than a norm does; it only has to catch single elements gone wrong.
MAXIMUM_SLACK = 2.0
SCATTER = 3.0
PART = 2**26  # elements that are compared at once


@dataclass(frozen=True)
class Figures:
    """Error of one output against the float64 reference. Infinite where values are not finite in the same places."""

    relative_l2: float
    max_abs: float
    scale: float
    """Largest magnitude in the reference."""
    mismatch: float
    """Share of elements that differ, for integer outputs; 0 for floating ones."""
    count: int
    """Number of elements compared."""

    def to_dict(self) -> dict[str, float]:
        return {"relative_l2": self.relative_l2, "max_abs": self.max_abs, "mismatch": self.mismatch}


def figures(output: Tensor, reference: Tensor) -> Figures:
    """Error figures of `output` against `reference` of the same shape; large ones are compared in parts.

    The copies in float64 would otherwise need more memory than the workload itself.
    """
    if not reference.is_floating_point():
        share = (output != reference).double().mean().item() if output.numel() else 0.0
        return Figures(share, share, 1.0, share, output.numel())
    parts = zip(output.detach().flatten().split(PART), reference.detach().flatten().split(PART), strict=True)
    sums = [_sums(*part) for part in parts]
    count = sum(each.count for each in sums)
    scale, largest = max((each.scale for each in sums), default=0.0), max((each.max_abs for each in sums), default=0.0)
    if count == 0 and largest == 0.0:
        return Figures(0.0, 0.0, 1.0, 0.0, 0)
    error, norm = (math.sqrt(math.fsum(squares)) for squares in zip(*((s.error, s.norm) for s in sums), strict=True))
    relative = error / norm if norm else (0.0 if error == 0 else float("inf"))
    return Figures(relative, largest, scale, 0.0, count)


@dataclass(frozen=True)
class _Sums:
    """Of one part: squares of the error and of the reference, largest magnitudes, elements compared."""

    error: float
    norm: float
    max_abs: float
    scale: float
    count: int


def _sums(output: Tensor, reference: Tensor) -> _Sums:
    wanted, found = reference.double(), output.double()
    finite = torch.isfinite(wanted)
    if not bool(finite.all()):
        same = torch.equal(torch.isfinite(found), finite) and bool(
            torch.isclose(found[~finite], wanted[~finite], equal_nan=True).all()
        )
        if not same:
            return _Sums(math.inf, 1.0, math.inf, 1.0, reference.numel())
        wanted, found = wanted[finite], found[finite]
    if wanted.numel() == 0:
        return _Sums(0.0, 0.0, 0.0, 0.0, 0)
    scale = wanted.abs().max().item()
    if not bool(torch.isfinite(found).all()):
        return _Sums(math.inf, 1.0, math.inf, scale, wanted.numel())
    difference = found - wanted
    error, norm = difference.norm().item() ** 2, wanted.norm().item() ** 2
    return _Sums(error, norm, difference.abs().max().item(), scale, wanted.numel())


def within_factor(found: Figures, allowed: Figures, factor: float, epsilon: float) -> bool:
    """The exact rule: at most `factor` times the same-precision rung's error, never held below one rounding.

    The error of an output with few elements is a figure drawn from few roundings. The factor is widened by what such a
    draw scatters, so that two equally good subjects pass; it tends to `factor` as outputs grow.
    """
    if allowed.mismatch or found.mismatch:
        return found.mismatch <= factor * allowed.mismatch
    widened = factor * (1 + SCATTER / math.sqrt(max(found.count, 1)))
    return (
        found.relative_l2 <= max(widened * allowed.relative_l2, epsilon)
        and found.max_abs <= max(MAXIMUM_SLACK * widened * allowed.max_abs, epsilon * found.scale)
    )  # fmt: skip


def worst(several: Sequence[Figures]) -> Figures:
    return Figures(
        max(each.relative_l2 for each in several),
        max(each.max_abs for each in several),
        max(each.scale for each in several),
        max(each.mismatch for each in several),
        min(each.count for each in several),
    )


def quality(name: str, output: Tensor, reference: Tensor) -> float:
    """The card's quality figure of a floating output: relative_l2, cosine, topk_overlap or kl; NaN if not finite."""
    wanted, found = reference.detach().double(), output.detach().double()
    if not bool(torch.isfinite(found).all()):
        return float("nan")
    if name == "cosine":
        return torch.nn.functional.cosine_similarity(found.flatten(), wanted.flatten(), dim=0).item()
    if name == "topk_overlap":
        count = max(1, min(TOP_K, wanted.shape[-1] // 2)) if wanted.dim() else 1
        best, chosen = wanted.topk(count, dim=-1).indices, found.topk(count, dim=-1).indices
        return (best.unsqueeze(-1) == chosen.unsqueeze(-2)).any(-1).double().mean().item()
    if name == "kl":
        log_wanted, log_found = wanted.log_softmax(-1), found.log_softmax(-1)
        return (log_wanted.exp() * (log_wanted - log_found)).sum(-1).mean().item()
    return figures(found, wanted).relative_l2


def within_budget(check: Check, found: float) -> bool:
    """The approximate rule; a figure that is NaN is never within."""
    budget = check.budget or 0.0
    return found >= budget if check.quality in HIGHER_IS_BETTER else found <= budget


def shape_problem(outputs: Sequence[Tensor], reference: Sequence[Tensor], names: Sequence[str]) -> str:
    """What is wrong with number or shapes of the outputs, or ""."""
    if len(outputs) != len(reference):
        return f"{len(outputs)} outputs where the reference has {len(reference)}"
    for name, output, wanted in zip(names, outputs, reference, strict=True):
        if output.shape != wanted.shape:
            return f"{name} has shape {tuple(output.shape)} where the reference has {tuple(wanted.shape)}"
    return ""


def dtype_problem(outputs: Sequence[Tensor], same_precision: Sequence[Tensor], names: Sequence[str]) -> str:
    """What is wrong with the dtypes of the outputs, or ""."""
    for name, output, wanted in zip(names, outputs, same_precision, strict=True):
        if output.dtype != wanted.dtype:
            return f"{name} is {output.dtype} where the same-precision rung gives {wanted.dtype}"
    return ""


def identical(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors hold the same values, NaN counting as equal to NaN."""
    if first.dtype != second.dtype or first.shape != second.shape:
        return False
    if torch.equal(first, second):
        return True
    return first.is_floating_point() and torch.allclose(first, second, rtol=0, atol=0, equal_nan=True)
