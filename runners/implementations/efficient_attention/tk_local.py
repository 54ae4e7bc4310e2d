"""Self-attention of long documents within a moving window, over chunks without padding.

Source: "Local Self-Attention over Long Text for Efficient Document Retrieval" (2020), the TKL model's attention.

Shapes: q, k, v and the output (batch, seq, heads, dim), documents of `lengths` (batch,) tokens padded to seq; the output is zero in
the padding. A document is cut into chunks of `chunk` tokens. A token attends to its own chunk and `overlap` tokens on either side.
    cut     queries by chunk, keys and values by windows of chunk + 2 * overlap tokens
    pack    chunks that hold padding alone are dropped; those of all documents make one batch
    attend  dense attention within each window; then every chunk goes back to its place
Work: 4 * tokens * (chunk + 2 * overlap) * heads * dim operations where full attention takes 4 * batch * seq^2 * heads * dim, padding
included. Traffic binds: q, k, v are read, windows written and read once more, (chunk + 2 * overlap) / chunk times k and v.
8 documents of up to 4,096 tokens, half of it padding, 12 heads of 64, chunks of 128 with 32 on either side, 16 bits: 25 MB each of q, k, v;
in all about 0.25 GB, 0.05 ms on an H200 at 4.8 TB/s. Full attention by a fused kernel is 0.41 TFLOP, 0.5 ms at 790 TFLOP/s. How many
chunks there are decides a shape, so their count comes to the host, about 20 us.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from runners.blocks.ladder import Subject, compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand

reads_all_inputs = False  # what lies in the padding is never read


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """Lengths are even over 1 .. seq, so that half of a minibatch is padding."""
    shape = (axes["batch"], axes["seq"], axes["heads"], axes["dim"])
    return rand.normal(*shape), rand.normal(*shape), rand.normal(*shape), rand.integers(axes["seq"], axes["batch"]) + 1


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Lengths are drawn: two deviations fewer tokens than expected. The output is written in the padding as well."""
    width = axes["heads"] * axes["dim"]
    tokens = axes["seq"] * max(0.0, axes["batch"] / 2 - 2 * (axes["batch"] / 12) ** 0.5)
    products = 4 * tokens * (axes["chunk"] + 2 * axes["overlap"]) * width
    return LeastWork({dtype: products}, BYTES[dtype] * width * (3 * tokens + axes["batch"] * axes["seq"]))


class PackedWindows:
    def __init__(self, axes: dict[str, int]) -> None:
        self.chunk, self.overlap = axes["chunk"], axes["overlap"]

    def __call__(self, q: Tensor, k: Tensor, v: Tensor, lengths: Tensor) -> Tensor:
        batch, seq, heads, dim = q.shape
        fill, chunk = -seq % self.chunk, self.chunk
        starts = torch.arange(0, seq, chunk, device=q.device)
        document, index = (starts < lengths[:, None]).nonzero(as_tuple=True)
        q_packed = pad(q, (0, 0, 0, 0, 0, fill)).unflatten(1, (-1, chunk))[document, index]
        k_packed, v_packed = self.windows(k, fill)[document, index], self.windows(v, fill)[document, index]
        # Keys before the document and after its end.
        place = starts[index, None] + torch.arange(-self.overlap, chunk + self.overlap, device=q.device)
        real = (place >= 0) & (place < lengths[document, None])
        attended = scaled_dot_product_attention(
            q_packed.transpose(1, 2),
            k_packed.transpose(-1, -2),
            v_packed.transpose(-1, -2),
            real[:, None, None].expand(-1, heads, chunk, -1),
        )
        written = attended.transpose(1, 2).masked_fill(~real[:, self.overlap : self.overlap + chunk, None, None], 0.0)
        output = q.new_zeros(batch, len(starts), chunk, heads, dim)
        output[document, index] = written
        return output.flatten(1, 2)[:, :seq]

    def windows(self, tokens: Tensor, fill: int) -> Tensor:
        """Overlapping windows as a view: (batch, chunks, heads, dim, chunk + 2 * overlap)."""
        padded = pad(tokens, (0, 0, 0, 0, self.overlap, fill + self.overlap))
        return padded.unfold(1, self.chunk + 2 * self.overlap, self.chunk)

    def packed_chunks(self, lengths: Tensor) -> int:
        return int(((lengths + self.chunk - 1) // self.chunk).sum())


def window_mask(lengths: Tensor, seq: int, chunk: int, overlap: int) -> Tensor:
    """Which keys each query sees: boolean (batch, 1, seq, seq)."""
    place = torch.arange(seq, device=lengths.device)
    start = place // chunk * chunk
    near = (place >= (start - overlap)[:, None]) & (place < (start + chunk + overlap)[:, None])
    return (near & (place < lengths[:, None, None]))[:, None]


def _without_padding(attended: Tensor, lengths: Tensor) -> Tensor:
    """(batch, heads, seq, dim) as (batch, seq, heads, dim), zero from each document's end on."""
    beyond = torch.arange(attended.shape[2], device=lengths.device) >= lengths[:, None]
    return attended.transpose(1, 2).masked_fill(beyond[:, :, None, None], 0.0)


def _plain(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    scores = q.transpose(1, 2) @ k.permute(0, 2, 3, 1) / math.sqrt(q.shape[-1])
    # Queries in the padding see no key; what they give is cleared later and must only be a number.
    shares = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(-1)
    return shares @ v.transpose(1, 2)


def _fused(q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> Tensor:
    return scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), mask)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> PackedWindows:
    return PackedWindows(axes)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """All scores, with a mask for the window."""

    def attend(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor) -> Tensor:
        mask = window_mask(lengths, q.shape[1], axes["chunk"], axes["overlap"])
        return _without_padding(_plain(q, k, v, mask), lengths)

    return attend


def make_library(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """torch's attention under the same mask: fused, but every score is computed."""

    def attend(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor) -> Tensor:
        mask = window_mask(lengths, q.shape[1], axes["chunk"], axes["overlap"])
        return _without_padding(_fused(q, k, v, mask).nan_to_num(0.0), lengths)

    return attend


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """Self-attention over whole documents, as the first TK model has it: scores in memory, padding masked."""

    def attend(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor) -> Tensor:
        mask = torch.arange(q.shape[1], device=q.device) < lengths[:, None, None, None]
        return _without_padding(_plain(q, k, v, mask), lengths)

    return attend


def make_fused_full(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The same by torch's fused kernel."""

    def attend(q: Tensor, k: Tensor, v: Tensor, lengths: Tensor) -> Tensor:
        mask = torch.arange(q.shape[1], device=q.device) < lengths[:, None, None, None]
        return _without_padding(_fused(q, k, v, mask), lengths)

    return attend


SUBJECTS = {
    "technique": make_technique,
    "eager": make_eager,
    "compiled": compiled(make_eager),
    "library": make_library,
    "paper": make_paper,
    "fused_full": make_fused_full,
}
