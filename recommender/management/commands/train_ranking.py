import hashlib
import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from papers.encoding.adapter import read as read_adapter
from papers.encoding.encoders import CACHE, PACKAGED, Encoder, EncoderError, open_encoder, read_by
from papers.files import write_lines
from recommender import relevance, together, wording
from recommender.index import Index, IndexBusy
from recommender.judged_needs import JudgedNeed, needs_of, stated_need
from recommender.learning import Judged, cross_validated, figures, fit, start
from recommender.ranking import FEATURES, STORED, features
from recommender.services import build_index, encoder, ensure_index, needs_reader, refresh_index


class Command(BaseCommand):
    help = "Train the weights of the ranking on judged needs over the papers of the index, and print what they gain."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "needs", nargs="+", metavar="NEEDS",
            help="JSON lines with id, need, stage, hardware, training_allowed and grades: {title: 0 to 3}",
        )  # fmt: skip
        parser.add_argument("--held-out", metavar="FILE", help="needs that are only measured, never trained on")
        parser.add_argument(
            "--out", metavar="FILE", help=f"where the weights go (default: {STORED.name} beside the code)"
        )
        parser.add_argument(
            "--wording", action="store_true",
            help=f"first fit {wording.STORED.name}, through which words are compared, to the papers of the index; needs no grades",
        )  # fmt: skip
        parser.add_argument(
            "--reader", metavar="FILE",
            help="read the needs by this adapter, which train_needs_reader --out made without them (default: the one that ships)",
        )  # fmt: skip
        parser.add_argument("--dry-run", action="store_true", help="print figures, write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            refresh_index()
            index = ensure_index()
            if options["wording"] and not options["dry_run"]:
                index = self._fit_wording(index)
            reader = needs_reader() if options["reader"] is None else reader_of(Path(options["reader"]))
            needs = [judged(need, index, reader) for path in options["needs"] for need in needs_of(Path(path), index)]
            held = (
                [judged(need, index, needs_reader()) for need in needs_of(Path(options["held_out"]), index)]
                if options["held_out"]
                else []
            )
        except (EncoderError, IndexBusy, ValueError) as fault:
            raise CommandError(str(fault)) from None
        if not any(need.grades.any() for need in needs):
            raise CommandError("needs: there is none in these files whose papers are in the index and found for it")
        from recommender import learning_together  # imports torch, for which --help shall not wait

        weights = fit(needs)
        network = learning_together.fit(needs, weights)
        told = {
            "by_hand": figures(needs, start()), "cross_validated": cross_validated(needs),
            "cross_validated_together": cross_validated(needs, learning_together.fit), "fitted": figures(needs, weights, network),
        }  # fmt: skip
        if held:
            told |= {
                "held_out_by_hand": figures(held, start()), "held_out_weights": figures(held, weights),
                "held_out": figures(held, weights, network),
            }  # fmt: skip
        for name, found in told.items():
            self.stdout.write(
                f"{name.replace('_', ' '):24} nDCG@10 {found.ndcg:.3f}  success@1 {found.success:.3f}  {found.needs} needs"
            )
        if options["dry_run"]:
            return
        digest = hashlib.sha256(b"".join(Path(path).read_bytes() for path in options["needs"])).hexdigest()
        trained_on = {"needs": len(needs), "sha256": digest}
        stored = {
            "weights": {name: round(float(w), 4) for name, w in zip(FEATURES, weights, strict=True)},
            "trained_on": trained_on,
            "figures": {name: {"ndcg": round(f.ndcg, 4), "success": round(f.success, 4)} for name, f in told.items()},
        }
        target = Path(options["out"]) if options["out"] else STORED
        beside = target.with_suffix(".npz") if options["out"] else together.STORED
        try:
            write_lines(target, [json.dumps(stored, indent=2)])
            together.save(network, beside, {"trained_on": trained_on})
        except OSError as fault:
            raise CommandError(f"--out {target}: cannot be written: {fault.strerror}") from None
        self.stdout.write(f"Weights are in {target.name}, what is added to their sum in {beside.name}.")

    def _fit_wording(self, index: Index) -> Index:
        """The lens of the encoder in use, fitted anew, and the index built again through it."""
        reader = encoder()
        texts = [document.embedded_text() for document in index.documents.values()]
        _, read = read_by(reader, texts)
        if not read:
            raise CommandError(f"--wording: the encoder {reader.name!r} does not tell how it read single words")
        wording.save(wording.fit(reader.name, read), wording.STORED, texts)
        wording.shipped.cache_clear()
        self.stdout.write(f"Words of {len(read)} papers are compared through {wording.STORED.name}.")
        build_index()
        return ensure_index()


def reader_of(path: Path) -> Encoder:
    """The packaged encoder with the adapter of that file. Raises: EncoderError, or ValueError where it holds none."""
    try:
        found = read_adapter(path)
    except (OSError, KeyError, ValueError) as fault:
        raise ValueError(f"--reader {path}: holds no adapter: {fault}") from None
    return open_encoder(PACKAGED, settings.DATA_DIR / CACHE, found)


def judged(need: JudgedNeed, index: Index, reader: Encoder) -> Judged:
    """A judged need with the features of what is found for it, as `reader` reads it."""
    read = stated_need(need.row)
    wanted = relevance.read_query(read.text).narrowed(read.stage, read.training, read.gpu)
    found = index.candidates(read.text, reader, None, wanted=wanted)
    table = features(found)
    rows = np.array([[table[i].get(name, 0.0) for name in FEATURES] for i in found.ids])
    known = tuple(grade for grade in need.grades.values() if grade)
    return Judged(str(need.row.get("id", "")), rows, np.array([need.grades.get(i, 0) for i in found.ids]), known)
