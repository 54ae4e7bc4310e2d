"""Memory and times against sums done by hand."""

from __future__ import annotations

import dataclasses

import pytest

from recommender.hardware.catalogue import Device, find_device
from recommender.hardware.memory import GIB, Workload, available, memory_of
from recommender.hardware.models import Model, find_model
from recommender.hardware.roofline import attention_flops, forward_flops, roofline, time_shares, touched_parameters

# Small enough to do by hand: one layer of width 4, two heads of 2 with one key-value head, feed-forward 8, 10 words.
TOY = Model("toy", "decoder", (), 1, 4, 2, 1, 2, 8, 10, gated=False, tied=False)
# attention: q 4x4 + o 4x4 + k 4x2 + v 4x2 = 48; feed-forward 2 x 4 x 8 = 64; norms 8 + 4; embeddings 2 x 40
TOY_PARAMETERS = 48 + 64 + 12 + 80
DEVICE = Device("toy", "datacentre", "v", 1.0, 1.0, {"bf16": 0.001}, ())  # 1e9 bytes and 1e9 operations a second


def test_toy_parameters():
    assert TOY.parameters == TOY_PARAMETERS
    assert TOY.computed_parameters == 48 + 64 + 8 + 40  # neither the embedding table nor the last norm
    assert TOY.kv_elements_per_token == 2 * 1 * 1 * 2


def test_inference_memory_by_hand():
    memory = memory_of(TOY, Workload(batch=3, prompt=5, new_tokens=2))
    assert memory.weights * GIB == pytest.approx(TOY_PARAMETERS * 2)
    assert memory.kv_cache * GIB == pytest.approx(4 * 3 * 7 * 2)
    # 15 tokens x (residual 4 + normed 4 + max(q 4 + k 2 + v 2 + out 4, feed-forward 8)) x 2 bytes, 3 rows of 10 logits x 4
    assert memory.activations * GIB == pytest.approx(15 * (8 + 12) * 2 + 3 * 10 * 4)
    assert memory.gradients == memory.optimizer == 0


def test_training_memory_by_hand():
    memory = memory_of(TOY, Workload("training", batch=2, seq=5))
    assert memory.gradients * GIB == pytest.approx(TOY_PARAMETERS * 2)
    assert memory.optimizer * GIB == pytest.approx(TOY_PARAMETERS * 12)
    # 10 tokens x ((4 x 4 + 12 of the heads + 2 x 8) x 2 bytes + 10 logits x 8)
    assert memory.activations * GIB == pytest.approx(10 * (44 * 2 + 80))
    assert memory.kv_cache == 0


def test_fine_tuning_a_share_shrinks_gradients_and_optimizer_only():
    whole = memory_of(TOY, Workload("fine-tuning"))
    part = memory_of(TOY, Workload("fine-tuning", trained_share=0.1))
    assert part.weights == whole.weights
    assert part.gradients == pytest.approx(whole.gradients / 10)
    assert part.optimizer == pytest.approx(whole.optimizer / 10)


def test_llama_3_8b_on_paper():
    llama = find_model("Llama-3-8B")
    memory = memory_of(llama, Workload(prompt=32_512, new_tokens=256))
    assert memory.weights == pytest.approx(8_030_261_248 * 2 / GIB)
    # 2 x 32 layers x 8 heads x 128 x 2 bytes = 128 KiB a token; 32,768 tokens are 4 GiB
    assert memory.kv_cache == pytest.approx(4.0)


def test_an_encoder_keeps_no_cache():
    assert memory_of(find_model("ViT-L"), Workload()).kv_cache == 0
    assert roofline(find_model("ViT-L"), Workload(), find_device("T4")).decode_per_token is None


def test_flops_by_hand():
    assert attention_flops(TOY, 3, 5) == 4 * 1 * 2 * 2 * 3 * 5
    assert forward_flops(TOY, 2, 6) == 2 * 160 * 12 + 2 * (4 * 4 * 6 * 3)


def test_roofline_by_hand():
    bounds = roofline(TOY, Workload(batch=2, prompt=6, new_tokens=4), DEVICE)
    assert bounds.prefill.flops == forward_flops(TOY, 2, 6)
    assert bounds.prefill.bytes == 2 * ((TOY_PARAMETERS - 40) + 4 * 12)
    assert bounds.prefill.compute_ms == pytest.approx(bounds.prefill.flops / 1e9 * 1e3)
    assert bounds.prefill.binds == "compute"
    # decode in the middle of the generation: 8 tokens of context for each of 2 sequences
    assert bounds.decode_per_token.flops == 2 * (2 * 160 + 4 * 4 * 8)
    assert bounds.decode_per_token.bytes == 2 * ((TOY_PARAMETERS - 40) + 4 * 8 * 2)
    assert bounds.fits


def test_single_stream_decoding_of_a_large_model_waits_for_memory():
    bounds = roofline(find_model("Llama-3-8B"), Workload(prompt=128, new_tokens=512), find_device("H100"))
    assert bounds.binds == "bandwidth"
    # 7.5e9 read weights in two bytes at 3,350 GB/s
    assert bounds.decode_per_token.ms == pytest.approx(2 * 7.505e9 / 3350e9 * 1e3, rel=0.01)


def test_two_devices_halve_the_least_time():
    llama, work, h100 = find_model("Llama-3-8B"), Workload(), find_device("H100")
    one, two = roofline(llama, work, h100), roofline(llama, work, h100, 2)
    assert two.prefill.ms == pytest.approx(one.prefill.ms / 2)


def test_what_does_not_fit_says_by_how_much():
    llama, card = find_model("Llama-3-70B"), find_device("RTX 4090")
    bounds = roofline(llama, Workload(), card)
    assert not bounds.fits
    assert bounds.short_by_gib == pytest.approx(memory_of(llama, Workload()).total - 24 * 0.92)
    assert available(card, 2) == pytest.approx(2 * 24 * 0.92)


def test_training_is_three_forward_passes():
    work = Workload("training", batch=2, seq=6)
    assert roofline(TOY, work, DEVICE).training_step.flops == 3 * forward_flops(TOY, 2, 6)


def test_a_frozen_model_spares_the_gradients_of_its_weights():
    work = Workload("fine-tuning", batch=2, seq=6, trained_share=0.0)
    assert roofline(TOY, work, DEVICE).training_step.flops == 2 * forward_flops(TOY, 2, 6)


def test_experts_are_read_as_far_as_tokens_go_to_them():
    mixture = dataclasses.replace(TOY, experts=4, active_experts=1)
    assert touched_parameters(mixture, 1) == pytest.approx(mixture.parameters - 40 - 3 * 64)
    assert touched_parameters(mixture, 2) == pytest.approx(mixture.parameters - 40 - 4 * 64 * 0.75**2)
    assert touched_parameters(mixture, 10_000) == pytest.approx(mixture.parameters - 40)


def test_shares_of_time():
    llama, card = find_model("Llama-3-8B"), find_device("H100")
    short, long = (time_shares(llama, Workload(prompt=prompt, new_tokens=1), card) for prompt in (1_024, 131_072))
    for shares in (short, long):
        assert shares["attention"] + shares["linear"] + shares["output-layer"] == pytest.approx(1.0)
    assert short["attention"] < 0.1 < 0.5 < long["attention"]
    decoding = time_shares(llama, Workload(prompt=128, new_tokens=4_096), card)
    assert decoding["weights"] > 0.9
    training = time_shares(llama, Workload("training", seq=2_048), card)
    assert training["kv_cache"] == training["weights"] == 0
