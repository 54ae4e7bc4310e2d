"""DuQuant: transforms cancel, outliers are spread and dealt out evenly, kernels equal PyTorch, a quarter of the bytes."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from runners.blocks.rand import Rand  # noqa: E402
from runners.cards import find_card  # noqa: E402
from runners.implementations.quantization import duquant as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
AXES = {"tokens": 70, "features": 128, "outputs": 40, "block": 16, "steps": 12, "normal": 3, "massive": 2}
KINDS = ["duquant", "plain", "smooth", "random"]


def made(axes=AXES, seed=1, dtype=torch.float32):
    rand = Rand(seed, dtype=dtype, device=DEVICE)
    return module.weights(axes, rand), module.inputs(axes, rand)[0]


def transformed(x, found):
    rotated = module.by_block(x / found.smoothing, found.first)
    return module.by_block(rotated[:, found.order], found.second)


@pytest.mark.parametrize("kind", KINDS)
def test_without_rounding_the_transforms_cancel(kind):
    weights, x = made()
    found = module.calibrate(weights["weight"], weights["calibration"], 16, 12, kind)
    torch.testing.assert_close(
        transformed(x, found) @ found.of_weight(weights["weight"]).t(), x @ weights["weight"].t(), rtol=1e-3, atol=1e-3
    )


def test_a_spreading_matrix_is_orthogonal_and_spreads_its_first_feature_evenly():
    spread = module.spreading(12, torch.Generator().manual_seed(1))
    torch.testing.assert_close(spread @ spread.t(), torch.eye(12, dtype=torch.float64))
    torch.testing.assert_close(spread[0].abs(), torch.full((12,), 12**-0.5, dtype=torch.float64))


def test_greedy_rotation_spreads_a_planted_outlier_and_stays_orthogonal():
    x = Rand(2, device=DEVICE).gaussian(30, 32)
    x[:, 5] = 100.0
    rotations = module.greedy_rotations(x, 16, 12)
    torch.testing.assert_close(rotations @ rotations.transpose(1, 2), torch.eye(16, device=DEVICE).expand(2, -1, -1))
    rotated = module.by_block(x, rotations)
    assert rotated[:, :16].abs().max() < 45  # at best 100 / 4, the norm being kept
    assert rotated[:, 16:].abs().max() <= x[:, 16:].abs().max()


def test_permutation_deals_large_features_to_and_fro():
    largest = torch.tensor([8.0, 7, 6, 5, 4, 3, 2, 1, 0.5])
    order = module.zigzag(largest, 3)
    assert order.tolist() == [0, 5, 6, 1, 4, 7, 2, 3, 8]


def test_the_whole_transform_has_the_smallest_error():
    weights, x = made(AXES | {"features": 512, "block": 64})
    axes = AXES | {"features": 512, "block": 64}
    wanted = x @ weights["weight"].t()
    errors = {
        kind: ((module.maker(kind)(axes, weights)(x) - wanted).norm() / wanted.norm()).item()
        for kind in ("duquant", "plain", "smooth", "random")
    }
    assert errors["duquant"] < 0.6 * min(errors[kind] for kind in KINDS[1:])


CARD = find_card("duquant")
CHECKED = [workload for workload in CARD.workloads if workload.is_checked]


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize("workload", CHECKED, ids=lambda workload: workload.name)
def test_the_budget_of_the_check_tells_the_technique_from_what_leaves_outliers_in(workload, distribution):
    axes, budget = dict(workload.axes), CARD.check.budget
    for seed in range(1, 21):
        rand = Rand(seed, dtype=getattr(torch, workload.dtype), device=DEVICE, distribution=distribution)
        weights, (x,) = module.weights(axes, rand), module.inputs(axes, rand)
        wanted = x.double() @ weights["weight"].double().t()
        errors = {
            kind: ((module.maker(kind)(axes, weights)(x).double() - wanted).norm() / wanted.norm()).item()
            for kind in KINDS
        }
        assert errors["duquant"] < 0.7 * budget, seed
        assert errors["plain"] > 1.4 * budget, seed
        assert min(errors["smooth"], errors["random"]) > 1.5 * errors["duquant"], seed


@pytest.mark.parametrize("tokens", [3, 70])
def test_kernels_compute_what_pytorch_does(tokens):
    pytest.importorskip("triton")
    axes = AXES | {"features": 144, "outputs": 50, "tokens": tokens}
    weights, x = made(axes)
    plain = module.FourBitLinear(axes, weights, "duquant", kernels=False)(x)
    found = module.FourBitLinear(axes, weights, "duquant", kernels=True)(x)
    # A value half-way between two codes may go to either.
    assert (found - plain).norm() < 0.01 * plain.norm()


def test_codes_fill_the_fifteen_levels_and_take_half_a_byte():
    weights, _ = made(dtype=torch.bfloat16)
    subject = module.FourBitLinear(AXES, weights, "duquant", kernels=False)
    assert subject.plain_codes.abs().max() == 7
    assert subject.codes.nbytes == 128 * 40 // 2
    big = {"tokens": 1, "features": 2048, "outputs": 4096, "block": 16, "steps": 1, "normal": 1, "massive": 1}
    weights, _ = made(big, dtype=torch.bfloat16)
    ratio = 2 * 2048 * 4096 / module.FourBitLinear(big, weights, "duquant", kernels=False).footprint()["weights"]
    assert 3.8 < ratio < 4


def test_features_that_blocks_do_not_fill_are_refused():
    axes = AXES | {"features": 130}
    weights, _ = made(axes)
    with pytest.raises(ValueError, match="multiple of block"):
        module.maker("duquant")(axes, weights)


def test_kernels_compile_for_hopper(compile_for_hopper):
    sizes = dict.fromkeys(("tokens", "features", "count", "outputs"), "i32")
    rotate = sizes | {"Order": "*i32", "Largest": "*fp32"}
    rounding = {"Scales": "*fp32", "Codes": "*i8", "features": "i32"}
    product = sizes | {"Tokens": "*i8", "Partial": "*fp32", "Counters": "*i32", "Codes": "*u8"}
    product |= {"Scales": "*fp32", "TokenScales": "*fp32"}
    wide, skinny = {"BLOCK_N": 128, "BLOCK_M": 128, "SPLITS": 1}, {"BLOCK_N": 64, "BLOCK_M": 16, "SPLITS": 4}
    where = module.__name__
    compile_for_hopper(
        {
            "rotate": (where, "rotate_program", rotate, {"WIDTH": 128, "BLOCK": 128, "ROWS": 32}, 4),
            "round": (where, "round_program", rounding, {"COLUMNS": 2048}, 4),
            "wide": (where, "product_kernel", product, wide, 8),
            "skinny": (where, "product_kernel", product, skinny, 4),
        }
    )
