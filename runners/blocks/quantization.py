"""Block-wise dynamic 8-bit storage of optimizer moments: the code book, the codec in PyTorch and the codec in Triton.

Source: "8-bit Optimizers via Block-wise Quantization" (2021), sections 2 and 3.

A tensor is cut into blocks of BLOCK values. Each block keeps its largest magnitude (float32) and, for each value, one
byte that names an entry of a code book for [-1, 1] (signed) or [0, 1] (unsigned). The code book has seven levels, one
per power of ten from 1e-6 to 1; a level splits its range, from a tenth of that power to the power itself, into equal
parts and holds their centres. Each level has twice as many parts as the one below, so that large values are fine and
small ones still exist:

    signed      1, 2, 4 ... 64 parts per level and sign, with 0 and 1: 2 * 127 + 2 entries; code 127 is 0, 255 is 1
    unsigned    2, 4, 8 ... 128 parts per level, with 0 and 1: 254 + 2 entries; code 0 is 0, 255 is 1

Because parts double from level to level, an entry's place among the positive entries, as a floating-point number, has
the level as its exponent and the part as its mantissa. The Triton codec computes with that: two dozen operations in
registers, where a search for the nearest entry in a table would need eight dependent look-ups per value.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from runners.blocks.kernels import tl, triton

BLOCK = 2048
LEVELS = 7
# The first entry after 0 of the unsigned code book. What is stored unsigned is a second moment, by whose root a first moment is
# divided: one that rounded to 0 would let the next direction explode, so the smallest are rounded up to this.
LEAST_UNSIGNED = 0.325e-6


@cache
def code_book(signed: bool, device: torch.device | None = None) -> Tensor:
    """The 256 entries in ascending order, float32, shape (256,); code c stands for entry c. Not to be written to."""
    levels = []
    for level in range(LEVELS):
        parts = 2**level if signed else 2 ** (level + 1)
        centres = (torch.arange(parts, dtype=torch.float64) + 0.5) / parts
        levels.append((0.1 + 0.9 * centres) * 10.0 ** (level - LEVELS + 1))
    positive = torch.cat(levels)
    ends = [torch.zeros(1, dtype=torch.float64), positive, torch.ones(1, dtype=torch.float64)]
    entries = torch.cat([-positive.flip(0), *ends] if signed else ends)
    return entries.to(torch.float32).to(device)


@cache
def _midpoints(signed: bool, device: torch.device) -> Tensor:
    entries = code_book(signed).to(torch.float64)
    return ((entries[1:] + entries[:-1]) / 2).to(torch.float32).to(device)


@dataclass
class BlockwiseTensor:
    """A tensor of `size` values stored in 8 bits; it starts as zeros.

    codes: uint8 (size,). scales: float32 (blocks,), the largest magnitude of each block.
    """

    codes: Tensor
    scales: Tensor
    signed: bool

    @classmethod
    def zeros(cls, size: int, *, signed: bool, device: torch.device) -> BlockwiseTensor:
        zero_code = 127 if signed else 0
        return cls(
            codes=torch.full((size,), zero_code, dtype=torch.uint8, device=device),
            scales=torch.zeros(triton.cdiv(size, BLOCK), dtype=torch.float32, device=device),
            signed=signed,
        )

    def load(self) -> Tensor:
        """The values, float32 (size,)."""
        unit = code_book(self.signed, self.codes.device)[self.codes.int()]
        return (_blocks(unit) * self.scales[:, None]).view(-1)[: self.codes.numel()]

    def store(self, values: Tensor) -> None:
        """Replaces what is stored by `values`, float32 (size,), each rounded to the nearest entry of the code book.

        Unsigned values are rounded up to LEAST_UNSIGNED of their block's largest.
        """
        blocks = _blocks(values)
        torch.amax(blocks.abs(), dim=1, out=self.scales)
        unit = blocks / self.scales.clamp_min(torch.finfo(torch.float32).tiny)[:, None]
        unit = unit.view(-1)[: self.codes.numel()]
        unit = unit if self.signed else unit.clamp_min_(LEAST_UNSIGNED)
        self.codes.copy_(torch.bucketize(unit, _midpoints(self.signed, values.device), out_int32=True))

    def tensors(self) -> tuple[Tensor, Tensor]:
        return self.codes, self.scales


def _blocks(values: Tensor) -> Tensor:
    """(size,) to (blocks, BLOCK); the last block is filled up with zeros."""
    missing = -values.numel() % BLOCK
    return torch.nn.functional.pad(values, (0, missing)).view(-1, BLOCK)


@triton.jit
def power_of_two(exponent: tl.tensor) -> tl.tensor:
    """2 ** exponent as float32, exact, for int32 -126 <= exponent <= 127."""
    return ((exponent + 127) << 23).to(tl.float32, bitcast=True)


@triton.jit
def copy_sign(magnitude: tl.tensor, signed_bits: tl.tensor) -> tl.tensor:
    """float32 magnitude >= 0 with the top bit of an int32."""
    return (magnitude.to(tl.int32, bitcast=True) | (signed_bits & -0x80000000)).to(tl.float32, bitcast=True)


@triton.jit
def approximate_log2(x: tl.tensor) -> tl.tensor:
    """log2 of normal float32 x > 0, too large by 0.0001 to 0.0128: exponent plus a parabola through the mantissa.

    Triton's own log2 takes 25 instructions, this takes 6. The error suffices for `encode`: where it picks the next
    level, the value is so near below the border that the last entry before the border is the nearest one either way.
    """
    bits = x.to(tl.int32, bitcast=True)
    mantissa = ((bits & 0x7FFFFF) | 0x3F800000).to(tl.float32, bitcast=True)
    return (bits >> 23).to(tl.float32) + (mantissa * (1.9941812 - 0.33474902 * mantissa) - 128.64661)


@triton.jit
def decode(codes: tl.tensor, SIGNED: tl.constexpr) -> tl.tensor:
    """uint8 codes to entries of the code book, float32, right to a few units in the last place."""
    top: tl.constexpr = 128.0 if SIGNED else 256.0
    log2_unit: tl.constexpr = -19.931568569324174 if SIGNED else -23.253496664211536  # 10 ** -6, 10 ** -7
    code = codes.to(tl.int32) - (127 if SIGNED else -1)
    place = tl.abs(code).to(tl.float32)
    bits = place.to(tl.int32, bitcast=True)
    parts = (bits & 0x7F800000).to(tl.float32, bitcast=True)
    # 10 ** level / parts is 5 ** exponent; place - parts + 0.5 is the centre of the part, counted in parts.
    scale = tl.exp2(((bits >> 23) - 127).to(tl.float32) * 2.321928094887362 + log2_unit)
    unit = scale * (0.9 * place + 0.45 - 0.8 * parts)
    unit = tl.where(place == top, 1.0, unit)
    # Signed place 0 came out as 0 by itself: its exponent, -127, makes the scale vanish.
    return copy_sign(unit, code) if SIGNED else tl.where(place == 1.0, 0.0, unit)


@triton.jit
def encode(unit: tl.tensor, SIGNED: tl.constexpr) -> tl.tensor:
    """Values in [-1, 1] (signed) or [0, 1] (unsigned), float32, to the code of the nearest entry, uint8.

    A value within rounding of the half-way point between two entries may go to either, and so may one between 0.16e-6
    and 0.28e-6, near the half-way point between 0 and the first entry.
    """
    first_exponent: tl.constexpr = 0 if SIGNED else 1
    log2_slope: tl.constexpr = 20.083571662769107 + first_exponent  # 10 ** 6 / 0.9, and twice that
    half_way_to_one: tl.constexpr = 1.0 - (0.225 / 64 if SIGNED else 0.225 / 128)
    magnitude = tl.abs(unit)
    level = tl.minimum((approximate_log2(magnitude) * 0.30102999566398120 + 7.0).to(tl.int32), 6)
    parts = power_of_two(level + first_exponent)
    # Where in its level the value lies, counted in parts: (magnitude * 10 ** (6 - level) - 0.1) * parts / 0.9.
    slope = tl.exp2(log2_slope - 2.321928094887362 * level.to(tl.float32))
    part = magnitude * slope - parts * (1.0 / 9.0)
    # Under 0.2 the last entry of the level below is nearer than the first of this one.
    place = parts + tl.where(part < 0.2, -0.5, part)
    if SIGNED:
        code = tl.maximum(copy_sign(place, unit.to(tl.int32, bitcast=True)).to(tl.int32) + 127, 0)
    else:
        code = tl.maximum(place.to(tl.int32), 1) - 1
    return tl.where(unit > half_way_to_one, 255, code).to(tl.uint8)
