"""A decoder layer as DeepSeek-V3 has it, in one decoding step: latent cache, sparse experts, 8-bit products with fine scales.

Source: "Insights into DeepSeek-V3: Scaling Challenges and Reflections on Hardware for AI Architectures" (2025).

    attention  multi-head latent attention over one latent and one rotary key a token, its projections absorbed
    experts    sigmoid scores, the `k` best of `experts` with shares that add up to one, and a shared expert for all tokens
    products   of projections and experts in e4m3, a scale for each 128 numbers of a token and each 128 by 128 of a weight,
               added up in float32; routing, attention itself and the absorbed projections stay in 16 bits
x (batch, hidden) is the residual stream of each request's new token; the output is what the layer adds to it.

Bytes and operations, batch 128, context 4,096, hidden 7,168, 64 experts of width 2,048 (a quarter of the model's, as on one
of four GPUs), k = 8, on an H200:
  * cache: 576 numbers a token, 0.6 GB, against 2,048 for grouped-query attention with 8 groups of 128, 2.1 GB;
  * weights: 2.8e9 in experts and 0.19e9 in attention, 3.0 GB in 8 bits: 0.63 ms at 4.8 TB/s; in 16 bits 1.25 ms. With 128 tokens all
    experts are used, and reading them is most of the step. With thousands of tokens products are bound by arithmetic,
    which 8 bits double as well: 8,192 rows through the experts take 0.72 TFLOP, 0.46 ms at 1,580 TFLOP/s;
  * a token works with 0.4e9 of these weights; a dense layer of Qwen2.5-72B's shape has 0.77e9 and uses all of them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu

from runners.blocks.decoder import norm
from runners.blocks.fp8 import Fp8Weight, fp8_grouped_matmul, fp8_linear, quantize_weight
from runners.blocks.graphs import graphed
from runners.blocks.ladder import Subject, compiled, compiles
from runners.blocks.latent_attention import (
    AbsorbedAttention,
    GroupedQueryAttention,
    grouped_query_weights,
    latent_weights,
)
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.moe import (
    GroupedMatmul,
    Routed,
    expert_loop,
    gated_expert,
    gated_experts,
    grouped_matmul,
    grouped_matmul_library,
)
from runners.blocks.rand import Rand

PROJECTIONS = ("query_down", "query_up", "latent_down", "output")
EXPERTS = ("gate_up", "down", "shared_gate_up", "shared_down")


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """Attention and experts of the layer; names with "gqa" and "dense" are of the layer that the rung "paper" runs."""
    hidden, experts, ffn, shared = axes["hidden"], axes["experts"], axes["expert_ffn"], axes["shared_ffn"]
    dense = axes["dense_ffn"]

    def down(*shape: int) -> Tensor:
        return rand.gaussian(*shape, scale=shape[-2] ** -0.5)

    return {
        **latent_weights(axes, rand),
        **grouped_query_weights(axes, rand),
        "router": down(hidden, experts),
        "gate_up": down(experts, hidden, 2 * ffn),
        "down": down(experts, ffn, hidden),
        "shared_gate_up": down(hidden, 2 * shared),
        "shared_down": down(shared, hidden),
        "dense_gate_up": down(hidden, 2 * dense),
        "dense_down": down(dense, hidden),
    }


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.normal(axes["batch"], axes["hidden"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Products in 8 bits, attention in 16. Tokens choose experts evenly, so that few tokens leave some unread."""
    batch, hidden, heads, experts = axes["batch"], axes["hidden"], axes["heads"], axes["experts"]
    rank, rope = axes["rank"], axes["rope"]
    projections = axes["query_rank"] * (hidden + heads * (axes["nope"] + rope))
    projections += hidden * (rank + rope + heads * axes["value"])
    expert, shared = 3 * hidden * axes["expert_ffn"], 3 * hidden * axes["shared_ffn"]
    wide = heads * rank * (axes["nope"] + axes["value"]) + hidden * experts
    used = experts * (1 - (1 - axes["k"] / experts) ** batch)
    attended = heads * axes["context"] * (2 * rank + rope)
    products = {
        "float8": 2 * batch * (projections + shared + axes["k"] * expert),
        dtype: 2 * batch * (wide + attended),
    }
    moved = wide + batch * (axes["context"] * (rank + rope) + 2 * hidden)
    return LeastWork(products, projections + shared + used * expert + BYTES[dtype] * moved)


def sigmoid_route(logits: Tensor, k: int) -> Routed:
    """The k best by sigmoid score, with shares in proportion to it; in float32 for shorter types."""
    wide = logits if logits.dtype == torch.float64 else logits.float()
    scores, experts = wide.sigmoid().topk(k, dim=-1)
    return Routed(experts, scores / scores.sum(-1, keepdim=True))


def gated(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    gate, up = (x @ gate_up).chunk(2, dim=-1)
    return (silu(gate) * up) @ down


class SparseLayer:
    """Latent attention and experts in the format of the weights given."""

    def __init__(
        self, axes: dict[str, int], weights: dict[str, Tensor], matmul: GroupedMatmul = grouped_matmul
    ) -> None:
        self.k, self.matmul = axes["k"], matmul
        self.attention = AbsorbedAttention(axes, weights)
        self.weights: dict[str, Any] = {name: weights[name] for name in ("router", *EXPERTS)}

    def __call__(self, x: Tensor) -> Tensor:
        attended = self.attention(norm(x))
        return attended + self.feed_forward(norm(x + attended))

    def feed_forward(self, x: Tensor) -> Tensor:
        routed = sigmoid_route(x @ self.weights["router"], self.k)
        return self.routed_part(x, routed) + self.shared_part(x)

    def routed_part(self, x: Tensor, routed: Routed) -> Tensor:
        return gated_experts(x, routed, self.weights["gate_up"], self.weights["down"], self.matmul)

    def shared_part(self, x: Tensor) -> Tensor:
        return gated(x, self.weights["shared_gate_up"], self.weights["shared_down"])

    def footprint(self) -> dict[str, int]:
        held = self.attention.footprint()
        held["weights"] += sum(each.nbytes for each in self.weights.values())
        held["parameters"] += sum(each.numel() for each in self.weights.values())
        return held


class LoopLayer(SparseLayer):
    """The same with one expert after another."""

    def routed_part(self, x: Tensor, routed: Routed) -> Tensor:
        gate_up, down = self.weights["gate_up"], self.weights["down"]
        return expert_loop(x, routed, gated_expert(gate_up, down), gate_up.shape[0])


class Fp8Attention(AbsorbedAttention):
    """Latent attention whose plain projections are 8-bit products."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        super().__init__(axes, weights)
        for name in PROJECTIONS:
            self.weights[name] = quantize_weight(weights[name][None])

    def linear(self, x: Tensor, name: str) -> Tensor:
        return fp8_linear(x, self.weights[name])


class Fp8Layer(SparseLayer):
    """Projections and experts in 8 bits with fine-grained scales."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        super().__init__(axes, weights, fp8_grouped_matmul)
        self.attention = Fp8Attention(axes, weights)
        for name in EXPERTS:
            weight = weights[name]
            self.weights[name] = quantize_weight(weight if weight.dim() == 3 else weight[None])

    def shared_part(self, x: Tensor) -> Tensor:
        up: Fp8Weight = self.weights["shared_gate_up"]
        gate, value = fp8_linear(x, up).chunk(2, dim=-1)
        return fp8_linear(silu(gate) * value, self.weights["shared_down"])


class DenseLayer:
    """Grouped-query attention and a dense feed-forward part in 16 bits: another function."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        self.attention = GroupedQueryAttention(axes, weights)
        self.gate_up, self.down = weights["dense_gate_up"], weights["dense_down"]

    def __call__(self, x: Tensor) -> Tensor:
        attended = self.attention(norm(x))
        return attended + gated(norm(x + attended), self.gate_up, self.down)

    def footprint(self) -> dict[str, int]:
        held = self.attention.footprint()
        held["weights"] += self.gate_up.nbytes + self.down.nbytes
        held["parameters"] += self.gate_up.numel() + self.down.numel()
        return held


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return Fp8Layer(axes, weights)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return LoopLayer(axes, weights)


def make_grouped(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return SparseLayer(axes, weights)


def make_library(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return SparseLayer(axes, weights, grouped_matmul_library)


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return DenseLayer(axes, weights)


SUBJECTS = {
    "technique": graphed(make_technique),
    "eager": make_eager,
    "grouped": graphed(make_grouped),
    "library": graphed(make_library),
    "compiled": compiles(graphed(compiled(make_library))),
    "paper": graphed(make_paper),
}
