"""A transformer whose sizes suit the GPU's matrix units, against one of about as many parameters whose sizes do not.

Source: "The Case for Co-Designing Model Architectures with Hardware" (2024).

The technique is a choice of sizes: columns of a head, feed-forward width and vocabulary that are multiples of 64 (128 bytes in
16 bits), so that rows begin where wide loads and tensor-core tiles want them and no tile is part empty. What it is compared
with, the rung "paper", runs the very same code with the sizes that the axes `other_heads`, `other_ffn` and
`other_vocab` give at the same hidden width: 32 heads of 80 columns, a feed-forward width of 8/3 of the hidden one to the nearest
integer, the 50,257 entries of GPT-2's vocabulary. It is another function, so answers are not compared, time is.
Input: tokens (batch, seq); output: logits (batch, seq, vocab) of a decoder with rotary positions and gated feed-forward.

Why it should win: operations and bytes are the same to within a per cent. GPT-3 2.7B's width, 4 sequences of 2,048 tokens: 8,192 * 2
* 2.8e9 = 46 TFLOP, 58 ms on an H200 at 790 TFLOP/s, for both. What differs is the share of the peak that is reached: attention with
80 columns a head fills tiles of 128 to 63 %; rows of 6,827 or 50,257 numbers are not multiples of 16 bytes, so cuBLAS must
take kernels with narrow loads and without the tensor memory accelerator. A vocabulary of odd size concerns the output layer only, 5 % of the work.
"""

from __future__ import annotations

import torch
from torch import Tensor

from runners.blocks.decoder import Attend, Decoder, Sizes, causal_attend, decoder_weights
from runners.blocks.ladder import Subject, compiled
from runners.blocks.rand import Rand

OTHER = "other_"


def sizes_of(axes: dict[str, int], prefix: str = "") -> Sizes:
    """Sizes at the common hidden width; the heads share it evenly."""
    hidden, heads = axes["hidden"], axes[f"{prefix}heads"]
    if hidden % (2 * heads):
        raise ValueError(f"{heads} heads do not share {hidden} columns in even parts; choose another number of heads")
    return Sizes(axes["layers"], hidden, heads, heads, hidden // heads, axes[f"{prefix}ffn"], axes[f"{prefix}vocab"])


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """Parameters of the model with good sizes and, by names with a prefix, of the other one."""
    good = decoder_weights(sizes_of(axes), rand)
    other = decoder_weights(sizes_of(axes, OTHER), rand)
    return good | {OTHER + name: tensor for name, tensor in other.items()}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.integers(min(axes["vocab"], axes["other_vocab"]), axes["batch"], axes["seq"]),)


def plain_attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Causal attention with its scores written out."""
    later = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).triu(1)
    scores = (q @ k.transpose(-1, -2)) * q.shape[-1] ** -0.5
    return scores.masked_fill(later, float("-inf")).softmax(-1) @ v


class Model:
    """tokens (batch, seq) -> logits (batch, seq, vocab)."""

    def __init__(self, sizes: Sizes, weights: dict[str, Tensor], attend: Attend = causal_attend) -> None:
        self.decoder, self.attend = Decoder(sizes, weights), attend
        self.footprint = self.decoder.footprint

    def __call__(self, tokens: Tensor) -> Tensor:
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        return self.decoder.logits(self.decoder(self.decoder.embed(tokens), positions, self.attend))


def good_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in weights.items() if not name.startswith(OTHER)}


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return Model(sizes_of(axes), good_weights(weights))


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return Model(sizes_of(axes), good_weights(weights), plain_attend)


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    other = {name.removeprefix(OTHER): tensor for name, tensor in weights.items() if name.startswith(OTHER)}
    return Model(sizes_of(axes, OTHER), other)


SUBJECTS = {
    "technique": make_technique,
    "eager": make_eager,
    "compiled": compiled(make_technique),
    "paper": make_paper,
    "paper_compiled": compiled(make_paper),
}
