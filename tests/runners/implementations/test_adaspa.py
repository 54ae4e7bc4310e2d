"""AdaSpa: the search finds the blocks that attention falls on, they still serve a step later, spread heads get more."""

import math
import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from runners.blocks.block_sparse import dense_mask  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.efficient_attention import adaspa as module  # noqa: E402

AXES = {"batch": 1, "heads": 4, "seq": 500, "dim": 64, "stripes": 2, "block": 32, "density": 400}


def error(name, axes, weights, inputs):
    wanted = module.SUBJECTS["library"](axes, weights)(*inputs)
    return ((module.SUBJECTS[name](axes, weights)(*inputs) - wanted).norm() / wanted.norm()).item()


def test_lists_of_an_earlier_step_are_nearly_as_good_as_new_ones():
    weights, inputs = module.weights(AXES, Rand(1)), module.inputs(AXES, Rand(2))
    reused, searched = error("technique", AXES, weights, inputs), error("searching", AXES, weights, inputs)
    assert searched <= reused < 0.15
    assert module.make_technique(AXES, weights).lists.density() < 0.5


def test_chosen_blocks_catch_the_most_attention_that_so_many_can():
    weights = module.weights({**AXES, "heads": 1}, Rand(3))
    subject = module.make_technique({**AXES, "heads": 1, "density": 250}, weights)
    scores = weights["earlier_q"].double() @ weights["earlier_k"].double().transpose(-1, -2) / math.sqrt(64)
    mask = dense_mask(subject.lists, 500)
    caught = (scores.softmax(-1) * mask).sum((0, 1, 3))
    blocks = torch.stack([part.sum(-1) for part in scores.softmax(-1)[0, 0].split(32, -1)], -1)
    best = torch.stack([rows.sum(0).topk(4).values.sum() for rows in blocks.split(32)])
    assert torch.allclose(torch.stack([rows.sum() for rows in caught.split(32)]), best, rtol=1e-4)


def test_spread_heads_get_more_blocks_and_the_sum_stays():
    weights = module.weights(AXES, Rand(4))
    weights["earlier_q"][:, 2] *= 0.3
    counts = module.make_technique(AXES, weights).lists.counts[0, :, 0]
    assert counts.argmax() == 2
    assert counts.sum() == 4 * round(0.4 * 16)


def test_all_blocks_are_dense_attention():
    axes = {**AXES, "density": 2000}
    weights, inputs = module.weights(axes, Rand(5)), module.inputs(axes, Rand(6))
    assert error("technique", axes, weights, inputs) < 1e-5


def test_the_kernels_choose_and_attend_as_the_gathering_form_does():
    pytest.importorskip("triton")
    axes = {**AXES, "heads": 2, "seq": 110, "dim": 32}
    weights, inputs = module.weights(axes, Rand(7)), module.inputs(axes, Rand(8))
    found = module.AdaptiveBlocks(axes, weights, kernels=True)(*inputs)
    wanted = module.AdaptiveBlocks(axes, weights, kernels=False)(*inputs)
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
