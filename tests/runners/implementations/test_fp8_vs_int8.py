"""8-bit integers beside 8-bit floating point: formats round as they are defined, and tails decide which one errs less."""

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.quantization import fp8_vs_int8 as module  # noqa: E402

AXES = {"tokens": 24, "features": 256, "outputs": 64, "tail": 0}


def all_numbers(exponent_bits):
    """Every magnitude of a format without infinities, the largest scaled to what one mantissa short of 2 is."""
    mantissa = 7 - exponent_bits
    lowest = 2 - 2**exponent_bits
    normal = [2.0**e * (1 + m / 2**mantissa) for e in range(lowest, 1) for m in range(2**mantissa)]
    subnormal = [2.0**lowest * m / 2**mantissa for m in range(2**mantissa)]
    return torch.tensor(subnormal + normal, dtype=torch.float64)


@pytest.mark.parametrize("exponent_bits", [2, 3, 4, 5])
def test_values_go_to_the_nearest_number_of_the_format(exponent_bits):
    numbers = all_numbers(exponent_bits)
    values = torch.randn(4, 300, generator=torch.Generator().manual_seed(1))
    scales = values.abs().amax(1, keepdim=True) / numbers.max()
    nearest = (values.double()[..., None].abs() / scales.double()[..., None] - numbers).abs().amin(-1) * scales
    found = (module.rounded(values, exponent_bits).double() - values.double()).abs()
    torch.testing.assert_close(found, nearest, rtol=1e-4, atol=2e-7)


def test_e4m3_is_the_format_of_torch_but_for_its_one_missing_code():
    values = torch.randn(8, 200, generator=torch.Generator().manual_seed(2))
    scales = module.row_scales(values, module.E4M3_LARGEST)
    theirs = (values / scales).to(torch.float8_e4m3fn).float() * scales
    ours = module.rounded(values, 4)
    assert (theirs - values).norm() == pytest.approx((ours - values).norm().item(), rel=0.1)


def test_integers_err_less_on_normal_values_and_more_on_heavy_tails():
    errors = {}
    for tail in (0, 150):
        axes = AXES | {"tail": tail, "features": 4096, "tokens": 16}
        rand = Rand(4)
        subject = module.make_technique(axes, module.weights(axes, rand))
        subject(*module.inputs(axes, rand))
        errors[tail] = subject.footprint()
    assert errors[0]["error_int8_ppm"] < 0.5 * errors[0]["error_e4m3_ppm"] < errors[0]["error_e5m2_ppm"]
    assert errors[150]["error_int8_ppm"] > 1.5 * errors[150]["error_e4m3_ppm"]


def test_what_is_told_of_the_measured_formats_is_what_they_err():
    axes, rand = AXES | {"tail": 40}, Rand(5)
    weights, (x,) = module.weights(axes, rand), module.inputs(axes, rand)
    subject = module.make_technique(axes, weights)
    wanted = x.double() @ weights["weight"].double().t()
    for make, name in ((module.make_technique, "int8"), (module.make_fp8, "e4m3")):
        error = (make(axes, weights)(x).double() - wanted).norm() / wanted.norm()
        subject(x)
        assert subject.footprint()[f"error_{name}_ppm"] == pytest.approx(1e6 * error.item(), rel=0.12)


def test_both_take_a_byte_a_weight():
    weights = module.weights(AXES, Rand(6))
    for make in (module.make_technique, module.make_fp8):
        assert make(AXES, weights).footprint()["weights"] == 64 * 256 + 4 * 64
