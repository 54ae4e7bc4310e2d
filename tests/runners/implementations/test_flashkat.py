"""Grouped rational activations: output and all gradients are the definition's, whichever way sums are gathered."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.kernels_compilers import flashkat as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MODULE = "runners.implementations.kernels_compilers.flashkat"


def definition(x, a, b):
    """Element by element, with powers written out."""
    columns = []
    width = x.shape[1] // a.shape[0]
    for channel in range(x.shape[1]):
        z, top, below = x[:, channel], a[channel // width], b[channel // width]
        numerator = sum(top[i] * z**i for i in range(6))
        columns.append(numerator / (1 + abs(sum(below[j] * z ** (j + 1) for j in range(4)))))
    return torch.stack(columns, 1)


@pytest.mark.parametrize("name", ["technique", "paper"])
@pytest.mark.parametrize(
    "axes",
    [
        pytest.param({"tokens": 9, "channels": 20, "groups": 2}, id="several-tiles"),
        pytest.param({"tokens": 3, "channels": 5, "groups": 5}, id="a-channel-a-group"),
        pytest.param({"tokens": 1, "channels": 7, "groups": 1}, id="one-token"),
    ],
)
def test_output_and_gradients_are_the_definitions(name, axes):
    leaves = [each.requires_grad_() for each in module.inputs(axes, Rand(1, device=DEVICE, distribution="uniform"))]
    exact = [each.detach().double().requires_grad_() for each in leaves]
    cotangent = Rand(2, device=DEVICE).gaussian(axes["tokens"], axes["channels"])
    y, wanted = module.SUBJECTS[name](axes, {})(*leaves), definition(*exact)
    torch.testing.assert_close(y.double(), wanted, rtol=1e-5, atol=1e-6)
    found = torch.autograd.grad(y, leaves, cotangent)
    for each, reference in zip(found, torch.autograd.grad(wanted, exact, cotangent.double()), strict=True):
        torch.testing.assert_close(each.double(), reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["technique", "paper"])
def test_a_16_bit_gradient_is_rounded_once(name):
    axes = {"tokens": 40, "channels": 15, "groups": 3}
    for seed in (14, 19):
        leaves = [each.requires_grad_() for each in module.inputs(axes, Rand(seed, dtype=torch.float16, device=DEVICE))]
        exact = [each.detach().double().requires_grad_() for each in leaves]
        cotangent = Rand(2, dtype=torch.float16, device=DEVICE).gaussian(40, 15)
        (found,) = torch.autograd.grad(module.SUBJECTS[name](axes, {})(*leaves), leaves[:1], cotangent)
        (wanted,) = torch.autograd.grad(definition(*exact), exact[:1], cotangent.double())
        # A rounding to 11 bits errs by 2 ** -12 to 2 ** -13 in the root mean square.
        assert (found.double() - wanted).norm() < 2**-12 * wanted.norm()


def test_a_zero_denominator_sum_has_a_finite_gradient():
    x = torch.zeros(4, 8, device=DEVICE, requires_grad=True)
    a, b = (
        each.requires_grad_()
        for each in module.inputs({"tokens": 4, "channels": 8, "groups": 2}, Rand(3, device=DEVICE))[1:]
    )
    dx, da, db = torch.autograd.grad(module.make_technique({}, {})(x, a, b).sum(), [x, a, b])
    assert torch.equal(dx, a[:, 1].detach().repeat_interleave(4).expand(4, 8))
    assert da[:, 0].tolist() == [16, 16]
    assert not db.any()


def test_the_same_call_gives_the_same_bits():
    axes = {"tokens": 11, "channels": 24, "groups": 2}
    leaves = [each.requires_grad_() for each in module.inputs(axes, Rand(5, device=DEVICE))]
    runs = [torch.autograd.grad(module.make_technique(axes, {})(*leaves).sum(), leaves) for _ in range(2)]
    assert all(torch.equal(*pair) for pair in zip(*runs, strict=True))


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="multiple of groups"):
        module.make_technique({}, {})(torch.ones(2, 7), torch.ones(2, 6), torch.ones(2, 4))


def test_kernels_compile_for_hopper(compile_for_hopper):
    sizes = dict.fromkeys(("tokens", "channels", "width", "rows_each"), "i32") | {"count": "i64"}
    sums = dict.fromkeys(("Sums", "DA", "DB"), "*fp32")
    tile = {"ROWS": 8, "COLUMNS": 128}
    kernels = {
        "forward": (MODULE, "_forward_kernel", sizes, tile, 4),
        "backward": (MODULE, "_backward_kernel", sizes | sums, tile, 4),
        "atomic": (MODULE, "_atomic_backward_kernel", sizes | sums, {"BLOCK": 512}, 4),
    }
    assert set(compile_for_hopper(kernels)) == set(kernels)
