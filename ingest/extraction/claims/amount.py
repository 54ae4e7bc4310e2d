"""Amounts of things, memory, compute and power: "just 0.7B parameters", "under 2 GB of memory", "0.3 GMACs", "5 mJ"."""

from __future__ import annotations

from collections.abc import Callable

from ..words import word_set
from .amount_time import TIME_READERS
from .cues import (
    PLURAL_SUBJECTS,
    QUALITY,
    SEARCH_CUES,
    TRAIN_CUES,
    TUNE_CUES,
    amount_of,
    near,
    of_rivals,
    phase_named,
    thrifty,
)
from .site import Reading, Site
from .words import RIVAL_VERBS

_MEMORY_CUES = word_set(
    """
    memory vram ram footprint gpu gpus consumption gb-gpu fit fits fitting sram dram cache peak on-chip
    """
)
_SIZE_CUES = word_set(
    "parameter file variant configuration weighs size model models checkpoint network weights parameters binary compressed compresses compress occupies occupying"
)
_HOSTS = word_set(
    "train trains training trained tune tuned tunes fine-tune fine-tuned fine-tuning run runs running host serve"
)
"""What is done within so much memory."""
_STORAGE_CUES = word_set(
    "storage disk index embedding embeddings descriptor descriptors per stored store database vectors each described represented"
)
_SENT = word_set(
    "upload uploads uploading uploaded transmit transmits transmitted communicates communicated uplink traffic"
)
_STORED = word_set(
    "scene document image vector embedding face descriptor object item passage page user model point adapter task"
)
_CARDS = word_set("a100 h100 v100 a6000 rtx 3090 4090 a10 h800 h20 t4 p100 gpus gpu")
_TEXTS = word_set("text data images raw training code audio video tokens")
_VISUAL = word_set("visual image vision per images video frame encode encodes encoded represent represents compress compresses "
                   "latent tokenizer 1d patch frames represented compressed compressing reduce reduces reducing")  # fmt: skip
_DATA_CUES = word_set(
    "data examples labeled labelled samples dataset trained annotated labels annotations demonstrations"
)
_LABELLED = word_set("labels examples demonstrations annotations")
_LIGHT = word_set("compact small lightweight tiny light")
_SMALLEST_SETUP = 5e8
"""A model with more weights than this is described, unless a word says that they are few."""


def amount(site: Site) -> Reading | None:
    """Decides by what the unit measures; every branch names the cue that makes the amount a claim and not a set-up."""
    unit = site.quantity.unit
    if site.quantity.form != "absolute" or unit is None:
        return None
    reader = _READERS.get(unit.measures)
    if reader is None:
        return None
    if of_rivals(site):
        return Reading("amount-of-rivals", None, "", site.begin, site.end)
    return reader(site)


def _bytes(site: Site) -> Reading | None:
    around = near(site, 8, 5)
    behind = site.word(site.end)
    lone = {"single", "merely", "only", "one", "consumer", "an", "just"} & {
        site.word(k) for k in range(site.begin - 3, site.begin + 1)
    }
    if behind in {"gpu", "gpus", "cards", "card", "edge"}:
        fits = site.word(site.begin - 1) in {"a", "an"} and near(site, 7, 0) & {
            "fits",
            "fit",
            "fitting",
            "runs",
            "run",
            "trained",
            "tuned",
            "train",
            "tune",
            "fine-tune",
            "fine-tuned",
        }
        return amount_of(site, "amount-memory", "memory") if lone or fits else None
    if site.word(site.begin - 1) in _CARDS or site.word(site.end) in _CARDS:
        return None
    if site.word(site.begin - 1) == "," and not _CARDS.isdisjoint(
        site.clause.lows[max(0, site.begin - 5) : site.begin]
    ):
        return None
    if {"experiments", "used"} <= set(site.clause.lows[site.end : site.end + 9]):
        return None
    if around & _SENT or near(site, 4, 0) & {"communication", "communicating"}:
        return amount_of(site, "amount-traffic", "communication")
    if behind in {"each", "apiece"}:
        return None
    if behind == "of" and {site.word(site.end + 1), site.word(site.end + 2)} & _TEXTS:
        return None
    if behind in _TEXTS or behind in {"subset", "dataset", "corpus"}:
        return None
    if (behind == "of" and {site.word(site.end + 1), site.word(site.end + 2)} & _RAM) or behind in _RAM - {"memory"}:
        return amount_of(site, "amount-memory", "memory")
    fallen = _fallen(site) if site.quantity.origin is not None else None
    if fallen is not None:
        return amount_of(site, "amount-" + _RULE_OF_BYTES[fallen], fallen)
    if behind == "per" and site.word(site.end + 1) in {"round", "client", "sync"}:
        return amount_of(site, "amount-traffic", "communication")
    if behind == "per" and site.word(site.end + 1) in _STORED:
        return amount_of(site, "amount-storage", "storage")
    if near(site, 6, 0) & {"weighs", "weighing"} or (
        site.word(site.begin - 2) == "footprint" and site.word(site.begin - 3) in {"model", "network"}
    ):
        return amount_of(site, "amount-size", "model_size")
    if {"storage", "disk", "flash", "stores", "storing"} & around or (
        site.quantity.unit and site.quantity.unit.unit == "bytes" and around & _STORAGE_CUES
    ):
        return amount_of(site, "amount-storage", "storage")
    held = site.quantity.bound == "<" or site.word(site.begin - 1) in {"takes", "needs", "requires", "in"}
    if around & _MEMORY_CUES or (held and near(site, 8, 0) & _HOSTS):
        return amount_of(site, "amount-memory", "memory")
    if around & _SIZE_CUES:
        return amount_of(site, "amount-size", "model_size")
    return amount_of(site, "amount-memory", "memory") if thrifty(site) else None


_RAM = frozenset({"memory", "ram", "sram", "dram", "vram"})
_RULE_OF_BYTES = {"storage": "storage", "model_size": "size", "memory": "memory", "communication": "traffic"}


def _fallen(site: Site) -> str | None:
    """What falls from one size to another, "the storage, by 35x from 240 MB to": the last noun of sizes in front."""
    before = [
        a.noun.metric
        for a in site.clause.anchors
        if a.stop <= site.begin and site.begin - a.stop <= 14 and a.noun.metric in _RULE_OF_BYTES
    ]
    return before[-1] if before else None


def _params(site: Site) -> Reading | None:
    q = site.quantity
    if (q.origin and not thrifty(site)) or near(site, 5, 0) & {"among", "example", "e.g"}:
        return None
    if site.word(site.begin - 1) == "(" and near(site, 4, 0) & RIVAL_VERBS:
        return None
    tuned = near(site, 2, 0) & {"tunes", "tuning", "updates", "updating", "trains"} or site.word(site.end) in {
        "trainable",
        "tunable",
    }
    if thrifty(site) or ((near(site, 4, 0) & _LIGHT or tuned) and q.value < _SMALLEST_SETUP):
        return amount_of(site, "amount-params", "params")
    opener = site.word(site.begin - 1)
    if opener not in {
        "with",
        "has",
        "having",
        "uses",
        "using",
        "requires",
        "contains",
        "needs",
        "and",
        "(",
        "of",
        "at",
    }:
        return None
    if q.value_max is not None or q.value >= _SMALLEST_SETUP or near(site, 3, 0) & PLURAL_SUBJECTS:
        return None
    if not q.scaled or not (near(site, 25, 15) & QUALITY or _measured_beside(site)):
        return None
    return amount_of(site, "amount-params-beside", "params")


def _measured_beside(site: Site) -> bool:
    """Whether an amount of compute or time stands beside ("11.5M parameters and 21.2 GFLOPs")."""
    return any(
        abs(q.first - site.quantity.first) <= 12
        and q.unit is not None
        and q.unit.measures in {"flops", "time", "rate", "bytes", "energy", "power", "bitrate"}
        for q in site.clause.quantities
    )


def _flops(site: Site) -> Reading | None:
    before = site.word(site.begin - 1)
    if site.word(site.end) == "/" and site.word(site.end + 1) not in {"image", "frame"}:
        return None
    cheap = thrifty(site)
    if site.quantity.bound == ">" or (
        site.quantity.bound and not near(site, 4, 0) & {"requires", "using", "with", "only", "needs", "at"}
    ):
        return None
    around = site.clause.lows[max(0, site.begin - 4) : site.begin] + site.clause.lows[site.end : site.end + 9]
    measured = before == "at" and not QUALITY.isdisjoint(around)
    if not cheap and not measured and before in {"at", "under", "around", "the", "within", "from"}:
        return None
    if (
        site.quantity.scaled
        and not cheap
        and not measured
        and before
        not in {"with", "using", "requires", "requiring", "needs", "and", "costs", "consumes", "uses", "(", "of", ","}
    ):
        return None
    return amount_of(site, "amount-flops", "flops")


def _flop_rate(site: Site) -> Reading | None:
    """ "740 TFLOPs/s" is a speed, "12 TFLOPs of compute" is work."""
    unit = site.quantity.unit
    rate = unit is not None and unit.unit in {"TOPS", "GOPS"}
    words = near(site, 6, 5)
    if rate or site.word(site.end) in {"/", "per"} or words & {"throughput", "reaches", "reaching", "achieves", "achieving", "sustained",
                                                              "sustains", "utilization", "delivers", "performance", "peak"}:  # fmt: skip
        return amount_of(site, "amount-rate", "throughput")
    if thrifty(site) or words & {
        "cost",
        "costs",
        "needs",
        "computation",
        "computational",
        "compute",
        "complexity",
        "requires",
    }:
        return amount_of(site, "amount-flops", "flops")
    return amount_of(site, "amount-rate", "throughput")


def _power(site: Site) -> Reading | None:
    if near(site, 3, 2) & {"tdp", "budget", "envelope"}:
        return None
    return amount_of(site, "amount-energy", "energy")


def _things(site: Site) -> Reading | None:
    """ "looks at only 8 frames", "in just 12 rounds"; a count without a word of thrift describes."""
    if site.quantity.scaled or not thrifty(site) or near(site, 12, 4) & {"attack", "attacks", "attacker", "adversary"}:
        return None
    rounds = "rounds" in {site.word(k) for k in range(site.quantity.stop - 1, site.quantity.stop + 3)}
    return amount_of(site, "amount-things", "communication" if rounds else "other_efficiency")


def _bandwidth(site: Site) -> Reading | None:
    """ "processes 13 GB/s", "a throughput of 2 TB/s"; the bandwidth of a card or a link is a set-up."""
    words = near(site, 6, 3)
    if words & {"throughput", "processes", "compresses", "decompresses"}:
        return amount_of(site, "amount-rate", "throughput")
    if words & {"achieves", "achieving", "reaches", "reaching", "sustains", "attains"}:
        return amount_of(site, "amount-rate", "bandwidth")
    return None


def _bitrate(site: Site) -> Reading | None:
    """ "codes speech at 1.1 kbps"; the bit rate of a link or of a recording is a set-up."""
    if (
        near(site, 4, 3) & {"throughput", "line-rate", "rate"}
        and site.quantity.unit
        and site.quantity.unit.unit in {"Gbps", "Tbps"}
    ):
        return amount_of(site, "amount-rate", "throughput")
    if not near(site, 10, 6) & {
        "codec",
        "bitrate",
        "bitrates",
        "compress",
        "compresses",
        "compression",
        "code",
        "codes",
        "encode",
        "encodes",
    }:
        return None
    return amount_of(site, "amount-rate", "compression", "inference")


def _area(site: Site) -> Reading | None:
    return amount_of(site, "amount-area", "other_efficiency")


def _money(site: Site) -> Reading | None:
    cues = near(site, 8, 6)
    if site.word(site.end) == "per" or site.word(site.end + 1) == "per":
        return amount_of(site, "amount-money", "other_efficiency", "inference")
    if "costs" in cues and not thrifty(site) and not near(site, 14, 8) & (TRAIN_CUES | TUNE_CUES | SEARCH_CUES):
        return None
    if not (cues & {"cost", "costs", "budget", "costing", "price", "cheap", "expense"} or thrifty(site)):
        return None
    if cues & {"api", "inference", "serving", "query", "per", "request"} and not cues & TRAIN_CUES:
        return amount_of(site, "amount-money", "other_efficiency", "inference")
    return amount_of(site, "amount-money", "training_cost")


def _samples(site: Site) -> Reading | None:
    tokens = site.quantity.unit is not None and site.quantity.unit.measures == "tokens"
    cheap = thrifty(site)
    if tokens and (cheap or near(site, 6, 0) & {"into", "using", "represented", "described", "represents", "encoded"}):
        trained = near(site, 8, 5) & (TRAIN_CUES | TUNE_CUES)
        if near(site, 10, 4) & _VISUAL and not trained:
            return amount_of(site, "amount-tokens", "compression", "inference")
        if cheap and not site.quantity.scaled and not trained and site.quantity.value < 5000:
            return amount_of(site, "amount-tokens", "compression", "inference")
    thrift = cheap or near(site, 0, 8) & {"sufficient", "suffices", "suffice", "enough"}
    per_class = site.word(site.end) == "per" and site.word(site.end + 1) in {"class", "category"}
    if per_class and near(site, 8, 0) & {
        "distill",
        "distilled",
        "comprising",
        "condense",
        "small",
        "condensed",
        "only",
    }:
        return amount_of(site, "amount-data", "data_samples", "training")
    few = (
        not tokens
        and site.quantity.value <= 1000
        and site.word(site.begin - 1) in {"with", "from", "using"}
        and site.word(site.end - 1) in _LABELLED
    )
    if few and not QUALITY.isdisjoint(site.clause.lows[site.end : site.end + 12]):
        thrift = True
    if not thrift or not near(site, 14, 10) & (TRAIN_CUES | TUNE_CUES | _DATA_CUES):
        return None
    tuned = near(site, 10, 8) & TUNE_CUES
    return amount_of(site, "amount-data", "data_samples", "fine-tuning" if tuned else "")


def _devices(site: Site) -> Reading | None:
    """Few devices to train or search on; a count of devices alone is a set-up."""
    cues = near(site, 16, 6)
    lone = {site.word(k) for k in range(site.begin - 4, site.begin)} & {
        "only",
        "just",
        "merely",
        "single",
        "restricted",
        "limited",
        "modest",
    }
    if not lone or not cues & (TRAIN_CUES | TUNE_CUES | SEARCH_CUES | {"resources", "machine", "budget"}):
        return None
    return amount_of(
        site, "amount-devices", "training_cost", phase_named(cues) if cues & (TUNE_CUES | SEARCH_CUES) else ""
    )


_READERS: dict[str, Callable[[Site], Reading | None]] = {
    **TIME_READERS,
    "bytes": _bytes, "params": _params, "flops": _flops, "flop-rate": _flop_rate, "energy": _power, "power": _power, "efficiency": _power,
    "bitrate": _bitrate, "bandwidth": _bandwidth, "things": _things, "area": _area, "money": _money, "tokens": _samples, "samples": _samples, "devices": _devices,
}  # fmt: skip
