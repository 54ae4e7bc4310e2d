"""The two models differ in their sizes and in nothing else, and hold about as many parameters."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.rand import Rand  # noqa: E402
from runners.cards import find_card  # noqa: E402
from runners.implementations.efficient_architecture import co_design as module  # noqa: E402

SMALL = {
    "batch": 2, "seq": 9, "layers": 2, "hidden": 32, "heads": 2, "ffn": 24, "vocab": 40,
    "other_heads": 4, "other_ffn": 23, "other_vocab": 39,
}  # fmt: skip


def made(dtype=torch.float64, **changed):
    axes = SMALL | changed
    return axes, module.weights(axes, Rand(1, dtype=dtype)), module.inputs(axes, Rand(2, dtype=dtype))[0]


def test_both_attentions_are_one_model():
    axes, weights, tokens = made()
    assert torch.allclose(module.make_technique(axes, weights)(tokens), module.make_eager(axes, weights)(tokens))


def test_the_other_model_with_equal_sizes_and_weights_gives_the_same_answer():
    axes, weights, tokens = made(other_heads=2, other_ffn=24, other_vocab=40)
    weights |= {module.OTHER + name: tensor for name, tensor in module.good_weights(weights).items()}
    assert torch.equal(module.make_paper(axes, weights)(tokens), module.make_technique(axes, weights)(tokens))


def test_a_token_does_not_see_later_ones():
    axes, weights, tokens = made()
    changed = tokens.clone()
    changed[:, 5] = (changed[:, 5] + 1) % 39
    model = module.make_technique(axes, weights)
    same = torch.isclose(model(tokens), model(changed)).all(-1)
    assert same[:, :5].all()
    assert not same[:, 5].any()


def test_each_has_the_vocabulary_it_was_given():
    axes, weights, tokens = made()
    assert module.make_technique(axes, weights)(tokens).shape == (2, 9, 40)
    assert module.make_paper(axes, weights)(tokens).shape == (2, 9, 39)


def test_heads_that_do_not_share_the_width_are_refused():
    with pytest.raises(ValueError, match="even parts"):
        module.sizes_of(SMALL | {"heads": 3})


def test_every_timed_pair_of_models_holds_as_many_parameters_within_one_per_cent():
    for workload in find_card("co-design").workloads:
        if not workload.is_timed:
            continue
        sizes = [module.sizes_of(workload.axes, prefix) for prefix in ("", module.OTHER)]
        held = [sum(each.numel() for each in module.decoder_weights(each, MetaRand()).values()) for each in sizes]
        assert held[0] == pytest.approx(held[1], rel=0.01)


class MetaRand:
    """Shapes without numbers."""

    def gaussian(self, *shape, scale=1.0):
        return torch.empty(shape, device="meta")
