"""Nano-batches give what the whole batch gives; the decoding kernel gives what attention gives, in any number of programs."""

import os
from importlib.util import find_spec

import pytest

torch = pytest.importorskip("torch")

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

from runners.blocks.rand import Rand  # noqa: E402
from runners.implementations.serving_systems import nanoflow as module  # noqa: E402

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
AXES = {
    "layers": 2, "hidden": 24, "heads": 4, "kv_heads": 2, "dim": 6, "ffn": 40,
    "decoding": 5, "context": 9, "prompts": 3, "prompt": 4, "nano": 2, "programs": 3,
}  # fmt: skip


def made(**changed):
    axes = AXES | changed
    rand = Rand(7, dtype=torch.float64, device=DEVICE)
    return axes, module.weights(axes, rand), module.inputs(axes, rand)[0]


@pytest.mark.parametrize("name", ["technique", "sequential", "nano_sequential"])
@pytest.mark.parametrize("changed", [{}, {"prompts": 0}, {"nano": 5}, {"prompts": 1}])
def test_parts_give_what_the_whole_gives(name, changed):
    axes, weights, x = made(**changed)
    found = module.SUBJECTS[name](axes, weights)(x)
    assert torch.allclose(found, module.make_eager(axes, weights)(x))


def test_a_request_sees_its_own_cache_and_a_prompt_its_own_tokens():
    axes, weights, x = made()
    before = module.make_technique(axes, weights)(x)
    weights["keys"][:, 1] += 1
    changed = x.clone()
    changed[5 + 4 + 2] += 1  # the third token of the second prompt
    moved = (module.make_technique(axes, weights)(changed) - before).abs().amax(-1) > 1e-9
    assert moved.nonzero().flatten().tolist() == [1, 5 + 4 + 2, 5 + 4 + 3]


def test_one_layer_of_a_decoding_request_is_attention_over_its_cache():
    axes, weights, x = made(layers=1, prompts=0)
    layer = module.make_technique(axes, weights)
    found = layer(x)
    decoder = layer.decoder
    for request in range(axes["decoding"]):
        token = x[None, request : request + 1]
        rotary = decoder.rotary(torch.tensor([axes["context"] - 1], device=DEVICE), x)
        q, k, v = decoder.queries_keys_values(0, token, rotary)
        heads = []
        for head in range(4):
            keys = torch.cat([weights["keys"][0, request, head // 2, :-1], k[0, head // 2]])
            values = torch.cat([weights["values"][0, request, head // 2, :-1], v[0, head // 2]])
            heads.append(torch.softmax(keys @ q[0, head, 0] / 6**0.5, 0) @ values)
        row = token + torch.cat(heads) @ decoder.weights["output"][0]
        assert torch.allclose(found[request], (row + decoder.ffn_part(0, row))[0, 0])


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.parametrize("programs", [0, 1, 4, 100])
@pytest.mark.parametrize(("heads", "kv_heads", "context", "dim"), [(4, 2, 70, 24), (2, 2, 1, 16), (20, 1, 64, 8)])
def test_the_kernel_is_attention(programs, heads, kv_heads, context, dim):
    rand = Rand(5, device=DEVICE)
    q = rand.normal(heads, 3, dim).transpose(0, 1)
    keys, values = rand.normal(3, kv_heads, context, dim), rand.normal(3, kv_heads, context, dim)
    wanted = module.attention(q[:, :, None], keys, values)[:, :, 0]
    assert torch.allclose(module.decode_attention(q, keys, values, programs), wanted, atol=1e-5)


def test_the_kernel_becomes_machine_code_that_fits_on_the_chip(compile_for_hopper):
    integers = ("tasks", "context", "request_stride", "head_stride", "kv_heads")
    types = {**dict.fromkeys(integers, "i32"), "scale_log2": "fp32"}
    constants = {"GROUP": 4, "ROWS": 16, "DIM": 128, "BLOCK_D": 128, "BLOCK_N": 64}
    compile_for_hopper({"decode": (module.__name__, "_decode_kernel", types, constants, 4)})


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="no CUDA device: streams need one")
def test_streams_are_joined_before_the_answer():
    axes, weights, x = made(decoding=64, context=256, dim=32, layers=4)
    weights, x = {name: each.bfloat16() for name, each in weights.items()}, x.bfloat16()
    layer, wanted = module.make_technique(axes, weights), module.make_nano_sequential(axes, weights)(x)
    for _ in range(20):
        assert torch.equal(layer(x), wanted)
