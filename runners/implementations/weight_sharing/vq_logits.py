"""The output layer of a language model over a small codebook: tokens that share a code share their logit.

Source: "VQ-Logits: Compressing the Output Bottleneck of Large Language Models via Vector Quantized Logits" (2025).

    scores = hidden @ codebook^T            (tokens, codes)
    logits[:, t] = scores[:, code_of[t]]    (tokens, vocabulary), the "scatter" to the whole vocabulary
codebook is (codes, hidden), code_of (vocabulary,) is fixed. A dense layer whose row t is codebook[code_of[t]] gives the
same logits; it has the shape and the cost of the layer that is replaced, and is what the technique is compared with.

Bytes and operations for Llama-3-8B's layer (hidden 4,096, vocabulary 128,256) with 1,024 codes, in 16 bits:
  * 64 tokens: dense reads 1.05 GB, 0.22 ms on an H200 at 4.8 TB/s; the technique reads 8.4 MB and writes 16 MB of logits,
    under 0.01 ms, so that what counts is starting its two kernels: some 15 times as fast;
  * 8,192 tokens: dense takes 8.6 TFLOP, 10.9 ms at 790 TFLOP/s; the technique takes 0.07 TFLOP and writes 2.1 GB, 0.5 ms.
The kernel reads the map once for several rows and finds their scores in the cache (2 KB a row), so that the writing of
the logits is all it costs. Parameters: codes / vocabulary of the dense layer's, here 0.8 %; the map adds two bytes a token.
"""

# Kernels are typed by what they are launched with.
# ruff: noqa: ANN001, ANN201, PLR0917
# mypy: disallow-untyped-defs=false, disallow-incomplete-defs=false, check-untyped-defs=false

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from runners.blocks.counting import CountedSubject
from runners.blocks.kernels import require_triton, tl, triton
from runners.blocks.ladder import compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.rand import Rand

ROWS_OF_A_TILE = 8
COLUMNS_OF_A_TILE = 1024


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """codebook (codes, hidden) and code_of (vocabulary,) int64: each code has a token, the others have any code."""
    codes, vocabulary = axes["codes"], axes["vocabulary"]
    any_code = rand.integers(codes, vocabulary)
    any_code[rand.permutation(vocabulary)[:codes]] = torch.arange(min(codes, vocabulary), device=rand.device)
    return {"codebook": rand.gaussian(codes, axes["hidden"], scale=axes["hidden"] ** -0.5), "code_of": any_code}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.normal(axes["tokens"], axes["hidden"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """Scores of the codes alone; the map in two bytes a word, and the logits written."""
    tokens, hidden, vocabulary, codes = axes["tokens"], axes["hidden"], axes["vocabulary"], axes["codes"]
    moved = hidden * (tokens + codes) + tokens * vocabulary
    return LeastWork({dtype: 2 * tokens * hidden * codes}, 2 * vocabulary + BYTES[dtype] * moved)


def compact(code_of: Tensor, codes: int) -> Tensor:
    """The map in the shortest integers that can name `codes` codes."""
    return code_of.to(torch.int16 if codes <= torch.iinfo(torch.int16).max else torch.int32)


def scatter_scores(scores: Tensor, code_of: Tensor) -> Tensor:
    """scores (tokens, codes) to logits (tokens, vocabulary), by the kernel."""
    scores = scores.contiguous()
    tokens, vocabulary = scores.shape[0], code_of.shape[0]
    logits = scores.new_empty(tokens, vocabulary)
    grid = (triton.cdiv(vocabulary, COLUMNS_OF_A_TILE), triton.cdiv(tokens, ROWS_OF_A_TILE))
    scatter_program[grid](
        scores, code_of, logits, tokens, scores.shape[1], vocabulary,
        ROWS=ROWS_OF_A_TILE, COLUMNS=COLUMNS_OF_A_TILE, num_warps=4,
    )  # fmt: skip
    return logits


@triton.jit
def scatter_program(
    Scores, CodeOf, Logits, tokens, codes, vocabulary, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):  # fmt: skip
    """COLUMNS tokens of the vocabulary in ROWS rows: their codes are read once."""
    columns = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    known = columns < vocabulary
    code = tl.load(CodeOf + columns, mask=known, other=0).to(tl.int32)
    first = tl.program_id(1) * ROWS
    for step in range(ROWS):
        row = (first + step).to(tl.int64)
        inside = known & (row < tokens)
        value = tl.load(Scores + row * codes + code, mask=inside, other=0.0)
        tl.store(Logits + row * vocabulary + columns, value, mask=inside)


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> CountedSubject:
    codebook, code_of = weights["codebook"], compact(weights["code_of"], axes["codes"])
    if not codebook.is_cuda:
        return make_gathered(axes, weights)
    require_triton("VQ-Logits")
    plain = make_gathered(axes, weights)
    return CountedSubject(
        lambda hidden: scatter_scores(linear(hidden, codebook), code_of), (codebook, code_of), counted_by=plain.run
    )


def make_gathered(axes: dict[str, int], weights: dict[str, Tensor]) -> CountedSubject:
    """The two steps in PyTorch; its gather wants a map of 32 bits at least."""
    codebook, code_of = weights["codebook"], weights["code_of"].to(torch.int32)
    return CountedSubject(lambda hidden: linear(hidden, codebook).index_select(1, code_of), (codebook, code_of))


def make_dense(axes: dict[str, int], weights: dict[str, Tensor]) -> CountedSubject:
    """The projection with a row for each token of the vocabulary."""
    rows = weights["codebook"][weights["code_of"]]
    return CountedSubject(lambda hidden: linear(hidden, rows), (rows,))


SUBJECTS = {
    "technique": make_technique,
    "dense": make_dense,
    "gathered": make_gathered,
    "compiled": compiled(make_gathered),
}
