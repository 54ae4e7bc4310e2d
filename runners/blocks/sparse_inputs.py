"""Inputs for sparse attention: queries and keys whose attention is concentrated as trained models' is, and plain attention.

Trained long-context attention falls on a few kinds of places: near the query, on a few keys that every query looks at
(vertical stripes, sinks among them), and thinly on all the rest. Random queries and keys have none of that, and no sparse
method could be right on them. `stripe_attention_inputs` plants it:

    q_i . k_j / sqrt(dim) = near(i - j) * NEAR  +  heavy_j * stripe strength  +  noise

with near a bell of `width` tokens and strengths that grow with log(seq), so that the thin rest keeps the same small share
at every length. Heads differ by a gain: some are sharp, some spread.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from runners.blocks.ladder import MakeSubject, Subject, compiles
from runners.blocks.rand import Rand

# Scores of the thin rest are spread by about NOISE^2; stripes stand EXCESS above what equals the rest's mass.
NOISE = 0.7
EXCESS = 4.5
UNEVEN = 0.25
# Scores held at a time by plain attention; 2 GiB in float64.
HELD_SCORES = 2**28
FLEX_BLOCK = 128


def stripe_attention_inputs(
    rand: Rand,
    *,
    batch: int,
    heads: int,
    key_heads: int,
    seq: int,
    dim: int,
    stripes: int,
    width: float = 32.0,
    spread: float = 0.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """q (batch, heads, seq, dim), k and v (batch, key heads, seq, dim), with `stripes` heavy keys for each head.

    The first key is always heavy, as the first token of a text is. Heavy keys are the same for all heads of a batch entry, as
    different heads look at the same tokens with different force: head h's gain lies in 1 - spread .. 1 + spread.
    """
    near = dim // 4 * 2
    angles = rand.gaussian(near // 2).float() / width
    phase = torch.arange(seq, device=rand.device, dtype=torch.float32)[:, None] * angles
    place = torch.cat([phase.cos(), phase.sin()], dim=-1) / math.sqrt(near / 2)  # place_i . place_j = near(i - j)
    heavy = torch.zeros(batch, seq, device=rand.device)
    picked = torch.stack([rand.permutation(seq)[:stripes] for _ in range(batch)])
    heavy.scatter_(1, picked, 1 - UNEVEN * rand.uniform(batch, stripes).float())
    heavy[:, 0] = 1.0
    strength = math.log(max(2.0, seq / stripes)) + EXCESS
    direction = torch.nn.functional.normalize(rand.gaussian(dim - near).float(), dim=0)
    root = math.sqrt(math.sqrt(dim))  # scores are divided by sqrt(dim), each side carries half
    gains = 1 + spread * torch.linspace(-1, 1, heads, device=rand.device)[None, :, None, None]
    q_near, q_heavy = (root * math.sqrt(strength)) * place, (root * math.sqrt(strength)) * direction
    # The values of the distribution under test sit in the noise and in v.
    q = rand.normal(batch, heads, seq, dim, scale=NOISE)
    k = rand.normal(batch, key_heads, seq, dim, scale=NOISE)
    q[..., :near] += q_near.to(q.dtype)
    q[..., near:] += q_heavy.to(q.dtype)
    q *= gains.to(q.dtype)
    k[..., :near] += q_near.to(k.dtype)
    k[..., near:] += (heavy[:, None, :, None] * q_heavy).to(k.dtype)
    return q, k, rand.normal(batch, key_heads, seq, dim)


def plain_attention(*, causal: bool) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Attention as its definition reads, in any dtype, with scores in memory; at long lengths for some queries at a time."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        batch, heads, seq, dim = q.shape
        k, v = (each.repeat_interleave(heads // k.shape[1], dim=1) for each in (k, v))
        rows = max(1, min(seq, HELD_SCORES // (batch * heads * seq)))
        place = torch.arange(seq, device=q.device)
        parts = []
        for start in range(0, seq, rows):
            stop = min(seq, start + rows)
            keys = stop if causal else seq
            scores = q[:, :, start:stop] @ k[:, :, :keys].transpose(-1, -2) / math.sqrt(dim)
            if causal:
                scores = scores.masked_fill(place[:keys] > place[start:stop, None], float("-inf"))
            parts.append(scores.softmax(-1) @ v[:, :, :keys])
        return torch.cat(parts, dim=2)

    return attend


class CompiledAttention:
    """The same by FlexAttention, the kernel that torch.compile makes of attention: a subject for the rung "compiled".

    What lies ahead is told by blocks, so that no mask of seq * seq exists.
    """

    def __init__(self, *, causal: bool) -> None:
        self._causal = causal
        self._blocks: BlockMask | None = None
        self._attend = torch.compile(flex_attention, dynamic=False)

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if self._causal and self._blocks is None:
            self._blocks = causal_blocks(q.shape[2], q.device)
        attended: Tensor = self._attend(q, k, v, block_mask=self._blocks, enable_gqa=q.shape[1] != k.shape[1])
        return attended


def causal_blocks(seq: int, device: torch.device) -> BlockMask:
    """Of each block of queries: the earlier blocks of keys are seen whole, and the own one up to the diagonal."""
    place = torch.arange(-(-seq // FLEX_BLOCK), dtype=torch.int32, device=device)
    own = torch.zeros(len(place), len(place), dtype=torch.int32, device=device)
    own[:, 0] = place
    return BlockMask.from_kv_blocks(
        torch.ones_like(place)[None, None],
        own[None, None],
        place[None, None],
        place.expand(len(place), -1)[None, None].contiguous(),
        BLOCK_SIZE=FLEX_BLOCK,
        mask_mod=lambda batch, head, query, key: query >= key,
        seq_lengths=(seq, seq),
    )


def library_attention(*, causal: bool) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The same by torch's own kernel, FlashAttention or cuDNN's on a GPU."""

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        grouped = q.shape[1] != k.shape[1]
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=grouped)

    return attend


def dense_rungs(
    *, causal: bool, given: Callable[[Subject, dict[str, Tensor]], Subject] = lambda attend, _weights: attend
) -> dict[str, MakeSubject]:
    """Dense attention as the rungs "eager", "library" and "compiled" of a sparse one.

    `given` makes a subject of one that takes q, k and v, where a call's arguments are not those but join the weights.
    """

    def rung(make: Callable[[], Subject]) -> MakeSubject:
        return lambda axes, weights: given(make(), weights)

    return {
        "eager": rung(lambda: plain_attention(causal=causal)),
        "library": rung(lambda: library_attention(causal=causal)),
        "compiled": compiles(rung(lambda: CompiledAttention(causal=causal))),
    }
