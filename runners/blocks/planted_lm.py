"""A decoder of any size whose next token is known beforehand, for timing methods whose gain depends on right guesses.

Weights are random but for the output head: each token has one successor, on a cycle through the whole vocabulary, and
the column of that successor is the embedding of the token. What the layers add does not drown it, so greedy decoding
follows the cycle with a margin that 16-bit rounding does not touch. A drafter can then be given guesses that are right at a
rate that the workload sets: what a pass costs is real, how often guesses are right is an assumption that can be varied.
"""

from __future__ import annotations

import torch
from torch import Tensor

from runners.blocks.decoder import Sizes, decoder_weights
from runners.blocks.rand import Rand


def planted_weights(sizes: Sizes, rand: Rand) -> dict[str, Tensor]:
    """Weights of a decoder, and under "successor" (vocab,) the token that follows each token."""
    weights = decoder_weights(sizes, rand)
    cycle = rand.permutation(sizes.vocab)
    successor = torch.empty_like(cycle)
    successor[cycle] = cycle.roll(-1)
    weights["head"] = head_towards(successor, weights["embedding"])
    return weights | {"successor": successor}


def head_towards(target: Tensor, embedding: Tensor) -> Tensor:
    """(hidden, vocab) that gives the largest logit to target[t] where the state is near the embedding of t."""
    head = torch.empty_like(embedding.t(), memory_format=torch.contiguous_format)
    head[:, target] = embedding.t() * embedding.shape[1] ** -0.5
    return head


def steps_ahead(successor: Tensor, steps: int) -> Tensor:
    """The token that is reached after `steps` steps from each token."""
    reached = torch.arange(len(successor), device=successor.device)
    for _ in range(steps):
        reached = successor[reached]
    return reached


def guesses(target: Tensor, percent: int, rand: Rand) -> Tensor:
    """`target` for about `percent` of the tokens, and another token's target for all others; a permutation again."""
    missed = (100 * rand.uniform(len(target)).float() >= percent).nonzero().flatten()
    guessed = target.clone()
    if len(missed) > 1:
        guessed[missed] = target[missed.roll(1)]
    return guessed
