"""MaxViT: who sees whom, kernel and library equal to the definition, cost by the number of pixels."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.efficient_attention import maxvit as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
HEADS = 2


def qkv_and_bias(size, window, dim=4):
    rand = Rand(1, device=DEVICE)
    table = rand.normal(HEADS, (2 * window - 1) ** 2)
    return rand.normal(2, size, size, 3 * HEADS * dim), table


def masked_full_attention(qkv, table, layer, window):
    """Pixel by pixel over the whole image: a pair takes part where the layer lets it, with the bias of its offset."""
    batch, size, _, columns = qkv.shape
    dim, sets = columns // 3 // HEADS, size // window
    out = torch.zeros(batch, size, size, columns // 3, dtype=torch.float64)
    pixels = [(i, j) for i in range(size) for j in range(size)]
    q, k, v = qkv.double().cpu().chunk(3, dim=-1)
    for a in pixels:
        if layer == "block":
            partners = [b for b in pixels if (b[0] // window, b[1] // window) == (a[0] // window, a[1] // window)]
            offsets = [(a[0] - b[0], a[1] - b[1]) for b in partners]
        else:
            partners = [b for b in pixels if (b[0] % sets, b[1] % sets) == (a[0] % sets, a[1] % sets)]
            offsets = [((a[0] - b[0]) // sets, (a[1] - b[1]) // sets) for b in partners]
        rows, cols = torch.tensor(partners).unbind(1)
        for head in range(HEADS):
            part = slice(head * dim, (head + 1) * dim)
            index = [(down + window - 1) * (2 * window - 1) + right + window - 1 for down, right in offsets]
            scores = (k[:, rows, cols, part] @ q[:, *a, part, None]).squeeze(-1) / dim**0.5
            shares = (scores + table[head, index].double().cpu()).softmax(-1)
            out[:, *a, part] = (shares[:, None] @ v[:, rows, cols, part]).squeeze(1)
    return out


@pytest.mark.parametrize("layer", ["block", "grid"])
@pytest.mark.parametrize("way", ["plain_windows", "library_windows", "kernel_windows"])
def test_a_layer_is_full_attention_among_the_right_pairs(way, layer):
    if way == "kernel_windows":
        pytest.importorskip("triton")
    qkv, table = qkv_and_bias(size=6, window=3)
    found = getattr(module, way)(qkv, module.bias_of_pairs(table, 3), layer, 3)
    wanted = masked_full_attention(qkv, table, layer, 3)
    torch.testing.assert_close(found.double().cpu(), wanted, rtol=1e-4, atol=1e-5)


def test_kernel_takes_windows_that_fill_no_tile():
    pytest.importorskip("triton")
    qkv, table = qkv_and_bias(size=14, window=7, dim=20)
    bias = module.bias_of_pairs(table, 7)
    for layer in ("block", "grid"):
        found = module.kernel_windows(qkv, bias, layer, 7)
        torch.testing.assert_close(found, module.plain_windows(qkv, bias, layer, 7), rtol=1e-4, atol=1e-5)


def test_both_layers_together_reach_the_whole_image():
    axes = {"batch": 1, "size": 4, "channels": 8, "heads": 2, "window": 2}
    rand = Rand(2, device=DEVICE)
    subject, (x,) = module.make_technique(axes, module.weights(axes, rand)), module.inputs(axes, rand)
    changed = x.clone()
    changed[0, 3, 1, :4] += 1.0
    assert ((subject(changed) - subject(x)).abs().amax(-1) > 0).all()


def test_a_size_that_windows_do_not_fill_is_refused():
    axes = {"batch": 1, "size": 8, "channels": 8, "heads": 2, "window": 3}
    with pytest.raises(ValueError, match="multiple of window"):
        module.make_technique(axes, module.weights(axes, Rand(3, device=DEVICE)))


def test_operations_grow_with_the_pixels_and_not_with_their_square():
    def flops(name, size):
        axes = {"batch": 1, "size": size, "channels": 8, "heads": 2, "window": 2}
        subject = module.SUBJECTS[name](axes, module.weights(axes, Rand(4, device=DEVICE)))
        subject(torch.zeros(1, size, size, 8, device=DEVICE))
        return subject.footprint()["flops"]

    assert flops("technique", 32) == 4 * flops("technique", 16)
    assert flops("full", 32) > 10 * flops("full", 16)


def test_kernel_compiles_for_hopper(compile_for_hopper):
    arguments = {"size": "i32", "channels": "i32", "scale_log2": "fp32"}
    constants = {"WINDOW": 7, "DIM": 32, "BLOCK": 64, "BLOCK_D": 32}
    compile_for_hopper(
        {
            str(grid): (module.__name__, "window_program", arguments, constants | {"GRID": grid}, 4)
            for grid in (False, True)
        }
    )
