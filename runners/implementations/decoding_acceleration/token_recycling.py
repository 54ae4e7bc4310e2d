"""Token Recycling: candidates that decoding leaves over are kept in a matrix, from which trees of guesses are grown.

Source: "Turning Trash into Treasure: Accelerating Inference of Large Language Models with Token Recycling" (2024).

The matrix M (vocab, KEPT) holds for each token the KEPT likeliest tokens that the model named when it last saw it. A draft
starts at the last token and goes breadth first: the children of a node with token t are the first entries of M[t]. How many
children each node gets is fixed beforehand (a node is worth the product of its ranks' shares along the path), so growing a
tree is one gather a level. One pass verifies the tree (`runners/blocks/speculative.py`), and the pass's logits at every
node, accepted or not, renew the rows of the nodes' tokens. Nothing is trained, and the text is that of plain decoding.

Why it should win: decoding one sequence reads all weights for each token, 13.5 GB for a model shaped like Vicuna-7B: 2.8 ms
on an H200 at 4.8 TB/s, 0.36 s for 128 tokens, of which its 13 GFLOP a token are nothing. A pass over 80 nodes reads the
same and needs 1.1 TFLOP, 1.4 ms at 790 TFLOP/s beside it. The matrix has 32,000 * 8 entries of 32 bits, 1.0 MB; a gather a
level and one top-8 of (80, 32000) logits are some 0.1 ms. So a step costs about 1.1 times a plain one and gives 1 + p + p^2
+ ... tokens where rows hold the model's choice with chance p.
"""

from __future__ import annotations

import torch
from torch import Tensor

from runners.blocks.decoder import Decoder, Sizes
from runners.blocks.ladder import Subject
from runners.blocks.planted_lm import guesses, planted_weights
from runners.blocks.rand import Rand
from runners.blocks.small_lm import passages, trained
from runners.blocks.speculative import (
    Generation,
    Seen,
    generation_inputs,
    make_plain_compiled,
    make_plain_eager,
    make_plain_graph,
)
from runners.blocks.tree import Tree, likeliest_nodes

KEPT = 8
DEPTH = 6
# How often the entry of each rank is the one that follows, for the shape of the tree: the first by far the most often.
RANK_SHARES = [0.5, 0.16, 0.09, 0.06, 0.045, 0.035, 0.03, 0.025]
EARLIER_TEXTS, EARLIER_TOKENS = 4, 40


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """A decoder and the matrix as earlier texts left it, int32 (vocab, KEPT).

    `hits` = 0: trained on a small language, and the matrix comes from what the model said to other texts. Else planted: the
    first entry is right for `hits` % of the tokens, all others are random.
    """
    sizes = Sizes.of(axes)
    matrix = rand.integers(sizes.vocab, sizes.vocab, KEPT)
    if axes["hits"]:
        model = planted_weights(sizes, rand)
        matrix[:, 0] = guesses(model["successor"], axes["hits"], rand)
        return model | {"matrix": matrix.int()}
    model = trained(sizes, rand)
    texts = passages(sizes.vocab, EARLIER_TEXTS, EARLIER_TOKENS, Rand(7), seed=2).to(rand.device)
    decoder = Decoder(sizes, model)
    logits = decoder.logits(decoder(decoder.embed(texts), torch.arange(EARLIER_TOKENS, device=rand.device)))
    matrix[texts.flatten()] = logits.topk(KEPT, dim=-1).indices.flatten(0, 1)
    return model | {"matrix": matrix.int()}


inputs = generation_inputs


class Recycler:
    """The drafter. Each text starts from the matrix that was given, so that all calls do the same work."""

    def __init__(self, axes: dict[str, int], matrix: Tensor) -> None:
        self._start, self.matrix = matrix, matrix.clone()
        nodes = likeliest_nodes([RANK_SHARES] * DEPTH, axes["nodes"])
        self.tree = Tree([parent for parent, _, _ in nodes], matrix.device)
        self._levels = []
        for level in range(1, self.tree.depth + 1):
            chosen = [(at, parent, rank) for at, (parent, depth, rank) in enumerate(nodes) if depth == level]
            self._levels.append(torch.tensor(chosen, device=matrix.device).unbind(1))
        self._tokens = torch.zeros(len(nodes), dtype=torch.long, device=matrix.device)

    def begin(self, seen: Seen) -> None:
        self.matrix.copy_(self._start)
        self.learn(seen)

    def draft(self, last: int) -> tuple[Tree, Tensor]:
        self._tokens[0] = last
        for nodes, parents, ranks in self._levels:
            self._tokens[nodes] = self.matrix[self._tokens[parents], ranks].long()
        return self.tree, self._tokens

    def learn(self, seen: Seen) -> None:
        """Renews the rows of all tokens of the pass. A token at several nodes keeps what one of them saw."""
        self.matrix[seen.tokens] = seen.logits.topk(KEPT, dim=-1).indices.int()


class TokenRecycling(Generation):
    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        self.recycler = Recycler(axes, weights["matrix"])
        super().__init__(Decoder(Sizes.of(axes), weights), axes, self.recycler, len(self.recycler.tree))


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return TokenRecycling(axes, weights)


SUBJECTS = {
    "technique": make_technique,
    "paper": make_plain_graph,
    "eager": make_plain_eager,
    "compiled": make_plain_compiled,
}
