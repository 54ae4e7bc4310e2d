"""Matrix products in 8-bit floating point with fine-grained scales: one for 128 numbers of a row, one for 128 by 128 of a weight.

A row's tile and a weight's block are divided by their largest magnitude over 448 and rounded to e4m3 (3 bits of mantissa). The product of
each 128 columns is taken in 8 bits, scaled, and added up in float32: outliers spoil the scale of their own tile only, and
the short accumulators of 8-bit tensor cores never sum more than 128 products.
Weights take one byte for each number and four for 16,384: half of 16 bits, and their products run at twice the rate.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from runners.blocks.attention import TunedKernel
from runners.blocks.kernels import has_triton, require_triton, tl, triton
from runners.blocks.moe import SUPERTILE, grid_over_experts, grouped_matmul_loop, tile_of_experts

TILE = 128
LARGEST = 448.0
SMALLEST_SCALE = 1e-12
FORMAT = torch.float8_e4m3fn
ROWS_AT_ONCE = 16


@dataclass(frozen=True)
class Fp8Weight:
    """Weights (experts, width, outputs), kept with their columns as rows so that products read them in order."""

    codes: Tensor
    """(experts, outputs, width) in e4m3."""
    scales: Tensor
    """(experts, blocks of outputs, blocks of width), float32."""

    @property
    def shape(self) -> tuple[int, int, int]:
        experts, outputs, width = self.codes.shape
        return experts, width, outputs

    @property
    def nbytes(self) -> int:
        return self.codes.nbytes + self.scales.nbytes

    def numel(self) -> int:
        return self.codes.numel()

    def dequantized(self) -> Tensor:
        """(experts, width, outputs) in float32."""
        _, width, outputs = self.shape
        each = self.scales.repeat_interleave(TILE, 1)[:, :outputs].repeat_interleave(TILE, 2)[..., :width]
        return (self.codes.float() * each).transpose(1, 2)


def quantize_weight(weight: Tensor) -> Fp8Weight:
    """Weights (experts, width, outputs) with a scale for each block; one expert after another, to save memory."""
    found = [_quantize_blocks(each.t()) for each in weight]
    return Fp8Weight(torch.stack([codes for codes, _ in found]), torch.stack([scales for _, scales in found]))


def _quantize_blocks(matrix: Tensor) -> tuple[Tensor, Tensor]:
    rows, columns = matrix.shape
    blocks = (
        pad(matrix.float(), (0, -columns % TILE, 0, -rows % TILE)).unflatten(0, (-1, TILE)).unflatten(2, (-1, TILE))
    )
    scales = (blocks.abs().amax((1, 3)) / LARGEST).clamp_min(SMALLEST_SCALE)
    codes = (blocks / scales[:, None, :, None]).flatten(0, 1).flatten(1)[:rows, :columns]
    return codes.to(FORMAT).contiguous(), scales


def quantize_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    """x (rows, width): codes of the same shape in e4m3, and scales (rows, tiles of width) in float32."""
    rows, width = x.shape
    if x.is_cuda and has_triton() and rows:
        x, tiles = x.contiguous(), triton.cdiv(width, TILE)
        codes, scales = torch.empty_like(x, dtype=FORMAT), x.new_empty((rows, tiles), dtype=torch.float32)
        grid = (triton.cdiv(rows, ROWS_AT_ONCE), tiles)
        _quantize_kernel[grid](x, codes, scales, rows, width, ROWS=ROWS_AT_ONCE, TILE=TILE, LARGEST=LARGEST)
        return codes, scales
    tiles = pad(x.float(), (0, -width % TILE)).unflatten(1, (-1, TILE))
    scales = (tiles.abs().amax(-1) / LARGEST).clamp_min(SMALLEST_SCALE)
    return (tiles / scales[..., None]).flatten(1)[:, :width].to(FORMAT), scales


def dequantized_rows(codes: Tensor, scales: Tensor) -> Tensor:
    return codes.float() * scales.repeat_interleave(TILE, 1)[:, : codes.shape[1]]


def fp8_grouped_matmul(
    x: Tensor, weight: Fp8Weight, ends: Tensor, gather: Tensor | None = None, *, kernel: bool | None = None
) -> Tensor:
    """As `moe.grouped_matmul`, in x's dtype, with rows quantised at the call: tokens before they are gathered."""
    codes, scales = quantize_rows(x)
    if x.is_cuda if kernel is None else kernel:
        return _launch(codes, scales, weight, ends, gather, x.dtype)
    rows = dequantized_rows(codes, scales)
    return grouped_matmul_loop(rows if gather is None else rows[gather], weight.dequantized(), ends).to(x.dtype)


def fp8_linear(x: Tensor, weight: Fp8Weight) -> Tensor:
    """x (rows, width) times the one matrix of `weight`."""
    return fp8_grouped_matmul(x, weight, torch.full((1,), x.shape[0], dtype=torch.int32, device=x.device))


def _launch(
    codes: Tensor, scales: Tensor, weight: Fp8Weight, ends: Tensor, gather: Tensor | None, dtype: torch.dtype
) -> Tensor:
    require_triton("the product in 8 bits")
    experts, width, outputs = weight.shape
    pairs = codes.shape[0] if gather is None else gather.numel()
    out = torch.empty((pairs, outputs), dtype=dtype, device=codes.device)
    if not pairs:
        return out

    _FP8_GROUPED(
        grid_over_experts(pairs, experts, outputs), codes, scales, weight.codes, weight.scales, out,
        ends if gather is None else gather, ends, pairs, experts, width, outputs, GATHER=gather is not None, LANES=triton.next_power_of_2(experts), SUPERTILE=SUPERTILE, TILE=TILE,
    )  # fmt: skip
    return out


@triton.jit
def _quantize_kernel(
    X, Codes, Scales, rows, width, ROWS: tl.constexpr, TILE: tl.constexpr, LARGEST: tl.constexpr
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * TILE + tl.arange(0, TILE)
    inside = (row < rows)[:, None] & (column < width)[None, :]
    x = tl.load(X + row[:, None] * width + column[None, :], mask=inside, other=0.0).to(tl.float32)
    scale = tl.maximum(tl.max(tl.abs(x), 1) / LARGEST, 1e-12)
    codes = (x / scale[:, None]).to(Codes.dtype.element_ty)
    tl.store(Codes + row[:, None] * width + column[None, :], codes, mask=inside)
    tl.store(Scales + row * tl.num_programs(1) + tl.program_id(1), scale, mask=row < rows)


@triton.jit
def _fp8_grouped_kernel(
    Rows, RowScales, Weight, BlockScales, Out, Gather, Ends, pairs, experts, width, outputs,
    GATHER: tl.constexpr, LANES: tl.constexpr, SUPERTILE: tl.constexpr, TILE: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """One program a tile of the output, no wider than a block of the weights, so that one scale serves its columns."""
    expert, places, inside, sources, column = tile_of_experts(
        Ends, Gather, experts, outputs, GATHER, LANES, SUPERTILE, BLOCK_M, BLOCK_N
    )
    if expert < experts:
        columns = column + tl.arange(0, BLOCK_N)
        tiles = tl.cdiv(width, TILE)
        weight_rows = Weight + (expert * outputs + columns)[None, :] * width
        scales = BlockScales + (expert * tl.cdiv(outputs, TILE) + column // TILE) * tiles
        total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
        for tile in range(0, tiles):
            depth = tile * TILE + tl.arange(0, TILE)
            deep = depth < width
            row = tl.load(
                Rows + sources[:, None] * width + depth[None, :], mask=inside[:, None] & deep[None, :], other=0.0
            )
            weight = tl.load(weight_rows + depth[:, None], mask=deep[:, None] & (columns < outputs)[None, :], other=0.0)
            scale = tl.load(RowScales + sources * tiles + tile, mask=inside, other=0.0) * tl.load(scales + tile)
            total += tl.dot(row, weight) * scale[:, None]
        out = Out + places[:, None] * outputs + columns[None, :]
        tl.store(out, total.to(Out.dtype.element_ty), mask=inside[:, None] & (columns < outputs)[None, :])


_FP8_GROUPED = TunedKernel(
    _fp8_grouped_kernel,
    [(16, 64, 4, 4), (16, 128, 4, 4), (32, 128, 4, 4), (64, 128, 4, 4), (128, 128, 8, 3)],
    key=("pairs", "width", "outputs"),
)
