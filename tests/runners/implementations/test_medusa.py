"""Medusa decodes what the model alone decodes, in fewer passes."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.decoder import Sizes  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.blocks.small_lm import trained  # noqa: E402
from runners.implementations.decoding_acceleration import medusa as module  # noqa: E402

AXES = {
    "layers": 2, "hidden": 32, "heads": 2, "kv_heads": 1, "dim": 16, "ffn": 64, "vocab": 32, "prompt": 12,
    "new_tokens": 30, "heads_ahead": 4, "nodes": 20, "hits": 0, "temperature": 0, "joint": 0,
}  # fmt: skip


def rate(axes, calls=8):
    """Tokens a pass over several prompts, each text compared with plain decoding."""
    weights = module.weights(axes, Rand(1))
    technique, plain = module.make_technique(axes, weights), module.SUBJECTS["eager"](axes, weights)
    for seed in range(calls):
        arguments = module.inputs(axes, Rand(seed))
        assert torch.equal(technique(*arguments), plain(*arguments))
    return technique.tokens_per_pass


@pytest.mark.parametrize(("temperature", "least"), [(0, 3.0), (100, 2.2)])
def test_trained_heads_save_passes_and_change_no_token(temperature, least):
    assert least < rate(AXES | {"temperature": temperature}) <= 1 + AXES["heads_ahead"]


def test_model_and_heads_that_were_trained_together_decode_what_that_model_decodes():
    weights, before = module.weights(AXES | {"joint": 1}, Rand(1)), module.weights(AXES, Rand(1))
    assert rate(AXES | {"joint": 1, "temperature": 100}) > 2.2
    assert weights["accuracy"][:, 0].mean() > before["accuracy"][:, 0].mean() - 0.02
    assert not torch.equal(weights["qkv"], before["qkv"])


def test_heads_that_were_trained_alone_leave_the_model_as_it_was():
    sizes = Sizes.of(AXES)
    weights, model = module.weights(AXES, Rand(1)), trained(sizes, Rand(0))
    assert all(torch.equal(weights[name], model[name]) for name in model)


def test_heads_guess_better_than_chance_and_nearer_tokens_better_than_far_ones():
    accuracy = module.weights(AXES, Rand(1))["accuracy"][:, 0]
    assert accuracy[0] > accuracy[-1] > 0.3


@pytest.mark.parametrize("hits", [30, 80])
def test_planted_heads_are_right_as_often_as_asked(hits):
    axes = AXES | {"hits": hits, "vocab": 400, "hidden": 64, "new_tokens": 60}
    expected = sum((hits / 100) ** k for k in range(5))
    assert abs(rate(axes) / expected - 1) < 0.15


def test_the_footprint_counts_the_heads():
    weights = module.weights(AXES, Rand(1))
    found, plain = (module.SUBJECTS[name](AXES, weights).footprint() for name in ("technique", "paper"))
    heads = 4 * 32 * 32 + 4 * 32 * 32
    assert found["parameters"] - plain["parameters"] == heads
    assert found["weights"] == 4 * found["parameters"]
