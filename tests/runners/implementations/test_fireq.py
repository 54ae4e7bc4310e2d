"""FireQ: codes that become 8-bit floats exactly, the naive product, channels that need scaling, four bits a weight."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks.packed8 import quantize_tokens  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.quantization import fireq as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def test_a_byte_holds_two_codes_that_are_8_bit_floats_in_their_places():
    numbers = torch.arange(128)[None] % 15 - 7.0
    packed = module.pack_sign_magnitude(numbers).flatten().int()
    first = (packed & 0x87).to(torch.uint8).view(torch.float8_e4m3fn).float()
    second = (packed << 4 & 0x80 | packed >> 4 & 7).to(torch.uint8).view(torch.float8_e4m3fn).float()
    assert torch.equal(torch.cat([first, second]) * 512, numbers.flatten())


@pytest.mark.parametrize(("tokens", "features", "outputs"), [(1, 128, 32), (3, 300, 45), (67, 140, 33)])
def test_product_is_the_naive_one(tokens, features, outputs):
    rand = Rand(1, device=DEVICE)
    weight, x = rand.gaussian(outputs, features), rand.normal(tokens, features)
    divisors = rand.uniform(features) + 0.5
    ones = torch.ones(features, device=DEVICE)
    layer = module.Int4Fp8Linear(weight, divisors, ones)
    numbers, scales, unit = module.quantize_weight(weight * divisors, ones)
    naive = torch.stack([
        numbers[:, j].double() * scales[:, j // 128].double() * unit.double() for j in range(features)
    ], dim=1)  # fmt: skip
    assert ((naive - weight * divisors).norm() / (weight * divisors).norm()).item() < 0.13
    codes, token_scales = quantize_tokens(x, torch.float8_e4m3fn, divisors)
    wanted = codes.double() @ naive.t() * token_scales.double()[:, None]
    # On a GPU the sums of 8-bit products are short.
    assert ((layer(x) - wanted).norm() / wanted.norm()).item() < (2e-3 if DEVICE == "cuda" else 1e-6)


def test_groups_far_smaller_than_the_largest_and_groups_of_zeros():
    weight = Rand(2).gaussian(4, 384)
    weight[:, 128:256] *= 1e-4
    weight[:, 256:] = 0
    numbers, scales, unit = module.quantize_weight(weight, torch.ones(384))
    assert 0.6 * 448 <= scales.float().amax() <= 448
    small = numbers[:, 128:256] * scales.float()[:, 1:2] * unit
    assert ((small - weight[:, 128:256]).norm() / weight[:, 128:256].norm()).item() < 0.2
    assert not numbers[:, 256:].any()


def test_large_features_of_weights_are_divided_down_and_the_error_falls():
    axes = {"tokens": 16, "features": 256, "hidden": 64, "outliers": 1}
    rand = Rand(3, device=DEVICE)
    weights, (x,) = module.weights(axes, rand), module.inputs(axes, rand)
    weight = weights["gate_up"]
    wanted = x.double() @ weight.double().t()
    divisors = module.channel_divisors(weight, weights["calibration"], module.int4_fp8_product)
    large = weight.abs().amax(dim=0) > 3 * weight.abs().amax(dim=0).median()
    assert large.sum() == 4
    assert divisors[large].max() < divisors[~large].min()
    ones = torch.ones_like(divisors)
    scaled, plain = (module.Int4Fp8Linear(weight, each, ones)(x) - wanted for each in (divisors, ones))
    assert scaled.norm() < 0.8 * plain.norm()


def test_hidden_features_with_large_weights_have_small_values():
    axes = {"tokens": 16, "features": 96, "hidden": 192, "outliers": 2}
    weights = module.weights(axes, Rand(6, device=DEVICE))
    heights = weights["down"].norm(dim=0), weights["gate_up"][192:].norm(dim=1)
    large = heights[0] > 3 * heights[0].median()
    assert large.sum() == 3
    assert torch.equal(large, heights[1] < heights[1].median() / 3)
    assert (weights["gate_up"][:192].norm(dim=1)[large] > weights["gate_up"][:192].norm(dim=1).median() / 3).all()


def test_the_middle_of_the_layer_is_the_librarys():
    both = Rand(5, device=DEVICE).normal(3, 2 * 1100)
    wanted = module.gated_by_library(*both.chunk(2, dim=1))
    assert torch.allclose(module.gated(*both.chunk(2, dim=1)), wanted, atol=1e-6)


def test_a_weight_takes_four_bits_and_a_share_of_its_scales():
    ones = torch.ones(512, device=DEVICE)
    layer = module.Int4Fp8Linear(Rand(4, device=DEVICE).gaussian(64, 512), ones, ones)
    assert layer.footprint()["weights"] == 64 * 512 // 2 + 64 * 4 + 4 + 512 * 4


def test_kernels_compile_for_hopper(compile_for_hopper):
    types = {
        "tokens": "i32", "outputs": "i32", "features": "i32", "Partial": "*fp32", "Counters": "*i32", "Codes": "*u8",
        "GroupScales": "*fp8e4nv", "Unit": "*fp32", "TokenScales": "*fp32", "Tokens": "*fp8e4nv",
    }  # fmt: skip
    few, many = {"BLOCK_N": 64, "BLOCK_M": 16, "SPLITS": 4}, {"BLOCK_N": 128, "BLOCK_M": 128, "SPLITS": 1}
    rounding = {"Divisors": "*fp32", "Codes": "*fp8e4nv", "Scales": "*fp32", "features": "i32", "largest": "fp32"}
    here = "runners.implementations.quantization.fireq"
    compile_for_hopper({
        "few": (here, "_int4_fp8_kernel", types, few, 4),
        "many": (here, "_int4_fp8_kernel", types, many, 8),
        "gated": ("runners.blocks.gated", "_gated_kernel", {"hidden": "i32", "stride": "i32"}, {"BLOCK": 1024}, 4),
        "rounding": ("runners.blocks.packed8", "_quantize_kernel", rounding, {"BLOCK": 4096}, 4),
    })  # fmt: skip
