"""QuantEase: a descent by single entries, the shared sweep and its kernel, GPTQ as published, and who has the smaller error."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from runners.blocks import rounding  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.quantization import quantease as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def layer(features, outputs, tokens=200, bits=3, seed=1):
    rand = Rand(seed, device=DEVICE)
    weight = rand.gaussian(outputs, features).double()
    inputs = rounding.correlated_inputs(rand, tokens, features).double()
    return weight, inputs, rounding.UniformGrid.spanning(weight, bits)


def error(weight, quantized, inputs):
    return (inputs @ (weight - quantized).t()).norm().item()


def descent_by_entries(weight, inputs, grid, passes):
    """Each entry of each row tries every level and keeps the best; every third pass takes the exact minimiser."""
    quantized, gram = weight.clone(), inputs.t() @ inputs
    for index in range(1, passes + 1):
        for row in range(len(weight)):
            levels = (torch.arange(grid.levels + 1, device=weight.device) - grid.zero[row]) * grid.step[row]
            for column in range(weight.shape[1]):
                rest = weight[row] - quantized[row]
                rest[column] = 0
                best = weight[row, column] + rest @ gram[column] / gram[column, column]
                if index == passes or index % 3:
                    best = levels[(levels - best).abs().argmin()]
                quantized[row, column] = best
    return quantized


def gptq_by_columns(weight, inputs, grid):
    """Columns in order; after each, the inverse of the rest of the damped Gram matrix is taken anew."""
    weight, gram = weight.clone(), inputs.t() @ inputs
    gram += 0.01 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    quantized = torch.empty_like(weight)
    for column in range(len(gram)):
        inverse = torch.linalg.inv(gram[column:, column:])
        quantized[:, column] = grid.round(weight[:, column : column + 1])[:, 0]
        lost = (weight[:, column] - quantized[:, column]) / inverse[0, 0]
        weight[:, column:] -= lost[:, None] * inverse[0][None, :]
    return quantized


def test_passes_are_a_descent_entry_by_entry():
    weight, inputs, grid = layer(9, 4)
    found = module.quantease(weight, inputs.t() @ inputs, grid, 4)
    torch.testing.assert_close(found, descent_by_entries(weight, inputs, grid, 4))


def test_blocks_of_columns_change_nothing(monkeypatch):
    weight, inputs, grid = layer(20, 4)
    whole = module.quantease(weight, inputs.t() @ inputs, grid, 3), rounding.gptq(weight, inputs.t() @ inputs, grid)
    monkeypatch.setattr(rounding, "BLOCK", 6)
    torch.testing.assert_close(module.quantease(weight, inputs.t() @ inputs, grid, 3), whole[0])
    torch.testing.assert_close(rounding.gptq(weight, inputs.t() @ inputs, grid), whole[1])


def test_gptq_is_that_of_its_paper():
    weight, inputs, grid = layer(12, 5)
    found = rounding.gptq(weight, inputs.t() @ inputs, grid)
    torch.testing.assert_close(found, gptq_by_columns(weight, inputs, grid))


def test_rounding_passes_never_raise_the_error_and_end_on_the_grid():
    weight, inputs, grid = layer(40, 8)
    gram = inputs.t() @ inputs
    nearest = grid.round(weight)
    passed_on = (gram / gram.diagonal()).fill_diagonal_(0)
    z = nearest + (weight - nearest) @ gram / gram.diagonal()
    last, current = error(weight, nearest, inputs), nearest
    for _ in range(4):
        current = rounding.sweep(z, passed_on, grid, before=current)
        assert error(weight, current, inputs) <= last * (1 + 1e-9)
        last = error(weight, current, inputs)
    torch.testing.assert_close(grid.round(current), current)
    assert last < 0.7 * error(weight, nearest, inputs)


def test_more_passes_bring_the_error_to_gptqs_or_below_and_far_below_nearest_rounding():
    weight, inputs, grid = layer(96, 32, tokens=400)
    gram = inputs.t() @ inputs
    errors = [error(weight, module.quantease(weight, gram, grid, passes), inputs) for passes in (1, 6, 24)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1.02 * error(weight, rounding.gptq(weight, gram, grid), inputs)
    assert errors[-1] < 0.5 * error(weight, grid.round(weight), inputs)


def test_passes_from_gptqs_weights_improve_on_them():
    weight, inputs, grid = layer(120, 16, tokens=300)
    gram = inputs.t() @ inputs
    start = rounding.gptq(weight, gram, grid)
    for passes in (1, 5):
        improved = module.quantease(weight, gram, grid, passes, start=start)
        assert error(weight, improved, inputs) < error(weight, start, inputs)


def test_a_feature_that_is_always_zero_is_rounded_like_any():
    weight, inputs, grid = layer(10, 3)
    inputs[:, 4] = 0
    found = module.quantease(weight, inputs.t() @ inputs, grid, 3)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found[:, 4], grid.round(weight)[:, 4])


@pytest.mark.parametrize("anew", [True, False])
@pytest.mark.parametrize("rounds", [True, False])
def test_kernel_visits_as_pytorch_does(anew, rounds):
    pytest.importorskip("triton")
    rand = Rand(5, device=DEVICE)
    z, before, passed_on = rand.gaussian(19, 21), rand.gaussian(19, 21), rand.gaussian(21, 21, scale=0.1)
    grid = rounding.UniformGrid.spanning(z, 4)
    given = (z, passed_on.fill_diagonal_(0), grid, None if anew else before, rounds)
    for found, wanted in zip(rounding.visit_block_kernel(*given), rounding.visit_block(*given), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_kernel_compiles_for_hopper(compile_for_hopper):
    arguments = dict.fromkeys(("rows", "columns", "z_stride", "before_stride", "passed_stride", "levels"), "i32")
    arguments |= dict.fromkeys(("Z", "Before", "PassedOn", "Step", "Zero", "New", "Moved"), "*fp32")
    constants = {"ANEW": False, "ROUNDS": True, "ROWS": 16, "COLUMNS": 128}
    compile_for_hopper({"visit": (rounding.__name__, "visit_program", arguments, constants, 4)})
