"""Attention's backward pass in one walk, and linear attention with its state on the chip, give what the definitions do."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.kernels_compilers import thunderkittens as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MODULE = "runners.implementations.kernels_compilers.thunderkittens"
SHAPES = [
    pytest.param(37, 24, id="ragged"),
    pytest.param(64, 16, id="no-ragged-tile"),
    pytest.param(3, 8, id="smaller-than-a-tile"),
]


@pytest.mark.parametrize("name", ["technique", "library", "eager"])
@pytest.mark.parametrize("causal", [0, 1], ids=["full", "causal"])
@pytest.mark.parametrize(("seq", "dim"), SHAPES)
def test_the_backward_pass_is_autograds(name, causal, seq, dim):
    axes = {"batch": 2, "heads": 2, "seq": seq, "dim": dim, "causal": causal, "linear": 0}
    q, k, v, o, do, lse = module.inputs(axes, Rand(1, device=DEVICE, distribution="uniform"))
    leaves = [each.double().requires_grad_() for each in (q, k, v)]
    attended = torch.nn.functional.scaled_dot_product_attention(*leaves, is_causal=bool(causal))
    torch.testing.assert_close(o.double(), attended, rtol=1e-5, atol=1e-5)
    wanted = torch.autograd.grad(attended, leaves, do.double())
    found = module.SUBJECTS[name](axes, {})(q, k, v, o, do, lse)
    for each, reference in zip(found, wanted, strict=True):
        torch.testing.assert_close(each.double(), reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["technique", "library", "eager"])
@pytest.mark.parametrize(("seq", "dim"), [*SHAPES, pytest.param(300, 16, id="several-chunks")])
def test_linear_attention_is_the_recurrence(name, seq, dim):
    axes = {"batch": 1, "heads": 2, "seq": seq, "dim": dim, "causal": 1, "linear": 1}
    q, k, v = module.inputs(axes, Rand(2, device=DEVICE))
    state, rows = torch.zeros(1, 2, dim, dim, dtype=torch.float64, device=DEVICE), []
    for t in range(seq):
        state = state + k[:, :, t, :, None].double() * v[:, :, t, None, :].double()
        rows.append((q[:, :, t, None].double() @ state).squeeze(2))
    found = module.SUBJECTS[name](axes, {})(q, k, v)
    torch.testing.assert_close(found.double(), torch.stack(rows, 2), rtol=1e-4, atol=1e-4)


def test_kernels_compile_for_hopper(compile_for_hopper):
    types = {"Lse": "*fp32", "Delta": "*fp32", "DQ": "*fp32", "seq": "i32", "scale": "fp32", "scale_log2": "fp32"}
    tiles = {"CAUSAL": True, "DIM": 128, "BLOCK_D": 128, "BLOCK_M": 64, "BLOCK_N": 128}
    kernels = {
        "backward": ("runners.blocks.attention", "key_gradient_kernel", types, tiles | {"EVEN": True}, 8),
        "linear": (MODULE, "_linear_kernel", types, tiles | {"BLOCK_N": 64}, 4),
    }
    assert set(compile_for_hopper(kernels)) == set(kernels)
