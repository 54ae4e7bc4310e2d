"""Layers are skipped evenly for the speed-up that was asked for, with a cache as the skipping model itself makes it."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.decoder import Decoder, Sizes  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.conditional_computation import unified_layer_skipping as module  # noqa: E402

AXES = {
    "layers": 6, "hidden": 32, "heads": 4, "kv_heads": 2, "dim": 8, "ffn": 64, "vocab": 32, "batch": 3, "context": 9,
    "target": 200, "trained": 0,
}  # fmt: skip


def made(axes, dtype=torch.float64):
    return module.weights(axes, Rand(1, dtype=dtype)), *module.inputs(axes, Rand(2))


def by_definition(weights, text, layers):
    """Logits after a text (tokens,), layer after layer over the whole text, without a cache."""
    model = Decoder(Sizes.of(AXES), weights)
    hidden = model(model.embed(text[None]), torch.arange(len(text)), layers=layers)
    return model.logits(hidden[0, -1])


@pytest.mark.parametrize(
    ("layers", "percent", "kept"),
    [
        (32, 100, list(range(32))),
        (8, 200, [0, 2, 5, 7]),
        (7, 233, [0, 3, 6]),
        (12, 600, [0, 11]),
        (4, 800, [3]),
    ],
)
def test_kept_layers_are_spread_evenly(layers, percent, kept):
    assert module.evenly_kept(layers, percent) == kept


@pytest.mark.parametrize("target", [100, 120, 200, 300])
@pytest.mark.parametrize("name", ["technique", "bottom"])
def test_the_step_is_that_of_a_model_without_the_skipped_layers(name, target):
    axes = AXES | {"target": target}
    weights, tokens = made(axes)
    choose = module.evenly_kept if name == "technique" else module.bottom_kept
    layers = choose(AXES["layers"], target)
    found = module.SUBJECTS[name](axes, weights)(tokens)
    for row, context, token in zip(found, weights["context"], tokens, strict=True):
        assert torch.allclose(row, by_definition(weights, torch.cat([context, token]), layers))


def test_early_exit_stops_each_sequence_at_its_own_layer():
    weights, tokens = made(AXES)
    weights["exits"] = torch.tensor([6, 2, 6])
    full = module.SUBJECTS["eager"](AXES, weights)(tokens)
    subject = module.SUBJECTS["paper"](AXES, weights)
    found = subject(tokens)
    assert torch.allclose(found[[0, 2]], full[[0, 2]])
    assert not torch.allclose(found[1], full[1])
    # The sequence that stopped left keys and values in the layers above: those of its state at the exit.
    keys = subject.cache.layers[5][0][:, :, -1]
    assert keys.abs().amin(dim=(1, 2)).gt(0).all()
    weights["exits"] = torch.tensor([2, 2, 2])
    assert torch.allclose(module.SUBJECTS["paper"](AXES, weights)(tokens)[1], found[1])


def test_a_target_of_two_halves_weights_and_cache_of_the_layers():
    weights, tokens = made(AXES, torch.float32)
    full, half = (module.SUBJECTS[name](AXES, weights) for name in ("eager", "technique"))
    assert 2 * half.footprint()["kv_cache"] == full.footprint()["kv_cache"]
    per_layer = sum(weights[name][0].numel() for name in ("qkv", "output", "gate_up", "down")) + 2 * 32
    assert full.footprint()["parameters"] - half.footprint()["parameters"] == 3 * per_layer
    assert half(tokens).shape == (3, 32)


def test_even_skips_keep_more_of_a_trained_model_than_the_bottom_layers_do():
    axes = AXES | {"trained": 1, "batch": 16, "context": 24, "target": 200}
    likeness = {"technique": 0.0, "bottom": 0.0}
    for seed in range(4):
        weights, (tokens,) = module.weights(axes, Rand(seed)), module.inputs(axes, Rand(seed + 9))
        full = module.SUBJECTS["eager"](axes, weights)(tokens)
        for name in likeness:
            found = module.SUBJECTS[name](axes, weights)(tokens)
            likeness[name] += torch.cosine_similarity(found.flatten(), full.flatten(), dim=0).item() / 4
    assert likeness["technique"] > max(0.85, likeness["bottom"])
