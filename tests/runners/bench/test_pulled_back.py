"""Gradients that a check compares: those of autograd itself, in the dtype of the outputs, without large copies."""

import pytest
import torch

from runners.bench.child.subjects import cotangents_for, pulled_back


class Dtypes(torch.utils._python_dispatch.TorchDispatchMode):
    """Notes the dtypes of every tensor that an operator makes."""

    def __init__(self):
        super().__init__()
        self.made = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        self.made |= {
            each.dtype for each in (made if isinstance(made, tuple | list) else [made]) if torch.is_tensor(each)
        }
        return made


def two_heads(dtype, scale=1.0):
    """Inputs, of which the last is used by no output, and two outputs of different shapes."""
    inputs = [torch.randn(5, 7, dtype=dtype).mul_(scale).requires_grad_() for _ in range(3)]
    return inputs, [inputs[0].sin() @ inputs[1].T, inputs[0] * inputs[1].exp()]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_gradients_are_those_of_autograd_with_cotangents(dtype):
    torch.manual_seed(4)
    inputs, heads = two_heads(dtype)
    cotangents = cotangents_for(heads, 3, dtype)
    wanted = torch.autograd.grad(heads, inputs[:2], cotangents, retain_graph=True)
    *found, unused = pulled_back(heads, inputs, cotangents)
    assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))
    assert torch.equal(unused, torch.zeros(5, 7, dtype=dtype))


def test_a_weighted_sum_that_overflows_spoils_no_gradient():
    torch.manual_seed(5)
    value = torch.full((4096,), 200.0, dtype=torch.float16, requires_grad=True)
    head, cotangent = value * 300, torch.ones(4096, dtype=torch.float16)
    assert (head * cotangent).sum().isinf()
    assert torch.equal(pulled_back([head], [value], [cotangent])[0], torch.full((4096,), 300.0, dtype=torch.float16))


def test_heads_of_several_dtypes_are_weighted_together_without_a_copy_in_float64():
    torch.manual_seed(6)
    value = torch.randn(8, requires_grad=True)
    heads = [value.bfloat16() * 2, value * 3]
    cotangents = cotangents_for(heads, 3, torch.bfloat16)
    with Dtypes() as seen:
        (found,) = pulled_back(heads, [value], cotangents)
    assert torch.equal(found, cotangents[0].float() * 2 + cotangents[1] * 3)
    assert torch.float64 not in seen.made
