"""Relaxed Recursive Transformers: one block of layers runs in a loop, each turn with low-rank changes, and turns are batched together.

Source: "Relaxed Recursive Transformers: Effective Parameter Sharing with Layer-wise LoRA" (2024), sections 2 and 3.

A model of loops * layers layers keeps `layers` of them; turn t = 0 .. loops - 1 multiplies with W + D_t U_t, where D_t (rows, rank) and
U_t (rank, columns) belong to turn and layer. `tie` makes them from an untied model: W is the mean over turns of the
matrices that share it, D_t U_t the best approximation of what is left, from its singular values.

A call serves `requests` tokens, each of a sequence with `context` cached ones, with early exit: each request leaves after a turn
of its own (given, as an oracle would) and its logits are read there: ids (requests, 1) to logits (requests, vocab). Since
every turn uses the same W, requests in different turns fit one batch: the technique fills the place of whoever leaves at
once (continuous depth-wise batching), so `slots` places need sum(turns) / slots turns of the block. The products with D and
U do not need sorting by turn either: x D for all turns side by side, what belongs to other turns set to zero, times U stacked.

Rung "together" is the same model with batches that stay together until the last of them leaves, nearly always `loops` turns each;
"paper" is the untied model, all layers for everyone.

Bytes at Gemma-2B's shapes (18 layers as 6 * 3, hidden 2048, ffn 16384, 16 bits): a turn of the block reads 1.3 GB, 0.28 ms on an H200,
rank 64 adds 11 % for all turns together, the cache of 32 sequences of 512 tokens 0.1 GB. 128 requests of which 60 % leave after
the first turn and the others after one of the two further need 1.6 turns on average: 6.4 turns of the batch against 12 of
the untied model, 1.8 times as fast. Parameters without embeddings: 0.73 against 1.98 billion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from runners.blocks.compiled_decoder import CompiledDecoder
from runners.blocks.decoder import Attend, Decoder, Sizes, attention, decoder_weights
from runners.blocks.graphs import graphed
from runners.blocks.ladder import Subject, compiles
from runners.blocks.rand import Rand

MATRICES = ("qkv", "output", "gate_up", "down")
DOWN, UP = ".lora_down", ".lora_up"
# Size of the planted changes beside the shared matrices; untied layers of a converted model differ by more.
CHANGE = 0.3


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """The shared block's, low-rank changes NAME.lora_down (loops, layers, rows, rank) and NAME.lora_up, the context's "keys" and
    "values" (loops * layers, requests, kv_heads, context, dim), and "turns" (requests,), after which each request leaves:
    `exit_first` % of them after the first one, the others after a later one at random.
    """
    sizes, loops, rank, requests = Sizes.of(axes), axes["loops"], axes["rank"], axes["requests"]
    made = decoder_weights(sizes, rand)
    for name in ("output", "down"):
        made[name] /= loops**0.5
    for name in MATRICES:
        layers, rows, columns = made[name].shape
        scale = CHANGE * (rows / (loops if name in ("output", "down") else 1)) ** -0.5
        made[name + DOWN] = rand.gaussian(loops, layers, rows, rank)
        made[name + UP] = rand.gaussian(loops, layers, rank, columns, scale=scale * rank**-0.5)
    later = 2 + rand.integers(max(1, loops - 1), requests)
    first = 100 * rand.uniform(requests).float() < axes["exit_first"]
    shape = (loops * sizes.layers, requests, sizes.kv_heads, axes["context"], sizes.dim)
    return made | {
        "turns": torch.where(first, 1, later).clamp(max=loops),
        "keys": rand.gaussian(*shape),
        "values": rand.gaussian(*shape),
    }


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.integers(axes["vocab"], axes["requests"], 1),)


def tie(matrices: Tensor, layers: int, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Shared (layers, rows, columns), down (loops, layers, rows, rank) and up of untied (loops * layers, rows, columns)."""
    turns = matrices.unflatten(0, (-1, layers))
    shared = turns.mean(0)
    left, strengths, right = torch.linalg.svd(turns - shared, full_matrices=False)
    return shared, left[..., :rank] * strengths[..., None, :rank], right[..., :rank, :]


def untied(weights: dict[str, Tensor], loops: int) -> dict[str, Tensor]:
    """The weights of a decoder with loops * layers layers that computes the same as the loop."""
    made = {name: weights[name] for name in ("embedding", "head", "final_norm")}
    for name in ("attention_norm", "ffn_norm"):
        made[name] = weights[name].repeat(loops, 1)
    for name in MATRICES:
        made[name] = (weights[name] + weights[name + DOWN] @ weights[name + UP]).flatten(0, 1)
    return made


def with_changes(footprint: dict[str, int], changes: Sequence[Tensor]) -> dict[str, int]:
    """A decoder's footprint with that of its low-rank changes."""
    return {
        "weights": footprint["weights"] + sum(each.nbytes for each in changes),
        "parameters": footprint["parameters"] + sum(each.numel() for each in changes),
    }


class LoopedDecoder(Decoder):
    """The shared block for rows that are in turns of their own; say which by `enter` before each pass."""

    def __init__(self, sizes: Sizes, weights: dict[str, Tensor]) -> None:
        super().__init__(sizes, weights)
        self.loops, _, _, self.rank = weights["qkv" + DOWN].shape
        # The changes of all turns side by side: (layers, rows, loops * rank) and (layers, loops * rank, columns).
        self.down = {name: weights[name + DOWN].movedim(0, 2).flatten(2).contiguous() for name in MATRICES}
        self.up = {name: weights[name + UP].movedim(0, 1).flatten(1, 2).contiguous() for name in MATRICES}
        like = weights["qkv"]
        self._of_turn = torch.eye(self.loops, dtype=like.dtype, device=like.device)
        self._chosen = self._of_turn

    def changes_of(self, turns: Tensor) -> Tensor:
        """Ones for the columns of the turn that each row is in, (rows, 1, loops * rank); turns (rows,)."""
        return self._of_turn[turns].repeat_interleave(self.rank, dim=1)[:, None]

    def enter(self, chosen: Tensor) -> None:
        """What `changes_of` gave for the rows of the next pass."""
        self._chosen = chosen

    def linear(self, name: str, layer: int, x: Tensor) -> Tensor:
        narrow = (x @ self.down[name][layer]) * self._chosen
        return super().linear(name, layer, x) + narrow @ self.up[name][layer]

    def footprint(self) -> dict[str, int]:
        return with_changes(super().footprint(), (*self.down.values(), *self.up.values()))


class TurnDecoder(Decoder):
    """The shared block for rows that are all in turn `turn`."""

    def __init__(self, sizes: Sizes, weights: dict[str, Tensor]) -> None:
        super().__init__(sizes, weights)
        self.down = {name: weights[name + DOWN] for name in MATRICES}
        self.up = {name: weights[name + UP] for name in MATRICES}
        self.turn = 0

    def linear(self, name: str, layer: int, x: Tensor) -> Tensor:
        changed = (x @ self.down[name][self.turn, layer]) @ self.up[name][self.turn, layer]
        return super().linear(name, layer, x) + changed

    def footprint(self) -> dict[str, int]:
        return with_changes(super().footprint(), (*self.down.values(), *self.up.values()))


@dataclass(frozen=True)
class Pass:
    """One turn of the block: who takes part and in which turn, who of the last pass stays, who leaves afterwards."""

    requests: list[int]
    turns: list[int]
    stay: list[int]
    """Places in the last pass of those that go on; the others in `requests` are new and come after them."""
    leave: list[int]
    """Places in this pass of those that are done."""


def schedule(turns: Sequence[int], slots: int) -> list[Pass]:
    """Passes in which every free place goes to the next request at once."""
    passes: list[Pass] = []
    waiting = 0
    running: list[tuple[int, int]] = []
    stay: list[int] = []
    while running or waiting < len(turns):
        free = min(slots - len(running), len(turns) - waiting)
        running = running + [(request, 0) for request in range(waiting, waiting + free)]
        waiting += free
        leave = [place for place, (request, turn) in enumerate(running) if turn + 1 == turns[request]]
        passes.append(Pass([request for request, _ in running], [turn for _, turn in running], stay, leave))
        stay = [place for place in range(len(running)) if place not in set(leave)]
        running = [(running[place][0], running[place][1] + 1) for place in stay]
    return passes


class Serving:
    """What all subjects share: the contexts' cache with a last place for the token of the call, and the answers."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor], decoder: Decoder) -> None:
        self.decoder, self.sizes, self.slots = decoder, Sizes.of(axes), axes["slots"]
        self.loops, self.vocab, self.requests = axes["loops"], axes["vocab"], axes["requests"]
        self.keys, self.values = pad(weights["keys"], (0, 0, 0, 1)), pad(weights["values"], (0, 0, 0, 1))
        self.position = torch.tensor([axes["context"]], device=self.keys.device)
        self.turns = weights["turns"].tolist()

    def answers(self, tokens: Tensor) -> Tensor:
        return self.keys.new_empty(tokens.shape[0], self.vocab)

    def attend_rows(self, first_layer: int, rows: slice) -> Attend:
        """The hook for neighbouring requests that are all in the same turn: their caches are read where they lie."""

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = self.keys[first_layer + layer, rows], self.values[first_layer + layer, rows]
            keys[:, :, -1:], values[:, :, -1:] = k, v
            return attention(q, keys, values)

        return attend

    def footprint(self) -> dict[str, int]:
        return self.decoder.footprint() | {"kv_cache": self.keys.nbytes + self.values.nbytes}


class DepthwiseBatching(Serving):
    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        self.looped = LoopedDecoder(Sizes.of(axes), weights)
        super().__init__(axes, weights, self.looped)
        device = self.keys.device
        self.passes = schedule(self.turns, self.slots)
        self._tensors = [
            [torch.tensor(each, dtype=torch.long, device=device) for each in (a.requests, a.turns, a.stay, a.leave)]
            for a in self.passes
        ]
        self._chosen = [self.looped.changes_of(turns) for _, turns, _, _ in self._tensors]

    def __call__(self, tokens: Tensor) -> Tensor:
        answers, x = self.answers(tokens), self.decoder.embed(tokens[:0])
        for (requests, turns, stay, leave), chosen in zip(self._tensors, self._chosen, strict=True):
            x = torch.cat([x[stay], self.decoder.embed(tokens[requests[len(stay) :]])])
            self.looped.enter(chosen)
            x = self.looped(x, self.position, self._attend(requests, turns))
            if len(leave):
                answers[requests[leave]] = self.decoder.logits(x[leave, -1])
        return answers

    def _attend(self, requests: Tensor, turns: Tensor) -> Attend:
        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            at = turns * self.sizes.layers + layer
            self.keys[at, requests, :, -1], self.values[at, requests, :, -1] = k[:, :, 0], v[:, :, 0]
            # Requests in different turns lie apart: fused attention wants their caches side by side.
            return attention(q, self.keys[at, requests], self.values[at, requests])

        return attend


class BatchesThatStay(Serving):
    """The loop without depth-wise batching: a batch goes on until its last request leaves."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        self.looped = TurnDecoder(Sizes.of(axes), weights)
        super().__init__(axes, weights, self.looped)
        parts = [self.turns[first : first + self.slots] for first in range(0, self.requests, self.slots)]
        self._leave = [[self._leaving(part, turn) for turn in range(max(part))] for part in parts]

    def _leaving(self, turns: list[int], turn: int) -> Tensor:
        """Places in a batch of those that leave after `turn`."""
        places = [place for place, last in enumerate(turns) if last == turn + 1]
        return torch.tensor(places, dtype=torch.long, device=self.keys.device)

    def __call__(self, tokens: Tensor) -> Tensor:
        answers = self.answers(tokens)
        for batch, leave_by_turn in enumerate(self._leave):
            rows = slice(batch * self.slots, (batch + 1) * self.slots)
            x, part = self.decoder.embed(tokens[rows]), answers[rows]
            for turn, leave in enumerate(leave_by_turn):
                self.looped.turn = turn
                x = self.looped(x, self.position, self.attend_rows(turn * self.sizes.layers, rows))
                if len(leave):
                    part[leave] = self.decoder.logits(x[leave, -1])
        return answers


class Untied(Serving):
    """All layers for every request, with matrices of their own."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor], kind: type[Decoder] = Decoder) -> None:
        sizes = replace(Sizes.of(axes), layers=axes["layers"] * axes["loops"])
        super().__init__(axes, weights, kind(sizes, untied(weights, axes["loops"])))

    def __call__(self, tokens: Tensor) -> Tensor:
        found = []
        for first in range(0, self.requests, self.slots):
            rows = slice(first, first + self.slots)
            x = self.decoder(self.decoder.embed(tokens[rows]), self.position, self.attend_rows(0, rows))
            found.append(self.decoder.logits(x[:, -1]))
        return torch.cat(found)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return DepthwiseBatching(axes, weights)


def make_together(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return BatchesThatStay(axes, weights)


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return Untied(axes, weights)


def make_compiled(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The untied model with compiled layers."""
    return Untied(axes, weights, CompiledDecoder)


SUBJECTS = {
    "technique": graphed(make_technique),
    "together": graphed(make_together),
    "eager": make_technique,
    "paper": graphed(make_paper),
    "compiled": compiles(graphed(make_compiled)),
}
