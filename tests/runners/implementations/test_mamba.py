"""The fused scan and its backward pass are the recurrence's, whatever chunks the sequence falls into."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.ssm_recurrent import mamba as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SCAN = "runners.blocks.scan"
AXES = {"batch": 2, "channels": 3, "state": 2, "seq": 9, "decode": 0, "context": 4}


def by_hand(x, delta, a, b, c, skip):
    """One number at a time, differentiable."""
    rows = []
    for entry in range(x.shape[0]):
        for channel in range(x.shape[1]):
            h = [0.0] * a.shape[1]
            for t in range(x.shape[2]):
                step = torch.log1p(torch.exp(delta[entry, channel, t]))
                total = skip[channel] * x[entry, channel, t]
                for n in range(a.shape[1]):
                    kept = torch.exp(step * a[channel, n]) * h[n]
                    h[n] = kept + step * b[entry, n, t] * x[entry, channel, t]
                    total = total + c[entry, n, t] * h[n]
                rows.append(total)
    return torch.stack(rows).view(x.shape)


@pytest.mark.parametrize("seq", [1, 8, 19], ids=["one-token", "a-whole-chunk", "ragged-chunks"])
@pytest.mark.parametrize("shift", [-12.0, 4.0], ids=["tiny-steps", "large-steps"])
def test_output_and_gradients_are_the_recurrences(seq, shift):
    axes = AXES | {"seq": seq}
    leaves = list(module.inputs(axes, Rand(1, device=DEVICE, distribution="uniform")))
    leaves[1] = leaves[1] + 4 + shift
    leaves = [each.requires_grad_() for each in leaves]
    exact = [each.detach().double().requires_grad_() for each in leaves]
    y, wanted = module.make_technique(axes, {})(*leaves), by_hand(*exact)
    torch.testing.assert_close(y.double(), wanted, rtol=1e-5, atol=1e-6)
    cotangent = Rand(2, device=DEVICE).gaussian(*y.shape)
    found = torch.autograd.grad(y, leaves, cotangent)
    for each, reference in zip(found, torch.autograd.grad(wanted, exact, cotangent.double()), strict=True):
        assert (each.double() - reference).norm() <= 3e-6 * reference.norm()


def test_steps_one_after_the_other_are_the_scan():
    x, delta, a, b, c, skip = module.inputs(AXES, Rand(3, device=DEVICE))
    wanted = module.make_technique(AXES, {})(x, delta, a, b, c, skip)
    axes, state, rows = AXES | {"decode": 1, "seq": 1}, torch.zeros(2, 3, 2, device=DEVICE), []
    for t in range(AXES["seq"]):
        now = slice(t, t + 1)
        y, state = module.make_technique(axes, {"state": state})(
            x[:, :, now], delta[:, :, now], a, b[:, :, now], c[:, :, now], skip
        )
        rows.append(y)
    torch.testing.assert_close(torch.cat(rows, 2), wanted, rtol=1e-5, atol=1e-6)


def test_decoding_keeps_a_state_that_does_not_grow_with_the_context():
    held = {}
    for context in (64, 4096):
        axes = AXES | {"decode": 1, "seq": 1, "channels": 256, "state": 16, "context": context}
        weights = module.weights(axes, Rand(4, dtype=torch.bfloat16))
        held[context] = [
            module.SUBJECTS[name](axes, weights).footprint()["kv_cache"] for name in ("technique", "paper")
        ]
    assert held[64][0] == held[4096][0] == 2 * 256 * 16 * 4
    assert held[4096][1] == 64 * held[64][1] == 2 * 2 * 128 * 4096 * 2


def test_decoding_agrees_with_the_eager_rung_and_attention_runs():
    axes = AXES | {"decode": 1, "seq": 1, "channels": 4}
    rand = Rand(5, device=DEVICE)
    weights, inputs = module.weights(axes, rand), module.inputs(axes, rand)
    found, wanted = module.make_technique(axes, weights)(*inputs), module.make_eager(axes, weights)(*inputs)
    for each, reference in zip(found, wanted, strict=True):
        torch.testing.assert_close(each, reference, rtol=1e-5, atol=1e-6)
    assert module.make_paper(axes, weights)(*inputs).shape == (2, 1, 1, 2)
    assert module.make_paper(axes | {"decode": 0}, {})(*inputs).shape == (2, 1, 1, 2)


def test_kernels_compile_for_hopper(compile_for_hopper):
    sums = ("Starts", "DA", "DB", "DC", "DSkip", "State", "Next")
    types = dict.fromkeys(sums, "*fp32") | {"channels": "i32", "seq": "i32"}
    tile = {"STATE": 16, "BLOCK_C": 4, "CHUNK": 256}
    kernels = {
        "forward": (SCAN, "_forward_kernel", types, tile, 4),
        "backward": (SCAN, "_backward_kernel", types, tile, 4),
        "step": (SCAN, "_step_kernel", types, {"STATE": 16, "BLOCK_C": 64}, 4),
    }
    assert set(compile_for_hopper(kernels)) == set(kernels)
