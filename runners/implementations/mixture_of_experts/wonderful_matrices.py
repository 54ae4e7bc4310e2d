"""Cross-domain mixture of experts: thousands of one-neuron experts found by product keys, beside a dense shared part.

Source: "Wonderful Matrices: Combining for a More Efficient and Effective Foundation Model Architecture" (2024).

    queries   q = x Wq: for each retrieval head two halves of `key_dim` columns
    scores    s1 = q1 . K1, s2 = q2 . K2 with `keys` keys each; expert (i, j) of keys * keys scores s1_i + s2_j
    choice    the k best of those sums: they are among the k best s1 times the k best s2, so 2 * keys + k * k numbers are
              looked at and not keys * keys
    output    sum over heads and chosen e of softmax(score)_e * silu(x . U_e) V_e, plus the shared gated feed-forward part
Shapes: x (tokens, hidden), U and V (keys * keys, hidden), K1 and K2 (heads, keys, key_dim). An ordinary layer with as many
experts gives the same answer: it scores all of them, and dispatches tokens to each.

Why it should win: 8,192 tokens of width 4,096, 16,384 experts (2 * 128 keys), 4 heads, k = 8, bfloat16.
  * all scores of an ordinary router are 8,192 * 4 * 16,384 float32, 2.1 GB, written, read and searched: 1 ms at 4.8 TB/s on
    an H200 and a search of several; two times 128 are 34 MB. Dispatch then launches a few kernels for each of 16,384
    experts (a second or so), or pads 16 tokens an expert to the tiles of a grouped product;
  * retrieval reads 32 rows of U and V for each token, 4.3 GB: 0.9 ms (the tables themselves are 0.27 GB). The kernel
    keeps products and activations on chip,
    where gathers of plain PyTorch write and read those rows once more each, 8.6 GB besides.
"""

# Kernels are typed by what they are launched with: no annotations there, and as many arguments as a launch has.
# ruff: noqa: ANN001, ANN202, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

from collections import Counter

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag, silu

from runners.blocks.kernels import require_triton, tl, triton
from runners.blocks.ladder import Subject, compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.moe import Routed, combine, expert_loop, grouped_matmul, sort_by_expert, top_k_route
from runners.blocks.rand import Rand

# Elements of the tile of gathered rows that one program holds: 64 registers a thread in four warps.
TILE = 8192


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    hidden, keys, heads, key_dim, shared = (axes[each] for each in ("hidden", "keys", "heads", "key_dim", "shared"))
    return {
        "query": rand.gaussian(hidden, heads * 2 * key_dim, scale=hidden**-0.5),
        # Scores then spread by about two, so that the chosen experts have unequal shares.
        "keys": rand.gaussian(heads, 2, keys, key_dim, scale=2 * key_dim**-0.5),
        "expert_in": rand.gaussian(keys * keys, hidden, scale=hidden**-0.5),
        "expert_out": rand.gaussian(keys * keys, hidden),
        "gate_up": rand.gaussian(hidden, 2 * shared, scale=hidden**-0.5),
        "down": rand.gaussian(shared, hidden, scale=max(shared, 1) ** -0.5),
    }


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.normal(axes["tokens"], axes["hidden"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Tiny experts on plain cores; each expert's rows once, where all are chosen as likely."""
    tokens, hidden, keys, heads = axes["tokens"], axes["hidden"], axes["keys"], axes["heads"]
    queries, picks, shared = 2 * heads * axes["key_dim"], tokens * heads * axes["k"], 3 * hidden * axes["shared"]
    operations = Counter({dtype: 2 * tokens * (hidden * queries + keys * queries + shared)})
    operations["float32"] += 4 * picks * hidden
    chosen = keys**2 * (1 - (1 - keys**-2) ** picks)
    moved = hidden * queries + keys * queries + shared + 2 * hidden * (chosen + tokens)
    return LeastWork(operations, BYTES[dtype] * moved)


class ExpertLayer:
    """The parts that every form of the layer shares; they differ in how experts are found and run."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        self.heads, self.keys, self.k, self.weights = axes["heads"], axes["keys"], axes["k"], weights

    def half_scores(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of both halves (tokens, heads, keys); in float32 for shorter types, as routers are kept."""
        keys = self.weights["keys"]
        keys = keys if keys.dtype == torch.float64 else keys.float()
        queries = (x @ self.weights["query"]).to(keys.dtype).unflatten(-1, (self.heads, 2, -1))
        first, second = torch.einsum("thsd,hskd->sthk", queries, keys)
        return first, second

    def retrieve(self, x: Tensor) -> Routed:
        """Experts and shares (tokens, heads * k) by product keys."""
        first, second = self.half_scores(x)
        k = min(self.k, self.keys)
        (best_first, at_first), (best_second, at_second) = first.topk(k, -1), second.topk(k, -1)
        sums = (best_first[..., :, None] + best_second[..., None, :]).flatten(-2)
        scores, pair = sums.topk(self.k, -1)
        experts = at_first.gather(-1, pair // k) * self.keys + at_second.gather(-1, pair % k)
        return Routed(experts.flatten(1), scores.softmax(-1).flatten(1))

    def score_all(self, x: Tensor) -> Routed:
        """Experts and shares by scoring each expert, as an ordinary router does."""
        first, second = self.half_scores(x)
        routed = top_k_route((first[..., :, None] + second[..., None, :]).flatten(-2), self.k)
        return Routed(routed.experts.flatten(1), routed.shares.flatten(1))

    def shared_part(self, x: Tensor) -> Tensor | None:
        """The dense gated feed-forward part, None where the workload has none."""
        if not self.weights["down"].shape[0]:
            return None
        gate, up = (x @ self.weights["gate_up"]).chunk(2, dim=-1)
        return (silu(gate) * up) @ self.weights["down"]

    def experts_part(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def __call__(self, x: Tensor) -> Tensor:
        shared, routed = self.shared_part(x), self.experts_part(x)
        return routed if shared is None else shared + routed

    def footprint(self) -> dict[str, int]:
        return {
            "weights": sum(each.nbytes for each in self.weights.values()),
            "parameters": sum(each.numel() for each in self.weights.values()),
        }


class FusedRetrieval(ExpertLayer):
    """Product keys, and a kernel from a token and its experts' numbers to its output."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor], *, kernel: bool | None = None) -> None:
        super().__init__(axes, weights)
        self.kernel = weights["query"].is_cuda if kernel is None else kernel
        if self.kernel:
            require_triton("retrieval of tiny experts")

    def __call__(self, x: Tensor) -> Tensor:
        if not self.kernel:
            return super().__call__(x)
        return run_tiny_experts(
            x, self.retrieve(x), self.weights["expert_in"], self.weights["expert_out"], self.shared_part(x)
        )

    def experts_part(self, x: Tensor) -> Tensor:
        """Without Triton: the sum of rows at least is one fused operation."""
        routed = self.retrieve(x)
        products = torch.bmm(self.weights["expert_in"][routed.experts], x[..., None]).squeeze(-1)
        shares = (silu(products) * routed.shares.to(x.dtype)).to(x.dtype)
        return embedding_bag(routed.experts, self.weights["expert_out"], per_sample_weights=shares, mode="sum")


class GatheredRetrieval(ExpertLayer):
    """Product keys, and plain gathers of each token's experts."""

    def experts_part(self, x: Tensor) -> Tensor:
        routed = self.retrieve(x)
        products = (self.weights["expert_in"][routed.experts] @ x[..., None]).squeeze(-1)
        shares = silu(products) * routed.shares.to(x.dtype)
        return (shares[:, None] @ self.weights["expert_out"][routed.experts]).squeeze(1)


class OrdinaryLayer(ExpertLayer):
    """All experts scored; then each expert in turn takes its tokens."""

    def experts_part(self, x: Tensor) -> Tensor:
        expert_in, expert_out = self.weights["expert_in"], self.weights["expert_out"]

        def expert(index: int, rows: Tensor) -> Tensor:
            return silu(rows @ expert_in[index])[:, None] * expert_out[index]

        return expert_loop(x, self.score_all(x), expert, self.keys * self.keys)


class GroupedLayer(ExpertLayer):
    """All experts scored; then grouped matrix products over tokens sorted by expert."""

    def experts_part(self, x: Tensor) -> Tensor:
        routed = self.score_all(x)
        order = sort_by_expert(routed.experts, self.keys * self.keys)
        hidden = silu(grouped_matmul(x, self.weights["expert_in"][:, :, None], order.ends, order.tokens))
        out = grouped_matmul(hidden, self.weights["expert_out"][:, None, :], order.ends)
        return combine(out, order, routed.shares)


def run_tiny_experts(x: Tensor, routed: Routed, expert_in: Tensor, expert_out: Tensor, base: Tensor | None) -> Tensor:
    """base + sum over a token's chosen e of share_e * silu(x . expert_in_e) expert_out_e, (tokens, hidden)."""
    tokens, hidden = x.shape
    chosen = routed.experts.shape[1]
    lanes = triton.next_power_of_2(chosen)
    out = torch.empty_like(x)
    _tiny_experts_kernel[(tokens,)](
        x, routed.experts, routed.shares, expert_in, expert_out, x if base is None else base, out, hidden, chosen,
        BASE=base is not None, LANES=lanes, BLOCK=min(max(TILE // lanes, 32), triton.next_power_of_2(hidden)), num_warps=4,
    )  # fmt: skip
    return out


@triton.jit
def _tiny_experts_kernel(
    X, Experts, Shares, ExpertIn, ExpertOut, Base, Out, hidden, chosen,
    BASE: tl.constexpr, LANES: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One program a token: products with all of its experts, then the weighted sum of their output rows."""
    token = tl.program_id(0).to(tl.int64)
    lanes, block = tl.arange(0, LANES), tl.arange(0, BLOCK)
    taken = lanes < chosen
    expert = tl.load(Experts + token * chosen + lanes, mask=taken, other=0)
    share = tl.load(Shares + token * chosen + lanes, mask=taken, other=0.0).to(tl.float32)
    product = tl.zeros((LANES,), dtype=tl.float32)
    for start in range(0, hidden, BLOCK):
        columns = start + block
        inside = columns < hidden
        x = tl.load(X + token * hidden + columns, mask=inside, other=0.0).to(tl.float32)
        rows = ExpertIn + expert[:, None] * hidden + columns[None, :]
        product += tl.sum(
            tl.load(rows, mask=taken[:, None] & inside[None, :], other=0.0).to(tl.float32) * x[None, :], 1
        )
    weight = share * product / (1.0 + tl.exp(-product))
    for start in range(0, hidden, BLOCK):
        columns = start + block
        inside = columns < hidden
        rows = ExpertOut + expert[:, None] * hidden + columns[None, :]
        row = tl.load(rows, mask=taken[:, None] & inside[None, :], other=0.0).to(tl.float32)
        total = tl.sum(row * weight[:, None], 0)
        if BASE:
            total += tl.load(Base + token * hidden + columns, mask=inside, other=0.0).to(tl.float32)
        tl.store(Out + token * hidden + columns, total.to(Out.dtype.element_ty), mask=inside)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return FusedRetrieval(axes, weights)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return GatheredRetrieval(axes, weights)


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return OrdinaryLayer(axes, weights)


def make_library(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return GroupedLayer(axes, weights)


SUBJECTS = {
    "technique": make_technique,
    "eager": make_eager,
    "compiled": compiled(make_eager),
    "paper": make_paper,
    "library": make_library,
}
