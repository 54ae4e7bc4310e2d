"""FlexRound: one grid for the whole weight, smaller errors than rounding and AdaRound, moves by more than a level."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.rand import Rand  # noqa: E402
from runners.blocks.rounding import UniformGrid  # noqa: E402
from runners.implementations.quantization import flexround as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
AXES = {"tokens": 200, "features": 32, "outputs": 16, "bits": 3, "steps": 80}


def made(seed=1, **changed):
    axes, rand = AXES | changed, Rand(seed, device=DEVICE)
    return axes, module.weights(axes, rand), module.inputs(axes, rand)[0]


def errors(axes, weights, inputs):
    wanted = module.make_eager(axes, weights)(inputs)
    names = ("technique", "adaround", "nearest")
    return {
        name: ((module.SUBJECTS[name](axes, weights)(inputs) - wanted).norm() / wanted.norm()).item() for name in names
    }


@pytest.mark.parametrize("seed", [1, 2])
def test_error_falls_below_adarounds_and_that_below_nearest_roundings(seed):
    found = errors(*made(seed, steps=300))
    assert found["technique"] < 0.95 * found["adaround"]
    assert found["adaround"] < 0.9 * found["nearest"]


def learned_weight(method, axes, weights, inputs):
    """The quantized weight itself, read off by unit vectors; learning sees `inputs`."""
    weight, gram = weights["weight"], inputs.t() @ inputs
    grid = UniformGrid.spanning(weight, axes["bits"], by_row=False)
    with torch.enable_grad():
        found = method(
            weight, lambda q: (((q - weight) @ gram) * (q - weight)).sum() / gram.trace(), grid, axes["steps"]
        )
    return found, grid


def test_weights_take_the_levels_of_one_grid():
    found, _ = learned_weight(module.flexround, *made())
    values = found.unique()
    assert len(values) <= 8
    steps = values / values.diff().min()
    torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-3)


def test_a_weight_may_move_by_more_than_one_level_where_adaround_may_not():
    axes, weights, inputs = made()
    nearest_step = (weights["weight"] / UniformGrid.spanning(weights["weight"], 3, by_row=False).step).round()
    flexible, _ = learned_weight(module.flexround, axes, weights, inputs)
    levels = flexible / flexible.unique().diff().min()
    assert (levels.round() - nearest_step).abs().max() >= 2
    bound, grid = learned_weight(module.adaround, axes, weights, inputs)
    assert ((bound / grid.step - weights["weight"] / grid.step).abs() < 1 + 1e-4).all()


def test_no_steps_are_nearest_rounding():
    axes, weights, inputs = made(steps=0)
    found = module.make_technique(axes, weights)(inputs)
    torch.testing.assert_close(found, module.make_nearest(axes, weights)(inputs))


def test_it_learns_inside_no_grad_and_leaves_no_graph():
    axes, weights, inputs = made(steps=5)
    with torch.no_grad():
        found = module.make_technique(axes, weights)(inputs)
    assert not found.requires_grad
