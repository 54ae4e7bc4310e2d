"""Product keys find the best of all experts, and the kernel runs them as each token alone would."""

import os
from importlib.util import find_spec

import pytest

torch = pytest.importorskip("torch")

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.mixture_of_experts import wonderful_matrices as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
AXES = {"tokens": 9, "hidden": 20, "keys": 6, "heads": 2, "key_dim": 5, "k": 3, "shared": 8}


def made(dtype=torch.float64, **changed):
    axes = AXES | changed
    rand = Rand(2, dtype=dtype, device=DEVICE)
    return axes, module.weights(axes, rand), module.inputs(axes, rand)[0]


def by_token(axes, w, x):
    keys, rows = axes["keys"], []
    for token in x:
        gate, up = (token @ w["gate_up"]).chunk(2)
        row = (gate * torch.sigmoid(gate) * up) @ w["down"]
        queries = (token @ w["query"]).view(axes["heads"], 2, -1)
        for head in range(axes["heads"]):
            first, second = (w["keys"][head, half] @ queries[head, half] for half in (0, 1))
            scores = torch.stack([first[e // keys] + second[e % keys] for e in range(keys * keys)])
            best = scores.argsort(descending=True)[: axes["k"]]
            for expert, share in zip(best, scores[best].softmax(0), strict=True):
                product = token @ w["expert_in"][expert]
                row = row + share * product * torch.sigmoid(product) * w["expert_out"][expert]
        rows.append(row)
    return torch.stack(rows)


@pytest.mark.parametrize("name", ["eager", "paper", "library"])
def test_every_form_is_the_layer_as_defined(name):
    axes, weights, x = made()
    assert torch.allclose(module.SUBJECTS[name](axes, weights)(x), by_token(axes, weights, x))


@pytest.mark.parametrize(
    "kernel", [False, pytest.param(True, marks=pytest.mark.skipif(find_spec("triton") is None, reason="no Triton"))]
)
@pytest.mark.parametrize("changed", [{}, {"shared": 0}, {"hidden": 300, "heads": 3}, {"k": 6}])
def test_the_technique_is_the_layer_as_defined(kernel, changed):
    axes, weights, x = made(torch.float32, **changed)
    found = module.FusedRetrieval(axes, weights, kernel=kernel)(x)
    wide = {name: tensor.double() for name, tensor in weights.items()}
    assert torch.allclose(found.double(), by_token(axes, wide, x.double()), rtol=1e-4, atol=1e-4)


def test_product_keys_choose_what_scoring_everything_chooses():
    axes, weights, x = made(tokens=200, keys=16, k=8)
    layer = module.GatheredRetrieval(axes, weights)
    few, all_of_them = layer.retrieve(x), layer.score_all(x)
    assert torch.equal(few.experts, all_of_them.experts)
    assert torch.allclose(few.shares, all_of_them.shares)


def test_the_kernel_becomes_machine_code_that_fits_on_the_chip(compile_for_hopper):
    types = {"Experts": "*i64", "Shares": "*fp32", "hidden": "i32", "chosen": "i32"}
    where = (module.__name__, "_tiny_experts_kernel", types)
    compile_for_hopper({
        "alone": (*where, {"BASE": False, "LANES": 32, "BLOCK": 256}, 4),
        "with-shared-part": (*where, {"BASE": True, "LANES": 8, "BLOCK": 1024}, 4),
    })  # fmt: skip
