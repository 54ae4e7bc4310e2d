"""Finding devices and models in a user's words."""

from __future__ import annotations

import pytest

from recommender.hardware.catalogue import CatalogueError, count_devices, devices, find_device, read_devices
from recommender.hardware.models import find_model, models, read_models


@pytest.mark.parametrize(
    ("text", "name", "count"),
    [
        pytest.param("one RTX 4090", "NVIDIA RTX 4090", 1, id="spoken-number"),
        pytest.param("rtx4090", "NVIDIA RTX 4090", None, id="glued"),
        pytest.param("A100 80GB", "NVIDIA A100 80GB", None, id="memory"),
        pytest.param("A100-SXM4-40GB", "NVIDIA A100 40GB", None, id="driver-name"),
        pytest.param("NVIDIA H200", "NVIDIA H200", None, id="vendor"),
        pytest.param("2x H100", "NVIDIA H100 SXM", 2, id="times"),
        pytest.param("8×A100 80 GB", "NVIDIA A100 80GB", 8, id="times-sign"),
        pytest.param("4 x RTX 3090s", "NVIDIA RTX 3090", 4, id="plural"),
        pytest.param("two H100 PCIe cards", "NVIDIA H100 PCIe", 2, id="variant"),
        pytest.param("jetson orin nano", "Jetson Orin Nano 8GB", None, id="longest-name-wins"),
        pytest.param("iPhone 13", "Phone, 2024 flagship", None, id="phone"),
        pytest.param("microcontrollers", "Microcontroller, Cortex-M7", None, id="kind-of-machine"),
        pytest.param("GPT-2 XL on 8 V100 16GB", "NVIDIA V100 16GB", 8, id="number-of-a-model-is-no-count"),
        pytest.param("four GPUs", None, 4, id="no-product"),
        pytest.param("my 14090 points", None, None, id="number-inside-another"),
        pytest.param("", None, None, id="empty"),
    ],
)
def test_devices_in_words(text, name, count):
    device = find_device(text)
    assert (device and device.name) == name
    assert count_devices(text) == count


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param("meta-llama/Meta-Llama-3.1-8B", "Llama-3-8B", id="hub-name"),
        pytest.param("llama3 8b", "Llama-3-8B", id="short"),
        pytest.param("Qwen2.5-7B-Instruct", "Qwen2.5-7B", id="instruct"),
        pytest.param("Mixtral 8x7B", "Mixtral-8x7B", id="experts"),
        pytest.param("GPT-2 XL", "GPT-2-XL", id="longest-name-wins"),
        pytest.param("some 7B model", None, id="no-name"),
    ],
)
def test_models_in_words(text, name):
    model = find_model(text)
    assert (model and model.name) == name


@pytest.mark.parametrize("name", devices())
def test_every_device_is_found_by_its_name_and_its_figures_are_plausible(name):
    device = devices()[name]
    assert find_device(name) == device
    rates = device.tflops
    assert rates.get("int8", 1e9) >= rates.get("fp16", 0) >= rates.get("fp32", 0) or "fp16" not in rates
    assert device.is_gpu or device.device_class != "consumer"


@pytest.mark.parametrize("name", models())
def test_every_model_is_found_by_its_name(name):
    assert find_model(name) == models()[name]


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        pytest.param("Llama-3-8B", 8.03, id="grouped-queries"),
        pytest.param("Llama-2-7B", 6.74, id="all-heads"),
        pytest.param("Mixtral-8x7B", 46.70, id="experts"),
        pytest.param("Gemma-2-9B", 9.24, id="tied-wide-heads"),
        pytest.param("Qwen2.5-72B", 72.71, id="large"),
        pytest.param("GPT-2", 0.124, id="plain-feed-forward"),
    ],
)
def test_parameters_equal_the_published_count(name, billions):
    assert models()[name].parameters / 1e9 == pytest.approx(billions, rel=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"class": "gpu"}, "'X': class 'gpu'", id="class"),
        pytest.param({"memory_gib": -1}, "'X': memory_gib", id="memory"),
        pytest.param({"bandwidth_gb_s": "fast"}, "'X': bandwidth_gb_s", id="bandwidth"),
        pytest.param({"tflops": {"fp7": 1.0}}, "'X': tflops", id="format"),
        pytest.param({"colour": "red"}, "'X'.*colour", id="unknown-field"),
    ],
)
def test_a_wrong_device_is_refused_by_field(change, message):
    row = {"name": "X", "class": "cpu", "vendor": "v", "aliases": [], "memory_gib": 1.0, "bandwidth_gb_s": 1.0,
           "tflops": {"fp32": 1.0}}  # fmt: skip
    assert read_devices({"device": [row]})["X"].memory_gib == 1.0
    with pytest.raises(CatalogueError, match=message):
        read_devices({"device": [{**row, **change}]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"layers": 0}, "'X': layers", id="layers"),
        pytest.param({"kv_heads": 3}, "'X': kv_heads must divide", id="heads"),
        pytest.param({"kind": "other"}, "'X': kind", id="kind"),
        pytest.param({"width": 1}, "'X'.*width", id="unknown-field"),
    ],
)
def test_a_wrong_model_is_refused_by_field(change, message):
    row = {"name": "X", "kind": "decoder", "aliases": [], "layers": 1, "hidden": 4, "heads": 4, "kv_heads": 2,
           "head_dim": 1, "ffn": 8, "vocab": 10, "gated": True, "tied": False}  # fmt: skip
    assert read_models({"model": [row]})["X"].layers == 1
    with pytest.raises(CatalogueError, match=message):
        read_models({"model": [{**row, **change}]})
