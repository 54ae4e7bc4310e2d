"""Hardware by name: how each device is written, what its short form is and which class it belongs to.

To add a device, add it to its row, and its first word to `_NAMES` or `_PREFIXES` if none there begins it. Classes come first, since
they are named most.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .words import trigger


class Kind(NamedTuple):
    """A row of the catalogue. `classes` are left out beside a device of the row; `cased` names must begin with a capital."""

    name: str
    pattern: str
    classes: tuple[str, ...] = ()
    cased: bool = True


_GEFORCE = r"(?:16[56]0|20[5678]0|30[5-9]0|40[5-9]0|50[5-9]0)"
GENERATIONS = ("Hopper GPU", "Blackwell GPU", "Ampere GPU", "Volta GPU", "Turing GPU")
KINDS: tuple[Kind, ...] = (
    Kind("FPGA", r"FPGAs?|field[\s-]programmable\sgate\sarrays?", cased=False),
    Kind("ASIC", r"ASICs?|application[\s-]specific\sintegrated\scircuits?", cased=False),
    Kind("MCU", r"micro-?controllers?(?:\sunits?)?|MCUs?", cased=False),
    Kind("NPU", r"NPUs?|neural\sprocessing\sunits?", cased=False),
    Kind("DSP", r"DSPs?(?!\s*\)|[\s-](?:vocoder|system|algorithm|technique|method|based|block|feature|module|front|pipeline|component))|digital\ssignal\sprocessors?", cased=False),
    Kind("PIM", r"(?:logic-)?PIMs?(?=[\s.,;)-])|process(?:ing|or)[\s-]in[\s-]memory|(?:compute|computing|computation)[\s-]in[\s-]memory|in-memory[\s-]computing", cased=False),
    Kind("CGRA", r"CGRAs?", cased=False),
    Kind("RISC-V", r"RISC-V", cased=False),
    Kind("neuromorphic", r"neuromorphic(?=\s(?:hardware|chips?|processors?|platforms?|devices?|accelerators?|systems?))", cased=False),
    Kind("RRAM", r"RRAMs?", ("PIM", "NPU", "ReRAM"), cased=False),
    Kind("ReRAM", r"ReRAMs?|resistive\srandom[\s-]access\smemor(?:y|ies)|memristors?", ("PIM", "NPU"), cased=False),
    Kind("mobile GPU", r"mobile\s(?:phone\s)?GPUs?", ("GPU",), cased=False),
    Kind("GPU", r"GPUs?|GPGPUs?|graphic(?:s|al)?\sprocessing\sunits?|graphics\scards?|tensor\scores?", cased=False),
    Kind("CPU", r"CPUs?|(?:Intel\s)?Core\s(?:i[3579](?:[\s-]\d\w*)?|Ultra(?:\s\d)?)|central\sprocessing\sunits?", cased=False),
    Kind("mobile", r"smart-?phones?|(?<!are\s)(?<!is\s)mobile(?=[\s-]|[.,;)])(?![\s-](?:health|medical|medicine|inverted|blocks?\b|bottleneck|robot|manipul|agents?\b|former|settings?\b|games?\b|money|crowd|base\b|ad-?hoc|service|traffic|data))"
         r"|iOS|Android(?=\s(?:phone|device|smart|app|OS|platform)|[.,;)])|cell\sphones?"
         r"|(?<=existing\s)phones|(?<=modern\s)phones|(?<=flagship\s)phones?|(?<=commodity\s)phones|(?<=consumer\s)phones|(?<=Android\s)phones?", cased=False),
    Kind("gpu-generation", r"(?:Hopper|Blackwell|Ampere|Volta|Turing)(?=\s(?:\d+\s?GB\s)?GPUs?)", ("GPU",)),
    Kind("SSD", r"solid[\s-]state\s(?:drive|disk)s?|SSDs|NVMe", cased=False),
    Kind("nvidia-card",
         r"(?:A100X?|A800|A40|A30|A10G?|A2000|A4000|A4500|A5000|A5500|A6000|H100|H200|H800|H20|B100|B200|B300|GB200|GB300|GH200|V100S?|P100|P40"
         r"|L40S?|L20|L4|T4G?|T2000|K80|K40|K20X?|M40|M60)s?(?!\.\d)(?=\b)(?!-(?!\d*\s?GB|based|class|GPU|equipped|40|80|PCIe|SXM))",
         ("GPU", *GENERATIONS)),
    Kind("rtx", r"(?:RTX|GTX)[\s-]?(?:Pro\s)?(?:A?\d{3,4})[A-Z]?(?:[\s-]?Ti|[\s-]?SUPER|\sAda)?(?:\s(?:Laptop|Mobile))?"
         rf"|(?:{_GEFORCE}(?:\s?Ti)?|10[78]0\s?Ti)(?=\s(?:GPU|card|graphics))|RTX\sTitan|Titan\s?(?:Xp?|RTX|V)?(?=\W|$)|Quadro(?:\s\w?\d{{3,4}})?|GeForce(?=\s)(?!\s[RG]TX)", ("GPU",)),
    Kind("jetson", r"Jetson(?:[\s-](?:AGX[\s-]Orin|AGX[\s-]Xavier|AGX[\s-]Thor|Xavier[\s-]NX|Orin[\s-]Nano|Orin[\s-]NX|Xavier|Orin|Nano|Thor"
         r"|TX[12]|TK1|AGX))?", ("GPU", "mobile")),
    Kind("amd-gpu", r"(?:Instinct\s)?MI\d{2,3}[AX]?|Radeon(?:\s(?:RX|Pro|VII)(?:\s\w+)?)?|Instinct(?=\sGPU)", ("GPU",)),
    Kind("intel-gpu", r"Ponte\sVecchio|Intel\s(?:Data\sCenter\s)?(?:GPU\s)?Max(?:\s\d{4})?|Arc\sA\d{3}", ("GPU",)),
    Kind("mobile-gpu", r"Adreno(?:\s\d{3})?|Mali(?:-\w\d+(?:\sMP\d+)?)?|PowerVR", ("GPU", "mobile")),
    Kind("phone", r"iPhone(?:\s?(?:1[0-9]|X[SR]?|SE|[678])(?:\s?Pro(?:\s?Max)?|\sPlus)?)?|iPads?(?:\sPro|\sAir)?|Pixel\s?\d\w?(?:\sPro|\sXL)?"
         r"|Galaxy\s?(?:S|Note|Tab|A)\s?\d+\w*|Galaxy\sZ\sFold|OnePlus\s?\w+|Xiaomi(?:\s?\w*\d\w*)?|Redmi\s?\w+|Mate\s\d0(?:\sPro)?|Apple\sWatch", ("mobile",)),
    Kind("phone-chip", r"Snapdragon(?:\s(?:\d{3,4}\+?|8\+?\s?(?:Gen|Elite)\s?\d?|X\sElite))?|Hexagon(?:\sDSP|\sNPU)?|Kirin\s?\d*|Dimensity\s?\d*|Exynos\s?\d*"
         r"|Helio\s?\w\d+|A1[1-9]\sBionic", ("mobile", "DSP")),
    Kind("apple-chip", r"(?:Apple\s)?M[1-5](?:\s(?:Pro|Max|Ultra))?(?=\s(?:chip|MacBook|Max|Pro|Ultra|processor|CPU|GPU|SoC))|MacBook(?:\s(?:Pro|Air))?|Mac\s(?:Studio|mini)"
         r"|Apple\s(?:silicon|M[1-5](?:\s(?:Pro|Max|Ultra))?)|Apple\sNeural\sEngine", ()),
    Kind("pi", r"RPi(?:[\s-]?[2345](?:B\+?)?)?|Raspberry[\s-]?Pi(?:\s?[2345](?:\s?Model)?\s?B?\+?|\sZero(?:\s2)?(?:\sW)?|\sPico)?|Orange\sPi(?:\s\w+)?|Odroid[\s-]?\w*|BeagleBone", ("mobile",)),
    Kind("arm", r"ARM(?:v\d)?(?=\s(?:and|or|devices?|chips?|SoCs?|servers?|platforms?)\b|[.,;)])", ()),
    Kind("arm-core", r"(?:ARM\s)?Cortex[\s-]?[AMRX](?:\d+\w?)?(?:\+)?|Neoverse(?:[\s-][NVE]\d)?|Graviton\s?\d?", ("CPU", "MCU")),
    Kind("mcu", r"STM32\w*|ESP32(?:-\w+)?|nRF5\d{3,4}|MAX7800\d|GAP[89]|Arduino(?:\s(?:Nano|Uno)(?:\s33)?)?|Kendryte|K210|RP2040|SAMD\d+", ("MCU",)),
    Kind("edge-tpu", r"Edge\s?TPUs?|Coral(?=\s(?:Edge|Dev|TPU|USB|board))(?:\sDev\sBoard)?", ("TPU",)),
    Kind("tpu", r"(?:Cloud\s)?TPUs?[\s-]?(?:v?\d\w?(?!\w|\.\d)(?:-\d+)?)?|Trillium(?=\sTPU)|Ironwood", ()),
    Kind("cpu", r"(?:Intel\s)?Xeon(?:\sPhi|\s(?:Gold|Platinum|Silver)(?:\s\d{4}\w?)?)?|Ryzen(?:\s[3579](?:\s\d{4}\w*)?)?|Threadripper|EPYC(?:\s\d{4})?"
         r"|(?:Sapphire|Granite)\sRapids|Ice\sLake|Kunpeng\s?\d*|A64FX|POWER(?:8|9|10)|Grace\sCPU|Grace\sHopper", ("CPU",)),
    Kind("fpga-board", r"Alveo(?:\sU\d+\w*)?|Zynq(?:[\s-](?:UltraScale\+?|\d{4}))?(?:\sMPSoC)?|ZCU1\d\d|ZC70\d|Kria(?:\sK\w+)?|PYNQ(?:-Z\d)?|Virtex(?:[\s-]\w+)?"
         r"|Artix(?:-\d)?|Kintex(?:-\d)?|UltraScale\+?|Versal(?:\s\w*\d\w*)?|Stratix(?:\s(?:10|V))?|Arria(?:\s10)?|Agilex(?:\s\d)?|Cyclone\sV|VCU1\d+|VC70\d|VCK\d+",
         ("FPGA",)),
    Kind("accelerator", r"Gaudi[\s-]?\d?|Trainium\s?\d?|Inferentia\s?\d?|Ascend(?:\s?(?:910|310|920|950)\w?)?(?=\s|[.,;)])|Loihi(?:\s?2)?|Cerebras(?:\s(?:CS-[123]|WSE-?[23]?))?|CS-[23]"
         r"|WSE-[123]|Movidius(?:\s\w+)?|(?:Intel\s)?Neural\sCompute\sStick(?:\s2)?|GroqChip\w*|Groq(?:\sLPU)?|LPUs?(?=\s|[.,;)])|SN[1234]0L?|Grayskull|Wormhole(?=\s(?:chip|card|acc|n\d))"
         r"|Tenstorrent(?:\s\w+)?|MTIA|Hailo(?:-\d\w?)?|RK3\d{3}\w?|MLU\d{3}|Kunlun(?:xin)?|SpiNNaker\s?2?|TrueNorth|Akida|BrainScaleS(?:-2)?|Cloud\sAI\s100|Dojo(?=\s(?:chip|D1))|UPMEM"
         r"|Graphcore(?:\sIPUs?)?|IPUs?(?=\s|[.,;)])|Eyeriss|Gemmini|NVDLA|DaVinci(?=\score)|Ethos(?:-[UN]\d+)?", ("NPU", "ASIC")),
    Kind("headset", r"HoloLens(?:\s2)?|(?:Meta\s|Oculus\s)?Quest\s(?:[23]|Pro)|Vision\sPro", ("mobile",)),
)  # fmt: skip
CLASSES = frozenset(
    {
        "FPGA",
        "ASIC",
        "MCU",
        "NPU",
        "DSP",
        "PIM",
        "CGRA",
        "RISC-V",
        "ReRAM",
        "RRAM",
        "neuromorphic",
        "GPU",
        "CPU",
        "TPU",
        "mobile",
        "mobile GPU",
    }
)
"""Labels that name a class and no device."""

SUPERCOMPUTERS = re.compile(
    r"\b(?:Frontier|Summit|Perlmutter|Fugaku|Aurora|Leonardo|JUWELS|JUPITER|Polaris|Selene|El Capitan|LUMI|Sierra|Piz Daint|MareNostrum|Tianhe"
    r"|Sunway(?: TaihuLight)?|Alps|Eos|Theta|Frontera)\b"
)
"""Names of machines; they count where the sentence speaks of a supercomputer."""


def _group(kind: Kind) -> str:
    return kind.name.replace("-", "_").replace(" ", "_")


DEVICE = re.compile("|".join(f"(?P<{_group(kind)}>{kind.pattern})(?![^\\W_])" for kind in KINDS), re.I)
BY_GROUP = {_group(kind): kind for kind in KINDS}

_CARDS = """
    a100 a100x a800 a40 a30 a10 a10g a2000 a4000 a4500 a5000 a5500 a6000 h100 h200 h800 h20 b100 b200 b300 gb200 gb300 gh200 v100 p100 p40
    l40 l40s l20 l4 t4 k80 k40 k20 m40 m60 k210
    """
_NAMES = (
    _CARDS
    + " ".join(card + "s" for card in _CARDS.split())
    + """
    m1 m2 m3 m4 m5 coral core ios android asic asics mcu mcus npu npus dsp dsps gpu gpus gpgpu gpgpus cpu cpus smartphone smartphones
    mobile arm arc mate mac cs wse ipu ipus lpu lpus pim pims cgra cgras risc mtia quest groq grace edgetpu edgetpus reram rerams rram
    rrams nvme ssds rpi phones
    """
)
_PREFIXES = """
    mi1 mi2 mi3 mi5 mi6 rtx gtx 1080 1070 1650 1660 205 206 207 208 305 306 307 308 309 405 406 407 408 409 505 506 507 508 509 titan quadro geforce
    memristor neuromorphic hopper blackwell ampere volta turing rpi graphic jetson instinct radeon ponte adreno mali powervr iphone ipad pixel galaxy oneplus xiaomi redmi snapdragon hexagon kirin dimensity
    exynos helio macbook raspberry odroid beaglebone cortex neoverse graviton stm32 esp32 nrf5 max780 gap8 gap9 arduino kendryte rp2040 samd
    tpu trillium ironwood xeon ryzen threadripper epyc sapphire granite kunpeng a64fx power8 power9 power10 alveo zynq zcu zc70 kria pynq
    virtex artix kintex ultrascale versal stratix arria agilex vcu vc70 vck gaudi trainium inferentia ascend loihi cerebras movidius
    groqchip sn1 sn2 sn3 sn4 grayskull wormhole tenstorrent hailo rk3 mlu kunlun spinnaker truenorth akida brainscales dojo upmem
    graphcore eyeriss gemmini nvdla davinci ethos hololens fpga microcontroller supercomputer exascale a11 a12 a13 a14 a15 a16 a17 a18
    """
MAY_NAME = trigger(_NAMES + " resistive drive drives disk disks processing processor cores phone phones cards controller controllers gate integrated computing orange watch compute vision cloud ice",
                   _PREFIXES)  # fmt: skip
"""Words of which a sentence must hold one to name hardware."""
MAY_START = trigger(
    _NAMES
    + " resistive solid central phone edge cloud apple arm cell micro neural graphics tensor smart intel orange field application digital process processing processor compute "
    "computing computation in logic meta oculus vision ice cyclone",
    _PREFIXES,
)
"""Words at which the pattern may match."""
