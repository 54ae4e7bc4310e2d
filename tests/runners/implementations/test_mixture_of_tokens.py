"""Tokens of one position are mixed, processed and redistributed within their group, and nowhere else."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.mixture_of_experts import mixture_of_tokens as module  # noqa: E402

AXES = {"batch": 6, "seq": 4, "hidden": 8, "ffn": 12, "experts": 5, "group": 3}


def made(**changed):
    axes = AXES | changed
    return axes, module.inputs(axes, Rand(4, dtype=torch.float64))


def by_token(axes, x, controller, up, down):
    out = torch.zeros_like(x)
    for first in range(0, axes["batch"], axes["group"]):
        members = range(first, first + axes["group"])
        for place in range(axes["seq"]):
            for e in range(axes["experts"]):
                scores = [float(torch.exp(x[b, place] @ controller[:, e])) for b in members]
                shares = [score / sum(scores) for score in scores]
                mixture = sum(share * x[b, place] for share, b in zip(shares, members, strict=True))
                answer = torch.clamp(mixture @ up[e], min=0) @ down[e]
                for share, b in zip(shares, members, strict=True):
                    out[b, place] += share * answer
    return out


@pytest.mark.parametrize("name", ["technique", "eager"])
def test_it_is_the_layer_as_defined(name):
    axes, arguments = made()
    assert torch.allclose(module.SUBJECTS[name](axes, {})(*arguments), by_token(axes, *arguments))


def test_a_token_reaches_its_position_in_its_group_only():
    axes, (x, *parameters) = made()
    layer = module.make_technique(axes, {})
    changed = x.clone()
    changed[1, 2] += 1
    moved = (layer(changed, *parameters) - layer(x, *parameters)).abs().amax(-1) > 1e-9
    wanted = torch.zeros(6, 4, dtype=torch.bool)
    wanted[:3, 2] = True
    assert torch.equal(moved, wanted)


def test_groups_of_one_run_every_expert_on_the_token_itself():
    axes, (x, controller, up, down) = made(group=1)
    wanted = sum(torch.relu(x @ up[e]) @ down[e] for e in range(5))
    assert torch.allclose(module.make_technique(axes, {})(x, controller, up, down), wanted)


def test_a_batch_that_is_no_whole_number_of_groups_is_refused():
    with pytest.raises(ValueError, match="multiple of group"):
        module.make_technique(AXES | {"batch": 7}, {})


def test_top_1_routing_gives_each_token_its_likeliest_expert():
    axes, arguments = made(hidden=16, ffn=16)
    x, controller, up, down = (each.float() for each in arguments)
    probabilities = (x @ controller).softmax(-1)
    found = module.make_top_k(axes, {})(x, controller, up, down)
    for b in range(6):
        for place in range(4):
            e = int(probabilities[b, place].argmax())
            wanted = probabilities[b, place, e] * (torch.relu(x[b, place] @ up[e]) @ down[e])
            assert torch.allclose(found[b, place], wanted, atol=1e-4)
