"""Restormer: equal to a version by loops, kernels equal to PyTorch, every pixel reaches every other, cost by pixels."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.efficient_attention import restormer as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
AXES = {"batch": 2, "channels": 6, "heads": 2, "size": 7}


def made(axes, dtype=torch.float32, seed=1):
    rand = Rand(seed, dtype=dtype, device=DEVICE)
    return module.weights(axes, rand), module.inputs(axes, rand)[0]


def by_loops(x, weights, heads):
    """The attention half in float64, one head and one pair of channels at a time, with a filter by shifted copies."""
    held = {name: tensor.double() for name, tensor in weights.items()}
    x = x.double()
    batch, channels, height, width = x.shape
    mean, variance = x.mean(1, keepdim=True), x.var(1, unbiased=False, keepdim=True)
    normed = (x - mean) / (variance + 1e-5).sqrt() * held["norm_1"][:, None, None] + held["bias_1"][:, None, None]
    wide = torch.einsum("oc,bchw->bohw", held["qkv"], normed)
    padded = torch.nn.functional.pad(wide, (1, 1, 1, 1))
    filtered = sum(
        held["qkv_filter"][:, 0, i, j][:, None, None] * padded[:, :, i : i + height, j : j + width]
        for i in range(3)
        for j in range(3)
    )
    q, k, v = filtered.chunk(3, dim=1)
    attended = torch.zeros_like(v)
    dim = channels // heads
    for entry in range(batch):
        for head in range(heads):
            own = range(head * dim, (head + 1) * dim)
            for a in own:
                cosines = [(q[entry, a] * k[entry, b]).sum() / q[entry, a].norm() / k[entry, b].norm() for b in own]
                shares = (torch.stack(cosines) * held["temperature"][head].item()).softmax(0)
                attended[entry, a] = sum(share * v[entry, b] for share, b in zip(shares, own, strict=True))
    return x + torch.einsum("oc,bchw->bohw", held["out"], attended)


def test_attention_is_that_of_a_version_by_loops():
    weights, x = made(AXES)
    weights["down"].zero_()  # leaves the attention half alone
    found = module.make_technique(AXES, weights)(x)
    torch.testing.assert_close(found.double(), by_loops(x, weights, 2), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "axes",
    [AXES, {"batch": 1, "channels": 5, "heads": 1, "size": 35}, {"batch": 1, "channels": 4, "heads": 4, "size": 1}],
)
def test_kernels_give_what_the_definition_gives(axes):
    pytest.importorskip("triton")
    weights, x = made(axes)
    found = module.ChannelAttentionBlock(axes, weights, kernels=True)(x)
    torch.testing.assert_close(found, module.make_eager(axes, weights)(x), rtol=1e-4, atol=1e-4)


def test_a_change_of_one_pixel_reaches_the_farthest_one():
    axes = {"batch": 1, "channels": 8, "heads": 2, "size": 24}
    weights, x = made(axes)
    subject, changed = module.make_technique(axes, weights), x.clone()
    changed[0, :4, 0, 0] += 50.0
    assert (subject(changed) - subject(x))[0, :, -1, -1].abs().max() > 1e-4


def test_operations_grow_with_the_pixels_and_not_with_their_square():
    def flops(make, size):
        axes = {"batch": 1, "channels": 8, "heads": 2, "size": size}
        weights, x = made(axes)
        subject = make(axes, weights)
        subject(x)
        return subject.footprint()["flops"]

    assert flops(module.make_technique, 32) < 4.1 * flops(module.make_technique, 16)
    assert flops(module.make_spatial, 32) > 10 * flops(module.make_spatial, 16)


def test_kernels_compile_for_hopper(compile_for_hopper):
    where = module.__name__
    norm = {"channels": "i32", "pixels": "i32", "epsilon": "fp32"}
    picture = {"channels_out": "i32", "height": "i32", "width": "i32"}
    gram = {"Sums": "*fp32", "stride": "i32", "width": "i32", "pixels": "i32", "tiles_each": "i32"}
    compile_for_hopper(
        {
            "norm, 384": (where, "norm_program", norm, {"BLOCK_C": 512, "BLOCK_P": 32}, 8),
            "filter and gate": (where, "depthwise_program", picture, {"GATE": True, "BLOCK": 1024}, 4),
            "gram": (where, "gram_program", gram, {"BLOCK_D": 64, "BLOCK_P": 128}, 4),
        }
    )
