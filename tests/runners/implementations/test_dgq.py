"""DGQ: whole-numbered groups, one integer product that equals the naive one, about four bits a weight."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks import packed8  # noqa: E402
from runners.blocks.packed import unpack_codes  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.quantization import dgq as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize(("tokens", "features", "outputs"), [(1, 128, 32), (3, 300, 45), (67, 140, 33)])
def test_product_is_the_naive_one_of_integers(tokens, features, outputs):
    rand = Rand(1, device=DEVICE)
    weight, x = rand.gaussian(outputs, features), rand.normal(tokens, features)
    layer = packed8.DualGrainedLinear(weight, torch.ones(features, device=DEVICE), torch.ones(features, device=DEVICE))
    groups = layer.group_scales.t().double().repeat_interleave(128, dim=1)[:, :features]
    expanded = (unpack_codes(layer.codes, 4, features).double() - 8) * groups
    assert expanded.abs().max() <= 120
    codes, scales = packed8.quantize_tokens(x, torch.int8, layer.divisors)
    assert (codes.abs().amax(dim=1) == 127).all()
    wanted = (codes.double() @ expanded.t()) * scales[:, None].double() * layer.scales.double()
    assert ((layer(x) - wanted).norm() / wanted.norm()).item() < 1e-6


def test_outliers_are_divided_down_and_cost_less_for_it():
    axes = {"tokens": 16, "features": 256, "outputs": 64, "outliers": 1}
    rand = Rand(2, device=DEVICE)
    weights, (x,) = module.weights(axes, rand), module.inputs(axes, rand)
    wanted = x.double() @ weights["weight"].double().t()
    layer = module.make_technique(axes, weights)
    ones = torch.ones(256, device=DEVICE)
    plain = packed8.DualGrainedLinear(weights["weight"], ones, weights["calibration"].square().mean(dim=0))
    assert layer.divisors[128] > 1
    assert (layer(x) - wanted).norm() <= 1.02 * (plain(x) - wanted).norm()


def test_a_weight_takes_four_bits_and_a_share_of_its_scales():
    weight = Rand(3, device=DEVICE).gaussian(64, 512)
    ones = torch.ones(512, device=DEVICE)
    held = packed8.DualGrainedLinear(weight, ones, ones).footprint()["weights"]
    assert held == 64 * 512 // 2 + 64 * 4 + 64 * 4 + 512 * 4


def test_kernels_compile_for_hopper(compile_for_hopper):
    types = {
        "tokens": "i32", "outputs": "i32", "features": "i32", "Partial": "*fp32", "Counters": "*i32", "Codes": "*u8",
        "GroupScales": "*i8", "Scales": "*fp32", "TokenScales": "*fp32", "Tokens": "*i8",
    }  # fmt: skip
    few, many = {"BLOCK_N": 64, "BLOCK_M": 16, "SPLITS": 4}, {"BLOCK_N": 128, "BLOCK_M": 128, "SPLITS": 1}
    rounding = {"Divisors": "*fp32", "Codes": "*i8", "Scales": "*fp32", "features": "i32", "largest": "fp32"}
    compile_for_hopper({
        "few": ("runners.blocks.packed8", "_int4_int8_kernel", types, few, 4),
        "many": ("runners.blocks.packed8", "_int4_int8_kernel", types, many, 8),
        "rounding": ("runners.blocks.packed8", "_quantize_kernel", rounding, {"BLOCK": 4096}, 4),
    })  # fmt: skip
