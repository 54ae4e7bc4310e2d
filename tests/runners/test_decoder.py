"""The decoder that model-wide implementations run on computes what its definition says, with and without a cache."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.decoder import Decoder, Sizes, attention, decoder_weights, rotate  # noqa: E402
from runners.blocks.kv_cache import (  # noqa: E402
    RECENT,
    SINKS,
    DecodingStep,
    KVCache,
    Pattern,
    StepCache,
    attention_received,
    decoding_step,
    planted_context,
    planted_logits,
)
from runners.blocks.rand import Rand  # noqa: E402

AXES = {"layers": 2, "hidden": 24, "heads": 6, "kv_heads": 2, "dim": 4, "ffn": 40, "vocab": 11, "batch": 2}
SIZES = Sizes.of(AXES)


@pytest.fixture
def decoder():
    return Decoder(SIZES, decoder_weights(SIZES, Rand(1, dtype=torch.float64)))


def by_definition(decoder: Decoder, x: torch.Tensor) -> torch.Tensor:
    """One sequence (tokens, hidden) through all layers, one head and one token at a time."""
    w, sizes = decoder.weights, decoder.sizes

    def norm(row: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
        return row / (row.square().mean(-1, keepdim=True) + 1e-6).sqrt() * gain

    for layer in range(sizes.layers):
        qkv = norm(x, w["attention_norm"][layer]) @ w["qkv"][layer]
        heads = qkv.split(sizes.dim, dim=1)
        rows = []
        for t in range(len(x)):
            attended = []
            for h in range(sizes.heads):
                group = h // (sizes.heads // sizes.kv_heads)
                query = rotate(heads[h][t], t)
                keys = torch.stack([rotate(heads[sizes.heads + group][s], s) for s in range(t + 1)])
                values = heads[sizes.heads + sizes.kv_heads + group][: t + 1]
                attended.append(torch.softmax(keys @ query / sizes.dim**0.5, dim=0) @ values)
            rows.append(torch.cat(attended) @ w["output"][layer])
        x = x + torch.stack(rows)
        gate, up = (norm(x, w["ffn_norm"][layer]) @ w["gate_up"][layer]).split(sizes.ffn, dim=1)
        x = x + (gate * torch.sigmoid(gate) * up) @ w["down"][layer]
    return x


def test_layers_compute_what_they_are_defined_to(decoder):
    x = Rand(2, dtype=torch.float64).normal(2, 5, SIZES.hidden)
    found = decoder(x, torch.arange(5))
    assert torch.allclose(found, torch.stack([by_definition(decoder, each) for each in x]))


@pytest.mark.parametrize("pieces", [[5, 1, 1], [1, 6], [3, 2, 2], [7]], ids=str)
def test_pieces_against_a_cache_give_what_one_pass_gives(decoder, pieces):
    x = Rand(2, dtype=torch.float64).normal(2, sum(pieces), SIZES.hidden)
    cache = KVCache(SIZES, 2, 9, x)
    found = []
    for piece in x.split(pieces, dim=1):
        positions = torch.arange(cache.length, cache.length + piece.shape[1])
        found.append(decoder(piece, positions, cache.attend))
        cache.length += piece.shape[1]
    assert torch.allclose(torch.cat(found, dim=1), decoder(x, torch.arange(sum(pieces))))


def test_forgotten_tokens_leave_no_trace(decoder):
    x = Rand(2, dtype=torch.float64).normal(1, 6, SIZES.hidden)
    cache = KVCache(SIZES, 1, 6, x)
    decoder(x[:, :3], torch.arange(3), cache.attend)
    cache.length = 3
    decoder(7 * x[:, 3:], torch.arange(3, 6), cache.attend)
    found = decoder(x[:, 3:], torch.arange(3, 6), cache.attend)
    assert torch.allclose(found, decoder(x, torch.arange(6))[:, 3:])


def test_a_mask_decides_who_takes_part():
    q, k, v = (
        Rand(seed, dtype=torch.float64).normal(1, heads, n, 8) for seed, heads, n in ((1, 4, 3), (2, 2, 5), (3, 2, 5))
    )
    mask = torch.tensor([True, False, True, True, False]).expand(3, 5)
    kept = mask[0].nonzero().squeeze(1)
    assert torch.allclose(attention(q, k, v, mask=mask), attention(q, k[:, :, kept], v[:, :, kept], causal=False))


def test_tokens_go_in_and_scores_come_out(decoder):
    tokens = Rand(3).integers(SIZES.vocab, 2, 4)
    logits = decoder.logits(decoder(decoder.embed(tokens), torch.arange(4)))
    assert logits.shape == (2, 4, SIZES.vocab)
    assert logits.std().item() == pytest.approx(1, abs=0.5)


def test_parameters_are_those_of_the_architecture(decoder):
    per_layer = 24 * (6 + 2 * 2) * 4 + 6 * 4 * 24 + 24 * 2 * 40 + 40 * 24 + 2 * 24
    assert decoder.footprint() == {
        "parameters": 2 * per_layer + 24 + 2 * 11 * 24,
        "weights": 8 * (2 * per_layer + 24 + 2 * 11 * 24),
    }


def test_planted_tokens_get_the_attention_that_was_planned():
    logits = torch.zeros(2, 2, 50)
    logits[0, :, 7], logits[1, :, 30] = 9.0, 9.0
    sizes = Sizes(2, 64, 4, 2, 64, 32)
    planted = planted_context(sizes, logits, Rand(4))
    for layer, heavy in enumerate((7, 30)):
        shares = attention_received(planted["queries"][layer], planted["keys"][layer])
        assert shares.shape == (2, 2, 50)
        assert torch.allclose(shares.sum(-1), torch.ones(2, 2))
        assert (shares[..., heavy] > 0.8).all()
    # A new token asks for the same: nearly all of what it gets is that token's value.
    step = DecodingStep(Decoder(sizes, planted), StepCache(zip(planted["keys"], planted["values"], strict=True)), 50)
    seen = []

    def spy(layer, q, k, v):
        seen.append(step.cache.attend(layer, q, k, v))
        return seen[-1]

    step.decoder(Rand(5).normal(2, 1, 64), step.position, spy)
    wanted = planted["values"][1, :, :, 30].repeat_interleave(2, dim=1)
    assert torch.nn.functional.cosine_similarity(seen[1][:, :, 0], wanted, dim=-1).min() > 0.9


def test_a_step_is_the_same_at_every_call_and_counts_its_cache():
    planted = planted_context(SIZES, torch.zeros(2, 2, 5), Rand(4, dtype=torch.float64))
    step = decoding_step(AXES | {"context": 5}, planted, lambda layer, k, v: (k[:, :, layer:], v[:, :, layer:]))
    first, second = (Rand(seed, dtype=torch.float64).normal(2, 1, SIZES.hidden) for seed in (1, 2))
    answer = step(first)
    step(second)
    assert torch.equal(step(first), answer)
    assert step.footprint()["kv_cache"] == 2 * 8 * 2 * 2 * 4 * (6 + 5)


def test_heavy_hitters_stay_heavy_among_the_first_and_the_latest_tokens():
    patterns = [
        Pattern(heavy=3.0, heavy_tokens=SINKS + RECENT + 4),
        Pattern(sink=2.0, recent=1.0, heavy=3.0, heavy_tokens=5),
    ]
    logits = planted_logits(patterns, 2, SINKS + RECENT + 4, Rand(1))
    assert bool((logits[0] == 3.0).all())
    assert (logits[1] == 3.0).sum(-1).tolist() == [5, 5]
    assert bool((logits[1, :, :SINKS] >= 2.0).all())
    assert bool((logits[1, :, -RECENT:] >= 1.0).all())
