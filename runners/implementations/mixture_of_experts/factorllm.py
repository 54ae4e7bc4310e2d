"""Feed-forward layers of a finished model cut into experts, neuron by neuron, with a small router trained to pick among them.

Source: "FactorLLM: Factorizing Knowledge via Mixture of Experts for Large Language Models" (2024).

A dense gated layer is a sum over neurons, y = sum_j silu(x . g_j) (x . u_j) d_j. Its neurons are permuted and cut into `experts`
equal groups without a change to any weight: the sum of all groups is the dense layer. A linear router then picks the `active`
groups whose sum is computed for a token. It is trained as the paper's prior-approximate loss has it: the dense layer is the
teacher, how near each group's output comes to the dense output gives a distribution over groups, and the router learns it
from a few thousand tokens. Here the groups are neurons with like gate weights.

Input: tokens (batch, seq); output: logits of the last position (batch, vocab) of a whole decoder.

Why it should win: with `active` of `experts` groups, that share of the feed-forward operations is done. TinyLlama's sizes (22
layers, hidden 2,048, feed-forward 5,632), 8 prompts of 2,048 tokens: dense layers are 22 * 16,384 * 6 * 2,048 * 5,632 = 25 TFLOP, 32 ms on an
H200 at 790 TFLOP/s; one group of four leaves 8 ms, and projections and attention of about 16 ms are the same. So the
model can gain at most a factor of two. Routing, sorting and adding back pass over the 67 MB of hidden states some six times
a layer: 2 ms in all at 4.8 TB/s.

The model is random except that a planted structure makes neurons specialise, as they do in trained models: each token belongs
to a domain that the residual stream remembers, and a neuron's gate is shut by `GATE` standard deviations outside of its domain.
Groups are planted in random order, so that the partition has to be found.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize, silu

from runners.blocks.decoder import Decoder, Sizes, causal_attend, decoder_weights, norm
from runners.blocks.graphs import graphed
from runners.blocks.ladder import Subject, compiled, compiles
from runners.blocks.moe import Routed, gated_experts, trained_router
from runners.blocks.rand import Rand

GATE = 4.0
# The share of a token's squared length that tells its domain.
DOMAIN_SHARE = 0.05
# Tokens to train routers on: several for each weight of an expert's row, as far as that stays quick.
CALIBRATION_PER_COLUMN = 8
CALIBRATION_MOST = 4096
CALIBRATION_LENGTH = 64
# How sharply the teacher's prior prefers the nearest group, in units of the dense output's squared length.
TEMPERATURE = 0.1
ROUNDS = 8


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """A decoder whose first `experts` hidden columns hold a token's domain, and whose neurons each serve one domain."""
    sizes, domains = Sizes.of(axes), axes["experts"]
    made = decoder_weights(sizes, rand)
    strength = (DOMAIN_SHARE * sizes.hidden) ** 0.5
    domain_of_token = torch.arange(sizes.vocab, device=rand.device) % domains
    made["embedding"][:, :domains] = (
        strength * torch.eye(domains, dtype=rand.dtype, device=rand.device)[domain_of_token]
    )
    # Nothing is written over the domain, and every norm passes it on.
    made["output"][..., :domains] = 0
    made["down"][..., :domains] = 0
    made["down"] *= (
        domains**0.5 / GATE
    )  # open gates give about GATE: so that the residual stream does not outgrow the domain
    made["ffn_norm"][:, :domains] = 1
    for gate_up in made["gate_up"]:
        domain_of_neuron = rand.permutation(sizes.ffn) % domains
        sign = 2 * torch.eye(domains, dtype=rand.dtype, device=rand.device)[domain_of_neuron] - 1
        gate_up[:domains, : sizes.ffn] = sign.t() * (GATE / strength)
    return made


def is_decoding(axes: dict[str, int]) -> bool:
    """Whether a call is so short that launching its kernels from Python would count; it is recorded as a graph."""
    return axes["seq"] == 1


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.integers(axes["vocab"], axes["batch"], axes["seq"]),)


class Model:
    """tokens (batch, seq) -> logits of the last position."""

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.footprint = decoder.footprint

    def __call__(self, tokens: Tensor) -> Tensor:
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        return self.decoder.logits(self.decoder(self.decoder.embed(tokens), positions)[:, -1])


class FactorizedDecoder(Decoder):
    """A decoder whose feed-forward layers are cut into groups of neurons of which each token uses some."""

    def __init__(self, sizes: Sizes, weights: dict[str, Tensor], experts: int, active: int) -> None:
        if sizes.ffn % experts:
            raise ValueError(f"{sizes.ffn} neurons cannot be cut into {experts} equal experts")
        super().__init__(sizes, dict(weights))
        self.experts, self.active = experts, active
        like = weights["down"]
        width = sizes.ffn // experts
        self.weights["gate_up"] = like.new_empty(sizes.layers, experts, sizes.hidden, 2 * width)
        self.weights["down"] = like.new_empty(sizes.layers, experts, width, sizes.hidden)
        self.weights["router"] = like.new_zeros(sizes.layers, sizes.hidden, experts)
        self._factorize(Decoder(sizes, weights))

    def _factorize(self, dense: Decoder) -> None:
        """Cuts layer after layer, and trains its router on what the dense model's layer sees."""
        like = dense.weights["down"]
        rand = Rand(0, device=like.device)
        count = min(CALIBRATION_MOST, CALIBRATION_PER_COLUMN * self.sizes.hidden)
        tokens = rand.integers(self.sizes.vocab, -(-count // CALIBRATION_LENGTH), CALIBRATION_LENGTH)
        rotary = dense.rotary(torch.arange(CALIBRATION_LENGTH, device=like.device), like)
        x = dense.embed(tokens)
        for layer in range(self.sizes.layers):
            groups = groups_of_neurons(dense.weights["gate_up"][layer, :, : self.sizes.ffn], self.experts)
            for expert, neurons in enumerate(groups):
                both = torch.cat([neurons, neurons + self.sizes.ffn])
                self.weights["gate_up"][layer, expert] = dense.weights["gate_up"][layer][:, both]
                self.weights["down"][layer, expert] = dense.weights["down"][layer][neurons]
            x = x + dense.attention_part(layer, x, rotary, causal_attend)
            normed = norm(x, dense.weights["ffn_norm"][layer]).flatten(0, 1)
            answer = dense.ffn_part(layer, x)
            prior = self._prior(layer, normed, answer.flatten(0, 1))
            self.weights["router"][layer] = trained_router(normed, prior)
            x = x + answer

    def _prior(self, layer: int, normed: Tensor, answer: Tensor) -> Tensor:
        """The teacher's distribution over groups (tokens, experts): the nearer a group's output is to the dense one, the more."""
        gate, up = (normed @ self.weights["gate_up"][layer]).chunk(2, dim=-1)
        parts = (silu(gate) * up) @ self.weights["down"][layer]
        distance = (answer - parts).float().square().sum(-1) / answer.float().square().sum(-1).clamp_min(1e-20)
        return torch.softmax(-distance.t() / TEMPERATURE, dim=-1)

    def ffn_part(self, layer: int, x: Tensor) -> Tensor:
        normed = norm(x, self.weights["ffn_norm"][layer]).flatten(0, 1)
        chosen = (normed @ self.weights["router"][layer]).topk(self.active, dim=-1).indices
        # Each share is one: groups are summands of the dense layer.
        routed = Routed(chosen, torch.ones_like(chosen, dtype=x.dtype))
        return gated_experts(normed, routed, self.weights["gate_up"][layer], self.weights["down"][layer]).view_as(x)


def groups_of_neurons(gates: Tensor, count: int) -> list[Tensor]:
    """`count` equal groups of columns of `gates` (hidden, neurons) that point alike: k-means on the sphere, then cut even."""
    columns = normalize(gates.float(), dim=0)
    centres = [columns[:, 0]]
    for _ in range(count - 1):
        nearest = (torch.stack(centres) @ columns).amax(0)
        centres.append(columns[:, nearest.argmin()])
    centre = torch.stack(centres)
    for _ in range(ROUNDS):
        member = torch.nn.functional.one_hot((centre @ columns).argmax(0), count).to(columns.dtype)
        centre = normalize((columns @ member).t(), dim=1)
    likeness, free, groups = centre @ columns, torch.ones(gates.shape[1], dtype=torch.bool, device=gates.device), []
    for index in range(count):
        # How much a neuron prefers this centre to those that still choose; full groups are out of the question.
        others = likeness[index + 1 :]
        margin = likeness[index] - (others.amax(0) if len(others) else 0.0)
        best = margin.masked_fill(~free, float("-inf")).topk(gates.shape[1] // count).indices
        free[best] = False
        groups.append(best.sort().values)
    return groups


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    with torch.no_grad():
        return Model(FactorizedDecoder(Sizes.of(axes), weights, axes["experts"], axes["active"]))


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return Model(Decoder(Sizes.of(axes), weights))


SUBJECTS = {
    "technique": graphed(make_technique, is_decoding),
    "eager": graphed(make_eager, is_decoding),
    "compiled": compiles(graphed(compiled(make_eager), is_decoding)),
}
