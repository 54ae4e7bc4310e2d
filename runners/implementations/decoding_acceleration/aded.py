"""ADED: drafts are searched in a tri-gram table that follows the model while it decodes, and one pass verifies them.

Source: "Adaptive Draft-Verification for Efficient Large Language Model Decoding" (2024).

The table holds for two tokens (a, b) the KEPT likeliest next ones with their probabilities, from a text at first. After each pass the
row of each place that was accepted moves towards what the model said there. A draft is a tree search from the last token:
each simulation walks down by the rule of AlphaZero,
    Q(c) + exploration * P(c) * sqrt(visits of the parent) / (1 + visits of c)
with P the table's probability and Q the mean number of tokens, of DEPTH, that simulations through c expect to be accepted; at
a leaf it adds the table's candidates and hands the expectation up. The most visited nodes are the draft: exploitation
makes it deep where the table is sure, exploration makes it wide where it is not. Acceptance is that of
`runners/blocks/speculative.py`, so the text is that of plain decoding.

Why it should win: decoding one sequence reads all weights for each token, 13.5 GB for a model shaped like Vicuna-7B: 2.8 ms
on an H200 at 4.8 TB/s, 0.36 s for 128 tokens, of which its 13 GFLOP a token are nothing. A pass over 32 nodes reads the
same and needs 0.43 TFLOP, 0.5 ms at 790 TFLOP/s beside it. The search runs on the host between passes, in Python some 0.5
to 1 ms for 48 simulations (a compiled one a tenth of it), during which the GPU waits: the step costs 1.2 to 1.4 times a
plain one, and must give as many tokens before anything is won.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from runners.blocks.decoder import Decoder, Sizes
from runners.blocks.ladder import Subject
from runners.blocks.planted_lm import guesses, planted_weights
from runners.blocks.rand import Rand
from runners.blocks.small_lm import corpus, trained
from runners.blocks.speculative import (
    Generation,
    Seen,
    generation_inputs,
    make_plain_compiled,
    make_plain_eager,
    make_plain_graph,
)
from runners.blocks.tree import Tree

KEPT = 6
DEPTH = 6
FOLLOWING = 0.5
FIRST_TEXT = 4000
PLANTED_SHARES = (0.6, 0.1, 0.08, 0.06, 0.05, 0.04)

Row = list[tuple[int, float]]


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """A decoder, and the rows of a first table: pairs (rows, 2), candidates (rows, KEPT) and their shares.

    `hits` = 0: trained on a small language, and the table counts a text of it. Else planted: each token has one row, whose
    first candidate is right for `hits` % of the tokens.
    """
    sizes = Sizes.of(axes)
    if axes["hits"]:
        model = planted_weights(sizes, rand)
        successor = model["successor"]
        before = torch.arange(sizes.vocab, device=rand.device)
        candidates = rand.integers(sizes.vocab, sizes.vocab, KEPT)
        candidates[:, 0] = guesses(successor, axes["hits"], rand)[successor]
        shares = torch.tensor(PLANTED_SHARES, device=rand.device).expand(sizes.vocab, -1)
        table = {
            "pairs": torch.stack([before, successor], 1),
            "candidates": candidates,
            "shares": shares.to(rand.dtype),
        }
        return model | table
    return trained(sizes, rand) | {
        name: tensor.to(rand.device, rand.dtype if tensor.is_floating_point() else tensor.dtype)
        for name, tensor in counted(corpus(sizes.vocab)[:FIRST_TEXT].tolist()).items()
    }


def counted(text: list[int]) -> dict[str, Tensor]:
    """The table of a text: the most frequent followers of each pair; places without one have share 0."""
    counts: dict[tuple[int, int], dict[int, int]] = {}
    for a, b, c in zip(text, text[1:], text[2:], strict=False):
        row = counts.setdefault((a, b), {})
        row[c] = row.get(c, 0) + 1
    candidates, shares = [], []
    for row in counts.values():
        best = sorted(row.items(), key=lambda each: -each[1])[:KEPT]
        total = sum(row.values())
        best += [(0, 0)] * (KEPT - len(best))
        candidates.append([token for token, _ in best])
        shares.append([count / total for _, count in best])
    return {
        "pairs": torch.tensor(list(counts)), "candidates": torch.tensor(candidates), "shares": torch.tensor(shares),
    }  # fmt: skip


inputs = generation_inputs


class TrigramTable:
    """Rows of a first table, and those that decoding has changed since."""

    def __init__(self, pairs: Tensor, candidates: Tensor, shares: Tensor) -> None:
        rows = zip(pairs.tolist(), candidates.tolist(), shares.tolist(), strict=True)
        self._first: dict[tuple[int, int], Row] = {
            (a, b): [each for each in zip(tokens, parts, strict=True) if each[1] > 0] for (a, b), tokens, parts in rows
        }
        self._changed: dict[tuple[int, int], Row] = {}

    def forget(self) -> None:
        self._changed.clear()

    def row(self, a: int, b: int) -> Row:
        """Candidates and probabilities after a, b, the likeliest first; empty for a pair never met."""
        found = self._changed.get((a, b))
        return self._first.get((a, b), []) if found is None else found

    def follow(self, a: int, b: int, said: Row) -> None:
        """Moves the row towards what the model said there."""
        shares = {token: (1 - FOLLOWING) * share for token, share in self.row(a, b)}
        weight = FOLLOWING if shares else 1.0
        for token, share in said:
            shares[token] = shares.get(token, 0.0) + weight * share
        self._changed[a, b] = sorted(shares.items(), key=lambda each: -each[1])[:KEPT]


class Search:
    """Nodes of one search: token, parent, depth, prior, visits and summed value of each."""

    def __init__(self, table: TrigramTable, before: int, last: int, exploration: float) -> None:
        self.table, self.before, self.exploration = table, before, exploration
        self.tokens, self.parents, self.depths = [last], [-1], [0]
        self.priors, self.visits, self.values = [1.0], [0], [0.0]
        self.children: list[list[int]] = [[]]

    def simulate(self) -> None:
        path = [0]
        while self.children[path[-1]]:
            path.append(self._best_child(path[-1]))
        self._expand(path[-1])
        self.visits[0] += 1
        expected = 0.0
        for node in reversed(path[1:]):
            expected = self.priors[node] * (1 + expected)
            self.values[node] += expected
            self.visits[node] += 1

    def _best_child(self, node: int) -> int:
        wide = self.exploration * math.sqrt(self.visits[node])

        def score(child: int) -> float:
            visits = self.visits[child]
            mean = self.values[child] / (visits * DEPTH) if visits else 0.0
            return mean + wide * self.priors[child] / (1 + visits)

        return max(self.children[node], key=score)

    def _expand(self, node: int) -> None:
        if self.depths[node] == DEPTH:
            return
        before = self.tokens[self.parents[node]] if node else self.before
        for token, share in self.table.row(before, self.tokens[node]):
            self.children[node].append(len(self.tokens))
            self.tokens.append(token)
            self.parents.append(node)
            self.depths.append(self.depths[node] + 1)
            self.priors.append(share)
            self.visits.append(0)
            self.values.append(0.0)
            self.children.append([])

    def most_visited(self, count: int) -> tuple[list[int], list[int]]:
        """Parents and tokens of `count` nodes; where the search found fewer, the root's token stands in for guesses."""
        # A parent is visited whenever its child is, and came first: it stands before it in this order.
        kept = sorted(range(len(self.tokens)), key=lambda node: (-self.visits[node], node))[:count]
        places = {node: place for place, node in enumerate(kept)}
        missing = count - len(kept)
        parents = [-1, *(places[self.parents[node]] for node in kept[1:])]
        return parents + [0] * missing, [self.tokens[node] for node in kept] + [self.tokens[0]] * missing


class TrigramDrafter:
    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        self.table = TrigramTable(weights["pairs"], weights["candidates"], weights["shares"])
        self.nodes, self.simulations = axes["nodes"], axes["simulations"]
        self.exploration, self._device = axes["exploration"] / 100, weights["pairs"].device
        self._before = 0

    def begin(self, seen: Seen) -> None:
        self.table.forget()
        self._before = seen.read[0]
        self._follow(seen, 1)

    def draft(self, last: int) -> tuple[Tree, Tensor]:
        search = Search(self.table, self._before, last, self.exploration)
        for _ in range(self.simulations):
            search.simulate()
        parents, tokens = search.most_visited(self.nodes)
        return Tree(parents, self._device), torch.tensor(tokens, device=self._device)

    def learn(self, seen: Seen) -> None:
        self._follow(seen, 0)

    def _follow(self, seen: Seen, first: int) -> None:
        """The rows of the accepted places from `first` on follow the model; the token before the next root is kept."""
        shares, tokens = seen.logits[seen.path].softmax(-1).topk(KEPT, dim=-1)
        said = list(zip(seen.read, tokens.tolist(), shares.tolist(), strict=True))[first:]
        for token, candidates, parts in said:
            self.table.follow(self._before, token, list(zip(candidates, parts, strict=True)))
            self._before = token


class Aded(Generation):
    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        super().__init__(Decoder(Sizes.of(axes), weights), axes, TrigramDrafter(axes, weights), axes["nodes"])


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return Aded(axes, weights)


SUBJECTS = {
    "technique": make_technique,
    "paper": make_plain_graph,
    "eager": make_plain_eager,
    "compiled": make_plain_compiled,
}
