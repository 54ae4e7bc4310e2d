"""A feed-forward layer of any size: weights as a stack of one-bit blocks, of which as many are loaded as memory allows.

Source: "BitStack: Fine-Grained Size Control for Compressed Large Language Models in Variable Memory Environments" (2024).

    scaling   each weight is multiplied by the root mean square that its feature has in calibration tokens, so that what
              matters for the output is decomposed first; tokens are divided by it at run time
    blocks    the signs of the matrix, one bit each, times a rank-16 approximation of its magnitudes; then the same of
              what is left, and so on
    stack     the blocks of all three matrices, sorted by how much of the output's squared error each takes away for
              its bytes; a budget loads a prefix, so that more memory adds blocks and less drops them
    rungs     "paper": nearest rounding in groups of 128, clipped by a search, in the most bits that fit the same bytes, unpacked before its product

`budget` is in thousandths of the layer's bytes in 16 bits: 62.5 are one bit a weight. Shapes: x (tokens, features), gate
and up (hidden, features), down (features, hidden), result (tokens, features).

Signs alone leave 1 - 2/pi = 36 % of the square of normal values, 60 % of their size, and each further block about as much;
rounding in steps halves its error with each bit. What favours blocks is planted: weights that differ in size from feature
to feature and row to row (e to the power of normal values times 0.5 and 0.3), which costs the magnitudes one rank, and
features whose tokens are large. Relative error of one layer's output, 2048 to 3072 features, computed on a CPU in float32:

    blocks               1.21 bits 0.58    2.42 bits 0.34    3.62 bits 0.22    4.83 bits 0.16    6.04 bits 0.13
    nearest rounding     1.12 bits 0.71    2.12 bits 0.45    3.12 bits 0.27    4.12 bits 0.15    5.12 bits 0.08
    blocks, even sizes   1.21 bits 0.59    2.42 bits 0.35    3.62 bits 0.23    4.83 bits 0.17    6.04 bits 0.14
    rounding, even sizes 1.12 bits 0.60    2.12 bits 0.34    3.12 bits 0.19    4.12 bits 0.10    5.12 bits 0.05

Blocks win at few bits and between whole ones; from 4 bits on rounding does, and on weights of even size from 2. Wider
layers pay less for their magnitudes: 1.08 bits a block at 4096 by 14336.

Why it should win in time: one token through the layer of Llama-3-8B (4096, 14336) reads 352 MB in 16 bits, 73 us on an H200
at 4.8 TB/s; at 250 thousandths 88 MB, 18 us, and its products, 0.35 GFLOP, are nothing. Each block costs 32 operations a
weight besides, 5.6 GFLOP for each bit or 6 us at 990 TFLOP/s, and one instruction to expand a sign, as much again: between
30 and 50 us in all. Past four tokens the weight is rebuilt first, which reads and writes more than the layer in 16 bits
has: there it only saves memory, and loses time.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear

from runners.blocks.gated import gated, gated_by_library
from runners.blocks.graphs import graphed
from runners.blocks.ladder import compiled, compiles
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.packed import GROUP, Int4Linear, Linear16, filled_blocks, pack_codes, unpack_codes
from runners.blocks.packed8 import best_candidates
from runners.blocks.rand import Rand
from runners.blocks.rounding import with_outliers
from runners.blocks.sign_planes import FEW, RANK, Plane, PlanesLinear, make_plane

NAMES = ("gate", "up", "down")
CALIBRATION_TOKENS = 64
LEVELS = 8
POWER_STEPS = 3
FEATURES_DIFFER, ROWS_DIFFER = 0.5, 0.3
OUTLIERS = 4
CLIPPED = [0.1 * step for step in range(2, 11)]


def is_decoding(axes: dict[str, int]) -> bool:
    """Whether a call is so short that launching its kernels from Python would count; it is recorded as a graph."""
    return axes["tokens"] <= FEW


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """gate and up (hidden, features), down (features, hidden), and tokens to calibrate with (64, features)."""
    features, hidden = axes["features"], axes["hidden"]

    def planted(outputs: int, inside: int) -> Tensor:
        weight = rand.gaussian(outputs, inside, scale=inside**-0.5)
        sizes = (rand.gaussian(1, inside) * FEATURES_DIFFER).exp() * (rand.gaussian(outputs, 1) * ROWS_DIFFER).exp()
        return weight * sizes / sizes.square().mean().sqrt()

    return {
        "gate": planted(hidden, features),
        "up": planted(hidden, features),
        "down": planted(features, hidden),
        "calibration": with_outliers(rand.gaussian(CALIBRATION_TOKENS, features), OUTLIERS, scale=4.0),
    }


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor]:
    return (with_outliers(rand.normal(axes["tokens"], axes["features"]), OUTLIERS, scale=4.0),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Magnitudes of each block that the budget affords, then one product a matrix; blocks as they are stored."""
    tokens, features, hidden = axes["tokens"], axes["features"], axes["hidden"]
    block = features * hidden // 8 + 2 * RANK * (features + hidden)
    sizes = 4 * (2 * features + hidden)
    blocks = min(len(NAMES) * LEVELS, (len(NAMES) * features * hidden * 2 * axes["budget"] // 1000 - sizes) // block)
    products = 2 * features * hidden * (blocks * RANK + len(NAMES) * tokens)
    return LeastWork({dtype: products}, blocks * block + sizes + BYTES[dtype] * 2 * tokens * features)


def allowed_bytes(axes: dict[str, int], weights: dict[str, Tensor]) -> int:
    return sum(weights[name].numel() for name in NAMES) * 2 * axes["budget"] // 1000


def low_rank(magnitudes: Tensor, rank: int = RANK) -> tuple[Tensor, Tensor]:
    """left (rows, rank), right (columns, rank): about the best left @ right^T, by steps of a subspace from a fixed start."""
    rank_of_both = min(rank, *magnitudes.shape)
    generator = torch.Generator(device=magnitudes.device).manual_seed(0)
    right = torch.randn(magnitudes.shape[1], rank_of_both, generator=generator, device=magnitudes.device)
    for _ in range(POWER_STEPS):
        rows = torch.linalg.qr(magnitudes @ right).Q
        right = torch.linalg.qr(magnitudes.t() @ rows).Q
    missing = (0, rank - rank_of_both)
    return torch.nn.functional.pad(magnitudes @ right, missing), torch.nn.functional.pad(right, missing)


def decompose(scaled: Tensor, levels: int, dtype: torch.dtype) -> list[tuple[Plane, float]]:
    """Blocks of a float32 matrix and the share of its square that each takes away; each is of what those before leave."""
    residual, whole = scaled.clone(), scaled.square().sum().clamp_min(torch.finfo(torch.float32).tiny)
    found, before = [], 1.0
    for _ in range(levels):
        left, right = (each.to(dtype) for each in low_rank(residual.abs()))
        plane = make_plane(residual, left, right)
        residual -= torch.where(residual < 0, -1.0, 1.0) * (left.float() @ right.float().t())
        after = float(residual.square().sum() / whole)
        found.append((plane, before - after))
        before = after
    return found


@dataclass(frozen=True)
class StackedBlock:
    name: str
    """Of the matrix."""
    plane: Plane
    gain: float
    """What it takes off the share of squared error, for each byte; within a matrix never more than the block before."""


def make_stack(matrices: dict[str, Tensor], dtype: torch.dtype, storage: str = "cpu") -> list[StackedBlock]:
    """Blocks of scaled float32 matrices, best first, in `storage`."""
    stack = []
    for name, matrix in matrices.items():
        least = float("inf")
        for plane, gain in decompose(matrix, LEVELS, dtype):
            least = min(least, gain / plane.nbytes)
            stack.append(StackedBlock(name, plane.to(storage), least))
    # Sorting keeps the order of equals: no block comes before one that it needs.
    return sorted(stack, key=lambda block: -block.gain)


def feature_sizes(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """float32 (features of the matrix,): root mean square in the calibration tokens."""
    tokens = weights["calibration"].float()
    hidden = gated_by_library(tokens @ weights["gate"].float().t(), tokens @ weights["up"].float().t())
    of_tokens, of_hidden = (each.square().mean(dim=0).sqrt().clamp_min(1e-6) for each in (tokens, hidden))
    return {"gate": of_tokens, "up": of_tokens, "down": of_hidden}


class BitStackFeedForward:
    """x (tokens, features) -> (tokens, features), with the blocks that the last `load` could afford."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        sizes = feature_sizes(weights)
        dtype = torch.float16 if weights["gate"].dtype == torch.float16 else torch.bfloat16
        self.layers = {name: PlanesLinear(weights[name].shape[0], sizes[name], weights[name].dtype) for name in NAMES}
        self.stack = make_stack({name: weights[name].float() * sizes[name] for name in NAMES}, dtype)
        self.loaded = 0

    def load(self, allowed: int) -> None:
        """As many of the stack's first blocks as `allowed` bytes hold beside the features' sizes."""
        left = allowed - sum(layer.divisors.nbytes for layer in self.layers.values())
        self.loaded = 0
        for block in self.stack:
            left -= block.plane.nbytes
            if left < 0:
                break
            self.loaded += 1
        for name, layer in self.layers.items():
            layer.load([block.plane for block in self.stack[: self.loaded] if block.name == name])

    def __call__(self, x: Tensor) -> Tensor:
        return self.layers["down"](gated(self.layers["gate"](x), self.layers["up"](x)))

    def footprint(self) -> dict[str, int]:
        held = sum(layer.footprint()["weights"] for layer in self.layers.values())
        return {"weights": held, "blocks_loaded": self.loaded}


class RoundedLinear:
    """Nearest of 2 ** bits even steps, none of them zero, in groups of 128, each clipped where its error is least.

    Unpacked by library operations at each call.
    """

    def __init__(self, weight: Tensor, bits: int) -> None:
        self.features, self.dtype = weight.shape[1], weight.dtype
        grouped, half = filled_blocks(weight.float(), GROUP), 2 ** (bits - 1)
        self.half = half - 0.5

        def codes(scales: Tensor) -> Tensor:
            return (grouped / scales).floor().clamp(-half, half - 1) + half

        def error(scales: Tensor) -> Tensor:
            return ((codes(scales) - self.half) * scales - grouped).square().sum(dim=2, keepdim=True)

        widest = grouped.abs().amax(dim=2, keepdim=True).clamp_min(1e-30) / half
        kind = torch.float16 if weight.dtype == torch.float16 else torch.bfloat16
        scales = best_candidates([(widest * share).to(kind).float().clamp_min(1e-7) for share in CLIPPED], error)
        flat = codes(scales).to(torch.uint8).flatten(1)
        self.scales = scales.to(kind)
        self.planes = [pack_codes(flat >> bit & 1, 1, GROUP) for bit in range(bits)]

    def __call__(self, tokens: Tensor) -> Tensor:
        groups = self.scales.shape[1]
        codes = sum(unpack_codes(plane, 1, groups * GROUP) << bit for bit, plane in enumerate(self.planes))
        weight = (torch.as_tensor(codes).to(self.dtype).unflatten(1, (groups, GROUP)) - self.half) * self.scales
        return linear(tokens, weight.flatten(1)[:, : self.features].to(tokens.dtype))

    def footprint(self) -> dict[str, int]:
        return {"weights": self.scales.nbytes + sum(plane.nbytes for plane in self.planes)}


Linear = Linear16 | Int4Linear | RoundedLinear


class FeedForward:
    """The same layer of three linear ones."""

    def __init__(self, gate: Linear, up: Linear, down: Linear) -> None:
        self.gate, self.up, self.down = gate, up, down

    def __call__(self, x: Tensor) -> Tensor:
        return self.down(gated_by_library(self.gate(x), self.up(x)))

    def footprint(self) -> dict[str, int]:
        return {"weights": sum(each.footprint()["weights"] for each in (self.gate, self.up, self.down))}


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> BitStackFeedForward:
    layer = BitStackFeedForward(weights)
    layer.load(allowed_bytes(axes, weights))
    return layer


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> FeedForward:
    """The most bits whose codes and scales fit; one bit where none do."""
    allowed = allowed_bytes(axes, weights)
    for bits in range(8, 0, -1):
        layer = FeedForward(*(RoundedLinear(weights[name], bits) for name in NAMES))
        if bits == 1 or layer.footprint()["weights"] <= allowed:
            return layer
    raise AssertionError


def make_int4(axes: dict[str, int], weights: dict[str, Tensor]) -> FeedForward:
    return FeedForward(*(Int4Linear(weights[name]) for name in NAMES))


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> FeedForward:
    return FeedForward(*(Linear16(weights[name]) for name in NAMES))


SUBJECTS = {
    "technique": graphed(make_technique, is_decoding),
    "paper": graphed(make_paper, is_decoding),
    "int4": graphed(make_int4, is_decoding),
    "eager": graphed(make_eager, is_decoding),
    "compiled": compiles(graphed(compiled(make_eager), is_decoding)),
}
