"""A Transformer without a mean in its main branch computes what the Pre-LN Transformer does, gradients included."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.efficient_architecture import pre_rmsnorm as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
AXES = {"batch": 2, "seq": 5, "patch": 6, "width": 12, "heads": 2, "mlp": 16, "layers": 2, "classes": 4}
MODULE = "runners.implementations.efficient_architecture.pre_rmsnorm"


def definition(kind, x):
    """The norms as the paper defines them, on all channels; the compressed one gets its last channel back first."""
    if kind == module.COMPRESSED:
        x = torch.cat([x, -x.sum(-1, keepdim=True)], dim=-1)
    if kind == module.LAYER:
        x = x - x.mean(-1, keepdim=True)
    y = x / (x.square().mean(-1, keepdim=True) + module.EPSILON).sqrt()
    return y[..., :-1] if kind == module.COMPRESSED else y


@pytest.mark.parametrize("width", [1, 12, 33])
@pytest.mark.parametrize("kind", [module.LAYER, module.RMS, module.COMPRESSED], ids=["layer", "rms", "compressed"])
def test_the_kernels_give_the_norm_and_its_gradient(kind, width):
    x = Rand(1, device=DEVICE, distribution="uniform").normal(3, 2, width).requires_grad_()
    exact = x.detach().double().requires_grad_()
    cotangent = Rand(2, device=DEVICE).gaussian(3, 2, width)
    wanted, found = definition(kind, exact), module.FusedNorm.apply(x, kind)
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-6)
    gradient = torch.autograd.grad(found, x, cotangent)[0]
    reference = torch.autograd.grad(wanted, exact, cotangent.double())[0]
    torch.testing.assert_close(gradient.double(), reference, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("compressed", [0, 1])
def test_the_folded_model_is_the_pre_ln_model(compressed):
    axes = AXES | {"compressed": compressed, "training": 1}
    rand = Rand(3, dtype=torch.float64)
    weights, inputs = module.weights(axes, rand), module.inputs(axes, rand)
    found, wanted = module.make_technique(axes, weights)(*inputs), module.make_eager(axes, weights)(*inputs)
    assert len(found) == 1 + len(weights)
    for each, reference in zip(found, wanted, strict=True):
        torch.testing.assert_close(each, reference, rtol=1e-10, atol=1e-10)


def test_without_the_folding_a_norm_without_mean_gives_something_else():
    axes = AXES | {"compressed": 0, "training": 0}
    rand = Rand(3, dtype=torch.float64)
    weights, inputs = module.weights(axes, rand), module.inputs(axes, rand)
    unfolded = module.Model(axes, weights, module.plain_norm(module.RMS), fold=False)(*inputs)
    wanted = module.make_eager(axes, weights)(*inputs)
    assert (unfolded - wanted).norm() > 1e-3 * wanted.norm()


def test_the_compressed_model_has_a_channel_less():
    axes = AXES | {"compressed": 1, "training": 0}
    weights = module.weights(axes, Rand(4))
    held = module.make_technique(axes, weights).footprint()["parameters"]
    layers, width, mlp = axes["layers"], axes["width"], axes["mlp"]
    branch_rows = axes["patch"] + axes["seq"] + axes["classes"] + layers * (3 * width + width + 2 * mlp)
    assert module.make_eager(axes, weights).footprint()["parameters"] - held == branch_rows


def test_kernels_compile_for_hopper(compile_for_hopper):
    sizes = {"Inverse": "*fp32", "width": "i32", "full_width": "i32", "epsilon": "fp32"}
    kernels = {
        f"{kernel}-{kind}": (MODULE, kernel, sizes, {"KIND": kind, "BLOCK": 1024}, 4)
        for kernel in ("norm_kernel", "norm_gradient_kernel")
        for kind in (module.LAYER, module.RMS, module.COMPRESSED)
    }
    assert set(compile_for_hopper(kernels)) == set(kernels)
