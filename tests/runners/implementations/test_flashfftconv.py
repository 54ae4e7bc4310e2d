"""The convolution by matrix products is the plain causal sum, for any length and any number of sequences."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.ssm_recurrent import flashfftconv as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MODULE = "runners.implementations.ssm_recurrent.flashfftconv"


def causal_sum(x, taps):
    y = torch.zeros_like(x)
    for shift in range(x.shape[-1]):
        y[..., shift:] += taps[:, shift, None] * x[..., : x.shape[-1] - shift]
    return y


@pytest.mark.parametrize("name", ["technique", "eager"])
@pytest.mark.parametrize(("batch", "seq"), [(1, 1), (2, 64), (3, 100), (2, 256), (2, 513)], ids=str)
def test_it_is_the_causal_sum(name, batch, seq):
    axes = {"batch": batch, "channels": 2, "seq": seq}
    rand = Rand(1, device=DEVICE, distribution="uniform")
    weights, (x,) = module.weights(axes, rand), module.inputs(axes, rand)
    found = module.SUBJECTS[name](axes, weights)(x)
    wanted = causal_sum(x.double(), weights["filter"].double())
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-5)


def test_an_impulse_gives_the_filter_and_a_later_token_changes_nothing_before_it():
    axes = {"batch": 2, "channels": 3, "seq": 70}
    weights = module.weights(axes, Rand(2, device=DEVICE))
    x = torch.zeros(2, 3, 70, device=DEVICE)
    x[0, :, 0], x[1, :, 40] = 1.0, 2.0
    y = module.make_technique(axes, weights)(x)
    torch.testing.assert_close(y[0], weights["filter"], rtol=0, atol=1e-5)
    assert y[1, :, :40].abs().max() < 1e-5
    torch.testing.assert_close(y[1, :, 40:], 2 * weights["filter"][:, :30], rtol=0, atol=1e-5)


@pytest.mark.parametrize("seq", [1, 255, 256, 257, 1000, 4096, 8192])
def test_the_matrix_holds_twice_the_sequence_and_is_nearly_square(seq):
    n1, n2 = module.sizes(seq)
    assert n1 * n2 >= 2 * seq
    assert n1 // n2 in (1, 2)
    assert n1 * n2 < max(4 * seq, 513)


def test_a_sequence_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="1 to 8192 tokens"):
        module.make_technique({}, {"filter": torch.ones(1, 8193)})


def test_the_kernel_compiles_for_hopper_at_every_size(compile_for_hopper):
    types = {"batch": "i32", "channels": "i32", "seq": "i32"}
    kernels = {}
    for seq in (256, 2048, 8192):
        n1, n2 = module.sizes(seq)
        constants = {"N1": n1, "HALF": n1 // 2, "N2": n2}
        kernels[str(seq)] = (MODULE, "_convolution_kernel", types, constants, max(4, min(8, n1 * n2 // 512)))
    assert set(compile_for_hopper(kernels)) == set(kernels)
