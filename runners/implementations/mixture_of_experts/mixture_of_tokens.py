"""Mixture of tokens: experts see weighted mixtures of the tokens at one position of several sequences.

Source: "Mixture of Tokens: Efficient LLMs through Cross-Example Aggregation" (2023).

The batch is cut into groups of `group` sequences. For each group, position and expert e:
    share    w_ie = softmax over the group's tokens i of (x_i . controller_e)
    mixture  m_e  = sum_i w_ie x_i
    output   y_i  = sum_e w_ie expert_e(m_e),      expert_e(m) = relu(m up_e) down_e
Shapes: x (batch, seq, hidden), controller (hidden, experts), up (experts, hidden, ffn), down (experts, ffn, hidden); the
parameters are inputs, so that a training step's gradients of all of them are checked and timed.

Work: each expert runs on batch * seq / group mixtures, so with as many experts as sequences in a group the layer costs
4 * hidden * ffn operations a token, as much as one expert: the same as top-1 routing and as a dense layer of one expert's
width. Nothing is sorted, no expert can be idle or flooded, and all products have shapes known beforehand; what is paid
instead are three thin products, with 6 * hidden * experts operations a token, bound by memory.
65,536 tokens of width 1,024 through 32 experts of width 4,096, groups of 32, in bfloat16: 1.1 TFLOP forward and 3.3 with
backward (4.2 ms on an H200 at 790 TFLOP/s). Shares, mixing and redistributing read or write the 0.13 GB of tokens some
five times forward and ten times backward, 2 GB or 0.4 ms at 4.8 TB/s: about what sorting and gathering cost top-1 routing.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import relu

from runners.blocks.ladder import Subject, compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.moe import Routed, combine, grouped_matmul_library, sort_by_expert
from runners.blocks.rand import Rand

TOP_K = 1


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    """x, controller, up and down; the controller is as wide as makes shares differ."""
    hidden, ffn, experts = axes["hidden"], axes["ffn"], axes["experts"]
    return (
        rand.normal(axes["batch"], axes["seq"], hidden),
        rand.gaussian(hidden, experts, scale=hidden**-0.5),
        rand.gaussian(experts, hidden, ffn, scale=hidden**-0.5),
        rand.gaussian(experts, ffn, hidden, scale=ffn**-0.5),
    )


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Shares, mixtures, experts and the sum, thrice with gradients; tokens and parameters, and their gradients."""
    tokens, hidden, ffn, experts = axes["batch"] * axes["seq"], axes["hidden"], axes["ffn"], axes["experts"]
    mixtures = tokens // axes["group"] * experts
    products = 6 * tokens * hidden * experts + 4 * mixtures * hidden * ffn
    moved = 2 * tokens * hidden + experts * hidden * (1 + 2 * ffn)
    return LeastWork({dtype: (3 if backward else 1) * products}, BYTES[dtype] * (2 if backward else 1) * moved)


def odd_axes(axes: dict[str, int], seed: int) -> dict[str, int]:
    """Whole groups only."""
    return axes | {"batch": axes["group"] * (1 + seed % 3), "seq": axes["seq"] + 1 + seed % 5}


def shares_by_position(x: Tensor, controller: Tensor) -> Tensor:
    """Shares (groups, seq, group, experts) of x (groups, group, seq, hidden); each expert's add up to one in a group."""
    return (x @ controller).softmax(dim=1).transpose(1, 2)


class MixtureOfTokens:
    """All groups, positions and experts in four batched products."""

    def __init__(self, group: int) -> None:
        self.group = group

    def __call__(self, x: Tensor, controller: Tensor, up: Tensor, down: Tensor) -> Tensor:
        grouped = x.unflatten(0, (-1, self.group))
        # (positions of all groups, group, experts), the batch of the thin products
        shares = shares_by_position(grouped, controller).flatten(0, 1)
        tokens = grouped.transpose(1, 2).flatten(0, 1)
        mixtures = shares.transpose(1, 2) @ tokens
        # Experts lead, as the batch of the wide products; the transposed operands are views.
        processed = torch.bmm(relu(torch.bmm(mixtures.transpose(0, 1), up)), down)
        redistributed = shares @ processed.transpose(0, 1)
        return redistributed.unflatten(0, (-1, x.shape[1])).transpose(1, 2).reshape(x.shape)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    if axes["batch"] % axes["group"]:
        raise ValueError(f"batch is {axes['batch']}; it must be a multiple of group, {axes['group']}")
    return MixtureOfTokens(axes["group"])


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The definition, one expert after another."""
    group = axes["group"]

    def call(x: Tensor, controller: Tensor, up: Tensor, down: Tensor) -> Tensor:
        grouped = x.unflatten(0, (-1, group))
        shares = shares_by_position(grouped, controller).transpose(1, 2)
        total = torch.zeros_like(grouped)
        for expert in range(up.shape[0]):
            share = shares[..., expert, None]
            mixture = (share * grouped).sum(dim=1)
            total = total + share * (relu(mixture @ up[expert]) @ down[expert])[:, None]
        return total.flatten(0, 1)

    return call


def make_top_k(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """Discrete routing of each token to its likeliest expert, through torch's grouped products: another function."""

    def call(x: Tensor, controller: Tensor, up: Tensor, down: Tensor) -> Tensor:
        tokens = x.flatten(0, 1)
        shares, experts = (tokens @ controller).float().softmax(-1).topk(TOP_K)
        routed = Routed(experts, shares)
        order = sort_by_expert(routed.experts, up.shape[0])
        hidden = relu(grouped_matmul_library(tokens, up, order.ends, order.tokens))
        return combine(grouped_matmul_library(hidden, down, order.ends), order, routed.shares).view(x.shape)

    return call


def make_dense(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The first expert for every token, with as many operations a token: another function."""
    return lambda x, controller, up, down: relu(x @ up[0]) @ down[0]


SUBJECTS = {
    "technique": make_technique,
    "eager": make_eager,
    "compiled": compiled(make_eager),
    "top_k": make_top_k,
    "dense": make_dense,
}
