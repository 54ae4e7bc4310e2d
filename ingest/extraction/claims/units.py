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
    Unit("ns", "time"): "ns nanosecond nanoseconds",
    Unit("us", "time"): "us µs μs microsecond microseconds",
    Unit("ms", "time"): "ms msec millisecond milliseconds",
    Unit("s", "time"): "s sec secs second seconds",
    Unit("min", "time"): "min mins minute minutes",
    Unit("hours", "time"): "h hr hrs hour hours",
    Unit("days", "time"): "day days",
    Unit("weeks", "time"): "week weeks",
    Unit("KB", "bytes"): "KB kB KiB kilobytes kilobyte",
    Unit("MB", "bytes"): "MB MiB megabytes megabyte",
    Unit("GB", "bytes"): "GB GiB gigabytes gigabyte",
    Unit("TB", "bytes"): "TB TiB terabytes terabyte",
    Unit("FPS", "rate"): "FPS fps",
    Unit("Hz", "hertz"): "Hz",
    Unit("KFLOPs", "flops"): "KFLOPs",
    Unit("MFLOPs", "flops"): "MFLOPs MFLOPS MFlops MFLOP Mflops",
    Unit("GFLOPs", "flops"): "GFLOPs GFLOPS GFlops GFLOP Gflops GFlop",
    Unit("TFLOPs", "flop-rate"): "TFLOPs TFLOPS TFLOP teraFLOPs",
    Unit("PFLOPs", "flop-rate"): "PFLOPs PFLOPS petaFLOP petaFLOPs",
    Unit("MMACs", "flops"): "MMACs MMAC",
    Unit("GMACs", "flops"): "GMACs GMAC GMacs",
    Unit("MAdds", "flops"): "MAdds",
    Unit("mJ", "energy"): "mJ millijoules",
    Unit("uJ", "energy"): "uJ µJ",
    Unit("J", "energy"): "J joules",
    Unit("kWh", "energy"): "kWh",
    Unit("mW", "power"): "mW milliwatts milliwatt",
    Unit("W", "power"): "W watts watt",
    Unit("kbps", "bitrate"): "kbps kb/s",
    Unit("Mbps", "bitrate"): "Mbps",
    Unit("GB/s", "bandwidth"): "GB/s",
    Unit("TB/s", "bandwidth"): "TB/s",
    Unit("$", "money"): "$",
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
        images samples examples pairs demonstrations instances clips videos sentences labels
        """
        ),
        Unit("samples", "samples"),
    ),
    **dict.fromkeys(("flops", "flop", "macs", "mult-adds", "multiply-adds", "madds", "mac"), Unit("FLOPs", "flops")),
    **dict.fromkeys(("steps", "step", "nfe", "nfes", "evaluations"), Unit("steps", "steps")),
    **dict.fromkeys(("iterations", "epochs", "epoch"), Unit("epochs", "iterations")),
}
"""Things that are counted: the word behind the number is the unit."""
