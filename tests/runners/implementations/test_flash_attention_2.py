"""FlashAttention-2 and the first FlashAttention give plain attention's output and gradients on ragged shapes."""

import os
from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.efficient_attention import flash_attention_2 as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TILED = ["technique", "paper"]


def output_and_gradients(subject: Callable[..., torch.Tensor], inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    output = subject(*leaves)
    cotangent = Rand(11, device=output.device).gaussian(*output.shape).to(output.dtype)
    return [output.detach(), *torch.autograd.grad(output, leaves, cotangent)]


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((found.double() - wanted).norm() / wanted.norm()).item()


@pytest.mark.parametrize("name", TILED)
@pytest.mark.parametrize(
    ("axes", "dtype", "tolerance"),
    [
        pytest.param({"heads": 2, "seq": 37, "dim": 16, "causal": 1}, torch.float32, 1e-6, id="ragged-causal"),
        pytest.param({"heads": 1, "seq": 50, "dim": 24, "causal": 0}, torch.float32, 1e-6, id="dim-not-a-power-of-two"),
        pytest.param({"heads": 1, "seq": 17, "dim": 128, "causal": 1}, torch.float32, 1e-6, id="widest-dim"),
        pytest.param({"heads": 1, "seq": 3, "dim": 8, "causal": 0}, torch.float32, 1e-6, id="smaller-than-a-tile"),
        pytest.param({"heads": 1, "seq": 128, "dim": 16, "causal": 1}, torch.float32, 1e-6, id="no-ragged-tile"),
        pytest.param({"heads": 1, "seq": 41, "dim": 32, "causal": 1}, torch.float16, 2e-3, id="half-precision"),
    ],
)
def test_output_and_gradients_are_those_of_plain_attention_in_float64(name, axes, dtype, tolerance):
    axes = {"batch": 1, **axes}
    inputs = list(module.inputs(axes, Rand(3, dtype=dtype, device=DEVICE, distribution="uniform")))
    wanted = output_and_gradients(module.make_eager(axes, {}), [tensor.double() for tensor in inputs])
    found = output_and_gradients(module.SUBJECTS[name](axes, {}), inputs)
    for label, each, reference in zip(["output", "dq", "dk", "dv"], found, wanted, strict=True):
        assert each.dtype == dtype
        assert relative_error(each, reference) < tolerance, label


@pytest.mark.parametrize(("dtype", "kernel"), [(torch.float16, "flash"), (torch.float32, "efficient")])
def test_the_rung_without_cudnn_is_the_librarys_own_attention(dtype, kernel):
    axes = {"batch": 1, "heads": 2, "seq": 40, "dim": 32, "causal": 1}
    inputs = [each.requires_grad_() for each in module.inputs(axes, Rand(3, dtype=dtype, device=DEVICE))]
    output = module.SUBJECTS["flash"](axes, {})(*inputs)
    assert relative_error(output, module.make_eager(axes, {})(*[each.double() for each in inputs])) < 2e-3
    assert (kernel if DEVICE == "cuda" else "flash") in output.grad_fn.name().lower()


@pytest.mark.parametrize("name", TILED)
def test_scores_too_large_for_a_plain_exponential_stay_finite(name):
    axes = {"batch": 1, "heads": 1, "seq": 21, "dim": 16, "causal": 1}
    inputs = [40 * tensor for tensor in module.inputs(axes, Rand(5, device=DEVICE))]
    wanted = output_and_gradients(module.make_eager(axes, {}), [tensor.double() for tensor in inputs])
    found = output_and_gradients(module.SUBJECTS[name](axes, {}), inputs)
    assert relative_error(found[0], wanted[0]) < 1e-4
    assert all(torch.isfinite(each).all() for each in found)


@pytest.mark.parametrize("name", TILED)
def test_inputs_with_odd_strides_are_read_right_and_left_alone(name):
    axes = {"batch": 2, "heads": 2, "seq": 19, "dim": 16, "causal": 1}
    strided = [tensor.transpose(1, 2).contiguous().transpose(1, 2) for tensor in module.inputs(axes, Rand(7))]
    strided = [tensor.to(DEVICE) for tensor in strided]
    before = [tensor.clone() for tensor in strided]
    output = module.SUBJECTS[name](axes, {})(*strided)
    wanted = module.make_eager(axes, {})(*[tensor.double() for tensor in strided])
    assert relative_error(output, wanted) < 1e-6
    assert all(torch.equal(now, then) for now, then in zip(strided, before, strict=True))


def test_a_later_key_never_changes_a_causal_output():
    axes = {"batch": 1, "heads": 1, "seq": 35, "dim": 16, "causal": 1}
    q, k, v = module.inputs(axes, Rand(9, device=DEVICE))
    attend = module.make_technique(axes, {})
    first = attend(q, k, v)
    k[:, :, 20:], v[:, :, 20:] = 9.0, -9.0
    assert torch.equal(attend(q, k, v)[:, :, :20], first[:, :, :20])


@pytest.mark.parametrize(
    ("shapes", "dtype", "words"),
    [
        pytest.param([(1, 1, 4, 16), (1, 1, 5, 16), (1, 1, 5, 16)], torch.float32, "one shape", id="key-length"),
        pytest.param([(1, 1, 4, 256)] * 3, torch.float32, "at most 128", id="dim-too-wide"),
        pytest.param([(1, 1, 4, 16)] * 3, torch.float64, "float16, bfloat16 or float32", id="double"),
    ],
)
def test_what_the_kernels_cannot_do_is_refused_with_the_reason(shapes, dtype, words):
    inputs = [torch.zeros(shape, dtype=dtype, device=DEVICE) for shape in shapes]
    with pytest.raises(ValueError, match=words):
        module.make_technique({"causal": 0}, {})(*inputs)


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="no CUDA device: the tuned bfloat16 kernels only run on one")
@pytest.mark.parametrize("name", TILED)
@pytest.mark.parametrize("causal", [0, 1], ids=["full", "causal"])
@pytest.mark.parametrize("seq", [1024, 1000], ids=["even", "ragged"])
def test_tuned_kernels_are_as_near_to_float64_as_plain_attention(name, causal, seq):
    axes = {"batch": 2, "heads": 4, "seq": seq, "dim": 128, "causal": causal}
    inputs = list(module.inputs(axes, Rand(3, dtype=torch.bfloat16, device=DEVICE)))
    wanted = output_and_gradients(module.make_eager(axes, {}), [tensor.double() for tensor in inputs])
    plain = output_and_gradients(module.make_eager(axes, {}), inputs)
    found = output_and_gradients(module.SUBJECTS[name](axes, {}), inputs)
    for each, allowed, reference in zip(found, plain, wanted, strict=True):
        assert relative_error(each, reference) <= 2 * relative_error(allowed, reference)
