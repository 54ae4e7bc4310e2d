"""The fused output layer and cross-entropy gives the loss and gradients of the plain one, chunk by chunk."""

import os
from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.kernels_compilers import liger_kernel as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
AXES = {"tokens": 7, "hidden": 24, "vocab": 67, "chunk": 3}


def loss_and_gradients(
    subject: Callable[..., torch.Tensor], inputs: tuple[torch.Tensor, ...], cotangent: float = 1.0
) -> list[torch.Tensor]:
    hidden, weight = (tensor.detach().clone().requires_grad_() for tensor in inputs[:2])
    loss = subject(hidden, weight, inputs[2])
    gradients = torch.autograd.grad(loss, [hidden, weight], torch.full_like(loss, cotangent))
    return [loss.detach(), *gradients]


def in_double(inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return inputs[0].double(), inputs[1].double(), inputs[2]


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((found.double() - wanted).norm() / wanted.norm()).item()


@pytest.mark.parametrize("cotangent", [1.0, -0.3], ids=["gradient-as-is", "gradient-scaled"])
@pytest.mark.parametrize(
    ("changed", "dtype", "tolerance"),
    [
        pytest.param({}, torch.float32, 1e-6, id="last-chunk-shorter"),
        pytest.param({"chunk": 64}, torch.float32, 1e-6, id="one-chunk"),
        pytest.param({"chunk": 1, "tokens": 3}, torch.float32, 1e-6, id="token-by-token"),
        pytest.param({"vocab": 128}, torch.float32, 1e-6, id="vocab-fills-its-blocks"),
        pytest.param({"vocab": 3}, torch.float32, 1e-6, id="vocab-smaller-than-a-block"),
        pytest.param({}, torch.float16, 2e-3, id="half-precision"),
    ],
)
def test_loss_and_gradients_are_those_of_all_logits_in_float64(changed, dtype, tolerance, cotangent):
    axes = AXES | changed
    inputs = module.inputs(axes, Rand(3, dtype=dtype, device=DEVICE, distribution="uniform"))
    wanted = loss_and_gradients(module.make_eager(axes, {}), in_double(inputs), cotangent)
    found = loss_and_gradients(module.make_technique(axes, {}), inputs, cotangent)
    for label, each, reference in zip(["loss", "hidden", "weight"], found, wanted, strict=True):
        assert each.dtype == dtype
        assert relative_error(each, reference) < tolerance, label


@pytest.mark.parametrize("name", ["paper", "library"])
def test_the_other_rungs_agree_with_the_definition(name):
    if name == "library" and not hasattr(torch.nn.functional, "linear_cross_entropy"):
        pytest.skip("this torch has no linear_cross_entropy")
    inputs = module.inputs(AXES, Rand(3, device=DEVICE))
    wanted = loss_and_gradients(module.make_eager(AXES, {}), in_double(inputs))
    found = loss_and_gradients(module.SUBJECTS[name](AXES, {}), inputs)
    assert all(relative_error(each, reference) < 1e-6 for each, reference in zip(found, wanted, strict=True))


def test_logits_too_large_for_a_plain_exponential_stay_finite():
    hidden, weight, targets = module.inputs(AXES, Rand(5, device=DEVICE))
    inputs = (200 * hidden, weight, targets)
    wanted = loss_and_gradients(module.make_eager(AXES, {}), in_double(inputs))
    found = loss_and_gradients(module.make_technique(AXES, {}), inputs)
    assert all(relative_error(each, reference) < 1e-4 for each, reference in zip(found, wanted, strict=True))


def test_tokens_that_do_not_count_have_no_gradient():
    hidden, weight, targets = module.inputs(AXES, Rand(6, device=DEVICE))
    targets[2:5] = module.IGNORED
    gradient = loss_and_gradients(module.make_technique(AXES, {}), (hidden, weight, targets))[1]
    assert torch.count_nonzero(gradient[2:5]) == 0


def test_a_target_outside_the_vocabulary_shows_as_nan_and_not_as_a_plausible_loss():
    hidden, weight, targets = module.inputs(AXES, Rand(6, device=DEVICE))
    targets[4] = AXES["vocab"]
    assert torch.isnan(module.make_technique(AXES, {})(hidden, weight, targets))


def test_inputs_are_left_alone_and_no_gradient_is_made_that_nobody_wants():
    inputs = module.inputs(AXES, Rand(7, device=DEVICE))
    before = [tensor.clone() for tensor in inputs]
    loss = module.make_technique(AXES, {})(*inputs)
    assert not loss.requires_grad
    assert all(torch.equal(now, then) for now, then in zip(inputs, before, strict=True))


def test_gradients_are_handed_out_once():
    hidden, weight, targets = module.inputs(AXES, Rand(8, device=DEVICE))
    loss = module.make_technique(AXES, {})(hidden.requires_grad_(), weight, targets)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="compute the loss again"):
        loss.backward()


def test_shapes_that_do_not_fit_are_refused():
    hidden, weight, targets = module.inputs(AXES, Rand(8, device=DEVICE))
    with pytest.raises(ValueError, match=r"weight \(vocab, hidden\)"):
        module.make_technique(AXES, {})(hidden, weight[:, :5], targets)


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="no CUDA device: real sizes need one")
def test_a_real_vocabulary_is_as_near_to_float64_as_plain_pytorch_and_needs_less_memory():
    axes = {"tokens": 2048, "hidden": 512, "vocab": 128256, "chunk": 256}
    inputs = module.inputs(axes, Rand(3, dtype=torch.bfloat16, device=DEVICE))
    wanted = loss_and_gradients(module.make_eager(axes, {}), in_double(inputs))
    peaks, errors = {}, {}
    for name in ("paper", "technique"):
        torch.cuda.reset_peak_memory_stats()
        start = torch.cuda.memory_allocated()
        found = loss_and_gradients(module.SUBJECTS[name](axes, {}), inputs)
        peaks[name] = torch.cuda.max_memory_allocated() - start
        errors[name] = [relative_error(each, reference) for each, reference in zip(found, wanted, strict=True)]
    assert peaks["technique"] < peaks["paper"] / 2
    assert all(found <= max(3 * allowed, 8e-3) for found, allowed in zip(*errors.values(), strict=True))
