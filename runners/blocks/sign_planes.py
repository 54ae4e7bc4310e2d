"""Weights as a sum of planes, each packed signs times magnitudes of low rank: products that leave the weight as it is held.

A plane is signs(S) * (left @ right^T): S (outputs, features) in one bit a weight, left (outputs, RANK), right (features, RANK).
Signs lie in words of 16, packed as in runners.blocks.packed in blocks of 512 features.

With one token magnitudes need not be rebuilt: sum_k left_k * (S @ (right_k * x)) is a product of signs with RANK columns, which is
what a matrix unit does at least. A sign becomes a factor +-1 by one instruction. With many tokens that product would be RANK times
the work: then one kernel rebuilds the weight, for the library's product. Where the two cross is to be measured; FEW is four tokens.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear, pad

from runners.blocks.attention import TunedKernel
from runners.blocks.kernels import require_triton, tl, triton
from runners.blocks.packed import INTERPRETED, MOST_SPLITS, finish, load_words, pack_codes, split_range

RANK = 16
BLOCK = 512
FEW = 4
LEAST_TILE = 64
REBUILT_ROWS = 128
TILES = [(64, 1, 4, 4), (64, 4, 4, 4), (64, 8, 4, 4), (128, 4, 4, 3)]


@dataclass(frozen=True)
class Plane:
    """signs int16 (blocks, outputs, 32), left (outputs, RANK), right (blocks * BLOCK, RANK), both in 16 bits."""

    signs: Tensor
    left: Tensor
    right: Tensor

    @property
    def nbytes(self) -> int:
        return self.signs.nbytes + self.left.nbytes + self.right.nbytes

    def to(self, device: torch.device | str) -> Plane:
        return Plane(self.signs.to(device), self.left.to(device), self.right.to(device))


def make_plane(values: Tensor, left: Tensor, right: Tensor) -> Plane:
    """The signs of `values` (outputs, features) with magnitudes left @ right^T."""
    signs = pack_codes((values < 0).to(torch.uint8), 1, BLOCK)
    return Plane(signs, left.contiguous(), pad(right, (0, 0, 0, -right.shape[0] % BLOCK)).contiguous())


class PlanesLinear:
    """tokens (tokens, features) -> (tokens, outputs) by the planes that are loaded; tokens are divided by `divisors` first."""

    def __init__(self, outputs: int, divisors: Tensor, dtype: torch.dtype) -> None:
        require_triton("a product with packed signs")
        self.outputs, self.features = outputs, divisors.shape[0]
        self.divisors, self.dtype = divisors, dtype
        tiles = triton.cdiv(outputs, LEAST_TILE)
        self._partial = divisors.new_empty((MOST_SPLITS, FEW, outputs), dtype=torch.float32)
        self._counters = divisors.new_zeros(FEW * tiles, dtype=torch.int32)
        self.signs = self.left = self.right = torch.empty(0)
        self.load([])

    def load(self, planes: list[Plane]) -> None:
        """Holds just these, which may come from another device."""
        device, blocks = self.divisors.device, triton.cdiv(self.features, BLOCK)
        shapes = ((blocks, self.outputs, BLOCK // 16), (self.outputs, RANK), (blocks * BLOCK, RANK))
        kinds = (torch.int16, planes[0].left.dtype if planes else torch.bfloat16)
        self.signs = torch.empty((len(planes), *shapes[0]), dtype=kinds[0], device=device)
        self.left = torch.empty((len(planes), *shapes[1]), dtype=kinds[1], device=device)
        self.right = torch.empty((len(planes), *shapes[2]), dtype=kinds[1], device=device)
        for place, plane in enumerate(planes):
            self.signs[place], self.left[place], self.right[place] = plane.signs, plane.left, plane.right

    def __call__(self, tokens: Tensor) -> Tensor:
        if tokens.shape[0] > FEW:
            return linear((tokens / self.divisors).to(tokens.dtype), self.rebuilt(tokens.dtype))
        width = self.right.shape[1]
        columns = tokens.new_empty((tokens.shape[0], *self.right.shape))
        _columns_kernel[(max(1, self.right.shape[0]) * width // 128, tokens.shape[0])](
            tokens.contiguous(), self.divisors, self.right, columns, self.features, width, self.right.shape[0],
            RANK=RANK, num_warps=4,
        )  # fmt: skip
        out = tokens.new_empty((tokens.shape[0], self.outputs))
        _few_tokens(
            lambda meta: (triton.cdiv(self.outputs, meta["BLOCK_N"]), tokens.shape[0], meta["SPLITS"]),
            columns, out, self._partial, self._counters, self.signs, self.left,
            tokens.shape[0], self.outputs, width, self.signs.shape[0], RANK=RANK,
        )  # fmt: skip
        return out

    def rebuilt(self, dtype: torch.dtype) -> Tensor:
        """The sum of the planes (outputs, features)."""
        weight = torch.empty((self.outputs, self.features), dtype=dtype, device=self.divisors.device)
        width = self.right.shape[1]
        _rebuild_kernel[(triton.cdiv(self.features, 32), triton.cdiv(self.outputs, REBUILT_ROWS))](
            weight, self.signs, self.left, self.right, self.outputs, self.features, width, self.signs.shape[0],
            RANK=RANK, BLOCK_N=REBUILT_ROWS, num_warps=4,
        )  # fmt: skip
        return weight

    def footprint(self) -> dict[str, int]:
        return {"weights": sum(each.nbytes for each in (self.signs, self.left, self.right, self.divisors))}


@triton.jit
def _next_signs(words, DTYPE: tl.constexpr):
    """The highest bit of each 16-bit word as -1 or 1, and the words moved up by one: an instruction for two of either.

    What moves from one word of a register into its neighbour would come up at the sixteenth call.
    """
    if tl.bfloat16 == DTYPE and not INTERPRETED:
        return tl.inline_asm_elementwise(
            "lop3.b32 $0, $2, 0x80008000, 0x3F803F80, 0xEA; shl.b32 $1, $2, 1;",
            "=&r,=r,r", [words], dtype=(tl.bfloat16, tl.int16), is_pure=True, pack=2,
        )  # fmt: skip
    elif tl.float16 == DTYPE and not INTERPRETED:
        return tl.inline_asm_elementwise(
            "lop3.b32 $0, $2, 0x80008000, 0x3C003C00, 0xEA; shl.b32 $1, $2, 1;",
            "=&r,=r,r", [words], dtype=(tl.float16, tl.int16), is_pure=True, pack=2,
        )  # fmt: skip
    else:
        return tl.where(words < 0, -1.0, 1.0).to(DTYPE), (words.to(tl.int32) << 1).to(tl.int16)


@triton.jit
def _columns_kernel(Tokens, Divisors, Right, Columns, features, width, planes, RANK: tl.constexpr):
    """Columns (tokens, planes, width, RANK): a token, evened out, times each column of each plane's `right`."""
    lines, ranks = tl.program_id(0) * 128 + tl.arange(0, 128), tl.arange(0, RANK)
    token, places = tl.program_id(1).to(tl.int64), lines % width
    inside, held = places < features, (lines < planes * width)[:, None]
    values = tl.load(Tokens + token * features + places, mask=inside, other=0.0).to(tl.float32)
    values = values / tl.load(Divisors + places, mask=inside, other=1.0)
    right = tl.load(Right + lines[:, None] * RANK + ranks[None, :], mask=held, other=0.0).to(tl.float32)
    columns = Columns + (token * planes * width + lines[:, None]) * RANK + ranks[None, :]
    tl.store(columns, (right * values[:, None]).to(Columns.dtype.element_ty), mask=held)


@triton.jit
def _few_kernel(
    Columns, Out, Partial, Counters, Signs, Left, tokens, outputs, width, planes,
    RANK: tl.constexpr, BLOCK_N: tl.constexpr, SPLITS: tl.constexpr,
):  # fmt: skip
    """One token to a program."""
    rows = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    token = tl.program_id(1)
    ranks, lanes = tl.arange(0, RANK), tl.arange(0, 32)
    blocks = width // 512
    begin, end = split_range(blocks, SPLITS)
    total = tl.zeros([BLOCK_N], dtype=tl.float32)
    for plane in range(planes):
        sums = tl.zeros([BLOCK_N, RANK], dtype=tl.float32)
        columns = Columns + (token * planes + plane).to(tl.int64) * width * RANK
        for block in range(begin, end):
            words = load_words(Signs, plane * blocks + block, rows, outputs, 0, 32, 32)
            for part in tl.static_range(16):
                signs, words = _next_signs(words, Columns.dtype.element_ty)
                places = block * 512 + (15 - part) * 32 + lanes
                tile = tl.load(columns + places[:, None] * RANK + ranks[None, :])
                sums = tl.dot(signs, tile, sums, input_precision="ieee")
        left = Left + (plane * outputs + rows[:, None]) * RANK + ranks[None, :]
        total += tl.sum(sums * tl.load(left, mask=(rows < outputs)[:, None], other=0.0).to(tl.float32), axis=1)
    finish(total[:, None], Out, Partial, Counters, rows, token + tl.arange(0, 1), tokens, outputs, SPLITS)


_few_tokens = TunedKernel(
    _few_kernel, TILES, ("tokens", "outputs", "width", "planes"), {"BLOCK_N": LEAST_TILE, "SPLITS": 2}
)


@triton.jit
def _rebuild_kernel(
    Weight, Signs, Left, Right, outputs, features, width, planes, RANK: tl.constexpr, BLOCK_N: tl.constexpr
):  # fmt: skip
    """One program rebuilds 32 features, one bit of its words; the 16 that share words follow each other."""
    part, block = tl.program_id(0) % 16, tl.program_id(0) // 16
    rows = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    ranks, places = tl.arange(0, RANK), block * 512 + part * 32 + tl.arange(0, 32)
    known = (rows < outputs)[:, None]
    total = tl.zeros([BLOCK_N, 32], dtype=tl.float32)
    for plane in range(planes):
        words = load_words(Signs, plane * (width // 512) + block, rows, outputs, 0, 32, 32).to(tl.int32)
        left = tl.load(Left + (plane * outputs + rows[:, None]) * RANK + ranks[None, :], mask=known, other=0.0)
        right = tl.load(Right + (plane * width + places[None, :]) * RANK + ranks[:, None])
        if INTERPRETED:
            left, right = left.to(tl.float32), right.to(tl.float32)
        sizes = tl.dot(left, right, input_precision="ieee")
        total += tl.where((words >> part) & 1 != 0, -sizes, sizes)
    pointers = Weight + rows[:, None].to(tl.int64) * features + places[None, :]
    tl.store(pointers, total.to(Weight.dtype.element_ty), mask=known & (places < features)[None, :])
