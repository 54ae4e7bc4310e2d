"""Decoding against keys and values in trained orthogonal bases, of which each head caches as many coefficients as it needs.

Source: "MatryoshkaKV: Adaptive KV Compression via Trainable Orthogonal Projection" (2024).

Each key head has two orthogonal bases U, V (dim, dim), of which leading columns are used: of a key k (rotated) and a value v
U_r^T k and V_s^T v are cached, r and s numbers in place of 2 * dim. Attention never forms them again:
    q . k ~ (U_r^T q) . (U_r^T k)        sum of w v W ~ (sum of w V_s^T v) (V_s^T W)    with W the head's rows of the output
  1. Start: principal components of keys and values. They keep what varies most, whether or not a query looks there or the output
     projection takes it up;
  2. training: U = U_start C, C the Cayley transform of a skew matrix, so that it stays orthogonal. The whole cache teaches: its
     logits, and what its values add through the output projection. The loss counts the error at every width, which orders
     the columns as nested dolls: one training serves all widths;
  3. search: from whole widths, the head and kind whose next narrower width costs least error a number saved goes first,
     until `percent` of all numbers are left.
A call is one decoding step of the attention of all layers: hidden states (layers, batch, hidden) to what attention adds to
each layer's residual stream, of the same shape.

Inputs: keys vary along other directions than queries look along, and values than the output takes up, each head in a subspace of
its own width. That is what training can find; where the directions agree, principal components are as good.

Bytes of a step, layers like Llama-2-7B's (32 key heads of 128), batch 16, context 8,192, bfloat16: 2.15 GB of cache a layer
whole, 0.86 GB at 40 %, beside 0.07 GB of projections: 0.46 against 0.19 ms on an H200 at 4.8 TB/s, 2.4 times. Scores pass
through memory, 1 % of the bytes where each query head has its own keys, 5 % where four share them. Heads of one width share
their products, up to 45 kernels a layer, recorded as a CUDA graph: at 2 us each 0.09 ms, which leaves 1.6 times, and under
some 0.8 GB of cache a layer takes more than it saves. What is certain is the memory.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from runners.blocks.decoder import attention
from runners.blocks.graphs import graphed
from runners.blocks.ladder import Subject, compiled
from runners.blocks.least_work import BYTES, LeastWork
from runners.blocks.nested_bases import LEVELS, moment, principal_bases, searched_widths, trained_bases, widths
from runners.blocks.rand import Rand

# Tokens and hidden states for calibration, and how many of them the search for widths attends with.
TOKENS, STATES = 2048, 512
SEARCH_TOKENS, SEARCH_STATES = 512, 64
# Queries are this much longer than keys, so that attention has preferences.
SHARPNESS = 2.0


def directions(rand: Rand, spread: Tensor, dim: int) -> Tensor:
    """(layers, kv_heads, dim, dim): random orthogonal rows whose lengths fall by e every `spread` of them, of mean square one."""
    basis = torch.linalg.qr(rand.gaussian(*spread.shape, dim, dim).double()).Q
    lengths = torch.exp(-torch.arange(dim, device=rand.device) / spread.double()[..., None])
    lengths = lengths * math.sqrt(dim) / lengths.norm(dim=-1, keepdim=True)
    return (lengths[..., None] * basis.transpose(-1, -2)).to(rand.dtype)


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """Projections of all layers, the context's keys and values (layers, batch, kv_heads, context, dim), and calibration.

    What queries look along and outputs take up falls by e every `spread` directions, half to one and a half times that by
    head; keys and values fall by e every half of dim, in directions that have nothing to do with those.
    """
    layers, hidden, heads, kv_heads, dim = (axes[name] for name in ("layers", "hidden", "heads", "kv_heads", "dim"))
    group, batch, context = heads // kv_heads, axes["batch"], axes["context"]
    made = {"states": rand.gaussian(STATES, hidden)}
    for kind, reader in (("keys", "query"), ("values", "output")):
        used = axes["spread"] * (0.5 + rand.uniform(layers, kv_heads))
        reads = directions(rand, used, dim).repeat_interleave(group, dim=1)
        holds = directions(rand, torch.full_like(used, dim / 2), dim)[:, None]
        made[kind] = rand.gaussian(layers, batch, kv_heads, context, dim) @ holds
        made[f"calibration_{kind}"] = (rand.gaussian(layers, 1, kv_heads, TOKENS, dim) @ holds).squeeze(1)
        if reader == "query":
            raw = rand.gaussian(layers, heads, hidden, dim, scale=SHARPNESS * hidden**-0.5) @ reads
            made[reader] = raw.transpose(1, 2).flatten(2)
        else:
            raw = reads.transpose(-1, -2) @ rand.gaussian(layers, heads, dim, hidden, scale=(heads * dim) ** -0.5)
            made[reader] = raw.flatten(1, 2)
    return made


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.normal(axes["layers"], axes["batch"], axes["hidden"]),)


def least_work(axes: dict[str, int], dtype: str, backward: bool) -> LeastWork:
    """`percent` of the coefficients, and of the projections, into which bases can be folded."""
    layers, batch, hidden, context = axes["layers"], axes["batch"], axes["hidden"], axes["context"]
    inner, narrow = (2 * axes[heads] * axes["dim"] * axes["percent"] / 100 for heads in ("heads", "kv_heads"))
    moved = layers * (hidden * inner + batch * (context * narrow + 2 * hidden))
    return LeastWork({dtype: 2 * layers * batch * inner * (hidden + context)}, BYTES[dtype] * moved)


class Calibration(NamedTuple):
    """Queries (layers, kv_heads, states * group, dim), keys and values (layers, kv_heads, tokens, dim), output's rows
    (layers, kv_heads, group * dim, hidden)."""

    queries: Tensor
    keys: Tensor
    values: Tensor
    output: Tensor

    @classmethod
    def draw(cls, axes: dict[str, int], weights: dict[str, Tensor], states: slice, tokens: slice) -> Calibration:
        """In float32 at least."""
        wide = torch.promote_types(weights["query"].dtype, torch.float32)
        queries = weights["states"][states].to(wide) @ weights["query"].to(wide)
        by_head = queries.unflatten(-1, (axes["kv_heads"], -1, axes["dim"])).transpose(1, 2).flatten(2, 3)
        keys, values = (weights[f"calibration_{kind}"][:, :, tokens].to(wide) for kind in ("keys", "values"))
        return cls(by_head, keys, values, weights["output"].to(wide).unflatten(1, (axes["kv_heads"], -1)))

    def added(self, shares: Tensor, values: Tensor) -> Tensor:
        """What each key head adds to the layer's output: (layers, kv_heads, states, hidden)."""
        attended = shares @ values
        return attended.unflatten(2, (-1, self.output.shape[2] // attended.shape[-1])).flatten(3) @ self.output

    def shares(self) -> Tensor:
        """Attention of every query, as the whole cache gives it."""
        return torch.softmax(self.queries @ self.keys.transpose(-1, -2) / math.sqrt(self.keys.shape[-1]), dim=-1)

    def cut_keys(self, basis: Tensor, kept: Tensor) -> Calibration:
        """The same with keys in `basis` and without the coefficients where `kept` (dim,) is zero."""
        return self._replace(queries=(self.queries @ basis) * kept, keys=self.keys @ basis)

    def cut_values(self, basis: Tensor, kept: Tensor) -> Tensor:
        return (self.values @ basis) * kept @ basis.transpose(-1, -2)


def second_moments(axes: dict[str, int], weights: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Both (2, layers, kv_heads, dim, dim): of what reads, queries and the output's rows, and of keys and values."""
    data = Calibration.draw(axes, weights, slice(None), slice(None))
    rows = data.output.unflatten(2, (-1, axes["dim"])).transpose(2, 3).flatten(3)
    readers = torch.stack([moment(data.queries), moment(rows.transpose(-1, -2))])
    return readers, torch.stack([moment(data.keys), moment(data.values)])


def width_errors(axes: dict[str, int], weights: dict[str, Tensor], bases: Tensor) -> Tensor:
    """(2, layers, kv_heads, LEVELS): squared error, as a share of the layer's output, of cutting one head's keys or values."""
    data = Calibration.draw(axes, weights, slice(SEARCH_STATES), slice(SEARCH_TOKENS))
    shares = data.shares()
    whole = data.added(shares, data.values)
    errors = whole.new_zeros(*bases.shape[:3], LEVELS)
    for level, width in enumerate(widths(axes["dim"]).tolist()):
        kept = (torch.arange(axes["dim"], device=whole.device) < width).to(whole.dtype)
        cut = (
            data.added(data.cut_keys(bases[0], kept).shares(), data.values),
            data.added(shares, data.cut_values(bases[1], kept)),
        )
        for kind, each in enumerate(cut):
            errors[kind, ..., level] = (each - whole).square().sum((-1, -2))
    return errors / whole.sum(1).square().sum((-1, -2))[:, None, None]


class Coefficients:
    """One kind of one layer's cache: `groups` of heads of one width, with their index, leading columns and coefficients."""

    def __init__(self, context: Tensor, bases: Tensor, kept: Tensor) -> None:
        """context (batch, kv_heads, tokens, dim), bases (kv_heads, dim, dim), kept (kv_heads,)."""
        self.groups: list[tuple[Tensor, Tensor, Tensor]] = []
        for width in sorted(set(kept.tolist())):
            heads = (kept == width).nonzero().flatten().to(context.device)
            columns = bases[heads, :, :width].to(context.dtype)
            self.groups.append((heads, columns, context[:, heads] @ columns))
        self.order = torch.cat([heads for heads, _, _ in self.groups])

    @property
    def nbytes(self) -> int:
        return sum(stored.nbytes for _, _, stored in self.groups)


class Attention:
    """What every form shares: projections, of which a form may replace some."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        self.kv_heads, self.dim = axes["kv_heads"], axes["dim"]
        self.query, self.output = weights["query"], list(weights["output"].unbind())

    def __call__(self, x: Tensor) -> Tensor:
        queries = (x @ self.query).unflatten(-1, (self.kv_heads, -1, self.dim))
        return torch.stack([self.attend(layer, each) @ self.output[layer] for layer, each in enumerate(queries)])

    def attend(self, layer: int, queries: Tensor) -> Tensor:
        """(batch, kv_heads, group, dim) to what the layer's output projection takes."""
        raise NotImplementedError

    def cached(self) -> int:
        raise NotImplementedError

    def held(self) -> list[Tensor]:
        return [self.query, *self.output]

    def footprint(self) -> dict[str, int]:
        held = self.held()
        counted = {"weights": sum(each.nbytes for each in held), "parameters": sum(each.numel() for each in held)}
        return counted | {"kv_cache": self.cached()}


class WholeCache(Attention):
    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor]) -> None:
        super().__init__(axes, weights)
        self.keys, self.values = weights["keys"], weights["values"]

    def attend(self, layer: int, queries: Tensor) -> Tensor:
        return attention(queries.flatten(1, 2)[:, :, None], self.keys[layer], self.values[layer]).flatten(1)

    def cached(self) -> int:
        return self.keys.nbytes + self.values.nbytes


class PlainCache(WholeCache):
    """The same with attention as it is defined."""

    def attend(self, layer: int, queries: Tensor) -> Tensor:
        shares = torch.softmax(queries @ self.keys[layer].transpose(-1, -2) / math.sqrt(self.dim), dim=-1)
        return (shares @ self.values[layer]).flatten(1)


class ProjectedCache(Attention):
    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor], bases: Tensor, kept: Tensor) -> None:
        """bases (2, layers, kv_heads, dim, dim), kept (2, layers, kv_heads)."""
        super().__init__(axes, weights)
        self.keys, self.values = (
            [Coefficients(*each) for each in zip(weights[kind], bases[i], kept[i], strict=True)]
            for i, kind in enumerate(("keys", "values"))
        )
        # Where each head of the values' order stands in that of the keys.
        self.places = [k.order.argsort()[v.order] for k, v in zip(self.keys, self.values, strict=True)]
        self.output = [self.folded(layer, rows) for layer, rows in enumerate(self.output)]

    def folded(self, layer: int, rows: Tensor) -> Tensor:
        """The output projection (heads * dim, hidden) of coefficients, in the values' order of heads."""
        by_head = rows.unflatten(0, (self.kv_heads, -1, self.dim))
        parts = [
            (columns.transpose(-1, -2)[:, None] @ by_head[heads]).flatten(0, 2)
            for heads, columns, _ in self.values[layer].groups
        ]
        return torch.cat(parts)

    def attend(self, layer: int, queries: Tensor) -> Tensor:
        scores = [
            (queries[:, heads] @ columns) @ stored.transpose(-1, -2)
            for heads, columns, stored in self.keys[layer].groups
        ]
        shares = torch.softmax(torch.cat(scores, dim=1) / math.sqrt(self.dim), dim=-1)
        groups = self.values[layer].groups
        by_width = self.places[layer].split([len(heads) for heads, _, _ in groups])
        attended = [shares[:, at] @ stored for at, (_, _, stored) in zip(by_width, groups, strict=True)]
        return torch.cat([each.flatten(1) for each in attended], dim=1)

    def cached(self) -> int:
        return sum(each.nbytes for each in (*self.keys, *self.values))

    def held(self) -> list[Tensor]:
        return super().held() + [columns for each in self.keys for _, columns, _ in each.groups]


def equal_widths(axes: dict[str, int]) -> Tensor:
    width = max(1, axes["dim"] * axes["percent"] // 100)
    return torch.full((2, axes["layers"], axes["kv_heads"]), width)


def make_projected(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    bases = trained_bases(*second_moments(axes, weights), axes["steps"])
    budget = 2 * axes["layers"] * axes["kv_heads"] * axes["dim"] * axes["percent"] // 100
    found = searched_widths(width_errors(axes, weights, bases), axes["dim"], budget)
    return ProjectedCache(axes, weights, bases, found)


def make_principal(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """Principal components, equally many in all heads."""
    _, held = second_moments(axes, weights)
    return ProjectedCache(axes, weights, principal_bases(held), equal_widths(axes))


def make_trained_equal(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """Trained bases, equally many columns in all heads."""
    bases = trained_bases(*second_moments(axes, weights), axes["steps"])
    return ProjectedCache(axes, weights, bases, equal_widths(axes))


def make_whole(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return WholeCache(axes, weights)


def make_eager(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return PlainCache(axes, weights)


SUBJECTS = {
    "technique": graphed(make_projected),
    "eager": make_eager,
    "paper": graphed(make_whole),
    "compiled": compiled(make_whole),
    "principal": graphed(make_principal),
    "trained_equal": graphed(make_trained_equal),
}
