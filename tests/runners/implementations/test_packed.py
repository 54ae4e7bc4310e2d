"""Packed weights: nothing is lost in packing, and a product with them is that with the weight they stand for."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks import packed as module  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def relative_error(found, wanted):
    return ((found.double() - wanted.double()).norm() / wanted.double().norm()).item()


@pytest.mark.parametrize("word", [torch.uint8, torch.int16])
@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("features", [1, 128, 300])
def test_packing_loses_nothing(bits, word, features):
    codes = Rand(1, device=DEVICE).integers(2**bits, 7, features).to(torch.uint8)
    packed = module.pack_codes(codes, bits, 128, word)
    blocks = -(-features // 128)
    assert packed.nbytes == blocks * 7 * 128 * bits // 8
    assert torch.equal(module.unpack_codes(packed, bits, features), codes)


def test_words_hold_features_that_lie_apart():
    codes = torch.zeros(1, 128, dtype=torch.uint8)
    codes[0, [3, 3 + 32, 3 + 96]] = torch.tensor([1, 2, 9], dtype=torch.uint8)
    word = module.pack_codes(codes, 4, 128)[0, 0, 3].item() & 0xFFFF
    assert word == 1 | 2 << 4 | 9 << 12


def test_groups_are_rounded_to_half_a_step():
    weight = Rand(2, device=DEVICE).gaussian(5, 200)
    codes, scales = module.quantize_groups(weight)
    steps = scales.repeat_interleave(128, dim=1)[:, :200]
    assert codes.min() >= 1
    assert codes.max() <= 15
    assert (((codes.float() - 8) * steps - weight).abs() <= 0.5001 * steps).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize(("tokens", "features", "outputs"), [(1, 128, 32), (3, 300, 45), (16, 130, 70), (67, 140, 33)])
def test_product_is_that_of_the_rounded_weight(tokens, features, outputs, dtype):
    rand = Rand(3, dtype=dtype, device=DEVICE)
    weight, x = rand.gaussian(outputs, features), rand.normal(tokens, features)
    layer = module.Int4Linear(weight)
    codes = module.unpack_codes(layer.codes, 4, features).double() - 8
    rounded = codes * layer.scales.t().double().repeat_interleave(128, dim=1)[:, :features]
    first, second = layer(x), layer(x)
    assert relative_error(first, x.double() @ rounded.t()) < (2e-6 if dtype == torch.float32 else 6e-4)
    assert torch.equal(first, second)


def test_counters_are_set_back_so_that_other_counts_of_tokens_follow():
    rand = Rand(4, device=DEVICE)
    layer = module.Int4Linear(rand.gaussian(40, 256))
    for tokens in (2, 70, 1, 2):
        x = rand.normal(tokens, 256)
        assert relative_error(layer(x), torch.cat([layer(row[None]) for row in x])) < 1e-5
    assert (layer.scratch.counters == 0).all()


def test_kernels_compile_for_hopper(compile_for_hopper):
    integers = {"tokens": "i32", "outputs": "i32", "features": "i32"}
    types = {**integers, "Partial": "*fp32", "Counters": "*i32", "Codes": "*i16"}
    half = {**types, "Tokens": "*fp16", "Out": "*fp16", "Scales": "*fp16"}
    few, many = {"BLOCK_N": 64, "BLOCK_M": 16, "SPLITS": 4}, {"BLOCK_N": 128, "BLOCK_M": 128, "SPLITS": 1}
    compile_for_hopper({
        "few": ("runners.blocks.packed", "_int4_kernel", types, few, 4),
        "few, float16": ("runners.blocks.packed", "_int4_kernel", half, few, 4),
        "many": ("runners.blocks.packed", "_int4_kernel", types, many, 8),
    })  # fmt: skip
