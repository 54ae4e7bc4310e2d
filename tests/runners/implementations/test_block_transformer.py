"""The Block Transformer decodes what its definition gives for a whole text, and its cache holds blocks."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks import small_lm  # noqa: E402
from runners.blocks.decoder import Sizes, causal_attend, norm  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.efficient_architecture import block_transformer as module  # noqa: E402

AXES = {
    "layers": 2, "hidden": 36, "heads": 3, "kv_heads": 3, "dim": 12, "ffn": 40, "vocab": 41, "block": 3, "prefix": 2,
    "batch": 4, "context": 0, "new_tokens": 12, "vanilla_layers": 3, "vanilla_hidden": 24, "vanilla_dim": 12,
    "vanilla_ffn": 32, "vanilla_batch": 2,
}  # fmt: skip


def made(axes=AXES):
    return module.weights(axes, Rand(1, dtype=torch.float64)), *module.inputs(axes, Rand(2))


def by_definition(weights, tokens, axes=AXES):
    """All blocks of a text at once, as in training: (batch, tokens after the first block)."""
    size, count = axes["block"], tokens.shape[1] // axes["block"]
    blocks = module.decoder_of(module.part(axes), weights, "block.")
    local = module.decoder_of(module.part(axes, vocab=axes["vocab"]), weights, "token.")
    embedded = torch.stack([
        torch.cat([weights["table"][tokens[:, size * i + j]] for j in range(size)], dim=-1) for i in range(count)
    ], dim=1)  # fmt: skip
    contexts = norm(blocks(embedded, torch.arange(count), causal_attend), weights["block.final_norm"])
    found = []
    for i in range(count - 1):
        following = tokens[:, size * (i + 1) : size * (i + 2)]
        prefix = (contexts[:, i] @ weights["prefix"]).view(-1, axes["prefix"], axes["hidden"])
        x = torch.cat([prefix, local.embed(following[:, :-1])], dim=1)
        states = local(x, torch.arange(x.shape[1]), causal_attend)
        logits = local.logits(states[:, axes["prefix"] - 1 :])
        found.append(logits.log_softmax(-1).gather(2, following[..., None])[..., 0])
    return torch.cat(found, dim=1)


@pytest.mark.parametrize("name", ["technique", "recomputing", "eager"])
def test_decoding_gives_what_the_definition_gives_for_the_whole_text(name):
    weights, tokens = made()
    subject = module.SUBJECTS[name](AXES, weights)
    for _ in range(2):  # the caches of the first call do not reach the second
        assert torch.allclose(subject(tokens), by_definition(weights, tokens))


def test_a_token_sees_earlier_blocks_only_through_their_context_and_never_later_ones():
    weights, tokens = made()
    subject = module.make_technique(AXES, weights)
    before = subject(tokens)
    changed = tokens.clone()
    changed[:, 7] = (changed[:, 7] + 1) % 41  # the second token of the third block
    after = subject(changed)
    assert torch.equal(after[:, :4], before[:, :4])
    assert not torch.allclose(after[:, 5:], before[:, 5:])


def test_a_context_changes_what_is_decoded():
    axes = AXES | {"context": 15}
    weights, tokens = made(axes)
    with_context = module.make_technique(axes, weights)(tokens)
    weights["values"] = -weights["values"]
    assert not torch.allclose(module.make_technique(axes, weights)(tokens), with_context)


def test_the_plain_decoder_is_causal_attention_and_its_groups_do_not_matter():
    weights, tokens = made()
    whole = module.make_paper(AXES | {"vanilla_batch": 4}, weights)(tokens)
    assert torch.allclose(module.make_paper(AXES, weights)(tokens), whole)
    model = module.decoder_of(module.vanilla_sizes(AXES), weights, "vanilla.")
    x = model.embed(tokens[:, 2:-1])
    logits = model.logits(model(x, torch.arange(x.shape[1]), causal_attend))
    wanted = logits.log_softmax(-1).gather(2, tokens[:, 3:, None])[..., 0]
    assert torch.allclose(whole, wanted)


def test_the_cache_holds_one_entry_a_block():
    axes = AXES | {"context": 300, "new_tokens": 3}
    weights, _ = made(axes)
    held = module.make_technique(axes, weights).footprint()["kv_cache"]
    a_block = 2 * 2 * 4 * 36 * 8
    assert held == (101 + 4) * a_block  # and four places for prefix and tokens of the current block


def test_with_four_times_the_parameters_it_learns_a_language_at_least_as_well_as_a_plain_decoder():
    axes = AXES | {
        "layers": 1, "hidden": 64, "heads": 4, "kv_heads": 4, "dim": 16, "ffn": 128, "vocab": 32, "block": 4, "batch": 1,
    }  # fmt: skip
    untrained = module.weights(axes, Rand(1))
    untrained = {
        name: each for name, each in untrained.items() if name.startswith(("block", "token", "table", "prefix"))
    }

    def loss(weights, tokens):
        return -by_definition(weights, tokens[:, :48], axes).mean()

    weights = small_lm.train(untrained, loss, 32, 70)
    sizes = Sizes(layers=2, hidden=32, heads=2, kv_heads=2, dim=16, ffn=64, vocab=32)
    unseen = small_lm.passages(32, 32, 48, Rand(9))
    plain = small_lm.next_token_loss(sizes)(small_lm.trained(sizes, Rand(0), steps=70), unseen)
    assert loss(weights, unseen) < 1.1 * plain
