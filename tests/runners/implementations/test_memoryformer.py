"""MemoryFormer: rows by signs as in a version by loops, the kernel's splits, a bit's share of the operations."""

import math
import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.conditional_computation import memoryformer as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def made(tokens, features, outputs, bits, seed=1):
    axes = {"tokens": tokens, "features": features, "outputs": outputs, "bits": bits}
    rand = Rand(seed, device=DEVICE)
    return axes, module.weights(axes, rand), module.inputs(axes, rand)[0]


def by_loops(x, tables, bits):
    """In float64; the weight is a softmax over all sign patterns, written out."""
    out = torch.zeros(len(x), tables.shape[2], dtype=torch.float64)
    for token, values in enumerate(x.double().tolist()):
        for piece in range(len(tables)):
            part = values[piece * bits : (piece + 1) * bits]
            scores = [
                sum(value if pattern >> i & 1 else -value for i, value in enumerate(part)) for pattern in range(2**bits)
            ]
            best = max(range(2**bits), key=scores.__getitem__)
            share = math.exp(scores[best]) / sum(math.exp(score) for score in scores)
            out[token] += share * tables[piece, best].double().cpu()
    return out


@pytest.mark.parametrize("make", ["technique", "eager", "library"])
def test_output_is_that_of_a_softmax_over_sign_patterns(make):
    axes, weights, x = made(3, 12, 7, 4)
    found = module.SUBJECTS[make](axes, weights)(x)
    torch.testing.assert_close(found.double().cpu(), by_loops(x, weights["tables"], 4), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("tokens", "features", "outputs", "bits"), [(1, 300, 300, 5), (2, 8, 3, 8), (5, 320, 40, 4), (1, 6, 20, 1)]
)
def test_kernel_adds_the_same_rows(tokens, features, outputs, bits):
    pytest.importorskip("triton")
    axes, weights, x = made(tokens, features, outputs, bits, seed=2)
    x[0, 0] = 0.0  # counts as not positive
    found = module.sum_of_rows(x, weights["tables"])
    torch.testing.assert_close(found, module.make_eager(axes, weights)(x), rtol=1e-4, atol=1e-5)


def test_features_that_bits_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="multiple of bits"):
        made(1, 9, 4, 2)


def test_an_eighth_of_the_operations_for_32_times_the_bytes():
    axes, weights, x = made(5, 64, 16, 8)
    technique, dense = module.make_technique(axes, weights), module.make_dense(axes, weights)
    technique(x), dense(x)
    assert dense.footprint()["flops"] == 8 * technique.footprint()["flops"] == 2 * 5 * 64 * 16
    assert technique.footprint()["weights"] == 32 * dense.footprint()["weights"]


def test_kernel_compiles_for_hopper(compile_for_hopper):
    sizes = {"tokens": "i32", "pieces": "i32", "outputs": "i32", "steps_each": "i32", "slope": "fp32"}
    constants = {"BITS": 8, "BITS_BLOCK": 8, "PIECES": 16, "COLUMNS": 256}
    split = (module.__name__, "rows_program", sizes | {"Sums": "*fp32"}, constants, 4)
    compile_for_hopper({"whole": (module.__name__, "rows_program", sizes, constants, 4), "split": split})
