"""Ternary layers packed four weights to a byte multiply exactly, and the packed model is the latent one."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.quantization import matmul_free_lm as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MODULE = "runners.implementations.quantization.matmul_free_lm"
AXES = {"batch": 2, "layers": 2, "width": 24, "mlp": 40, "context": 3}


@pytest.mark.parametrize(("tokens", "outputs", "width"), [(1, 5, 7), (3, 40, 8), (20, 33, 300)])
def test_a_packed_layer_is_the_product_of_rounded_input_and_signs(tokens, outputs, width):
    rand = Rand(1, device=DEVICE)
    weight, x = rand.gaussian(outputs, width, scale=0.3), rand.normal(tokens, width)
    layer = module.PackedLayer(weight, 1)
    scale = weight.abs().mean()
    signs = torch.where(weight.abs() <= scale / 2, 0.0, weight.sign())
    normed = x / (x.square().mean(1, keepdim=True) + module.EPSILON).sqrt()
    step = normed.abs().amax(1, keepdim=True) / 127
    wanted = ((normed / step).round().double() @ signs.double().T) * step * scale + 2 * torch.ones(
        outputs, device=DEVICE
    )
    found = layer(x, torch.full((tokens, outputs), 2.0, device=DEVICE))
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-4)
    assert layer.packed.shape == (outputs, -(-width // 4))


def test_the_packed_model_is_the_latent_one_and_states_follow_the_gates():
    rand = Rand(2, device=DEVICE)
    weights, (x,) = module.weights(AXES, rand), module.inputs(AXES, rand)
    found, wanted = module.make_technique(AXES, weights)(x), module.make_eager(AXES, weights)(x)
    for each, reference in zip(found, wanted, strict=True):
        assert (each - reference).norm() < 0.01 * reference.norm()
    f, c, _ = module.LatentLayer(weights["mix_in"][0], 3)(x, None).chunk(3, -1)
    first = f.sigmoid() * weights["states"][0] + (1 - f.sigmoid()) * c * c.sigmoid()
    torch.testing.assert_close(wanted[1][0], first)


def test_a_weight_takes_two_bits_and_the_state_does_not_grow():
    axes = AXES | {"width": 64, "mlp": 128}
    weights = module.weights(axes, Rand(3, dtype=torch.bfloat16, device=DEVICE))
    packed, latent, transformer = (
        module.SUBJECTS[name](axes, weights).footprint() for name in ("technique", "eager", "paper")
    )
    numbers, rows = 2 * (4 * 64 * 64 + 3 * 64 * 128), 2 * (4 * 64 + 2 * 128 + 64)
    assert packed["weights"] == numbers // 4 + 4 * rows
    assert latent["weights"] == transformer["weights"] == 2 * numbers
    assert packed["kv_cache"] == 2 * 2 * 64 * 4
    assert transformer["kv_cache"] == 2 * 2 * 2 * 64 * 3 * 2
    assert module.make_paper(axes, weights)(weights["states"][0].bfloat16()).shape == (2, 64)


def test_kernels_compile_for_hopper(compile_for_hopper):
    types = {"Codes": "*i8", "Scales": "*fp32", "Packed": "*u8", "WeightScales": "*fp32", "epsilon": "fp32"}
    types |= dict.fromkeys(("tokens", "outputs", "width", "quarter"), "i32")
    tile = {"WITH_RESIDUAL": True, "BLOCK_N": 32, "BLOCK_K": 128}
    kernels = {
        "norm": (MODULE, "_norm_quantize_kernel", types, {"BLOCK": 8192}, 4),
        "few": (MODULE, "_ternary_kernel", types, tile | {"BLOCK_M": 16}, 4),
        "many": (MODULE, "_ternary_kernel", types, tile | {"BLOCK_M": 64}, 4),
    }
    assert set(compile_for_hopper(kernels)) == set(kernels)
