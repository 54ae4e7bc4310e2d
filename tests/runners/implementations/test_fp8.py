"""Products in 8-bit floating point are near the wide ones, and an outlier spoils its own tile only."""

import os
from importlib.util import find_spec

import pytest

torch = pytest.importorskip("torch")

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from runners.blocks import fp8, moe  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def relative_error(found, wanted):
    return ((found.double() - wanted.double()).norm() / wanted.double().norm()).item()


def made(rows=21, width=300, outputs=150, experts=3):
    rand = Rand(3, device=DEVICE)
    x, weight = rand.normal(rows, width), rand.gaussian(experts, width, outputs)
    return x, weight, moe.sort_by_expert(rand.integers(experts, rows, 2), experts)


def test_numbers_come_back_within_the_roundings_of_three_bits():
    x, weight, _ = made()
    assert relative_error(fp8.dequantized_rows(*fp8.quantize_rows(x)), x) < 0.03
    stored = fp8.quantize_weight(weight)
    assert relative_error(stored.dequantized(), weight) < 0.03
    assert stored.shape == weight.shape
    assert stored.nbytes == weight.numel() + 4 * 3 * 2 * 3


def test_an_outlier_spoils_its_own_tile_only():
    x, _, _ = made(width=256)
    spoiled = x.clone()
    spoiled[:, 5] = 1e6
    restored = fp8.dequantized_rows(*fp8.quantize_rows(spoiled))
    assert relative_error(restored[:, 128:], x[:, 128:]) < 0.03
    assert relative_error(restored[:, 6:128], x[:, 6:128]) > 0.5


def test_rows_of_zeros_stay_zeros():
    codes, scales = fp8.quantize_rows(torch.zeros(2, 130, device=DEVICE))
    assert not codes.float().any()
    assert torch.isfinite(scales).all()


def test_the_product_is_that_of_the_stored_numbers():
    x, weight, order = made()
    stored = fp8.quantize_weight(weight)
    found = fp8.fp8_grouped_matmul(x, stored, order.ends, order.tokens)
    assert relative_error(found, moe.grouped_matmul_loop(x[order.tokens], weight, order.ends)) < 0.05


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.parametrize("changed", [{}, {"rows": 1, "width": 64}, {"experts": 1, "rows": 40, "outputs": 20}])
def test_the_kernel_multiplies_the_same_codes(changed):
    x, weight, order = made(**changed)
    stored = fp8.quantize_weight(weight)
    gathered = fp8.fp8_grouped_matmul(x, stored, order.ends, order.tokens, kernel=True)
    assert relative_error(gathered, fp8.fp8_grouped_matmul(x, stored, order.ends, order.tokens, kernel=False)) < 1e-4
    sorted_rows = fp8.fp8_grouped_matmul(x[order.tokens], stored, order.ends, kernel=True)
    assert relative_error(sorted_rows, gathered) < 1e-5


def test_the_kernels_become_machine_code_that_fits_on_the_chip(compile_for_hopper):
    pointers = {"Rows": "*fp8e4nv", "Weight": "*fp8e4nv", "RowScales": "*fp32", "BlockScales": "*fp32", "Ends": "*i32"}
    types = {**pointers, "Gather": "*i64", **dict.fromkeys(("pairs", "experts", "width", "outputs"), "i32")}
    constants = {"GATHER": True, "LANES": 64, "SUPERTILE": 8, "TILE": 128}
    kernels = {
        f"{rows}-by-{columns}": (
            "runners.blocks.fp8", "_fp8_grouped_kernel", types, {**constants, "BLOCK_M": rows, "BLOCK_N": columns}, warps
        )
        for rows, columns, warps in ((16, 64, 4), (64, 128, 4), (128, 128, 8))
    }  # fmt: skip
    one = {**constants, "LANES": 1, "experts": 1, "GATHER": False, "BLOCK_M": 64, "BLOCK_N": 128}
    kernels["one-matrix"] = ("runners.blocks.fp8", "_fp8_grouped_kernel", types | {"Gather": "*i32"}, one, 4)
    quantize = {"Codes": "*fp8e4nv", "Scales": "*fp32", "rows": "i32", "width": "i32"}
    sizes = {"ROWS": 16, "TILE": 128, "LARGEST": 448.0}
    compile_for_hopper(kernels | {"quantize": ("runners.blocks.fp8", "_quantize_kernel", quantize, sizes, 4)})
