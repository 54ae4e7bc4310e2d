"""Amounts of time, rates and steps: "only 1.6 ms latency", "runs at 30 FPS", "88 GPU-days", "in just 4 steps"."""

from __future__ import annotations

from collections.abc import Callable

from ..words import word_set
from .cues import OTHER_CUES, SEARCH_CUES, SPEED_CUES, TRAIN_CUES, TUNE_CUES, amount_of, near, phase_named, thrifty
from .site import Reading, Site

_MEDIA = word_set(
    """
    audio speech video videos data dataset recordings recording clip clips music text footage songs corpus long
    images context content sequences utterances transcribed labeled labelled annotated of window windows segment segments
    prompt conversation conversations speaker horizon lifetime time-steps
    """
)
_DEVICE_CUES = word_set("gpu gpus tpu tpus a100 h100 v100 overhead cost gpu-hours")
_SPOKEN = word_set(
    "speech audio recordings recording video videos data footage interaction game transcribed labelled labeled"
)
_SPANS = frozenset({"days", "weeks", "months"})
_LONG = frozenset({"min", "hours", "days", "weeks", "months"})
_BEFORE_TIME = word_set("in within under takes took to requires requiring only just of take taking than needs")
_TARGETS = word_set("target targets budget budgets constraint constraints deadline deadlines limit slo")
"""Of what a system is held to, which is a set-up."""
_STATES = frozenset({"is", "was", "are", "of", "at", "to", ":", "="})
_ONLY_LATENCY = word_set("ms us ns")
_OF_WORK = word_set("inference latency compute computation training processing gpu cpu wall wall-clock delay search optimization "
                    "fine-tuning finetuning runtime execution pre-training pretraining tuning overhead interaction experience practice robot")  # fmt: skip
_ENDS = word_set(". , ) on per for with using and ( at while without")
_INFERS = word_set(
    "inference latency generation rendering decoding runs sampling classifies translates predicts answers synthesizes decodes"
)
_RECORDED = word_set(
    "sampled recorded captured camera cameras recordings sampling video videos clips seconds 720p 1080p"
)
_RUNS = word_set("inference runs running run throughput speed renders rendering render achieves achieving real-time processes processing on "
                 "faster generates generation fast reaches")  # fmt: skip


_SHOWN = frozenset({"video", "videos", "clips", "footage", "movies"})
_PROCESSES = word_set("processes process processing renders handles segments decodes encodes analyzes streams")


def _rate(site: Site) -> Reading | None:
    if site.word(site.end) in {"video", "videos", "streams", "footage", "camera", "cameras", "clips", "sequences"}:
        return None
    shown = site.word(site.begin - 1) == "at" and site.word(site.begin - 2) in _SHOWN
    if shown and site.word(site.begin - 3) not in _PROCESSES:
        return None
    if near(site, 6, 3) & _RECORDED and not near(site, 6, 5) & _RUNS:
        return None
    return amount_of(site, "amount-rate", "throughput")


def _hertz(site: Site) -> Reading | None:
    cues = {
        "runs",
        "running",
        "inference",
        "speed",
        "run",
        "control",
        "operates",
        "operating",
        "achieves",
        "achieving",
        "real-time",
        "processed",
        "policy",
        "tracking",
        "detection",
        "perception",
        "planning",
        "update",
        "updates",
        "rate",
        "rates",
        "latency",
        "faster",
        "processes",
        "frequency",
    }
    if near(site, 5, 0) & _RECORDED or not near(site, 7, 4) & cues:
        return None
    return amount_of(site, "amount-rate", "throughput")


def _time(site: Site) -> Reading | None:
    unit, q = site.quantity.unit, site.quantity
    behind = {site.word(k) for k in range(site.end, site.end + 3)}
    media = behind & (_MEDIA - {"of"}) or site.word(site.end) in _MEDIA - {"of"}
    if media and thrifty(site) and behind & _SPOKEN and unit is not None:
        return amount_of(site, "amount-data", "data_samples", "training")
    if unit is None or (media and site.word(site.end) not in {"of", "inference", "latency", "for", "per"}):
        return None
    if unit.unit in _ONLY_LATENCY and site.word(site.end) == "per" and site.word(site.end + 1) in {"day", "hour"}:
        # So much of what is simulated in a day.
        return amount_of(site, "amount-rate", "throughput")
    if unit.unit in _ONLY_LATENCY and site.word(site.begin - 1) == "for":
        return None
    if near(site, 3, 1) & _TARGETS:
        return None
    work = {site.word(k) for k in range(site.end, site.end + 6)} & _OF_WORK
    if site.word(site.end) == "long" or (site.word(site.end) == "of" and not work):
        return None
    named = {site.word(site.end), site.word(site.end + 1), site.word(site.begin - 1), site.word(site.begin - 2)}
    if named & {"runtime", "latency", "ttft", "delay"} and unit.unit != "days":
        return amount_of(site, "amount-time", "latency")
    if named & {"duration", "lasting", "spanning", "recorded"}:
        return None
    if near(site, 4, 3) & {"epoch", "epochs"} and unit.unit not in _ONLY_LATENCY and q.qualifier != "at least":
        return amount_of(site, "amount-time", "training_time", "training")
    long = unit.unit in _LONG
    cues, close = near(site, 14, 10), near(site, 8, 6)
    opener = site.word(site.begin - 1)
    led = (
        q.origin is not None
        or thrifty(site)
        or (
            opener in _BEFORE_TIME
            and not (opener.startswith("tak") and unit.unit in _SPANS and not close & {"train", "search"})
        )
        or (
            opener in _STATES
            and not near(site, 9, 0).isdisjoint(
                {"time", "times", "duration", "runtime", "takes", "latency", "latencies"}
            )
        )
        or (opener == "after" and not behind.isdisjoint(TRAIN_CUES | TUNE_CUES))
    )
    if q.qualifier == "at least" and long:
        return None
    if (long or thrifty(site)) and led and cues & OTHER_CUES and not close & (TRAIN_CUES | TUNE_CUES | _INFERS):
        return amount_of(site, "amount-time", "training_time", "other")
    if long and led and close & _INFERS and not close & (TRAIN_CUES | TUNE_CUES | SEARCH_CUES):
        return amount_of(site, "amount-time", "latency")
    if opener in {"in", "within", "under"}:
        cues = cues | (site.clause.words & (TRAIN_CUES | TUNE_CUES | _DEVICE_CUES))
    if long and led and cues & (TRAIN_CUES | TUNE_CUES | SEARCH_CUES | _DEVICE_CUES):
        phase = phase_named(close) if close & (TUNE_CUES | SEARCH_CUES) else "training"
        return amount_of(site, "amount-time", "training_time", phase)
    if long:
        brief = unit.unit == "min" and opener in {"in", "within", "under", "takes"}
        return amount_of(site, "amount-time", "latency") if brief or (thrifty(site) and cues & SPEED_CUES) else None
    if (
        unit.unit == "s"
        and q.origin is None
        and site.word(site.begin - 1) in {"every", "of", "to"}
        and not cues & {"latency", "runtime", "time"}
    ):
        return None
    if (
        unit.unit == "s"
        and close & (OTHER_CUES | TRAIN_CUES)
        and thrifty(site)
        and not close & {"inference", "latency"}
    ):
        return amount_of(site, "amount-time", "training_time", "training" if close & TRAIN_CUES else "other")
    if q.qualifier == "at least" and not cues & {"latency", "overhead"}:
        return None
    in_time = (
        site.word(site.begin - 1) in {"in", "within", "under", "needs", "requires", "took", "costs"}
        and site.word(site.end) in _ENDS
    )
    if in_time or unit.unit in _ONLY_LATENCY or cues & SPEED_CUES or thrifty(site):
        return amount_of(site, "amount-time", "latency")
    return None


def _real_time_factor(site: Site) -> Reading | None:
    return amount_of(site, "amount-time", "latency")


def _device_time(site: Site) -> Reading | None:
    """Hours of a device are a cost, unless a time is what they are said to be ("pre-training time")."""
    if site.quantity.qualifier == "at least" or near(site, 4, 0) & {"reaching", "exceeding", "spent", "conducted"}:
        return None
    cues = near(site, 16, 8)
    timed = any(
        site.word(at) == "time" and site.word(at - 1) in TRAIN_CUES | SEARCH_CUES | TUNE_CUES
        for at in range(max(0, site.begin - 16), site.begin)
    )
    phase = phase_named(cues) if cues & (SEARCH_CUES | TUNE_CUES) else "training"
    if phase == "training" and cues & OTHER_CUES and not cues & TRAIN_CUES:
        phase = "other"
    if phase == "fine-tuning" and near(site, 6, 6) & TRAIN_CUES and not near(site, 8, 8) & TUNE_CUES:
        phase = "training"
    return amount_of(site, "amount-device-time", "training_time" if timed else "training_cost", phase)


_SAMPLES = word_set(
    "sampling samples images image generate generates generating synthesizes synthesize fid nfe nfes denoising diffusion sampler quality"
)


def _steps(site: Site) -> Reading | None:
    few = (
        site.quantity.value <= 64
        and site.word(site.begin - 1) in {"in", "with", "within", "using", "at", "needs", "requires"}
        and not near(site, 10, 6).isdisjoint(_SAMPLES)
    )
    single = site.quantity.value == 1 and site.word(site.begin - 1) in {"needs", "requires", "takes", "in"}
    if "magnitude" in near(site, 0, 2) or not (thrifty(site) or site.quantity.origin or few or single):
        return None
    close = near(site, 5, 5)
    if "," in site.clause.lows[site.end : site.end + 5]:
        # "4 steps, and training takes": what comes behind the comma is said of another thing.
        close = near(site, 5, 0)
    if close & (TRAIN_CUES | TUNE_CUES) and not close & {
        "sampling",
        "inference",
        "denoising",
        "generation",
        "diffusion",
    }:
        return amount_of(site, "amount-steps", "training_time", "fine-tuning" if close & TUNE_CUES else "training")
    timed = near(site, 8, 2)
    if timed & {"speed", "latency", "time"} and site.quantity.origin:
        return amount_of(site, "amount-steps", "latency")
    return amount_of(site, "amount-steps", "other_efficiency")


def _iterations(site: Site) -> Reading | None:
    converges = site.word(site.begin - 1) in {"in", "within", "after"} and not near(site, 6, 3).isdisjoint(
        {"converges", "converge", "convergence"}
    )
    if not (thrifty(site) or converges):
        return None
    tuned = near(site, 8, 5) & TUNE_CUES
    return amount_of(site, "amount-iterations", "training_time", "fine-tuning" if tuned else "training")


TIME_READERS: dict[str, Callable[[Site], Reading | None]] = {
    "rate": _rate, "hertz": _hertz, "time": _time, "device-time": _device_time, "steps": _steps, "iterations": _iterations,
    "real-time-factor": _real_time_factor,
}  # fmt: skip
"""What reads an amount, by what its unit measures."""
