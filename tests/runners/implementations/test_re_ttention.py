"""Re-ttention: ratio and residual of a dense step bring ultra-sparse attention near the dense one in later steps."""

import math
import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.efficient_attention import re_ttention as module  # noqa: E402

AXES = {"batch": 1, "heads": 3, "seq": 500, "dim": 64, "stripes": 3, "block": 32, "window": 1, "text": 40}


def relative_error(found, wanted):
    return ((found - wanted).norm() / wanted.norm()).item()


def dense_step(weights):
    return [weights[name] for name in ("dense_q", "dense_k", "dense_v")]


def test_later_steps_are_nearer_than_sparse_attention_or_the_old_output():
    weights, inputs = module.weights(AXES, Rand(1)), module.inputs(AXES, Rand(2))
    wanted = module.SUBJECTS["library"](AXES, weights)(*inputs)
    error = relative_error(module.make_technique(AXES, weights)(*inputs), wanted)
    old = module.library_attention(causal=False)(*dense_step(weights))
    assert error < 0.5 * relative_error(module.make_unshaped(AXES, weights)(*inputs), wanted)
    assert error < 0.8 * relative_error(old, wanted)


def test_the_dense_step_itself_comes_out_as_dense_attention():
    weights = module.weights(AXES, Rand(3))
    none = [torch.zeros_like(each) for each in dense_step(weights)]
    found = module.make_technique(AXES, weights)(*none)
    torch.testing.assert_close(found, module.SUBJECTS["library"](AXES, weights)(*none), atol=1e-5, rtol=1e-4)


def test_the_ratio_is_the_share_of_attention_that_falls_on_the_keys_read():
    weights = module.weights(AXES, Rand(4))
    q, k, _ = dense_step(weights)
    shares = (q.double() @ k.double().transpose(-1, -2) / math.sqrt(64)).softmax(-1)
    ratio = module.make_technique(AXES, weights).ratio
    query = 200  # block 6: text in blocks 0 and 1, window of blocks 5 to 7
    wanted = shares[:, :, query, :64].sum(-1) + shares[:, :, query, 160:256].sum(-1)
    torch.testing.assert_close(ratio[:, :, query, 0].double(), wanted, atol=1e-5, rtol=1e-4)


def test_few_blocks_are_read():
    lists = module.window_lists({**AXES, "seq": 17776, "block": 64, "window": 2, "text": 226}, torch.empty(0))
    assert lists.density() == pytest.approx(0.031, abs=0.002)


def test_the_kernels_give_what_the_gathering_form_gives():
    pytest.importorskip("triton")
    axes = {**AXES, "heads": 2, "seq": 110, "dim": 32}
    weights, inputs = module.weights(axes, Rand(5)), module.inputs(axes, Rand(6))
    found = module.Reshaped(axes, weights, kernels=True)(*inputs)
    torch.testing.assert_close(found, module.Reshaped(axes, weights, kernels=False)(*inputs), atol=1e-5, rtol=1e-4)
