"""The chunk-wise form of gated linear attention gives the recurrence's output and gradients, however strong the gates."""

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.ssm_recurrent import gated_linear_attention as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
AXES = {"batch": 2, "seq": 37, "heads": 2, "dim_k": 12, "dim_v": 20, "chunk": 16, "softmax_dim": 4}


def output_and_gradients(subject: Callable[..., torch.Tensor], inputs: tuple[torch.Tensor, ...]) -> list[torch.Tensor]:
    leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    output = subject(*leaves)
    cotangent = Rand(11, device=output.device).gaussian(*output.shape).to(output.dtype)
    return [output.detach(), *torch.autograd.grad(output, leaves, cotangent)]


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((found.double() - wanted).norm() / wanted.norm()).item()


def in_double(inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return tuple(tensor.double() for tensor in inputs)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({}, id="last-chunk-padded"),
        pytest.param({"seq": 64}, id="whole-chunks"),
        pytest.param({"seq": 1}, id="one-token"),
        pytest.param({"seq": 3, "chunk": 64}, id="shorter-than-a-chunk"),
        pytest.param({"chunk": 1}, id="chunks-of-one"),
        pytest.param({"chunk": 2}, id="chunks-of-two"),
    ],
)
def test_output_and_gradients_are_those_of_the_recurrence_in_float64(changed):
    axes = AXES | changed
    inputs = module.inputs(axes, Rand(3, device=DEVICE, distribution="uniform"))
    wanted = output_and_gradients(module.make_eager(axes, {}), in_double(inputs))
    found = output_and_gradients(module.make_technique(axes, {}), inputs)
    for label, each, reference in zip(["output", "dq", "dk", "dv", "dgate"], found, wanted, strict=True):
        if reference.norm() > 0:  # one token: its gate meets an empty state
            assert relative_error(each, reference) < 2e-6, label


def test_the_recurrence_is_the_sum_over_earlier_tokens_that_it_claims_to_be():
    q, k, v, log_gate = in_double(module.inputs(AXES, Rand(4)))
    wanted = torch.zeros(AXES["batch"], AXES["seq"], AXES["heads"], AXES["dim_v"], dtype=torch.float64)
    for i in range(AXES["seq"]):
        for j in range(i + 1):
            kept = log_gate[:, j + 1 : i + 1].sum(1).exp()
            wanted[:, i] += (q[:, i] * k[:, j] * kept).sum(-1, keepdim=True) * v[:, j] / AXES["dim_k"] ** 0.5
    assert relative_error(module.make_eager(AXES, {})(q, k, v, log_gate), wanted) < 1e-12


def test_gates_that_close_all_but_wholly_neither_overflow_nor_lose_the_answer():
    q, k, v, log_gate = module.inputs(AXES, Rand(5, device=DEVICE))
    log_gate[:, ::3] = -60.0  # exp(-B) of a chunk would reach exp(300)
    inputs = (q, k, v, log_gate)
    wanted = output_and_gradients(module.make_eager(AXES, {}), in_double(inputs))
    found = output_and_gradients(module.make_technique(AXES, {}), inputs)
    for each, reference in zip(found, wanted, strict=True):
        assert torch.isfinite(each).all()
        assert relative_error(each, reference) < 2e-5


def test_the_scan_over_chunks_has_the_gradient_of_its_definition():
    generator = torch.Generator().manual_seed(2)
    decay = torch.rand(1, 2, 4, 3, dtype=torch.float64, generator=generator, requires_grad=True)
    update = torch.randn(1, 2, 4, 3, 5, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(module.ChunkStates.apply, (decay, update))


def test_inputs_are_left_alone():
    inputs = module.inputs(AXES, Rand(7, device=DEVICE))
    before = [tensor.clone() for tensor in inputs]
    module.make_technique(AXES, {})(*inputs)
    assert all(torch.equal(now, then) for now, then in zip(inputs, before, strict=True))


def test_softmax_attention_stands_in_with_the_same_shapes():
    axes = AXES | {"dim_k": 16, "dim_v": 16}
    q, k, v, log_gate = module.inputs(axes, Rand(8, device=DEVICE))
    attended = module.make_softmax_attention(axes, {})(q, k, v, log_gate)
    assert attended.shape == v.shape
    assert torch.allclose(attended[:, 0], v[:, 0])  # the first token sees itself alone


@pytest.mark.parametrize("chunk", [0, 12], ids=["zero", "not-a-power-of-two"])
def test_a_chunk_that_cannot_be_halved_is_refused(chunk):
    with pytest.raises(ValueError, match="power of two"):
        module.make_technique(AXES | {"chunk": chunk}, {})


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="no CUDA device: bfloat16 at real head sizes needs one")
def test_bfloat16_on_a_gpu_stays_near_the_recurrence():
    axes = {"batch": 1, "seq": 500, "heads": 2, "dim_k": 256, "dim_v": 256, "chunk": 128, "softmax_dim": 128}
    inputs = module.inputs(axes, Rand(3, dtype=torch.bfloat16, device=DEVICE))
    wanted = output_and_gradients(module.make_eager(axes, {}), in_double(inputs))
    plain = output_and_gradients(module.make_eager(axes, {}), inputs)
    found = output_and_gradients(module.make_technique(axes, {}), inputs)
    for each, allowed, reference in zip(found, plain, wanted, strict=True):
        assert relative_error(each, reference) <= 4 * relative_error(allowed, reference)
