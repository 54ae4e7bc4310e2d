"""A language model with ternary weights and an element-wise recurrence, one decoding step, weights packed four to a byte.

Source: "Scalable MatMul-free Language Modeling" (2024). BL is a layer that norms its input, rounds it to 8 bits and multiplies by
weights in {-1, 0, 1}: BL(x) = W q(RMSNorm(x)) with q over the largest magnitude of a token and W over its mean magnitude.

    mixer: f = sigmoid(BL_f x), c = silu(BL_c x), g = sigmoid(BL_g x), h <- f h + (1 - f) c, x <- x + BL_o (g h)
    MLP:   x <- x + BL_down (silu(BL_gate x) * BL_up x)

Shapes: x (batch, width), the hidden states after the last layer, and the new h (layers, batch, width), float32.

Why it should win: at decoding a layer costs what reading its weights costs. 24 layers of width 2,048 (MLP 5,632) hold 1.23 G
weights: 2.5 GB in 16 bits, 0.51 ms of an H200's 4.8 TB/s; 0.31 GB in 2 bits, 0.06 ms, and the state of the context is 8 KB
a layer instead of keys and values. One kernel norms and rounds a token, one unpacks weights in registers, multiplies
8-bit integers and adds the residual. The rung "eager" is the form for training: weights kept in 16 bits and rounded in
each call. With so little to read, launches bind: about nine a layer.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import linear, pad, scaled_dot_product_attention, silu

from runners.blocks.kernels import require_triton, tl, triton
from runners.blocks.ladder import Subject, compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand

EPSILON = 1e-6
HEAD_DIM = 64
MATRICES = ("mix_in", "mix_out", "mlp_in", "mlp_out")


@triton.jit
def _norm_quantize_kernel(X, Codes, Scales, width, epsilon, BLOCK: tl.constexpr):
    """One row: divided by its root mean square, then rounded to -127..127 over its largest magnitude."""
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    inside = columns < width
    x = tl.load(X + row * width + columns, mask=inside, other=0.0).to(tl.float32)
    x = x / tl.sqrt(tl.sum(x * x, 0) / width + epsilon)
    largest = tl.maximum(tl.max(tl.abs(x), 0), 1e-5)
    codes = tl.floor(x * (127.0 / largest) + 0.5)
    tl.store(Codes + row * width + columns, codes.to(tl.int8), mask=inside)
    tl.store(Scales + row, largest / 127.0)


@triton.jit
def _ternary_kernel(
    Codes, Scales, Packed, WeightScales, Residual, Y, tokens, outputs, width, quarter,
    WITH_RESIDUAL: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):  # fmt: skip
    """Y = codes times weights, scaled. Byte (n, j) of Packed holds weights j, j + quarter, j + 2 and 3 quarters, plus one."""
    token = tl.program_id(1) * BLOCK_M + tl.arange(0, BLOCK_M)
    output = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    total = tl.zeros([BLOCK_M, BLOCK_N], dtype=tl.int32)
    for start in range(0, quarter, BLOCK_K):
        place = start + tl.arange(0, BLOCK_K)
        wanted = (output < outputs)[None, :] & (place < quarter)[:, None]
        packed = tl.load(Packed + output.to(tl.int64)[None, :] * quarter + place[:, None], mask=wanted, other=0)
        for part in tl.static_range(4):
            weight = ((packed >> (2 * part)) & 3).to(tl.int8) - 1
            column = place + part * quarter
            inside = (token < tokens)[:, None] & ((place < quarter) & (column < width))[None, :]
            codes = tl.load(Codes + token.to(tl.int64)[:, None] * width + column[None, :], mask=inside, other=0)
            total = tl.dot(codes, weight.to(tl.int8), total, out_dtype=tl.int32)
    scale = tl.load(Scales + token, mask=token < tokens, other=0.0)[:, None]
    y = total.to(tl.float32) * scale * tl.load(WeightScales + output, mask=output < outputs, other=0.0)[None, :]
    places = token.to(tl.int64)[:, None] * outputs + output[None, :]
    inside = (token < tokens)[:, None] & (output < outputs)[None, :]
    if WITH_RESIDUAL:
        y += tl.load(Residual + places, mask=inside, other=0.0).to(tl.float32)
    tl.store(Y + places, y.to(Y.dtype.element_ty), mask=inside)


def wide(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def ternary(weight: Tensor, parts: int) -> tuple[Tensor, Tensor]:
    """Signs in {-1, 0, 1} and the scale (outputs, 1), the mean magnitude of each of `parts` stacked matrices."""
    pieces = wide(weight).unflatten(0, (parts, -1))
    scale = pieces.abs().mean((1, 2), keepdim=True).clamp_min(1e-5)
    signs = (pieces / scale).round().clamp(-1, 1)
    return signs.flatten(0, 1), scale.expand(-1, pieces.shape[1], -1).flatten(0, 1)


class PackedLayer:
    """BL with two bits a weight; adds the residual where it is given."""

    def __init__(self, weight: Tensor, parts: int) -> None:
        signs, scales = ternary(weight, parts)
        self.outputs, self.width = weight.shape
        quarter = triton.cdiv(self.width, 4)
        codes = pad(signs + 1, (0, 4 * quarter - self.width)).to(torch.uint8).view(self.outputs, 4, quarter)
        self.packed = codes[:, 0] | codes[:, 1] << 2 | codes[:, 2] << 4 | codes[:, 3] << 6
        self.scales = scales.float().flatten().contiguous()

    def __call__(self, x: Tensor, residual: Tensor | None) -> Tensor:
        tokens = x.shape[0]
        codes = torch.empty(x.shape, dtype=torch.int8, device=x.device)
        scales = torch.empty(tokens, dtype=torch.float32, device=x.device)
        _norm_quantize_kernel[(tokens,)](
            x.contiguous(), codes, scales, self.width, EPSILON, BLOCK=triton.next_power_of_2(self.width)
        )
        y = torch.empty((tokens, self.outputs), dtype=x.dtype, device=x.device)
        block_m = 16 if tokens <= 16 else 64
        grid = (triton.cdiv(self.outputs, 32), triton.cdiv(tokens, block_m))
        _ternary_kernel[grid](
            codes, scales, self.packed, self.scales, y if residual is None else residual, y,
            tokens, self.outputs, self.width, self.packed.shape[1],
            WITH_RESIDUAL=residual is not None, BLOCK_M=block_m, BLOCK_N=32, BLOCK_K=128)  # fmt: skip
        return y

    def tensors(self) -> list[Tensor]:
        return [self.packed, self.scales]


class LatentLayer:
    """BL as it is trained: 16-bit weights, rounded in each call, every step an operator of its own."""

    def __init__(self, weight: Tensor, parts: int) -> None:
        self._weight, self._parts = weight, parts

    def __call__(self, x: Tensor, residual: Tensor | None) -> Tensor:
        normed = wide(x) * (wide(x).square().mean(-1, keepdim=True) + EPSILON).rsqrt()
        step = normed.abs().amax(-1, keepdim=True).clamp_min(1e-5) / 127
        rounded = ((normed / step).round() * step).to(x.dtype)
        signs, scale = ternary(self._weight, self._parts)
        y = linear(rounded, (signs * scale).to(x.dtype))
        return y if residual is None else residual + y

    def tensors(self) -> list[Tensor]:
        return [self._weight]


class Model:
    """subject(x) -> hidden states and next states. The state before the token stays as set-up made it."""

    def __init__(self, weights: dict[str, Tensor], layer: Callable[[Tensor, int], PackedLayer | LatentLayer]) -> None:
        parts = {"mix_in": 3, "mlp_in": 2}
        self._layers = [
            [layer(weights[name][index], parts.get(name, 1)) for name in MATRICES]
            for index in range(weights["mix_in"].shape[0])
        ]
        self._states = weights["states"]

    def __call__(self, x: Tensor) -> tuple[Tensor, Tensor]:
        states = []
        for (mix_in, mix_out, mlp_in, mlp_out), before in zip(self._layers, self._states, strict=True):
            forget, candidate, gate = mix_in(x, None).chunk(3, -1)
            state = torch.lerp(wide(silu(candidate)), before, wide(forget.sigmoid()))
            states.append(state)
            x = mix_out((gate.sigmoid() * state).to(x.dtype), x)
            opened, up = mlp_in(x, None).chunk(2, -1)
            x = mlp_out(silu(opened) * up, x)
        return x, torch.stack(states)

    def footprint(self) -> dict[str, int]:
        held = [each.nbytes for layers in self._layers for layer in layers for each in layer.tensors()]
        return {"weights": sum(held), "kv_cache": self._states.nbytes}


class Transformer:
    """As many layers in 16 bits with attention over a cache, MLP of the same width: another function."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        self._weights, self._cache = weights, weights["cache"].clone()

    def __call__(self, x: Tensor) -> Tensor:
        for index, cache in enumerate(self._cache):
            mix_in, mix_out, mlp_in, mlp_out = (self._weights[name][index] for name in MATRICES)
            qkv = linear(torch.nn.functional.rms_norm(x, x.shape[-1:]), mix_in)
            q, k, v = qkv.view(x.shape[0], 3, -1, 1, cache.shape[-1]).unbind(1)
            cache[0, :, :, -1:], cache[1, :, :, -1:] = k, v
            x = x + linear(scaled_dot_product_attention(q, cache[0], cache[1]).flatten(1), mix_out)
            opened, up = linear(torch.nn.functional.rms_norm(x, x.shape[-1:]), mlp_in).chunk(2, -1)
            x = x + linear(silu(opened) * up, mlp_out)
        return x

    def footprint(self) -> dict[str, int]:
        return {"weights": sum(self._weights[name].nbytes for name in MATRICES), "kv_cache": self._cache.nbytes}


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """The latent matrices (layers, outputs, inputs), the states before the token, and the cache that attention would hold."""
    layers, width, mlp, batch = axes["layers"], axes["width"], axes["mlp"], axes["batch"]
    shapes = {
        "mix_in": (3 * width, width),
        "mix_out": (width, width),
        "mlp_in": (2 * mlp, width),
        "mlp_out": (width, mlp),
    }
    found = {name: rand.gaussian(layers, *shape, scale=shape[1] ** -0.5) for name, shape in shapes.items()}
    dim = HEAD_DIM if width % HEAD_DIM == 0 else width
    found["states"] = rand.gaussian(layers, batch, width).float()
    found["cache"] = rand.gaussian(layers, 2, batch, width // dim, axes["context"], dim)
    return found


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.normal(axes["batch"], axes["width"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Two bits a weight, products of integers; the states, float32, before and after the token."""
    batch, layers, width = axes["batch"], axes["layers"], axes["width"]
    weights = layers * width * (4 * width + 3 * axes["mlp"])
    states = 8 * layers * batch * width
    return LeastWork({"int8": 2 * batch * weights}, weights / 4 + states + BYTES[dtype] * 2 * batch * width)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    require_triton("the ternary layer")
    return Model(weights, PackedLayer)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return Model(weights, LatentLayer)


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return Transformer(weights)


SUBJECTS = {
    "technique": make_technique,
    "eager": make_eager,
    "compiled": compiled(make_eager),
    "paper": make_paper,
}
