"""Block Transformer: lower layers attend to blocks of tokens, upper layers decode the tokens of one block by themselves.

Source: "Block Transformer: Global-to-Local Language Modeling for Fast Inference" (2024), section 2.

Blocks have `block` tokens. To decode the next block,
    embedder       the last block's tokens, each looked up in a table of hidden / block columns, side by side: one vector
    block decoder  `layers` layers with a cache of one key and value for each block; its output is the context of the next block
    token decoder  `layers` more, over `prefix` vectors that a matrix makes of that context and the block's tokens so far, whose
                   keys and values are dropped when the block is done
A call takes tokens (batch, block + new_tokens), the last block of the context and those to be decoded, and gives the log
probability of each of the latter, (batch, new_tokens), decoded one after the other: as a sampler would, but with the
tokens given, so that two ways of decoding can be compared.

Rung "paper" is a plain decoder. A Block Transformer needs several times the parameters for equal perplexity; here it is 24
layers of width 2048 against 24 of width 1024, four times as many. Both may use the same memory for caches, so the plain
decoder works off the batch in groups of `vanilla_batch`.

Bytes for each sequence and token at a context of 2,048, 16 bits: the plain decoder reads 24 * 2 * 1024 numbers for each
token of the context, 201 MB; the block decoder 12 * 2 * 2048 for each of 512 blocks, 50 MB, once for four tokens: 12.6 MB,
a sixteenth. Weights are 0.7 GB a step against 1.4 GB a token and 1.2 a block, shared by the batch. With 128 sequences, 32
in a group of the plain decoder, eight tokens take 4 * 8 * (6.4 + 0.7) GB = 47 ms on an H200 at 4.8 TB/s against 2 * (6.4 +
6.9) GB = 6 ms. Operations, two for each weight that a token passes, are 8 * 128 * 2 * 0.35e9 = 0.7 TFLOP of the plain
decoder and 8 * 128 * 2 * 1.0e9 = 2.1 TFLOP here, 0.9 and 2.6 ms at 790 TFLOP/s: bytes bind on both sides, and only a batch
several times as large would change that.
"""

from __future__ import annotations

import torch
from torch import Tensor

from runners.blocks.compiled_decoder import CompiledDecoder
from runners.blocks.decoder import Decoder, Sizes, decoder_weights, norm
from runners.blocks.graphs import graphed
from runners.blocks.kv_cache import KVCache
from runners.blocks.ladder import Subject, compiles
from runners.blocks.rand import Rand

BLOCK_PART, TOKEN_PART, VANILLA = "block.", "token.", "vanilla."


def part(axes: dict[str, int], *, vocab: int = 0) -> Sizes:
    """Sizes of the block decoder or of the token decoder: both have `layers` layers."""
    return Sizes.of({**axes, "vocab": vocab})


def vanilla_sizes(axes: dict[str, int]) -> Sizes:
    dim, hidden = axes["vanilla_dim"], axes["vanilla_hidden"]
    return Sizes(
        layers=axes["vanilla_layers"], hidden=hidden, heads=hidden // dim, kv_heads=hidden // dim, dim=dim,
        ffn=axes["vanilla_ffn"], vocab=axes["vocab"],
    )  # fmt: skip


def weights(axes: dict[str, int], rand: Rand) -> dict[str, Tensor]:
    """Both decoders' by prefix, "table" (vocab, hidden / block), "prefix" (hidden, prefix * hidden), the plain decoder's, and
    "keys", "values" (layers, batch, kv_heads, context / block, dim) of the context's blocks.
    """
    hidden, block = axes["hidden"], axes["block"]
    blocks = part(axes)
    made = {
        "table": rand.gaussian(axes["vocab"], hidden // block),
        "prefix": rand.gaussian(hidden, axes["prefix"] * hidden, scale=hidden**-0.5),
    }
    for prefix, sizes in (
        (BLOCK_PART, blocks), (TOKEN_PART, part(axes, vocab=axes["vocab"])), (VANILLA, vanilla_sizes(axes)),
    ):  # fmt: skip
        made |= {prefix + name: tensor for name, tensor in decoder_weights(sizes, rand).items()}
    shape = (blocks.layers, axes["batch"], blocks.kv_heads, axes["context"] // block, blocks.dim)
    return made | {"keys": rand.gaussian(*shape), "values": rand.gaussian(*shape)}


def inputs(axes: dict[str, int], rand: Rand) -> tuple[Tensor, ...]:
    return (rand.integers(axes["vocab"], axes["batch"], axes["block"] + axes["new_tokens"]),)


def odd_axes(axes: dict[str, int], seed: int) -> dict[str, int]:
    """New tokens and context come in whole blocks, and the plain decoder's groups divide the batch."""
    block = axes["block"]
    return axes | {
        "new_tokens": axes["new_tokens"] + block * (1 + seed % 2),
        "context": axes["context"] + block * (1 + seed % 5),
    }


def decoder_of(sizes: Sizes, weights: dict[str, Tensor], prefix: str, kind: type[Decoder] = Decoder) -> Decoder:
    own = {name.removeprefix(prefix): each for name, each in weights.items() if name.startswith(prefix)}
    return kind(sizes, own)


def chances(logits: Tensor, tokens: Tensor) -> Tensor:
    """Log probabilities (batch,) of tokens (batch,) under logits (batch, vocab)."""
    return logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0]


class BlockTransformer:
    def __init__(
        self,
        axes: dict[str, int],
        weights: dict[str, Tensor],
        *,
        local_cache: bool = True,
        kind: type[Decoder] = Decoder,
    ) -> None:
        self.block, self.prefix, self.local_cache = axes["block"], axes["prefix"], local_cache
        self.context = axes["context"] // axes["block"]
        self.table, self.prefix_matrix = weights["table"], weights["prefix"]
        self.blocks = decoder_of(part(axes), weights, BLOCK_PART, kind)
        self.tokens = decoder_of(part(axes, vocab=axes["vocab"]), weights, TOKEN_PART, kind)
        like, capacity = self.table, self.context + axes["new_tokens"] // self.block
        self.cache = KVCache(self.blocks.sizes, axes["batch"], capacity, like)
        self.cache.keys[..., : self.context, :] = weights["keys"]
        self.cache.values[..., : self.context, :] = weights["values"]
        self.local = KVCache(self.tokens.sizes, axes["batch"], self.prefix + self.block - 1, like)
        self.places = torch.arange(capacity + self.prefix + self.block, device=like.device)

    def __call__(self, tokens: Tensor) -> Tensor:
        self.cache.length = self.context
        found = []
        for now, following in zip(tokens.split(self.block, 1), tokens.split(self.block, 1)[1:], strict=False):
            context = self._next_context(now)
            found += self._block_chances(context, following)
        return torch.stack(found, dim=1)

    def _next_context(self, block: Tensor) -> Tensor:
        """The block decoder's normed state (batch, 1, hidden) after one more block of tokens (batch, block)."""
        embedded = self.table[block].flatten(1)[:, None]
        place = self.places[self.cache.length : self.cache.length + 1]
        state = self.blocks(embedded, place, self.cache.attend)
        self.cache.length += 1
        return norm(state, self.blocks.weights["final_norm"])

    def _block_chances(self, context: Tensor, tokens: Tensor) -> list[Tensor]:
        """Log probabilities of the block's tokens (batch, block), one token at a time."""
        new = (context @ self.prefix_matrix).unflatten(-1, (self.prefix, -1))[:, 0]
        self.local.length, found = 0, []
        seen = new
        for column in range(self.block):
            if self.local_cache:
                first = self.local.length
                places = self.places[first : first + new.shape[1]]
                state = self.tokens(new, places, self.local.attend)
                self.local.length += new.shape[1]
            else:
                state = self.tokens(seen, self.places[: seen.shape[1]])
            found.append(chances(self.tokens.logits(state[:, -1]), tokens[:, column]))
            new = self.tokens.embed(tokens[:, column : column + 1])
            if not self.local_cache:
                seen = torch.cat([seen, new], dim=1)
        return found

    def footprint(self) -> dict[str, int]:
        held = (self.table, self.prefix_matrix, *self.blocks.weights.values(), *self.tokens.weights.values())
        return {
            "weights": sum(each.nbytes for each in held),
            "parameters": sum(each.numel() for each in held),
            "kv_cache": self.cache.nbytes + self.local.nbytes,
        }


class PlainDecoder:
    """A decoder without blocks; sequences that its memory for caches cannot hold at once follow in further groups."""

    def __init__(self, axes: dict[str, int], weights: dict[str, Tensor], kind: type[Decoder] = Decoder) -> None:
        self.block, self.context, self.group = axes["block"], axes["context"], axes["vanilla_batch"]
        self.model = decoder_of(vanilla_sizes(axes), weights, VANILLA, kind)
        like = weights["table"]
        self.cache = KVCache(self.model.sizes, self.group, self.context + axes["new_tokens"], like)
        generator = torch.Generator(like.device).manual_seed(0)
        for each in (self.cache.keys, self.cache.values):
            for layer in each:
                layer.normal_(generator=generator)
        self.places = torch.arange(self.context + axes["new_tokens"], device=like.device)

    def __call__(self, tokens: Tensor) -> Tensor:
        return torch.cat([self._group_chances(rows) for rows in tokens.split(self.group)])

    def _group_chances(self, tokens: Tensor) -> Tensor:
        self.cache.length, found = self.context, []
        for column in range(self.block - 1, tokens.shape[1] - 1):
            place = self.places[self.cache.length : self.cache.length + 1]
            state = self.model(self.model.embed(tokens[:, column : column + 1]), place, self.cache.attend)
            self.cache.length += 1
            found.append(chances(self.model.logits(state[:, -1]), tokens[:, column + 1]))
        return torch.stack(found, dim=1)

    def footprint(self) -> dict[str, int]:
        return self.model.footprint() | {"kv_cache": self.cache.nbytes}


def make_technique(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return BlockTransformer(axes, weights)


def make_recomputing(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return BlockTransformer(axes, weights, local_cache=False)


def make_paper(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    return PlainDecoder(axes, weights)


def make_compiled(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The Block Transformer with compiled layers."""
    return BlockTransformer(axes, weights, kind=CompiledDecoder)


def make_paper_compiled(axes: dict[str, int], weights: dict[str, Tensor]) -> Subject:
    """The plain decoder with compiled layers."""
    return PlainDecoder(axes, weights, CompiledDecoder)


SUBJECTS = {
    "technique": graphed(make_technique),
    "recomputing": graphed(make_recomputing),
    "eager": make_technique,
    "compiled": compiles(graphed(make_compiled)),
    "paper": graphed(make_paper),
    "paper_compiled": compiles(graphed(make_paper_compiled)),
}
