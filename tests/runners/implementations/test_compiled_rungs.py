"""Rungs that compile parts of themselves: what is given to the compiler computes what their baseline computes.

The compiler itself is taken out, as it needs a minute a rung; a run with --compile-on-cpu, or on a GPU, has it in.
"""

import os

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from runners.bench.child.subjects import Setting, as_outputs, load_module  # noqa: E402
from runners.blocks.compiled_decoder import CompiledDecoder  # noqa: E402
from runners.blocks.decoder import Decoder, Sizes, decoder_weights  # noqa: E402
from runners.blocks.rand import Rand  # noqa: E402
from runners.blocks.sparse_inputs import CompiledAttention, causal_blocks, plain_attention  # noqa: E402
from runners.cards import find_card  # noqa: E402

RUNGS = [
    ("adaspa", "compiled", "eager"),
    ("block-transformer", "compiled", "eager"),
    ("block-transformer", "paper_compiled", "paper"),
    ("gated-linear-attention", "compiled", "eager"),
    ("lact", "compiled", "eager"),
    ("mamba", "compiled", "eager"),
    ("pbs-attn", "compiled", "eager"),
    ("proxyattn", "compiled", "eager"),
    ("re-ttention", "compiled", "eager"),
    ("relaxed-recursive-transformers", "compiled", "paper"),
    ("thunderkittens", "compiled", "eager"),
    ("tidaldecode", "compiled", "eager"),
]


@pytest.fixture(autouse=True)
def without_the_compiler(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, **options: function)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize(("name", "rung", "baseline"), RUNGS, ids=[f"{name}-{rung}" for name, rung, _ in RUNGS])
def test_a_compiled_rung_computes_what_its_baseline_does(name, rung, baseline):
    card = find_card(name)
    setting = Setting(card, load_module(card), "cpu")
    assert setting.is_compiled(rung)
    for workload in [each for each in card.workloads if each.is_checked and each.dtype == "float32"]:
        weights = setting.weights(workload, 3)
        inputs = setting.inputs(workload, 4, "uniform")
        found, wanted = (as_outputs(setting.make(each, workload, weights)(*inputs)) for each in (rung, baseline))
        for pair in zip(found, wanted, strict=True):
            torch.testing.assert_close(*pair, rtol=1e-3, atol=1e-4)


def test_compiled_layers_are_the_decoders():
    sizes = Sizes(layers=2, hidden=24, heads=6, kv_heads=2, dim=4, ffn=40)
    weights = decoder_weights(sizes, Rand(1, dtype=torch.float64))
    x = Rand(2, dtype=torch.float64).normal(3, 5, 24)
    torch.testing.assert_close(
        CompiledDecoder(sizes, weights)(x, torch.arange(5)), Decoder(sizes, weights)(x, torch.arange(5))
    )


def test_compiled_layers_refuse_a_bias_that_they_would_leave_out():
    sizes = Sizes(layers=1, hidden=8, heads=2, kv_heads=2, dim=4, ffn=8)
    with pytest.raises(ValueError, match="qkv_bias"):
        CompiledDecoder(sizes, decoder_weights(sizes, Rand(1)) | {"qkv_bias": torch.zeros(1, 24)})


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("causal", [True, False])
def test_the_compilers_attention_is_attention_with_heads_in_groups(causal):
    rand = Rand(5)
    q, k, v = rand.normal(2, 4, 150, 16), rand.normal(2, 2, 150, 16), rand.normal(2, 2, 150, 16)
    wanted = plain_attention(causal=causal)(q, k, v)
    torch.testing.assert_close(CompiledAttention(causal=causal)(q, k, v), wanted, rtol=1e-4, atol=1e-5)


def test_blocks_ahead_are_left_out_and_those_on_the_diagonal_are_masked():
    blocks = causal_blocks(300, torch.device("cpu"))
    assert blocks.to_dense()[0, 0].tolist() == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    assert blocks.kv_num_blocks.tolist() == [[[1, 1, 1]]]
    assert blocks.kv_indices[0, 0, :, 0].tolist() == [0, 1, 2]
    assert bool(blocks.mask_mod(0, 0, torch.tensor(5), torch.tensor(5)))
    assert not bool(blocks.mask_mod(0, 0, torch.tensor(5), torch.tensor(6)))
