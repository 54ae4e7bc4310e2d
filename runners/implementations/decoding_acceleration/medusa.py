"""Medusa: extra heads guess the tokens after the next one, and one pass of the model verifies a tree of the guesses.

Source: "Medusa: Simple LLM Inference Acceleration Framework with Multiple Decoding Heads" (2024), sections 2.1 to 2.3.

From the state h whose logits chose the last token, head k = 1 .. K guesses the token k + 1 places after h:
    logits_k = (SiLU(h W_in_k) + h) W_out_k
with W_in starting at zero and W_out at the model's own head. Medusa-1 trains the heads alone, the model stays as it is; Medusa-2
goes on with both, so that its model is another one, whose plain decoding it is compared with. The
tree has the last token as its root and ranks of head k's guesses at depth k; which ranks, is chosen once so that the expected
number of accepted tokens is largest for the accuracies that the heads have on texts (greedily, as in the paper's appendix).
Accepted is what the model itself chooses (`runners/blocks/speculative.py`), so the text is that of plain decoding.

Why it should win: decoding one sequence reads all weights for each token, 13.5 GB for a model shaped like Vicuna-7B: 2.8 ms
on an H200 at 4.8 TB/s, 0.36 s for 128 tokens, of which its 13 GFLOP a token are nothing. A pass over 64 nodes reads the
same bytes; its arithmetic, 2 * 64 * 6.7e9 = 0.86 TFLOP, takes 1.1 ms at 790 TFLOP/s beside them. Five heads read 1.5 GB
more (their output matrices are each as large as the model's), 0.3 ms. So a step costs about 1.1 to 1.2 times a plain one
and yields 1 + a_1 + a_1 a_2 + ... tokens, where a_k is how often depth k holds the model's choice. The gain is the
quotient; with two tokens a pass it is 1.7, with three 2.5.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, silu

from runners.blocks.decoder import Decoder, Sizes, norm
from runners.blocks.ladder import Subject
from runners.blocks.planted_lm import guesses, head_towards, planted_weights, steps_ahead
from runners.blocks.rand import Rand
from runners.blocks.small_lm import Loss, next_token_loss, passages, remembered, train, trained
from runners.blocks.speculative import (
    Generation,
    Seen,
    generation_inputs,
    make_plain_compiled,
    make_plain_eager,
    make_plain_graph,
)
from runners.blocks.tree import Tree, likeliest_nodes

HEAD_STEPS, JOINT_STEPS = 50, 50
HEADS_SHARE = 0.2
TOP = 4
CALIBRATION = 48


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """A decoder with heads. `hits` = 0: both trained on a small language; else planted, right for `hits` % of tokens.

    `joint` = 0 is Medusa-1, trained heads on a frozen model; 1 is Medusa-2, model and heads trained together after that.
    heads_in (heads, hidden, hidden), heads_out (heads, hidden, vocab); accuracy (heads, TOP) is how often the guess of
    each rank is right.
    """
    sizes, count = Sizes.of(axes), axes["heads_ahead"]
    if axes["hits"]:
        return planted_heads(planted_weights(sizes, rand), count, axes["hits"], rand)

    def make() -> dict[str, Tensor]:
        model = train_heads(sizes, trained(sizes, Rand(0)), count)
        return measured(sizes, train_jointly(sizes, model) if axes["joint"] else model)

    return remembered([vars(sizes), count, axes["joint"]], train_heads, make, rand)


inputs = generation_inputs


def head_logits(state: Tensor, heads_in: Tensor, heads_out: Tensor) -> Tensor:
    """(heads, rows, vocab) of normed states (rows, hidden)."""
    return (silu(state @ heads_in) + state) @ heads_out


def states_and_targets(sizes: Sizes, weights: dict[str, Tensor], tokens: Tensor) -> tuple[Tensor, Tensor]:
    """The model's normed states (rows, hidden), and what each head should guess from them, (heads, rows)."""
    count, decoder = len(weights["heads_in"]), Decoder(sizes, weights)
    seen = tokens.shape[1] - count - 1
    states = norm(decoder(decoder.embed(tokens[:, :seen]), torch.arange(seen)), weights["final_norm"])
    targets = torch.stack([tokens[:, k + 2 : k + 2 + seen] for k in range(count)])
    return states.flatten(0, 1), targets.flatten(1)


def heads_loss(sizes: Sizes) -> Loss:
    """The mean cross-entropy of the tokens that the heads should guess."""

    def loss(weights: dict[str, Tensor], tokens: Tensor) -> Tensor:
        states, targets = states_and_targets(sizes, weights, tokens)
        logits = head_logits(states, weights["heads_in"], weights["heads_out"])
        return cross_entropy(logits.flatten(0, 1), targets.flatten())

    return loss


def train_heads(sizes: Sizes, model: dict[str, Tensor], count: int) -> dict[str, Tensor]:
    """Medusa-1: the model as it was, and `count` heads trained on it."""
    heads = {
        "heads_in": torch.zeros(count, sizes.hidden, sizes.hidden),
        "heads_out": model["head"].expand(count, -1, -1).clone(),
    }
    return model | train(heads, heads_loss(sizes), sizes.vocab, HEAD_STEPS, frozen=model)


def train_jointly(sizes: Sizes, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Medusa-2, second stage: heads and model learn together, the model's own loss above all."""
    of_model, of_heads = next_token_loss(sizes), heads_loss(sizes)

    def loss(learning: dict[str, Tensor], tokens: Tensor) -> Tensor:
        return of_model(learning, tokens) + HEADS_SHARE * of_heads(learning, tokens)

    return train(weights, loss, sizes.vocab, JOINT_STEPS)


def measured(sizes: Sizes, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same with "accuracy", how often each rank of each head's guesses is right on texts that training has not seen."""
    states, targets = states_and_targets(sizes, weights, passages(sizes.vocab, CALIBRATION, 32, Rand(3), seed=2))
    guessed = head_logits(states, weights["heads_in"], weights["heads_out"]).topk(TOP, dim=-1).indices
    return weights | {"accuracy": (guessed == targets[..., None]).float().mean(1)}


def planted_heads(model: dict[str, Tensor], count: int, percent: int, rand: Rand) -> dict[str, Tensor]:
    """Heads whose first guess is right for `percent` of the tokens, independently of each other, and else quite wrong."""
    hidden, embedding = model["embedding"].shape[1], model["embedding"]
    ahead = [steps_ahead(model["successor"], k + 2) for k in range(count)]
    accuracy = torch.full((count, TOP), 0.05, device=rand.device, dtype=rand.dtype)
    accuracy[:, 0] = percent / 100
    return model | {
        "heads_in": rand.gaussian(count, hidden, hidden, scale=0.1 / math.sqrt(hidden)),
        "heads_out": torch.stack([head_towards(guesses(each, percent, rand), embedding) for each in ahead]),
        "accuracy": accuracy,
    }


class MedusaHeads:
    """The drafter: one tree for all steps, filled with the heads' guesses."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        self.heads_in, self.heads_out = weights["heads_in"], weights["heads_out"]
        self.gain = weights["final_norm"]
        device = self.gain.device
        nodes = likeliest_nodes(weights["accuracy"].tolist(), axes["nodes"])
        self.tree = Tree([parent for parent, _, _ in nodes], device)
        places = [(depth - 1) * TOP + rank for _, depth, rank in nodes[1:]]
        self._places = torch.tensor(places, dtype=torch.long, device=device)
        self._guesses = torch.empty(0)

    def begin(self, seen: Seen) -> None:
        self.learn(seen)

    def learn(self, seen: Seen) -> None:
        """Guesses from the state that chose the last token."""
        state = norm(seen.hidden[seen.path[-1]][None], self.gain)
        self._guesses = head_logits(state, self.heads_in, self.heads_out).topk(TOP, dim=-1).indices.flatten()

    def draft(self, last: int) -> tuple[Tree, Tensor]:
        root = torch.tensor([last], device=self._places.device)
        return self.tree, torch.cat([root, self._guesses[self._places]])


class Medusa(Generation):
    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        self.heads = MedusaHeads(axes, weights)
        super().__init__(Decoder(Sizes.of(axes), weights), axes, self.heads, len(self.heads.tree))

    def footprint(self) -> dict[str, int]:
        found, own = super().footprint(), (self.heads.heads_in, self.heads.heads_out)
        found["weights"] += sum(each.nbytes for each in own)
        found["parameters"] += sum(each.numel() for each in own)
        return found


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return Medusa(axes, weights)


SUBJECTS = {
    "technique": make_technique,
    "paper": make_plain_graph,
    "eager": make_plain_eager,
    "compiled": make_plain_compiled,
}
