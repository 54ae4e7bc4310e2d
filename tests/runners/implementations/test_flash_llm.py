"""Flash-LLM: the sparse form loses nothing, products equal naive ones at every sparsity, and it is as small as it says."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.sparsity_pruning import flash_llm as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def layer_and_tokens(tokens, features, outputs, sparsity, dtype=torch.float32):
    axes = {"tokens": tokens, "features": features, "outputs": outputs, "sparsity": sparsity}
    rand = Rand(1, dtype=dtype, device=DEVICE)
    return module.weights(axes, rand)["weight"], *module.inputs(axes, rand)


def relative_error(found, wanted):
    return ((found.double() - wanted).norm() / wanted.norm()).item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize(
    ("tokens", "features", "outputs", "sparsity"),
    [(1, 64, 32, 800), (3, 221, 75, 800), (16, 130, 70, 0), (67, 300, 33, 950), (5, 40, 130, 600)],
)
def test_product_is_the_dense_one(tokens, features, outputs, sparsity, dtype):
    weight, x = layer_and_tokens(tokens, features, outputs, sparsity, dtype)
    wanted = x.double() @ weight.double().t()
    for make in (module.SparseLinear, module.RowLinear):
        layer = make(weight)
        first, second = layer(x), layer(x)
        assert first.shape == (tokens, outputs)
        assert relative_error(first, wanted) < (2e-6 if dtype == torch.float32 else 6e-4), make
        assert torch.equal(first, second)


def test_form_is_the_naive_one_of_loops():
    weight, _ = layer_and_tokens(1, 150, 70, 700)
    layer = module.SparseLinear(weight)
    taken = 0
    for block in range(3):
        for row in range(70):
            assert layer.starts[block, row // 64] + layer.places[block, row] == taken
            for feature in range(64 * block, min(64 * block + 64, 150)):
                word = layer.words[feature // 32, row].item()
                assert (word >> feature % 32 & 1) == (weight[row, feature] != 0)
                if weight[row, feature] != 0:
                    assert layer.values[taken] == weight[row, feature]
                    taken += 1
    assert taken == layer.values.numel()


def test_empty_rows_a_full_one_and_an_empty_layer():
    weight = torch.zeros(40, 128, device=DEVICE)
    x = Rand(2, device=DEVICE).normal(2, 128)
    assert torch.equal(module.SparseLinear(weight)(x), torch.zeros(2, 40, device=DEVICE))
    weight[33] = 1.0
    for make in (module.SparseLinear, module.RowLinear):
        found = make(weight)(x)
        assert found.count_nonzero() == 2
        torch.testing.assert_close(found[:, 33], x.sum(dim=1))


def test_a_weight_takes_a_bit_a_quarter_and_a_share_of_its_values():
    weight, _ = layer_and_tokens(1, 1024, 512, 800, torch.float16)
    left = int(weight.count_nonzero())
    assert left / weight.numel() == pytest.approx(0.2, abs=0.01)
    found = module.SparseLinear(weight).footprint()
    assert found["parameters"] == left
    assert found["weights"] == 2 * left + 1024 * 512 // 8 + 1024 // 64 * (512 * 2 + 512 // 64 * 4)
    assert weight.nbytes / found["weights"] > 3.5


def test_kernels_compile_for_hopper(compile_for_hopper):
    types = {
        "tokens": "i32", "outputs": "i32", "features": "i32", "Partial": "*fp32", "Counters": "*i32", "Words": "*i32",
        "Places": "*i16", "Starts": "*i32", "Columns": "*i32", "Begins": "*i32", "Order": "*i32",
    }  # fmt: skip
    half = types | dict.fromkeys(("Tokens", "Out", "Values"), "*fp16")
    name = "runners.implementations.sparsity_pruning.flash_llm"
    compile_for_hopper({
        "few": (name, "_sparse_kernel", types, {"BLOCK_N": 64, "BLOCK_M": 16, "SPLITS": 4}, 4),
        "sixty-four": (name, "_sparse_kernel", half, {"BLOCK_N": 128, "BLOCK_M": 64, "SPLITS": 1}, 8),
        "many": (name, "_sparse_kernel", types, {"BLOCK_N": 128, "BLOCK_M": 256, "SPLITS": 1}, 8),
        "rows": (name, "_row_kernel", half, {"BLOCK_M": 16, "BLOCK_Z": 32}, 1),
        "rows-many": (name, "_row_kernel", types, {"BLOCK_M": 64, "BLOCK_Z": 128}, 4),
    })  # fmt: skip
