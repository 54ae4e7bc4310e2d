"""A Pre-LN Transformer whose main branch has no mean, so that every LayerNorm becomes an RMSNorm: same output, less work.

Source: "Pre-RMSNorm and Pre-CRMSNorm Transformers: Equivalent and Efficient Pre-LN Transformers" (2023).

    LayerNorm(x) = RMSNorm(x - mean(x)), and LayerNorm ignores the mean of x. What is added to the main branch may
    therefore lose its mean: subtract from each matrix that writes to the branch (embedding, attention output, second
    layer of the MLP) its mean over the output channels, once. Then x has mean zero everywhere and LayerNorm is RMSNorm.
    Compressed: of a vector with mean zero the last of d channels is minus the sum of the others. Leave it out;
    CRMSNorm(x) = x / sqrt((sum(x^2) + sum(x)^2) / d + eps), and the matrices that read lose one column.

The model is a Vision Transformer on patches (batch, seq, patch) with logits (batch, classes). Axes: `compressed` 0 or 1;
`training` 0: forward, matrices folded in set-up; 1: forward and backward, matrices folded anew in each call (they change
with each step), outputs are the logits and the gradients of all unfolded matrices for the loss sum(logits * cotangent).
`kernel` (see below). Affine parameters of the norms are taken as folded into the matrices that follow, on every side.

Why it should win, and by how little: a norm of n tokens of width d reads and writes n * d numbers either way, so memory
does not tell them apart; LayerNorm has two dependent reductions where RMSNorm has one, and its backward pass two
instead of one. ViT-L, 32 images of 197 tokens: 49 norms of 26 MB take 0.27 ms of an H200's 4.8 TB/s, the products
3.9 TFLOP, 4.9 ms at 790 TFLOP/s. Even norms for nothing would save 5 %; a shorter reduction saves a part of that. The
compressed width of 1023 is not a multiple of 8, which tensor cores punish far more than the missing channel helps.

On a GPU the technique and the rung "same_kernel" share one Triton kernel for norms, which differs between them in the
mean only; "eager" takes PyTorch's layer_norm.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN201, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import gelu, layer_norm, linear, scaled_dot_product_attention

from runners.blocks.kernels import require_triton, tl, triton
from runners.blocks.ladder import Subject, compiled
from runners.blocks.rand import Rand

EPSILON = 1e-6
LAYER, RMS, COMPRESSED = 0, 1, 2
# Those that write to the main branch: their mean over output channels is what LayerNorm would take out.
WRITERS = ("embedding", "position", "attention_out", "mlp_out")
READERS = ("attention_in", "mlp_in", "head")
Norm = Callable[[Tensor], Tensor]


@triton.jit
def norm_kernel(X, Y, Inverse, width, full_width, epsilon, KIND: tl.constexpr, BLOCK: tl.constexpr):
    """One row: y = (x - mean) * inverse (KIND 0), x * inverse (1), or the same with the left-out channel counted (2)."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < width
    x = tl.load(X + row * width + columns, mask=inside, other=0.0).to(tl.float32)
    if KIND == 0:
        x = tl.where(inside, x - tl.sum(x, 0) / width, 0.0)
    squares = tl.sum(x * x, 0)
    if KIND == 2:
        total = tl.sum(x, 0)
        squares += total * total
    inverse = 1.0 / tl.sqrt(squares / full_width + epsilon)
    tl.store(Y + row * width + columns, (x * inverse).to(Y.dtype.element_ty), mask=inside)
    tl.store(Inverse + row, inverse)


@triton.jit
def norm_gradient_kernel(DY, X, Inverse, DX, width, full_width, KIND: tl.constexpr, BLOCK: tl.constexpr):
    """One row of the gradient; the output is computed again from x, so that no rounded copy of it is read."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < width
    dy = tl.load(DY + row * width + columns, mask=inside, other=0.0).to(tl.float32)
    y = tl.load(X + row * width + columns, mask=inside, other=0.0).to(tl.float32)
    inverse = tl.load(Inverse + row)
    if KIND == 0:
        y = tl.where(inside, y - tl.sum(y, 0) / width, 0.0)
        dy = tl.where(inside, dy - tl.sum(dy, 0) / width, 0.0)
    y *= inverse
    share = tl.sum(dy * y, 0) / full_width
    if KIND == 2:
        y += tl.sum(y, 0)
    tl.store(DX + row * width + columns, ((dy - share * y) * inverse).to(DX.dtype.element_ty), mask=inside)


class FusedNorm(torch.autograd.Function):
    """apply(x, kind) -> the norm over the last axis in one pass; keeps x and one float32 for each row."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kind: int) -> Tensor:
        x = x.contiguous()
        y, width = torch.empty_like(x), x.shape[-1]
        inverse = torch.empty(x.shape[:-1], dtype=torch.float32, device=x.device)
        ctx.shape = (width, width + (kind == COMPRESSED))
        ctx.constants = {"KIND": kind, "BLOCK": triton.next_power_of_2(width)}
        norm_kernel[(inverse.numel(),)](x, y, inverse, *ctx.shape, EPSILON, **ctx.constants)
        ctx.save_for_backward(x, inverse)
        return y

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None]:
        x, inverse = ctx.saved_tensors
        dx = torch.empty_like(x)
        norm_gradient_kernel[(inverse.numel(),)](
            cotangents[0].contiguous(), x, inverse, dx, *ctx.shape, **ctx.constants
        )
        return dx, None


def plain_norm(kind: int) -> Norm:
    """The norm in PyTorch's operators, float32 inside for shorter types, as its own layer_norm has it."""
    if kind == LAYER:
        return lambda x: layer_norm(x, x.shape[-1:], eps=EPSILON)

    def norm(x: Tensor) -> Tensor:
        wide = x if x.dtype == torch.float64 else x.float()
        squares, width = wide.square().sum(-1, keepdim=True), x.shape[-1]
        if kind == COMPRESSED:
            squares, width = squares + wide.sum(-1, keepdim=True).square(), width + 1
        return (wide * (squares / width + EPSILON).rsqrt()).to(x.dtype)

    return norm


def norm_of(kind: int, on_gpu: bool) -> Norm:
    if not on_gpu:
        return plain_norm(kind)
    require_triton("the norm")
    return lambda x: FusedNorm.apply(x, kind)


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """Matrices as (layers, outputs, inputs). Those that write have a mean, as learned ones do."""
    layers, width, mlp = axes["layers"], axes["width"], axes["mlp"]

    def matrix(*shape: int) -> Tensor:
        return rand.gaussian(*shape, scale=shape[-1] ** -0.5)

    found = {
        "embedding": matrix(width, axes["patch"]),
        "position": rand.gaussian(axes["seq"], width, scale=0.1),
        "attention_in": matrix(layers, 3 * width, width),
        "attention_out": matrix(layers, width, width),
        "mlp_in": matrix(layers, mlp, width),
        "mlp_out": matrix(layers, width, mlp),
        "head": matrix(axes["classes"], width),
    }
    for name in WRITERS:
        own = found[name]
        axis = channel_axis(name)
        own += rand.gaussian(*own.shape[:axis], 1, *own.shape[axis:][1:], scale=0.1 * own.shape[-1] ** -0.5)
    return found


def channel_axis(name: str) -> int:
    """The axis of the main branch's channels, counted from the front."""
    return {"embedding": 0, "position": 1}.get(name, 1)


def folded(parameters: dict[str, Tensor], compressed: bool) -> dict[str, Tensor]:
    """The matrices of the equivalent model: writers without their mean, and without the last channel if compressed.

    A reader sees minus the sum of the others in the last channel's place: its last column is taken from the others.
    """
    found = dict(parameters)
    for name in WRITERS:
        axis, own = channel_axis(name), parameters[name]
        wide = own if own.dtype == torch.float64 else own.float()
        wide = wide - wide.mean(axis, keepdim=True)
        found[name] = (wide.narrow(axis, 0, own.shape[axis] - 1) if compressed else wide).to(own.dtype)
    if compressed:
        for name in READERS:
            own = parameters[name]
            found[name] = own[..., :-1] - own[..., -1:]
    return found


def forward(patches: Tensor, parameters: dict[str, Tensor], norm: Norm, heads: int) -> Tensor:
    """Logits (batch, classes) of the Pre-Norm Transformer with these matrices and this norm."""
    x = linear(patches, parameters["embedding"]) + parameters["position"]
    batch, seq, _ = x.shape
    blocks = zip(
        *(parameters[name].unbind(0) for name in ("attention_in", "attention_out", "mlp_in", "mlp_out")), strict=True
    )
    for attention_in, attention_out, mlp_in, mlp_out in blocks:
        q, k, v = linear(norm(x), attention_in).view(batch, seq, 3, heads, -1).permute(2, 0, 3, 1, 4)
        attended = scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, seq, -1)
        x = x + linear(attended, attention_out)
        x = x + linear(gelu(linear(norm(x), mlp_in)), mlp_out)
    return linear(norm(x).mean(1), parameters["head"])


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """Patches of images and the cotangent of the logits, which only training reads."""
    return rand.normal(axes["batch"], axes["seq"], axes["patch"]), rand.gaussian(axes["batch"], axes["classes"])


class Model:
    """subject(patches, cotangent) -> logits, and the gradients of `weights` in their order where axis `training` is 1."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor], norm: Norm, fold: bool) -> None:
        self._heads, self._norm = axes["heads"], norm
        self._training, self._compressed, self._fold = bool(axes["training"]), bool(axes["compressed"]), fold
        self._parameters = weights if self._training else self._folded(weights)

    def _folded(self, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        return folded(parameters, self._compressed) if self._fold else parameters

    def __call__(self, patches: Tensor, cotangent: Tensor) -> Tensor | tuple[Tensor, ...]:
        if not self._training:
            with torch.no_grad():
                return forward(patches, self._parameters, self._norm, self._heads)
        with torch.enable_grad():
            leaves = {name: each.detach().requires_grad_() for name, each in self._parameters.items()}
            logits = forward(patches, self._folded(leaves), self._norm, self._heads)
            return logits.detach(), *torch.autograd.grad(logits, list(leaves.values()), cotangent)

    def footprint(self) -> dict[str, int]:
        held = self._folded(self._parameters) if self._training else self._parameters
        return {"parameters": sum(each.numel() for each in held.values())}


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    kind = COMPRESSED if axes["compressed"] else RMS
    return Model(axes, weights, norm_of(kind, weights["head"].is_cuda), fold=True)


def make_same_kernel(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The Pre-LN model with this module's kernel for its norms: all that differs from the technique is the mean."""
    return Model(axes, weights, norm_of(LAYER, weights["head"].is_cuda), fold=False)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The Pre-LN model as it is written."""
    return Model(axes, weights, plain_norm(LAYER), fold=False)


SUBJECTS = {
    "technique": make_technique,
    "same_kernel": make_same_kernel,
    "eager": make_eager,
    "compiled": compiled(make_eager),
}
