"""Products of 8-bit tokens with 4-bit weights whose groups are scaled by whole numbers, and the tokens' rounding.

Tokens are rounded row by row: one scale for each token, up to the largest magnitude of its row.

A weight is code * group_scale * row_scale: codes of -8 .. 7 and group scales of 1 .. 15 for each 128 features, whose product
is an 8-bit integer, and a float for each output. So the sum over all features stays one of integers, in spite of the groups.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from runners.blocks.kernels import require_triton, tl, triton
from runners.blocks.packed import (
    GROUP,
    INTERPRETED,
    NIBBLE_ZERO,
    PackedProduct,
    Scratch,
    filled_blocks,
    finish_scaled,
    load_tokens,
    load_words,
    pack_codes,
    split_range,
)

CLIPPING = [0.6 + 0.05 * step for step in range(9)]
UNITS = [0.6 + 0.05 * step for step in range(11)]
# So that 7 * 15 and -8 * 15 fit into a byte, and a code of 0 .. 15 times 15 as well.
LARGEST_MULTIPLE = 15
JUDGED_OUTPUTS = 256
LARGEST = {torch.int8: 127.0, torch.float8_e4m3fn: 448.0}


def quantize_tokens(tokens: Tensor, dtype: torch.dtype, divisors: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of tokens / divisors (features,), rounded to int8 or float8_e4m3fn up to each row's largest: codes, float32 scales."""
    count, features = tokens.shape
    tokens = tokens.contiguous()
    if dtype.is_floating_point and not tokens.is_cuda:
        # Triton's interpreter does not round to the nearest number of 8-bit floating point.
        evened = tokens.float() / divisors
        scales = evened.abs().amax(dim=1).clamp_min(1e-30) / LARGEST[dtype]
        return (evened / scales[:, None]).to(dtype), scales
    codes = torch.empty((count, features), dtype=dtype, device=tokens.device)
    scales = torch.empty(count, dtype=torch.float32, device=tokens.device)
    block = triton.next_power_of_2(features)
    _quantize_kernel[(count,)](
        tokens, divisors, codes, scales, features, LARGEST[dtype], BLOCK=block,
        num_warps=4 if block <= 4096 else 16,
    )  # fmt: skip
    return codes, scales


@triton.jit
def _quantize_kernel(
    Tokens, Divisors, Codes, Scales, features, largest, BLOCK: tl.constexpr
):  # fmt: skip
    """One program a row."""
    row = tl.program_id(0).to(tl.int64)
    offsets = tl.arange(0, BLOCK)
    inside = offsets < features
    values = tl.load(Tokens + row * features + offsets, mask=inside, other=0.0).to(tl.float32)
    values = values / tl.load(Divisors + offsets, mask=inside, other=1.0)
    scale = tl.maximum(tl.max(tl.abs(values), axis=0), 1.0e-30) / largest
    units = values * (1.0 / scale)
    if Codes.dtype.element_ty == tl.int8:
        units = tl.where(units < 0, units - 0.5, units + 0.5).to(tl.int32)
    tl.store(Codes + row * features + offsets, units.to(Codes.dtype.element_ty), mask=inside)
    tl.store(Scales + row, scale)


@triton.jit
def _scaled_nibbles(words, scales):
    """Bytes of two codes c as two tiles of int8 (c - 8) * scale, with one scale of 1 .. 15 for each row.

    Four codes of a row lie in a register, and no product exceeds a byte: one multiplication serves four weights. Bytes are
    subtracted without borrowing from each other by setting their highest bits first and mending them after.
    """
    if not INTERPRETED:
        return tl.inline_asm_elementwise(
            """{ .reg .b32 one, eight, a, b, t;
            and.b32 one, $3, 0xFF; shl.b32 eight, $3, 3; shr.u32 b, $2, 4;
            and.b32 a, $2, 0x0F0F0F0F; and.b32 b, b, 0x0F0F0F0F;
            mul.lo.u32 a, a, one; mul.lo.u32 b, b, one;
            or.b32 t, a, 0x80808080; sub.u32 t, t, eight; lop3.b32 $0, t, a, 0x80808080, 0xD2;
            or.b32 t, b, 0x80808080; sub.u32 t, t, eight; lop3.b32 $1, t, b, 0x80808080, 0xD2; }""",
            "=&r,=&r,r,r", [words, tl.broadcast_to(scales, words.shape)],
            dtype=(tl.int8, tl.int8), is_pure=True, pack=4,
        )  # fmt: skip
    else:
        low, high = (words & 15).to(tl.int32) - 8, (words >> 4).to(tl.int32) - 8
        return (low * scales).to(tl.int8), (high * scales).to(tl.int8)


@triton.jit
def _int4_int8_kernel(
    Tokens, Out, Partial, Counters, Codes, GroupScales, Scales, TokenScales, tokens, outputs, features,
    BLOCK_N: tl.constexpr, BLOCK_M: tl.constexpr, SPLITS: tl.constexpr,
):  # fmt: skip
    """4-bit codes times a whole-numbered scale for each 128 features are 8-bit integers: one integer sum over all features."""
    rows = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    columns = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    sums = tl.zeros([BLOCK_N, BLOCK_M], dtype=tl.int32)
    begin, end = split_range((features + 127) // 128, SPLITS)
    for block in range(begin, end):
        words = load_words(Codes, block, rows, outputs, 0, 64, 64)
        scales = tl.load(GroupScales + block * outputs + rows, mask=rows < outputs, other=0)[:, None]
        low, high = _scaled_nibbles(words, scales)
        tile = load_tokens(Tokens, columns, tokens, block * 128, features, 64)
        sums = tl.dot(low, tile, sums, out_dtype=tl.int32)
        tile = load_tokens(Tokens, columns, tokens, block * 128 + 64, features, 64)
        sums = tl.dot(high, tile, sums, out_dtype=tl.int32)
    finish_scaled(sums, Scales, TokenScales, Out, Partial, Counters, rows, columns, tokens, outputs, SPLITS)


_int4_int8_product = PackedProduct(_int4_int8_kernel)


def dual_grained(weight: Tensor, importance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Codes uint8 (rows, features) with zero at 8, group scales int8 (rows, groups) and float32 row scales (rows,).

    A search in two phases, each over a few shares of the largest value: the best float scale of every group alone, then,
    for each row, the best unit of which the groups' scales become multiples. Errors are weighted by `importance` (features,).
    """
    grouped = filled_blocks(weight.float(), GROUP)
    weighing = filled_blocks(importance.float()[None], GROUP)
    largest = grouped.abs().amax(dim=2).clamp_min(torch.finfo(torch.float32).tiny)

    def error(scales: Tensor) -> Tensor:
        rounded = (grouped / scales[:, :, None]).round().clamp(-NIBBLE_ZERO, NIBBLE_ZERO - 1) * scales[:, :, None]
        return ((rounded - grouped).square() * weighing).sum(dim=2)

    wanted = best_candidates([largest / (NIBBLE_ZERO - 1) * share for share in CLIPPING], error)

    def multiples(unit: Tensor) -> Tensor:
        return (wanted / unit).round().clamp(1, LARGEST_MULTIPLE)

    whole = wanted.amax(dim=1, keepdim=True) / LARGEST_MULTIPLE
    unit = best_candidates(
        [whole * share for share in UNITS], lambda unit: error(multiples(unit) * unit).sum(1, keepdim=True)
    )
    scales = multiples(unit)
    codes = (grouped / (scales * unit)[:, :, None]).round().clamp(-NIBBLE_ZERO, NIBBLE_ZERO - 1) + NIBBLE_ZERO
    return codes.to(torch.uint8).flatten(1)[:, : weight.shape[1]].contiguous(), scales.to(torch.int8), unit.squeeze(1)


def best_candidates(candidates: list[Tensor], error: Callable[[Tensor], Tensor]) -> Tensor:
    """Element by element the candidate of the least error."""
    best, least = candidates[0], error(candidates[0])
    for each in candidates[1:]:
        found = error(each)
        best, least = torch.where(found < least, each, best), torch.minimum(found, least)
    return best


def least_error_divisors(
    candidates: Sequence[Tensor], weight: Tensor, calibration: Tensor, product: Callable[[Tensor, Tensor], Tensor]
) -> Tensor:
    """Of several divisors (features,) of the tokens those with which a rounded product(tokens, weight) is nearest.

    The weight takes them as factors. Judged by the calibration's tokens on some of the outputs.
    """
    tokens, some = calibration.float(), weight[:: max(1, weight.shape[0] // JUDGED_OUTPUTS)].float()
    wanted = tokens @ some.t()
    errors = [(product(tokens / each, some * each) - wanted).square().sum() for each in candidates]
    return candidates[int(torch.stack(errors).argmin())]


def dual_grained_product(tokens: Tensor, weight: Tensor) -> Tensor:
    """What `DualGrainedLinear` computes, in float32 and without packing."""
    codes, groups, units = dual_grained(weight, tokens.square().mean(dim=0))
    steps = (groups * units[:, None]).repeat_interleave(GROUP, dim=1)[:, : weight.shape[1]]
    scales = tokens.abs().amax(dim=1, keepdim=True).clamp_min(1e-30) / LARGEST[torch.int8]
    return (tokens / scales).round() * scales @ ((codes.float() - NIBBLE_ZERO) * steps).t()


class DualGrainedLinear:
    """tokens (tokens, features) -> (tokens, outputs), in their dtype: 8-bit tokens, 4-bit weights, one integer product.

    `divisors` (features,) even the tokens' features out before they are rounded; the weight is multiplied by them once.
    """

    def __init__(self, weight: Tensor, divisors: Tensor, importance: Tensor) -> None:
        require_triton("a product with packed weights")
        self.outputs, self.features = weight.shape
        self.divisors = divisors.float()
        codes, groups, self.scales = dual_grained(weight.float() * self.divisors, importance)
        self.codes = pack_codes(codes, 4, GROUP, torch.uint8)
        self.group_scales = groups.t().contiguous()
        self.scratch = Scratch(weight)

    def __call__(self, tokens: Tensor) -> Tensor:
        codes, scales = quantize_tokens(tokens, torch.int8, self.divisors)
        out = tokens.new_empty((tokens.shape[0], self.outputs))
        parameters = (self.codes, self.group_scales, self.scales, scales)
        return _int4_int8_product(codes, out, self.scratch, *parameters, features=self.features)

    def footprint(self) -> dict[str, int]:
        held = (self.codes, self.group_scales, self.scales, self.divisors)
        return {"weights": sum(each.nbytes for each in held)}
