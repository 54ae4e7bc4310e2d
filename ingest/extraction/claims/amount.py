"""Rules for amounts with a unit: "only 1.6 ms latency", "runs at 30 FPS", "just 0.7B parameters", "88 GPU-days"."""

from __future__ import annotations

from ..words import word_set
from .nouns import Noun
from .quantity import Quantity
from .site import Reading, Site
from .words import ONLY

_LATENCY_CUES = word_set(
    """
    generation device phone mobile on-device
        latency inference runtime run runs running takes taking take time times speed per within infer inferring
    generate generates generating generated rendering process processes processing real-time rendered decoding
    execution delay achieve achieves achieving synthesize produces reconstruct second fps rendering faster
    """
)
_TRAIN_CUES = word_set(
    """
    train trained training trains pretraining pre-training pretrained pretrain converge converges convergence
    fine-tuning finetuning fine-tune fine-tuned fine-tunes tuning learn learns learning gpu gpus search
    searching searches optimization optimize tpu overhead gpu-hours cost
    """
)
_MEMORY_CUES = word_set(
    """
    memory vram ram footprint gpu gpus consumption gb-gpu fit fits fitting
    """
)
_SIZE_CUES = word_set(
    """
    size model models storage disk checkpoint network weights footprint parameters
    """
)
_MEDIA = word_set(
    """
    audio speech video videos data dataset recordings recording clip clips music text footage songs corpus
    images context content sequences utterances transcribed labeled labelled annotated of
    """
)
_CARDS = frozenset(
    {"a100", "h100", "v100", "a6000", "rtx", "3090", "4090", "a10", "h800", "h20", "t4", "p100", "gpus", "gpu"}
)


def _near(site: Site, before: int, after: int) -> set[str]:
    start, stop = max(0, site.begin - before), min(len(site.clause.lows), site.end + after)
    return {site.word(k) for k in range(start, stop)}


def _cheap(site: Site) -> bool:
    """Whether a word of thrift stands before the amount ("only", "just", "fewer than")."""
    words = {site.word(k) for k in range(max(0, site.begin - 3), site.quantity.first)}
    return bool(words & (ONLY | {"as"})) or site.quantity.bound == "<" or _shrank(site.quantity)


def _shrank(quantity: Quantity) -> bool:
    """Whether the amount is the lower end of "from A to B"."""
    return quantity.origin_value is not None and quantity.origin_value > quantity.value


def _reading(site: Site, rule: str, metric: str, phase: str = "") -> Reading:
    return Reading(
        rule, Noun(metric, "cost", phase), "none", max(site.left, site.begin - 3), min(site.right, site.end + 4)
    )


def amount(site: Site) -> Reading | None:
    """Decides by what the unit measures; every branch names the cue that makes the amount a claim and not a set-up."""
    unit = site.quantity.unit
    if site.quantity.form != "absolute" or unit is None:
        return None
    reader = {
        "rate": _rate, "hertz": _hertz, "time": _time, "device-time": _device_time, "bytes": _bytes, "params": _params,
        "flops": _flops, "flop-rate": _rate, "energy": _power, "power": _power, "money": _money, "tokens": _samples, "samples": _samples,
        "steps": _steps, "iterations": _iterations,
    }.get(unit.measures)  # fmt: skip
    return reader(site) if reader else None


def _rate(site: Site) -> Reading | None:
    if site.word(site.end) in {"video", "videos", "streams", "footage"}:
        return None
    return _reading(site, "amount-rate", "throughput")


def _hertz(site: Site) -> Reading | None:
    return (
        _reading(site, "amount-rate", "throughput")
        if _near(site, 6, 4) & {"runs", "running", "inference", "speed"}
        else None
    )


def _time(site: Site) -> Reading | None:
    unit, q = site.quantity.unit, site.quantity
    behind = {site.word(k) for k in range(site.end, site.end + 3)}
    if unit is None or (behind & _MEDIA and site.word(site.end) != "of"):
        return None
    if site.word(site.end) in {"of", "long"} and behind & (_MEDIA - {"of"}):
        return None
    long = unit.unit in {"min", "hours", "days", "weeks"}
    cues = _near(site, 14, 10)
    training = cues & _TRAIN_CUES
    if (
        long
        and training
        and (q.origin or _cheap(site) or site.word(site.begin - 1) in {"in", "within", "under", "takes", "to"})
    ):
        return _reading(site, "amount-time", "training_time", "training")
    if long:
        return _reading(site, "amount-time", "latency") if _cheap(site) and cues & _LATENCY_CUES else None
    if (
        q.unit
        and q.unit.unit == "s"
        and site.word(site.begin - 1) in {"every", "of", "to"}
        and not cues & {"latency", "runtime", "time"}
    ):
        return None
    return _reading(site, "amount-time", "latency") if cues & _LATENCY_CUES or unit.unit == "ms" else None


def _device_time(site: Site) -> Reading | None:
    if site.quantity.qualifier == "at least":
        return None
    phase = "search" if _near(site, 14, 8) & {"search", "searching", "nas"} else "training"
    return _reading(site, "amount-device-time", "training_time", phase)


def _bytes(site: Site) -> Reading | None:
    around = _near(site, 8, 5)
    lone = {"single", "merely", "only", "one", "consumer"} & {
        site.word(k) for k in range(site.begin - 3, site.begin + 1)
    }
    if site.word(site.end) in {"gpu", "gpus", "cards"} and lone:
        return _reading(site, "amount-memory", "memory")
    if site.word(site.end) in {"gpu", "gpus", "cards"} or site.word(site.begin - 1) in _CARDS:
        return None
    if site.word(site.end) == "of" and {site.word(site.end + 1), site.word(site.end + 2)} & {
        "text",
        "data",
        "images",
        "raw",
        "training",
    }:
        return None
    if around & _MEMORY_CUES:
        return _reading(site, "amount-memory", "memory")
    if around & _SIZE_CUES or _cheap(site):
        return _reading(site, "amount-size", "model_size" if around & _SIZE_CUES else "memory")
    return None


def _params(site: Site) -> Reading | None:
    if not _cheap(site):
        return None
    return _reading(site, "amount-params", "params")


def _flops(site: Site) -> Reading | None:
    before = site.word(site.begin - 1)
    if site.word(site.end) == "/":
        return None
    if site.quantity.bound or (not _cheap(site) and before in {"at", "under", "around", "the", "within"}):
        return None
    if (
        site.quantity.scaled
        and not _cheap(site)
        and before not in {"with", "using", "requires", "requiring", "needs", "and"}
    ):
        return None
    return _reading(site, "amount-flops", "flops")


def _power(site: Site) -> Reading | None:
    return _reading(site, "amount-energy", "energy")


def _money(site: Site) -> Reading | None:
    cues = _near(site, 8, 5)
    return (
        _reading(site, "amount-money", "training_cost")
        if cues & {"cost", "costs", "budget", "costing", "price"}
        else None
    )


def _samples(site: Site) -> Reading | None:
    thrift = _cheap(site) or _near(site, 0, 8) & {"sufficient", "suffices"}
    if not thrift or not _near(site, 12, 10) & (
        _TRAIN_CUES | {"data", "examples", "labeled", "samples", "dataset", "trained"}
    ):
        return None
    return _reading(site, "amount-data", "data_samples", "training")


def _steps(site: Site) -> Reading | None:
    return (
        _reading(site, "amount-steps", "other_efficiency")
        if _cheap(site) and "magnitude" not in _near(site, 0, 2)
        else None
    )


def _iterations(site: Site) -> Reading | None:
    return _reading(site, "amount-iterations", "training_time", "training") if _cheap(site) else None
