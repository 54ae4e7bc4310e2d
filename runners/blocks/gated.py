"""The middle of a gated feed-forward layer, silu(gate) * up, read and written once."""

# Kernels are typed by what they are launched with.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import silu

from runners.blocks.kernels import require_triton, tl, triton

BLOCK = 1024


def gated(gate: Tensor, up: Tensor) -> Tensor:
    """(tokens, hidden) each, of one stride from row to row: halves of one matrix do. By one kernel: (tokens, hidden)."""
    require_triton("the gated product")
    tokens, hidden = gate.shape
    out = gate.new_empty((tokens, hidden))
    _gated_kernel[(tokens, triton.cdiv(hidden, BLOCK))](
        gate, up, out, hidden, gate.stride(0), BLOCK=BLOCK, num_warps=4
    )  # fmt: skip
    return out


def gated_by_library(gate: Tensor, up: Tensor) -> Tensor:
    return silu(gate) * up


@triton.jit
def _gated_kernel(Gate, Up, Out, hidden, stride, BLOCK: tl.constexpr):
    row, column = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = column < hidden
    gate = tl.load(Gate + row * stride + column, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(Up + row * stride + column, mask=inside, other=0.0).to(tl.float32)
    tl.store(Out + row * hidden + column, (gate * tl.sigmoid(gate) * up).to(Out.dtype.element_ty), mask=inside)
