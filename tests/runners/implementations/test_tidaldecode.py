"""TidalDecode: two layers choose, the others read only what was chosen, and what was chosen are the heavy tokens."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.efficient_attention import tidaldecode as module  # noqa: E402

AXES = {
    "layers": 8, "batch": 2, "heads": 4, "key_heads": 2, "context": 500, "dim": 32, "needles": 6, "kept": 24,
}  # fmt: skip


def relative_error(found, wanted):
    return ((found - wanted).norm() / wanted.norm()).item()


def test_sparse_layers_give_nearly_the_output_of_full_attention():
    weights, inputs = module.weights(AXES, Rand(1)), module.inputs(AXES, Rand(2))
    wanted = module.make_library(AXES, weights)(*inputs)
    assert relative_error(module.make_technique(AXES, weights)(*inputs), wanted) < 0.05
    assert relative_error(module.make_technique({**AXES, "kept": 500}, weights)(*inputs), wanted) < 1e-5


def test_tokens_about_the_topic_are_chosen():
    weights, (noise, topics) = module.weights(AXES, Rand(3)), module.inputs(AXES, Rand(4))
    subject = module.make_technique(AXES, weights)
    subject(noise, topics)
    directions = weights["directions"][5, :, topics].transpose(0, 1)
    likeness = torch.einsum("bhtd,bhd->bht", weights["keys"][5], directions)
    heaviest = likeness.topk(AXES["needles"], dim=-1).indices
    assert (heaviest[..., None] == subject.tokens[:, :, None]).any(-1).all()


def test_only_full_and_choosing_layers_read_tokens_that_were_not_chosen():
    weights, inputs = module.weights(AXES, Rand(5)), module.inputs(AXES, Rand(6))
    subject = module.make_technique(AXES, weights)
    before = subject(*inputs)
    late = subject.tokens
    left_out = torch.ones(2, 2, 500, dtype=torch.bool).scatter_(2, late, False)
    subject.values = weights["values"].clone()
    subject.values[:, left_out] += 50.0
    after = subject(*inputs)
    changed = [not torch.allclose(now, then) for now, then in zip(after, before, strict=True)]
    assert changed[:3] == [True] * 3
    assert changed[4:] == [True, False, False, False]


def test_each_call_chooses_anew():
    weights = module.weights(AXES, Rand(7))
    subject = module.make_technique(AXES, weights)
    noise, _ = module.inputs(AXES, Rand(8))
    chosen = []
    for topic in (0, 1):
        subject(noise, torch.tensor([topic, topic]))
        chosen.append(set(subject.tokens[0, 0].tolist()))
    assert len(chosen[0] & chosen[1]) < AXES["kept"]
