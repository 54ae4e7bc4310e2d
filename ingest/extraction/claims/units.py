"""Units of absolute amounts: how they are written, what they measure, and the metric that they stand for."""

from __future__ import annotations

from typing import NamedTuple

from ..words import word_set


class Unit(NamedTuple):
    """`unit` as records write it; `measures` is the kind of amount; `scale` multiplies the number as written."""

    unit: str
    measures: str
    scale: float = 1.0


_SPELLINGS: dict[Unit, str] = {
    Unit("ns", "time"): "ns nanosecond nanoseconds nsec",
    Unit("us", "time"): "us µs μs microsecond microseconds usec",
    Unit("ms", "time"): "ms msec millisecond milliseconds msecs",
    Unit("s", "time"): "s sec secs second seconds",
    Unit("min", "time"): "min mins minute minutes",
    Unit("hours", "time"): "h hr hrs hour hours",
    Unit("days", "time"): "day days",
    Unit("weeks", "time"): "week weeks",
    Unit("months", "time"): "month months",
    Unit("bytes", "bytes"): "bytes byte",
    Unit("KB", "bytes"): "KB kB Kb kilobytes kilobyte kbytes",
    Unit("MB", "bytes"): "MB megabytes megabyte Mbytes MBytes",
    Unit("GB", "bytes"): "GB gigabytes gigabyte Gbytes GBytes",
    Unit("TB", "bytes"): "TB terabytes terabyte",
    Unit("KiB", "bytes"): "KiB",
    Unit("MiB", "bytes"): "MiB mebibytes",
    Unit("GiB", "bytes"): "GiB gibibytes",
    Unit("TiB", "bytes"): "TiB",
    Unit("FPS", "rate"): "FPS fps frames-per-second frame-per-second f/s frames/s frames/sec frames/second",
    Unit("tokens/s", "rate"): "tokens/s tokens-per-second tokens/sec tokens/second token/s tok/s toks/s TPS",
    Unit("images/s", "rate"): "images/s images-per-second images/sec images/second image/s img/s imgs/s",
    Unit("samples/s", "rate"): "samples/s samples/sec samples/second queries/s queries/sec queries/second req/s it/s",
    Unit("QPS", "rate"): "QPS",
    Unit("Hz", "hertz"): "Hz",
    Unit("KFLOPs", "flops"): "KFLOPs",
    Unit("MFLOPs", "flops"): "MFLOPs MFLOPS MFlops MFLOP Mflops MFlop",
    Unit("GFLOPs", "flops"): "GFLOPs GFLOPS GFlops GFLOP Gflops GFlop BFLOPs BFLOPS GigaFLOPs gigaflops",
    Unit("TFLOPs", "flop-rate"): "TFLOPs TFLOPS TFLOP TFlops teraFLOPs teraflops TFLOPs/s TFLOPS/s TFLOP/s",
    Unit("PFLOPs", "flop-rate"): "PFLOPs PFLOPS petaFLOP petaFLOPs petaFLOP/s petaFLOPs/s PFLOP/s PFLOPs/s petaflops",
    Unit("MMACs", "flops"): "MMACs MMAC MMacs",
    Unit("GMACs", "flops"): "GMACs GMAC GMacs",
    Unit("MAdds", "flops"): "MAdds",
    Unit("TOPS", "flop-rate"): "TOPS TOPs TOP/s",
    Unit("GOPS", "flop-rate"): "GOPS GOPs GOP/s",
    Unit("TOPS/W", "efficiency"): "TOPS/W TOPs/W",
    Unit("GOPS/W", "efficiency"): "GOPS/W GOPs/W",
    Unit("TFLOPS/W", "efficiency"): "TFLOPS/W TFLOPs/W",
    Unit("GFLOPS/W", "efficiency"): "GFLOPS/W GFLOPs/W",
    Unit("TOPS/mm2", "efficiency"): "TOPS/mm2 TOPS/mm^2",
    Unit("FPS/W", "efficiency"): "FPS/W fps/W",
    Unit("tokens/J", "efficiency"): "tokens/J",
    Unit("fJ", "energy"): "fJ fJ/op fJ/OP fJ/MAC",
    Unit("nJ", "energy"): "nJ nJ/inference",
    Unit("pJ", "energy"): "pJ pJ/op pJ/OP pJ/MAC pJ/bit",
    Unit("mJ", "energy"): "mJ millijoules millijoule",
    Unit("uJ", "energy"): "uJ µJ μJ microjoules",
    Unit("J", "energy"): "J joules joule",
    Unit("kJ", "energy"): "kJ",
    Unit("Wh", "energy"): "Wh",
    Unit("kWh", "energy"): "kWh",
    Unit("MWh", "energy"): "MWh",
    Unit("GWh", "energy"): "GWh",
    Unit("kgCO2", "energy"): "kgCO2 kgCO2e kgCO2eq",
    Unit("tCO2", "energy"): "tCO2 tCO2e tCO2eq",
    Unit("gCO2", "energy"): "gCO2 gCO2eq gCO2e",
    Unit("mW", "power"): "mW milliwatts milliwatt",
    Unit("uW", "power"): "uW µW μW microwatts",
    Unit("W", "power"): "W watts watt",
    Unit("kW", "power"): "kW kilowatts kilowatt",
    Unit("kbps", "bitrate"): "kbps kb/s",
    Unit("Mbps", "bitrate"): "Mbps",
    Unit("Gbps", "bitrate"): "Gbps Gb/s",
    Unit("Tbps", "bitrate"): "Tbps Tb/s",
    Unit("GB/s", "bandwidth"): "GB/s GB/sec",
    Unit("TB/s", "bandwidth"): "TB/s TB/sec",
    Unit("mm2", "area"): "mm2 mm^2",
    Unit("$", "money"): "$ USD dollars",
}
BY_SPELLING: dict[str, Unit] = {spelling: unit for unit, text in _SPELLINGS.items() for spelling in text.split()}
BY_WORD: dict[str, Unit] = {spelling.lower(): unit for spelling, unit in BY_SPELLING.items() if len(spelling) > 1}
"""Spellings that may stand as a word of their own, lower case; single letters only count right behind the digits."""
ATTACHED_UNITS: tuple[str, ...] = tuple(spelling for spelling in BY_SPELLING if spelling != "$")

SCALES = {"k": 1e3, "K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12, "bn": 1e9, "mn": 1e6}
SCALE_WORDS = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12, "k": 1e3, "m": 1e6, "b": 1e9}

COUNTED: dict[str, Unit] = {
    **dict.fromkeys(("parameter", "param", "parameters", "params", "weights"), Unit("params", "params")),
    **dict.fromkeys(("tokens", "token"), Unit("tokens", "tokens")),
    **dict.fromkeys(
        word_set(
            """
        images samples examples pairs demonstrations instances clips videos sentences labels data datapoints exemplars
        annotations shots prompts episodes trajectories questions interactions scans utterances
        """
        ),
        Unit("samples", "samples"),
    ),
    **dict.fromkeys(
        word_set(
            """
        flops flop macs mac mult-adds multiply-adds madds m-adds multi-adds multadds mult-add multiply-accumulates multiply-accumulate multiply-add multiplications
        """
        ),
        Unit("FLOPs", "flops"),
    ),
    **dict.fromkeys(
        word_set("steps step nfe nfes evaluations timesteps evaluation passes pass step-sampling"),
        Unit("steps", "steps"),
    ),
    **dict.fromkeys(
        word_set("frames queries calls layers heads gaussians neurons trials rounds evals rollouts"),
        Unit("things", "things"),
    ),
    **dict.fromkeys(("iterations", "iteration", "epochs", "epoch", "updates"), Unit("epochs", "iterations")),
    **dict.fromkeys(("gpu", "gpus", "tpus", "machines", "cpus", "accelerators"), Unit("GPUs", "devices")),
}
"""Things that are counted: the word behind the number is the unit."""
DEVICES = word_set(
    "gpu gpus tpu tpus a100 v100 h100 h800 h200 a800 a6000 t4 rtx 3090 4090 tpuv3 tpuv4 cpu core cpus nvidia node wall-clock"
)
"""Words that may stand between a number and "hours" or "days" of a device."""
DEVICE_SPANS = {
    "hour": "hours",
    "day": "days",
    "week": "weeks",
    "minute": "minutes",
    "year": "years",
    "second": "seconds",
}
