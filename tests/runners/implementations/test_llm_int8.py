"""LLM.int8(): near the 16-bit layer on odd shapes, outliers spared, half the bytes."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks import int8  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.quantization import llm_int8 as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
KERNELS = [pytest.param(False, id="pytorch"), pytest.param(True, id="kernels")]
SHAPES = [
    pytest.param({"tokens": 19, "features": 221, "outputs": 77, "outliers": 3}, id="ragged"),
    pytest.param({"tokens": 1, "features": 64, "outputs": 8, "outliers": 1}, id="one-token"),
    pytest.param({"tokens": 33, "features": 130, "outputs": 150, "outliers": 20}, id="more-outliers-than-a-tile"),
]


def relative_error(found, wanted):
    return ((found.double() - wanted).norm() / wanted.norm()).item()


def product_in_float64(activations, weight):
    return activations.double() @ weight.double().t()


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize("axes", SHAPES)
def test_output_is_near_that_of_the_layer_in_float64(axes, distribution, dtype, kernels):
    rand = Rand(1, dtype=dtype, device=DEVICE, distribution=distribution)
    weight = module.weights(axes, rand)["weight"]
    (activations,) = module.inputs(axes, rand)
    found = module.Int8Linear(weight, kernels=kernels)(activations)
    assert found.dtype == dtype
    assert relative_error(found, product_in_float64(activations, weight)) < 0.02


@pytest.mark.parametrize("kernels", KERNELS)
def test_activations_without_outliers_work(kernels):
    rand = Rand(2, device=DEVICE)
    weight, activations = rand.gaussian(24, 40), rand.uniform(7, 40)
    found = module.Int8Linear(weight, kernels=kernels)(activations)
    assert relative_error(found, product_in_float64(activations, weight)) < 0.02


def test_outliers_in_16_bits_save_the_regular_features(monkeypatch):
    axes = {"tokens": 32, "features": 512, "outputs": 64, "outliers": 3}
    rand = Rand(3, device=DEVICE)
    weight = module.weights(axes, rand)["weight"]
    (activations,) = module.inputs(axes, rand)
    # Without weights for the outliers only the regular features count, and the outliers' hold on the scales is all that is left.
    weight[:, torch.arange(3) * 512 // 3] = 0
    wanted = product_in_float64(activations, weight)
    decomposed = relative_error(module.Int8Linear(weight)(activations), wanted)
    monkeypatch.setattr(module, "THRESHOLD", float("inf"))
    assert relative_error(module.Int8Linear(weight)(activations), wanted) > 3 * decomposed


@pytest.mark.parametrize("kernels", KERNELS)
def test_rows_of_codes_reach_127_and_scales_undo_them(kernels):
    rand = Rand(4, device=DEVICE)
    values = rand.normal(6, 45)
    if kernels:
        codes, scales = module.quantize_rows_kernel(values, torch.zeros(45, dtype=torch.bool, device=DEVICE), 48)
        assert (codes[:, 45:] == 0).all()
        codes = codes[:6, :45]
    else:
        codes, scales = module.quantize_rows(values)
    assert (codes.abs().amax(dim=1) == 127).all()
    assert ((codes * scales[:, None] - values).abs() <= scales[:, None] * 0.501).all()


@pytest.mark.parametrize("exact_units", [True, False])
def test_integer_product_is_exact_at_the_largest_codes(exact_units, monkeypatch):
    if exact_units and DEVICE == "cpu" and not int8.integer_units_are_exact():
        pytest.skip("this CPU's 8-bit units saturate")
    monkeypatch.setattr(int8, "integer_units_are_exact", lambda: exact_units)
    left = torch.full((24, 2056), 127, dtype=torch.int8, device=DEVICE)
    right = torch.full((16, 2056), -127, dtype=torch.int8, device=DEVICE)
    assert (int8.int8_matmul(left, right) == -127 * 127 * 2056).all()


@pytest.mark.parametrize("kernels", KERNELS)
def test_activations_and_weight_are_left_alone(kernels):
    axes = {"tokens": 5, "features": 33, "outputs": 9, "outliers": 2}
    rand = Rand(5, device=DEVICE)
    weight, (activations,) = module.weights(axes, rand)["weight"], module.inputs(axes, rand)
    before = weight.clone(), activations.clone()
    module.Int8Linear(weight, kernels=kernels)(activations)
    assert torch.equal(weight, before[0])
    assert torch.equal(activations, before[1])


def test_weights_take_half_the_bytes_of_16_bits():
    axes = {"tokens": 4, "features": 1024, "outputs": 256, "outliers": 1}
    rand = Rand(6, dtype=torch.bfloat16, device=DEVICE)
    weights = module.weights(axes, rand)
    small = module.make_technique(axes, weights).footprint()["weights"]
    assert small == 256 * 1024 + 256 * 4
    assert module.make_eager(axes, weights).footprint()["weights"] == 2 * 256 * 1024


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_a_layer_of_a_language_model_is_right():
    axes = {"tokens": 300, "features": 4096, "outputs": 4096, "outliers": 6}
    rand = Rand(7, dtype=torch.bfloat16, device="cuda")
    weights, (activations,) = module.weights(axes, rand), module.inputs(axes, rand)
    subject = module.make_technique(axes, weights)
    assert subject.kernels
    assert relative_error(subject(activations), product_in_float64(activations, weights["weight"])) < 0.02
