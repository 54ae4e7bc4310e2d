"""Which hardware a record names, in which form, and when the word for a class counts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.extraction import extract
from ingest.extraction.hardware_names import DEVICE, KINDS, MAY_NAME, MAY_START
from ingest.extraction.words import know, split_words

NAMED = {
    "A100": "an NVIDIA A100 GPU", "H100": "8x H100s", "H200": "one H200", "B200": "a B200 GPU", "L40S": "an L40S", "T4": "T4 GPUs",
    "V100": "a Tesla V100", "GH200": "a GH200", "A800": "A800-80GB cards", "RTX 4090": "a single RTX-4090 GPU", "RTX 3090": "an NVIDIA 3090 GPU",
    "RTX 2080 Ti": "an RTX 2080 Ti", "GTX 1080": "a GTX1080", "RTX A6000": "an RTX A6000", "Titan RTX": "a Titan RTX",
    "MI300X": "an MI300X", "MI250": "an AMD MI250", "Jetson Nano": "a Jetson Nano board", "Jetson AGX Orin": "a Jetson AGX Orin",
    "iPhone 12": "an iPhone 12", "Pixel 6": "a Pixel 6 phone", "Galaxy S21": "a Samsung Galaxy S21", "Snapdragon 835": "a Snapdragon 835",
    "Snapdragon 8 Gen 2": "a Snapdragon 8 Gen 2", "Hexagon DSP": "a Hexagon DSP", "Adreno 740": "an Adreno 740 GPU",
    "Raspberry Pi 4": "a Raspberry Pi 4", "Cortex-M7": "an ARM Cortex-M7", "STM32F746": "an STM32F746", "EdgeTPU": "an Edge TPU",
    "TPU": "a TPUv3 pod", "Apple M2": "an Apple M2", "Xeon": "an Intel Xeon server", "EPYC": "an AMD EPYC host", "Ascend 910B": "an Ascend 910B chip",
    "Gaudi 2": "Intel Gaudi 2 cards", "Trainium2": "Trainium2 chips", "Loihi 2": "Loihi 2", "Cerebras CS-2": "a Cerebras CS-2",
    "Alveo U280": "an Alveo U280 card", "Hailo-8": "a Hailo-8 module", "Zynq": "a Zynq board",
}  # fmt: skip

CLASS = {
    "own-part": ("Sums", "We run on GPUs and CPUs.", ("GPU", "CPU")),
    "memory": ("Sums", "We halve GPU memory.", ("GPU",)),
    "friendly": ("Sums", "We design GPU-friendly sums.", ("GPU",)),
    "hours-beside-a-device": ("Sums", "We search for 12 GPU hours on a microcontroller.", ("MCU",)),
    "hours-alone": ("Sums", "Sums are slow. We search for only 12 GPU hours.", ()),
    "title-alone": ("Sums on GPUs", "Sums are slow. We add.", ()),
    "title-and-text": ("Sums on GPUs", "Sums on GPUs are slow. We add.", ("GPU",)),
    "what-others-need": ("Sums", "Sums require robust GPU-equipped machines. We add.", ()),
    "hours-of-others": ("Sums", "Others take 900 GPU days. We add.", ()),
    "hours-as-a-burden": ("Sums", "We run 7 sums for more than 900 GPU hours.", ()),
    "without-it": ("Sums", "We add on one CPU thread, in real time without GPU.", ("CPU",)),
    "not-accelerated": ("Sums", "We use only CPUs and not GPU-accelerated sums.", ("CPU",)),
    "gpu-less": ("Sums", "We add on a CPU (GPU-less).", ("CPU",)),
    "two-halves": ("Sums", "We cut CPU-GPU transfers and GPU memory.", ("GPU",)),
    "rivals": ("Sums", "We add on GPUs, 9x faster than the CPU-based tool and the best CPU baseline.", ("GPU",)),
    "rival-runs-there": ("Sums", "We add on FPGAs, 9x faster than CPUs and GPUs.", ("FPGA", "CPU", "GPU")),
    "named-cpu": ("Sums", "We add on FPGAs, 9x faster than a Core i7-9999K CPU.", ("FPGA", "CPU")),
    "board-of-its-class": ("Sums", "We add on a Zynq UltraScale+ FPGA.", ("FPGA",)),
    "board-alone": ("Sums", "We add on a ZCU102 board.", ("ZCU102",)),
    "mcu-title-beside-device": ("Sums on Microcontrollers", "We add on an STM32H7.", ("STM32H7", "MCU")),
    "mobile-background": ("Sums", "Sums are slow. They are hard to bring to mobile devices. We add.", ()),
    "mobile-opens": ("Sums", "Sums on mobile devices are slow. We add.", ("mobile",)),
    "mobile-twice": ("Sums", "Sums are slow. Mobile phones need them. Few mobile sums exist. We add.", ("mobile",)),
    "mobile-of-rivals": ("Sums", "We add faster than prior sums designed for mobile devices.", ()),
    "mobile-ours": ("Sums", "We give sums designed for mobile devices.", ("mobile",)),
    "mobile-health": ("Sums", "We count steps for mobile health.", ()),
    "mobile-gpu": ("Sums", "We add on mobile GPUs.", ("mobile",)),
    "mobile-alone": ("Sums", "We add in the user's device (a browser or mobile).", ("mobile",)),
    "phones": ("Sums", "We add in real time on most existing phones.", ("mobile",)),
    "phones-of-speech": ("Sums", "We map phones to words.", ()),
    "dsp-as-a-field": ("Sums", "We use a DSP vocoder on a CPU.", ("CPU",)),
    "resistive-memory": ("Sums", "We give a PIM design of ReRAM crossbars.", ("ReRAM",)),
    "generation": ("Sums", "We add on 8 NVIDIA Hopper 80GB GPUs.", ("Hopper GPU",)),
    "generation-beside-its-card": ("Sums", "We add on Hopper GPUs. An H100 adds fast.", ("H100",)),
    "gpu-like": ("Sums", "We add faster than the GPU-like design.", ()),
    "resistive-as-written": ("Sums", "We give an IMC prototype of RRAM devices.", ("RRAM",)),
    "neuromorphic": ("Sums", "We add on neuromorphic chips, on a neuromorphic dataset.", ("neuromorphic",)),
    "neuromorphic-data": ("Sums", "We add on a neuromorphic dataset.", ()),
    "machine-beside-its-cards": ("Sums", "We add on the Selene supercomputer with 64 A100 GPUs.", ("A100",)),
    "devices-that-move": ("Sums", "Many devices are mobile and small. We add on MCUs.", ("MCU",)),
    "gpu-with-cores": ("Sums", "We add on a Mali-G99 MP2.", ("Mali-G99 MP2",)),
    "small-s": ("Sums", "We add on one L40s GPU.", ("L40S",)),
    "title-without": ("Sums without GPU", "We add on a CPU.", ("CPU",)),
    "cpu-of-the-background": ("Sums", "Sums are slow on CPUs. We add.", ()),
    "background-comparison": ("Sums", "Sums are slower than traditional microcontrollers. We add.", ()),
    "card-without-series": ("Sums", "We add on an NVIDIA 1080Ti GPU.", ("GTX 1080Ti",)),
    "geforce": ("Sums", "We add on a GeForce GTX 3080 GPU.", ("RTX 3080",)),
    "tpu-slice": ("Sums", "We add on a TPUv3-8.", ("TPU",)),
    "core-family": ("Sums", "We add on Arm Cortex-M processors.", ("Cortex-M",)),
    "short-pi": ("Sums", "We add on an RPi 3B.", ("Raspberry Pi 3B",)),
    "discs": ("Sums", "We keep sums on solid-state drives.", ("SSD",)),
    "tensor-core-by-name": ("Sums", "We give ZED Tensor Core, a design.", ()),
    "tensor-core-of-a-maker": ("Sums", "We add on NVIDIA Tensor Cores.", ("GPU",)),
    "background-example": ("Sums", "Accelerators such as GPUs and TPUs are common. We add.", ()),
    "background-alone": ("Sums", "Sums are slow on modern GPUs. We add.", ("GPU",)),
    "background-beside-own": ("Sums", "Sums need a GPU. We add on microcontrollers.", ("MCU",)),
    "title": ("Sums on FPGAs", "Sums are slow. We add.", ("FPGA",)),
    "title-makes-background-count": ("Sums on GPU and TPU", "Sums need GPUs or TPUs. We add.", ("GPU", "TPU")),
    "beside-its-card": ("Sums", "We run on consumer GPUs (an RTX 4090).", ("RTX 4090",)),
    "cpu-beside-card": ("Sums", "We run on an A100 GPU and on CPUs.", ("A100", "CPU")),
    "mobile-word": ("Sums", "We give sums for desktop as well as mobile targets.", ("mobile",)),
    "mobile-devices-beside-phone": ("Sums", "We run on mobile devices, such as an iPhone 12.", ("iPhone 12",)),
    "mobile-title-beside-phone": ("Sums on Mobile Devices", "We run on mobile devices, such as an iPhone 12.", ("mobile", "iPhone 12")),
    "mobile-block": ("Sums", "We use the mobile inverted bottleneck.", ()),
    "mobile-robot": ("Sums", "We move a mobile robot.", ()),
    "mobile-cpu": ("Sums", "We run on mobile CPUs.", ("mobile", "CPU")),
    "smartphones": ("Sums", "We run on smartphones.", ("mobile",)),
    "edge": ("Sums", "We run on edge devices and embedded systems.", ()),
    "pim": ("Sums", "We design processing-in-memory for sums.", ("PIM",)),
    "shorter-beside-longer": ("Sums", "We run on a Jetson Nano. The Jetson is small.", ("Jetson Nano",)),
    "supercomputer": ("Sums on Frontier", "We add on the Frontier supercomputer.", ("Frontier",)),
    "frontier-of-knowledge": ("Sums", "We push the Frontier of sums.", ()),
    "address": ("Sums", "We add. See https://github.com/zed/tpu/tree/gpu.", ()),
    "lower-case-word": ("Sums", "We find a core, a pixel 3 times, a galaxy of titan sums.", ()),
    "model-names": ("Sums", "We test T5, A2C, L4-loss, M1 and W4A16 networks.", ()),
    "arm-platform": ("Sums", "We give kernels for ARM and WebAssembly.", ("ARM",)),
}  # fmt: skip


@pytest.mark.parametrize(("label", "phrase"), NAMED.items(), ids=NAMED.keys())
def test_a_named_device_in_its_short_form(label: str, phrase: str) -> None:
    assert extract("Sums", f"We run the adder on {phrase}.").hardware == (label,)


@pytest.mark.parametrize(("title", "abstract", "hardware"), CLASS.values(), ids=CLASS.keys())
def test_when_a_class_counts(title: str, abstract: str, hardware: tuple[str, ...]) -> None:
    assert extract(title, abstract).hardware == hardware


@pytest.mark.parametrize("phrase", NAMED.values(), ids=NAMED.keys())
def test_every_device_is_looked_for_where_it_begins(phrase: str) -> None:
    words = split_words(phrase)
    triggers = [pulled for _, pulled, _, _ in know(words)]
    assert any(t & MAY_NAME for t in triggers)
    assert any(t & MAY_START for t in triggers)


def test_every_row_of_the_catalogue_has_a_name_of_its_own() -> None:
    names = [kind.name for kind in KINDS]
    assert len(set(names)) == len(names)
    assert DEVICE.groups >= len(names)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from([*NAMED.values(), "We", "run", "GPU", "hours", "mobile", ".", "/", "-", "İ", "ﬁ"]), max_size=20
    ).map(" ".join)
)
def test_reasons_are_the_words_of_the_text(abstract: str) -> None:
    record = extract("Sums", abstract)
    assert all(words in abstract for words in record.reasons["hardware"])
    assert len(set(record.hardware)) == len(record.hardware)
