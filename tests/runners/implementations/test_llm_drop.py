"""The parts that change least are found and left out, with their weights and their cache."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks import skipping  # noqa: E402
from runners.blocks.decoder import Decoder, Sizes, causal_attend  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.blocks.small_lm import passages, trained  # noqa: E402
from runners.implementations.conditional_computation import llm_drop as module  # noqa: E402

AXES = {
    "layers": 6, "hidden": 32, "heads": 4, "kv_heads": 2, "dim": 8, "ffn": 64, "vocab": 32, "batch": 3, "context": 9,
    "drop_attention": 3, "drop_ffn": 2, "joint": 0,
}  # fmt: skip


def made(axes=AXES, dtype=torch.float64):
    return module.weights(axes, Rand(1, dtype=dtype)), *module.inputs(axes, Rand(2))


def planted_places(weights, name):
    norms = weights[name].flatten(1).norm(dim=1)
    return {layer for layer, norm in enumerate(norms) if norm < norms.max() / 5}


@pytest.mark.parametrize("joint", [0, 1])
def test_the_parts_that_were_planted_useless_are_the_ones_that_go(joint):
    axes = AXES | {"joint": joint}
    weights, _ = made(axes)
    model = module.make_technique(axes, weights).model
    assert set(range(6)) - set(model.attentions) == planted_places(weights, "output")
    assert set(range(6)) - set(model.networks) == planted_places(weights, "down")
    assert len(model.attentions) == 3


def test_importance_is_one_minus_the_likeness_of_what_enters_and_what_leaves():
    weights, _ = made()
    model = Decoder(Sizes.of(AXES), weights)
    attentions, networks = module.importances(model, weights["calibration"])
    x = model.embed(weights["calibration"])
    places = torch.arange(x.shape[1])
    before = model(x, places, layers=range(4))
    middle = before + model.attention_part(4, before, model.rotary(places, before), causal_attend)
    after = model(x, places, layers=range(5))

    def change(first, second):
        dots = (first * second).sum(-1) / (first.norm(dim=-1) * second.norm(dim=-1))
        return 1 - dots.mean().item()

    assert attentions[4] == pytest.approx(change(before, middle))
    assert networks[4] == pytest.approx(change(middle, after))


def test_a_joint_list_drops_whatever_matters_least():
    scores = [0.1, 0.2, 0.9], [0.3, 0.05, 0.8]
    assert module.kept_parts(*scores, 1, 1, joint=True) == ([1, 2], [0, 2])
    assert module.kept_parts(*scores, 2, 1, joint=True) == ([2], [0, 2])
    assert module.kept_parts(*scores, 1, 1, joint=False) == ([1, 2], [0, 2])
    assert module.kept_parts(*scores, 0, 0, joint=False) == ([0, 1, 2], [0, 1, 2])


@pytest.mark.parametrize("prefill_tokens", [1, 8192])
def test_the_step_is_that_of_the_model_without_the_dropped_parts(prefill_tokens, monkeypatch):
    monkeypatch.setattr(skipping, "PREFILL_TOKENS", prefill_tokens)
    weights, tokens = made()
    subject = module.make_technique(AXES, weights)
    model = Decoder(Sizes.of(AXES), weights)
    found = subject(tokens)
    for row, context, token in zip(found, weights["context"], tokens, strict=True):
        x = model.embed(torch.cat([context, token])[None])
        rotary = model.rotary(torch.arange(x.shape[1]), x)
        for layer in range(6):
            if layer in subject.model.attentions:
                x = x + model.attention_part(layer, x, rotary, causal_attend)
            if layer in subject.model.networks:
                x = x + model.ffn_part(layer, x)
        assert torch.allclose(row, model.logits(x[0, -1]))


def test_half_of_the_attention_gone_halves_the_cache_and_keeps_all_networks():
    axes = AXES | {"drop_ffn": 0}
    weights, tokens = made(axes, torch.float32)
    full, dropped = module.SUBJECTS["paper"](axes, weights), module.make_technique(axes, weights)
    assert 2 * dropped.footprint()["kv_cache"] == full.footprint()["kv_cache"]
    attention = weights["qkv"][0].numel() + weights["output"][0].numel() + 32
    assert full.footprint()["parameters"] - dropped.footprint()["parameters"] == 3 * attention
    assert torch.allclose(module.SUBJECTS["eager"](axes, weights)(tokens), full(tokens), atol=1e-5)


def test_in_a_trained_model_the_least_important_attention_is_missed_less_than_the_most_important():
    sizes = Sizes(layers=4, hidden=32, heads=2, kv_heads=2, dim=16, ffn=64, vocab=32)
    weights = trained(sizes, Rand(0))
    model = Decoder(sizes, weights)
    attentions, _ = module.importances(model, passages(32, 4, 32, Rand(3), seed=2))
    axes = vars(sizes) | {"batch": 16, "context": 24}
    weights["context"], tokens = passages(32, 16, 24, Rand(4)), Rand(5).integers(32, 16, 1)
    full = skipping.make_every_layer(axes, weights)(tokens)

    def lost(layer):
        kept = [each for each in range(4) if each != layer]
        return (skipping.SkippingStep(axes, weights, kept, range(4))(tokens) - full).norm().item()

    ranked = sorted(range(4), key=attentions.__getitem__)
    assert lost(ranked[0]) < lost(ranked[-1])
