"""Attention over chosen blocks of keys: for each head and block of queries a list of the key blocks it reads.

Queries are (batch, heads, seq, dim), keys and values (batch, key heads, seq, dim); heads that share a key head are
neighbours. Blocks are `size` tokens wide on both sides. `attend_to_blocks` takes the Triton kernel on a GPU (or under
the interpreter, if asked) and gathers blocks with PyTorch elsewhere; `dense_mask` is the same choice as a mask for every
pair of tokens, to compare with.

The kernel is FlashAttention's forward pass over a list: q, the running sums and the output stay on chip; keys and values
of chosen blocks alone move; only blocks at the end of a list, cut by the diagonal or the end of the sequence, are masked.
A list costs 4 bytes for each (query block, key block) of a head, 1/(size^2) of the scores it stands for.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917, E741
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from runners.blocks.attention import LOG2_E, MAX_DIM, TunedKernel, load_tile, store_tile, tile_constants
from runners.blocks.kernels import interpreted, require_triton, tl, triton

# Every tuned tile of the kernels here divides the block sizes that a GPU is given.
CUDA_BLOCK_SIZES = (32, 64, 128)


@dataclass(frozen=True)
class BlockLists:
    """Which key blocks each query block reads; see `block_lists`."""

    blocks: Tensor
    """int32 (batch, heads, query blocks, key blocks): the chosen ones first, ascending; what follows is not read."""
    unmasked: Tensor
    """int32 (batch, heads, query blocks): so many of the first may be read without a mask."""
    counts: Tensor
    """int32 (batch, heads, query blocks): how many are chosen."""
    size: int
    causal: bool

    def density(self) -> float:
        """Share of the key blocks within reach that are read."""
        _, _, query_blocks, key_blocks = self.blocks.shape
        reach = query_blocks * (query_blocks + 1) / 2 if self.causal else query_blocks * key_blocks
        return float(self.counts.double().sum(-1).mean().item()) / reach


def block_lists(chosen: Tensor, seq: int, size: int, *, causal: bool, segment: int | None = None) -> BlockLists:
    """Lists from a boolean (batch, heads, query blocks, key blocks); blocks that lie wholly ahead are left out.

    `segment`: keys may stand in another order within pieces of so many tokens, a multiple of `size`; where causal, every
    block in the piece of the queries is then masked. Nothing here waits for the device.
    """
    blocks = chosen.shape[-1]
    place = torch.arange(blocks, device=chosen.device)
    per_segment = (segment or size) // size
    first_masked = torch.full_like(place, blocks)
    if causal:
        first_masked = place // per_segment * per_segment
        chosen = chosen & (place[None, :] < (first_masked + per_segment)[:, None])
    if seq % size:
        first_masked = first_masked.clamp_max(blocks - 1)
    rank = chosen.cumsum(-1, dtype=torch.int32)
    counts = rank[..., -1]
    # The column past the end takes what was not chosen.
    target = torch.where(chosen, rank - 1, blocks).long()
    lists = torch.zeros((*chosen.shape[:-1], blocks + 1), dtype=torch.int32, device=chosen.device)
    lists.scatter_(-1, target, place.int().expand_as(target))
    unmasked = (chosen & (place[None, :] < first_masked[:, None])).sum(-1, dtype=torch.int32)
    return BlockLists(lists[..., :blocks].contiguous(), unmasked, counts.contiguous(), size, causal)


@triton.jit
def _attend_listed(
    acc, row_sum, row_max, q, k_base, v_base, places, listed, queries, first, last, seq, scale_log2,
    CAUSAL: tl.constexpr, PERMUTED: tl.constexpr, MASKED: tl.constexpr, SIZE: tl.constexpr,
    DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Folds entries first..last of a list into the unnormalised output of one tile of queries (online softmax)."""
    columns = tl.arange(0, BLOCK_D)
    TILES: tl.constexpr = SIZE // BLOCK_N
    for step in range(first * TILES, last * TILES):
        start = tl.load(listed + step // TILES) * SIZE + step % TILES * BLOCK_N
        keys = start + tl.arange(0, BLOCK_N)
        k = load_tile(k_base, keys, columns, seq, DIM, BLOCK_D, MASKED)
        scores = tl.dot(q, tl.trans(k), input_precision="ieee")
        if MASKED:
            seen = (keys < seq)[None, :]
            if CAUSAL:
                if PERMUTED:
                    seen = seen & (queries[:, None] >= tl.load(places + keys, mask=keys < seq, other=0)[None, :])
                else:
                    seen = seen & (queries[:, None] >= keys[None, :])
            scores = tl.where(seen, scores, float("-inf"))
        new_max = tl.maximum(row_max, tl.max(scores, 1) * scale_log2)
        # A row that has seen no key yet has no maximum to take off.
        shift = tl.where(new_max == float("-inf"), 0.0, new_max) if MASKED else new_max
        p = tl.math.exp2(scores * scale_log2 - shift[:, None])
        shrink = tl.math.exp2(row_max - shift)
        row_sum = row_sum * shrink + tl.sum(p, 1)
        v = load_tile(v_base, keys, columns, seq, DIM, BLOCK_D, MASKED)
        acc = tl.dot(p.to(v.dtype), v, acc * shrink[:, None], input_precision="ieee")
        row_max = new_max
    return acc, row_sum, row_max


@triton.jit
def _block_sparse_kernel(
    Q, K, V, O, Lse, Blocks, Unmasked, Counts, Places, seq, blocks, group, scale_log2,
    CAUSAL: tl.constexpr, PERMUTED: tl.constexpr, SIZE: tl.constexpr,
    DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Output of one tile of queries, and the base-2 logarithm of its softmax denominators."""
    tile = tl.program_id(0)
    if CAUSAL:
        tile = tl.num_programs(0) - 1 - tile  # later queries may read more: they start first
    first_query = tile * BLOCK_M
    head = tl.program_id(1).to(tl.int64)
    key_head = head // group
    queries = first_query + tl.arange(0, BLOCK_M)
    columns = tl.arange(0, BLOCK_D)
    q = load_tile(Q + head * seq * DIM, queries, columns, seq, DIM, BLOCK_D, True)
    acc = tl.zeros([BLOCK_M, BLOCK_D], dtype=tl.float32)
    row_sum = tl.zeros([BLOCK_M], dtype=tl.float32)
    row_max = tl.full([BLOCK_M], float("-inf"), dtype=tl.float32)
    row = head * blocks + first_query // SIZE
    listed = Blocks + row * blocks
    unmasked, count = tl.load(Unmasked + row), tl.load(Counts + row)
    k_base, v_base, places = K + key_head * seq * DIM, V + key_head * seq * DIM, Places + key_head * seq
    acc, row_sum, row_max = _attend_listed(
        acc, row_sum, row_max, q, k_base, v_base, places, listed, queries, 0, unmasked, seq, scale_log2,
        CAUSAL, PERMUTED, False, SIZE, DIM, BLOCK_D, BLOCK_N)  # fmt: skip
    acc, row_sum, row_max = _attend_listed(
        acc, row_sum, row_max, q, k_base, v_base, places, listed, queries, unmasked, count, seq, scale_log2,
        CAUSAL, PERMUTED, True, SIZE, DIM, BLOCK_D, BLOCK_N)  # fmt: skip
    some = row_sum > 0
    acc = acc / tl.where(some, row_sum, 1.0)[:, None]
    store_tile(O + head * seq * DIM, acc, queries, columns, seq, DIM)
    lse = tl.where(some, row_max + tl.math.log2(tl.where(some, row_sum, 1.0)), float("-inf"))
    tl.store(Lse + head * seq + queries, lse, mask=queries < seq)


# By the size of a block, within which a tile has to lie; the smallest is for checks.
_BLOCK_SPARSE = {
    128: TunedKernel(_block_sparse_kernel, [(128, 64, 8, 3), (128, 64, 4, 3), (128, 128, 8, 2), (64, 64, 4, 3)]),
    64: TunedKernel(_block_sparse_kernel, [(64, 64, 4, 3), (64, 64, 4, 2), (64, 64, 8, 3), (64, 32, 4, 3)]),
    32: TunedKernel(_block_sparse_kernel, [(32, 32, 4, 2)]),
}


def check_grouped_inputs(q: Tensor, k: Tensor, v: Tensor, size: int) -> None:
    """Raises ValueError unless the kernels take these tensors and blocks of `size`."""
    if (
        q.dim() != 4
        or k.shape != v.shape
        or q.shape[1] % k.shape[1]
        or k.shape != (q.shape[0], k.shape[1], *q.shape[2:])
    ):
        raise ValueError(f"k and v must be alike and as q but for fewer heads; got {q.shape}, {k.shape}, {v.shape}")
    if q.shape[-1] > MAX_DIM:
        raise ValueError(f"dim is {q.shape[-1]}; these kernels hold at most {MAX_DIM} columns on chip")
    if q.dtype not in (torch.float16, torch.bfloat16, torch.float32) or not (q.dtype == k.dtype == v.dtype):
        raise ValueError(f"q, k, v must be float16, bfloat16 or float32 alike; got {q.dtype}, {k.dtype}, {v.dtype}")
    if interpreted() and size % 32:
        raise ValueError(f"blocks of {size} keys: the interpreter wants a multiple of 32")
    if not interpreted() and size not in CUDA_BLOCK_SIZES:
        raise ValueError(f"blocks of {size} keys: kernels take {', '.join(map(str, CUDA_BLOCK_SIZES))}")


def block_sparse_kernel(
    q: Tensor, k: Tensor, v: Tensor, lists: BlockLists, places: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Output like q, and the base-2 logarithm of the softmax denominators as float32 (batch, heads, seq).

    `places`: int32 (batch, key heads, seq), the original place of each key where keys stand in another order.
    """
    require_triton("block-sparse attention")
    check_grouped_inputs(q, k, v, lists.size)
    q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
    batch, heads, seq, dim = q.shape
    output = torch.empty_like(q)
    lse = torch.empty((batch, heads, seq), dtype=torch.float32, device=q.device)
    launch = _BLOCK_SPARSE[64 if interpreted() else lists.size]
    launch(
        lambda meta: (triton.cdiv(seq, meta.get("BLOCK_M", lists.size)), batch * heads),
        q, k, v, output, lse, lists.blocks, lists.unmasked, lists.counts,
        lists.counts if places is None else places.contiguous(),
        seq, lists.blocks.shape[-1], heads // k.shape[1], LOG2_E / math.sqrt(dim),
        PERMUTED=places is not None, SIZE=lists.size, **tile_constants(dim, lists.causal))  # fmt: skip
    return output, lse


def gathered_attention(
    q: Tensor, k: Tensor, v: Tensor, lists: BlockLists, places: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The same in PyTorch, for any device and dtype: copies the listed blocks of one row of query blocks at a time.

    A query that reaches no key at all gives NaN here and zero in the kernel; choosers always keep the own block.
    """
    batch, heads, seq, dim = q.shape
    group, size, blocks = heads // k.shape[1], lists.size, lists.blocks.shape[-1]
    fill = (0, 0, 0, blocks * size - seq)
    k_blocks, v_blocks = (torch.nn.functional.pad(each, fill).unflatten(2, (blocks, size)) for each in (k, v))
    if places is None:
        places = torch.arange(seq, device=q.device).expand(batch, k.shape[1], seq)
    # A place that no query reaches hides keys past the end.
    reach = 2 * blocks * size
    place_blocks = torch.nn.functional.pad(places.long(), (0, blocks * size - seq), value=reach).unflatten(
        2, (-1, size)
    )
    batches = torch.arange(batch, device=q.device)[:, None, None]
    key_heads = (torch.arange(heads, device=q.device) // group)[None, :, None]
    counts, scale = lists.counts.long(), 1 / math.sqrt(dim)
    output, lse = torch.empty_like(q), torch.empty_like(q[..., 0])
    for row in range(blocks):
        longest = max(1, int(counts[:, :, row].max()))
        queries = slice(row * size, min(seq, (row + 1) * size))
        picked = (batches, key_heads, lists.blocks[:, :, row, :longest].long())
        k_row, v_row = k_blocks[picked].flatten(2, 3), v_blocks[picked].flatten(2, 3)
        unread = torch.arange(longest, device=q.device) >= counts[:, :, row, None]
        place = place_blocks[picked].masked_fill(unread[..., None], reach).flatten(2)[:, :, None]
        last = torch.arange(queries.start, queries.stop, device=q.device)[:, None] if lists.causal else reach - 1
        scores = (q[:, :, queries] @ k_row.transpose(-1, -2) * scale).masked_fill(place > last, float("-inf"))
        output[:, :, queries] = scores.softmax(-1) @ v_row
        lse[:, :, queries] = scores.logsumexp(-1) * LOG2_E
    return output, lse


def attend_to_blocks(
    q: Tensor, k: Tensor, v: Tensor, lists: BlockLists, places: Tensor | None = None, *, kernels: bool | None = None
) -> tuple[Tensor, Tensor]:
    """Output and base-2 log-sum-exp by the kernel where `kernels` (default: on a GPU), else by gathering."""
    if q.is_cuda if kernels is None else kernels:
        return block_sparse_kernel(q, k, v, lists, places)
    return gathered_attention(q, k, v, lists, places)


def dense_mask(lists: BlockLists, seq: int) -> Tensor:
    """The lists as a boolean (batch, heads, seq, seq): which keys each query reads; for keys in their own order."""
    blocks = lists.blocks.shape[-1]
    listed = torch.arange(blocks, device=lists.blocks.device) < lists.counts[..., None]
    chosen = torch.zeros_like(lists.blocks, dtype=torch.int32)
    chosen.scatter_add_(-1, lists.blocks.long(), listed.int())
    mask = (chosen > 0).repeat_interleave(lists.size, -1).repeat_interleave(lists.size, -2)[..., :seq, :seq]
    return mask.tril() if lists.causal else mask
