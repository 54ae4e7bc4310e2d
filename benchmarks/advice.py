"""What advice costs, and how often its intervals hold: each figure beside its target.

python -m benchmarks.advice [--papers 611] [--needs 100] [--results runners/results] [--json]

Calibration, each time without the row that is foretold:
  times    published times of whole models within the model's interval: all, those held out of the fit, and with each
           class fitted to the other devices alone
  bytes    published gains of weights in 8 and 4 bits within what the model expects of fewer bytes to read
  claims   measured ratios of judged claims within what the other claims of their families let expect
  carried  ratios measured on one device within what the other device's ratio, carried over, lets expect
  baselines  how far the model is from baselines that were timed, where there are records of any
  drawn    claims and truths drawn at random from a known law, to check the arithmetic of the discount
"""

from __future__ import annotations

import argparse
import collections
import io
import json
import math
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.search_latency import RandomVectors
from benchmarks.synthetic_papers import NEEDS, papers, percentile
from recommender.advice import advise, read_need
from recommender.documents import Document
from recommender.encoders import open_encoder
from recommender.gains import best_gain, changes_for
from recommender.hardware.catalogue import devices
from recommender.hardware.published import PASSES, Published, published
from recommender.hardware.timing import efficiency_of
from recommender.index import open_index, write_index
from recommender.knowledge import Held, Knowledge
from recommender.need import Need
from recommender.situation import situation_of

TARGET_MS, TARGET_SHARE = 150.0, 0.9
SETTINGS = (
    {"gpu": "RTX 4090", "model": "Llama-3-8B"}, {"gpu": "A100", "gpus": 8, "model": "Llama-3-70B", "batch": 16},
    {"gpu": "T4", "model": "ViT-L"}, {"gpu": "H100", "model": "Llama-2-7B", "stage": "fine-tuning"}, {},
)  # fmt: skip


def latency(count: int, needs: int) -> dict[str, float]:
    encoder = open_encoder()
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        write_index(Path(folder), papers(count), RandomVectors(encoder))
        index = open_index(Path(folder), encoder.name)
        samples = []
        for number in range(needs + 5):
            text = f"{chance.choice(NEEDS)}, project {chance.randrange(10**6)}"
            need = read_need(text, **SETTINGS[number % len(SETTINGS)])
            start = time.perf_counter()
            advise(need, index, encoder).to_json()
            samples.append((time.perf_counter() - start) * 1e3)
    p50, p95 = percentile(samples[5:], 0.5), percentile(samples[5:], 0.95)
    return {"p50_ms": round(p50, 2), "p95_ms": round(p95, 2), "ratio_to_target": round(p95 / TARGET_MS, 3)}


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


def claims(known: Knowledge) -> dict[str, Any]:
    def foretold(one: Held) -> bool:
        discount = known.discount((one.family,), without=one)
        return one.claimed**discount.low <= one.measured <= one.claimed**discount.high

    return held(foretold(one) for one in known.held)


def carried(known: Knowledge) -> dict[str, Any]:
    """Each implementation's ratio on a device foretold from each other device that ran the same workload."""
    inside = []
    for gains in known.measured.values():
        for there in gains:
            for here in gains:
                same = (there.workload, there.metric, there.baseline) == (here.workload, here.metric, here.baseline)
                if same and there.device != here.device:
                    gain = best_gain(Document(1, "t", evidence=(there,)), situation_of(Need("x", gpu=here.device)))
                    if gain and gain.source == "scaled" and gain.low and gain.high:
                        inside.append(gain.low <= here.median <= gain.high)
    return held(inside)


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


def shipped(folder: Path) -> Knowledge:
    """What the measured records in the folder teach, read as an installation reads them, in a database of its own."""
    files = sorted(folder.rglob("*.jsonl")) if folder.is_dir() else []
    if not files:
        return Knowledge()
    with tempfile.TemporaryDirectory() as data:
        os.environ |= {"DATA_DIR": data, "DJANGO_SETTINGS_MODULE": "config.settings", "LOG_LEVEL": "ERROR"}
        os.environ.pop("DATABASE_URL", None)
        import django

        django.setup()
        from django.core.management import call_command

        from recommender.evidence import knowledge

        call_command("migrate", verbosity=0)
        call_command("sync_cards", verbosity=0, stdout=io.StringIO())
        call_command("import_results", *map(str, files), stdout=io.StringIO())
        return knowledge()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--papers", type=int, default=611)
    parser.add_argument("--needs", type=int, default=100)
    parser.add_argument("--results", type=Path, default=Path("runners/results"))
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    known = shipped(args.results)
    baselines = [abs(math.log(one.measured_ms / one.expected_ms)) for one in known.baselines]
    figures: dict[str, Any] = {
        "latency": {"papers": args.papers, **latency(args.papers, args.needs), "target_ms": TARGET_MS},
        "times": times(), "bytes": bytes_read(), "claims": claims(known), "carried": carried(known), "drawn": drawn(),
        "baselines": {"timed": len(baselines), "typical_error": _percent(baselines)},
        "target_share": TARGET_SHARE,
    }  # fmt: skip
    if args.json:
        print(json.dumps(figures))
        return
    for name, row in figures.items():
        told = row.items() if isinstance(row, dict) else [("", row)]
        print(f"{name:13}", "  ".join(f"{key} {value}".strip() for key, value in told))
    if not known.held and not known.measured:
        print(f"No measured record in {args.results}: claims and carried ratios could not be checked.")


if __name__ == "__main__":
    main()
