"""ZeroQuant(4+2): the nearest of the 64 numbers, six bits a weight, and a product that is that of the rounded weight."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks.packed import unpack_codes  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.quantization import zeroquant_4_2 as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def every_number():
    """Written out from the format: sign, exponent biased by 3, two bits of mantissa."""
    sizes = [m / 16 for m in range(4)] + [2.0 ** (e - 3) * (1 + m / 4) for e in range(1, 8) for m in range(4)]
    return torch.tensor(sizes + [-size for size in sizes])


def test_codes_stand_for_the_numbers_of_the_format():
    assert torch.equal(module.fp6_values(torch.arange(64, dtype=torch.uint8)), every_number())


def test_rounding_finds_the_nearest_number():
    values = Rand(1).uniform(4000) * 60 - 30
    values[:3] = torch.tensor([0.0, 0.25, -0.2499])
    found = module.fp6_values(module.round_to_fp6(values))
    nearest = (values.clamp(-28, 28)[:, None] - every_number()).abs().amin(dim=1)
    assert torch.allclose((found - values.clamp(-28, 28)).abs(), nearest, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize(("tokens", "features", "outputs"), [(1, 256, 32), (3, 300, 45), (70, 130, 33)])
def test_product_is_that_of_the_rounded_weight(tokens, features, outputs, dtype):
    rand = Rand(2, dtype=dtype, device=DEVICE)
    weight, x = rand.gaussian(outputs, features), rand.normal(tokens, features)
    weight[3] = 0
    layer = module.Fp6Linear(weight)
    codes = unpack_codes(layer.nibbles, 4, features) << 2 | unpack_codes(layer.crumbs, 2, features)
    wanted = x.double() @ (module.fp6_values(codes).double() * layer.scales[:, None] / 4096).t()
    found = layer(x)
    assert found.dtype == dtype
    assert ((found - wanted).norm() / wanted.norm()).item() < (2e-6 if dtype == torch.float32 else 6e-4)
    assert (found[:, 3] == 0).all()


def test_a_weight_takes_six_bits():
    axes = {"tokens": 1, "features": 512, "outputs": 64}
    weights = module.weights(axes, Rand(3, dtype=torch.float16, device=DEVICE))
    assert module.make_technique(axes, weights).footprint()["weights"] == 512 * 64 * 6 // 8 + 64 * 4
    assert module.make_paper(axes, weights).footprint()["weights"] == 512 * 64 // 2 + 64 * 4 * 2


def test_kernels_compile_for_hopper(compile_for_hopper):
    types = {
        "tokens": "i32", "outputs": "i32", "features": "i32", "Partial": "*fp32", "Counters": "*i32",
        "Nibbles": "*i16", "Crumbs": "*i16", "Scales": "*fp32", "Tokens": "*fp16", "Out": "*fp16",
    }  # fmt: skip
    place = ("runners.implementations.quantization.zeroquant_4_2", "_fp6_kernel", types)
    compile_for_hopper({
        "few": (*place, {"BLOCK_N": 64, "BLOCK_M": 16, "SPLITS": 4}, 4),
        "many": (*place, {"BLOCK_N": 128, "BLOCK_M": 64, "SPLITS": 1}, 4),
    })  # fmt: skip
