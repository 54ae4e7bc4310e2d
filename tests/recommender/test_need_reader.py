"""What is read from a user's words, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.need import Need, NeedError
from recommender.need_reader import read_need


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        pytest.param(
            "one RTX 4090, Llama-3-8B, 32k prompts, no retraining",
            {"gpu": "NVIDIA RTX 4090", "gpus": 1, "model": "Llama-3-8B", "prompt": 32_768, "training": "none", "stage": "inference"},
            id="the-example-of-the-form",
        ),
        pytest.param(
            "Serve Mixtral 8x7B on 2x H100 to 64 concurrent users, 4,000 token prompts, 512 new tokens",
            {"gpu": "NVIDIA H100 SXM", "gpus": 2, "model": "Mixtral-8x7B", "batch": 64, "prompt": 4_000, "new_tokens": 512,
             "objective": "throughput", "stage": "inference"},
            id="serving",
        ),
        pytest.param(
            "pretrain GPT-2 from scratch on a single A100 with batch size 32 and sequence length 1024",
            {"gpu": "NVIDIA A100 80GB", "gpus": 1, "model": "GPT-2", "batch": 32, "seq": 1_024, "training": "pretrain", "stage": "training"},
            id="pretraining",
        ),
        pytest.param("fine-tune it on 8 A100", {"gpu": "NVIDIA A100 80GB", "gpus": 8, "stage": "fine-tuning"}, id="fine-tuning"),
        pytest.param("faster inference without any fine-tuning", {"training": "none", "stage": "inference"}, id="no-tuning-is-no-stage"),
        pytest.param("quantize after a small calibration set", {"training": "calibration"}, id="calibration"),
        pytest.param("at least 20 tokens per second on a phone", {"token_ms": 50.0}, id="speed-of-one-stream"),
        pytest.param("time to first token under 500 ms", {"first_token_ms": 500.0}, id="first-token"),
        pytest.param("below 30 ms per token", {"token_ms": 30.0}, id="time-of-a-token"),
        pytest.param("training within 1.5 s per step", {"step_ms": 1500.0, "stage": "training"}, id="time-of-a-step"),
        pytest.param("it must run in 16 GB of VRAM", {"memory_gib": 16.0, "objective": "memory"}, id="memory-budget"),
        pytest.param("serve it in fp16 now", {"dtype": "fp16"}, id="format"),
        pytest.param("train in FP8", {"dtype": None}, id="a-format-that-is-wanted-is-not-where-one-starts"),
        pytest.param("cheap fine-tuning is fine", {"training": "finetune", "stage": "inference"}, id="cheap-tuning"),
        pytest.param("Jetson, ViT-L, real time, fine-tuning allowed", {"training": "finetune", "stage": "inference", "objective": "latency"}, id="real-time-in-two-words"),
        pytest.param("ViT-L on a T4, we may fine-tune", {"training": "finetune", "stage": "inference"}, id="may-tune"),
        pytest.param("I want to fine-tune a 7B model on a T4", {"training": "any", "stage": "fine-tuning"}, id="tuning-is-the-aim"),
        pytest.param(
            "T4, ViT-L inference batch 64, finetuning allowed",
            {"gpu": "NVIDIA T4", "model": "ViT-L", "batch": 64, "training": "finetune", "stage": "inference"},
            id="tuning-that-is-allowed-is-no-stage",
        ),
        pytest.param("inference, fine-tuning is not possible", {"training": "none", "stage": "inference"}, id="not-possible"),
        pytest.param("serve 200 concurrent chats", {"batch": 200, "objective": "throughput"}, id="chats"),
        pytest.param("it runs out of memory", {"objective": "memory"}, id="memory"),
        pytest.param("at most 1.5% accuracy loss", {"max_error": 0.015}, id="error-budget"),
        pytest.param("detection on CPU, embedded boards or microcontrollers", {"gpu": "cpu, embedded, mcu"}, id="several-machines"),
        pytest.param("offload the optimizer to the CPU", {"stage": "training", "gpu": None}, id="offloading-names-no-machine"),
        pytest.param("run it on a laptop CPU", {"gpu": "Desktop CPU, 16 cores", "stage": "inference"}, id="on-a-cpu"),
        pytest.param("context window of 100k", {"prompt": 100_000}, id="length-after-the-word"),
        pytest.param("hello", {"stage": None, "gpu": None, "model": None, "training": "any", "gpus": 1, "batch": 1}, id="nothing-said"),
    ],
)  # fmt: skip
def test_words_are_read(text, fields):
    need = read_need(text)
    assert {name: getattr(need, name) for name in fields} == fields


def test_what_is_given_wins_over_the_words_and_none_counts_as_not_given():
    need = read_need("one RTX 4090, no retraining", gpu="H100", training="pretrain", batch=None)
    assert (need.gpu, need.training, need.batch, need.gpus) == ("H100", "pretrain", 1, 1)


@pytest.mark.parametrize(
    ("given_fields", "message"),
    [
        pytest.param({"stage": "deploy"}, "stage: 'deploy'.*inference", id="stage"),
        pytest.param({"training": "some"}, "training: 'some'.*calibration", id="training"),
        pytest.param({"objective": "beauty"}, "objective: 'beauty'.*latency", id="objective"),
        pytest.param({"gpus": 0}, "gpus: .*at least 1", id="gpus"),
        pytest.param({"batch": 2.5}, "batch: .*whole number", id="batch"),
        pytest.param({"prompt": True}, "prompt: ", id="bool-is-no-number"),
        pytest.param({"max_error": -1.0}, "max_error: ", id="error"),
        pytest.param({"max_error": float("nan")}, "max_error: ", id="nan"),
        pytest.param({"colour": "red"}, "colour: no such field", id="unknown-field"),
    ],
)
def test_a_wrong_field_is_named(given_fields, message):
    with pytest.raises(NeedError, match=message):
        read_need("faster", **given_fields)


@pytest.mark.parametrize("text", ["", "   ", None], ids=["empty", "blank", "none"])
def test_an_empty_need_is_refused(text):
    with pytest.raises(NeedError, match="need: "):
        read_need(text)


@given(st.text(min_size=1, max_size=120).filter(str.strip))
def test_any_words_make_a_valid_need(text):
    assert read_need(text).text == text


@given(
    st.integers(1, 4_000_000), st.sampled_from(["prompts", "context", "sequence length", "batch size", "new tokens"])
)
def test_large_and_small_amounts_are_read_or_left(amount, what):
    need = read_need(f"{amount} {what}")
    assert all(
        value is None or value == amount or value == 1 for value in (need.prompt, need.seq, need.batch, need.new_tokens)
    )


@pytest.mark.parametrize(
    ("gpu", "device"),
    [
        pytest.param("A100", "NVIDIA A100 80GB", id="product"),
        pytest.param("GPU", None, id="any-gpu"),
        pytest.param("GPU/mobile", None, id="two-kinds"),
        pytest.param("multi-GPU", None, id="several"),
        pytest.param("mobile", "Phone, 2024 flagship", id="one-kind"),
        pytest.param("a quantum computer", None, id="unknown"),
    ],
)
def test_the_device_of_a_need(gpu, device):
    found = Need("x", gpu=gpu).device()
    assert (found and found.name) == device
