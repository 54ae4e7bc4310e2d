"""Products of 8-bit integers with a scale for each row: rounding, the product itself, and kernels for what stands around it.

A row is divided by its largest magnitude over 127 and rounded; products are added up exactly in int32 and scaled by row and column.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from runners.blocks.kernels import tl, triton

CUDA_MULTIPLE = 8
CUDA_LEAST_ROWS = 24


def codes_shape(outputs: int, features: int, cuda: bool) -> tuple[int, int]:
    """cuBLAS takes 8-bit matrices whose sides are multiples of 8 only."""
    step = CUDA_MULTIPLE if cuda else 1
    return -(-outputs // step) * step, -(-features // step) * step


def quantize_rows(values: Tensor) -> tuple[Tensor, Tensor]:
    """Each row over 127 equal steps up to its largest magnitude: int8 codes of the same shape, float32 scales (rows,)."""
    exact = values.float()
    scales = exact.abs().amax(dim=1).clamp_min(torch.finfo(torch.float32).tiny) / 127
    return (exact / scales[:, None]).round().to(torch.int8), scales


def padded(codes: Tensor, shape: tuple[int, int]) -> Tensor:
    """`codes`, filled up with zeros to `shape`; a copy only if the shape differs."""
    rows, columns = shape[0] - codes.shape[0], shape[1] - codes.shape[1]
    return torch.nn.functional.pad(codes, (0, columns, 0, rows)) if rows or columns else codes


def int8_matmul(left: Tensor, right: Tensor) -> Tensor:
    """left (m, k) times the transpose of right (n, k), both int8: int32 (m, n), exact."""
    if left.is_cuda or integer_units_are_exact():
        return torch._int_mm(left, right.t())
    product = torch.zeros(left.shape[0], right.shape[0], dtype=torch.int32, device=left.device)
    # 1024 products of at most 2**14 stay within the 24 bits that float32 counts exactly.
    for begin in range(0, left.shape[1], 1024):
        part = slice(begin, begin + 1024)
        product += (left[:, part].float() @ right[:, part].t().float()).int()
    return product


@cache
def integer_units_are_exact() -> bool:
    """Whether this CPU's 8-bit product is exact: older ones add pairs of products in saturating 16 bits."""
    largest = torch.full((8, 64), 127, dtype=torch.int8)
    try:
        product = torch._int_mm(largest, largest.t())
    except RuntimeError:
        return False
    return bool((product == 64 * 127 * 127).all())


def quantize_rows_kernel(activations: Tensor, is_outlier: Tensor, columns: int) -> tuple[Tensor, Tensor]:
    """As `quantize_rows` with outlier columns taken as 0, in one pass; rows and columns filled up with zeros for cuBLAS."""
    tokens, features = activations.shape
    activations = activations.contiguous()
    codes = activations.new_zeros((max(tokens, CUDA_LEAST_ROWS), columns), dtype=torch.int8)
    scales = activations.new_empty(tokens, dtype=torch.float32)
    block = triton.next_power_of_2(features)
    quantize_rows_program[(tokens,)](
        activations, is_outlier, codes, scales, features, columns, BLOCK=block, num_warps=4 if block <= 4096 else 16
    )
    return codes, scales


def combine_kernel(
    product: Tensor, row_scales: Tensor, column_scales: Tensor, large: Tensor, large_weight: Tensor
) -> Tensor:
    """product * row_scales * column_scales + large @ large_weight.T, one pass over the int32 product."""
    tokens, outputs = row_scales.shape[0], column_scales.shape[0]
    out = large.new_empty((tokens, outputs))
    tile_rows, tile_columns = 32, 128
    grid = (triton.cdiv(tokens, tile_rows), triton.cdiv(outputs, tile_columns))
    combine_program[grid](
        product, row_scales, column_scales, large, large_weight, out, tokens, outputs, product.stride(0), large.shape[1],
        TILE_ROWS=tile_rows, TILE_COLUMNS=tile_columns, TILE_LARGE=16,
        # tf32 holds 16-bit numbers exactly, so tensor cores serve; float32 needs plain multiplications.
        PRECISION="ieee" if large.dtype == torch.float32 else "tf32", num_warps=4,
    )  # fmt: skip
    return out


@triton.jit
def quantize_rows_program(  # noqa: PLR0917  launched by position, as Triton kernels are
    activations_ptr: tl.tensor,
    is_outlier_ptr: tl.tensor,
    codes_ptr: tl.tensor,
    scales_ptr: tl.tensor,
    features: tl.tensor,
    columns: tl.tensor,
    BLOCK: tl.constexpr,
) -> None:
    """One program a row."""
    row = tl.program_id(0).to(tl.int64)
    offsets = tl.arange(0, BLOCK)
    inside = offsets < features
    values = tl.load(activations_ptr + row * features + offsets, mask=inside, other=0.0).to(tl.float32)
    values = tl.where(tl.load(is_outlier_ptr + offsets, mask=inside, other=0) != 0, 0.0, values)
    scale = tl.maximum(tl.max(tl.abs(values), axis=0), 1.1754943508222875e-38) / 127.0
    units = values * (1.0 / scale)
    rounded = tl.where(units < 0, units - 0.5, units + 0.5).to(tl.int32)
    tl.store(codes_ptr + row * columns + offsets, rounded.to(tl.int8), mask=inside)
    tl.store(scales_ptr + row, scale)


@triton.jit
def combine_program(  # noqa: PLR0917  launched by position, as Triton kernels are
    product_ptr: tl.tensor,
    row_scales_ptr: tl.tensor,
    column_scales_ptr: tl.tensor,
    large_ptr: tl.tensor,
    large_weight_ptr: tl.tensor,
    out_ptr: tl.tensor,
    tokens: tl.tensor,
    outputs: tl.tensor,
    product_stride: tl.tensor,
    outliers: tl.tensor,
    TILE_ROWS: tl.constexpr,
    TILE_COLUMNS: tl.constexpr,
    TILE_LARGE: tl.constexpr,
    PRECISION: tl.constexpr,
) -> None:
    """One program a tile of the output."""
    rows = tl.program_id(0).to(tl.int64) * TILE_ROWS + tl.arange(0, TILE_ROWS)
    columns = tl.program_id(1).to(tl.int64) * TILE_COLUMNS + tl.arange(0, TILE_COLUMNS)
    row_inside, column_inside = rows < tokens, columns < outputs
    inside = row_inside[:, None] & column_inside[None, :]
    product = tl.load(product_ptr + rows[:, None] * product_stride + columns[None, :], mask=inside, other=0)
    row_scale = tl.load(row_scales_ptr + rows, mask=row_inside, other=0.0)
    column_scale = tl.load(column_scales_ptr + columns, mask=column_inside, other=0.0)
    total = product.to(tl.float32) * (row_scale[:, None] * column_scale[None, :])
    for begin in range(0, outliers, TILE_LARGE):
        features = begin + tl.arange(0, TILE_LARGE)
        feature_inside = features < outliers
        large = tl.load(
            large_ptr + rows[:, None] * outliers + features[None, :],
            mask=row_inside[:, None] & feature_inside[None, :],
            other=0.0,
        )
        weight = tl.load(
            large_weight_ptr + columns[None, :] * outliers + features[:, None],
            mask=column_inside[None, :] & feature_inside[:, None],
            other=0.0,
        )
        total = tl.dot(large.to(tl.float32), weight.to(tl.float32), total, input_precision=PRECISION)
    tl.store(out_ptr + rows[:, None] * outputs + columns[None, :], total, mask=inside)
