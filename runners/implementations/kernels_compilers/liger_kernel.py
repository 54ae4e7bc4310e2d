"""Output layer and cross-entropy of a language model in one pass over chunks of tokens, loss and gradients together.

loss = mean over tokens that count of (logsumexp(hidden @ weight.T) - the target's logit); targets of -100 do not count.
Source: "Liger Kernel: Efficient Triton Kernels for LLM Training" (2024), its fused linear cross-entropy.

Shapes: hidden (tokens, hidden), weight (vocab, hidden), targets (tokens,) int64; the loss is one number in the dtype of
hidden, taken in float32. Gradients go to hidden and weight. Axis `chunk` is the number of tokens whose logits exist at one time.

How: for each chunk, logits by cuBLAS into one reused buffer; a Triton kernel turns them into the loss and, in place, into
its gradient; two more products give the chunk's gradient of hidden and add to that of weight. Backward is then a scaling
by the incoming cotangent, which the kernel skips on the device if that is 1.

Llama-3-8B's layer (hidden 4096, vocab 128,256) with 8,192 tokens in bfloat16, forward and backward, on an H200
(790 TFLOP/s, 4.8 TB/s):
  * both ways multiply the same 25.8 TFLOP: 33 ms, which bounds the gain in time;
  * HuggingFace's way casts 2.1 GB of logits to float32 and then moves some 34 GB of logits, log-probabilities and
    gradients: 7 ms; the kernel reads the logits twice and writes them once, 6.3 GB: 1.3 ms;
  * that way holds three float32 tensors of tokens * vocab at its peak, 12.6 GB; here it is a chunk of 1,024 tokens,
    0.26 GB, beside the gradients that both must return.
A chunk of a quarter of `hidden` keeps every product bound by arithmetic (512 operations a byte of the weight gradient
that is read and written again) and costs a quarter of the weight's own size.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from runners.blocks.kernels import require_triton, tl, triton
from runners.blocks.ladder import Subject, compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand

IGNORED = -100
LARGEST_BLOCK = 8192
SCALE_BLOCK = 4096


@triton.jit
def _loss_and_gradient_kernel(
    Logits, Targets, Losses, Counted, vocab, IGNORED: tl.constexpr, WITH_GRADIENT: tl.constexpr, BLOCK: tl.constexpr
):
    """One row of contiguous logits: its loss, and in its place the gradient of the mean loss.

    A target outside 0..vocab-1 that is not IGNORED gives a loss of NaN.
    """
    row = tl.program_id(0)
    logits = Logits + row.to(tl.int64) * vocab
    target = tl.load(Targets + row)
    if target == IGNORED:
        tl.store(Losses + row, 0.0)
        if WITH_GRADIENT:
            for start in range(0, vocab, BLOCK):
                columns = start + tl.arange(0, BLOCK)
                zeros = tl.zeros([BLOCK], dtype=Logits.dtype.element_ty)
                tl.store(logits + columns, zeros, mask=columns < vocab)
    else:
        running_max = float("-inf")
        sums = tl.zeros([BLOCK], dtype=tl.float32)
        for start in range(0, vocab, BLOCK):
            columns = start + tl.arange(0, BLOCK)
            x = tl.load(logits + columns, mask=columns < vocab, other=float("-inf")).to(tl.float32)
            new_max = tl.maximum(running_max, tl.max(x, 0))
            sums = sums * tl.exp(running_max - new_max) + tl.exp(x - new_max)
            running_max = new_max
        log_sum = running_max + tl.log(tl.sum(sums, 0))
        known = (target >= 0) & (target < vocab)
        chosen = tl.load(logits + target, mask=known, other=float("nan")).to(tl.float32)
        tl.store(Losses + row, log_sum - chosen)
        if WITH_GRADIENT:
            share = 1.0 / tl.load(Counted).to(tl.float32)
            for start in range(0, vocab, BLOCK):
                columns = start + tl.arange(0, BLOCK)
                x = tl.load(logits + columns, mask=columns < vocab, other=0.0).to(tl.float32)
                gradient = (tl.exp(x - log_sum) - tl.where(columns == target, 1.0, 0.0)) * share
                tl.store(logits + columns, gradient.to(Logits.dtype.element_ty), mask=columns < vocab)


@triton.jit
def _scale_kernel(X, Factor, count, BLOCK: tl.constexpr):
    """X *= Factor in place, without touching X where the factor is 1."""
    factor = tl.load(Factor)
    if factor != 1.0:
        places = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
        x = tl.load(X + places, mask=places < count, other=0.0).to(tl.float32)
        tl.store(X + places, (x * factor).to(X.dtype.element_ty), mask=places < count)


def _scale(tensor: Tensor | None, factor: Tensor) -> Tensor | None:
    if tensor is not None:
        _scale_kernel[(triton.cdiv(tensor.numel(), SCALE_BLOCK),)](tensor, factor, tensor.numel(), BLOCK=SCALE_BLOCK)
    return tensor


class FusedLinearCrossEntropy(torch.autograd.Function):
    """apply(hidden, weight, targets, chunk) -> mean loss of shape ().

    The gradients are ready after the forward pass and are scaled in place, so backward runs once; RuntimeError after.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, chunk: int) -> Tensor:
        tokens, vocab = hidden.shape[0], weight.shape[0]
        if hidden.shape[1] != weight.shape[1] or targets.shape != (tokens,):
            raise ValueError(
                "hidden must be (tokens, hidden), weight (vocab, hidden) and targets (tokens,); "
                f"got {tuple(hidden.shape)}, {tuple(weight.shape)} and {tuple(targets.shape)}"
            )
        wants_hidden, wants_weight = ctx.needs_input_grad[:2]
        grad_hidden = torch.empty_like(hidden) if wants_hidden else None
        grad_weight = torch.empty_like(weight) if wants_weight else None
        losses = torch.empty(tokens, dtype=torch.float32, device=hidden.device)
        counted = (targets != IGNORED).sum()
        buffer = torch.empty((min(chunk, tokens), vocab), dtype=hidden.dtype, device=hidden.device)
        # At least a few blocks for any vocabulary, so that small checks walk the same loop as real sizes.
        block = min(LARGEST_BLOCK, max(16, triton.next_power_of_2(vocab) // 4))
        for start in range(0, tokens, chunk):
            rows = hidden[start : start + chunk]
            logits = torch.mm(rows, weight.t(), out=buffer[: rows.shape[0]])
            _loss_and_gradient_kernel[(rows.shape[0],)](
                logits, targets[start:], losses[start:], counted, vocab,
                IGNORED=IGNORED, WITH_GRADIENT=wants_hidden or wants_weight, BLOCK=block, num_warps=16)  # fmt: skip
            if grad_hidden is not None:
                torch.mm(logits, weight, out=grad_hidden[start : start + chunk])
            if grad_weight is not None:
                torch.addmm(grad_weight, logits.t(), rows, beta=float(start > 0), out=grad_weight)
        ctx.gradients = (grad_hidden, grad_weight)
        return (losses.sum() / counted).to(hidden.dtype)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        if ctx.gradients is None:
            raise RuntimeError("the gradients of this loss were handed out already; compute the loss again")
        grad_hidden, grad_weight = ctx.gradients
        ctx.gradients = None
        return _scale(grad_hidden, cotangents[0]), _scale(grad_weight, cotangents[0]), None, None


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """Hidden states, the output layer's weight and targets, one in eight of which does not count (a prompt, say)."""
    tokens, hidden, vocab = axes["tokens"], axes["hidden"], axes["vocab"]
    targets = rand.integers(vocab, tokens)
    uncounted = rand.integers(8, tokens) == 0
    uncounted[0] = False
    return (
        rand.normal(tokens, hidden),
        rand.gaussian(vocab, hidden, scale=hidden**-0.5),
        targets.masked_fill(uncounted, IGNORED),
    )


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Three products, one without gradients; hidden states and weight, and their gradients."""
    tokens, hidden, vocab = axes["tokens"], axes["hidden"], axes["vocab"]
    elements = hidden * (tokens + vocab) * (2 if backward else 1)
    return LeastWork({dtype: (6 if backward else 2) * tokens * hidden * vocab}, BYTES[dtype] * elements + 8 * tokens)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    require_triton("the fused cross-entropy")
    chunk = axes["chunk"]
    return lambda hidden, weight, targets: FusedLinearCrossEntropy.apply(hidden, weight, targets, chunk)


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """As HuggingFace's causal language models do it: all logits, cast to float32, then cross-entropy."""

    def loss(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        logits = linear(hidden, weight)
        wide = logits if logits.dtype == torch.float64 else logits.float()
        return cross_entropy(wide, targets, ignore_index=IGNORED).to(hidden.dtype)

    return loss


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """All logits, and cross-entropy in their own precision."""
    return lambda hidden, weight, targets: cross_entropy(linear(hidden, weight), targets, ignore_index=IGNORED)


def make_library(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """PyTorch's own chunked operator with its automatic choice of chunks."""
    functional: Any = torch.nn.functional
    if not hasattr(functional, "linear_cross_entropy"):
        raise RuntimeError(f"torch {torch.__version__} has no linear_cross_entropy; 2.13 has")
    options = torch.nn.LinearCrossEntropyOptions()

    def loss(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        return functional.linear_cross_entropy(hidden, weight, targets, ignore_index=IGNORED, options=options)

    return loss


SUBJECTS = {
    "technique": make_technique,
    "paper": make_paper,
    "eager": make_eager,
    "compiled": compiled(make_eager),
    "library": make_library,
}
