"""Groups of neurons are found, add up to the dense layer, and the router sends tokens to the group that serves them."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.decoder import Sizes, norm  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.mixture_of_experts import factorllm as module  # noqa: E402

AXES = {
    "batch": 8, "seq": 6, "layers": 2, "hidden": 96, "heads": 3, "kv_heads": 1, "dim": 32, "ffn": 120, "vocab": 60,
    "experts": 4, "active": 1,
}  # fmt: skip


def made(**changed):
    axes = AXES | changed
    return axes, module.weights(axes, Rand(5)), module.inputs(axes, Rand(6))[0]


def relative_error(found, wanted):
    return ((found - wanted).norm() / wanted.norm()).item()


def test_all_groups_together_are_the_dense_model():
    axes, weights, tokens = made(active=4)
    found = module.make_technique(axes, weights)(tokens)
    assert relative_error(found, module.make_eager(axes, weights)(tokens)) < 1e-5


def test_more_groups_are_nearer_to_the_dense_model():
    errors = []
    for active in (1, 2, 4):
        axes, weights, tokens = made(active=active)
        errors.append(
            relative_error(module.make_technique(axes, weights)(tokens), module.make_eager(axes, weights)(tokens))
        )
    assert errors == sorted(errors, reverse=True)
    assert errors[0] < 0.15


def test_no_weight_changes_and_every_neuron_is_in_one_group():
    axes, weights, _ = made()
    decoder = module.FactorizedDecoder(Sizes.of(axes), weights, 4, 1)
    for layer in range(2):
        rows = decoder.weights["down"][layer].flatten(0, 1)
        assert torch.equal(rows.sort(0).values, weights["down"][layer].sort(0).values)
        groups = module.groups_of_neurons(weights["gate_up"][layer, :, :120], 4)
        assert torch.cat(groups).sort().values.tolist() == list(range(120))
        assert [len(group) for group in groups] == [30] * 4


def test_planted_groups_are_found():
    weights = made()[1]
    gates = weights["gate_up"][0, :, :120]
    domain = gates[:4].argmax(0)
    for group in module.groups_of_neurons(gates, 4):
        assert len(set(domain[group].tolist())) == 1


def test_tokens_of_one_domain_share_an_expert_and_domains_do_not():
    axes, weights, _ = made()
    decoder = module.FactorizedDecoder(Sizes.of(axes), weights, 4, 1)
    x = norm(decoder.embed(torch.arange(60)), weights["ffn_norm"][0])
    chosen = (x @ decoder.weights["router"][0]).argmax(-1).view(-1, 4)
    assert (chosen == chosen[0]).float().mean() > 0.95
    assert len(set(chosen[0].tolist())) == 4


def test_neurons_that_cannot_be_cut_evenly_are_refused():
    axes, weights, _ = made()
    with pytest.raises(ValueError, match="equal experts"):
        module.FactorizedDecoder(Sizes.of(axes), weights, 7, 1)
