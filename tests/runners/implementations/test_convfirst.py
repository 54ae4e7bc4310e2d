"""A residual block in one kernel is the block layer by layer, at the borders of images as well."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.efficient_architecture import convfirst as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MODULE = "runners.implementations.efficient_architecture.convfirst"


def by_hand(x, weights):
    """Each pixel and channel on its own."""
    _, height, width, channels = x.shape
    z = weights["bias"].expand_as(x).clone()
    for channel in range(channels):
        first = channel // 8 * 8
        for row in range(height):
            for column in range(width):
                for down in (-1, 0, 1):
                    for right in (-1, 0, 1):
                        if 0 <= row + down < height and 0 <= column + right < width:
                            seen = x[:, row + down, column + right, first : first + 8]
                            z[:, row, column, channel] += seen @ weights["taps"][channel, :, down + 1, right + 1]
    return x + (z @ weights["w1"].T + weights["b1"]).clamp(min=0) @ weights["w2"].T + weights["b2"]


@pytest.mark.parametrize("name", ["technique", "eager"])
@pytest.mark.parametrize(
    ("batch", "height", "width", "expanded"),
    [pytest.param(2, 3, 4, 20, id="several-images-a-tile"), pytest.param(1, 1, 1, 16, id="one-pixel"),
     pytest.param(1, 7, 6, 33, id="several-tiles")],
)  # fmt: skip
def test_the_block_is_its_layers(name, batch, height, width, expanded):
    axes = {"batch": batch, "height": height, "width": width, "channels": 16, "expanded": expanded}
    rand = Rand(1, device=DEVICE, distribution="uniform")
    weights, (x,) = module.weights(axes, rand), module.inputs(axes, rand)
    found = module.SUBJECTS[name](axes, weights)(x)
    wanted = by_hand(x.double(), {key: each.double() for key, each in weights.items()})
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-5)


def test_channels_that_do_not_fill_a_slice_are_refused():
    axes = {"batch": 1, "height": 2, "width": 2, "channels": 24, "expanded": 16}
    with pytest.raises(ValueError, match="powers of two"):
        module.make_technique(axes, module.weights(axes, Rand(1)))


def test_the_kernel_compiles_for_hopper(compile_for_hopper):
    types = dict.fromkeys(("pixels", "height", "width", "EXPANDED"), "i32")
    kernels = {
        str(channels): (MODULE, "_block_kernel", types,
                        {"CHANNELS": channels, "SLICES": channels // 16, "BLOCK_M": 64, "BLOCK_N": 64}, 8)
        for channels in (32, 128, 256)
    }  # fmt: skip
    assert set(compile_for_hopper(kernels)) == set(kernels)
