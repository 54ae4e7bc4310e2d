"""LongGen's outer layers see sinks and a window, its middle ones everything, at prefill and at decoding alike."""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from runners.blocks.rand import Rand  # noqa: E402
from runners.blocks.window_attention import window_attention  # noqa: E402
from runners.implementations.kv_cache import longgen as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
AXES = {
    "layers": 3, "hidden": 32, "heads": 2, "kv_heads": 1, "dim": 16, "ffn": 48, "vocab": 50, "batch": 1,
    "context": 0, "new_tokens": 40, "sink": 2, "window": 9,
}  # fmt: skip


def by_definition(q, k, v, sink: int, window: int) -> torch.Tensor:
    """One query at a time, over the keys it is said to see."""
    group = q.shape[1] // k.shape[1]
    output = torch.zeros_like(q)
    for b, h, i in torch.cartesian_prod(*(torch.arange(n) for n in q.shape[:3])).tolist():
        seen = [j for j in range(i + 1) if j < sink or i - j < window]
        keys, values = k[b, h // group, seen], v[b, h // group, seen]
        output[b, h, i] = torch.softmax(keys @ q[b, h, i] / q.shape[-1] ** 0.5, dim=0) @ values
    return output


@pytest.mark.parametrize(
    ("seq", "sink", "window", "heads", "kv_heads"),
    [
        pytest.param(37, 0, 5, 2, 1, id="no-sinks"),
        pytest.param(90, 40, 17, 2, 2, id="sinks-over-several-tiles"),
        pytest.param(100, 4, 70, 3, 1, id="window-over-several-tiles"),
        pytest.param(5, 8, 3, 2, 2, id="sinks-beyond-the-end"),
        pytest.param(40, 1, 1, 1, 1, id="only-itself-and-one-sink"),
        pytest.param(33, 1, 200, 1, 1, id="window-of-everything"),
    ],
)
def test_the_kernel_sees_sinks_and_window_only(seq, sink, window, heads, kv_heads):
    q, k, v = (Rand(i, device=DEVICE).normal(1, n, seq, 16) for i, n in enumerate((heads, kv_heads, kv_heads)))
    found = window_attention(q, k, v, sink, window)
    assert torch.allclose(found.cpu(), by_definition(q.cpu(), k.cpu(), v.cpu(), sink, window), atol=1e-5)


def test_a_window_of_nothing_is_refused():
    q = torch.zeros(1, 1, 4, 16, device=DEVICE)
    with pytest.raises(ValueError, match="window 0"):
        window_attention(q, q, q, 1, 0)


@pytest.mark.parametrize(("layers", "full"), [(32, 10), (80, 26), (3, 1), (2, 1)])
def test_a_third_of_the_layers_in_the_middle_is_full(layers, full):
    chosen = module.full_layers(layers)
    assert len(chosen) == full
    assert abs(chosen.start - (layers - chosen.stop)) <= 1


def test_decoding_goes_on_where_a_prefill_ended():
    """What a prefill keeps is enough: the next token gets what a prefill of one more token gives it."""
    weights = module.weights(AXES, Rand(1, device=DEVICE))
    (tokens,) = module.inputs(AXES, Rand(2, device=DEVICE))
    wanted = module.make_technique(AXES, weights)(tokens)
    shorter = module.make_eager(AXES, weights)
    shorter(tokens[:, :-1])
    context = {
        name: torch.stack([shorter.prefilled[n][i] for n in range(3)]) for i, name in enumerate(("keys", "values"))
    }
    axes = AXES | {"context": 39, "new_tokens": 1}
    for name in ("technique", "eager"):
        found = module.SUBJECTS[name](axes, weights | context)(tokens[:, -1:])
        assert torch.allclose(found, wanted, atol=1e-5)


def test_the_cache_shrinks_by_what_the_card_says():
    axes = AXES | {"dim": 2, "context": 131071, "new_tokens": 1, "sink": 1024, "window": 8192}
    weights = module.weights(axes, Rand(1, dtype=torch.bfloat16))
    full, partial = (module.SUBJECTS[name](axes, weights).footprint()["kv_cache"] for name in ("paper", "technique"))
    assert full == 3 * 131072 * 2 * 2 * 2
    assert partial == (131072 + 2 * 9216) * 2 * 2 * 2
    assert 1 - partial / full == pytest.approx(0.62, abs=0.001)


def test_a_call_is_a_prefill_or_a_step():
    with pytest.raises(ValueError, match="prefill or a decoding step"):
        module.make_technique(AXES | {"context": 5}, module.weights(AXES | {"context": 5}, Rand(1)))


def test_the_kernel_compiles_for_hopper(compile_for_hopper):
    arguments = dict.fromkeys(("seq", "group", "sink", "window"), "i32") | {"scale_log2": "fp32"}
    tile = {"CAUSAL": True, "DIM": 128, "BLOCK_D": 128, "BLOCK_M": 128, "BLOCK_N": 128}
    compile_for_hopper({"window": ("runners.blocks.window_attention", "window_kernel", arguments, tile, 8)})
