"""The layer is latent attention and experts as defined, its 8-bit form stays near, and its bytes are those of the formats."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.decoder import norm  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.efficient_architecture import insights_into_deepseek_v3 as module  # noqa: E402

AXES = {
    "batch": 12, "context": 9, "hidden": 256, "heads": 3, "query_rank": 64, "rank": 32, "rope": 8, "nope": 16, "value": 16,
    "gqa_heads": 4, "gqa_groups": 2, "experts": 6, "k": 2, "expert_ffn": 48, "shared_ffn": 32, "dense_ffn": 80,
}  # fmt: skip


def made(dtype=torch.float32, **changed):
    axes = AXES | changed
    return axes, module.weights(axes, Rand(3, dtype=dtype)), module.inputs(axes, Rand(4, dtype=dtype))[0]


def relative_error(found, wanted):
    return ((found.double() - wanted).norm() / wanted.norm()).item()


def experts_by_token(axes, w, x):
    rows = []
    for token in x:
        scores = torch.sigmoid(token @ w["router"])
        best = scores.argsort(descending=True)[: axes["k"]]
        parts = [(1.0, w["shared_gate_up"], w["shared_down"])]
        parts += [(float(scores[e] / scores[best].sum()), w["gate_up"][e], w["down"][e]) for e in best.tolist()]
        row = torch.zeros_like(token)
        for share, gate_up, down in parts:
            gate, up = (token @ gate_up).chunk(2)
            row += share * ((gate * torch.sigmoid(gate) * up) @ down)
        rows.append(row)
    return torch.stack(rows)


@pytest.mark.parametrize("name", ["eager", "grouped"])
def test_experts_and_shared_expert_are_as_defined(name):
    axes, weights, x = made(torch.float64)
    layer = module.SUBJECTS[name](axes, weights)
    assert torch.allclose(layer.feed_forward(x), experts_by_token(axes, weights, x))
    attended = layer.attention(norm(x))
    assert torch.allclose(layer(x), attended + experts_by_token(axes, weights, norm(x + attended)))


def test_eight_bits_stay_near_where_the_choice_of_experts_is_the_same():
    axes, weights, x = made(k=6)
    wide = {name: tensor.double() for name, tensor in weights.items()}
    wanted = module.make_eager(axes, wide)(x.double())
    assert 0.01 < relative_error(module.make_technique(axes, weights)(x), wanted) < 0.09


def test_weights_take_one_byte_and_the_cache_is_that_of_the_16_bit_layer():
    axes, weights, _ = made(torch.bfloat16)
    technique, eager, dense = (
        module.SUBJECTS[name](axes, weights).footprint() for name in ("technique", "eager", "paper")
    )
    assert technique["parameters"] == eager["parameters"]
    assert 0.5 < technique["weights"] / eager["weights"] < 0.56
    assert technique["kv_cache"] == eager["kv_cache"] == 12 * 9 * (32 + 8) * 2
    assert dense["kv_cache"] == 12 * 9 * 2 * 2 * 16 * 2


def test_a_second_call_leaves_the_first_answer_as_it_was():
    axes, weights, x = made()
    layer = module.make_technique(axes, weights)
    first = layer(x).clone()
    layer(x + 1)
    assert torch.equal(layer(x), first)
