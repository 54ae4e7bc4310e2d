"""Fast Sparse ConvNets: the largest weights stay, the net equals the one with zeros stored, only what is left is held and counted."""

import pytest

torch = pytest.importorskip("torch")
from torch.nn import functional  # noqa: E402

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.sparsity_pruning import fast_sparse_convnets as module  # noqa: E402

AXES = {"batch": 2, "image": 21, "width_percent": 25, "depth": 3, "classes": 5, "sparsity": 750}


def made(**changes):
    axes = AXES | changes
    rand = Rand(1)
    return axes, module.weights(axes, rand), *module.inputs(axes, rand)


def test_pruning_keeps_the_largest():
    weight = torch.tensor([[0.1, -4.0, 0.2, 3.0], [-0.3, 0.0, 5.0, -0.4]])
    wanted = torch.tensor([[0.0, -4.0, 0.0, 3.0], [0.0, 0.0, 5.0, -0.4]])
    assert torch.equal(module.pruned(weight, 500), wanted)
    assert module.pruned(weight, 1000).count_nonzero() == 1
    assert torch.equal(module.pruned(weight, 0), weight)


@pytest.mark.parametrize("sparsity", [0, 750, 1000])
def test_sparse_layer_is_the_convolution_with_zeros(sparsity):
    rand = Rand(2, dtype=torch.float64)
    weight, bias = module.pruned(rand.gaussian(9, 7), sparsity), rand.gaussian(9)
    image = rand.normal(3, 7, 5, 4)
    wanted = torch.einsum("oi,bihw->bohw", weight, image) + bias[None, :, None, None]
    torch.testing.assert_close(module.SparsePointwise(weight, bias)(image), wanted.clamp_min(0))


def test_net_is_the_one_of_its_layers():
    axes, weights, images = made()
    x = functional.relu(functional.conv2d(images, weights["stem"], weights["stem_bias"], stride=2, padding=1))
    for index, stride in enumerate((1, 2, 1)):
        kernel, bias = weights[f"{index}.depthwise"], weights[f"{index}.depthwise_bias"]
        x = functional.relu(functional.conv2d(x, kernel, bias, stride=stride, padding=1, groups=x.shape[1]))
        kernel, bias = weights[f"{index}.pointwise"], weights[f"{index}.pointwise_bias"]
        x = functional.relu(functional.conv2d(x, kernel[:, :, None, None], bias))
    wanted = functional.linear(x.mean((2, 3)), weights["head"], weights["head_bias"])
    for name in ("technique", "eager", "library"):
        torch.testing.assert_close(module.SUBJECTS[name](axes, weights)(images), wanted, rtol=1e-4, atol=1e-5)


def test_activations_keep_their_size_through_the_whole_net():
    axes, weights, images = made(depth=13, image=64, sparsity=900)
    scores = module.make_eager(axes, weights)(images)
    assert 0.05 < scores.std() < 20


def test_only_what_is_left_is_held_and_counted():
    axes, weights, images = made()
    sparse, dense = module.make_technique(axes, weights), module.make_eager(axes, weights)
    sparse(images), dense(images)
    sizes = [(16, 8, 11 * 11), (32, 16, 6 * 6), (32, 32, 6 * 6)]  # outputs, inputs, pixels
    left = [outputs * inputs // 4 for outputs, inputs, _ in sizes]
    assert [weights[f"{index}.pointwise"].count_nonzero() for index in range(3)] == left
    zeros = [3 * count for count in left]
    found, full = sparse.footprint(), dense.footprint()
    assert full["flops"] - found["flops"] == sum(
        2 * count * 2 * pixels for count, (*_, pixels) in zip(zeros, sizes, strict=True)
    )
    assert full["parameters"] - found["parameters"] == sum(zeros)
    indices = 4 * sum(left) + 4 * sum(outputs + 1 for outputs, *_ in sizes)
    assert full["weights"] - found["weights"] == 4 * sum(zeros) - indices
