"""What counts as the least work of a call: it decides which times are called impossible."""

import pytest
import torch

from runners.bench.child.work import flop_counter

aten = torch.ops.aten


@pytest.mark.parametrize("causal", [False, True])
def test_causal_attention_counts_half(causal: bool) -> None:
    q, k, v = (torch.empty(2, 4, 64, 16, device="meta", dtype=torch.bfloat16) for _ in range(3))
    with flop_counter() as counter:
        aten._scaled_dot_product_flash_attention(q, k, v, 0.0, causal)
    whole = 2 * 2 * 2 * 4 * 64 * 64 * 16
    assert counter.get_total_flops() == (whole // 2 if causal else whole)


def test_causal_attention_backwards_counts_half() -> None:
    q, k, v = (torch.empty(2, 4, 64, 16, device="meta", dtype=torch.bfloat16, requires_grad=True) for _ in range(3))
    counted = []
    for causal in (False, True):
        with flop_counter() as counter:
            outputs = aten._scaled_dot_product_flash_attention(q, k, v, 0.0, causal)
            torch.autograd.grad(outputs[0].sum(), (q, k, v))
        counted.append(counter.get_total_flops())
    assert counted[0] == 2 * counted[1] > 0


def test_a_product_counts_whole() -> None:
    with flop_counter() as counter:
        torch.empty(8, 16, device="meta") @ torch.empty(16, 4, device="meta")
    assert counter.get_total_flops() == 2 * 8 * 16 * 4
