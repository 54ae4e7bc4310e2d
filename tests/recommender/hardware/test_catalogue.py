"""Finding devices and models in a user's words."""

from __future__ import annotations

import pytest

from recommender.hardware.catalogue import CatalogueError, count_devices, devices, find_device, read_devices
from recommender.hardware.models import find_model, models, read_models
from recommender.hardware.naming import fold


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
        pytest.param("smartphones", "Phone, 2024 flagship", None, id="phone"),
        pytest.param("iPhone 13", "iPhone 13, A15", None, id="phone-by-name"),
        pytest.param("Snapdragon 8 Gen 3", "Snapdragon 8 Gen 3", None, id="number-of-a-generation-is-no-count"),
        pytest.param("multiply-accumulate MACs", None, None, id="not-a-computer"),
        pytest.param("microcontrollers", "Microcontroller, Cortex-M7", None, id="kind-of-machine"),
        pytest.param("a single RTX 3090 with 24 GB", "NVIDIA RTX 3090", 1, id="number-of-a-product-is-no-count"),
        pytest.param("RTX 4090 and 64 GB of RAM", "NVIDIA RTX 4090", None, id="what-joins-two-numbers-is-no-product"),
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
    assert device.source
    rates = device.tflops
    # Narrower numbers are never slower, and from 16 to 8 and 4 bits a rate at most quadruples: more was printed with sparsity.
    for wide, narrow in (("fp32", "fp16"), ("fp16", "fp8"), ("fp16", "int8"), ("int8", "int4"), ("fp8", "fp4")):
        if {wide, narrow} <= set(rates):
            most = 32 if wide == "fp32" else 4.01
            assert rates[wide] <= rates[narrow] <= most * rates[wide], (wide, narrow)
    if device.tflops and device.device_class != "mcu":
        ridge = device.rate(device.best_dtype()) * 1e12 / (device.bandwidth_gb_s * 1e9)
        assert 1 < ridge < 800, "operations a byte where arithmetic begins to bind"
    if device.is_gpu:
        assert 25 < device.bandwidth_gb_s <= 8_000
        assert 4 <= device.memory_gib <= 512
    if device.power_w:
        assert 5 <= device.power_w <= 1_200


@pytest.mark.parametrize(
    ("name", "ridge"),
    [
        pytest.param("NVIDIA A100 80GB", 312e12 / 2039e9, id="a100"),
        pytest.param("NVIDIA H100 SXM", 989.4e12 / 3350e9, id="h100"),
        pytest.param("AMD MI300X", 1307.4e12 / 5300e9, id="mi300x"),
        pytest.param("NVIDIA RTX 4090", 165.2e12 / 1008e9, id="rtx-4090"),
    ],
)
def test_arithmetic_binds_from_so_many_operations_a_byte_on(name, ridge):
    device = devices()[name]
    assert device.rate("bf16") * 1e12 / (device.bandwidth_gb_s * 1e9) == pytest.approx(ridge)


def test_the_catalogue_is_large_and_no_alias_means_two_devices():
    assert len(devices()) >= 90
    aliases = [
        fold(alias) for device in devices().values() for alias in {fold(a) for a in (device.name, *device.aliases)}
    ]
    assert len(aliases) == len(set(aliases))
    aliases = [alias for model in models().values() for alias in {fold(a) for a in (model.name, *model.aliases)}]
    assert len(aliases) == len(set(aliases))


@pytest.mark.parametrize(
    ("name", "flash", "sparse", "fp8"),
    [
        pytest.param("RTX 3090", True, True, False, id="ampere"),
        pytest.param("RTX 4090", True, True, True, id="ada"),
        pytest.param("T4", False, False, False, id="turing"),
        pytest.param("V100", False, False, False, id="volta"),
        pytest.param("MI300X", False, True, True, id="no-cuda"),
        pytest.param("Gaudi 2", False, False, True, id="gaudi"),
    ],
)
def test_what_a_device_can_do(name, flash, sparse, fp8):
    device = find_device(name)
    assert (device.runs_flash_attention, device.runs_sparse, "fp8" in device.tflops) == (flash, sparse, fp8)


@pytest.mark.parametrize(
    ("name", "dtype", "rate"),
    [
        pytest.param("RTX 3090", "fp8", 71.0, id="fp8-runs-in-16-bits"),
        pytest.param("H100", "fp8", 1978.9, id="fp8"),
        pytest.param("T4", "bf16", 65.0, id="bf16-runs-in-fp16"),
        pytest.param("A100", "int4", 312.0, id="weights-in-4-bits-are-computed-with-in-16"),
        pytest.param("M3 Max", "fp16", None, id="nothing-is-published"),
    ],
)
def test_a_missing_format_runs_in_the_nearest_wider_one(name, dtype, rate):
    assert find_device(name).rate(dtype) == rate


@pytest.mark.parametrize("name", models())
def test_every_model_is_found_by_its_name_and_its_shape_adds_up(name):
    model = models()[name]
    assert find_model(name) == model
    # Biases, learned positions and convolutions at the input are left out, which weighs in small models.
    assert model.parameters / 1e9 == pytest.approx(model.published_billions, rel=0.05 if model.tokens else 0.013)


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
        pytest.param({"source": ""}, "'X': source", id="source"),
        pytest.param({"features": ["speed"]}, "'X': features", id="feature"),
    ],
)
def test_a_wrong_device_is_refused_by_field(change, message):
    row = {"name": "X", "class": "cpu", "vendor": "v", "aliases": [], "memory_gib": 1.0, "bandwidth_gb_s": 1.0,
           "tflops": {"fp32": 1.0}, "source": "s"}  # fmt: skip
    assert read_devices({"device": [row]})["X"].memory_gib == 1.0
    with pytest.raises(CatalogueError, match=message):
        read_devices({"device": [{**row, **change}]})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"layers": 0}, "'X': layers", id="layers"),
        pytest.param({"kv_heads": 3}, "'X': kv_heads must divide", id="heads"),
        pytest.param({"kind": "other"}, "'X': kind", id="kind"),
        pytest.param({"active_experts": 2}, "'X': active_experts", id="more-experts-used-than-there-are"),
        pytest.param({"layers": 10**6}, "'X': layers must be.*2,000", id="absurd"),
        pytest.param({"width": 1}, "'X'.*width", id="unknown-field"),
    ],
)
def test_a_wrong_model_is_refused_by_field(change, message):
    row = {"name": "X", "kind": "decoder", "aliases": [], "layers": 1, "hidden": 4, "heads": 4, "kv_heads": 2,
           "head_dim": 1, "ffn": 8, "vocab": 10, "gated": True, "tied": False}  # fmt: skip
    assert read_models({"model": [row]})["X"].layers == 1
    with pytest.raises(CatalogueError, match=message):
        read_models({"model": [{**row, **change}]})


def test_a_shape_by_hand_is_a_model():
    shape = "layers=32 hidden=4096 heads=32 kv_heads=8 ffn=14336 vocab=128256 gated=true tied=false"
    assert find_model(shape).parameters == models()["Llama-3-8B"].parameters
    assert find_model("layers=2, hidden=8, heads=2").ffn == 32


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        pytest.param("layers=32 hidden=4096", "needs heads", id="missing"),
        pytest.param("layers=32 hidden=4096 heads=many", "heads must be a whole number", id="word"),
        pytest.param("layers=32 hidden=4096 heads=32 kv_heads=5", "kv_heads must divide", id="heads"),
        pytest.param("layers=1 hidden=8 heads=1 colour=3", "no field colour", id="unknown"),
        pytest.param("layers=99999 hidden=8 heads=1", "layers must be.*2,000", id="absurd"),
    ],
)
def test_a_wrong_shape_by_hand_is_refused_by_field(shape, message):
    with pytest.raises(CatalogueError, match=message):
        find_model(shape)
