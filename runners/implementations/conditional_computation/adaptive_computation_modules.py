"""A layer as a chain of small learners whose outputs add up, and a gate that says how many of them a token needs.

Source: "Adaptive Computation Modules: Granular Conditional Computation For Efficient Inference" (2023).

    learners   s_n(x) = gelu(x A_n) B_n, n = 1 .. `learners`, each a `learners`-th of the width of the dense layer
    output     s_1(x) + ... + s_k(x), where the gate's distribution over numbers of learners, softmax(x G), gives k
Shapes: x (tokens, hidden), A (hidden, ffn) and B (ffn, hidden) with the learners side by side.

Distillation from the dense layer gelu(x A) B, when the subject is made, in closed form:
  1. neurons are ordered by how often they fire on calibration tokens, and dealt out to learners in that order;
  2. each token's label is the least k whose sum comes within `tolerance` per cent of the dense output;
  3. B is fitted anew by least squares to the dense output, with each token's unused neurons at zero;
  4. the gate learns the labels. At run time k is the least number that the gate trusts with CONFIDENCE.

Running it: tokens are sorted by k, so that a tile of rows needs one width. One kernel computes the tile's hidden values up to
that width and another sums over as many, so work is skipped tile by tile and no count comes to the host.
Why it should win: the dense layer of ViT-L for 64 images, 16,448 tokens of width 1,024 to 4,096 in bfloat16, is 0.28 TFLOP, 0.35 ms on
an H200 at 790 TFLOP/s. Here, with easy tokens in the majority, less than half of it is left; gate, sorting and gathering
are some ten small kernels, about 0.05 ms.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import gelu, one_hot

from runners.blocks.attention import TunedKernel
from runners.blocks.kernels import require_triton, tl, triton
from runners.blocks.ladder import Subject, compiled
from runners.blocks.moe import BLOCK_K, trained_router
from runners.blocks.rand import DISTRIBUTIONS, Rand

CONFIDENCE = 0.9
# A neuron that a token does not need is shut by so many standard deviations of its other input.
SHUT = 4.0
DIFFICULTY_SHARE = 0.05
CALIBRATION_PER_NEURON = 4
RIDGE = 1e-3


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """A dense layer in which a token of difficulty l (columns of the input tell it) opens the neurons of levels up to l.

    Neurons are in random order: the distillation has to find which of them every token needs.
    """
    hidden, ffn, levels = axes["hidden"], axes["ffn"], axes["learners"]
    up = rand.gaussian(hidden, ffn, scale=hidden**-0.5)
    level = rand.permutation(ffn) % levels
    shut = torch.arange(levels, device=rand.device)[:, None] < level
    up[:levels] = -SHUT / strength(hidden) * shut.to(rand.dtype)
    return {"up": up, "down": rand.gaussian(ffn, hidden, scale=ffn**-0.5)}


def strength(hidden: int) -> float:
    """The value of the column that tells a token's difficulty."""
    return (DIFFICULTY_SHARE * hidden) ** 0.5


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """Tokens (tokens, hidden); each difficulty is half as frequent as the one before."""
    return (tokens_of(axes["tokens"], axes["hidden"], axes["learners"], rand),)


def tokens_of(count: int, hidden: int, levels: int, rand: Rand) -> Tensor:
    x = rand.normal(count, hidden)
    share = rand.uniform(count).float().clamp(min=2.0**-levels)
    level = (-share.log2()).floor().long().clamp(0, levels - 1)
    x[:, :levels] = strength(hidden) * one_hot(level, levels).to(x.dtype)
    return x


class Distilled:
    """Calibration tokens, the dense layer's answers to them, and its neurons by importance."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        up, down = weights["up"].float(), weights["down"].float()
        count = CALIBRATION_PER_NEURON * axes["ffn"] // len(DISTRIBUTIONS)
        self.x = torch.cat([
            tokens_of(count, axes["hidden"], axes["learners"], Rand(seed, device=up.device, distribution=each))
            for seed, each in enumerate(DISTRIBUTIONS)
        ])  # fmt: skip
        hidden = gelu(self.x @ up)
        self.answer = hidden @ down
        # How often, not how strongly: the first learners are for all tokens, the last for the few that need them.
        order = (hidden > 0).float().mean(0).argsort(descending=True)
        self.up, self.down, self.hidden = up[:, order], down[order], hidden[:, order]

    def labels(self, learners: int, tolerance: float) -> Tensor:
        """For each token the least number of learners whose sum is within `tolerance` of the dense answer."""
        width = self.down.shape[0] // learners
        rest, enough = self.answer.clone(), []
        for n in range(learners):
            part = slice(n * width, (n + 1) * width)
            rest -= self.hidden[:, part] @ self.down[part]
            enough.append(rest.norm(dim=1) <= tolerance * self.answer.norm(dim=1))
        enough[-1] = torch.ones_like(enough[-1])
        return torch.stack(enough, dim=1).float().argmax(1) + 1

    def refitted(self, used: Tensor) -> Tensor:
        """Output weights by least squares, `used` (tokens, neurons) being the neurons that each token computes.

        Held near the dense layer's by a slight penalty.
        """
        hidden = self.hidden * used
        gram = hidden.t() @ hidden
        gram.diagonal().add_(RIDGE * gram.diagonal().mean())
        return self.down + torch.linalg.solve(gram, hidden.t() @ (self.answer - hidden @ self.down))


class AdaptiveModule:
    """The chain of learners with its gate."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor], *, kernel: bool | None = None) -> None:
        self.learners, ffn = axes["learners"], axes["ffn"]
        if ffn % self.learners:
            raise ValueError(f"{ffn} neurons cannot be dealt out evenly to {self.learners} learners")
        self.width = ffn // self.learners
        like = weights["up"]
        self.kernel = like.is_cuda if kernel is None else kernel
        if self.kernel:
            require_triton("the adaptive layer")
        found = Distilled(axes, weights)
        labels = found.labels(self.learners, axes["tolerance"] / 100)
        used = torch.arange(ffn, device=like.device) < labels[:, None] * self.width
        self.up, self.down = found.up.to(like.dtype).contiguous(), found.refitted(used).to(like.dtype).contiguous()
        self.gate = trained_router(found.x, one_hot(labels - 1, self.learners).float()).to(like.dtype)
        self.widths = labels.new_zeros(1)

    def choose(self, x: Tensor) -> Tensor:
        """How many learners each token runs."""
        trust = (x @ self.gate).float().softmax(-1).cumsum(-1)
        return (trust[:, :-1] < CONFIDENCE).sum(-1) + 1

    def __call__(self, x: Tensor) -> Tensor:
        numbers, order = self.choose(x).sort(descending=True)
        self.widths = numbers * self.width
        if self.kernel:
            return run_by_width(x, self.up, self.down, order, self.widths)
        out = torch.zeros_like(x)
        rows = x[order]
        for n in range(self.learners):
            count = int((numbers > n).sum())
            part = slice(n * self.width, (n + 1) * self.width)
            out[:count] += gelu(rows[:count] @ self.up[:, part]) @ self.down[part]
        return torch.empty_like(x).index_copy_(0, order, out)

    def footprint(self) -> dict[str, int]:
        """Operations are those of the last call."""
        held = (self.up, self.down, self.gate)
        flops = 4 * self.up.shape[0] * int(self.widths.sum()) + 2 * self.gate.numel() * self.widths.numel()
        return {
            "weights": sum(each.nbytes for each in held),
            "parameters": sum(each.numel() for each in held),
            "flops": flops,
        }


class PlainLayer:
    """gelu(x up) down."""

    def __init__(self, up: Tensor, down: Tensor) -> None:
        self.up, self.down, self.tokens = up, down, 0

    def __call__(self, x: Tensor) -> Tensor:
        self.tokens = x.shape[0]
        return gelu(x @ self.up) @ self.down

    def footprint(self) -> dict[str, int]:
        numbers = self.up.numel() + self.down.numel()
        return {"weights": self.up.nbytes + self.down.nbytes, "parameters": numbers, "flops": 2 * self.tokens * numbers}


def run_by_width(x: Tensor, up: Tensor, down: Tensor, order: Tensor, widths: Tensor) -> Tensor:
    """gelu(x up) down with the first widths[i] neurons for token order[i]; widths fall."""
    tokens = x.shape[0]
    x, inner, out = x.contiguous(), x.new_empty(tokens, up.shape[1]), torch.empty_like(x)
    for kernel, source, weight, to in ((_UP, x, up, inner), (_DOWN, inner, down, out)):
        columns = weight.shape[1]

        def grid(meta: dict[str, int], columns: int = columns) -> tuple[int, int]:
            return triton.cdiv(tokens, meta["BLOCK_M"]), triton.cdiv(columns, meta["BLOCK_N"])

        kernel(grid, source, weight, to, order, widths, tokens, weight.shape[0], columns, BLOCK_K=BLOCK_K)
    return out


@triton.jit
def _up_kernel(
    X, Weight, Hidden, Order, Widths, tokens, depth, columns,
    BLOCK_K: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Hidden (sorted tokens, columns), as far as the widest token of each tile goes."""
    first = tl.program_id(0) * BLOCK_M
    if tl.program_id(1) * BLOCK_N < tl.load(Widths + first):
        rows = first + tl.arange(0, BLOCK_M)
        column = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
        inside = rows < tokens
        source = tl.load(Order + rows, mask=inside, other=0)
        deep = tl.arange(0, BLOCK_K)
        total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
        for start in range(0, depth, BLOCK_K):
            at = start + deep
            x = tl.load(
                X + source[:, None] * depth + at[None, :], mask=inside[:, None] & (at < depth)[None, :], other=0.0
            )
            mask = (at < depth)[:, None] & (column < columns)[None, :]
            weight = tl.load(Weight + at[:, None] * columns + column[None, :], mask=mask, other=0.0)
            total = tl.dot(x, weight, total, input_precision="ieee")
        active = 0.5 * total * (1.0 + tl.erf(total * 0.7071067811865476))
        to = Hidden + rows.to(tl.int64)[:, None] * columns + column[None, :]
        tl.store(to, active.to(Hidden.dtype.element_ty), mask=inside[:, None] & (column < columns)[None, :])


@triton.jit
def _down_kernel(
    Hidden, Weight, Out, Order, Widths, tokens, depth, columns,
    BLOCK_K: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Each token's sum over its own width, back at its own place."""
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    column = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)
    inside = rows < tokens
    width = tl.load(Widths + rows, mask=inside, other=0).to(tl.int32)
    to = tl.load(Order + rows, mask=inside, other=0)
    deep = tl.arange(0, BLOCK_K)
    total = tl.zeros((BLOCK_M, BLOCK_N), dtype=tl.float32)
    for start in range(0, tl.max(width, 0), BLOCK_K):
        at = start + deep
        # What a token does not need was not computed.
        hidden = tl.load(
            Hidden + rows.to(tl.int64)[:, None] * depth + at[None, :], mask=at[None, :] < width[:, None], other=0.0
        )
        mask = (at < depth)[:, None] & (column < columns)[None, :]
        weight = tl.load(Weight + at[:, None] * columns + column[None, :], mask=mask, other=0.0)
        total = tl.dot(hidden, weight, total, input_precision="ieee")
    out = Out + to[:, None] * columns + column[None, :]
    tl.store(out, total.to(Out.dtype.element_ty), mask=inside[:, None] & (column < columns)[None, :])


_TILES = [(32, 64, 4, 4), (64, 128, 4, 4), (128, 128, 8, 3), (128, 256, 8, 3)]
_UP = TunedKernel(_up_kernel, _TILES, key=("tokens", "depth", "columns"))
_DOWN = TunedKernel(_down_kernel, _TILES, key=("tokens", "depth", "columns"))


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    with torch.no_grad():
        return AdaptiveModule(axes, weights)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return PlainLayer(weights["up"], weights["down"])


def make_narrow(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The most important neurons for every token, as many as the adaptive layer runs on average, fitted anew as well."""
    with torch.no_grad():
        found = Distilled(axes, weights)
        labels = found.labels(axes["learners"], axes["tolerance"] / 100).float()
        width = max(1, round(labels.mean().item() * axes["ffn"] / axes["learners"]))
        used = torch.arange(axes["ffn"], device=labels.device) < width
        down = found.refitted(used.expand_as(found.hidden))[:width]
        like = weights["up"]
        return PlainLayer(found.up[:, :width].to(like.dtype).contiguous(), down.to(like.dtype).contiguous())


SUBJECTS = {
    "technique": make_technique,
    "eager": make_eager,
    "compiled": compiled(make_eager),
    "narrow": make_narrow,
}
