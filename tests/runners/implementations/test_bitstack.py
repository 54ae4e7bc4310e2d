"""BitStack: signs times magnitudes, nested prefixes of one stack, products that equal the rebuilt weight's, exact bytes."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks.packed import unpack_codes  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.blocks.sign_planes import PlanesLinear  # noqa: E402
from runners.implementations.quantization import bitstack as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def naive(plane, features):
    signs = 1 - 2 * unpack_codes(plane.signs, 1, features).double()
    return signs * (plane.left.double() @ plane.right.double()[:features].t())


@pytest.mark.parametrize(
    ("tokens", "features", "outputs", "levels"), [(1, 600, 70, 2), (4, 30, 5, 1), (5, 530, 130, 3)]
)
def test_products_with_few_and_many_tokens_are_the_naive_ones(tokens, features, outputs, levels):
    rand = Rand(1, device=DEVICE)
    weight, x, divisors = rand.gaussian(outputs, features), rand.normal(tokens, features), rand.uniform(features) + 0.5
    planes = [plane for plane, _ in module.decompose(weight, levels, torch.bfloat16)]
    layer = PlanesLinear(outputs, divisors, weight.dtype)
    layer.load(planes)
    wanted = x.double() / divisors.double() @ sum(naive(plane, features) for plane in planes).t()
    for _ in range(2):  # counters of split sums are left at zero
        assert ((layer(x) - wanted).norm() / wanted.norm()).item() < 1e-5
    layer.load([])
    assert not layer(x).any()


def test_each_block_takes_its_share_of_what_the_ones_before_left():
    weight = Rand(2).gaussian(300, 520)
    left = weight.double()
    for plane, gain in module.decompose(weight, 3, torch.bfloat16):
        before = left.square().sum()
        assert torch.equal(unpack_codes(plane.signs, 1, 520).bool(), left < 0)
        left = left - naive(plane, 520)
        assert abs(float((before - left.square().sum()) / weight.square().sum()) - gain) < 1e-4
        # Signs with one magnitude for all would leave 1 - 2/pi of normal values.
        assert left.square().sum() < 0.40 * before


def test_magnitudes_of_low_rank_leave_nothing():
    rand = Rand(3)
    sizes = rand.uniform(90, 4) @ rand.uniform(4, 140) + 0.1
    signs = torch.where(rand.uniform(90, 140) < 0.5, -1.0, 1.0)
    _, gain = module.decompose(signs * sizes, 1, torch.bfloat16)[0]
    assert gain > 0.9999


def test_more_memory_adds_blocks_best_first_and_never_passes_the_budget():
    axes = {"tokens": 5, "features": 217, "hidden": 150, "budget": 0}
    rand = Rand(4, device=DEVICE)
    weights, (x,) = module.weights(axes, rand), module.inputs(axes, rand)
    wanted = module.make_eager(axes, weights)(x)
    layer = module.BitStackFeedForward(weights)
    gains = [block.gain for block in layer.stack]
    assert gains == sorted(gains, reverse=True)
    fixed = 4 * (217 + 217 + 150)
    loaded, errors = [], []
    for allowed in (0, fixed + layer.stack[0].plane.nbytes, 90_000, 200_000, 350_000):
        layer.load(allowed)
        held = layer.footprint()["weights"]
        assert held <= max(allowed, fixed)
        assert held == fixed + sum(block.plane.nbytes for block in layer.stack[: layer.loaded])
        loaded.append(layer.loaded)
        errors.append(((layer(x) - wanted).norm() / wanted.norm()).item())
    assert loaded[:2] == [0, 1]
    assert loaded == sorted(set(loaded))
    assert errors[-1] < 0.3 < errors[2] < 1.01
    # Less memory again: the same blocks as before.
    layer.load(90_000)
    assert layer.loaded == loaded[2]


def test_a_block_takes_about_a_bit_a_weight():
    plane = module.decompose(Rand(5).gaussian(512, 1024), 1, torch.bfloat16)[0][0]
    assert plane.nbytes == 512 * 1024 // 8 + 2 * 16 * (512 + 1024)


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_the_rung_rounds_to_steps_in_just_so_many_bits(bits):
    weight = Rand(6, device=DEVICE).gaussian(7, 256)
    layer = module.RoundedLinear(weight, bits)
    rounded = layer(torch.eye(256, device=DEVICE)).t()
    assert layer.footprint()["weights"] == 7 * 256 * bits // 8 + 7 * 2 * 2
    assert all(len(group.unique()) <= 2**bits for row in rounded for group in row.split(128))
    assert ((rounded - weight).norm() / weight.norm()).item() < {1: 0.62, 3: 0.22, 8: 0.01}[bits]


def test_kernels_compile_for_hopper(compile_for_hopper):
    types = dict.fromkeys(("tokens", "outputs", "width", "planes", "features"), "i32")
    types |= {"Partial": "*fp32", "Counters": "*i32", "Signs": "*i16"}
    single = {"RANK": 16, "BLOCK_N": 64, "SPLITS": 2, "tokens": 1, "planes": 1}
    here = "runners.blocks.sign_planes"
    compile_for_hopper({
        "few": (here, "_few_kernel", types, {"RANK": 16, "BLOCK_N": 64, "SPLITS": 4}, 4),
        "columns": (here, "_columns_kernel", types | {"Divisors": "*fp32"}, {"RANK": 16}, 4),
        "one token, one plane": (here, "_few_kernel", types, single, 4),
        "few, wide tiles": (here, "_few_kernel", types, {"RANK": 16, "BLOCK_N": 128, "SPLITS": 1}, 8),
        "rebuild": (here, "_rebuild_kernel", types, {"RANK": 16, "BLOCK_N": 128}, 4),
    })  # fmt: skip
