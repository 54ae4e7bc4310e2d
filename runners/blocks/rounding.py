"""Rounding the weight of a layer onto a grid of few levels, with regard to the inputs it will meet.

A weight W is (outputs, features); calibration inputs X are (tokens, features), and all that matters of them is their Gram
matrix H = X^T X: the layer's output changes by |X (W - Q)^T|^2 = trace((W - Q) H (W - Q)^T). Rows are independent.

`sweep` is the step that column-by-column methods share. It holds z, the value that each entry would best have; it visits
column after column, rounds, and passes on how far the entry moved, through a matrix that says how much of it each other
column takes over. Columns of a block of BLOCK are visited on the chip, the others hear of a block by one matrix product.
GPTQ, here as the baseline of others, is one such sweep ("GPTQ: Accurate Post-Training Quantization for Generative
Pre-trained Transformers", 2022).
"""

# Kernels are typed by what they are launched with.
# ruff: noqa: ANN001, ANN201, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from runners.blocks.kernels import require_triton, tl, triton
from runners.blocks.rand import Rand

BLOCK = 128
ROWS_OF_A_TILE = 16
# Share of the mean diagonal that GPTQ adds to the diagonal, so that the matrix can be inverted.
DAMPING = 0.01
OUTLIER_SCALE = 20.0


@dataclass(frozen=True)
class UniformGrid:
    """Levels 0 .. levels, evenly spaced: (level - zero) * step. step and zero are (rows, 1), or (1, 1) for all rows."""

    step: Tensor
    zero: Tensor
    levels: int

    @classmethod
    def spanning(cls, weight: Tensor, bits: int, *, by_row: bool = True) -> UniformGrid:
        """From the smallest to the largest weight of each row, or of all rows; zero is on the grid."""
        rows = weight if by_row else weight.reshape(1, -1)
        low, high = rows.amin(1, keepdim=True).clamp(max=0), rows.amax(1, keepdim=True).clamp(min=0)
        levels = 2**bits - 1
        step = ((high - low) / levels).clamp_min(torch.finfo(torch.float32).tiny)
        return cls(step, (-low / step).round(), levels)

    def round(self, values: Tensor) -> Tensor:
        """Each value's nearest point on the grid."""
        return self.at((values / self.step).round())

    def at(self, steps: Tensor) -> Tensor:
        """The grid points that lie whole numbers of `steps` from zero, or the nearest end of the grid."""
        return ((steps + self.zero).clamp(0, self.levels) - self.zero) * self.step


def correlated_inputs(rand: Rand, tokens: int, features: int) -> Tensor:
    """Inputs (tokens, features) as inside a network: a few directions carry most, and features differ in size.

    A quarter as many hidden causes as features, of falling strength, mixed at random, and a tenth of noise.
    """
    causes = max(1, features // 4)
    strength = torch.arange(1, causes + 1, device=rand.device).rsqrt().to(rand.dtype)
    mixing = rand.gaussian(causes, features) * strength[:, None]
    mixed = rand.normal(tokens, causes) @ (mixing / strength.square().sum().sqrt())
    return mixed + rand.normal(tokens, features, scale=0.1)


def with_outliers(values: Tensor, outliers: int, *, scale: float = OUTLIER_SCALE, offset: int = 0) -> Tensor:
    """The same `outliers` features are large in every row, as in language models; spread evenly, halves of steps in."""
    places = (2 * torch.arange(outliers, device=values.device) + 1) * values.shape[1] // (2 * outliers)
    values[:, (places + offset) % values.shape[1]] *= scale
    return values


def gram_matrix(inputs: Tensor) -> Tensor:
    """H = X^T X in float32 at least."""
    wide = inputs.to(torch.promote_types(inputs.dtype, torch.float32))
    return wide.t() @ wide


def sweep(
    z: Tensor, passed_on: Tensor, grid: UniformGrid, *, before: Tensor | None = None, rounds: bool = True
) -> Tensor:
    """Visits all columns once; gives the new entries and leaves in `z` what they made of it.

    At column j the entry becomes z_j, rounded if `rounds`. How far it moved, from `before` or else from z_j, times
    passed_on[j, k], is added to each other z_k; passed_on's diagonal is zero.
    """
    new = torch.empty_like(z)
    for begin in range(0, z.shape[1], BLOCK):
        part = slice(begin, begin + BLOCK)
        old = None if before is None else before[:, part]
        visit = visit_block_kernel if z.is_cuda else visit_block
        new[:, part], moved = visit(z[:, part], passed_on[part, part], grid, old, rounds)
        # Without `before` nothing is passed on to columns that were already visited.
        rest = slice(begin if before is None else 0, None)
        z[:, rest].addmm_(moved, passed_on[part, rest])
    return new


def visit_block(
    z: Tensor, passed_on: Tensor, grid: UniformGrid, before: Tensor | None, rounds: bool
) -> tuple[Tensor, Tensor]:
    """`sweep` within one block: new entries and how far each moved, (rows, columns); z is left as it is."""
    z = z.clone()
    new, moved = torch.empty_like(z), torch.empty_like(z)
    for column in range(z.shape[1]):
        value = z[:, column : column + 1].clone()
        entry = grid.round(value) if rounds else value
        from_where = value if before is None else before[:, column : column + 1]
        new[:, column : column + 1], moved[:, column : column + 1] = entry, from_where - entry
        z.addmm_(from_where - entry, passed_on[column : column + 1])
    return new, moved


def visit_block_kernel(
    z: Tensor, passed_on: Tensor, grid: UniformGrid, before: Tensor | None, rounds: bool
) -> tuple[Tensor, Tensor]:
    """The same by the kernel: some rows to a program, which keeps them on the chip while it visits their columns."""
    require_triton("a sweep over columns")
    rows, columns = z.shape
    new, moved = (z.new_empty(rows, columns) for _ in range(2))
    step, zero = (each.expand(rows, 1).contiguous() for each in (grid.step, grid.zero))
    visit_program[(triton.cdiv(rows, ROWS_OF_A_TILE),)](
        z, z if before is None else before, passed_on, step, zero, new, moved,
        rows, columns, z.stride(0), z.stride(0) if before is None else before.stride(0), passed_on.stride(0), grid.levels,
        ANEW=before is None, ROUNDS=rounds, ROWS=ROWS_OF_A_TILE, COLUMNS=triton.next_power_of_2(columns), num_warps=4,
    )  # fmt: skip
    return new, moved


@triton.jit
def visit_program(
    Z, Before, PassedOn, Step, Zero, New, Moved, rows, columns, z_stride, before_stride, passed_stride, levels,
    ANEW: tl.constexpr, ROUNDS: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Entries start from z where ANEW, else from Before."""
    row, place = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS), tl.arange(0, COLUMNS)
    known, wanted = row < rows, place < columns
    inside = known[:, None] & wanted[None, :]
    z = tl.load(Z + row[:, None] * z_stride + place[None, :], mask=inside, other=0.0)
    before = tl.load(Before + row[:, None] * before_stride + place[None, :], mask=inside, other=0.0)
    step = tl.load(Step + row, mask=known, other=1.0)
    zero = tl.load(Zero + row, mask=known, other=0.0)
    new, moved = tl.zeros_like(z), tl.zeros_like(z)
    for column in range(columns):
        here = (place == column)[None, :]
        value = tl.sum(tl.where(here, z, 0.0), 1)
        entry = value
        if ROUNDS:
            level = tl.floor(value / step + 0.5) + zero
            entry = (tl.minimum(tl.maximum(level, 0.0), levels.to(tl.float32)) - zero) * step
        start = value
        if not ANEW:
            start = tl.sum(tl.where(here, before, 0.0), 1)
        by = start - entry
        share = tl.load(PassedOn + column * passed_stride + place, mask=wanted, other=0.0)
        z += by[:, None] * share[None, :]
        new = tl.where(here, entry[:, None], new)
        moved = tl.where(here, by[:, None], moved)
    out = row[:, None] * columns + place[None, :]
    tl.store(New + out, new, mask=inside)
    tl.store(Moved + out, moved, mask=inside)


def gptq(weight: Tensor, gram: Tensor, grid: UniformGrid) -> Tensor:
    """GPTQ with columns in their order: what rounding costs is passed on to the columns that are still to come."""
    damped = gram + DAMPING * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
    upper = torch.linalg.cholesky(inverse, upper=True)
    passed_on = (-upper / upper.diagonal()[:, None]).triu(1)
    return sweep(weight.clone(), passed_on, grid)
