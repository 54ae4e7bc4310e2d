"""Easy tokens run few learners and hard ones many; what is skipped is not computed and what is run is right."""

import os
from importlib.util import find_spec

import pytest

torch = pytest.importorskip("torch")

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.conditional_computation import adaptive_computation_modules as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
AXES = {"tokens": 90, "hidden": 120, "ffn": 160, "learners": 4, "tolerance": 20}


@pytest.fixture(scope="module")
def layer():
    weights = module.weights(AXES, Rand(1, device=DEVICE))
    return module.make_technique(AXES, weights), weights, module.inputs(AXES, Rand(2, device=DEVICE))[0]


def relative_error(found, wanted):
    return ((found - wanted).norm() / wanted.norm()).item()


def test_each_token_gets_the_sum_of_its_learners(layer):
    adaptive, _, x = layer
    wanted = []
    for token, number in zip(x, adaptive.choose(x).tolist(), strict=True):
        width = number * 40
        wanted.append(torch.nn.functional.gelu(token @ adaptive.up[:, :width]) @ adaptive.down[:width])
    assert torch.allclose(adaptive(x), torch.stack(wanted), atol=1e-5)


def test_the_gate_follows_the_planted_difficulty(layer):
    adaptive, _, x = layer
    excess = adaptive.choose(x) - (x[:, :4].argmax(1) + 1)
    assert ((excess == 0) | (excess == 1)).float().mean() > 0.9
    assert (excess == 0).float().mean() > 0.5


def test_it_is_nearer_to_the_dense_layer_than_a_narrow_one_of_as_many_operations(layer):
    adaptive, weights, x = layer
    dense, narrow = module.make_eager(AXES, weights), module.make_narrow(AXES, weights)
    wanted = dense(x)
    assert relative_error(adaptive(x), wanted) < 0.5 * relative_error(narrow(x), wanted)
    assert narrow.footprint()["flops"] == pytest.approx(adaptive.footprint()["flops"], rel=0.15)
    assert adaptive.footprint()["flops"] < 0.7 * dense.footprint()["flops"]


def test_operations_are_those_of_the_learners_that_ran(layer):
    adaptive, _, x = layer
    adaptive(x)
    ran = int(adaptive.choose(x).sum())
    assert adaptive.footprint()["flops"] == ran * 40 * 4 * 120 + 2 * 90 * 120 * 4


def test_a_wider_tolerance_runs_less():
    weights = module.weights(AXES, Rand(1, device=DEVICE))
    found = module.Distilled(AXES, weights)
    means = [found.labels(4, tolerance).float().mean().item() for tolerance in (0.001, 0.1, 0.6, 2.0)]
    assert means == sorted(means, reverse=True)
    assert means[0] > 3
    assert means[-1] == 1


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.parametrize("tokens", [1, 45, 90])
def test_the_kernels_give_what_plain_products_give(layer, tokens):
    adaptive, weights, x = layer
    fast = module.AdaptiveModule(AXES, weights, kernel=True)
    assert torch.allclose(fast(x[:tokens]), adaptive(x[:tokens]), atol=1e-4)


def test_the_kernels_become_machine_code_that_fits_on_the_chip(compile_for_hopper):
    types = {"Order": "*i64", "Widths": "*i64", "tokens": "i32", "depth": "i32", "columns": "i32"}
    kernels = {
        f"{name}-{rows}": (module.__name__, name, types, {"BLOCK_K": 64, "BLOCK_M": rows, "BLOCK_N": columns}, warps)
        for name in ("_up_kernel", "_down_kernel")
        for rows, columns, warps in ((32, 64, 4), (128, 256, 8))
    }
    compile_for_hopper(kernels)
