"""TKL's attention: each token sees its chunk and the overlap, padding is neither read nor packed."""

import math

import pytest

torch = pytest.importorskip("torch")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.efficient_attention import tk_local as module  # noqa: E402

AXES = {"batch": 3, "heads": 2, "seq": 45, "dim": 8, "chunk": 8, "overlap": 3}


def token_by_token(q, k, v, lengths):
    output = torch.zeros_like(q)
    for document, length in enumerate(lengths.tolist()):
        for token in range(length):
            start = token // 8 * 8
            keys = slice(max(0, start - 3), min(length, start + 8 + 3))
            scores = torch.einsum("hd,khd->hk", q[document, token], k[document, keys]) / math.sqrt(8)
            output[document, token] = torch.einsum("hk,khd->hd", scores.softmax(-1), v[document, keys])
    return output


@pytest.mark.parametrize("name", ["technique", "eager", "library"])
def test_output_is_that_of_a_loop_over_tokens(name):
    q, k, v, _ = (each.double() for each in module.inputs(AXES, Rand(1)))
    lengths = torch.tensor([1, 45, 19])
    found = module.SUBJECTS[name](AXES, {})(q, k, v, lengths)
    torch.testing.assert_close(found, token_by_token(q, k, v, lengths))


def test_padding_is_never_read():
    q, k, v, _ = module.inputs(AXES, Rand(2))
    lengths = torch.tensor([5, 30, 16])
    attend = module.make_technique(AXES, {})
    before = attend(q, k, v, lengths)
    for document, length in enumerate(lengths.tolist()):
        for each in (q, k, v):
            each[document, length:] = 1e4
    assert torch.equal(attend(q, k, v, lengths), before)


def test_only_chunks_with_tokens_are_packed():
    assert module.make_technique(AXES, {}).packed_chunks(torch.tensor([1, 8, 9])) == 1 + 1 + 2
    whole = module.make_paper(AXES, {})(*module.inputs(AXES, Rand(3)))
    assert whole.shape == (3, 45, 2, 8)
