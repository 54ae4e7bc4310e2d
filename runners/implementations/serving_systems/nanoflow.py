"""One iteration of continuous batching in nano-batches: attention over caches runs beside matrix products, not after them.

Source: "NanoFlow: Towards Optimal Large Language Model Serving Throughput" (2024).

An iteration takes `decoding` requests one token further, each against a cache of `context` tokens, and `prompts` prompts of
`prompt` tokens through their first pass, all tokens in the same matrix products. x (tokens, hidden): first the new token of
each decoding request, then the prompts one after another; the output has the same shape, after `layers` layers.

  sequential    per layer: queries, keys, values -> attention -> projection and feed-forward, each waiting for the last
  technique     the requests are cut into `nano` parts. The dense operations of all parts follow one another on the caller's
                stream; attention of decoding requests runs on a second stream of higher priority, in `programs` programs,
                which leave the other multiprocessors to the matrix products. While one part's attention reads its
                caches, the dense operations of another part compute. Events order the streams, and they are joined
                before the answer is given.

Why it should win: Llama-3-8B, 512 decoding requests with 1,024 tokens each and 3 prompts of 512, on an H200. A layer's dense
operations are 0.9 TFLOP, 1.1 ms at 790 TFLOP/s; its caches are 2.1 GB, 0.45 ms at 4.8 TB/s. One after the other that is 1.6 ms; beside each
other 1.1 ms at best, a factor of 1.4. What is lost: a matrix product on fewer multiprocessors is slower by their share, and each
part reads the 0.44 GB of weights anew (hidden under the arithmetic as long as a part has several hundred tokens).
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from runners.blocks.attention import LOG2_E
from runners.blocks.decoder import Decoder, Rotary, Sizes, attention, decoder_weights
from runners.blocks.kernels import has_triton, require_triton, tl, triton
from runners.blocks.ladder import Subject, compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.moe import KERNEL_DTYPES
from runners.blocks.rand import Rand

HIGH_PRIORITY = -1
# Tensor cores multiply at least 16 rows: the queries of a group are padded to as many.
QUERY_ROWS = 16
BLOCK_KEYS = 64


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """The decoder's parameters, and filled caches whose last place belongs to the new token."""
    sizes = Sizes.of(axes)
    cache = (sizes.layers, axes["decoding"], sizes.kv_heads, axes["context"], sizes.dim)
    cached = {"keys": rand.gaussian(*cache), "values": rand.gaussian(*cache)}
    return decoder_weights(sizes, rand) | cached


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.normal(axes["decoding"] + axes["prompts"] * axes["prompt"], axes["hidden"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Products of all tokens, attention over caches and, causal, within prompts; weights and caches once."""
    layers, hidden, heads, dim = axes["layers"], axes["hidden"], axes["heads"], axes["dim"]
    decoding, context, prompts, prompt = axes["decoding"], axes["context"], axes["prompts"], axes["prompt"]
    tokens, narrow = decoding + prompts * prompt, axes["kv_heads"] * dim
    weights = hidden * (2 * heads * dim + 2 * narrow + 3 * axes["ffn"])
    products = 2 * tokens * weights + 2 * heads * dim * (2 * decoding * context + prompts * prompt**2)
    moved = layers * (weights + 2 * decoding * context * narrow) + 2 * tokens * hidden
    return LeastWork({dtype: layers * products}, BYTES[dtype] * moved)


@dataclass
class Part:
    """Some of the requests on their way through the layers."""

    requests: slice
    """Of the decoding requests."""
    x: Tensor
    """Residual stream (1, tokens, hidden): decoding requests first."""
    rotary: Rotary
    decoded: Tensor = field(default_factory=lambda: torch.empty(0))
    """What attention over caches gave, (requests, heads, dim)."""
    prompted: Tensor | None = None
    """What attention within prompts gave, (tokens, heads, dim)."""
    done: torch.cuda.Event | None = None
    """When `decoded` is there, if another stream computes it."""

    @property
    def decoding(self) -> int:
        return self.requests.stop - self.requests.start


class Iteration:
    """The iteration; one part, `programs` of zero (all that fit) and no overlap are the sequential form."""

    def __init__(
        self, axes: dict[str, int], weights: dict[str, Tensor], *, parts: int = 1, programs: int = 0, overlap: bool = False,
        kernel: bool = True,
    ) -> None:  # fmt: skip
        self.axes, self.parts, self.programs = axes, parts, programs
        # The new tokens are written into the caches, which must not be those that were lent.
        self.keys, self.values = weights["keys"].clone(), weights["values"].clone()
        dense = {name: tensor for name, tensor in weights.items() if name not in ("keys", "values")}
        self.decoder = Decoder(Sizes.of(axes), dense)
        self.kernel = kernel and self.keys.is_cuda and has_triton() and self.keys.dtype in KERNEL_DTYPES
        self.side = torch.cuda.Stream(priority=HIGH_PRIORITY) if overlap and self.keys.is_cuda else None

    def __call__(self, x: Tensor) -> Tensor:
        parts = self.split(x)
        for layer in range(self.decoder.sizes.layers):
            for part in parts:
                if layer:
                    self.after_attention(layer - 1, part)
                self.attend(layer, part)
        for part in parts:
            self.after_attention(self.decoder.sizes.layers - 1, part)
        return self.join(parts)

    def split(self, x: Tensor) -> list[Part]:
        """Requests and prompts cut into parts as equal as can be."""
        decoding, prompts, prompt = (self.axes[each] for each in ("decoding", "prompts", "prompt"))
        parts = []
        for index in range(self.parts):
            requests = slice(decoding * index // self.parts, decoding * (index + 1) // self.parts)
            first, last = (decoding + prompts * place // self.parts * prompt for place in (index, index + 1))
            rows = x if self.parts == 1 else torch.cat([x[requests], x[first:last]])
            old = torch.full((requests.stop - requests.start,), self.axes["context"] - 1, device=x.device)
            new = torch.arange(prompt, device=x.device).repeat((last - first) // max(prompt, 1))
            parts.append(Part(requests, rows[None], self.decoder.rotary(torch.cat([old, new]), x)))
        return parts

    def join(self, parts: list[Part]) -> Tensor:
        if len(parts) == 1:
            return parts[0].x[0]
        return torch.cat(
            [*(part.x[0, : part.decoding] for part in parts), *(part.x[0, part.decoding :] for part in parts)]
        )

    def attend(self, layer: int, part: Part) -> None:
        """Queries, keys and values on the caller's stream; attention over caches on the side stream where there is one."""
        count, prompt = part.decoding, self.axes["prompt"]
        q, k, v = (each[0].transpose(0, 1) for each in self.decoder.queries_keys_values(layer, part.x, part.rotary))
        with self.beside(q, k, v):
            keys, values = self.keys[layer, part.requests], self.values[layer, part.requests]
            keys[:, :, -1], values[:, :, -1] = k[:count], v[:count]
            part.decoded = self.decode(q[:count], keys, values)
        if self.side is not None:
            part.done = self.side.record_event()
        # Prompts' attention is bound by arithmetic like the products, so it stays on their stream.
        by_prompt = (each[count:].unflatten(0, (-1, prompt)).transpose(1, 2) for each in (q, k, v))
        part.prompted = attention(*by_prompt).transpose(1, 2).flatten(0, 1) if q.shape[0] > count else None

    @contextmanager
    def beside(self, *lent: Tensor) -> Iterator[None]:
        """Work on the side stream after what the caller's has queued; `lent` may be freed while that still reads them."""
        if self.side is None:
            yield
            return
        self.side.wait_stream(torch.cuda.current_stream())
        for tensor in lent:
            tensor.record_stream(self.side)
        with torch.cuda.stream(self.side):
            yield

    def decode(self, q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """q (requests, heads, dim) over caches (requests, kv_heads, context, dim)."""
        if self.kernel:
            return decode_attention(q, keys, values, self.programs)
        return attention(q[:, :, None], keys, values)[:, :, 0]

    def after_attention(self, layer: int, part: Part) -> None:
        """Output projection and feed-forward of a part whose attention is, or will be, done."""
        if part.done is not None:
            current = torch.cuda.current_stream()
            current.wait_event(part.done)
            part.decoded.record_stream(current)
        attended = part.decoded if part.prompted is None else torch.cat([part.decoded, part.prompted])
        x = part.x + attended.flatten(1) @ self.decoder.weights["output"][layer]
        part.x = x + self.decoder.ffn_part(layer, x)

    def footprint(self) -> dict[str, int]:
        return {**self.decoder.footprint(), "kv_cache": self.keys.nbytes + self.values.nbytes}


def decode_attention(q: Tensor, keys: Tensor, values: Tensor, programs: int = 0) -> Tensor:
    """Attention of one query a head, q (requests, heads, dim), in `programs` programs; 0: one for each cached head."""
    require_triton("attention over caches")
    requests, heads, dim = q.shape
    kv_heads, context = keys.shape[1:3]
    out = torch.empty((requests, heads, dim), dtype=q.dtype, device=q.device)
    tasks = requests * kv_heads
    if tasks:
        _decode_kernel[(min(programs, tasks) or tasks,)](
            q, keys, values, out, tasks, context, LOG2_E / math.sqrt(dim), q.stride(0), q.stride(1), kv_heads,
            GROUP=heads // kv_heads, ROWS=max(QUERY_ROWS, triton.next_power_of_2(heads // kv_heads)), DIM=dim,
            BLOCK_D=max(16, triton.next_power_of_2(dim)), BLOCK_N=BLOCK_KEYS, num_warps=4, num_stages=3,
        )  # fmt: skip
    return out


@triton.jit
def _decode_kernel(
    Q, Keys, Values, Out, tasks, context, scale_log2, request_stride, head_stride, kv_heads,
    GROUP: tl.constexpr, ROWS: tl.constexpr, DIM: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Each program takes every so many-th cached head and attends to it with the queries of its group."""
    group, columns, places = tl.arange(0, ROWS), tl.arange(0, BLOCK_D), tl.arange(0, BLOCK_N)
    inside = (group < GROUP)[:, None] & (columns < DIM)[None, :]
    wide_zero = tl.program_id(0).to(tl.int64) * 0
    for each in range(tl.program_id(0), tasks, tl.num_programs(0)):
        task = wide_zero + each  # caches hold more numbers than 32 bits count
        request, head = task // kv_heads, task % kv_heads * GROUP
        queries = Q + request * request_stride + (head + group)[:, None] * head_stride + columns[None, :]
        q = tl.load(queries, mask=inside, other=0.0)
        cached = task * context * DIM
        largest = tl.full((ROWS,), float("-inf"), dtype=tl.float32)
        total = tl.zeros((ROWS,), dtype=tl.float32)
        result = tl.zeros((ROWS, BLOCK_D), dtype=tl.float32)
        for start in range(0, context, BLOCK_N):
            seen = start + places < context
            offsets = cached + (start + places)[:, None] * DIM + columns[None, :]
            mask = seen[:, None] & (columns < DIM)[None, :]
            k = tl.load(Keys + offsets, mask=mask, other=0.0)
            v = tl.load(Values + offsets, mask=mask, other=0.0)
            scores = tl.dot(q, tl.trans(k), input_precision="ieee") * scale_log2
            scores = tl.where(seen[None, :], scores, float("-inf"))
            new_largest = tl.maximum(largest, tl.max(scores, 1))
            shares = tl.exp2(scores - new_largest[:, None])
            fade = tl.exp2(largest - new_largest)
            total = total * fade + tl.sum(shares, 1)
            result = tl.dot(shares.to(v.dtype), v, result * fade[:, None], input_precision="ieee")
            largest = new_largest
        result = result / total[:, None]
        out = Out + request * kv_heads * GROUP * DIM + (head + group)[:, None] * DIM + columns[None, :]
        tl.store(out, result.to(Out.dtype.element_ty), mask=inside)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return Iteration(axes, weights, parts=axes["nano"], programs=axes["programs"], overlap=True)


def make_sequential(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The same kernels on all multiprocessors, one operation after another."""
    return Iteration(axes, weights)


def make_nano_sequential(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """Cut into parts, and nothing beside anything: what the cutting alone costs."""
    return Iteration(axes, weights, parts=axes["nano"])


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """Sequential, attention through scaled_dot_product_attention."""
    return Iteration(axes, weights, kernel=False)


SUBJECTS = {
    "technique": make_technique,
    "sequential": make_sequential,
    "nano_sequential": make_nano_sequential,
    "eager": make_eager,
    "compiled": compiled(make_eager),
}
