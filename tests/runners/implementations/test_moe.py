"""Tokens sorted by expert and multiplied in groups give what each expert in turn gives."""

import os
from importlib.util import find_spec

import pytest

torch = pytest.importorskip("torch")

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from runners.blocks import moe  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def layer(tokens=23, hidden=10, ffn=7, experts=5, dtype=torch.float64):
    rand = Rand(3, dtype=dtype)
    return (
        rand.normal(tokens, hidden),
        moe.top_k_route(rand.normal(tokens, experts), 2),
        rand.gaussian(experts, hidden, 2 * ffn),
        rand.gaussian(experts, ffn, hidden),
    )


def by_token(x, routed, gate_up, down):
    rows = []
    for token, experts, shares in zip(x, routed.experts, routed.shares, strict=True):
        row = torch.zeros_like(token)
        for expert, share in zip(experts.tolist(), shares, strict=True):
            gate, up = (token @ gate_up[expert]).chunk(2)
            row += share * ((gate * torch.sigmoid(gate) * up) @ down[expert])
        rows.append(row)
    return torch.stack(rows)


def test_sorted_groups_and_the_loop_over_experts_give_what_each_token_gives_alone():
    x, routed, gate_up, down = layer()
    wanted = by_token(x, routed, gate_up, down)
    assert torch.allclose(moe.gated_experts(x, routed, gate_up, down), wanted)
    assert torch.allclose(moe.expert_loop(x, routed, moe.gated_expert(gate_up, down), 5), wanted)


def test_the_library_product_takes_the_same_groups():
    x, routed, gate_up, down = layer(hidden=16, ffn=8, dtype=torch.float32)
    found = moe.gated_experts(x, routed, gate_up, down, moe.grouped_matmul_library)
    assert torch.allclose(found, by_token(x, routed, gate_up, down), atol=1e-4)


def test_experts_without_tokens_and_experts_with_all_of_them():
    experts = torch.tensor([[3, 1]] * 6)
    order = moe.sort_by_expert(experts, 5)
    assert order.ends.tolist() == [0, 6, 6, 12, 12]
    assert order.tokens.tolist() == [*range(6), *range(6)]
    assert order.places.tolist() == [6, 0, 7, 1, 8, 2, 9, 3, 10, 4, 11, 5]


def test_shares_are_a_softmax_over_the_chosen():
    routed = moe.top_k_route(torch.tensor([[0.0, 2.0, 1.0]], dtype=torch.bfloat16), 2)
    assert routed.experts.tolist() == [[1, 2]]
    assert torch.allclose(routed.shares, torch.tensor([[2.0, 1.0]]).softmax(-1))


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.parametrize(
    ("tokens", "width", "outputs", "experts", "k"),
    [
        pytest.param(70, 100, 75, 5, 2, id="ragged"),
        pytest.param(3, 16, 20, 9, 1, id="more-experts-than-tokens"),
        pytest.param(90, 33, 17, 1, 1, id="one-expert"),
    ],
)
def test_the_kernel_gives_what_the_loop_gives(tokens, width, outputs, experts, k):
    rand = Rand(1, device=DEVICE)
    x, weight = rand.normal(tokens, width), rand.gaussian(experts, width, outputs)
    order = moe.sort_by_expert(rand.normal(tokens, experts).topk(k).indices, experts)
    wanted = moe.grouped_matmul_loop(x[order.tokens], weight, order.ends)
    assert torch.allclose(moe.grouped_matmul_kernel(x, weight, order.ends, order.tokens), wanted, atol=1e-4)
    by_columns = weight.transpose(1, 2).contiguous().transpose(1, 2)
    assert torch.allclose(moe.grouped_matmul_kernel(x[order.tokens], by_columns, order.ends), wanted, atol=1e-4)


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_the_combining_kernel_gives_what_the_product_gives():
    rand = Rand(2, device=DEVICE)
    order = moe.sort_by_expert(rand.integers(4, 9, 3), 4)
    outputs, shares = rand.normal(27, 1100), rand.uniform(9, 3)
    wanted = (shares[..., None] * outputs[order.places].view(9, 3, -1)).sum(1)
    assert torch.allclose(moe.combine_kernel(outputs, order.places, shares), wanted, atol=1e-5)
    assert torch.allclose(moe.combine(outputs, order, shares), wanted, atol=1e-5)


INTEGERS = ("pairs", "experts", "width", "outputs", "expert_stride", "width_stride", "output_stride")
TYPES = {**dict.fromkeys(INTEGERS, "i32"), "Gather": "*i64", "Ends": "*i32"}
COMBINE = {"Places": "*i64", "Shares": "*fp32", "width": "i32", "k": "i32"}
MODULE, KERNEL = "runners.blocks.moe", "_grouped_kernel"


def tile(rows, columns, lanes, gather=True):
    return {"GATHER": gather, "LANES": lanes, "BLOCK_K": 64, "SUPERTILE": 8, "BLOCK_M": rows, "BLOCK_N": columns}


def test_the_kernel_becomes_machine_code_that_fits_on_the_chip(compile_for_hopper):
    compile_for_hopper({
        "decode": (MODULE, KERNEL, TYPES, tile(16, 64, 256), 4),
        "prompt": (MODULE, KERNEL, TYPES, tile(128, 256, 8), 8),
        # Triton makes constants of numbers that are one.
        "one-expert": (MODULE, KERNEL, TYPES, tile(64, 128, 1) | {"experts": 1, "output_stride": 1}, 4),
        "one-column": (MODULE, KERNEL, TYPES, tile(16, 64, 4096) | {"outputs": 1, "output_stride": 1, "width_stride": 1}, 4),
        "one-deep": (MODULE, KERNEL, TYPES, tile(16, 64, 4096) | {"width": 1, "output_stride": 1}, 4),
        "combine": (MODULE, "_combine_kernel", COMBINE, {"BLOCK": 1024}, 4),
        "sorted-rows": (MODULE, KERNEL, TYPES | {"Gather": "*bf16"}, tile(64, 128, 8, gather=False), 4),
    })  # fmt: skip
