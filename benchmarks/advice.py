"""What advice costs, and how often its intervals hold: each figure beside its target.

python -m benchmarks.advice [--papers 611] [--needs 100] [--results runners/results] [--json]

Calibration, each time without the row that is foretold:
  times    published times of whole models within the model's interval: all, those held out of the fit, and with each
           class fitted to the other devices alone
  bytes    published gains of weights in 8 and 4 bits within what the model expects of fewer bytes to read
  claims   measured ratios of judged claims within what the other claims of their families let expect
  carried  ratios measured on one device within what the other device's ratio, carried over, lets expect
  shown    measured ratios within the interval that is shown for the same implementation, device and metric before any
           measurement: of the claim, or of the card where there is none
  baselines  how far the model is from baselines that were timed, where there are records of any
  drawn    claims and truths drawn at random from a known law, to check the arithmetic of the discount
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import io
import json
import math
import os
import random
import statistics
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.query_encoder import peer_search, served_encoder
from benchmarks.search_latency import RandomVectors
from benchmarks.synthetic_papers import NEEDS, papers
from benchmarks.timed import Timed
from recommender.advice import advise, read_need
from recommender.changes import resource_of
from recommender.documents import ClaimedGain, Document, MeasuredGain
from recommender.gains import best_gain, changes_for, gains_of
from recommender.hardware.catalogue import devices, find_device
from recommender.hardware.published import PASSES, Published, published
from recommender.hardware.timing import efficiency_of
from recommender.index import open_index, write_index
from recommender.knowledge import Held, Knowledge
from recommender.need import Need
from recommender.situation import situation_of

TARGET_MS, TARGET_SHARE, SKIPPED = 150.0, 0.9, 10
SETTINGS = (
    {"gpu": "RTX 4090", "model": "Llama-3-8B"}, {"gpu": "A100", "gpus": 8, "model": "Llama-3-70B", "batch": 16},
    {"gpu": "T4", "model": "ViT-L"}, {"gpu": "H100", "model": "Llama-2-7B", "stage": "fine-tuning"}, {},
)  # fmt: skip


def latency(count: int, needs: int) -> dict[str, Any]:
    encoder, reader = served_encoder(), served_encoder(reads_needs=True)
    chance = random.Random(1)
    ours, theirs = Timed(), Timed()
    with tempfile.TemporaryDirectory() as folder:
        write_index(Path(folder), papers(count), RandomVectors(encoder))
        index = open_index(Path(folder), encoder.name)
        peer = peer_search(index.vectors_of(list(index.documents)))
        for number in range(needs + SKIPPED):
            text = f"{chance.choice(NEEDS)}, project {chance.randrange(10**6)}"
            settings = SETTINGS[number % len(SETTINGS)]
            ours(lambda text=text, settings=settings: advise(read_need(text, **settings), index, reader).to_json())
            theirs(lambda text=text: peer(text))
    p95 = ours.at(0.95, SKIPPED)
    return ours.figures(SKIPPED) | {
        "ratio_to_target": round(p95 / TARGET_MS, 3),
        "peer": "sentence-transformers, encode and semantic_search: the nearest papers without any advice",
        "peer_p95_ms": round(theirs.at(0.95, SKIPPED), 2),
        "ratio_to_peer": round(p95 / theirs.at(0.95, SKIPPED), 2),
    }


def held(inside: Iterable[bool]) -> dict[str, Any]:
    seen = list(inside)
    share = sum(seen) / len(seen) if seen else None
    return {"held": sum(seen), "of": len(seen), "share": share and round(share, 3)}


def times() -> dict[str, Any]:
    """The intervals shown, on rows that the model was fitted to and on those that it was not; and what its expectation
    would have been with a class fitted to the other devices alone."""
    rows = published()

    def shown(row: Published) -> bool:
        return row.expected().low <= row.measured_ms <= row.expected().high

    def refitted(row: Published) -> bool | None:
        mine = efficiency_of(devices()[row.device])
        others = [
            other.error
            for other in rows
            if other.what == row.what and other.device != row.device and efficiency_of(devices()[other.device]) is mine
        ]
        if not others:
            return None
        low, high = mine.ranges[PASSES[row.what]]
        return low <= math.exp(row.error - statistics.mean(others)) <= high

    out = [row for row in rows if row.held_out]
    return held(map(shown, rows)) | {
        "held_out": held(map(shown, out)),
        "without_the_device": held(seen for row in rows if (seen := refitted(row)) is not None),
        "typical_error": _typical(rows),
        "typical_error_held_out": _typical(out),
        "largest_error": round(math.exp(max(abs(row.error) for row in rows)) - 1, 3),
    }


def _percent(errors: list[float]) -> float | None:
    return round(math.exp(statistics.median(errors)) - 1, 3) if errors else None


def _typical(rows: Iterable[Published]) -> float:
    return round(math.exp(statistics.median(abs(row.error) for row in rows)) - 1, 3)


def bytes_read() -> dict[str, Any]:
    """Each published pair of the same device, model and length in 16 bits and in fewer."""
    inside = []
    found: dict[tuple[Any, ...], dict[str, Published]] = collections.defaultdict(dict)
    for row in published():
        if row.what == "decode":
            found[row.device, row.count, row.model, row.work.prompt, row.work.new_tokens][row.work.dtype] = row
    for (device, count, model, prompt, new), rows in found.items():
        wide = next((rows[dtype] for dtype in ("bf16", "fp16") if dtype in rows), None)
        for dtype in ("int8", "int4"):
            if wide is None or dtype not in rows:
                continue
            title = f"Weights in {dtype.removeprefix('int')} bits"
            document = Document(1, title, families=("quantization",), kind="technique")
            need = Need("x", "inference", device, count, model, prompt=prompt, new_tokens=new, dtype=wide.work.dtype)
            situation = situation_of(need)
            changes = [change for change, _ in changes_for(document, situation)]
            before = situation.after(()).ms["decode_per_token"]
            low, high = (before / situation.after(changes, end).ms["decode_per_token"] for end in ("low", "high"))
            inside.append(low <= wide.measured_ms / rows[dtype].measured_ms <= high)
    return held(inside)


def kind_of(device: str) -> str:
    """ "gpu" or "cpu" (or another class of the catalogue): what is measured on the one says nothing of the other."""
    found = find_device(device) if device else None
    return "unknown" if found is None else "gpu" if found.is_gpu else found.device_class


def by_kind(inside: Iterable[tuple[str, bool]]) -> dict[str, Any]:
    """How many intervals held, for each kind of device that there are measurements of."""
    found: dict[str, list[bool]] = collections.defaultdict(list)
    for kind, one in inside:
        found[kind].append(one)
    return {kind: held(found[kind]) for kind in sorted(found)} or {"gpu": held([])}


def claims(known: Knowledge) -> dict[str, Any]:
    def foretold(one: Held) -> bool:
        discount = of_kind(known, kind_of(one.device)).discount((one.family,), without=one)
        return one.claimed**discount.low <= one.measured <= one.claimed**discount.high

    return by_kind((kind_of(one.device), foretold(one)) for one in known.held)


def of_kind(known: Knowledge, kind: str) -> Knowledge:
    """What claims taught on devices of one kind; nothing measured."""
    return Knowledge(held=tuple(one for one in known.held if kind_of(one.device) == kind))


def carried(known: Knowledge) -> dict[str, Any]:
    """Each implementation's ratio on a device foretold from each other device of its kind that ran the same workload."""
    inside = []
    for gains in known.measured.values():
        for there in gains:
            for here in gains:
                same = (there.workload, there.metric, there.baseline) == (here.workload, here.metric, here.baseline)
                if same and there.device != here.device and kind_of(there.device) == kind_of(here.device):
                    gain = best_gain(Document(1, "t", evidence=(there,)), situation_of(Need("x", gpu=here.device)))
                    if gain and gain.source == "scaled" and gain.low and gain.high:
                        inside.append((kind_of(here.device), gain.low <= here.median <= gain.high))
    return by_kind(inside)


def shown(known: Knowledge, documents: Iterable[Document]) -> dict[str, Any]:
    """Each measured ratio beside the interval that would be shown without it."""
    inside = []
    for document in documents:
        for one in known.measured.get(document.implementation or "", ()):
            kind = kind_of(one.device)
            before = dataclasses.replace(document, evidence=(), gains=_same_scope(document, one))
            learned = of_kind(known, kind)
            for gain in gains_of(before, situation_of(Need("x", gpu=one.device or None)), learned):
                if resource_of(gain.metric) == resource_of(one.metric) and gain.low and gain.high:
                    inside.append((kind, gain.low <= one.median <= gain.high))
                    break
    return by_kind(inside)


def _same_scope(document: Document, measured: MeasuredGain) -> tuple[ClaimedGain, ...]:
    """Claims of what was measured: a figure of a whole model is none of its kernel."""
    return tuple(claim for claim in document.gains if claim.scope == measured.scope)


def drawn(rounds: int = 400) -> dict[str, Any]:
    """Families whose claims hold to a share about 0.6, spread 0.3, from nothing to a little more than claimed: eight judged claims foretell the ninth."""
    chance = random.Random(2)
    inside = []
    for number in range(rounds):
        shares = [min(1.1, max(0.0, chance.gauss(0.6, 0.3))) for _ in range(9)]
        claimed = [math.exp(chance.uniform(0.3, 3)) for _ in range(9)]
        ones = tuple(Held("peft", c, c**s, "d", f"{number}") for c, s in zip(claimed, shares, strict=True))
        discount = Knowledge(held=ones[:8]).discount(("peft",))
        inside.append(claimed[8] ** discount.low <= ones[8].measured <= claimed[8] ** discount.high)
    return held(inside)


def shipped(folder: Path) -> tuple[Knowledge, list[Document]]:
    """What the measured records in the folder teach, read as an installation reads them, in a database of its own; and the
    papers that have an implementation."""
    files = sorted(folder.rglob("*.jsonl")) if folder.is_dir() else []
    if not files:
        return Knowledge(), []
    with tempfile.TemporaryDirectory() as data:
        os.environ |= {"DATA_DIR": data, "DJANGO_SETTINGS_MODULE": "config.settings", "LOG_LEVEL": "ERROR"}
        os.environ.pop("DATABASE_URL", None)
        import django

        django.setup()
        from django.core.management import call_command

        from recommender.evidence import knowledge
        from recommender.services import documents

        call_command("migrate", verbosity=0)
        call_command("sync_cards", verbosity=0, stdout=io.StringIO())
        call_command("import_results", *map(str, files), stdout=io.StringIO())
        return knowledge(), [document for document in documents() if document.implementation]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--papers", type=int, default=611)
    parser.add_argument("--needs", type=int, default=100)
    parser.add_argument("--results", type=Path, default=Path("runners/results"))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    costs = latency(args.papers, args.needs)  # before the records are read in, which moves the data folder
    known, documents = shipped(args.results)
    figures: dict[str, Any] = {
        "latency": {"papers": args.papers, **costs, "target_ms": TARGET_MS},
        "times": times(), "bytes": bytes_read(), "claims": claims(known), "carried": carried(known),
        "shown": shown(known, documents), "drawn": drawn(), "baselines": off_baselines(known), "target_share": TARGET_SHARE,
        "measured_on": sorted({one.device for gains in known.measured.values() for one in gains}),
    }  # fmt: skip
    if args.json:
        print(json.dumps(figures))
        return
    for name, row in figures.items():
        told = row.items() if isinstance(row, dict) else [("", row)]
        print(f"{name:13}", "  ".join(f"{key} {value}".strip() for key, value in told))
    print(what_was_measured(known, args.results))


def off_baselines(known: Knowledge) -> dict[str, Any]:
    errors: dict[str, list[float]] = collections.defaultdict(list)
    for one in known.baselines:
        errors[kind_of(one.device)].append(abs(math.log(one.measured_ms / one.expected_ms)))
    return {kind: {"timed": len(ones), "typical_error": _percent(ones)} for kind, ones in sorted(errors.items())} or {
        "timed": 0
    }


def what_was_measured(known: Knowledge, folder: Path) -> str:
    """What the figures from records rest on."""
    kinds = {kind_of(one.device) for gains in known.measured.values() for one in gains}
    if not kinds:
        return (
            f"No measured ratio in {folder}: what claims, carried ratios and shown intervals hold could not be checked."
        )
    if "gpu" not in kinds:
        return "Ratios were measured on CPUs alone: their figures say nothing of intervals that are shown for GPUs."
    return "Figures of GPUs and of other devices are counted apart."


if __name__ == "__main__":
    main()
