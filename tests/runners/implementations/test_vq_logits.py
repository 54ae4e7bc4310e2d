"""VQ-Logits: each token gets its code's score, kernel and PyTorch agree, the bytes of codebook and map."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.weight_sharing import vq_logits as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
AXES = {"tokens": 5, "hidden": 16, "vocabulary": 100, "codes": 10}


def test_every_token_has_the_score_of_its_code():
    rand = Rand(1, device=DEVICE)
    weights, (hidden,) = module.weights(AXES, rand), module.inputs(AXES, rand)
    logits = module.make_technique(AXES, weights)(hidden)
    for token in range(100):
        vector = weights["codebook"][weights["code_of"][token]]
        torch.testing.assert_close(logits[:, token], (hidden * vector).sum(1), rtol=1e-5, atol=1e-5)


def test_every_code_is_some_tokens_code():
    assert module.weights(AXES, Rand(2, device=DEVICE))["code_of"].unique().numel() == 10


@pytest.mark.parametrize(("tokens", "codes", "vocabulary"), [(1, 3, 5), (9, 20, 1030), (8, 4, 1024)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_kernel_copies_scores_to_the_bit(tokens, codes, vocabulary, dtype):
    pytest.importorskip("triton")
    rand = Rand(3, dtype=dtype, device=DEVICE)
    scores, code_of = rand.normal(tokens, codes), rand.integers(codes, vocabulary)
    found = module.scatter_scores(scores, module.compact(code_of, codes))
    assert torch.equal(found, scores[:, code_of])


def test_a_map_takes_two_bytes_a_token_until_there_are_too_many_codes():
    code_of = torch.tensor([0, 32766, 5])
    assert module.compact(code_of, 32767).dtype == torch.int16
    assert module.compact(code_of, 32769).tolist() == [0, 32766, 5]
    assert module.compact(code_of, 32769).dtype == torch.int32


def test_footprint_counts_codebook_against_all_rows():
    weights = module.weights(AXES, Rand(4, dtype=torch.bfloat16, device=DEVICE))
    technique, dense = module.make_technique(AXES, weights), module.make_dense(AXES, weights)
    hidden = torch.zeros(5, 16, dtype=torch.bfloat16, device=DEVICE)
    technique(hidden), dense(hidden)
    assert technique.footprint()["parameters"] == 10 * 16
    assert dense.footprint() == {"parameters": 1600, "weights": 3200, "flops": 2 * 5 * 16 * 100}
    assert technique.footprint()["flops"] == 2 * 5 * 16 * 10


def test_kernel_compiles_for_hopper(compile_for_hopper):
    arguments = {"CodeOf": "*i16", "tokens": "i32", "codes": "i32", "vocabulary": "i32"}
    compile_for_hopper({"scatter": (module.__name__, "scatter_program", arguments, {"ROWS": 8, "COLUMNS": 1024}, 4)})
