"""Attention over tokens of which few channels are cached: keys are formed and turned at each step, values never are.

Rotary embedding stands between a key's few channels and the query, so that keys have to be formed before they are turned.
As many tokens are taken at a time as stay in a GPU's second-level cache: formed all at once, keys would pass through memory
several times. Weighted sums of values are taken of the few channels, and are formed once for each head.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from runners.blocks.decoder import Rotary

# Numbers of keys that are formed at once: 16 MiB in 16 bits, and as much again where they are turned.
FORMED = 2**23
# Tokens whose keys are formed at once are a multiple of these, so that quantised groups of up to as many are read whole.
STEP = 64
# Tokens that one product sums over. A product with few rows and columns would leave most of a GPU idle.
PART = 1024


def turned(x: Tensor, rotary: Rotary) -> Tensor:
    """As `decoder.turn`, in fewer passes over memory; not for gradients."""
    cosine, sine = rotary
    first, second = x.chunk(2, dim=-1)
    out = x.new_empty(x.shape)
    out_first, out_second = out.chunk(2, dim=-1)
    torch.mul(first, cosine, out=out_first)
    out_first.addcmul_(second, sine, value=-1)
    torch.mul(second, cosine, out=out_second)
    out_second.addcmul_(first, sine)
    return out


def scores_of_formed(query: Tensor, read: Callable[[int, int], Tensor], up: Tensor, rotary: Rotary) -> Tensor:
    """query (batch, kv_heads, group, dim) times the rotated keys of all tokens: (batch, kv_heads, group, tokens).

    read(begin, end) gives the channels (batch, end - begin, rank) of some tokens, `up` (rank, kv_heads * dim), or one for
    each batch entry, makes keys of them, and `rotary` holds the angles of all tokens.
    """
    cosine, sine = rotary
    tokens, width = cosine.shape[0], up.shape[-1]
    step = max(1, FORMED // (query.shape[0] * width * STEP)) * STEP
    scores = []
    for begin in range(0, tokens, step):
        end = min(tokens, begin + step)
        keys = (read(begin, end) @ up).unflatten(-1, (query.shape[1], -1)).transpose(1, 2)
        scores.append(query @ turned(keys, (cosine[begin:end], sine[begin:end])).transpose(-1, -2))
    return torch.cat(scores, dim=-1) if scores else query.new_empty((*query.shape[:-1], 0))


def weighted_sums(shares: Tensor, features: Tensor) -> Tensor:
    """shares (batch, heads, tokens) times features (batch, tokens, rank), in parts of the tokens side by side."""
    tokens = features.shape[1]
    whole = tokens // PART * PART
    if whole <= PART:
        return shares @ features
    # Each batch entry by itself: with the rest cut off, entries and parts are not one axis without a copy.
    sums = [
        (share[:, :whole].unflatten(1, (-1, PART)).transpose(0, 1) @ each[:whole].unflatten(0, (-1, PART))).sum(0)
        for share, each in zip(shares, features, strict=True)
    ]
    return torch.stack(sums) + shares[..., whole:] @ features[:, whole:]
