"""Mixture of experts: a top-k router, tokens sorted by expert, and matrix products of unequal groups of rows.

    routed = top_k_route(logits, k)                   experts (tokens, k) and shares (tokens, k)
    order = sort_by_expert(routed.experts, count)     which token each of the tokens * k pairs belongs to, by expert
    hidden = grouped_matmul(x, weight, order.ends, order.tokens)      row i: x[order.tokens[i]] @ weight[its expert]
    y = combine(grouped_matmul(hidden, down, order.ends), order, routed.shares)

Weights are (experts, width, outputs). `expert_loop` is the same layer as one reads it in a text book, expert by expert.

A grouped product must read the weights of every expert that has a token and do 2 * pairs * width * outputs operations,
as a dense layer on as many rows does. The kernel finds on the device which expert each tile of rows belongs to: a loop
over experts would bring the counts to the host first and launch as many products as there are experts. It also gathers
the rows while it loads them, so that the sorted copy of the tokens is never written.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN201, ANN202, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu

from runners.blocks.attention import TunedKernel
from runners.blocks.kernels import has_triton, require_triton, tl, triton

KERNEL_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
BLOCK_K = 64
# Row tiles that share column tiles run side by side, so that both stay in the second-level cache.
SUPERTILE = 8
COMBINED_COLUMNS = 1024

ROUTER_STEPS = 60
ROUTER_RATE = 2.0


@dataclass(frozen=True)
class Routed:
    """For each token the experts chosen and their shares, both (tokens, k)."""

    experts: Tensor
    shares: Tensor


@dataclass(frozen=True)
class ExpertOrder:
    """The (token, choice) pairs sorted by expert."""

    tokens: Tensor
    """The token of each pair, int64 (pairs,)."""
    places: Tensor
    """Where each pair, counted by token and choice, went: int64 (pairs,)."""
    ends: Tensor
    """One past the last pair of each expert, int32 (experts,)."""


def top_k_route(logits: Tensor, k: int) -> Routed:
    """The k largest logits of each row, and a softmax over those; in float32 for shorter types, as routers are kept."""
    wide = logits if logits.dtype == torch.float64 else logits.float()
    values, experts = wide.topk(k, dim=-1)
    return Routed(experts, values.softmax(-1))


def sort_by_expert(experts: Tensor, count: int) -> ExpertOrder:
    """Sorts the pairs of `experts` (tokens, k) by expert, stably; nothing comes to the host."""
    chosen, order = experts.flatten().sort(stable=True)
    places = torch.empty_like(order)
    places[order] = torch.arange(order.numel(), device=order.device)
    every = torch.arange(count, device=chosen.device, dtype=chosen.dtype)
    ends = torch.searchsorted(chosen, every, right=True).to(torch.int32)
    return ExpertOrder(order // experts.shape[1], places, ends)


def trained_router(x: Tensor, prior: Tensor) -> Tensor:
    """Weights (hidden, experts) of a linear router whose softmax follows `prior` (tokens, experts) on x (tokens, hidden).

    By momentum descent on the cross-entropy, in float32.
    """
    x = x.float()
    router, speed = x.new_zeros(x.shape[1], prior.shape[1]), x.new_zeros(x.shape[1], prior.shape[1])
    for _ in range(ROUTER_STEPS):
        gradient = x.t() @ ((x @ router).softmax(-1) - prior) / x.shape[0]
        speed = 0.9 * speed - ROUTER_RATE / x.shape[1] ** 0.5 * gradient
        router += speed
    return router


def combine(outputs: Tensor, order: ExpertOrder, shares: Tensor) -> Tensor:
    """Outputs (pairs, width) in sorted order, back to their tokens and weighted: (tokens, width).

    Where nobody asks for gradients a kernel does it in one pass.
    """
    wanted = torch.is_grad_enabled() and (outputs.requires_grad or shares.requires_grad)
    if takes_kernels(outputs) and not wanted:
        return combine_kernel(outputs, order.places, shares)
    by_token = outputs[order.places].unflatten(0, shares.shape)
    return (shares.to(outputs.dtype)[:, None] @ by_token).squeeze(1)


def combine_kernel(outputs: Tensor, places: Tensor, shares: Tensor) -> Tensor:
    (tokens, k), width = shares.shape, outputs.shape[1]
    out = outputs.new_empty(tokens, width)
    if out.numel():
        grid = (tokens, triton.cdiv(width, COMBINED_COLUMNS))
        _combine_kernel[grid](outputs.contiguous(), places, shares.contiguous(), out, width, k, BLOCK=COMBINED_COLUMNS)
    return out


def takes_kernels(tensor: Tensor) -> bool:
    """Whether Triton runs where `tensor` is, in a type that the kernels here take."""
    return tensor.is_cuda and has_triton() and tensor.dtype in KERNEL_DTYPES


def grouped_matmul(
    rows: Tensor, weight: Tensor, ends: Tensor, gather: Tensor | None = None, *, kernel: bool | None = None
) -> Tensor:
    """rows (pairs, width), or rows[gather], group by group times weight (experts, width, outputs): (pairs, outputs).

    `kernel` says whether Triton does it; by default on a GPU, in the types that it takes.
    """
    if takes_kernels(rows) if kernel is None else kernel:
        return grouped_matmul_kernel(rows, weight, ends, gather)
    return grouped_matmul_loop(rows if gather is None else rows[gather], weight, ends)


def grouped_matmul_loop(rows: Tensor, weight: Tensor, ends: Tensor) -> Tensor:
    """One product for each expert that has rows; brings the group ends to the host."""
    out = rows.new_empty(rows.shape[0], weight.shape[2])
    begin = 0
    for expert, end in enumerate(ends.tolist()):
        if end > begin:
            torch.mm(rows[begin:end], weight[expert], out=out[begin:end])
        begin = end
    return out


def grouped_matmul_library(rows: Tensor, weight: Tensor, ends: Tensor, gather: Tensor | None = None) -> Tensor:
    """torch's grouped product, CUTLASS on Hopper; gathered rows are written first. Not in float64."""
    rows = rows if gather is None else rows[gather]
    return torch._grouped_mm(rows, weight, offs=ends)


def grouped_matmul_kernel(rows: Tensor, weight: Tensor, ends: Tensor, gather: Tensor | None = None) -> Tensor:
    require_triton("the grouped matrix product")
    pairs = rows.shape[0] if gather is None else gather.numel()
    experts, width, outputs = weight.shape
    rows = rows.contiguous()
    out = rows.new_empty(pairs, outputs)
    if not pairs:
        return out

    _GROUPED(
        grid_over_experts(pairs, experts, outputs), rows, weight, out, rows if gather is None else gather, ends, pairs, experts, width, outputs,
        *weight.stride(), GATHER=gather is not None, LANES=triton.next_power_of_2(experts), BLOCK_K=BLOCK_K,
        SUPERTILE=SUPERTILE,
    )  # fmt: skip
    return out


def grid_over_experts(pairs: int, experts: int, outputs: int) -> Callable[[dict[str, int]], tuple[int]]:
    """Programs enough for any division of `pairs` among experts, each of which may leave one tile of rows part empty."""
    return lambda meta: (
        (triton.cdiv(pairs, meta["BLOCK_M"]) + min(experts, pairs)) * triton.cdiv(outputs, meta["BLOCK_N"]),
    )


@triton.jit
def tile_of_program(outputs, SUPERTILE: tl.constexpr, BLOCK_N: tl.constexpr):
    """Row tile and column tile of this program, supertile by supertile."""
    column_tiles = tl.cdiv(outputs, BLOCK_N)
    row_tiles = tl.num_programs(0) // column_tiles
    supertile = tl.program_id(0) // (SUPERTILE * column_tiles)
    height = tl.minimum(row_tiles - supertile * SUPERTILE, SUPERTILE)
    within = tl.program_id(0) % (SUPERTILE * column_tiles)
    return supertile * SUPERTILE + within % height, within // height


@triton.jit
def rows_of_tile(Ends, row_tile, experts, LANES: tl.constexpr, BLOCK_M: tl.constexpr):
    """The expert of a row tile, the tile's first pair and one past the expert's last; beyond all tiles no expert's number."""
    lanes = tl.arange(0, LANES)
    end_of = tl.load(Ends + lanes, mask=lanes < experts, other=0)
    begin_of = tl.load(Ends + lanes - 1, mask=(lanes > 0) & (lanes < experts), other=0)
    tiles_upto = tl.cumsum((end_of - begin_of + BLOCK_M - 1) // BLOCK_M * (lanes < experts).to(tl.int32), 0)
    expert = tl.sum((tiles_upto <= row_tile).to(tl.int32), 0)
    tiles_before = tl.sum(tl.where(lanes == expert - 1, tiles_upto, 0), 0)
    first = tl.sum(tl.where(lanes == expert, begin_of, 0), 0) + (row_tile - tiles_before) * BLOCK_M
    return expert, first, tl.sum(tl.where(lanes == expert, end_of, 0), 0)


@triton.jit
def tile_of_experts(
    Ends, Gather, experts, outputs,
    GATHER: tl.constexpr, LANES: tl.constexpr, SUPERTILE: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """This program's expert, pairs, which of them are the expert's, the rows they read, and first column."""
    row_tile, column_tile = tile_of_program(outputs, SUPERTILE, BLOCK_N)
    expert, first, end = rows_of_tile(Ends, row_tile, experts, LANES, BLOCK_M)
    places = (first + tl.arange(0, BLOCK_M)).to(tl.int64)
    inside = (places < end) & (expert < experts)
    sources = places
    if GATHER:
        sources = tl.load(Gather + places, mask=inside, other=0)
    return expert.to(tl.int64), places, inside, sources, column_tile * BLOCK_N


@triton.jit
def _grouped_kernel(
    Rows, Weight, Out, Gather, Ends, pairs, experts, width, outputs, expert_stride, width_stride, output_stride,
    GATHER: tl.constexpr, LANES: tl.constexpr, BLOCK_K: tl.constexpr, SUPERTILE: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """One program a tile of the output; the tile's expert follows from counting the tiles of all experts."""
    expert, places, inside, sources, column = tile_of_experts(
        Ends, Gather, experts, outputs, GATHER, LANES, SUPERTILE, BLOCK_M, BLOCK_N
    )
    if expert < experts:
        columns = column + tl.arange(0, BLOCK_N)
        depth = tl.arange(0, BLOCK_K)
        row_pointers = Rows + sources[:, None] * width + depth[None, :]
        weight_pointers = (
            Weight + expert * expert_stride + depth[:, None] * width_stride + columns[None, :] * output_stride
        )
        total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
        for start in range(0, width, BLOCK_K):
            deep = depth < width - start
            row = tl.load(row_pointers, mask=inside[:, None] & deep[None, :], other=0.0)
            weight = tl.load(weight_pointers, mask=deep[:, None] & (columns < outputs)[None, :], other=0.0)
            total = tl.dot(row, weight, total, input_precision="ieee")
            row_pointers += BLOCK_K
            weight_pointers += BLOCK_K * width_stride
        out_pointers = Out + places[:, None] * outputs + columns[None, :]
        tl.store(out_pointers, total.to(Out.dtype.element_ty), mask=inside[:, None] & (columns < outputs)[None, :])


# Short tiles for decoding, where an expert has a few rows and reading its weights is all; tall ones for long prompts.
_GROUPED = TunedKernel(
    _grouped_kernel,
    [(16, 128, 4, 4), (32, 128, 4, 4), (64, 128, 4, 4), (128, 128, 8, 3), (128, 256, 8, 3)],
    key=("pairs", "width", "outputs"),
)


@triton.jit
def _combine_kernel(Outputs, Places, Shares, Out, width, k, BLOCK: tl.constexpr):
    """One program a block of a token's columns."""
    token = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros((BLOCK,), dtype=tl.float32)
    for choice in range(0, k):
        place = tl.load(Places + token * k + choice)
        share = tl.load(Shares + token * k + choice).to(tl.float32)
        total += share * tl.load(Outputs + place * width + columns, mask=columns < width, other=0.0).to(tl.float32)
    tl.store(Out + token * width + columns, total.to(Out.dtype.element_ty), mask=columns < width)


GroupedMatmul = Callable[..., Tensor]


def gated_experts(x: Tensor, routed: Routed, gate_up: Any, down: Any, matmul: GroupedMatmul = grouped_matmul) -> Tensor:
    """Gated feed-forward experts: gate_up (experts, hidden, 2 * ffn), down (experts, ffn, hidden); x (tokens, hidden).

    The weights are tensors, or whatever of these shapes `matmul` takes.
    """
    order = sort_by_expert(routed.experts, gate_up.shape[0])
    gate, up = matmul(x, gate_up, order.ends, order.tokens).chunk(2, dim=-1)
    return combine(matmul(silu(gate) * up, down, order.ends), order, routed.shares)


def expert_loop(x: Tensor, routed: Routed, expert: Callable[[int, Tensor], Tensor], count: int) -> Tensor:
    """The layer as defined: each expert in turn takes its tokens, and its weighted outputs are added to theirs."""
    out = torch.zeros_like(x)
    for index in range(count):
        tokens, choice = (routed.experts == index).nonzero(as_tuple=True)
        if tokens.numel():
            share = routed.shares[tokens, choice, None].to(x.dtype)
            out.index_add_(0, tokens, share * expert(index, x[tokens]))
    return out


def gated_expert(gate_up: Tensor, down: Tensor) -> Callable[[int, Tensor], Tensor]:
    """Expert number `index` of a gated layer, for `expert_loop`."""

    def run(index: int, x: Tensor) -> Tensor:
        gate, up = (x @ gate_up[index]).chunk(2, dim=-1)
        return (silu(gate) * up) @ down[index]

    return run
